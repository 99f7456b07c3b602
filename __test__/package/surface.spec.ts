// The names that programs for Conat use, one by one. The lists are typed: each name is in index.d.ts, and here it is looked for in what was built.
import { EventEmitter } from 'node:events'
import * as selvedge from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { disconnection, pair } from '../support/sockets'

type Kinds<T> = Partial<Record<keyof T & string, string>>

/** The type of each member of `names`, as the object has it. */
function kindsOf<T extends object>(object: T, names: Kinds<T>): Kinds<T> {
  const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)
  return Object.fromEntries(
    Object.keys(names).map(name => [name, kindOf(object[name as keyof T])]),
  ) as Kinds<T>
}

function has<T extends object>(object: T, names: Kinds<T>): void {
  expect(kindsOf(object, names)).toEqual(names)
}

const [f, s, n, b, o] = ['function', 'string', 'number', 'boolean', 'object']

test('the module', () => {
  has(selvedge, {
    connect: f,
    getClient: f,
    init: f,
    Client: f,
    Message: f,
    MessageData: f,
    messageData: f,
    ConatError: f,
    DataEncoding: o,
    encode: f,
    decode: f,
    ConatSocketServer: f,
    ConatSocketClient: f,
    ServerSocket: f,
    Patterns: f,
    isValidSubject: f,
    isValidSubjectWithoutWildcards: f,
    matchesPattern: f,
    setDefaultTimeouts: f,
    setDefaultSocketTimeouts: f,
    SOCKET_HEADER_CMD: s,
    SOCKET_HEADER_SEQ: s,
    sysApi: f,
    sysApiMany: f,
  })
  expect([selvedge.SOCKET_HEADER_CMD, selvedge.SOCKET_HEADER_SEQ]).toEqual(['CN-SocketCmd', 'CN-SocketSeq'])
  expect([selvedge.DataEncoding.MsgPack, selvedge.DataEncoding.JsonCodec]).toEqual([0, 1])
  expect(new selvedge.ConatError('no', 403)).toMatchObject({ message: 'no', code: 403 })
})

test('every option of connect is taken', async () => {
  const options: selvedge.ConnectOptions = {
    address: 'http://127.0.0.1:1',
    noCache: true,
    inboxPrefix: '_INBOX.mine',
    systemAccountPassword: 'secret',
    extraHeaders: { Cookie: 'a=1' },
    path: '/conat',
    autoConnect: false,
    reconnection: false,
    reconnectionDelay: 1,
    reconnectionDelayMax: 2,
    randomizationFactor: 0.5,
  }
  await selvedge.connect(options).close()
})

test('getClient is one client of the process, until it is closed', async () => {
  const client = selvedge.getClient()
  expect(selvedge.getClient()).toBe(client)
  expect(client).toBeInstanceOf(selvedge.Client)
  await client.close()
  const next = selvedge.getClient()
  expect(next).not.toBe(client)
  await next.close()
})

test('the default timeouts can be set', async () => {
  const client = selvedge.connect({ noCache: true })
  const silent = await client.subscribe('silent')
  selvedge.setDefaultTimeouts({ request: 20, publish: 30_000 })
  await expect(client.request('silent')).rejects.toMatchObject({ code: 408 })
  selvedge.setDefaultTimeouts({ request: 30_000 })
  selvedge.setDefaultSocketTimeouts({ command: 9_000, keepAlive: 1_000, keepAliveTimeout: 2_000 })
  const socket = client.socket.connect('nobody')
  expect([socket.keepAlive, socket.keepAliveTimeout]).toEqual([1_000, 2_000])
  selvedge.setDefaultSocketTimeouts({ command: 10_000, keepAlive: 45_000, keepAliveTimeout: 30_000 })
  silent.close()
  await client.close()
})

