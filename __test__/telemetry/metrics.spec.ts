// Metrics agree with what was sent, whatever carries it, and never fall.
import { once } from 'node:events'
import { connect as dial } from 'node:net'
import {
  type Client,
  type ConatServer,
  init,
  type MetricFamily,
  processMetrics,
  type ServerSocket,
} from 'selvedge'
import { until } from '../support/events'
import { describeFabric, type Kind } from '../support/fabrics'
import { pair } from '../support/sockets'

interface Told {
  metrics(): MetricFamily[]
}

/** The sum of the samples with these labels. */
function value(told: Told | MetricFamily[], name: string, labels: Record<string, string> = {}): number {
  const families = Array.isArray(told) ? told : told.metrics()
  const family = families.find(one => one.name === name)
  if (family === undefined) throw Error(`no ${name}`)
  const found = family.samples.filter(sample =>
    Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  )
  return found.reduce((sum, sample) => sum + (sample.suffix === undefined ? sample.value : 0), 0)
}

const published = (broker: ConatServer) => ({
  messages: value(broker, 'selvedge_broker_published_messages_total'),
  bytes: value(broker, 'selvedge_broker_published_bytes_total'),
})
const delivered = (broker: ConatServer) => ({
  messages: value(broker, 'selvedge_broker_delivered_messages_total'),
  bytes: value(broker, 'selvedge_broker_delivered_bytes_total'),
})
const sent = (client: Client) => ({
  messages: value(client, 'selvedge_client_sent_messages_total'),
  bytes: value(client, 'selvedge_client_sent_bytes_total'),
})
const received = (client: Client) => ({
  messages: value(client, 'selvedge_client_received_messages_total'),
  bytes: value(client, 'selvedge_client_received_bytes_total'),
})
const connections = (broker: ConatServer) => ({
  open: value(broker, 'selvedge_broker_connections'),
  opened: value(broker, 'selvedge_broker_connections_opened_total'),
  closed: value(broker, 'selvedge_broker_connections_closed_total'),
})

const WIRES: readonly [Kind, string][] = [
  ['in-process', 'inprocess'],
  ['conat wire', 'conat'],
  ['selvedge wire', 'selvedge'],
  ['selvedge wire over WebSocket', 'websocket'],
  ['selvedge wire over TLS', 'selvedge'],
  ['conat wire through an HTTP server', 'conat'],
  ['selvedge wire through an HTTP server', 'selvedge'],
  ['gateways', 'selvedge'],
]

