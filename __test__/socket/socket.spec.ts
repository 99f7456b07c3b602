import { once } from 'node:events'
import { DataEncoding } from 'selvedge'
import { describeFabrics, describeTransports } from '../support/fabrics'
import { rejection } from '../support/messages'
import { join, listening, numbers, pair, take, writeNumbers } from '../support/sockets'

describeTransports('a socket', fabric => {
  test('can be connected before anybody listens, and delivers what was written meanwhile', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const socket = guest.socket.connect('chat')
    expect(socket.state).not.toBe('ready')
    for (const n of [1, 2, 3]) socket.write(n)
    expect(socket.queuedWrites.length).toBe(3)
    await once(socket, 'connecting')
    const connection = once(host.socket.listen('chat'), 'connection')
    const [server] = await connection
    expect(await take(server, 3)).toEqual([1, 2, 3])
    await socket.drain()
    expect(socket.queuedWrites.length).toBe(0)
    expect(socket.state).toBe('ready')
  })

  test('has an id, a subject and a role on both sides', async () => {
    const { listener, server, socket } = await pair(fabric, { connect: { id: 'me', desc: 'mine' } })
    expect(socket).toMatchObject({ id: 'me', subject: 'chat', role: 'client', desc: 'mine', state: 'ready' })
    expect(server).toMatchObject({ id: 'me', role: 'server', state: 'ready' })
    expect(listener.sockets).toEqual({ me: server })
    expect([socket.conn.id, socket.address.ip]).toEqual(['me', ''])
    // They are made when they are asked for, and then stay what they are.
    expect(socket.conn).toBe(socket.conn)
    expect(socket.sub).toBe(socket.sub)
  })

  test('takes headers as options and as they are, and hands them over', async () => {
    const { server, socket } = await pair(fabric)
    const got: unknown[] = []
    const all = new Promise<void>(resolve => {
      server.on('data', (data, headers) => got.push([data, headers]) === 6 && resolve())
    })
    socket.write(1, { headers: { my: 'header' } })
    socket.write(2, { my: 'header' })
    socket.write(3)
    socket.write(4, { headers: { a: 1 }, encoding: DataEncoding.JsonCodec })
    socket.write(5, { headers: { a: 1 }, other: 2 })
    socket.write(6, { 'CN-SocketSeq': 77, 'CN-Reply': 'a.b', kept: true })
    await all
    expect(got).toEqual([
      [1, { my: 'header' }],
      [2, { my: 'header' }],
      [3, {}],
      [4, { a: 1 }],
      [5, { headers: { a: 1 }, other: 2 }],
      [6, { kept: true }],
    ])
  })

  test('delivers 5000 messages each way in order, each once', async () => {
    const { server, socket } = await pair(fabric)
    const received = Promise.all([take(server, 5000), take(socket, 5000)])
    await Promise.all([writeNumbers(socket, 1, 5000), writeNumbers(server, 1, 5000)])
    const expected = numbers(1, 5000)
    expect(await received).toEqual([expected, expected])
    expect([socket.tcp.send.unsent, server.tcp.send.unsent]).toEqual([0, 0])
  })

  test('holds data until the first listener has come', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => message.respondSync('all of it is there'))
    for (const n of [1, 2, 3]) socket.write(n)
    await socket.request()
    const received: number[] = []
    const all = new Promise<void>(resolve =>
      server.on('data', data => received.push(data) === 3 && resolve()),
    )
    // Nothing is emitted inside the registration.
    expect(received).toEqual([])
    await all
    expect(received).toEqual([1, 2, 3])
  })

  test('can be iterated: data with headers, until it is closed', async () => {
    const { server, socket } = await pair(fabric)
    const got: unknown[] = []
    const loop = (async () => {
      for await (const [data, headers] of server.iter()) got.push([data, headers])
    })()
    socket.write('a', { n: 1 })
    socket.write('b')
    await socket.end()
    await loop
    expect(got).toEqual([
      ['a', { n: 1 }],
      ['b', {}],
    ])
  })

  test('gives each iterator everything, and a message counts as read when the last one has passed it', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => message.respondSync(null))
    const [fast, slow] = [server.iter(), server[Symbol.asyncIterator]()]
    socket.write(1)
    socket.write(2)
    for (const n of [1, 2]) expect((await fast.next()).value).toEqual([n, {}])
    void fast.next()
    expect((await slow.next()).value).toEqual([1, {}])
    await socket.request()
    expect(socket.tcp.send.unsent).toBe(2)
    expect((await slow.next()).value).toEqual([2, {}])
    await slow.return!()
    await socket.drain()
  })

  test('drains and emits `drain` when everything is acknowledged', async () => {
    const { server, socket } = await pair(fabric)
    await socket.drain()
    socket.write(1)
    const drained = once(socket, 'drain')
    const waiting = Promise.all([socket.drain(), socket.waitUntilDrain()])
    expect(socket.tcp.send.unsent).toBe(1)
    expect(await take(server, 1)).toEqual([1])
    await Promise.all([drained, waiting])
    expect(socket.tcp.send.unsent).toBe(0)
  })

  test('has channels: sockets beside it that do not mix', async () => {
    const { listener, server, socket } = await pair(fabric)
    const side = listener.channel('side')
    await side.waitUntilReady()
    const connection = once(side, 'connection')
    const sideSocket = socket.channel('side')
    const [sideServer] = await connection
    expect(sideServer.subject).toMatch(/^chat\.side\./)
    const received = Promise.all([take(server, 2), take(sideServer, 2)])
    for (const n of [1, 2]) {
      socket.write(`main ${n}`)
      sideSocket.write(`side ${n}`)
    }
    expect(await received).toEqual([
      ['main 1', 'main 2'],
      ['side 1', 'side 2'],
    ])
    socket.close()
    await once(server, 'closed')
    expect(sideSocket.state).toBe('ready')
  })

  test('to a server on a pattern knows on which subject it was connected', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const listener = await listening(host, 'feeds.*')
    // The subject goes on with `server.<server id>.<socket id>`.
    listener.on('connection', socket => socket.write(socket.subject.split('.').slice(0, 3)))
    const sockets = ['feeds.one', 'feeds.two'].map(subject => guest.socket.connect(subject))
    expect(await take(sockets[0]!, 1)).toEqual([['feeds', 'one', 'server']])
    expect(await take(sockets[1]!, 1)).toEqual([['feeds', 'two', 'server']])
  })

  test('writes to itself as well: both sides can be one client', async () => {
    const client = fabric.client()
    const listener = await listening(client, 'chat')
    const [server, socket] = await join(listener, client)
    server.on('data', data => server.write(data * 2))
    socket.write(21)
    expect(await take(socket, 1)).toEqual([42])
  })

  test('refuses subjects that are none', async () => {
    const client = fabric.client()
    for (const subject of ['', 'a..b', 'a.*', 'a.>']) {
      expect(() => client.socket.connect(subject)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_SUBJECT' }),
      )
    }
    for (const subject of ['', 'a..b', 'a.>', '>']) {
      expect(() => client.socket.listen(subject)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_SUBJECT' }),
      )
    }
  })
})

