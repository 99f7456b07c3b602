import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { disconnection, pair, take } from '../support/sockets'

const QUICK = { keepAlive: 50, keepAliveTimeout: 200 }

describeFabrics('keep-alive', fabric => {
  test('keeps two quiet sides together, which see each other', async () => {
    const { server, socket } = await pair(fabric, { listen: QUICK, connect: QUICK })
    expect([server.keepAlive, server.keepAliveTimeout]).toEqual([50, 200])
    expect([socket.keepAlive, socket.keepAliveTimeout]).toEqual([50, 200])
    const lost: string[] = []
    for (const side of [server, socket]) {
      side.on('disconnected', () => lost.push('disconnected'))
      side.on('closed', () => lost.push('closed'))
    }
    // Several rounds of asking: each waits longer than keepAlive and keepAliveTimeout together.
    for (let round = 0; round < 2; round++) {
      await expect(socket.waitUntilReady(1)).resolves.toBeUndefined()
      await new Promise(resolve => setTimeout(resolve, 400))
    }
    expect(lost).toEqual([])
    const received = take(server, 1)
    socket.write('still there')
    expect(await received).toEqual(['still there'])
  })

  test('notices a server that vanished, and finds it when it comes back, with nothing lost', async () => {
    const { host, server, socket } = await pair(fabric, { connect: QUICK })
    const disconnected = disconnection(socket)
    host.disconnect()
    await disconnected
    socket.write('written meanwhile')
    const ready = once(socket, 'ready')
    host.connect()
    await ready
    expect(await take(server, 1)).toEqual(['written meanwhile'])
  })

  test('leaves a vanished server alone without reconnection', async () => {
    const { host, socket } = await pair(fabric, { connect: { ...QUICK, reconnection: false } })
    const disconnected = disconnection(socket)
    host.disconnect()
    await disconnected
    const other = fabric.client()
    host.connect()
    // The server is there again for others, and this socket does not look for it.
    await other.socket.connect('chat').waitUntilReady()
    expect(socket.state).toBe('disconnected')
  })

  test('closes the server’s side of a client that vanished, with a reason', async () => {
    const { guest, listener, server } = await pair(fabric, { listen: QUICK })
    const closed = once(server, 'closed')
    guest.disconnect()
    server.write('never acknowledged')
    const [reason] = await closed
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_TIMEOUT', undelivered: 1 })
    expect(listener.sockets).toEqual({})
  })

  test('tells a client that comes back too late that its socket is lost', async () => {
    const { guest, server, socket } = await pair(fabric, { listen: QUICK })
    const closed = once(server, 'closed')
    guest.disconnect()
    await closed
    const lost = once(socket, 'closed')
    guest.connect()
    const [reason] = await lost
    expect(reason.code).toBe('ERR_SOCKET_LOST')
  })

  test('of 0 never asks', async () => {
    const { host, guest, socket } = await pair(fabric, { connect: { keepAlive: 0 } })
    const asking = guest.socket.connect('chat', QUICK)
    await asking.waitUntilReady()
    const disconnected = disconnection(asking)
    host.disconnect()
    await disconnected
    // Where the broker tells of ends there is no need to ask.
    const tellsNothing = ['conat wire', 'nats', 'gateways'].includes(fabric.kind)
    expect(socket.state).toBe(tellsNothing ? 'ready' : 'disconnected')
  })
})