for (const [kind, wire] of WIRES) {
  describeFabric(kind, 'metrics', fabric => {
    beforeEach(() => fabric.meetAtOneBroker())

    test('count the messages and the payload bytes that were sent, alone and in bundles, with headers and without', async () => {
      const [writer, reader] = [fabric.client(), fabric.client()]
      const subscription = await reader.subscribe('counted.*')
      const before = { broker: published(fabric.broker), out: delivered(fabric.broker) }
      const start = { writer: sent(writer), reader: received(reader) }
      const payload = Buffer.alloc(100, 7)
      for (let n = 0; n < 500; n++) {
        writer.publishSync('counted.plain', payload)
        if (n % 5 === 0) writer.publishSync('counted.headers', { n }, { headers: { n, text: 'é' } })
      }
      // In the order of the calls: what is confirmed last has all others before it.
      expect(await writer.publish('counted.last', 'x')).toMatchObject({ count: 1 })
      let count = 0
      for await (const { subject } of subscription) {
        count += 1
        if (subject === 'counted.last') break
      }
      expect(count).toBe(601)
      const mine = minus(sent(writer), start.writer)
      expect(mine.messages).toBe(601)
      expect(mine.bytes).toBeGreaterThan(500 * 100)
      expect(minus(published(fabric.broker), before.broker)).toEqual(mine)
      expect(minus(delivered(fabric.broker), before.out)).toEqual(mine)
      expect(minus(received(reader), start.reader)).toEqual(mine)
      expect(fabric.broker.totals!.published).toEqual(published(fabric.broker))
    })

    test('count connections by what carries them, and go on after reconnects', async () => {
      const client = fabric.client()
      await client.waitUntilReady()
      const before = connections(fabric.broker)
      expect(before.open).toBe(before.opened - before.closed)
      expect(value(fabric.broker, 'selvedge_broker_connections', { wire })).toBeGreaterThan(0)
      const counted = published(fabric.broker)
      const scrapes = [fabric.broker.metrics()]
      // Our own protocol has no word for it.
      const labels = { reason: wire === 'selvedge' ? 'network' : 'client' }
      const closed = () => value(fabric.broker, 'selvedge_broker_connections_closed_total', labels) ?? 0
      const closedBefore = closed()
      for (let round = 1; round <= 3; round++) {
        client.disconnect()
        await until(() => connections(fabric.broker).closed === before.closed + round)
        client.connect()
        await client.waitUntilReady()
        await client.publish('again', round)
        scrapes.push(fabric.broker.metrics())
      }
      const after = connections(fabric.broker)
      expect(after).toEqual({ open: before.open, opened: before.opened + 3, closed: before.closed + 3 })
      expect(closed()).toBe(closedBefore + 3)
      expect(published(fabric.broker).messages).toBe(counted.messages + 3)
      expect(value(client, 'selvedge_client_connects_total', { outcome: 'ok' })).toBe(4)
      expectMonotone(scrapes)
    })

    test('count requests by their outcome', async () => {
      const client = fabric.client()
      const answers = await client.subscribe('asked')
      void (async () => {
        for await (const request of answers) if (request.data !== 'silence') request.respondSync(1)
      })()
      const outcomes = () =>
        Object.fromEntries(
          client
            .metrics()
            .find(({ name }) => name === 'selvedge_client_requests_total')!
            .samples.map(sample => [sample.labels.outcome, sample.value]),
        )
      const before = value(fabric.broker, 'selvedge_broker_unheard_requests_total')
      for (let n = 0; n < 20; n++) await client.request('asked', n)
      await expect(client.request('nobody.hears')).rejects.toMatchObject({ code: 503 })
      await expect(client.request('asked', 'silence', { timeout: 20 })).rejects.toMatchObject({ code: 408 })
      const stop = new AbortController()
      const aborted = client.request('asked', 'silence', { signal: stop.signal })
      stop.abort()
      await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' })
      expect(outcomes()).toEqual({
        ok: 20,
        unheard: 1,
        timeout: 1,
        aborted: 1,
        error: 0,
        refused: 0,
        lost: 0,
      })
      expect(value(fabric.broker, 'selvedge_broker_unheard_requests_total')).toBe(before + 1)
    })

    test('count what sockets carry, at both ends, and keep it when they have ended', async () => {
      const { socket, server: peer, listener, guest: ours, host: theirs } = await pair(fabric)
      const heard = new Promise<void>(resolve => {
        let count = 0
        peer.on('data', () => {
          count += 1
          if (count === 200) resolve()
        })
      })
      for (let n = 0; n < 200; n++) socket.write({ n })
      await heard
      await socket.drain()
      const told = (client: Client) => ({
        sent: value(client, 'selvedge_socket_sent_messages_total'),
        received: value(client, 'selvedge_socket_received_messages_total'),
        pending: value(client, 'selvedge_socket_pending_messages'),
        ready: value(client, 'selvedge_sockets', { state: 'ready' }),
        opened: value(client, 'selvedge_sockets_opened_total'),
        closed: value(client, 'selvedge_sockets_closed_total'),
      })
      const open = { pending: 0, ready: 1, opened: 1, closed: 0 }
      expect(told(ours)).toEqual({ sent: 200, received: 0, ...open })
      expect(told(theirs)).toEqual({ sent: 0, received: 200, ...open })
      await socket.end()
      await listener.end()
      await until(() => told(ours).closed === 1 && told(theirs).closed === 1)
      const ended = { pending: 0, ready: 0, opened: 1, closed: 1 }
      expect(told(ours)).toEqual({ sent: 200, received: 0, ...ended })
      expect(told(theirs)).toEqual({ sent: 0, received: 200, ...ended })
      expect(value(ours, 'selvedge_sockets_closed_total', { role: 'client', reason: 'local' })).toBe(1)
      expect(value(theirs, 'selvedge_sockets_closed_total', { role: 'server', reason: 'peer' })).toBe(1)
    })
  })
}

function minus(a: { messages: number; bytes: number }, b: { messages: number; bytes: number }) {
  return { messages: a.messages - b.messages, bytes: a.bytes - b.bytes }
}

function expectMonotone(scrapes: readonly MetricFamily[][]): void {
  const before = new Map<string, number>()
  for (const families of scrapes) {
    for (const { name, type, samples } of families) {
      for (const { suffix = '', labels, value: now } of samples) {
        if (type === 'gauge' || suffix === '_sum') continue
        const key = `${name}${suffix}${JSON.stringify(labels)}`
        const last = before.get(key) ?? 0
        expect({ key, falls: now < last }).toEqual({ key, falls: false })
        before.set(key, now)
      }
    }
  }
}

