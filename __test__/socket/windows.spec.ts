import { once } from 'node:events'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { join, numbers, pair, take } from '../support/sockets'

const KIB = 1024

/** A payload of so many bytes; its header adds a few. */
const bytes = (size: number): Buffer => Buffer.alloc(size, 7)

describeFabrics('a window of bytes', fabric => {
  test('says false from the half on, throws at the limit, and takes one larger message alone', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueBytes: 100 * KIB } })
    expect(socket.maxQueueBytes).toBe(100 * KIB)
    server.pause()
    const received = take(server, 5)
    expect([socket.write(bytes(30 * KIB)), socket.write(bytes(30 * KIB))]).toEqual([true, false])
    expect(socket.write(bytes(30 * KIB))).toBe(false)
    expect(() => socket.write(bytes(30 * KIB))).toThrow(
      expect.objectContaining({
        code: 'ENOBUFS',
        message: 'WRITE FAILED: socket buffer size 102400 bytes exceeded',
      }),
    )
    expect(() => socket.write(null, { big: 'ä'.repeat(6 * KIB) })).toThrow(
      expect.objectContaining({ code: 'ENOBUFS' }),
    )
    expect(socket.stats).toMatchObject({ sent: 3, pending: 3, pendingBytes: 90 * KIB + 9 })
    server.resume()
    await socket.drain()
    expect(socket.write(bytes(500 * KIB))).toBe(false)
    expect(() => socket.write(null)).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
    await socket.drain()
    expect(socket.write('small again')).toBe(true)
    expect((await received)[4]).toBe('small again')
    await socket.drain()
    expect(socket.stats).toMatchObject({ acknowledged: 5, pending: 0, pendingBytes: 0 })
  })

  test('of the default pushes back at 16 MiB, and still takes what is written without a look', async () => {
    const { server, socket } = await pair(fabric)
    expect(socket.maxQueueBytes).toBe(256 * KIB * KIB)
    server.pause()
    const received = take(server, 3)
    const part = 7_000_000
    expect(numbers(1, 3).map(() => socket.write(bytes(part)))).toEqual([true, true, false])
    expect(socket.stats.pending).toBe(3)
    server.resume()
    expect((await received).map(one => (one as Buffer).length)).toEqual([part, part, part])
    await socket.waitUntilWritable()
  })

  test('of the server side is the option of the listener, also for a broadcast', async () => {
    const { listener, server, socket } = await pair(fabric, { listen: { maxQueueBytes: 10 * KIB } })
    socket.pause()
    expect(listener.write(bytes(9 * KIB))).toBe(false)
    expect(() => listener.write(bytes(2 * KIB))).toThrow(
      expect.objectContaining({ code: 'ENOBUFS', ids: [server.id] }),
    )
    socket.resume()
    expect(await take(socket, 1)).toEqual([bytes(9 * KIB)])
  })

  test('bounds a writer who does not look at all, and nothing is lost', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueBytes: 64 * KIB } })
    const received = take(server, 300)
    for (const n of numbers(1, 300)) {
      while (true) {
        try {
          socket.write({ n, filling: bytes(5 * KIB) })
          break
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOBUFS' })
          expect(socket.stats.pendingBytes).toBeLessThanOrEqual(64 * KIB)
          await socket.drain()
        }
      }
    }
    expect((await received).map(({ n }: { n: number }) => n)).toEqual(numbers(1, 300))
  })
})

describeFabrics('a reader that pauses', fabric => {
  test('is given nothing, holds back its writer, and gets all of it when it goes on', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 10 } })
    const seen: number[] = []
    server.on('data', (n: number) => {
      seen.push(n)
      if (n === 3) server.pause()
    })
    server.on('request', message => message.respondSync(null))
    for (const n of numbers(1, 10)) socket.write(n)
    // The answer comes behind all of the data.
    await socket.request()
    expect([seen, server.isPaused()]).toEqual([numbers(1, 3), true])
    await until(() => socket.tcp.send.unsent === 7)
    const drained = once(socket, 'drain')
    server.resume()
    await drained
    expect(seen).toEqual(numbers(1, 10))
  })

  test('holds back its iterators as well', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    server.on('request', message => message.respondSync(null))
    const reader = server.iter()
    for (const n of numbers(1, 5)) socket.write(n)
    await socket.request()
    let came = false
    const next = reader.next().then(result => {
      came = true
      return result.value![0]
    })
    await socket.request()
    expect(came).toBe(false)
    server.resume()
    expect(await next).toBe(1)
    for (const n of numbers(2, 5)) expect((await reader.next()).value![0]).toBe(n)
  })

  test('with a full window of bytes delays no other socket of the same two clients', async () => {
    const settings = { connect: { maxQueueBytes: 16 * KIB * KIB } }
    const { listener, guest, server, socket } = await pair(fabric, settings)
    server.pause()
    let filled = 0
    try {
      for (; filled < 1000; filled++) socket.write(bytes(256 * KIB))
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOBUFS' })
    }
    expect(filled).toBe(63)
    const [otherServer, other] = await join(listener, guest)
    otherServer.on('data', n => otherServer.write(n))
    const echoed = take(other, 3000)
    for (const n of numbers(1, 3000)) if (!other.write(n)) await other.drain()
    expect(await echoed).toEqual(numbers(1, 3000))
    expect(socket.stats).toMatchObject({ acknowledged: 0, pending: 63 })
  })
})
