// What channels of diagnostics_channel tell, over every way to plug in.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init, type Message } from 'selvedge'
import { joined, text } from '../hostile/attacker'
import { until } from '../support/events'
import { describeFabric, type Kind } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection, pair } from '../support/sockets'

let broker: ConatServer | undefined
const clients: Client[] = []
const heard: [string, Record<string, any>][] = []
const listeners: [string, (message: unknown) => void][] = []

function hear(...names: string[]): void {
  for (const name of names) {
    const listener = (message: unknown): void => {
      heard.push([name, message as Record<string, any>])
    }
    subscribe(name, listener)
    listeners.push([name, listener])
  }
}

const of = (name: string) => heard.filter(([heardName]) => heardName === name).map(([, message]) => message)

afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.close()))
  await broker?.close()
  broker = undefined
  for (const [name, listener] of listeners.splice(0)) unsubscribe(name, listener)
  heard.length = 0
})

for (const kind of [
  'in-process',
  'conat wire',
  'selvedge wire',
  'nats',
  'gateways',
] as const satisfies readonly Kind[]) {
  describeFabric(kind, 'channels', fabric => {
    test('tell of what is published, whose headers can be added to', async () => {
      const [writer, reader] = [fabric.client(), fabric.client()]
      const listener = (message: unknown): void => {
        const { headers } = message as { headers: Record<string, unknown> }
        headers.added = true
      }
      subscribe('selvedge:publish', listener)
      listeners.push(['selvedge:publish', listener])
      hear('selvedge:publish')
      const subscription = await reader.subscribe('told')
      const given = { mine: 1 }
      await writer.publish('told', 'x', { headers: given })
      writer.publishSync('told', 'x')
      const first = (await subscription.next()).value as Message
      const second = (await subscription.next()).value as Message
      expect([first.headers, second.headers]).toEqual([{ mine: 1, added: true }, { added: true }])
      expect(given).toEqual({ mine: 1 })
      expect(of('selvedge:publish')[0]).toMatchObject({ subject: 'told', bytes: 2 })
      expect(of('selvedge:publish')[0]!.client).toBe(writer)
    })

    test('tell of clients, subscriptions and sockets, from their begin to their end', async () => {
      hear(
        'selvedge:client:connect',
        'selvedge:subscription:open',
        'selvedge:subscription:close',
        'selvedge:socket:open',
        'selvedge:socket:ready',
        'selvedge:socket:close',
        'selvedge:socket:write',
        'selvedge:listener:connection',
      )
      const { socket, server, listener, guest } = await pair(fabric)
      const subscription = await guest.subscribe('some.*')
      subscription.close()
      server.on('data', () => {})
      socket.write('hello')
      await socket.end()
      await listener.end()
      expect(of('selvedge:client:connect').some(({ client }) => client === guest)).toBe(true)
      const opened = of('selvedge:subscription:open').filter(({ pattern }) => pattern === 'some.*')
      expect(opened).toHaveLength(1)
      expect(opened[0]).toMatchObject({ client: guest, subscription, queue: subscription.queue })
      expect(of('selvedge:subscription:close').some(told => told.subscription === subscription)).toBe(true)
      for (const name of ['open', 'ready', 'close']) {
        const told = of(`selvedge:socket:${name}`)
        expect(told.map(({ role }) => role).sort()).toEqual(['client', 'server'])
        expect(told.find(({ role }) => role === 'client')!.socket).toBe(socket)
      }
      expect(of('selvedge:socket:write')).toEqual([{ socket: expect.anything(), headers: {}, bytes: 6 }])
      expect(of('selvedge:listener:connection')).toMatchObject([{ listener, socket: server }])
    })

    test('tell of requests and their handlers, and of why they failed', async () => {
      const client = fabric.client()
      hear(
        'tracing:selvedge:request:start',
        'tracing:selvedge:request:asyncEnd',
        'tracing:selvedge:request:error',
        'tracing:selvedge:handle:start',
      )
      const subscription = await client.subscribe('asked')
      subscription.emitter.on('message', (message: Message) => message.respondSync('yes'))
      expect((await client.request('asked')).data).toBe('yes')
      await client.request('nobody').catch(() => {})
      expect(of('tracing:selvedge:request:start').map(({ subject }) => subject)).toEqual(['asked', 'nobody'])
      expect(of('tracing:selvedge:request:asyncEnd').map(({ subject }) => subject)).toEqual([
        'asked',
        'nobody',
      ])
      expect(of('tracing:selvedge:request:error')).toMatchObject([{ error: { code: 503 } }])
      expect(of('tracing:selvedge:handle:start')).toMatchObject([{ subject: 'asked', template: 'asked' }])
    })

    test('tell of handlers that failed, and to whom that was told', async () => {
      hear('selvedge:handler:error')
      const { socket, server, guest, host } = await pair(fabric)
      const error = Object.assign(Error('no'), { code: 'ENO' })
      server.on('request', () => {
        throw error
      })
      await host.service('failing', {
        fail: async () => {
          throw error
        },
      })
      expect(await rejection(socket.request('a'))).toMatchObject({ code: 'ENO' })
      expect(await rejection(guest.call<{ fail(): void }>('failing').fail())).toMatchObject({ code: 'ENO' })
      expect(of('selvedge:handler:error')).toMatchObject([
        { error, message: { data: 'a' }, socket: server },
        { error, message: { data: ['fail', []] } },
      ])
    })

    test('tell of rooms, of who is refused, and of what is sent until it is handled', async () => {
      hear('selvedge:room:join', 'selvedge:room:leave', 'selvedge:listener:refused')
      hear('tracing:selvedge:send:start', 'tracing:selvedge:send:asyncEnd', 'tracing:selvedge:send:error')
      const { socket, server, listener, guest } = await pair(fabric)
      server.join('lobby', { key: 'ann', data: 1 })
      server.join('lobby', { key: 'ann', data: 2 })
      server.leave('lobby')
      server.leave('lobby')
      const member = { id: server.id, key: 'ann', socket: server }
      expect(of('selvedge:room:join')).toEqual([{ listener, room: 'lobby', member: { ...member, data: 1 } }])
      expect(of('selvedge:room:leave')).toEqual([
        { listener, room: 'lobby', member: { ...member, data: 2 }, reason: 'left' },
      ])

      server.on('data', () => {})
      await socket.send('handled')
      expect(of('tracing:selvedge:send:start')).toMatchObject([{ client: guest, subject: 'chat', socket }])
      expect(of('tracing:selvedge:send:asyncEnd')).toHaveLength(1)
      expect(of('tracing:selvedge:send:error')).toEqual([])

      listener.use((_socket, next) => next(Object.assign(Error('full'), { code: 'EFULL' })))
      const other = guest.socket.connect('chat')
      await once(other, 'closed')
      expect(of('selvedge:listener:refused')).toMatchObject([{ listener, reason: { code: 'EFULL' } }])
      await socket.end()
      expect(await rejection(socket.send('late'))).toMatchObject({ code: 'EPIPE' })
      expect(of('tracing:selvedge:send:error')).toMatchObject([{ error: { code: 'EPIPE' } }])
    })
  })
}