describe('of one broker', () => {
  let broker: ConatServer

  beforeEach(async () => {
    broker = init({ port: 0, getUser: user, isAllowed: ({ subject }) => !subject.startsWith('secret') })
    await broker.waitUntilReady()
  })
  afterEach(() => broker.close())

  function user({ handshake }: { handshake: { headers: Record<string, string | undefined> } }) {
    if (handshake.headers.who === 'nobody') throw Error('who are you?')
    return { name: handshake.headers.who ?? 'ann' }
  }

  test('refusals are counted by what was refused, and why', async () => {
    const client = broker.client()
    await client.waitUntilReady()
    await expect(client.publish('secret.a', 1)).rejects.toMatchObject({ code: 403 })
    await expect(client.subscribe('secret.b')).rejects.toMatchObject({ code: 403 })
    await expect(client.waitForInterest('secret.c')).rejects.toMatchObject({ code: 403 })
    const refused = (operation: string) =>
      value(broker, 'selvedge_broker_refused_operations_total', { operation, reason: 'permission' })
    expect([refused('publish'), refused('subscribe'), refused('interest')]).toEqual([1, 1, 1])
    await client.close()
  })

  test('callbacks are timed, and their failures counted', async () => {
    const failures: unknown[] = []
    broker.on('callbackFailed', error => failures.push(error))
    const refused = broker.client({ extraHeaders: { who: 'nobody' } })
    await expect(refused.waitUntilSignedIn()).rejects.toMatchObject({ code: 'ERR_SIGN_IN' })
    await refused.close()
    expect(failures).toHaveLength(1)
    expect(value(broker, 'selvedge_broker_callback_failures_total', { callback: 'getUser' })).toBe(1)
    expect(value(broker, 'selvedge_broker_connections_refused_total', { reason: 'sign_in' })).toBe(1)
    expect(value(refused, 'selvedge_client_connects_total', { outcome: 'sign_in' })).toBeGreaterThan(0)
    const timed = broker.metrics().find(({ name }) => name === 'selvedge_broker_callback_duration_seconds')!
    const counts = timed.samples.filter(
      ({ suffix, labels }) => suffix === '_count' && labels.callback === 'getUser',
    )
    expect(counts[0]!.value).toBeGreaterThan(0)
  })

  test('counters stay when it is closed, and those of the process keep what has ended', async () => {
    const total = () => value(processMetrics(), 'selvedge_broker_published_messages_total')
    const before = total()
    const client = broker.client()
    for (let n = 0; n < 10; n++) await client.publish('kept', n)
    const counted = published(broker)
    expect(total() - before).toBe(10)
    await client.close()
    await broker.close()
    expect(published(broker)).toEqual(counted)
    expect(broker.metrics().every(({ type }) => type !== 'gauge')).toBe(true)
    expect(sent(client).messages).toBe(10)
    expect(total() - before).toBe(10)
  })

  test('messages that a subscription drops are counted', async () => {
    const client = broker.client()
    const subscription = await client.subscribe('dropped', { maxQueueBytes: 10 })
    for (let n = 0; n < 5; n++) await client.publish('dropped', 'long enough for one')
    await client.request('nobody').catch(() => {})
    expect(subscription.dropped).toBeGreaterThan(0)
    expect(value(client, 'selvedge_client_subscription_dropped_messages_total')).toBe(subscription.dropped)
    await client.close()
  })
})

test('rooms are counted by who is in at a server, which others there are, and what was lost with one', async () => {
  await using broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  const [one, two, guests] = [broker.client(), broker.client(), broker.client()]
  const listeners = [one, two].map((client, n) => client.socket.listen('chat', { id: `server${n}` }))
  await Promise.all(listeners.map(listener => listener.waitUntilReady()))
  const told = (client: Client): number[] => [
    value(client, 'selvedge_rooms'),
    value(client, 'selvedge_room_members'),
    value(client, 'selvedge_room_peers', { state: 'live' }),
    value(client, 'selvedge_room_peers', { state: 'stale' }),
    value(client, 'selvedge_room_undelivered_broadcasts_total'),
  ]
  expect(told(one)).toEqual([0, 0, 0, 0, 0])
  const members = await Promise.all(
    listeners.map(async listener => {
      const connection = once(listener, 'connection')
      guests.socket.connect('chat', { loadBalancer: () => listener.id })
      return ((await connection) as [ServerSocket])[0]
    }),
  )
  members[0]!.join(['lobby', 'garden'])
  members[1]!.join('lobby')
  await until(() => listeners.every(listener => listener.room('lobby').members.size === 2))
  expect([told(one), told(two)]).toEqual([
    [2, 2, 1, 0, 0],
    [1, 1, 1, 0, 0],
  ])
  expect(value(processMetrics(), 'selvedge_room_members')).toBeGreaterThanOrEqual(3)
  members[0]!.leave('garden')
  expect(told(one).slice(0, 2)).toEqual([1, 1])
  // It goes without a word, and what is written then is not known to have arrived.
  const lost = once(listeners[0]!, 'peerLost')
  two.disconnect()
  await until(() => told(one)[3] === 1)
  for (let n = 0; n < 3; n++) listeners[0]!.to('lobby').write(n)
  expect(await lost).toEqual([{ id: 'server1', undelivered: 3 }])
  expect(told(one)).toEqual([1, 1, 0, 0, 3])
  await Promise.all([one, two, guests].map(client => client.close()))
  expect(told(one)[4]).toBe(3)
  expect(told(one).slice(0, 4)).toEqual([0, 0, 0, 0])
}, 30_000)

test('who looks whether a broker listens, and says nothing, was not refused; who says half of it was', async () => {
  await using broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  const { port } = broker.address()!
  for (const words of ['', 'GET /co']) {
    const socket = dial(port, '127.0.0.1').resume()
    socket.end(words)
    await once(socket, 'close')
  }
  const refused = (): number => value(broker, 'selvedge_broker_connections_refused_total')
  await until(() => refused() > 0)
  expect(refused()).toBe(1)
})
