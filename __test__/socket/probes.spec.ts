// The other side of a socket is away, where nobody tells: whoever writes or asks notices, and looks whether it is back, or
// whether there is another server.
import { once } from 'node:events'
import type { FabricError, SocketConnectOptions } from 'selvedge'
import { describeFabric, type Fabric, type Kind } from '../support/fabrics'
import { disconnection, join, listening, numbers, pair, take } from '../support/sockets'

const KINDS: readonly Kind[] = ['conat wire', 'nats', 'gateways']
/** With acknowledgements in the stream, and as Conat has them. */
const MODES: readonly SocketConnectOptions[] = [{}, { stream: false }]

function describeUntold(name: string, define: (fabric: Fabric, connect: SocketConnectOptions) => void): void {
  for (const kind of KINDS) {
    for (const mode of MODES) {
      describeFabric(kind, `${name}, ${JSON.stringify(mode)}`, fabric => define(fabric, mode))
    }
  }
}

describeUntold('where nobody tells of ends', (fabric, connect) => {
  test('a client that writes notices that its server is gone, and goes on when it is back', async () => {
    const { host, server, socket } = await pair(fabric, { connect })
    const received = take(server, 3)
    await socket.send(1)
    const disconnected = disconnection(socket)
    host.disconnect()
    socket.write(2)
    expect((await disconnected)[0]).toMatchObject({ code: 'ERR_PEER_ENDED' })
    const ready = once(socket, 'ready')
    socket.write(3)
    host.connect()
    await ready
    expect(await received).toEqual(numbers(1, 3))
  })

  test('a server that writes notices that its client is gone, and goes on when it is back', async () => {
    const { guest, server, socket } = await pair(fabric, { connect })
    const received = take(socket, 3)
    await server.send(1)
    const disconnected = disconnection(server)
    guest.disconnect()
    server.write(2)
    expect((await disconnected)[0]).toMatchObject({ code: 'ERR_PEER_ENDED' })
    const ready = once(server, 'ready')
    server.write(3)
    guest.connect()
    await ready
    expect(await received).toEqual(numbers(1, 3))
  })

  test('a socket is lost when there is another server to go to', async () => {
    const { host, guest, socket } = await pair(fabric, { connect })
    const other = await listening(fabric.client(), 'chat')
    const closed = once(socket, 'closed')
    host.disconnect()
    socket.write('lost')
    const [reason, undelivered] = (await closed) as [FabricError, number]
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_LOST', cause: { code: 'ERR_PEER_ENDED' } })
    expect(undelivered).toBe(1)
    const [, next] = await join(other, guest, connect)
    expect(next.state).toBe('ready')
  })

  test('a request that a server takes into its grave ends', async () => {
    const { host, server, socket } = await pair(fabric, { connect })
    server.on('request', () => {})
    const asked = once(server, 'request')
    const open = socket.request('never answered', { timeout: 15_000 })
    const failed = expect(open).rejects.toMatchObject({ code: 'EPIPE' })
    await asked
    host.disconnect()
    await failed
  })

  test('a requestMany whose server is gone ends, before its first answer and behind any other', async () => {
    const { host, server, socket } = await pair(fabric, { connect })
    server.on('request', request => {
      if (request.data === 'more') request.respondSync('one')
    })
    const [none, more] = ['none', 'more'].map(what => socket.requestMany(what, { timeout: 15_000 }))
    const next = none!.next()
    expect((await more!.next()).value?.data).toBe('one')
    const failed = [next, more!.next()].map(answer => answer.catch((error: FabricError) => error.code))
    host.disconnect()
    expect(await Promise.all(failed)).toEqual(['EPIPE', 'EPIPE'])
  })

  test('a server that dies while it is asked to attach somebody costs no ten seconds', async () => {
    const host = fabric.client()
    const listener = await listening(host, 'chat')
    const guest = fabric.client()
    await guest.waitUntilReady()
    // It is found, and is gone when it is asked.
    const socket = guest.socket.connect('chat', connect)
    host.disconnect()
    const other = await listening(fabric.client(), 'chat')
    const begun = Date.now()
    const error = await socket.waitUntilReady().catch((error: FabricError) => error)
    expect(Date.now() - begun).toBeLessThan(8000)
    // The first one may have the socket, and without the stream nothing tells its messages from another one's.
    if (connect.stream === false && error instanceof Error) {
      // By itself if it is closed already.
      expect([error.code, (error.cause as FabricError | undefined)?.code]).toContain('ERR_SOCKET_LOST')
    } else expect([listener.id, other.id]).toContain(socket.serverId)
  })
})
