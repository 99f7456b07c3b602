// What gauges and rare counters say is what there is: those that metrics.spec.ts does not read.
import { once } from 'node:events'
import {
  type Client,
  type ConatServer,
  init,
  type MetricFamily,
  messageData,
  type ServerSocket,
} from 'selvedge'
import { head, joined, Raw, text } from '../hostile/attacker'

const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

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
