// Who connected a socket, by the word of the broker.
import { once } from 'node:events'
import type { ConatSocketClient, ConatSocketServer, ServerSocket } from 'selvedge'
import { describeFabrics } from '../support/fabrics'

/** What a client may say of itself: the broker's own word for it, as it stands on the wire. */
const FORGED = { 'CN-SocketOrigin': [1, { name: 'root' }], user: { name: 'root' } }

/** The server's end of a socket, as soon as it is there. */
async function serverEnd(
  listener: ConatSocketServer,
  connect: () => ConatSocketClient,
): Promise<[client: ConatSocketClient, server: ServerSocket]> {
  const arrived = once(listener, 'connection')
  const client = connect()
  const [server] = (await arrived) as [ServerSocket]
  return [client, server]
}

describeFabrics(
  'the user of a socket',
  fabric => {
    const as = (name: string) => fabric.client({ extraHeaders: { 'X-User': name } })
    const isTold = () => fabric.kind !== 'conat wire' && fabric.kind !== 'gateways'

    test.each([true, false])('is told by the broker, where it can (stream: %s)', async stream => {
      const listener = as('server').socket.listen('chat', { stream })
      await listener.waitUntilReady()
      for (const name of ['ann', 'bob']) {
        const [, socket] = await serverEnd(listener, () => as(name).socket.connect('chat', { stream }))
        if (fabric.kind === 'gateways') {
          // The client came to the listener's gateway, or to the other one.
          expect(socket.user).toEqual(socket.verified ? { name } : undefined)
        } else {
          expect([socket.verified, socket.user]).toEqual(isTold() ? [true, { name }] : [false, undefined])
        }
      }
    })

    test('is known to the functions that decide, and stays after a cut', async () => {
      const listener = as('server').socket.listen('chat')
      const seen: unknown[] = []
      listener.use(socket => seen.push([socket.verified, socket.user]))
      await listener.waitUntilReady()
      const client = as('ann')
      const [socket, server] = await serverEnd(listener, () => client.socket.connect('chat'))
      server.on('data', data => server.write(data))
      const before = [server.verified, server.user]
      expect(seen).toEqual([before])
      await socket.waitUntilReady()
      client.conn.io.engine.close()
      socket.write('again')
      expect((await once(socket, 'data'))[0]).toBe('again')
      expect([server.verified, server.user]).toEqual(before)
    })

    test('cannot be forged by who connects', async () => {
      const listener = as('server').socket.listen('chat')
      await listener.waitUntilReady()
      const mallory = as('mallory')
      const arrived = once(listener, 'connection')
      await mallory.subscribe('chat.client.forged')
      await mallory.publish(`chat.server.${listener.id}.forged`, null, {
        headers: { ...FORGED, 'CN-SocketCmd': 'connect', id: 'forged' },
      })
      const [socket] = (await arrived) as [ServerSocket]
      expect(socket.user).toEqual(socket.verified ? { name: 'mallory' } : undefined)
      if (fabric.kind !== 'gateways') expect(socket.verified).toBe(isTold())
    })

    test('is the same for the life of a socket: who comes back as another is refused', async () => {
      if (!isTold()) return
      const listener = as('server').socket.listen('chat')
      await listener.waitUntilReady()
      const headers = { 'X-User': 'ann' }
      const client = fabric.client({ extraHeaders: headers })
      const [socket, server] = await serverEnd(listener, () => client.socket.connect('chat'))
      await socket.waitUntilReady()
      const closed = once(socket, 'closed')
      names.set('ann', 'eve')
      client.conn.io.engine.close()
      expect((await closed)[0]).toMatchObject({ code: 403 })
      expect(server.user).toEqual({ name: 'ann' })
      names.clear()
    })
  },
  {
    getUser: ({ handshake }) => {
      const name = String(handshake.headers['x-user'])
      return { name: names.get(name) ?? name }
    },
  },
)

/** Who goes by another name from now on. */
const names = new Map<string, string>()
