import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { type AnySocket, disconnection, join, pair, take } from '../support/sockets'

function statesOf(socket: AnySocket): string[] {
  const states: string[] = []
  for (const state of ['disconnected', 'connecting', 'ready', 'closed'] as const) {
    socket.on(state, () => {
      states.push(state)
      expect(socket.state).toBe(state)
    })
  }
  return states
}

describeFabrics('the states of a socket', fabric => {
  test('go from disconnected over connecting to ready, each with its event', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    host.socket.listen('chat')
    const socket = guest.socket.connect('chat')
    const states = statesOf(socket)
    // Nothing is emitted inside the call that caused it.
    expect(socket.state).toBe('disconnected')
    await socket.waitUntilReady()
    socket.close()
    await once(socket, 'closed')
    expect(states).toEqual(['connecting', 'ready', 'closed'])
  })

  test('a disconnected socket comes back by itself, and nothing is lost', async () => {
    const { server, socket } = await pair(fabric)
    const states = statesOf(socket)
    const received = take(server, 3)
    socket.write(1)
    socket.disconnect()
    expect(socket.state).toBe('disconnected')
    socket.write(2)
    await once(socket, 'ready')
    socket.write(3)
    expect(await received).toEqual([1, 2, 3])
    expect(states).toEqual(['disconnected', 'connecting', 'ready'])
  })

  test('`sub.close()` cuts a socket off as well', async () => {
    const { server, socket } = await pair(fabric)
    const received = take(server, 1)
    socket.sub.close()
    socket.write('after the cut')
    expect(await received).toEqual(['after the cut'])
  })

  test('a socket with `reconnection: false` stays disconnected until it is told to connect', async () => {
    const { server, socket } = await pair(fabric, { connect: { reconnection: false } })
    const disconnected = disconnection(socket)
    socket.disconnect()
    await disconnected
    socket.write('queued')
    // Longer than it takes one that does come back.
    expect((await rejection(socket.waitUntilReady(1500))).code).toBe(408)
    expect(socket.state).toBe('disconnected')
    const received = take(server, 1)
    socket.connect()
    expect(await received).toEqual(['queued'])
  })

  test('a socket of a server that is disconnected is ready again, too, and nothing is lost', async () => {
    const { listener, server, socket } = await pair(fabric)
    for (const disconnect of [() => server.disconnect(), () => listener.disconnect()]) {
      const states = statesOf(server)
      const received = Promise.all([take(server, 2), take(socket, 2)])
      server.write(1)
      socket.write(1)
      disconnect()
      expect(server.state).toBe('disconnected')
      server.write(2)
      socket.write(2)
      await server.waitUntilReady({ timeout: 2000 })
      expect(await received).toEqual([
        [1, 2],
        [1, 2],
      ])
      expect(states).toEqual(['disconnected', 'ready'])
    }
  })

  test('waitUntilReady gives up after its timeout with 408, and on close', async () => {
    const socket = fabric.client().socket.connect('nobody')
    expect(await rejection(socket.waitUntilReady(30))).toMatchObject({
      code: 408,
      message: expect.stringContaining('timeout'),
    })
    const waiting = rejection(socket.waitUntilReady())
    socket.close()
    expect((await waiting).code).toBe('ERR_CLOSED')
  })
})

describeFabrics('the end of a socket', fabric => {
  test.each(['client', 'server'] as const)('close on the %s side is told to the other', async role => {
    const { server, socket } = await pair(fabric)
    const [near, far] = role === 'client' ? [socket, server] : [server, socket]
    const closed = Promise.all([once(near, 'closed'), once(far, 'closed')])
    near.close()
    near.close()
    expect(near).toMatchObject({ state: 'closed', ended: true })
    // Nothing has come to it yet, and nothing will.
    expect(await near.iter().next()).toEqual({ value: undefined, done: true })
    const [[nearReason], [farReason]] = await closed
    expect(nearReason).toBeUndefined()
    expect(farReason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 0 })
    expect(far).toMatchObject({ state: 'closed', ended: true })
  })

  test.each(['client', 'server'] as const)(
    'end on the %s side delivers what was written first',
    async role => {
      const { server, socket } = await pair(fabric)
      const [near, far] = role === 'client' ? [socket, server] : [server, socket]
      const received = take(far, 500)
      const closed = Promise.all([once(near, 'closed'), once(far, 'closed')])
      for (let n = 0; n < 500; n++) near.write(n)
      await near.end()
      expect(near.state).toBe('closed')
      expect(await received).toEqual([...Array(500).keys()])
      const [[nearReason]] = await closed
      expect(nearReason).toBeUndefined()
    },
  )

  test('end gives up after its timeout when the other side does not read', async () => {
    const { server, socket } = await pair(fabric)
    const closed = Promise.all([once(socket, 'closed'), once(server, 'closed')])
    socket.write('never read')
    expect(await rejection(socket.end({ timeout: 50 }))).toMatchObject({ code: 'ERR_UNDELIVERED' })
    expect(socket.state).toBe('closed')
    await closed
  })

  test('the reason counts what is not known to be delivered', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => message.respondSync(null))
    for (let n = 0; n < 5; n++) socket.write(n)
    await socket.request()
    const closed = once(socket, 'closed')
    server.close()
    const [reason] = await closed
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 5 })
  })

  test('a closed socket refuses writes with EPIPE, and drain rejects if something is left', async () => {
    const { server, socket } = await pair(fabric)
    socket.write(1)
    const drain = rejection(socket.drain())
    socket.close()
    expect((await drain).code).toBe('ERR_CLOSED')
    expect(() => socket.write(2)).toThrow(
      expect.objectContaining({ code: 'EPIPE', message: expect.stringContaining('closed') }),
    )
    await once(server, 'closed')
    expect(() => server.write(2)).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  })

  test('`closed` is the last event, and comes once', async () => {
    const { server, socket } = await pair(fabric)
    const events: string[] = []
    for (const name of ['data', 'request', 'drain', 'disconnected', 'closed'] as const) {
      server.on(name, () => events.push(name))
    }
    const closed = once(server, 'closed')
    socket.on('data', () => {})
    for (let n = 0; n < 100; n++) {
      server.write(n)
      socket.write(n)
    }
    server.close()
    await closed
    // It had written what the other side did not handle.
    expect(await rejection(socket.end())).toMatchObject({ code: 'ERR_UNDELIVERED', undelivered: 100 })
    expect(events).toEqual(['closed'])
  })

  test('closing the client closes its sockets, and tells the other side', async () => {
    const { guest, server, socket } = await pair(fabric)
    const closed = Promise.all([once(socket, 'closed'), once(server, 'closed')])
    await guest.close()
    const [[near], [far]] = await closed
    expect(near).toBeUndefined()
    expect(far.code).toBe('ERR_SOCKET_CLOSED_BY_PEER')
  })

  test('a listener keeps only open sockets in its map', async () => {
    const { listener, guest, server, socket } = await pair(fabric)
    const [second] = await join(listener, guest)
    expect(Object.keys(listener.sockets).sort()).toEqual([server.id, second.id].sort())
    const visited: string[] = []
    listener.forEach((visit, id) => {
      visited.push(visit.id === id ? id : 'wrong')
    })
    expect(visited).toEqual(Object.keys(listener.sockets))
    socket.close()
    await once(server, 'closed')
    expect(Object.keys(listener.sockets)).toEqual([second.id])
  })
})