test('a broker tells of its connections, who they are, and why they ended', async () => {
  hear('selvedge:broker:connect', 'selvedge:broker:disconnect', 'selvedge:broker:refused')
  hear('selvedge:broker:subscribe')
  broker = init({
    port: 0,
    getUser: ({ handshake }) => {
      if (handshake.token !== 'right') throw Object.assign(Error('who are you?'), { code: 401 })
      return { name: 'ann' }
    },
  })
  await broker.waitUntilReady()
  const address = String(broker.address())
  for (const token of ['right', 'wrong']) clients.push(connect({ address, token, noCache: true }))
  await clients[0]!.waitUntilReady()
  await clients[0]!.subscribe('orders.*', { queue: 'workers' })
  await clients[0]!.close()
  const told = (name: string): object[] => of(`selvedge:broker:${name}`)
  // It looks once a second.
  await until(() => told('disconnect').length > 0 && told('refused').length > 0)
  const connection = {
    id: expect.any(String),
    user: { name: 'ann' },
    address: expect.stringMatching(/^127\.0\.0\.1|^::ffff:127/),
    wire: 'selvedge',
  }
  expect(told('connect')).toEqual([{ broker, connection }])
  expect(told('disconnect')).toEqual([{ broker, connection, reason: 'client' }])
  const { id } = (told('connect')[0] as { connection: { id: string } }).connection
  expect(told('subscribe')).toContainEqual({ broker, id, pattern: 'orders.*', queue: 'workers' })
  expect(told('refused')[0]).toEqual({
    broker,
    id: expect.any(String),
    code: 'sign_in',
    reason: 'who are you?',
  })
})

