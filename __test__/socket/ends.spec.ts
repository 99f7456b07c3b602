// What is accepted does not end silently: ends that wait and tell, loops that throw, and exact counts.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FabricError } from 'selvedge'
import { until } from '../support/events'
import { describeFabric, describeFabrics, type Kind } from '../support/fabrics'
import { type AnySocket, disconnection, join, listening, numbers, pair, take } from '../support/sockets'

const rejection = (promise: Promise<unknown>): Promise<FabricError> =>
  promise.then(
    () => Promise.reject(Error('it resolved')),
    (error: FabricError) => error,
  )

/** Reads everything with a loop. Resolves with what it read, and how it ended. */
async function readAll(socket: AnySocket): Promise<{ read: unknown[]; thrown?: FabricError }> {
  const read: unknown[] = []
  try {
    for await (const [data] of socket) read.push(data)
    return { read }
  } catch (error) {
    return { read, thrown: error as FabricError }
  }
}

describeFabrics('end', fabric => {
  test('waits for a slow reader for longer than its idle time, as long as something moves', async () => {
    const { server, socket } = await pair(fabric)
    let handled = 0
    const reading = (async () => {
      for await (const _ of server) {
        await new Promise(resolve => setTimeout(resolve, 40))
        handled += 1
      }
    })()
    for (const n of numbers(1, 50)) socket.write(n)
    await socket.end({ idle: 1500 })
    await reading
    expect(handled).toBe(50)
    expect(socket.undelivered()).toEqual([])
  })

  test.each([{ idle: 40 }, { timeout: 40 }])(
    'rejects after %p with the number of what is left',
    async time => {
      const { server, socket } = await pair(fabric)
      const ends = Promise.all([once(socket, 'closed'), once(server, 'closed')])
      for (const n of numbers(1, 3)) socket.write(n)
      const error = await rejection(socket.end(time))
      expect(error).toMatchObject({ code: 'ERR_UNDELIVERED', undelivered: 3, cause: { code: 408 } })
      expect(socket.undelivered().map(({ data }) => data)).toEqual([1, 2, 3])
      expect((await ends)[0]).toEqual([undefined, 3])
      // Whoever calls again hears the same.
      expect(await rejection(socket.end())).toMatchObject({ code: 'ERR_UNDELIVERED', undelivered: 3 })
    },
  )

  test.each([
    [{ timeout: 55_000 }, { timeout: 60 }],
    [{ timeout: 55_000 }, { idle: 60 }],
    [{ idle: 55_000 }, { timeout: 60 }],
    [{ idle: 55_000 }, { idle: 60 }],
    [{ timeout: 60 }, { timeout: 55_000 }],
    [{ timeout: 60 }, undefined],
  ])('of several calls is over when the time of the first one is: %p, %p', async (one, other) => {
    const { listener, server, socket } = await pair(fabric)
    socket.write(1)
    server.write(2)
    const ends = [socket.end(one), socket.end(other), listener.end(one), listener.end(other)]
    const all = await Promise.all(ends.map(rejection))
    const late = { code: 'ERR_UNDELIVERED', undelivered: 1, cause: { code: 408 } }
    // Whichever side gives up first, the other one hears of that.
    expect(all.filter(({ cause }) => (cause as FabricError).code === 408).length).toBeGreaterThanOrEqual(2)
    expect(all).toMatchObject(all.map(() => ({ ...late, cause: {} })))
  })

  test('does the same for `await using`, and quietly if nobody waits', async () => {
    const { server, socket } = await pair(fabric)
    socket.write('never read')
    server.close()
    await once(socket, 'closed')
    expect(await rejection(socket[Symbol.asyncDispose]())).toMatchObject({
      code: 'ERR_UNDELIVERED',
      undelivered: 1,
      cause: { code: 'ERR_SOCKET_CLOSED_BY_PEER' },
    })
    void socket.end()
  })

  test('tells after a close from this side, too, what is left', async () => {
    const { listener, server, socket, guest } = await pair(fabric)
    const unsent = guest.socket.connect('nobody')
    const nothing = guest.socket.connect('nobody')
    for (const each of [socket, server, unsent]) each.write('never read')
    const left = { code: 'ERR_UNDELIVERED', undelivered: 1, cause: { code: 'ERR_CLOSED' } }
    for (const each of [socket, unsent, nothing]) each.close()
    listener.close()
    expect(await rejection(socket.end())).toMatchObject(left)
    expect(socket.undelivered()).toHaveLength(1)
    expect(await rejection(unsent[Symbol.asyncDispose]())).toMatchObject(left)
    expect(await rejection(listener.end())).toMatchObject({
      ...left,
      sockets: [{ id: server.id, undelivered: 1 }],
    })
    await nothing.end()
    const late = guest.socket.connect('nobody')
    late.write('never sent')
    await guest.close()
    expect(await rejection(late.end())).toMatchObject(left)
  })

  test('waits for the requests that are open', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => setTimeout(() => message.respondSync('late'), 60))
    const answer = socket.request(1)
    await socket.end()
    expect((await answer).data).toBe('late')
  })

  test('of a server names the sockets that have messages left', async () => {
    const { listener, guest, server } = await pair(fabric)
    const [other, reader] = await join(listener, guest)
    reader.on('data', () => {})
    server.write('never read')
    other.write('read')
    const error = await rejection(listener.end({ timeout: 300 }))
    expect(error).toMatchObject({
      code: 'ERR_UNDELIVERED',
      undelivered: 1,
      sockets: [{ id: server.id, undelivered: 1 }],
      cause: { code: 408 },
    })
    expect(listener.state).toBe('closed')
  })
})

