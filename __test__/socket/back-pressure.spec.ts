import { once } from 'node:events'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { numbers, pair, take, writeUntilFull } from '../support/sockets'

const FULL = expect.objectContaining({
  code: 'ENOBUFS',
  message: expect.stringContaining('WRITE FAILED: socket buffer size 10 exceeded'),
})

describeFabrics('a window that is full', fabric => {
  test('throws ENOBUFS at the write, and nothing of it is sent', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    expect(writeUntilFull(socket)).toBe(10)
    expect(() => socket.write('one too many')).toThrow(FULL)
    expect(await take(server, 10)).toEqual(numbers(0, 9))
    await socket.drain()
    socket.write('room again')
    expect(await take(server, 1)).toEqual(['room again'])
  })

  test('throws also while the socket is not connected, and drops nothing', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const socket = guest.socket.connect('chat', { maxQueueSize: 10 })
    expect(writeUntilFull(socket)).toBe(10)
    expect(() => socket.write('one too many')).toThrow(FULL)
    const [server] = await once(host.socket.listen('chat'), 'connection')
    expect(await take(server, 10)).toEqual(numbers(0, 9))
  })

  test('is announced: write says false from the half on, and drain when all is acknowledged', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    const said = numbers(1, 10).map(n => socket.write(n))
    expect(said).toEqual([true, true, true, true, false, false, false, false, false, false])
    const drained = once(socket, 'drain')
    await take(server, 10)
    await drained
    expect(socket.tcp.send.unsent).toBe(0)
  })

  test('of the server side is the option of the listener', async () => {
    const { server, socket } = await pair(fabric, { listen: { maxQueueSize: 7 } })
    expect(server.maxQueueSize).toBe(7)
    expect(writeUntilFull(server)).toBe(7)
    expect(await take(socket, 7)).toEqual(numbers(0, 6))
  })

  test('is that of 1000 messages by default', async () => {
    const { server, socket } = await pair(fabric)
    expect(writeUntilFull(socket)).toBe(1000)
    expect(await take(server, 1000)).toEqual(numbers(0, 999))
  })
})

