// A socket that renews itself: at the next server it goes on with what the one before left behind.
import { once } from 'node:events'
import { messageData, type Renew, type SocketConnectOptions, type SocketRenewal } from 'selvedge'
import { until } from '../support/events'
import { describeFabric, describeFabrics, type Kind } from '../support/fabrics'
import { disconnection, listening, numbers, writeUntilFull } from '../support/sockets'
import { accepted, closedReason, connected, serve, serveNothing } from './renewal-servers'

/** Notices soon, by whatever way, that a server is gone. */
const SOON: SocketConnectOptions = { keepAlive: 100, keepAliveTimeout: 300, resumeTimeout: 50 }

describeFabrics('a socket that renews itself', fabric => {
  test.each(['closed', 'drained', 'closed with its client'] as const)(
    'goes on at the next server when its own is %s, with what was left, in order',
    async how => {
      const first = await serveNothing(fabric, 'first')
      const { socket, seen, renewals } = await connected(fabric)
      for (const n of numbers(1, 5)) socket.write(n)
      const sent = socket.send(6)
      const second = await serve(fabric, 'second')
      second.listener.on('connection', server => server.write('hello'))
      const hello = new Promise<void>(resolve => {
        socket.on('data', () => resolve())
      })
      const before = socket.id
      if (how === 'closed') first.listener.close()
      else if (how === 'drained') await first.listener.drain({ deadline: 200, spread: 0 })
      else await first.host.close()
      socket.write(7)
      await Promise.all([sent, socket.drain(), hello])
      expect(second.got).toEqual(numbers(1, 7))
      expect(seen).toEqual([
        'disconnected ERR_SOCKET_CLOSED_BY_PEER',
        'connecting',
        'ready',
        'renewed',
        'data hello',
      ])
      const [{ reason, ...renewal }] = renewals as [SocketRenewal]
      expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', draining: true })
      expect(renewal.undelivered).toBe(renewal.rewritten)
      expect(renewal.undelivered).toBeGreaterThanOrEqual(6)
      expect([renewal.server, socket.serverId]).toEqual(['second', 'second'])
      expect(socket.id).not.toBe(before)
      expect(socket.stats).toMatchObject({
        sent: 7,
        acknowledged: 7,
        pending: 0,
        pendingBytes: 0,
        renewals: 1,
      })
      expect([socket.state, socket.undelivered()]).toEqual(['ready', []])
    },
  )

  test('goes on when its server is gone without a word, and waits for the next one', async () => {
    const first = await serve(fabric, 'first')
    const { socket, renewals } = await connected(fabric, SOON)
    await socket.send('handled')
    const lost = disconnection(socket)
    first.host.disconnect()
    await lost
    socket.write('left')
    const sent = socket.send('last')
    const renewed = once(socket, 'renewed')
    const second = await serve(fabric, 'second')
    await Promise.all([renewed, sent])
    expect([first.got, second.got]).toEqual([['handled'], ['left', 'last']])
    expect(renewals[0]!.reason.code).toMatch(/^ERR_SOCKET_(LOST|TIMEOUT)$/)
  })

  test('keeps its loops, its window and what has arrived', async () => {
    const first = await serveNothing(fabric, 'first')
    const { socket } = await connected(fabric, { maxQueueSize: 20 })
    socket.removeAllListeners('data')
    const read: unknown[] = []
    const loop = (async () => {
      for await (const [data] of socket) {
        read.push(data)
        if (data === 'end') return
      }
    })()
    const old = await accepted(first)
    for (const n of numbers(1, 5)) old.write(n)
    await old.drain()
    socket.pause()
    for (const n of numbers(6, 10)) old.write(n)
    await until(() => socket.stats.received >= 10)
    expect(writeUntilFull(socket)).toBe(20)
    const renewed = once(socket, 'renewed')
    first.listener.close()
    expect(() => socket.write('more')).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
    const second = await serve(fabric, 'second')
    await renewed
    await socket.drain()
    expect(second.got).toEqual(numbers(0, 19))
    // What waits here from the first server is told to nobody, what the second one writes is.
    const next = await accepted(second)
    for (const n of numbers(11, 60)) next.write(n)
    socket.resume()
    await next.drain()
    next.write('end')
    await loop
    expect(read).toEqual([...numbers(1, 60), 'end'])
  })

  test('writes what its function gives in place of what is left', async () => {
    const first = await serveNothing(fabric, 'first')
    const offered: unknown[][] = []
    const renew: Renew = left => {
      offered.push(left.map(({ seq, attempts, data }) => [seq, attempts, data]))
      const [, ...rest] = left
      return [messageData('hello', { headers: { from: 'renew' } }), ...rest, { extra: true }]
    }
    const { socket, renewals } = await connected(fabric, { renew })
    const sent = [1, 2, 3].map(n => socket.send(n))
    const results = Promise.allSettled(sent)
    const old = await accepted(first)
    await until(() => old.stats.received >= 3)
    const renewed = once(socket, 'renewed')
    first.listener.close()
    const second = await serve(fabric, 'second')
    await renewed
    await socket.drain()
    expect(offered).toEqual([
      [
        [1, 1, 1],
        [2, 1, 2],
        [3, 1, 3],
      ],
    ])
    expect(second.got).toEqual(['hello', 2, 3, { extra: true }])
    const [dropped, ...kept] = await results
    expect(dropped).toMatchObject({ status: 'rejected', reason: { code: 'ERR_SOCKET_CLOSED_BY_PEER' } })
    expect(kept.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    expect(renewals).toMatchObject([{ undelivered: 3, rewritten: 2 }])
    expect(socket.stats).toMatchObject({ pending: 0, pendingBytes: 0 })
  })

  test('takes a greeting when its window is full', async () => {
    const first = await serveNothing(fabric, 'first')
    const { socket } = await connected(fabric, { maxQueueSize: 10, renew: left => ['hello', ...left] })
    expect(writeUntilFull(socket)).toBe(10)
    const renewed = once(socket, 'renewed')
    first.listener.close()
    const second = await serve(fabric, 'second')
    await renewed
    await socket.drain()
    expect(second.got).toEqual(['hello', ...numbers(0, 9)])
  })

  test.each([
    ['gives what is no list', () => 'hello' as never, 'ERR_INVALID_ARG_TYPE'],
    [
      'throws',
      () => {
        throw new RangeError('not this one')
      },
      undefined,
    ],
  ] as [string, Renew, string | undefined][])('closes when its function %s', async (_, renew, code) => {
    const first = await serveNothing(fabric, 'first')
    const { socket } = await connected(fabric, { renew })
    socket.write('left')
    const closed = closedReason(socket)
    first.listener.close()
    const reason = await closed
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 1 })
    if (code === undefined) expect(reason!.cause).toBeInstanceOf(RangeError)
    else expect(reason!.cause).toMatchObject({ code })
    expect(socket.undelivered().map(({ data }) => data)).toEqual(['left'])
  })

  test('closes while there is no server, with all that is left', async () => {
    const first = await serveNothing(fabric, 'first')
    const { socket } = await connected(fabric)
    socket.write(1)
    const lost = disconnection(socket)
    first.listener.close()
    await lost
    socket.write(2)
    const sent = expect(socket.send(3)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    const closed = once(socket, 'closed')
    socket.close()
    expect(await closed).toEqual([undefined, 3])
    await sent
    expect(socket.undelivered().map(({ seq, data }) => [seq, data])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ])
    expect(() => socket.write(4)).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  })

  test('closes inside its own events, and with its client', async () => {
    for (const how of ['disconnected', 'connecting', 'client'] as const) {
      const first = await serveNothing(fabric, 'first')
      const client = fabric.client()
      const socket = client.socket.connect('orders', { renew: true })
      await socket.waitUntilReady()
      socket.write(1)
      const closed = once(socket, 'closed')
      if (how === 'client') {
        const lost = disconnection(socket)
        first.listener.close()
        await lost
        socket.write(2)
        await client.close()
      } else {
        socket.once(how, () => socket.close())
        first.listener.close()
      }
      expect((await closed)[0]).toBeUndefined()
      expect(socket.undelivered().map(({ data }) => data)).toEqual(how === 'client' ? [1, 2] : [1])
      await first.host.close()
    }
  })

  test('ends in order over a renewal', async () => {
    const first = await serveNothing(fabric, 'first')
    const { socket } = await connected(fabric)
    for (const n of numbers(1, 3)) socket.write(n)
    const ended = socket.end()
    const second = await serve(fabric, 'second')
    first.listener.close()
    await ended
    expect(second.got).toEqual([1, 2, 3])
    expect([socket.state, socket.undelivered()]).toEqual(['closed', []])
  })

  test('is not renewed when only this socket is closed, superseded, or ends with nothing left', async () => {
    const first = await serve(fabric, 'first')
    const { socket, seen } = await connected(fabric, { id: 'chosen' })
    const closed = closedReason(socket)
    const newer = fabric.client().socket.connect('orders', { id: 'chosen' })
    await newer.waitUntilReady()
    expect(await closed).toMatchObject({ code: 'ERR_SUPERSEDED' })
    expect(seen).toEqual([])
    const other = await connected(fabric)
    const ended = closedReason(other.socket)
    await until(() => first.listener.sockets[other.socket.id] !== undefined)
    first.listener.sockets[other.socket.id]!.close()
    expect(await ended).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
    expect(other.renewals).toEqual([])
    const last = await connected(fabric)
    const gone = once(last.socket, 'closed')
    void last.socket.end()
    first.listener.close()
    await gone
    expect(last.renewals).toEqual([])
  })

  test('keeps a chosen id, under which the next server has it once', async () => {
    const first = await serveNothing(fabric, 'first')
    const { socket } = await connected(fabric, { id: 'chosen' })
    socket.write(1)
    const second = await serve(fabric, 'second')
    const renewed = once(socket, 'renewed')
    first.listener.close()
    await renewed
    await socket.drain()
    expect(socket.id).toBe('chosen')
    expect(Object.keys(second.listener.sockets)).toEqual(['chosen'])
    expect(second.got).toEqual([1])
  })

  test('moves again and again, and counts its attempts', async () => {
    const seen: number[][] = []
    const renew: Renew = left => {
      seen.push(left.map(({ attempts }) => attempts))
      return left
    }
    let server = await serveNothing(fabric, 'server-0')
    const { socket } = await connected(fabric, { renew })
    socket.write('first')
    for (const n of numbers(1, 3)) {
      const renewed = once(socket, 'renewed')
      const next = await serveNothing(fabric, `server-${n}`)
      server.listener.close()
      await renewed
      socket.write(`after ${n}`)
      server = next
    }
    const last = await serve(fabric, 'last')
    server.listener.close()
    await socket.drain()
    expect(seen).toEqual([[1], [2, 1], [3, 2, 1], [4, 3, 2, 1]])
    expect(last.got).toEqual(['first', 'after 1', 'after 2', 'after 3'])
    expect(socket.stats).toMatchObject({ renewals: 4, sent: 4, acknowledged: 4 })
  })

  test('has no stream, which would have bytes twice', async () => {
    await serve(fabric, 'first')
    const { socket } = await connected(fabric)
    expect(() => socket.toDuplex()).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
  })
})