/** Where requests travel in the socket's stream. */
const STREAMS: readonly Kind[] = ['in-process', 'selvedge wire', 'nats', 'gateways']

for (const kind of STREAMS) {
  describeFabric(kind, 'a request that no listener has had when the other side ends', fabric => {
    test('is not given to one any more: whoever asked may ask another server', async () => {
      const { server, socket } = await pair(fabric)
      const asked = jest.fn()
      // The request has come before it, and waits for a listener.
      server.on('data', () => {
        server.on('request', asked)
        void server.end()
      })
      const answer = socket.request('order')
      socket.write('go')
      expect(await rejection(answer)).toMatchObject({ code: 'ERR_DRAINING', handled: false })
      expect(asked).not.toHaveBeenCalled()
    })

    test('and of a socket that renews itself waits for the next server, or ends with the socket', async () => {
      const { server, socket } = await pair(fabric, { connect: { renew: true } })
      server.on('data', () => void server.end())
      const away = disconnection(socket)
      const answer = rejection(socket.request('order'))
      socket.write('go')
      await away
      socket.close()
      expect(await answer).toMatchObject({ code: 'EPIPE', handled: false, cause: { code: 'ERR_DRAINING' } })
    })
  })
}

describeFabrics('a loop over a socket', fabric => {
  test('ends when the other side has ended, and everything was read', async () => {
    const { server, socket } = await pair(fabric)
    const loop = readAll(server)
    for (const n of numbers(1, 20)) socket.write(n)
    await socket.end()
    expect(await loop).toEqual({ read: numbers(1, 20) })
  })

  test('throws the reason when the socket is lost, behind what has come; a later loop, too', async () => {
    const { listener, server, socket } = await pair(fabric, { connect: { id: 'twin' } })
    const loops = Promise.all([readAll(server), readAll(socket)])
    socket.write(1)
    server.write(2)
    await Promise.all([server.drain(), socket.drain()])
    // Another one takes its place.
    await join(listener, fabric.client(), { id: 'twin' })
    const thrown = expect.objectContaining({ code: 'ERR_SUPERSEDED' })
    expect(await loops).toEqual([
      { read: [1], thrown },
      { read: [2], thrown },
    ])
    expect(await readAll(socket)).toEqual({ read: [], thrown })
  })

  test('ends when this side closes', async () => {
    const { socket } = await pair(fabric)
    const loop = readAll(socket)
    socket.close()
    expect(await loop).toEqual({ read: [] })
  })

  test('counts the message that it is at as handled when this side closes', async () => {
    const { server, socket } = await pair(fabric)
    const closed = once(socket, 'closed')
    for (const n of numbers(1, 5)) socket.write(n)
    for await (const [n] of server) if (n === 3) server.close()
    await closed
    expect(socket.undelivered().map(({ data }) => data)).toEqual([4, 5])
  })

  test('with iter() acknowledges what it hands out', async () => {
    const { server, socket } = await pair(fabric)
    const reader = server.iter()
    for (const n of numbers(1, 4)) socket.write(n)
    for (const n of numbers(1, 3)) expect((await reader.next()).value![0]).toBe(n)
    server.on('request', message => message.respondSync(null))
    await socket.request()
    await until(() => socket.stats.pending === 1)
    await reader.return!()
  })
})

