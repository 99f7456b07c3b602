import { once } from 'node:events'
import { describeFabric, describeTransports, OTHER_TRANSPORTS } from '../support/fabrics'
import { read, rejection } from '../support/messages'
import { type AnySocket, disconnection, join, listening, numbers, pair, take } from '../support/sockets'

/** Writes numbers until it is told to stop; resolves with how many. */
function stream(socket: AnySocket): () => Promise<number> {
  let stopped = false
  const done = (async () => {
    for (let n = 1; ; n++) {
      if (stopped) return n - 1
      if (!socket.write(n)) await socket.drain()
      // Lets the other side and the network have their turn.
      if (n % 20 === 0) await new Promise(setImmediate)
    }
  })()
  return () => {
    stopped = true
    return done
  }
}

/** All that a socket receives, and a way to wait until there is so much of it. */
function record(socket: AnySocket) {
  const data: unknown[] = []
  let wake = (): void => {}
  socket.on('data', item => {
    data.push(item)
    wake()
  })
  const reach = async (count: number): Promise<unknown[]> => {
    while (data.length < count) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
    return data
  }
  return { data, reach }
}

describeTransports('a lost connection', fabric => {
  test.each([
    ['guest', 20],
    ['host', 20],
  ] as const)(
    'of the %s, %d times while both stream, loses and doubles nothing',
    async (side, rounds) => {
      const { host, guest, server, socket } = await pair(fabric)
      const [atServer, atSocket] = [record(server), record(socket)]
      const stops = [stream(socket), stream(server)]
      const client = side === 'guest' ? guest : host
      for (let round = 0; round < rounds; round++) {
        const disconnected = disconnection(client)
        client.conn.io.engine.close()
        await disconnected
        // Each round goes on only after something has come through on both sides again.
        await client.waitUntilReady()
        await Promise.all([
          atServer.reach(atServer.data.length + 50),
          atSocket.reach(atSocket.data.length + 50),
        ])
      }
      const [fromSocket, fromServer] = await Promise.all(stops.map(stop => stop()))
      await Promise.all([socket.drain(), server.drain()])
      expect(atServer.data).toEqual(numbers(1, fromSocket!))
      expect(atSocket.data).toEqual(numbers(1, fromServer!))
      expect([socket.state, server.state]).toEqual(['ready', 'ready'])
    },
    60_000,
  )

  test('is told: disconnected, connected and signed in again, with the same ids', async () => {
    const { guest, server, socket } = await pair(fabric)
    const events: string[] = []
    for (const name of ['disconnected', 'connected', 'info', 'inbox'] as const) {
      guest.on(name, () => events.push(name))
    }
    const ids = [guest.id, socket.id]
    const inbox = once(guest, 'inbox')
    guest.conn.io.engine.close()
    await inbox
    expect(events).toEqual(['disconnected', 'connected', 'info', 'inbox'])
    expect([guest.id, socket.id]).toEqual(ids)
    await socket.waitUntilReady()
    const received = take(server, 1)
    socket.write('still here')
    expect(await received).toEqual(['still here'])
  })

  test('in which nothing is said costs nothing: the socket resumes when it is needed', async () => {
    const { guest, server, socket } = await pair(fabric)
    const disconnected = disconnection(socket)
    guest.conn.io.engine.close()
    await disconnected
    await socket.waitUntilReady()
    server.write('hello again')
    expect(await take(socket, 1)).toEqual(['hello again'])
  })

  test('does not stall a sender whose window is full', async () => {
    const { host, server, socket } = await pair(fabric, { connect: { maxQueueSize: 20 } })
    const reader = server.iter()
    for (const n of numbers(1, 20)) socket.write(n)
    const disconnected = disconnection(host)
    host.conn.io.engine.close()
    await disconnected
    for (const n of numbers(1, 20)) expect((await reader.next()).value![0]).toBe(n)
    await reader.return!()
    await socket.drain()
    socket.write('goes on')
    expect(await take(server, 1)).toEqual(['goes on'])
  })

  test('with `reconnection: false` stays lost until the client is told to connect', async () => {
    const client = fabric.client({ reconnection: false })
    const other = fabric.client()
    const subscription = await client.subscribe('a')
    const disconnected = disconnection(client)
    client.conn.io.engine.close()
    await disconnected
    // Nothing will end this wait, and a loop over the subscription hears so, too.
    expect((await rejection(client.waitUntilConnected())).code).toBe('ECONNRESET')
    expect((await rejection(subscription.next())).code).toBe('ECONNRESET')
    expect(client.state).toBe('disconnected')
    // The broker hears of the loss a moment later.
    while ((await other.publish('a', 'unheard')).count > 0);
    client.connect()
    await client.waitUntilReady()
    await other.publish('a', 'heard')
    expect((await read(subscription, 1))[0]!.data).toBe('heard')
  })

  test('by hand lasts until connect, and nothing written meanwhile is lost', async () => {
    const { guest, server, socket } = await pair(fabric)
    const received = take(server, 3)
    socket.write(1)
    await socket.drain()
    const disconnected = disconnection(socket)
    guest.disconnect()
    await disconnected
    expect([guest.state, guest.conn.connected, guest.conn.id]).toEqual(['disconnected', false, undefined])
    socket.write(2)
    expect((await rejection(guest.waitUntilReady({ timeout: 300 }))).code).toBe(408)
    guest.connect()
    await socket.waitUntilReady()
    socket.write(3)
    expect(await received).toEqual([1, 2, 3])
  })

  test('a request and a publish right behind a cut wait for the next connection', async () => {
    const { guest, server, socket } = await pair(fabric)
    server.on('request', message => message.respondSync(message.data))
    const heard = await fabric.client().subscribe('a')
    for (let n = 0; n < 5; n++) {
      guest.conn.io.engine.close()
      const [answer, { count }] = await Promise.all([socket.request(n), guest.publish('a', n)])
      expect([answer.data, count]).toEqual([n, 1])
    }
    heard.close()
  })

  test('leaves a request its answer, if that comes after the reconnect', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const questions = await host.subscribe('a')
    const pending = guest.request('a', 'question')
    const { value: question } = await questions.next()
    const inbox = once(guest, 'inbox')
    guest.conn.io.engine.close()
    await inbox
    await question!.respond('answer')
    expect((await pending).data).toBe('answer')
  })

  test('of 500 subscriptions is over when all are alive again, and not before', async () => {
    const [client, publisher] = [fabric.client(), fabric.client()]
    // One of the 500 that a client may have is its inbox.
    const subscriptions = await Promise.all(numbers(1, 499).map(n => client.subscribe(`many.${n}`)))
    const disconnected = disconnection(client)
    client.conn.io.engine.close()
    await disconnected
    await client.waitUntilReady()
    const counts = await Promise.all(numbers(1, 499).map(n => publisher.publish(`many.${n}`, n)))
    expect(counts.filter(({ count }) => count !== 1)).toEqual([])
    const heard = await Promise.all(subscriptions.map(async one => (await read(one, 1))[0]!.data))
    expect(heard).toEqual(numbers(1, 499))
  })
})