describeFabrics('the surface', fabric => {
  test('of a client', async () => {
    const client = fabric.client()
    expect(client).toBeInstanceOf(EventEmitter)
    await client.waitUntilConnected()
    await client.waitUntilSignedIn({ timeout: 5000 })
    await client.waitUntilReady()
    has(client, {
      id: s,
      state: s,
      info: o,
      stats: o,
      options: o,
      conn: o,
      connect: f,
      disconnect: f,
      close: f,
      subscribe: f,
      sub: f,
      subscribeSync: f,
      publish: f,
      pub: f,
      publishSync: f,
      request: f,
      requestMany: f,
      service: f,
      call: f,
      callMany: f,
      interest: f,
      waitForInterest: f,
      numSubscriptions: f,
      syncSubscriptions: f,
      watch: f,
      cluster: f,
      message: f,
      socket: o,
      subs: o,
      queueGroups: o,
    })
    has(client.conn, { connected: b, id: s, io: o })
    has(client.conn.io.engine, { close: f })
    has(client.socket, { listen: f, connect: f })
    has(client.info!, { max_payload: n, id: s })
    expect(client.state).toBe('connected')
    expect(client.message('x', { headers: { a: 1 } })).toBeInstanceOf(selvedge.MessageData)
  })

  test('of its events', async () => {
    const client = fabric.client({ autoConnect: false })
    const seen: string[] = []
    for (const name of ['connected', 'info', 'inbox', 'disconnected', 'closed'] as const) {
      client.on(name, () => seen.push(name))
    }
    client.connect()
    await client.waitUntilReady()
    const down = disconnection(client)
    client.conn.io.engine.close()
    await down
    await client.waitUntilReady()
    const byHand = disconnection(client)
    client.disconnect()
    expect(client.state).toBe('disconnected')
    await byHand
    client.connect()
    await client.waitUntilReady()
    await client.close()
    const up = ['connected', 'info', 'inbox']
    expect(seen).toEqual([...up, 'disconnected', ...up, 'disconnected', ...up, 'closed'])
    expect(client.state).toBe('closed')
  })

  test('of a subscription, and the views of it', async () => {
    const client = fabric.client()
    const subscription = await client.sub('a.*', { queue: 'q' })
    has(subscription, { next: f, return: f, close: f, stop: f, end: f, drain: f, ended: b, emitter: o })
    expect(client.subs['a.*']).toMatchObject({ refCount: 1 })
    expect(client.queueGroups).toEqual({ 'a.*': 'q' })
    expect(client.numSubscriptions()).toBe(1)
    subscription.stop()
    expect([subscription.ended, client.numSubscriptions(), client.subs['a.*']]).toEqual([true, 0, undefined])
  })

  test('of a message', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const asked = client.request('a', { x: 1 }, { headers: { my: 'header' } })
    const message = (await subscription.next()).value!
    has(message, {
      subject: s,
      encoding: n,
      raw: o,
      headers: o,
      data: o,
      length: n,
      isRequest: f,
      respond: f,
      respondSync: f,
      end: f,
    })
    expect(message.headers).toMatchObject({ my: 'header', 'CN-Reply': expect.stringMatching(/^_INBOX\./) })
    expect(message.length).toBe(message.raw.length)
    message.respondSync('done')
    expect((await asked).data).toBe('done')
  })

  test('of both sockets and of the socket server', async () => {
    const { listener, server, socket } = await pair(fabric)
    const both = {
      id: s,
      subject: s,
      state: s,
      desc: 'undefined',
      role: s,
      ended: b,
      maxQueueSize: n,
      keepAlive: n,
      keepAliveTimeout: n,
      conn: o,
      address: o,
      write: f,
      request: f,
      requestMany: f,
      iter: f,
      disconnect: f,
      close: f,
      destroy: f,
      end: f,
      waitUntilReady: f,
      waitUntilDrain: f,
      drain: f,
      queuedWrites: o,
      tcp: o,
      alive: o,
    }
    has(socket, { ...both, reconnection: b, connect: f, channel: f, sub: o })
    has(server, both)
    expect([socket.role, server.role, listener.role]).toEqual(['client', 'server', 'server'])
    has(socket.sub, { close: f })
    for (const one of [socket, server]) {
      has(one.conn, { id: s })
      has(one.address, { ip: s })
      has(one.queuedWrites, { length: n })
      has(one.tcp.send, { unsent: n })
      expect(Math.abs(one.alive.last - Date.now())).toBeLessThan(60_000)
    }
    has(listener, {
      id: s,
      subject: s,
      state: s,
      waitUntilReady: f,
      sockets: o,
      forEach: f,
      write: f,
      request: f,
      channel: f,
      close: f,
      end: f,
    })
    expect(listener.sockets[socket.id]).toBe(server)
  })

  fabric.testAtOneBroker('of a broker', async () => {
    const { broker } = fabric
    expect(broker).toBeInstanceOf(EventEmitter)
    has(broker, {
      state: s,
      id: s,
      options: o,
      address: f,
      client: f,
      close: f,
      isHealthy: f,
      getUsage: f,
      interest: o,
      waitForInterest: f,
      stats: o,
      sockets: o,
      waitUntilReady: f,
    })
    expect([broker.id, broker.state, await broker.isHealthy()]).toEqual(['0', 'ready', true])
    const client = fabric.client()
    await client.subscribe('a.*')
    has(broker.interest, { serialize: f, matches: f, hasMatch: f })
    expect(broker.interest.serialize().patterns['a.*']).toBe(1)
    expect([broker.interest.matches('a.b'), broker.interest.hasMatch('b')]).toEqual([['a.*'], false])
    expect(await broker.waitForInterest('a.b', 5000)).toBe(true)
    expect(broker.getUsage()).toEqual({ total: 1, perUser: expect.any(Object) })
    const id = Object.keys(broker.sockets)[0]!
    has(broker.sockets[id]!, { id: s, address: s, subscriptions: 'array', stats: o })
    has(broker.stats[id]!, { address: s, recv: o, send: o, subs: n })
  })

  fabric.testAtOneBroker(
    'of a connection: both ends call it by one name, and a reconnect is another one',
    async () => {
      const client = fabric.client()
      await client.waitUntilReady()
      const first = client.conn.id!
      expect(Object.keys(fabric.broker.sockets)).toEqual([first])
      // Looked at in the event: the next connection may be there before a promise has resolved.
      const down = new Promise<string | undefined>(resolve => {
        client.once('disconnected', () => resolve(client.conn.id))
      })
      client.conn.io.engine.close()
      expect(await down).toBeUndefined()
      await client.waitUntilReady()
      expect(client.conn.id).not.toBe(first)
      expect(Object.keys(fabric.broker.sockets)).toContain(client.conn.id)
    },
  )
})

