// What gauges and rare counters say is what there is: those that metrics.spec.ts does not read.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket, connect as tcp } from 'node:net'
import {
  type Client,
  type ConatServer,
  connect,
  init,
  type MetricFamily,
  messageData,
  type ServerSocket,
} from 'selvedge'
import { frame, head, joined, Raw, text } from '../hostile/attacker'
import { until } from '../support/events'

const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

/** The sum of the samples with these labels; of a histogram how many were observed. */
function value(
  told: { metrics(): MetricFamily[] },
  name: string,
  labels: Record<string, string> = {},
): number {
  const family = told.metrics().find(one => one.name === `selvedge_${name}`)
  if (family === undefined) throw Error(`no ${name}`)
  const wanted = family.type === 'histogram' ? '_count' : undefined
  const samples = family.samples.filter(
    ({ suffix, labels: own }) =>
      suffix === wanted && Object.entries(labels).every(([label, text]) => own[label] === text),
  )
  return samples.reduce((sum, sample) => sum + sample.value, 0)
}

async function serve(options = {}): Promise<ConatServer> {
  const broker = init({ port: 0, host: '127.0.0.1', ...options })
  open.push(broker)
  await broker.waitUntilReady()
  return broker
}

function member(broker: ConatServer): Client {
  const client = broker.client()
  open.push(client)
  return client
}

test('of a broker: what it is, its limits, and when it began', async () => {
  const before = Date.now() / 1000
  const broker = await serve({ maxConnections: 7, maxMemoryBytes: 100_000_000 })
  expect(value(broker, 'build_info', { node: process.versions.node })).toBe(1)
  expect(value(broker, 'broker_connections_limit')).toBe(7)
  expect(value(broker, 'broker_memory_limit_bytes')).toBe(100_000_000)
  expect(value(broker, 'broker_start_time_seconds')).toBeGreaterThanOrEqual(Math.floor(before))
  expect(value(broker, 'broker_start_time_seconds')).toBeLessThanOrEqual(Date.now() / 1000)
  expect(() => value(broker, 'broker_upstream_connected')).toThrow()
  const gateway = init({ port: 0, host: '127.0.0.1', upstream: 'nats://127.0.0.1:1' })
  open.push(gateway)
  expect(value(gateway, 'broker_upstream_connected')).toBe(0)
})

test('of a broker: subscriptions, patterns, waits and handshakes', async () => {
  const broker = await serve()
  const [ann, bob] = [member(broker), member(broker)]
  await Promise.all([ann.waitUntilReady(), bob.waitUntilReady()])
  const names = ['broker_subscriptions', 'broker_patterns', 'broker_interest_waits', 'broker_handshakes']
  const told = (): number[] => names.map(name => value(broker, name))
  const before = told()
  const own = value(ann, 'client_subscriptions')
  const subscriptions = [await ann.subscribe('a'), await bob.subscribe('a'), await ann.subscribe('b')]
  const stop = new AbortController()
  const waiting = ann.waitForInterest('c', { signal: stop.signal }).catch(() => {})
  const half = new Raw(broker.address()!.port).say(head(1).slice(0, 40))
  await until(() => value(broker, 'broker_interest_waits') === 1 && value(broker, 'broker_handshakes') === 1)
  expect(told().map((number, at) => number - before[at]!)).toEqual([3, 2, 1, 1])
  expect(value(ann, 'client_subscriptions') - own).toBe(2)
  for (const subscription of subscriptions) subscription.close()
  await bob.subscribe('c')
  await waiting
  half.end()
  await until(() => String(told()) === String([before[0]! + 1, before[1]! + 1, 0, 0]))
})

