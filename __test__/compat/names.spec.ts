// Names and shapes that programs for Conat use, each with its meaning.
import { once } from 'node:events'
import {
  type Client,
  ConatError,
  ConatServer,
  connect,
  DEFAULT_PUBLISH_TIMEOUT,
  DEFAULT_REQUEST_TIMEOUT,
  DEFAULT_SUBSCRIPTION_TIMEOUT,
  decode,
  encode,
  getClient,
  init,
  MAX_INTEREST_TIMEOUT,
  matchesPattern,
  matchesSegment,
  randomId,
} from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { read, rejection } from '../support/messages'
import { disconnection, pair } from '../support/sockets'

test('an error may be made with its code among the options', () => {
  const cause = Error('why')
  expect(new ConatError('no', { code: 403, cause })).toMatchObject({ message: 'no', code: 403, cause })
  expect(new ConatError('no', 403, { cause })).toMatchObject({ message: 'no', code: 403, cause })
})

test('patterns are matched by arguments as by an object, and token by token', () => {
  expect(matchesPattern('a.*.c', 'a.b.c')).toBe(true)
  expect(matchesPattern('a.*', 'a.b.c')).toBe(false)
  expect(matchesPattern({ pattern: 'a.>', subject: 'a.b.c' })).toBe(true)
  expect([matchesSegment('*', 'a'), matchesSegment('a', 'a'), matchesSegment('a', 'b')]).toEqual([
    true,
    true,
    false,
  ])
})

test('the constants are the timeouts that hold, and ids are tokens', () => {
  expect([DEFAULT_REQUEST_TIMEOUT, DEFAULT_PUBLISH_TIMEOUT]).toEqual([30_000, 30_000])
  expect([DEFAULT_SUBSCRIPTION_TIMEOUT, MAX_INTEREST_TIMEOUT]).toEqual([60_000, 90_000])
  expect(randomId()).toMatch(/^\w{10,}$/)
  expect(randomId()).not.toBe(randomId())
})

describe('the default client', () => {
  test('is the latest that was connected to an address; connect() and getClient() return it', async () => {
    await using broker = init({ port: 0 })
    await broker.waitUntilReady()
    const address = `${broker.address()}`
    const first = connect({ address, noCache: true })
    expect(getClient()).toBe(first)
    const latest = connect({ address, noCache: true })
    expect([getClient() === latest, connect() === latest, connect({}) === latest]).toEqual([true, true, true])
    const another = connect({ noCache: true })
    expect(another).not.toBe(latest)
    expect(another.options.address).toBe(address)
    // Three callers have `latest`: it closes with the last one.
    await latest.close()
    await latest.close()
    expect(latest.state).not.toBe('closed')
    await latest.close()
    expect(latest.state).toBe('closed')
    // And no second fabric where one was wanted: without a default, it is the one inside the process.
    await first.close()
    await another.close()
    const inside = getClient()
    expect(inside.options.address).toBeUndefined()
    expect(connect()).toBe(inside)
    await inside.close()
    await inside.close()
    const next = connect()
    expect(next).not.toBe(inside)
    expect(getClient()).toBe(next)
    await next.close()
  })
})

describe('options of Socket.IO and of clusters', () => {
  test('are taken and have no effect, except those that ask for a client of its own', async () => {
    await using broker = init({
      port: 0,
      clusterName: 'c',
      localClusterSize: 2,
      autoscanInterval: 1,
      pingInterval: 1000,
      cors: { origin: '*' },
      maxHttpBufferSize: 1e6,
    })
    await broker.waitUntilReady()
    const address = broker.address()!
    const options = {
      address,
      transports: ['websocket'],
      reconnectionAttempts: 3,
      clusterName: 'c',
      timeout: 1,
    }
    const client = connect(options)
    expect(connect({ ...options, upgrade: false })).toBe(client)
    const own = connect({ ...options, forceNew: true })
    expect(own).not.toBe(client)
    expect(client.options).not.toHaveProperty('transports')
    await own.waitUntilReady()
    for (const each of [own, client, client]) await each.close()
  })

  test('do not hide a name that is wrong', () => {
    expect(() => connect({ transport: [] } as object)).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION' }),
    )
    expect(() => init({ maxSubscription: 1 } as object)).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION' }),
    )
  })
})

test('the address of a broker is a URL with a port, and ConatServer is its class', async () => {
  await using broker = new ConatServer({ port: 0 })
  expect(broker).toBeInstanceOf(ConatServer)
  await broker.waitUntilReady()
  const address = broker.address()!
  expect(address.port).toBeGreaterThan(0)
  expect(`${address}`).toBe(`http://127.0.0.1:${address.port}`)
  expect(new URL(`${address}`).port).toBe(String(address.port))
  expect(address.startsWith('http://')).toBe(true)
  expect(JSON.parse(JSON.stringify({ address }))).toEqual({ address: `${address}` })
  await using direct = connect({ address, noCache: true })
  await using inside = broker.client()
  await using there = broker.client({ address })
  for (const client of [direct, inside, there]) await client.waitUntilReady()
  const seen = Object.values(broker.sockets).map(socket => socket.address)
  expect(seen.filter(Boolean)).toHaveLength(2)
  expect(broker.io.engine.clientsCount).toBe(3)
  expect([...broker.io.of('/').sockets.keys()].sort()).toEqual(Object.keys(broker.sockets).sort())
  await direct.subscribe('a.b')
  expect(broker.subscriptions[direct.conn.id!]!.has('a.b')).toBe(true)
  const cut = [direct, there].map(disconnection)
  broker.io.disconnectSockets()
  await Promise.all(cut)
})

