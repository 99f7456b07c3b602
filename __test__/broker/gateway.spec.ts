// Brokers that are gateways onto one server of NATS: their clients, in every way to plug in, and direct clients of NATS
// are one fabric.
import { once } from 'node:events'
import { type NatsConnection, connect as natsConnect, headers as natsHeaders } from '@nats-io/transport-node'
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  DataEncoding,
  init,
  type ServerOptions,
} from 'selvedge'
import { until } from '../support/events'
import { read, rejection } from '../support/messages'
import { describeNats, NatsServer } from '../support/nats'
import { numbers } from '../support/sockets'

const QUICK: ConnectOptions = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }

const clients: Client[] = []
const brokers: ConatServer[] = []
const strangers: NatsConnection[] = []

afterEach(async () => {
  await Promise.all(strangers.splice(0).map(stranger => stranger.close()))
  await Promise.all(clients.splice(0).map(client => client.close()))
  await Promise.all(brokers.splice(0).map(broker => broker.close()))
})

function gateway(upstream: ServerOptions['upstream'], options: ServerOptions = {}): ConatServer {
  const broker = init({ port: 0, ...options, upstream })
  brokers.push(broker)
  return broker
}

function to(address: string, options: ConnectOptions = {}): Client {
  const made = connect({ ...QUICK, address, ...options })
  clients.push(made)
  return made
}