test('of a broker: what waits for who does not read, until that is cut off; and its drain', async () => {
  const broker = await serve({ maxMemoryBytesPerConnection: 4_000_000 })
  const client = member(broker)
  const lazy = await joined(broker.address()!.port)
  lazy.say(text('420["subscribe",{"subject":"much","queue":"q"}]'))
  await client.waitForInterest('much')
  lazy.socket.pause()
  const payload = Buffer.alloc(500_000)
  for (let n = 0; n < 200 && value(broker, 'broker_outbox_bytes') < 1_000_000; n++)
    await client.publish('much', payload)
  expect(value(broker, 'broker_outbox_messages')).toBeGreaterThanOrEqual(2)
  const [outbox, memory] = [value(broker, 'broker_outbox_bytes'), value(broker, 'broker_memory_bytes')]
  expect(memory).toBeGreaterThanOrEqual(outbox)
  expect(value(broker, 'broker_memory_bytes', { kind: 'outbox' })).toBe(outbox)
  expect(value(broker, 'broker_slow_consumers_total')).toBe(0)
  for (let n = 0; n < 200 && value(broker, 'broker_slow_consumers_total') === 0; n++)
    await client.publish('much', payload).catch(() => {})
  expect(value(broker, 'broker_slow_consumers_total')).toBe(1)
  expect(value(broker, 'broker_connections_closed_total', { reason: 'slow_consumer' })).toBe(1)
  lazy.end()
  expect(value(broker, 'broker_draining')).toBe(0)
  const drained = broker.drain({ deadline: 1000 })
  expect(value(broker, 'broker_draining')).toBe(1)
  await drained
}, 30_000)

test('of a broker: what it keeps for connections, by kind, until they have ended', async () => {
  const broker = await serve()
  const kinds = ['outbox', 'patterns', 'chunks', 'waits', 'other'] as const
  const told = () =>
    Object.fromEntries(kinds.map(kind => [kind, value(broker, 'broker_memory_bytes', { kind })])) as Record<
      (typeof kinds)[number],
      number
    >
  const bystander = member(broker)
  await bystander.waitUntilReady()
  await until(() => told().outbox === 0)
  const before = told()
  const total = value(broker, 'broker_memory_bytes')
  expect(total).toBe(broker.totals!.memoryBytes)

  const client = member(broker)
  await client.subscribe('one.pattern')
  const first = told()
  expect(first.patterns).toBeGreaterThan(before.patterns)
  expect(first.waits).toBe(before.waits)
  await client.subscribe(`another.${'long.'.repeat(100)}pattern`)
  expect(told().patterns - first.patterns).toBeGreaterThan(500)
  const waits = client.waitForInterest(`nobody.${'hears.'.repeat(100)}this`, { timeout: 20_000 })
  await until(() => told().waits - before.waits > 600)
  const { patterns } = told()

  // Of a message in pieces that has no last one.
  const slow = await joined(broker.address()!.port)
  const begun = '["publish",["one.pattern","an-id",0,0,0,{"_placeholder":true,"num":0}]]'
  slow.say(Buffer.concat([text(`451-${begun}`), frame(2, 'half a message')]))
  await until(() => told().chunks > before.chunks)
  expect(told().patterns).toBe(patterns)
  expect(value(broker, 'broker_memory_bytes')).toBe(broker.totals!.memoryBytes)

  slow.end()
  await Promise.all([expect(waits).rejects.toMatchObject({ code: 'ERR_CLOSED' }), client.close()])
  await until(() => value(broker, 'broker_connections') === 1)
  await until(() => told().outbox === 0)
  expect(told()).toEqual(before)
})

