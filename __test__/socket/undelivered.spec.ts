import { once } from 'node:events'
import { MessageData } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { join, numbers, pair, take, writeUntilFull } from '../support/sockets'

describeFabrics('what a closed socket leaves behind', fabric => {
  test('is exactly what the other side has not handled, with headers, and can be written on', async () => {
    const { listener, guest, server, socket } = await pair(fabric)
    server.on('data', n => {
      if (n === 3) server.pause()
    })
    for (const n of numbers(1, 6)) socket.write(n, { headers: { n } })
    socket.write(Buffer.alloc(100_000, 1))
    server.on('request', message => message.respondSync(null))
    await socket.request()
    const closed = once(socket, 'closed')
    server.close()
    const [reason] = await closed
    const left = socket.undelivered()
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 4 })
    expect(left.map(message => message.seq)).toEqual([4, 5, 6, 7])
    expect(left[0]).toBeInstanceOf(MessageData)
    expect(left.map(message => message.headers)).toEqual([{ n: 4 }, { n: 5 }, { n: 6 }, undefined])
    const [next, again] = await join(listener, guest)
    const received = take(next, 4)
    for (const message of left) again.write(message)
    expect(await received).toEqual([4, 5, 6, Buffer.alloc(100_000, 1)])
  })

  test('has what was written after the other side had closed, in order', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    server.close()
    let written = 0
    const writer = setInterval(() => {
      for (let i = 0; i < 5 && socket.state !== 'closed'; i++) socket.write(++written)
    }, 0)
    const [reason] = await once(socket, 'closed')
    clearInterval(writer)
    expect(reason.undelivered).toBe(written)
    expect(socket.undelivered().map(message => message.data)).toEqual(numbers(1, written))
    expect(socket.undelivered().map(message => message.seq)).toEqual(numbers(1, written))
  })

  test('has what was written before a close of one’s own that came too late', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    socket.write(1)
    server.close()
    await new Promise<void>(resolve => process.nextTick(resolve))
    // Meanwhile the close arrives, and this thread does not look.
    for (const until = Date.now() + 50; Date.now() < until; );
    for (const n of numbers(2, 5)) socket.write(n)
    const closed = once(socket, 'closed')
    socket.close()
    expect((await closed)[1]).toBe(5)
    expect(socket.undelivered().map(message => message.data)).toEqual(numbers(1, 5))
  })

  test('numbers what was written last past the volatile ones', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    server.close()
    let written = 0
    const writer = setInterval(() => {
      for (let i = 0; i < 6 && socket.state !== 'closed'; i++)
        socket.write(++written, { volatile: i % 3 === 0 })
    }, 0)
    await once(socket, 'closed')
    clearInterval(writer)
    for (const message of socket.undelivered()) expect(message.seq).toBe(message.data)
    expect(socket.undelivered()).toHaveLength((written / 6) * 4)
  })

  test('is there after a close of one’s own, and when the client is closed', async () => {
    const { host, server, socket } = await pair(fabric)
    socket.pause()
    server.pause()
    for (const n of numbers(1, 3)) socket.write(n)
    for (const n of numbers(1, 4)) server.write(n)
    const closed = [once(socket, 'closed'), once(server, 'closed')]
    expect(socket.undelivered()).toEqual([])
    socket.close()
    await closed[0]
    expect(socket.undelivered().map(message => message.data)).toEqual(numbers(1, 3))
    await closed[1]
    expect(server.undelivered().map(message => message.data)).toEqual(numbers(1, 4))
    await host.close()
  })

  test('of all sockets is told when their client is closed', async () => {
    const { host, server } = await pair(fabric, { connect: { maxQueueSize: 5 }, listen: { maxQueueSize: 5 } })
    const gone = once(server, 'closed')
    writeUntilFull(server)
    await host.close()
    await gone
    // Nobody reads on the other side.
    expect(server.undelivered().map(message => message.data)).toEqual(numbers(0, 4))
  })

  test('has no volatile messages in it', async () => {
    const { server, socket } = await pair(fabric)
    server.pause()
    for (const n of numbers(1, 6)) socket.write(n, { volatile: n % 2 === 0 })
    const closed = once(socket, 'closed')
    server.close()
    expect((await closed)[0]).toMatchObject({ undelivered: 3 })
    expect(socket.undelivered().map(message => message.data)).toEqual([1, 3, 5])
  })
})

describeFabrics('a socket of a chosen id', fabric => {
  test('that is made anew elsewhere supersedes the older one, on both sides', async () => {
    const { listener, server, socket } = await pair(fabric, { connect: { id: 'twin' } })
    server.pause()
    socket.write('not handled')
    const ends = Promise.all([once(server, 'closed'), once(socket, 'closed')])
    const [newer, twin] = await join(listener, fabric.client(), { id: 'twin' })
    const reasons = (await ends).map(([reason]) => reason)
    expect(reasons).toEqual([
      expect.objectContaining({ code: 'ERR_SUPERSEDED', undelivered: 0 }),
      expect.objectContaining({ code: 'ERR_SUPERSEDED', undelivered: 1 }),
    ])
    newer.on('data', data => newer.write(data))
    const echoed = take(twin, 100)
    for (const n of numbers(1, 100)) twin.write(n)
    expect(await echoed).toEqual(numbers(1, 100))
    expect(listener.sockets).toEqual({ twin: newer })
  })

  test('goes on after its connection was lost', async () => {
    const { server, socket, guest } = await pair(fabric, { connect: { id: 'twin' } })
    const received = take(server, 200)
    for (const n of numbers(1, 100)) socket.write(n)
    guest.conn.io.engine.close()
    for (const n of numbers(101, 200)) socket.write(n)
    expect(await received).toEqual(numbers(1, 200))
  })
})
