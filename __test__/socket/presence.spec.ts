// The other side of a socket is away: who is told, when, and what becomes of what is under way.
import { once } from 'node:events'
import type { FabricError } from 'selvedge'
import { describeFabric, type Fabric, type Kind } from '../support/fabrics'
import { disconnection, join, listening, pair } from '../support/sockets'

/** Where the broker tells of ends. */
const KINDS: readonly Kind[] = ['in-process', 'selvedge wire', 'selvedge wire over WebSocket', 'gateways']

function describeTold(name: string, define: (fabric: Fabric) => void): void {
  for (const kind of KINDS) {
    describeFabric(kind, name, fabric => {
      // A gateway tells of those that are its own.
      beforeEach(() => fabric.meetAtOneBroker())
      define(fabric)
    })
  }
}

describeTold('a socket whose server is away', fabric => {
  test('is disconnected with the reason, takes what is written, and goes on when the server is back', async () => {
    const { host, listener, server, socket } = await pair(fabric)
    const received: unknown[] = []
    server.on('data', data => received.push(data))
    await socket.send('before')
    const disconnected = disconnection(socket)
    host.disconnect()
    const [reason] = await disconnected
    expect(reason).toMatchObject({ code: 'ERR_PEER_ENDED' })
    expect(socket.state).toBe('disconnected')
    const sent = socket.send('meanwhile')
    const ready = once(socket, 'ready')
    host.connect()
    await Promise.all([ready, sent])
    expect(received).toEqual(['before', 'meanwhile'])
    listener.close()
    const [closed] = (await once(socket, 'closed')) as [FabricError]
    expect([closed.code, closed.cause]).toEqual(['ERR_SOCKET_CLOSED_BY_PEER', undefined])
  })

  test('is found by a socket that loses its own connection meanwhile and comes back last', async () => {
    const { host, guest, server, socket } = await pair(fabric)
    const received: unknown[] = []
    server.on('data', data => received.push(data))
    const disconnected = disconnection(socket)
    host.disconnect()
    expect((await disconnected)[0]).toMatchObject({ code: 'ERR_PEER_ENDED' })
    guest.disconnect()
    const sent = socket.send('meanwhile')
    host.connect()
    await host.waitUntilReady()
    guest.connect()
    await sent
    expect([received, socket.state]).toEqual([['meanwhile'], 'ready'])
  })

  test('fails the requests that wait for it, and those that have not left as not done', async () => {
    const { host, server, socket } = await pair(fabric)
    server.on('request', () => {})
    const asked = once(server, 'request')
    const open = socket.request('never answered', { timeout: 20_000 })
    const refused = expect(open).rejects.toMatchObject({ code: 'EPIPE' })
    await asked
    const disconnected = disconnection(socket)
    host.disconnect()
    await disconnected
    const late = socket.request('not sent', { timeout: 20_000 })
    await Promise.all([refused, expect(late).rejects.toMatchObject({ code: 503 })])
    await expect(socket.request('at once', { timeout: 20_000 })).rejects.toMatchObject({ code: 503 })
  })

  test('is lost when there is another server to go to, and says what it lost', async () => {
    const { host, guest, socket } = await pair(fabric)
    const other = await listening(fabric.client(), 'chat')
    const closed = once(socket, 'closed')
    const disconnected = disconnection(socket)
    host.disconnect()
    await disconnected
    socket.write('lost')
    const [reason, undelivered] = (await closed) as [FabricError, number]
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_LOST', cause: { code: 'ERR_PEER_ENDED' } })
    expect([undelivered, socket.undelivered().map(message => message.data)]).toEqual([1, ['lost']])
    const [, next] = await join(other, guest)
    expect(next.state).toBe('ready')
  })

  test('is lost at once when the server has ended for good, and after resumeTimeout otherwise', async () => {
    const first = await pair(fabric, { connect: { resumeTimeout: 20 } })
    const closed = once(first.socket, 'closed')
    first.host.disconnect()
    expect((await closed)[0]).toMatchObject({ code: 'ERR_SOCKET_LOST' })
    const second = fabric.client()
    const [, socket] = await join(await listening(second, 'chat'), first.guest)
    const ended = once(socket, 'closed')
    await second.close()
    expect((await ended)[0]).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
  })
})

describeTold('a server socket whose client is away', fabric => {
  test('is disconnected with the reason, and ready again when the client has come back', async () => {
    const { guest, server, socket } = await pair(fabric)
    const received: unknown[] = []
    socket.on('data', data => received.push(data))
    const disconnected = disconnection(server)
    guest.disconnect()
    expect((await disconnected)[0]).toMatchObject({ code: 'ERR_PEER_ENDED' })
    const sent = server.send('meanwhile')
    const ready = once(server, 'ready')
    guest.connect()
    await Promise.all([ready, sent])
    expect([received, server.state]).toEqual([['meanwhile'], 'ready'])
  })

  test('is lost after resumeTimeout, with what it has not delivered', async () => {
    const { guest, server } = await pair(fabric, { listen: { resumeTimeout: 20 } })
    const closed = once(server, 'closed')
    const disconnected = disconnection(server)
    guest.disconnect()
    await disconnected
    const [reason] = (await closed) as [FabricError]
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_LOST', cause: { code: 'ERR_PEER_ENDED' } })
  })
})
