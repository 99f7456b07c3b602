import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { join, numbers, pair, take } from '../support/sockets'

describeFabrics('a slow consumer', fabric => {
  test('is cut off when its writer wants it so, and the writer gets back what is left', async () => {
    const connect = { maxQueueSize: 10, slowConsumer: 'close', slowConsumerTimeout: 100 } as const
    const { server, socket } = await pair(fabric, { connect })
    const gone = once(server, 'closed')
    server.pause()
    for (const n of numbers(1, 7)) socket.write(n)
    const [reason] = await once(socket, 'closed')
    expect(reason).toMatchObject({ code: 'ERR_SLOW_CONSUMER', undelivered: 7 })
    expect(socket.undelivered().map(message => message.data)).toEqual(numbers(1, 7))
    expect((await gone)[0]).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
  })

  test('of the server side is cut off by the option of the listener, and others go on', async () => {
    const listen = { maxQueueSize: 10, slowConsumer: 'close', slowConsumerTimeout: 100 } as const
    const { listener, guest, server, socket } = await pair(fabric, { listen })
    const [other, otherSocket] = await join(listener, guest)
    const received = take(otherSocket, 5)
    socket.pause()
    const closed = once(server, 'closed')
    for (const n of numbers(1, 5)) listener.write(n)
    expect((await closed)[0]).toMatchObject({ code: 'ERR_SLOW_CONSUMER', undelivered: 5 })
    expect(await received).toEqual(numbers(1, 5))
    expect(other.state).toBe('ready')
  })

  test('is waited for by default', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 2, slowConsumerTimeout: 1 } })
    server.pause()
    server.on('request', message => message.respondSync(null))
    for (const n of numbers(1, 2)) socket.write(n)
    await socket.request()
    server.resume()
    expect(await take(server, 2)).toEqual([1, 2])
  })
})

describeFabrics('a volatile message', fabric => {
  test('is dropped and counted when the window is full, never refused', async () => {
    const { server, socket } = await pair(fabric, { connect: { maxQueueSize: 4, maxQueueBytes: 1000 } })
    server.pause()
    const received = take(server, 4)
    const said = numbers(1, 6).map(n => socket.write(n, { volatile: true }))
    expect(said).toEqual([true, false, false, false, false, false])
    expect(socket.stats).toMatchObject({ sent: 4, volatileDropped: 2 })
    server.resume()
    expect(await received).toEqual(numbers(1, 4))
    await socket.drain()
    socket.write(Buffer.alloc(900))
    expect(socket.write(Buffer.alloc(900), { volatile: true })).toBe(false)
    expect(socket.stats.volatileDropped).toBe(3)
  })

  test('is dropped while the socket is not ready', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const socket = guest.socket.connect('chat')
    expect(socket.write('too early', { volatile: true })).toBe(false)
    socket.write('kept')
    const [server] = await once(host.socket.listen('chat'), 'connection')
    expect(await take(server, 1)).toEqual(['kept'])
    expect(socket.stats).toMatchObject({ sent: 1, volatileDropped: 1 })
  })

  test('comes in order among the others, with its headers', async () => {
    const { server, socket } = await pair(fabric)
    const seen: unknown[] = []
    server.on('data', (data, headers) => seen.push([data, headers]))
    for (const n of numbers(1, 4)) socket.write(n, { volatile: n % 2 === 0, headers: { n } })
    await socket.drain()
    expect(seen).toEqual(numbers(1, 4).map(n => [n, { n }]))
  })

  test('of a broadcast is dropped for those whose window is full only', async () => {
    const { listener, guest, server, socket } = await pair(fabric, { listen: { maxQueueSize: 2 } })
    const [other, otherSocket] = await join(listener, guest)
    socket.pause()
    const received = take(otherSocket, 3)
    server.write('a')
    server.write('b')
    for (const text of ['x', 'y', 'z']) {
      listener.write(text, { volatile: true })
      await other.drain()
    }
    expect(await received).toEqual(['x', 'y', 'z'])
    expect([server.stats.volatileDropped, other.stats.volatileDropped]).toEqual([3, 0])
  })
})