/** Where a server that is gone is told, so that it is quick. */
const TOLD: readonly Kind[] = ['in-process', 'selvedge wire', 'nats', 'gateways']

for (const kind of TOLD) {
  describeFabric(kind, 'a message that every server dies of', fabric => {
    test('is not written to more than five', async () => {
      const client = fabric.client()
      const attempts: number[] = []
      let died = 0
      const open = async (n: number): Promise<void> => {
        const host = fabric.client()
        const listener = await listening(host, 'orders', { id: `server-${n}` })
        listener.on('connection', server => {
          server.pause()
          server.on('request', () => {})
          died += 1
          // Its process is gone: nothing more is heard of it.
          setImmediate(() => host.disconnect())
        })
      }
      await open(0)
      const renew: Renew = left => {
        attempts.push(left[0]!.attempts)
        void open(attempts.length)
        return ['hello', ...left.filter(({ data }) => data !== 'hello')]
      }
      const socket = client.socket.connect('orders', { renew, resumeTimeout: 20 })
      socket.write('poison')
      const reason = await closedReason(socket)
      expect(reason).toMatchObject({ code: 'ERR_SOCKET_LOST', cause: { code: 'ERR_SOCKET_LOST' } })
      expect(reason!.message).toMatch(/same message has been written to 5 servers/)
      expect(died).toBe(5)
      expect(socket.undelivered().map(({ data }) => data)).toEqual(['hello', 'poison'])
    })
  })
}
