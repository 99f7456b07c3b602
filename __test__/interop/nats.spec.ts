// Programs that use NATS' own client, beside ours.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type NatsConnection, connect as natsConnect, headers as natsHeaders } from '@nats-io/transport-node'
import { type Client, connect, DataEncoding } from 'selvedge'
import { read, readData, rejection } from '../support/messages'
import { describeNats, isNatsAtLeast, NatsServer } from '../support/nats'
import { numbers } from '../support/sockets'

describeNats('a foreign program on NATS', () => {
  const server = new NatsServer()
  let foreign: NatsConnection
  let ours: Client
  beforeAll(() => server.start())
  afterAll(() => server.close())
  beforeEach(async () => {
    foreign = await natsConnect({ servers: server.address })
    ours = connect({ address: server.address, noCache: true })
    await ours.waitUntilReady()
  })
  afterEach(async () => {
    await ours.close()
    await foreign.close()
  })

  const json = natsHeaders()
  json.set('Content-Type', 'application/json')

  test('publishes bytes, text and JSON, with headers', async () => {
    const subscription = await ours.subscribe('in.>')
    const text = natsHeaders()
    text.set('content-type', 'text/plain')
    text.append('Trace', 'a')
    text.append('Trace', 'b')
    foreign.publish('in.bytes', new Uint8Array([1, 2, 3]))
    foreign.publish('in.json', '{"a":[1,null]}', { headers: json })
    foreign.publish('in.text', 'grüß', { headers: text })
    foreign.publish('in.none')
    const [bytes, value, words, none] = await read(subscription, 4)
    expect(bytes!.data).toEqual(Buffer.from([1, 2, 3]))
    expect([value!.data, value!.encoding]).toEqual([{ a: [1, null] }, DataEncoding.JsonCodec])
    expect([words!.data, words!.headers]).toEqual(['grüß', { Trace: ['a', 'b'] }])
    expect(none!.data).toEqual(Buffer.alloc(0))
    subscription.close()
  })

  test('reads what we publish', async () => {
    const messages = foreign.subscribe('out')
    await foreign.flush()
    ours.publishSync('out', Buffer.from('bytes'))
    ours.publishSync('out', { a: 1 }, { encoding: DataEncoding.JsonCodec, headers: { who: 'me', n: 5 } })
    const got = []
    for await (const message of messages) if (got.push(message) === 2) break
    expect(got[0]!.string()).toBe('bytes')
    expect(got[0]!.headers).toBeUndefined()
    expect(got[1]!.json()).toEqual({ a: 1 })
    const fields = got[1]!.headers!
    expect([fields.get('Content-Type'), fields.get('who'), fields.get('Sv-Headers')]).toEqual([
      'application/json',
      'me',
      '{"n":5}',
    ])
  })

  test('asks and is answered in JSON, and answers what we ask', async () => {
    const questions = await ours.subscribe('sum')
    questions.emitter.on('message', message => message.respond(message.data[0] + message.data[1]))
    expect((await foreign.request('sum', '[1,2]', { headers: json, timeout: 10_000 })).json()).toBe(3)
    const messages = foreign.subscribe('double', {
      callback: (_, message) =>
        void message.respond(JSON.stringify(message.json<number>() * 2), { headers: json }),
    })
    await foreign.flush()
    expect((await ours.request('double', 21, { encoding: DataEncoding.JsonCodec })).data).toBe(42)
    messages.unsubscribe()
    await foreign.flush()
    expect(await rejection(ours.request('double', 21))).toMatchObject({ code: 503 })
    questions.close()
  })

  test('is told that nobody is there, and a wait for interest is nothing that it sees', async () => {
    await expect(foreign.request('nobody', '', { timeout: 5000 })).rejects.toThrow()
    const seen: unknown[] = []
    const there = ours.waitForInterest('service')
    foreign.subscribe('service', { callback: (_, message) => void seen.push(message.string()) })
    expect(await there).toBe(true)
    expect(await ours.interest('service')).toBe(true)
    ours.publishSync('service', Buffer.from('first'))
    await ours.publish('service', Buffer.from('second'))
    await foreign.flush()
    // An older server has no traces: it hands the question out as an empty message.
    const isSeen = (text: unknown) => text !== '' || isNatsAtLeast(11)
    expect(seen.filter(isSeen)).toEqual(['first', 'second'])
  })

  test('that taps everything ends all 503: a request ends by its own time', async () => {
    const tap = foreign.subscribe('>')
    await foreign.flush()
    expect(await rejection(ours.request('nobody', 1, { timeout: 100 }))).toMatchObject({ code: 408 })
    tap.unsubscribe()
    await foreign.flush()
    expect(await rejection(ours.request('nobody', 1))).toMatchObject({ code: 503 })
  })

  test('takes its share of a queue group, and no message comes twice', async () => {
    const counts = { ours: 0, foreign: 0 }
    let finish = () => {}
    const done = new Promise<void>(resolve => {
      finish = resolve
    })
    const take = (who: keyof typeof counts) => () => {
      counts[who]++
      if (counts.ours + counts.foreign === 200) finish()
    }
    const subscription = await ours.subscribe('jobs', { queue: 'workers' })
    subscription.emitter.on('message', take('ours'))
    foreign.subscribe('jobs', { queue: 'workers', callback: take('foreign') })
    await foreign.flush()
    for (const n of numbers(1, 200)) ours.publishSync('jobs', n)
    await done
    await ours.publish('jobs-end', 1)
    expect(counts.ours + counts.foreign).toBe(200)
    expect(Math.min(counts.ours, counts.foreign)).toBeGreaterThan(20)
    subscription.close()
  })

  test('cannot harm by garbage: a subscription, an inbox and a socket go on', async () => {
    const listener = ours.socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    const guest = connect({ address: server.address, noCache: true })
    const socket = guest.socket.connect('echo')
    await socket.waitUntilReady()
    const subscription = await ours.subscribe('plain')
    // Everything that goes to and fro, so that the garbage comes to real subjects.
    const subjects = new Set(['plain'])
    const tap = foreign.subscribe('>', { callback: (_, message) => void subjects.add(message.subject) })
    await foreign.flush()
    socket.write('before')
    const echoes: unknown[] = []
    const both = new Promise<void>(resolve => socket.on('data', data => echoes.push(data) === 2 && resolve()))
    const asked = await ours.subscribe('asked')
    asked.emitter.on('message', message => message.respond(message.data))
    expect((await guest.request('asked', 1)).data).toBe(1)
    await foreign.flush()
    tap.unsubscribe()
    const sv = (value: string) => {
      const block = natsHeaders()
      block.set('Sv', value)
      return block
    }
    const broken = natsHeaders()
    broken.set('Sv-Headers', '{no json')
    const unavailable = natsHeaders(503, 'forged')
    for (const subject of subjects) {
      if (subject === 'plain' || subject === 'asked') continue
      for (const block of [sv('1'), sv('999'), sv('probe'), broken, unavailable]) {
        foreign.publish(subject, new Uint8Array([0xff, 0x3f, 0, 1]), { headers: block })
        foreign.publish(subject, '', { headers: block })
      }
    }
    for (const block of [sv('1'), sv('999'), broken]) foreign.publish('plain', 'garbage', { headers: block })
    foreign.publish('plain', 'fine')
    await foreign.flush()
    socket.write('after')
    await both
    expect(echoes).toEqual(['before', 'after'])
    expect([socket.state, subjects.size > 3]).toEqual(['ready', true])
    expect((await guest.request('asked', 2)).data).toBe(2)
    expect(await readData(subscription, 1)).toEqual([Buffer.from('fine')])
    asked.close()
    subscription.close()
    await guest.close()
  })
})