describeFabrics('what is undelivered', fabric => {
  test.each(['close', 'end'] as const)('is exact when the last handler calls %s()', async how => {
    const { server, socket } = await pair(fabric)
    const closed = once(socket, 'closed')
    const handled: unknown[] = []
    server.on('data', n => {
      handled.push(n)
      if (n === 4) void server[how]()
    })
    const sent = Promise.allSettled(numbers(1, 8).map(n => socket.send(n)))
    await closed
    const left = socket.undelivered().map(({ data }) => data)
    expect([...handled, ...left]).toEqual(numbers(1, 8))
    const settled = (await sent).map(({ status }) => status === 'fulfilled')
    expect(settled).toEqual(numbers(1, 8).map(n => handled.includes(n)))
  })

  test('is exact when the application resumes during a drain', async () => {
    const { listener, server, socket } = await pair(fabric)
    const handled: unknown[] = []
    const paused = new Promise<void>(resolve => {
      server.on('data', n => {
        handled.push(n)
        if (n !== 25) return
        server.pause()
        resolve()
      })
    })
    const closed = once(socket, 'closed')
    // Unread: the drain has to wait for it, and the application resumes meanwhile.
    server.write('unread')
    for (const n of numbers(1, 40)) socket.write(n)
    await paused
    const drained = listener.drain({ deadline: 300, spread: 0 })
    server.resume()
    await Promise.all([drained, closed])
    expect(handled).toEqual(numbers(1, 25))
    expect(socket.undelivered().map(({ data }) => data)).toEqual(numbers(26, 40))
  })
})

describeFabrics('a pipeline into a socket', fabric => {
  test('is refused at once: a socket is no stream', async () => {
    const { server, socket } = await pair(fabric)
    const into = socket as unknown as NodeJS.WritableStream
    await expect(pipeline(Readable.from(['one']), into)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    expect(() => Readable.from(['one']).pipe(into)).toThrow('no stream')
    socket.write('goes on')
    expect(await take(server, 1)).toEqual(['goes on'])
  })
})

describeFabrics('between two steps of a program', fabric => {
  test('sockets wait for the first listener of `connection`, with what they have brought', async () => {
    const listener = await listening(fabric.client(), 'late')
    const guest = fabric.client()
    const sockets = ['a', 'b', 'c'].map(name => {
      const socket = guest.socket.connect('late')
      socket.write(name)
      return socket
    })
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
    // One has gone again before anybody looked.
    await Promise.all([once(listener.sockets[sockets[1]!.id]!, 'closed'), sockets[1]!.close()])
    const [first] = await once(listener, 'connection')
    const got = new Promise<unknown[]>(resolve => {
      const names: unknown[] = []
      const read = (socket: AnySocket) =>
        socket.on('data', name => {
          names.push(name)
          if (names.length === 2) resolve(names)
        })
      read(first)
      listener.on('connection', read)
    })
    expect((await got).sort()).toEqual(['a', 'c'])
  })
})
