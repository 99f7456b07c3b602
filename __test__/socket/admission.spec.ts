// How many sockets a server takes, and of whom.
import { once } from 'node:events'
import type { Client, ConatSocketClient, SocketListenOptions } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'

async function serve(client: Client, options: SocketListenOptions): Promise<{ count(): number }> {
  const server = client.socket.listen('chat', options)
  server.on('connection', socket => socket.on('data', data => socket.write(data)))
  await server.waitUntilReady()
  return { count: () => Object.keys(server.sockets).length }
}

/** A socket that is known to the server, or its close reason. */
async function enter(client: Client, stream = true): Promise<ConatSocketClient | number | string> {
  const socket = client.socket.connect('chat', { stream })
  const closed = once(socket, 'closed').then(([reason]) => reason.code as number | string)
  const echoed = once(socket, 'data').then(() => socket)
  socket.write('hello')
  return await Promise.race([echoed, closed])
}

describeFabrics(
  'a server of sockets',
  fabric => {
    const as = (name: string) => fabric.client({ extraHeaders: { 'X-User': name } })
    const isTold = (one: Fabric) => one.kind !== 'conat wire' && one.kind !== 'gateways'

    test.each([true, false])(
      'has at most maxSockets, and room again after a close (stream: %s)',
      async stream => {
        const server = await serve(as('server'), { maxSockets: 3 })
        const clients = ['ann', 'bob', 'cat', 'dan'].map(as)
        const sockets = []
        for (const client of clients.slice(0, 3)) sockets.push(await enter(client, stream))
        expect(await enter(clients[3]!, stream)).toBe(429)
        expect(server.count()).toBe(3)
        const [first] = sockets as ConatSocketClient[]
        await first!.end()
        expect(await enter(clients[3]!, stream)).toHaveProperty('state', 'ready')
      },
    )

    test('has at most maxSocketsPerUser of one user, with all connections, where the broker tells', async () => {
      await serve(as('server'), { maxSocketsPerUser: 2 })
      const [ann, again, bob] = [as('ann'), as('ann'), as('bob')]
      expect(await enter(ann)).toHaveProperty('state', 'ready')
      expect(await enter(again)).toHaveProperty('state', 'ready')
      const third = await enter(again)
      if (isTold(fabric)) expect(third).toBe(429)
      else expect(third).toHaveProperty('state', 'ready')
      expect(await enter(bob)).toHaveProperty('state', 'ready')
    })
  },
  { getUser: ({ handshake }) => ({ name: handshake.headers['x-user'] }) },
)