describeNats('a stream of JetStream over our subjects', () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-jetstream-'))
  const server = new NatsServer(`jetstream { store_dir: "${folder}" }`)
  beforeAll(() => server.start())
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('counts as a receiver, and answers a request before anybody else', async () => {
    const foreign = await natsConnect({ servers: server.address })
    const stream = { name: 'S', subjects: ['kept.>'], storage: 'memory', retention: 'limits', discard: 'old' }
    const made = await foreign.request('$JS.API.STREAM.CREATE.S', JSON.stringify(stream), { timeout: 20_000 })
    expect(made.json()).not.toHaveProperty('error')
    const ours = connect({ address: server.address, noCache: true })
    expect((await ours.publish('kept.a', 'hi')).count).toBe(1)
    const answer = await ours.request('kept.b', 'hi')
    expect(JSON.parse(String(answer.data))).toMatchObject({ stream: 'S', seq: 2 })
    await ours.close()
    await foreign.close()
  })
})

describeNats('a foreign subscriber that never reads', () => {
  const server = new NatsServer('max_pending: 4MB\nwrite_deadline: "2s"')
  beforeAll(() => server.start())
  afterAll(() => server.close())

  test('is cut off by the server; sockets of who publishes to it wait at most, and none closes', async () => {
    const stuck = createConnection(server.port, '127.0.0.1')
    const isGone = once(stuck, 'close')
    stuck.on('error', () => {})
    stuck.write('CONNECT {"verbose":false}\r\nSUB big 1\r\nPING\r\n')
    await new Promise<void>(resolve => {
      let heard = ''
      stuck.on('data', chunk => {
        heard += chunk
        if (heard.includes('PONG')) resolve()
      })
    })
    stuck.removeAllListeners('data').pause()
    const [host, guest] = [1, 2].map(() => connect({ address: server.address, noCache: true }))
    const listener = host!.socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    const socket = guest!.socket.connect('echo')
    await socket.waitUntilReady()
    const closed: unknown[] = []
    socket.on('closed', reason => closed.push(reason))
    const got: unknown[] = []
    const all = new Promise<void>(resolve => socket.on('data', data => got.push(data) === 60 && resolve()))
    const large = Buffer.alloc(500_000)
    for (const n of numbers(1, 60)) {
      guest!.publishSync('big', large)
      socket.write(n)
    }
    await all
    expect(got).toEqual(numbers(1, 60))
    expect(closed).toEqual([])
    // It notices when it reads.
    stuck.resume()
    await isGone
    await Promise.all([guest!.close(), host!.close()])
  }, 60_000)
})