describeFabrics('a slow reader', fabric => {
  test('who does not iterate stops the writer at maxQueueSize', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    server.on('request', message => message.respondSync(null))
    const reader = server[Symbol.asyncIterator]()
    writeUntilFull(socket)
    // The answer comes behind all of the data: it was all delivered, and none of it counts as read.
    await socket.request()
    expect(socket.tcp.send.unsent).toBe(10)
    expect(() => socket.write('still full')).toThrow(FULL)
    for (const n of numbers(0, 4)) expect((await reader.next()).value![0]).toBe(n)
    await socket.request()
    // Four of five: the last one is still in the hands of the reader.
    await until(() => socket.tcp.send.unsent === 6)
    const rest = numbers(10, 13)
    for (const n of rest) socket.write(n)
    expect(() => socket.write('full again')).toThrow(FULL)
    for (const n of numbers(5, 13)) expect((await reader.next()).value![0]).toBe(n)
    await reader.return!()
    await socket.drain()
  })

  test('whose loop awaits something stops the writer as well', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 5 } })
    server.on('request', message => message.respondSync(null))
    let goOn = (): void => {}
    const gate = new Promise<void>(resolve => {
      goOn = resolve
    })
    const seen: number[] = []
    const loop = (async () => {
      for await (const [n] of server) {
        await gate
        seen.push(n)
      }
    })()
    expect(writeUntilFull(socket)).toBe(5)
    await socket.request()
    expect(socket.tcp.send.unsent).toBe(5)
    goOn()
    await socket.drain()
    await socket.end()
    await loop
    expect(seen).toEqual(numbers(0, 4))
  })

  test('without a listener holds no more than a window, and gets all of it later', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    server.on('request', message => message.respondSync(null))
    writeUntilFull(socket)
    await socket.request()
    expect(socket.tcp.send.unsent).toBe(10)
    expect(await take(server, 10)).toEqual(numbers(0, 9))
    await socket.drain()
  })

  test('does not slow down another socket of the same two clients', async () => {
    const { listener, guest, server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    writeUntilFull(socket)
    const connection = once(listener, 'connection')
    const other = guest.socket.connect('chat')
    const [otherServer] = await connection
    otherServer.on('data', (n: number) => otherServer.write(n))
    const received = take(other, 500)
    for (const n of numbers(1, 500)) other.write(n)
    expect(await received).toEqual(numbers(1, 500))
    expect(socket.tcp.send.unsent).toBe(10)
    expect(server.state).toBe('ready')
  })

  test('who leaves the loop in the middle lets the rest go to the next reader', async () => {
    const { server, socket } = await pair(fabric)
    for (const n of numbers(1, 6)) socket.write(n)
    const reader = server[Symbol.asyncIterator]()
    for await (const [n] of reader) if (n === 3) break
    socket.write(7)
    expect(await take(server, 4)).toEqual(numbers(4, 7))
    await socket.drain()
    expect(socket.stats).toMatchObject({ acknowledged: 7, duplicates: 0 })
  })

  test('who leaves the loop by an error has taken no more than he was given', async () => {
    const { server, socket } = await pair(fabric)
    const taken: number[] = []
    const sent = numbers(1, 5).map(n => socket.send(n).then(() => taken.push(n)))
    const reading = async (): Promise<void> => {
      for await (const [n] of server) if (n === 2) throw Error('full')
    }
    await expect(reading()).rejects.toThrow('full')
    await sent[1]
    // A round trip later nothing more has been taken.
    server.on('request', message => message.respondSync(null))
    await socket.request()
    expect(taken).toEqual([1, 2])
    expect(await take(server, 3)).toEqual([3, 4, 5])
    await Promise.all(sent)
  })

  test('what another iterator or a listener has had is not given twice', async () => {
    const { server, socket } = await pair(fabric)
    const [first, second] = [server.iter(), server.iter()]
    for (const n of numbers(1, 4)) socket.write(n)
    const all = [await first.next(), await first.next(), await first.next(), await second.next()]
    expect(all.map(({ value }) => value![0])).toEqual([1, 2, 3, 1])
    await first.return!()
    const heard = take(server, 1)
    await second.return!()
    expect(await heard).toEqual([4])
    await socket.drain()
  })

  test('a listener that ends an iterator gets nothing twice, and nothing out of order', async () => {
    const { server, socket } = await pair(fabric)
    const reader = server[Symbol.asyncIterator]()
    const got: unknown[] = []
    const all = new Promise<void>(resolve =>
      server.on('data', n => {
        got.push(n)
        if (n === 2) void reader.return!()
        if (n === 4) resolve()
      }),
    )
    for (const n of numbers(1, 4)) socket.write(n)
    await all
    expect(got).toEqual([1, 2, 3, 4])
    await socket.drain()
  })

  test('an iterator that is left gives nothing to whoever had it already', async () => {
    const { server, socket } = await pair(fabric)
    const first = server.iter()
    for (const n of numbers(1, 3)) socket.write(n)
    expect((await first.next()).value![0]).toBe(1)
    const second = server.iter()
    socket.write(4)
    for (const n of [2, 3, 4]) expect((await second.next()).value![0]).toBe(n)
    await first.return!()
    socket.write(5)
    expect((await second.next()).value![0]).toBe(5)
    const last = second.next()
    await socket.drain()
    socket.write(6)
    expect((await last).value![0]).toBe(6)
  })

  test('who has nothing newer gets what an iterator that is left was to get', async () => {
    const { server, socket } = await pair(fabric)
    const first = server.iter()
    const sent = numbers(1, 3).map(n => socket.send(n))
    expect((await first.next()).value![0]).toBe(1)
    const second = server.iter()
    await first.return!()
    for (const n of [2, 3]) expect((await second.next()).value![0]).toBe(n)
    await second.return!()
    await Promise.all(sent)
  })

  test('what was held is for all iterators, also for one that is there already', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => message.respondSync(null))
    const first = server.iter()
    server.pause()
    for (const n of numbers(1, 3)) socket.write(n)
    await socket.request()
    server.resume()
    const second = server.iter()
    for (const reader of [first, second]) {
      for (const n of numbers(1, 3)) expect((await reader.next()).value![0]).toBe(n)
    }
  })

  test('calls that do not wait for each other are all gone past', async () => {
    const { server, socket } = await pair(fabric)
    const reader = server[Symbol.asyncIterator]()
    for (const n of numbers(1, 3)) socket.write(n)
    const three = await Promise.all([reader.next(), reader.next(), reader.next()])
    expect(three.map(({ value }) => value![0])).toEqual([1, 2, 3])
    expect(socket.stats.acknowledged).toBe(0)
    const waiting = reader.next()
    await socket.drain()
    await reader.return!()
    expect(await waiting).toEqual({ value: undefined, done: true })
  })

  test('who pauses holds iterators, too', async () => {
    const { server, socket } = await pair(fabric)
    const reader = server[Symbol.asyncIterator]()
    for (const n of numbers(1, 3)) socket.write(n)
    expect((await reader.next()).value![0]).toBe(1)
    server.pause()
    let isGiven = false
    const next = reader.next().then(result => {
      isGiven = true
      return result.value![0]
    })
    server.on('request', message => message.respondSync(null))
    await socket.request()
    expect(isGiven).toBe(false)
    await until(() => socket.stats.pending === 2)
    server.resume()
    expect(await next).toBe(2)
    server.pause()
    const last = reader.next()
    await reader.return!()
    expect(await last).toEqual({ value: undefined, done: true })
    server.resume()
    expect(await take(server, 1)).toEqual([3])
  })
})

describeFabrics('end with a full window', fabric => {
  test('lets nothing more in, and closes when the reader has caught up', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    writeUntilFull(socket)
    const ending = socket.end()
    expect(() => socket.write('too late')).toThrow(expect.objectContaining({ code: 'EPIPE' }))
    expect(await take(server, 10)).toEqual(numbers(0, 9))
    await ending
    expect(socket.state).toBe('closed')
    expect((await rejection(socket.request())).code).toBe('ERR_CLOSED')
  })
})
