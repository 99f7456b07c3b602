// What is written in one tick travels in runs. Whatever is mixed in between, each receiver gets its own in order.
import type { Message, Subscription } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { join, numbers, pair, take } from '../support/sockets'

const bytes = (size: number): Buffer => Buffer.alloc(size, 7)

describeFabrics('messages of one tick', fabric => {
  test('to two sockets in turn, to all, volatile and with headers, stay in order', async () => {
    const { guest, listener, server, socket } = await pair(fabric)
    const [otherServer, other] = await join(listener, guest)
    const received = [take(socket, 200), take(other, 200)]
    for (const n of numbers(1, 50)) {
      server.write([n, 'one'])
      otherServer.write([n, 'one'], n % 3 === 0 ? { n } : undefined)
      listener.write([n, 'all'])
      listener.write([n, 'all again'])
      server.write([n, 'volatile'], { volatile: true })
      otherServer.write([n, 'volatile'], { volatile: true })
    }
    const expected = numbers(1, 50).flatMap(n =>
      ['one', 'all', 'all again', 'volatile'].map(kind => [n, kind]),
    )
    expect(await Promise.all(received)).toEqual([expected, expected])
  })

  test('of every size, small, too big for a run, and larger than a frame, arrive whole and in order', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueBytes: 64 << 20 } })
    const sizes = [0, 1, 126, 127, 128, 300, 16_380, 16_390, 32_760, 32_770, 70_000, 5, 6, 3_000_000, 7]
    const received = take(server, 2 * sizes.length)
    for (const size of [...sizes, ...sizes]) socket.write(bytes(size))
    expect((await received).map(data => (data as Buffer).length)).toEqual([...sizes, ...sizes])
    expect(socket.tcp.send.unsent).toBeLessThanOrEqual(2 * sizes.length)
    await socket.drain()
    expect(socket.stats).toMatchObject({ acknowledged: 2 * sizes.length, pendingBytes: 0 })
  })

  test('published to two subjects in turn, with and without headers, stay in order', async () => {
    const client = fabric.client()
    const [a, b] = [await client.subscribe('runs.a'), await client.subscribe('runs.b')]
    for (const n of numbers(1, 300)) {
      client.publishSync('runs.a', n)
      if (n % 2 === 0) client.publishSync('runs.a', n, { headers: { n } })
      if (n % 7 === 0) client.publishSync('runs.b', n)
    }
    const read = async (messages: Subscription, count: number): Promise<Message[]> => {
      const list: Message[] = []
      while (list.length < count) list.push((await messages.next()).value as Message)
      return list
    }
    const ofA = await read(a, 450)
    expect(ofA.map(message => [message.data, message.headers?.n])).toEqual(
      numbers(1, 300).flatMap(n =>
        n % 2 === 0
          ? [
              [n, undefined],
              [n, n],
            ]
          : [[n, undefined]],
      ),
    )
    expect((await read(b, 42)).map(message => message.data)).toEqual(numbers(1, 42).map(n => 7 * n))
    a.close()
    b.close()
  })

  test('can each be kept, changed and compared: none shares its bytes with another', async () => {
    const { server, socket } = await pair(fabric)
    const received = take(server, 500)
    for (const n of numbers(1, 500)) socket.write(Buffer.alloc(12, n % 256))
    const all = (await received) as Buffer[]
    for (const data of all) data.fill(0)
    for (const [index, data] of all.entries()) {
      expect(data.equals(Buffer.alloc(12))).toBe(true)
      data.fill(index % 256)
    }
    expect(all.every((data, index) => data.equals(Buffer.alloc(12, index % 256)))).toBe(true)
  })
})

describeFabrics('waitUntilWritable', fabric => {
  test('resolves at once while there is room, and at half of the window, before the drain', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 40 } })
    await socket.waitUntilWritable()
    server.pause()
    for (const n of numbers(1, 40)) socket.write(n)
    const order: string[] = []
    const writable = socket
      .waitUntilWritable()
      .then(() => order.push(`writable ${socket.tcp.send.unsent < 20}`))
    const drained = socket.drain().then(() => order.push(`drained ${socket.tcp.send.unsent}`))
    const seen: unknown[] = []
    // The reader takes 30, then rests.
    server.on('data', data => {
      seen.push(data)
      if (seen.length === 30) server.pause()
    })
    server.resume()
    await writable
    expect(order).toEqual(['writable true'])
    server.resume()
    await drained
    expect(order).toEqual(['writable true', 'drained 0'])
  })

  test('rejects on a socket that closes meanwhile, and on a closed one', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 2 } })
    server.pause()
    socket.write(1)
    const waiting = expect(socket.waitUntilWritable()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    socket.close()
    await waiting
    await expect(socket.waitUntilWritable()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})