describeNats('gateways onto one server of NATS', () => {
  const server = new NatsServer()
  beforeAll(() => server.start())
  afterAll(() => server.close())

  let one: ConatServer
  let two: ConatServer
  beforeEach(async () => {
    one = gateway(server.address)
    two = gateway([server.address])
    await Promise.all([one.waitUntilReady(), two.waitUntilReady()])
  })

  /** One client for each way to reach the fabric. */
  function everyWay(): Record<string, Client> {
    const inside = one.client(QUICK)
    clients.push(inside)
    return {
      inside,
      ours: to(String(one.address())),
      conat: to(String(two.address()), { wire: 'conat' }),
      'ours at the other': to(String(two.address()), { wire: 'selvedge' }),
      direct: to(server.address),
    }
  }

  test('everybody hears everybody once, whichever way both have taken', async () => {
    const all = Object.entries(everyWay())
    const heard = new Map<string, unknown[]>(all.map(([name]) => [name, []]))
    await Promise.all(
      all.map(async ([name, client]) => {
        const subscription = await client.subscribe('news.*')
        subscription.emitter.on('message', message => heard.get(name)!.push(message.data))
      }),
    )
    for (const [name, client] of all) {
      for (const n of numbers(1, 20)) client.publishSync(`news.${n}`, `${name} ${n}`)
      expect((await client.publish('news.end', `${name} end`)).count).toBeGreaterThanOrEqual(1)
    }
    const expected = all.flatMap(([name]) => [...numbers(1, 20).map(n => `${name} ${n}`), `${name} end`])
    const inOrder = (got: unknown[], name: string) => got.filter(text => String(text).startsWith(`${name} `))
    for (const [name] of all) {
      await until(() => heard.get(name)!.length >= expected.length)
      expect(heard.get(name)).toHaveLength(expected.length)
      for (const [from] of all) expect(inOrder(heard.get(name)!, from)).toEqual(inOrder(expected, from))
    }
    expect(one.totals!.upstream).toMatchObject({ ready: true, lost: 0 })
  })

  test('a message of 1 KiB goes to a gateway once, however many of its clients hear it', async () => {
    const writer = to(String(one.address()))
    const readers = Array.from({ length: 20 }, () => to(String(two.address())))
    const heard = await Promise.all(readers.map(reader => reader.subscribe('news')))
    await writer.waitForInterest('news')
    const before = [one.totals!.upstream!.sent, two.totals!.upstream!.received]
    for (const n of numbers(1, 100)) writer.publishSync('news', Buffer.alloc(1024, n))
    for (const subscription of heard) await read(subscription, 100)
    const after = [one.totals!.upstream!.sent, two.totals!.upstream!.received]
    for (const [at, { messages, bytes }] of after.entries()) {
      expect(messages - before[at]!.messages).toBe(100)
      expect(bytes - before[at]!.bytes).toBeLessThan(110 * 1024)
    }
  })

  test('a request finds whoever answers, and is told at once that nobody does', async () => {
    const all = Object.entries(everyWay())
    for (const [name, service] of all) {
      const questions = await service.subscribe(`svc.${all.indexOf(all.find(([n]) => n === name)!)}`)
      questions.emitter.on('message', message => message.respond(`${name}: ${message.data}`))
    }
    for (const [name, client] of all) {
      for (const [index, [other]] of all.entries()) {
        expect((await client.request(`svc.${index}`, name)).data).toBe(`${other}: ${name}`)
      }
      const begun = performance.now()
      expect(await rejection(client.request('nobody', 1, { timeout: 30_000 }))).toMatchObject({ code: 503 })
      expect(performance.now() - begun).toBeLessThan(15_000)
    }
  })

  test('many answers to one question come from all gateways', async () => {
    const { inside, conat, direct, ours } = everyWay()
    for (const [index, service] of [inside!, conat!, direct!].entries()) {
      const questions = await service.subscribe('who')
      questions.emitter.on('message', message => message.respond(index))
    }
    const answers: unknown[] = []
    for await (const answer of await ours!.requestMany('who', null, { maxMessages: 3 }))
      answers.push(answer.data)
    expect(answers.sort()).toEqual([0, 1, 2])
  })

  test('a queue group is one over all of them: each message to one member, and every member gets some', async () => {
    const all = Object.values(everyWay())
    const counts = all.map(() => 0)
    let done = 0
    const finished = new Promise<void>(resolve => {
      for (const [index, client] of all.entries()) {
        void client.subscribe('jobs', { queue: 'workers' }).then(subscription =>
          subscription.emitter.on('message', () => {
            counts[index]! += 1
            done += 1
            if (done === 500) resolve()
          }),
        )
      }
    })
    await Promise.all(all.map(client => client.waitForInterest('jobs')))
    await until(() => one.totals!.upstream!.members + two.totals!.upstream!.members >= 4)
    await Promise.all(
      all.map(async client => {
        for (const n of numbers(1, 100)) await client.publish('jobs', n)
      }),
    )
    await finished
    expect(done).toBe(500)
    expect(Math.min(...counts)).toBeGreaterThan(0)
  })

  test('interest is seen, and waited for, across them', async () => {
    const { ours, conat, direct } = everyWay()
    expect(await ours!.interest('late')).toBe(false)
    const waits = [ours!, direct!].map(client => client.waitForInterest('late'))
    await conat!.subscribe('late')
    expect(await Promise.all(waits)).toEqual([true, true])
    expect(await ours!.interest('late')).toBe(true)
    expect(await two.waitForInterest('late')).toBe(true)
    expect(await rejection(ours!.waitForInterest('never', { timeout: 50 }))).toMatchObject({ code: 408 })
  })

  test('sockets connect across them, in order and with large messages among small ones', async () => {
    const all = Object.entries(everyWay())
    const host = all[0]![1]
    const listener = host.socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    const large = Buffer.alloc(3_000_000, 7)
    await Promise.all(
      all.map(async ([, client]) => {
        const socket = client.socket.connect('echo')
        const expected = [...numbers(1, 100), 'large', ...numbers(101, 200)]
        const got: unknown[] = []
        const whole = new Promise<void>(resolve =>
          socket.on('data', data => {
            const isLarge = Buffer.isBuffer(data) && data.equals(large)
            if (got.push(isLarge ? 'large' : data) === expected.length) resolve()
          }),
        )
        for (const value of expected) socket.write(value === 'large' ? large : value)
        await whole
        expect(got).toEqual(expected)
        socket.close()
      }),
    )
  })

  test('a message that is too large for NATS is refused, and a socket takes it', async () => {
    const { ours } = everyWay()
    const large = Buffer.alloc(3_000_000)
    expect(await rejection(ours!.publish('big', large))).toMatchObject({ code: 'ERR_TOO_LARGE' })
    const socket = await ours!.subscribe('answers')
    socket.emitter.on('message', message => message.respond(large))
    expect((await everyWay().conat!.request('answers', 1)).data).toHaveLength(large.length)
  })

  test('a program of another kind takes part, and its garbage harms nobody', async () => {
    const { ours, conat } = everyWay()
    const foreign = await natsConnect({ servers: server.address })
    strangers.push(foreign)
    const json = natsHeaders()
    json.set('Content-Type', 'application/json')
    const sums = await conat!.subscribe('sum')
    sums.emitter.on('message', message =>
      message.respond(message.data[0] + message.data[1], { encoding: DataEncoding.JsonCodec }),
    )
    expect((await foreign.request('sum', '[1,2]', { headers: json, timeout: 20_000 })).json()).toBe(3)
    foreign.subscribe('double', {
      callback: (_, message) =>
        void message.respond(JSON.stringify(message.json<number>() * 2), { headers: json }),
    })
    await foreign.flush()
    expect((await ours!.request('double', 21, { encoding: DataEncoding.JsonCodec })).data).toBe(42)

    const listener = conat!.socket.listen('chat')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    const socket = ours!.socket.connect('chat')
    const inbox: string[] = []
    foreign.subscribe('>', { callback: (_, message) => void inbox.push(message.subject) })
    await foreign.flush()
    const first = once(socket, 'data')
    socket.write('one')
    expect((await first)[0]).toBe('one')
    const packed = natsHeaders()
    packed.set('Sv', '1')
    const unknown = natsHeaders()
    unknown.set('Sv', '999')
    const names = new Set(['chat.server.status', 'chat.server.~.x', 'news', ...inbox])
    for (const subject of names) {
      for (const headers of [packed, unknown, undefined]) {
        foreign.publish(subject, new Uint8Array([255, 0, 1, 2, 3]), headers ? { headers } : {})
      }
    }
    await foreign.flush()
    const second = once(socket, 'data')
    socket.write('two')
    expect((await second)[0]).toBe('two')
    expect(socket.state).toBe('ready')
  })

  test('names that NATS takes for commands are for no client', async () => {
    const { ours, conat } = everyWay()
    for (const client of [ours!, conat!]) {
      for (const subject of ['$JS.API.INFO', '$SYS.REQ.SERVER.PING', '_R_.x', '_SV.watch']) {
        expect(await rejection(client.publish(subject, 1))).toMatchObject({ code: 403 })
        expect(await rejection(client.subscribe(subject))).toMatchObject({ code: 403 })
        expect(await rejection(client.interest(subject))).toMatchObject({ code: 403 })
      }
    }
    const lenient = gateway({ address: server.address, reserved: true })
    await lenient.waitUntilReady()
    const { count } = await to(String(lenient.address())).publish('$MINE.x', 1)
    expect(count).toBe(0)
  })

  test('what a gateway has is gone with it', async () => {
    const { direct } = everyWay()
    await to(String(two.address())).subscribe('there')
    await direct!.waitForInterest('there')
    await two.close()
    await until(async () => !(await direct!.interest('there')))
    expect(await rejection(direct!.request('there', 1))).toMatchObject({ code: 503 })
  })
})

