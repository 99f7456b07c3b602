// Messages with a `ttl`: what is stale when it comes late is dropped, counted and told, and nothing else is.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, messageData } from 'selvedge'
import { describeFabric, describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { listening, pair, take } from '../support/sockets'

/** Over before anybody looks, and far beyond the end of any test. */
const SHORT = 20
const LONG = 600_000

/** Waits until so much time is over by the clock that times are judged by. */
async function pass(ms: number): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until) await sleep(5)
}

describeFabrics('data with a ttl', fabric => {
  test('that waits for a reader is left out when its time is over, and the rest keeps its order', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    socket.write('first')
    const stale = rejection(socket.send('stale', { ttl: SHORT }))
    socket.write(messageData('late', { ttl: SHORT, headers: { n: 1 } }))
    const fresh = socket.send('fresh', { ttl: LONG, headers: { n: 2 } })
    socket.write('last')
    const received: unknown[] = []
    server.on('data', (data, headers) => received.push(headers.n === undefined ? data : [data, headers.n]))
    await pass(SHORT + 100)
    server.resume()
    expect(await stale).toMatchObject({ code: 408, message: expect.stringContaining('ttl') })
    await fresh
    await socket.drain()
    expect(received).toEqual(['first', ['fresh', 2], 'last'])
    expect([server.stats.expired, socket.stats.expired]).toEqual([2, 0])
    expect(socket.stats).toMatchObject({ sent: 5, acknowledged: 5, pending: 0, pendingBytes: 0 })
    expect(server.stats.received).toBe(5)
  })

  test('is left out of loops, also of several at once', async () => {
    const { server, socket } = await pair(fabric)
    const loops = [server.iter(), server[Symbol.asyncIterator]()]
    for (const ttl of [LONG, SHORT, LONG]) socket.write(messageData(ttl, { ttl }))
    socket.write('end')
    const first = await Promise.all(loops.map(loop => loop.next()))
    await pass(SHORT + 100)
    const rest = await Promise.all(loops.map(async loop => [await loop.next(), await loop.next()]))
    expect(first.map(({ value }) => value?.[0])).toEqual([LONG, LONG])
    expect(rest.map(two => two.map(({ value }) => value?.[0]))).toEqual([
      [LONG, 'end'],
      [LONG, 'end'],
    ])
    await Promise.all(loops.map(loop => loop.return?.()))
    await socket.drain()
    expect([server.stats.expired, socket.stats.expired]).toEqual([1, 0])
  })

  test('that waits for the other side is given up in time, makes room, and is told', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 3, reconnection: false } })
    const received = take(server, 3)
    socket.disconnect()
    socket.write('kept')
    const stale = [1, 2].map(n => rejection(socket.send(n, { ttl: SHORT })))
    expect(() => socket.write('no room')).toThrow('buffer size 3 exceeded')
    for (const error of await Promise.all(stale)) {
      expect(error).toMatchObject({ code: 408, message: expect.stringContaining('ttl') })
    }
    expect(socket.stats).toMatchObject({ sent: 3, expired: 2, pending: 1 })
    const fresh = socket.send('fresh', { ttl: LONG })
    socket.write('last')
    socket.connect()
    await fresh
    await socket.drain()
    expect(await received).toEqual(['kept', 'fresh', 'last'])
    expect(server.stats).toMatchObject({ received: 3, expired: 0 })
    expect(socket.stats).toMatchObject({ sent: 5, acknowledged: 3, pending: 0, pendingBytes: 0 })
  })

  test('that is left when the socket closes comes back with what is left of its time, or not at all', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    socket.write(messageData('stale', { ttl: SHORT }))
    socket.write(messageData('fresh', { ttl: LONG }))
    socket.write('plain')
    await pass(SHORT + 50)
    socket.close()
    await once(socket, 'closed')
    const left = socket.undelivered()
    expect(left.map(message => message.data)).toEqual(['fresh', 'plain'])
    const [fresh, plain] = left
    expect(fresh?.ttl).toBeLessThan(LONG)
    expect(plain?.ttl).toBeUndefined()
    expect(socket.stats.expired).toBe(1)
  })

  test('of a broadcast has the same time at every socket', async () => {
    const { listener, socket, server } = await pair(fabric)
    socket.pause()
    listener.write(messageData('stale', { ttl: SHORT }))
    listener.write(messageData('fresh', { ttl: LONG }))
    const received = take(socket, 1)
    await pass(SHORT + 100)
    socket.resume()
    expect(await received).toEqual(['fresh'])
    await server.drain()
    expect(socket.stats.expired).toBe(1)
  })
})