test('attempts to connect that fail are counted until one succeeds', async () => {
  hear('selvedge:client:connectFailed')
  const client = connect({
    address: 'unix:/nowhere/at/all.sock',
    noCache: true,
    reconnectionDelay: 1,
    reconnectionDelayMax: 5,
  })
  clients.push(client)
  for (let failed = 0; failed < 3; failed++) await once(client, 'connectFailed')
  const told = of('selvedge:client:connectFailed')
  expect(told.slice(0, 3).map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  expect(told[0]).toMatchObject({ client, reason: { code: 'ENOENT' } })
})

test('a broker tells of a slow consumer and of its drain; clients and sockets of a connection that is lost, of a permission, and of what is dropped', async () => {
  hear('selvedge:broker:slowConsumer', 'selvedge:broker:disconnect', 'selvedge:broker:drain')
  hear('selvedge:client:disconnect', 'selvedge:client:permission', 'selvedge:socket:disconnect')
  hear('selvedge:subscription:drop')
  broker = init({
    port: 0,
    maxMemoryBytesPerConnection: 4 * 1024 * 1024,
    isAllowed: ({ subject }) => !subject.startsWith('secret'),
  })
  await broker.waitUntilReady()
  const address = String(broker.address())
  const [ann, bob] = [connect({ address, noCache: true }), connect({ address, noCache: true })]
  clients.push(ann, bob)
  await Promise.all([ann.waitUntilReady(), bob.waitUntilReady()])

  await rejection(ann.subscribe('secret.a'))
  expect(of('selvedge:client:permission')).toEqual([{ client: ann, type: 'sub', subject: 'secret.a' }])

  const subscription = await ann.subscribe('dropped', { maxQueueBytes: 10 })
  for (let n = 0; n < 5; n++) await bob.publish('dropped', 'long enough for one')
  await ann.request('nobody').catch(() => {})
  expect(of('selvedge:subscription:drop').at(-1)).toEqual({
    client: ann,
    subscription,
    pattern: 'dropped',
    queue: subscription.queue,
    dropped: subscription.dropped,
  })

  const listener = bob.socket.listen('chat')
  await listener.waitUntilReady()
  const socket = ann.socket.connect('chat')
  await socket.waitUntilReady()
  const away = disconnection(socket)
  ann.disconnect()
  await away
  expect(of('selvedge:socket:disconnect')).toContainEqual({ socket, subject: 'chat', role: 'client' })
  expect(of('selvedge:client:disconnect')).toMatchObject([{ client: ann }])
  ann.connect()
  await ann.waitUntilReady()

  // It has subscribed, and reads nothing any more.
  const lazy = await joined(broker.address()!.port)
  lazy.say(text('420["subscribe",{"subject":"much","queue":"q"}]'))
  await until(() => bob.interest('much'))
  lazy.socket.pause()
  const payload = Buffer.alloc(1_000_000)
  for (let n = 0; n < 60 && of('selvedge:broker:slowConsumer').length === 0; n++)
    bob.publishSync('much', payload)
  await until(() => of('selvedge:broker:slowConsumer').length > 0)
  expect(of('selvedge:broker:slowConsumer')).toMatchObject([
    { broker, connection: { wire: expect.any(String) }, reason: 'slow_consumer' },
  ])
  lazy.end()

  await broker.drain({ deadline: 100 })
  expect(of('selvedge:broker:drain')).toEqual([{ broker }])
}, 30_000)