for (const kind of ['conat wire', 'selvedge wire', 'nats', 'gateways', ...OTHER_TRANSPORTS] as const)
  describeFabric(kind, 'a new broker in place of the old one', fabric => {
    test('goes on with four sockets that talk, and loses and doubles nothing', async () => {
      const [host, guest] = [fabric.client(), fabric.client()]
      const listener = await listening(host, 'chat')
      const pairs: Awaited<ReturnType<typeof join>>[] = []
      for (let n = 0; n < 4; n++) pairs.push(await join(listener, guest))
      const sockets = pairs.flat()
      const records = pairs.flatMap(([server, socket]) => [record(socket), record(server)])
      const stops = sockets.map(stream)
      await Promise.all(records.map(one => one.reach(100)))
      await fabric.replaceBroker()
      await Promise.all(sockets.map(socket => socket.waitUntilReady()))
      await Promise.all(records.map(one => one.reach(one.data.length + 100)))
      const written = await Promise.all(stops.map(stop => stop()))
      await Promise.all(sockets.map(socket => socket.drain()))
      for (const [i, one] of records.entries()) expect(one.data).toEqual(numbers(1, written[i]!))
    }, 60_000)

    test('has the subscriptions of all clients again', async () => {
      const [one, two] = [fabric.client(), fabric.client()]
      const subscription = await one.subscribe('a.*')
      // A client that is not connected yet when the broker goes loses nothing, and says nothing.
      await two.waitUntilReady()
      const losses = Promise.all([disconnection(one), disconnection(two)])
      await fabric.replaceBroker()
      await losses
      await Promise.all([one.waitUntilReady(), two.waitUntilReady()])
      expect((await two.publish('a.b', 'heard')).count).toBe(1)
      expect((await read(subscription, 1))[0]!.data).toBe('heard')
    })
  })