describeFabrics('a publish with a ttl', fabric => {
  test('that waits unread is left out when its time is over, and counted', async () => {
    const [here, there] = [fabric.client(), fabric.client()]
    const subscription = await there.subscribe<string>('news.*')
    await here.publish('news.a', 'first')
    await here.publish('news.a', 'stale', { ttl: SHORT })
    await here.publish('news.a', 'fresh', { ttl: LONG, headers: { n: 1 } })
    await here.publish('news.a', messageData('late', { ttl: SHORT }))
    here.publishSync('news.a', messageData('sync', { ttl: LONG }))
    await here.publish('news.a', 'last')
    await pass(SHORT + 100)
    const received: unknown[] = []
    for await (const message of subscription) {
      received.push([message.data, message.headers ?? null])
      if (message.data === 'last') break
    }
    expect(received).toEqual([
      ['first', null],
      ['fresh', { n: 1 }],
      ['sync', null],
      ['last', null],
    ])
    expect([here.stats.expired, there.stats.expired]).toEqual([0, 2])
  })

  test('is heard at once by a listener, with the headers that it was given', async () => {
    const [here, there] = [fabric.client(), fabric.client()]
    const subscription = await there.subscribe('news.b')
    const heard = once(subscription.emitter, 'message')
    await here.publish('news.b', { a: 1 }, { ttl: LONG, headers: { x: [1] } })
    const [message] = await heard
    expect([message.data, message.headers]).toEqual([{ a: 1 }, { x: [1] }])
    subscription.close()
  })

  test('has to be a time', async () => {
    const client = fabric.client()
    await expect(client.publish('a', 1, { ttl: 0 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    await expect(client.publish('a', 1, { ttl: '1' as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    expect(() => messageData(1, { ttl: -1 })).toThrow('ttl must be positive')
    await expect(client.request('a', 1, { ttl: 5 } as object)).rejects.toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
    })
  })
})

test('a publish that waits for the connection is given up when its time is over', async () => {
  const away = connect({ address: 'unix:/nowhere/at/all.sock', noCache: true })
  const error = await rejection(away.publish('a', 1, { ttl: SHORT }))
  expect(error).toMatchObject({ code: 408, message: expect.stringContaining('its ttl was over') })
  away.publishSync('a', messageData(1, { ttl: SHORT }))
  while (away.stats.expired < 2) await sleep(5)
  await away.close()
})

for (const kind of ['selvedge wire', 'nats', 'gateways'] as const)
  describeFabric(kind, 'data with a ttl', fabric => {
    test('is judged by its writer alone where the other side speaks as Conat does', async () => {
      const { server, socket } = await pair(fabric, {
        listen: { stream: false },
        connect: { reconnection: false },
      })
      const received = take(server, 2)
      socket.disconnect()
      const stale = rejection(socket.send('stale', { ttl: SHORT }))
      expect(await stale).toMatchObject({ code: 408 })
      socket.write(messageData('fresh', { ttl: LONG }))
      socket.write('last')
      socket.connect()
      await socket.drain()
      expect(await received).toEqual(['fresh', 'last'])
      expect(socket.stats).toMatchObject({ sent: 3, acknowledged: 2, expired: 1, pendingBytes: 0 })
    })

    test('keeps its time when the socket goes on at another server', async () => {
      const [one, two, guest] = [fabric.client(), fabric.client(), fabric.client()]
      const first = await listening(one, 'renewed')
      const connection = once(first, 'connection')
      const socket = guest.socket.connect('renewed', { renew: true })
      const [server] = await connection
      server.pause()
      socket.write(messageData('stale', { ttl: SHORT }))
      socket.write(messageData('fresh', { ttl: LONG }))
      await pass(SHORT + 50)
      const second = await listening(two, 'renewed')
      const other = once(second, 'connection')
      const renewed = once(socket, 'renewed')
      await one.close()
      const [next] = await other
      const received = take(next, 1)
      await renewed
      expect(await received).toEqual(['fresh'])
      await socket.drain()
      expect([socket.stats.expired, next.stats.expired]).toEqual([1, 0])
    })
  })