describeFabrics('JSON instead of MessagePack', fabric => {
  const encoding = selvedge.DataEncoding.JsonCodec
  const value = { at: '2026', list: [1, null, 'ü'] }

  test('goes by publish, request, respond, write and messageData, and the receiver need not be told', async () => {
    const { host, server, socket } = await pair(fabric)
    const subscription = await host.subscribe('a')
    await host.publish('a', value, { encoding })
    host.publishSync('a', value, { encoding })
    await host.publish('a', selvedge.messageData(value, { encoding }))
    for (let i = 0; i < 3; i++) {
      const message = (await subscription.next()).value!
      expect([message.encoding, message.raw.toString(), message.data]).toEqual([
        1,
        JSON.stringify(value),
        value,
      ])
    }
    const answer = host.request('a', value, { encoding })
    const question = (await subscription.next()).value!
    await question.respond(value, { encoding })
    expect([question.encoding, (await answer).encoding, (await answer).data]).toEqual([1, 1, value])
    const data = server.iter()
    socket.write(value, { encoding })
    expect((await data.next()).value![0]).toEqual(value)
    server.on('request', message => void message.respond(message.encoding, { encoding }))
    expect((await socket.request(value, { encoding })).data).toBe(1)
  })

  test('goes for the arguments of calls as well', async () => {
    const client = fabric.client()
    let seen: number | undefined
    await client.service('s', {
      echo(this: selvedge.Message, x: unknown) {
        seen = this.encoding
        return x
      },
    })
    expect(await client.call('s', { encoding }).echo(value)).toEqual(value)
    expect(seen).toBe(1)
  })
})