describeFabrics('requests over a socket', fabric => {
  test('go both ways, beside the data', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => message.respond(`server heard ${message.data}`))
    socket.on('request', message => message.respondSync(`client heard ${message.data}`))
    expect((await socket.request('a')).data).toBe('server heard a')
    expect((await server.request('b', { headers: { n: 1 } })).data).toBe('client heard b')
  })

  test('made before the socket is ready wait for it', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const pending = guest.socket.connect('chat').request('early')
    host.socket.listen('chat').on('connection', socket => {
      socket.on('request', message => message.respondSync(`${message.data} but heard`))
    })
    expect((await pending).data).toBe('early but heard')
  })

  test('that are not answered reject with 408, and with noThrow resolve with undefined', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', () => {})
    expect((await rejection(socket.request('a', { timeout: 50 }))).code).toBe(408)
    expect(await socket.request('a', { timeout: 50, noThrow: true })).toBeUndefined()
  })

  test('can be aborted, and fail on a closed socket', async () => {
    const { server, socket } = await pair(fabric)
    const asked = once(server, 'request')
    const controller = new AbortController()
    const pending = rejection(socket.request('a', { signal: controller.signal }))
    await asked
    controller.abort()
    expect((await pending).code).toBe('ABORT_ERR')
    socket.close()
    expect((await rejection(socket.request('b'))).code).toBe('ERR_CLOSED')
  })

  test('under way when the socket closes reject', async () => {
    const { server, socket } = await pair(fabric)
    const asked = once(server, 'request')
    const pending = rejection(socket.request('a'))
    await asked
    socket.close()
    expect(['ERR_CLOSED', 'EPIPE']).toContain((await pending).code)
  })

  test('can have many answers', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => {
      for (const n of [1, 2, 3]) message.respondSync(n)
    })
    const answers: unknown[] = []
    for await (const { data } of socket.requestMany('count', { maxMessages: 3 })) answers.push(data)
    expect(answers).toEqual([1, 2, 3])
    const first = await (await socket.requestMany('count')).next()
    expect(first.value!.data).toBe(1)
    for await (const { data } of socket.requestMany('count')) if (data === 2) break
    socket.close()
  })

  test('overtake no data that was written before', async () => {
    const { server, socket } = await pair(fabric)
    const seen: unknown[] = []
    server.on('data', data => seen.push(data))
    server.on('request', message => message.respondSync([...seen]))
    for (let n = 1; n <= 50; n++) socket.write(n)
    expect((await socket.request()).data).toEqual(numbers(1, 50))
  })
})