test('of a client: what waits for a connection that takes no more', async () => {
  const broker = await serve()
  const held: Socket[] = []
  const relay = createServer(socket => {
    held.push(socket)
    const beyond = tcp(broker.address()!.port, '127.0.0.1')
    socket.pipe(beyond).pipe(socket)
    for (const one of [socket, beyond]) one.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  open.push({ close: async () => void relay.close() })
  const client = connect({
    address: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
    noCache: true,
  })
  open.push(client)
  await client.waitUntilReady()
  expect(value(client, 'client_queued_bytes')).toBe(0)
  // It reads nothing, so that the link fills up.
  held[0]!.unpipe()
  held[0]!.pause()
  const payload = Buffer.alloc(1024 * 1024)
  for (let n = 0; n < 60 && value(client, 'client_queued_bytes') < 10 * payload.length; n++) {
    client.publishSync('much', payload)
    await new Promise(setImmediate)
  }
  expect(value(client, 'client_queued_bytes')).toBeGreaterThanOrEqual(10 * payload.length)
  held[0]!.resume()
  await until(() => value(client, 'client_queued_bytes') === 0)
  await client.close()
  expect(value(client, 'client_queued_bytes')).toBe(0)
}, 30_000)

test('of sockets: how long messages were under way, of one in 64', async () => {
  const broker = await serve()
  const [host, guest] = [member(broker), member(broker)]
  const listener = host.socket.listen('timed')
  const connection = once(listener, 'connection') as Promise<[ServerSocket]>
  const socket = guest.socket.connect('timed')
  // It waits for the socket to be ready, which is no round trip.
  socket.write('early')
  const [server] = await connection
  server.on('data', () => {})
  await socket.drain()
  const count = () => value(guest, 'socket_roundtrip_seconds')
  const sum = () =>
    guest
      .metrics()
      .find(({ name }) => name === 'selvedge_socket_roundtrip_seconds')!
      .samples.find(({ suffix }) => suffix === '_sum')!.value
  expect(count()).toBe(0)
  // 65 are written, and one of them, the last, is timed.
  for (let n = 0; n < 63; n++) socket.write(n)
  await socket.drain()
  expect(count()).toBe(0)
  server.pause()
  const begun = performance.now()
  socket.write('timed')
  await until(() => performance.now() - begun > 20)
  expect(count()).toBe(0)
  server.resume()
  await socket.drain()
  expect(count()).toBe(1)
  expect(sum()).toBeGreaterThanOrEqual(0.02)
  expect(sum()).toBeLessThanOrEqual((performance.now() - begun) / 1000)
  // It stays when the socket has ended.
  for (let n = 0; n < 128; n++) await socket.send(n)
  expect(count()).toBe(3)
  await socket.end()
  expect(count()).toBe(3)
})

test('of sockets: what waits, what is dropped, what is foreign, and what had not arrived', async () => {
  const broker = await serve()
  const [host, guest] = [member(broker), member(broker)]
  const listener = host.socket.listen('chat')
  const connection = once(listener, 'connection') as Promise<[ServerSocket]>
  const socket = guest.socket.connect('chat')
  await socket.waitUntilReady()
  const [server] = await connection
  const heard: unknown[] = []
  server.on('data', data => heard.push(data))
  for (let n = 0; n < 10; n++) socket.write(Buffer.alloc(1000))
  await socket.drain()
  expect(value(guest, 'socket_sent_bytes_total')).toBeGreaterThanOrEqual(10_000)
  expect(value(host, 'socket_received_bytes_total')).toBe(value(guest, 'socket_sent_bytes_total'))
  await guest.publish(`chat.server.${listener.id}.${socket.id}`, 'from nobody')
  await until(() => value(host, 'socket_foreign_messages_total') === 1)

  server.pause()
  for (let n = 0; n < 5; n++) socket.write('waits')
  expect([value(guest, 'socket_pending_messages'), value(guest, 'socket_pending_bytes') > 0]).toEqual([
    5,
    true,
  ])
  server.resume()
  await socket.drain()
  expect([value(guest, 'socket_pending_messages'), value(guest, 'socket_pending_bytes')]).toEqual([0, 0])

  // While it is away: what is volatile is not sent, and what has a short time expires.
  guest.disconnect()
  await until(() => socket.state === 'disconnected')
  socket.write('volatile', { volatile: true })
  socket.write(messageData('late', { ttl: 1 }))
  const later = Date.now() + 5
  await until(() => Date.now() > later)
  guest.connect()
  await socket.waitUntilReady()
  socket.write('last')
  await socket.drain()
  expect(heard.at(-1)).toBe('last')
  expect(heard).not.toContain('late')
  expect(value(guest, 'socket_volatile_dropped_messages_total')).toBe(1)
  expect(value(guest, 'socket_expired_messages_total') + value(host, 'socket_expired_messages_total')).toBe(1)
  for (const client of [guest, host]) {
    const [stats] = client === guest ? [socket.stats] : [server.stats]
    expect(value(client, 'socket_resent_messages_total')).toBe(stats.resent)
    expect(value(client, 'socket_duplicate_messages_total')).toBe(stats.duplicates)
  }

  expect(value(guest, 'client_request_duration_seconds')).toBe(0)
  server.handle(() => 'yes')
  await socket.request('asked')
  expect(value(guest, 'client_request_duration_seconds')).toBe(1)

  server.pause()
  for (let n = 0; n < 3; n++) socket.write('left')
  const closed = once(socket, 'closed')
  server.close()
  const [, undelivered] = await closed
  expect(undelivered).toBeGreaterThan(0)
  expect(value(guest, 'socket_undelivered_messages_total')).toBe(undelivered)
}, 30_000)