describeNats('a gateway whose NATS is not there, or does not want it', () => {
  test('is not ready, says why, and serves its own clients; once NATS is there it joins', async () => {
    const server = new NatsServer()
    await server.start()
    await server.kill()
    const broker = gateway(server.address, { port: 0 })
    const [state, error] = await once(broker, 'upstream')
    expect([state, error]).toEqual(['away', expect.objectContaining({ code: 'ECONNREFUSED' })])
    const refused = await rejection(broker.waitUntilReady(10))
    expect(refused).toMatchObject({ cause: { code: 'ECONNREFUSED' } })
    const inside = broker.client(QUICK)
    clients.push(inside)
    const subscription = await inside.subscribe('here')
    expect((await inside.publish('here', 1)).count).toBe(1)
    expect((await read(subscription, 1))[0]!.data).toBe(1)
    // Nobody here has it: NATS may know somebody.
    const question = inside.request('elsewhere', 'hi')
    expect(broker.totals!.upstream).toMatchObject({ ready: false })
    await server.start()
    await broker.waitUntilReady()
    expect(await rejection(question)).toMatchObject({ code: 503 })
    await server.close()
  })

  test('a wrong password is told of within a moment, and not repeated', async () => {
    const server = new NatsServer('authorization { user: gate, password: "s@cret" }')
    await server.start()
    const broker = gateway({ address: server.address, user: 'gate', password: 'hunter2' })
    const [state, error] = await once(broker, 'upstream')
    expect([state, error]).toEqual(['away', expect.objectContaining({ code: 'ERR_REFUSED' })])
    expect(JSON.stringify(broker.options) + error.message).not.toContain('hunter2')
    const right = gateway(`nats://gate:s%40cret@127.0.0.1:${server.port}`)
    await right.waitUntilReady()
    expect(JSON.stringify(right.options)).not.toContain('s%40cret')
    await server.close()
  })

  test('what is no list of addresses is refused', () => {
    const code = 'ERR_INVALID_ARG_VALUE'
    for (const upstream of ['http://h', '', [], ['nats://h', 'h:1'], { address: 'h' }, {}]) {
      expect(() => init({ port: 0, upstream } as unknown as ServerOptions)).toThrow(
        expect.objectContaining({ code }),
      )
    }
    const type = 'ERR_INVALID_ARG_TYPE'
    for (const upstream of [5, null, [5], { address: 5 }]) {
      expect(() => init({ port: 0, upstream } as unknown as ServerOptions)).toThrow(
        expect.objectContaining({ code: type }),
      )
    }
    expect(() => init({ port: 0, upstream: { address: 'nats://h', usr: 'a' } } as ServerOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION' }),
    )
  })

  test('NATS permits what its user may, and says so to the client', async () => {
    const server = new NatsServer(`authorization { users: [{ user: gate, password: p, permissions: {
      publish: ["app.>", "_INBOX.>"], subscribe: ["app.>", "_INBOX.>"] } }] }`)
    await server.start()
    const broker = gateway({ address: server.address, user: 'gate', password: 'p' })
    await broker.waitUntilReady()
    const client = to(String(broker.address()))
    expect(await rejection(client.subscribe('secret'))).toMatchObject({ code: 403 })
    expect(await rejection(client.subscribe('secret', { queue: 'q' }))).toMatchObject({ code: 403 })
    expect(await rejection(client.publish('secret', 1))).toMatchObject({ code: 403 })
    await client.subscribe('app.a')
    expect((await client.publish('app.a', 1)).count).toBe(1)
    await server.close()
  })
})