test('encode and decode say what they need', () => {
  for (const wrong of [undefined, null, 'text']) {
    const error = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(() => encode(wrong as never)).toThrow(error)
    expect(() => decode(wrong as never)).toThrow(error)
  }
  expect(decode({ data: encode({ mesg: [1, 'a'] }) })).toEqual([1, 'a'])
})

describeFabrics('a client', fabric => {
  test('counts in both directions under both names', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    await client.publish('a', 'x')
    await read(subscription, 1)
    expect(client.stats.subs).toBe(1)
    expect([client.stats.send, client.stats.recv0]).toEqual([client.stats.sent, client.stats.recv])
    expect(client.stats.send.messages).toBeGreaterThan(0)
    subscription.close()
    expect(client.stats.subs).toBe(0)
  })

  test('tells its subscriptions, its inbox and what was refused', async () => {
    const client = fabric.client()
    await client.subscribe('a.*')
    const inbox = await client.getInbox()
    expect(inbox.subject).toMatch(/^_INBOX\.\w+\.\*$/)
    expect((await client.getSubscriptions()).sort()).toEqual([inbox.subject, 'a.*'].sort())
    expect(client.temporaryInboxSubject()).toMatch(/^_INBOX\.\w+\.\w+$/)
    expect(client.permissionError({ type: 'pub', subject: 'a' })).toBeUndefined()
    expect(await client.bench.publish(3)).toBeGreaterThan(0)
    expect(await client.bench.request(3)).toBeGreaterThan(0)
  })

  test('has a connection that can be asked and listened to', async () => {
    const client = fabric.client()
    await client.waitUntilReady()
    const { conn } = client
    await client.subscribe('seen')
    expect(await conn.emitWithAck('subscriptions', null)).toEqual(['seen'])
    expect(await conn.timeout(5000).emitWithAck('wait-for-interest', { subject: 'seen', timeout: 0 })).toBe(
      true,
    )
    expect(await conn.emitWithAck('wait-for-interest', { subject: 'nobody', timeout: 0 })).toBe(false)
    const seen = await client.subscribe('seen')
    const chunk = ['seen', randomId(), 0, 1, 0, encode({ mesg: { n: 1 } }), { h: 1 }]
    expect(await conn.emitWithAck('publish', chunk)).toEqual({ count: 1 })
    const [message] = await read(seen, 1)
    expect([message!.data, message!.headers]).toEqual([{ n: 1 }, { h: 1 }])
    expect(await conn.emitWithAck('dance')).toEqual({ error: "unknown event 'dance'" })
    expect(await conn.emitWithAck('fast-rpc', { subject: 'a.b' })).toEqual({
      error: "no services matching 'a.b'",
      code: 503,
    })
    expect(() => conn.timeout(2 ** 31)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
    expect(await conn.emitWithAck(Symbol('odd') as never)).toEqual({ error: "unknown event 'Symbol(odd)'" })
    expect(() => client.permissionError(undefined as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    )
    const counted = new Promise(resolve => conn.emit('cluster', resolve))
    expect(await counted).toEqual([])
    expect(conn.io.opts).toBe(client.options)
    const events: string[] = []
    conn.on('disconnect', () => events.push('disconnect'))
    conn.on('connect', () => events.push('connect'))
    const again = once(conn.io, 'reconnect')
    conn.io.engine.close()
    await again
    expect(events).toEqual(['disconnect', 'connect'])
  })

  test('bounds the confirmation of a subscription', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a', { timeout: 10_000 })
    await client.publish('a', 1)
    await read(subscription, 1)
    await expect(client.subscribe('a', { timeout: 0 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  test('closes, ends and drains the replies to a request', async () => {
    const client = fabric.client()
    const asked = await client.subscribe('many')
    asked.emitter.on('message', message => {
      message.respondSync(1)
      message.respondSync(2)
    })
    for (const close of ['close', 'stop', 'end'] as const) {
      const replies = await client.requestMany('many')
      expect((await replies.next()).value!.data).toBe(1)
      replies[close]()
      const rest = []
      for await (const reply of replies) rest.push(reply.data)
      expect([[], [2]]).toContainEqual(rest)
    }
    const replies = client.requestMany('many')
    expect((await replies.next()).value!.data).toBe(1)
    const drained = replies.drain()
    for await (const _ of replies);
    await drained
  })

  test('replies with headers that are any JSON', async () => {
    const client = fabric.client()
    const asked = await client.subscribe('any')
    const all: unknown[] = ['text', 5, [1, { a: 2 }], true, null, { a: 1 }]
    asked.emitter.on('message', message => {
      const headers = all[message.data]
      if (message.data % 2 === 0) message.respondSync('x', { headers })
      else void message.respond('x', { headers })
    })
    for (const [index, headers] of all.entries()) {
      const reply = await client.request('any', index)
      expect(reply.headers).toEqual(headers)
    }
    expect((await rejection(client.publish('any', 1, { headers: 'text' as never }))).code).toBe(
      'ERR_INVALID_ARG_TYPE',
    )
  })

  test('bounds a publish by a signal', async () => {
    const client = fabric.client({ autoConnect: false })
    const abort = new AbortController()
    const sent = rejection(client.publish('a', 1, { signal: abort.signal }))
    abort.abort()
    expect((await sent).code).toBe('ABORT_ERR')
    expect((await rejection(client.publish('a', 1, { signal: abort.signal }))).code).toBe('ABORT_ERR')
  })
})

describeFabrics('a socket server', fabric => {
  test('and its client know when the other side was alive, also when it only answers pings', async () => {
    const settings = { keepAlive: 50, keepAliveTimeout: 1000 }
    const { server, socket } = await pair(fabric, { listen: settings, connect: settings })
    const { last } = socket.alive
    expect(Date.now() - last).toBeLessThan(60_000)
    // Nothing is said, and each pings the other: what was heard stays recent.
    await until(() => socket.alive.last > last && server.alive.last > last)
    expect([socket.state, server.state]).toEqual(['ready', 'ready'])
  })

  test('tells its settings, disconnects its sockets, and knows when it has ended', async () => {
    const { listener, server, socket } = await pair(fabric, {
      listen: { maxQueueSize: 7, keepAlive: 5000, keepAliveTimeout: 6000 },
    })
    const { maxQueueSize, keepAlive, keepAliveTimeout, ended } = listener
    expect({ maxQueueSize, keepAlive, keepAliveTimeout, ended }).toEqual({
      maxQueueSize: 7,
      keepAlive: 5000,
      keepAliveTimeout: 6000,
      ended: false,
    })
    expect(socket.serverId).toBe(listener.id)
    expect(server.clientSubject).toBe(`${socket.subject}.client.${socket.id}`)
    listener.disconnect()
    expect(server.state).toBe('disconnected')
    listener.close()
    expect(listener.ended).toBe(true)
  })
})

describe('routeSubject', () => {
  test('sends what belongs elsewhere to another client or address, and the rest where it is', async () => {
    await using home = init({ port: 0, id: 'home' })
    await using away = init({ port: 0, id: 'away' })
    await Promise.all([home.waitUntilReady(), away.waitUntilReady()])
    const third = home.client()
    const asked: string[] = []
    const client = connect({
      address: home.address()!,
      routeSubject: subject => {
        asked.push(subject)
        if (subject.startsWith('away.')) return { address: `${away.address()}` }
        return subject.startsWith('third.') ? { client: third } : undefined
      },
    })
    const there = away.client()
    const serving = there.socket.listen('away.sockets')
    serving.on('connection', socket => socket.on('data', data => socket.write(`away ${data}`)))
    await there.service('away.math', { add: (a: number, b: number) => a + b })
    expect(await client.call('away.math', { waitForInterest: true }).add(1, 2)).toBe(3)
    const socket = client.socket.connect('away.sockets')
    socket.write('hi')
    expect(await once(socket, 'data')).toEqual(['away hi', {}])
    await client.subscribe('third.a')
    expect(Object.keys(third.subs)).toEqual(['third.a'])
    await client.subscribe('here.a')
    expect(home.interest.matches('here.a')).toEqual(['here.a'])
    expect(away.interest.matches('here.a')).toEqual([])
    expect(asked).toEqual(expect.arrayContaining(['away.math', 'away.sockets', 'third.a', 'here.a']))
    const closed = once(socket, 'closed')
    await client.close()
    await closed
    await Promise.all([third.close(), there.close()])
  })

  test('says what it is given that is no place, and that it goes in a circle', async () => {
    const clients: Client[] = []
    const routed = (route: () => unknown): Client => {
      const client = connect({ noCache: true, routeSubject: route as never })
      clients.push(client)
      return client
    }
    for (const route of [
      5,
      {},
      { client: 5 },
      { client: {} },
      { address: 'nowhere' },
      async () => undefined,
    ]) {
      const client = routed(() => route)
      for (const call of [() => client.publishSync('a', 1), () => client.socket.connect('a')]) {
        expect(call).toThrow(expect.objectContaining({ code: expect.stringMatching(/^ERR_INVALID_ARG/) }))
      }
    }
    const first = routed(() => ({ client: second }))
    const second: Client = routed(() => ({ client: first }))
    const circle = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining('circle') }
    expect(() => first.publishSync('a', 1)).toThrow(expect.objectContaining(circle))
    const third = routed(() => ({ client: fourth }))
    const fourth: Client = routed(() => undefined)
    expect(third.publishSync('a', 1)).toEqual({ bytes: 1 })
    await Promise.all(clients.map(client => client.close()))
  })
})
