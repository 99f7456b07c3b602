// What a server of NATS changes while a client is there: its limits, who may come in, what they may, and whether it stays.
import { once } from 'node:events'
import { type Client, type ConnectOptions, connect } from 'selvedge'
import { until } from '../support/events'
import { rejection } from '../support/messages'
import { describeNats, NatsServer, rawNats } from '../support/nats'
import { disconnection, join, listening, take } from '../support/sockets'

const QUICK: ConnectOptions = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }

describeNats('a server of NATS that changes', () => {
  const clients: Client[] = []
  const servers: NatsServer[] = []
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await Promise.all(servers.splice(0).map(server => server.close()))
  })

  async function started(config: string): Promise<NatsServer> {
    const server = new NatsServer(config)
    servers.push(server)
    await server.start()
    return server
  }

  function client(server: NatsServer, options: ConnectOptions = {}): Client {
    const made = connect({ address: server.address, ...QUICK, ...options })
    clients.push(made)
    return made
  }

  test('to a smaller payload: what is under way is cut anew, and publishes are measured by what it takes now', async () => {
    const server = await started('max_payload: 64KB')
    const [host, guest] = [client(server), client(server)]
    const listener = await listening(host, 'chat')
    const [there, socket] = await join(listener, guest)
    const large = Array.from({ length: 4 }, (_, n) => Buffer.alloc(1_500_000, n + 1))
    expect(await rejection(guest.publish('plain', Buffer.alloc(70_000)))).toMatchObject({
      code: 'ERR_TOO_LARGE',
    })
    expect((await guest.publish('plain', Buffer.alloc(50_000))).count).toBe(0)
    const received = take(there, large.length)
    const first = once(there, 'data')
    for (const data of large) socket.write(data)
    await first
    await server.kill()
    await server.start('max_payload: 16KB')
    const got = await received
    expect(got.map(data => [data.length, data[0]])).toEqual(large.map(data => [data.length, data[0]]))
    expect(await rejection(guest.publish('plain', Buffer.alloc(50_000)))).toMatchObject({
      code: 'ERR_TOO_LARGE',
    })
    expect((await guest.publish('plain', Buffer.alloc(10_000))).count).toBe(0)
    // An answer is cut, as well.
    const asked = await host.subscribe('asked')
    asked.emitter.on('message', message => message.respond(large[0]))
    expect((await guest.request('asked', 1)).data).toHaveLength(1_500_000)
    asked.close()
  })

  const users = (...names: string[]): string =>
    `authorization { users: [${names.map(name => `{ user: ${name}, password: "s@cret" }`).join(', ')}] }`

  test('a user that is removed is told that it is refused, and comes back once it is there again', async () => {
    const server = await started(users('ann', 'bob'))
    const ann = client(server, { user: 'ann', password: 's@cret' })
    const bob = client(server, { user: 'bob', password: 's@cret' })
    await Promise.all([ann.waitUntilReady(), bob.waitUntilReady()])
    const left = disconnection(ann)
    const refused = once(ann, 'signInRefused')
    server.reload(users('bob'))
    await left
    const [error] = await refused
    expect(`${error.message}${error.stack}`).not.toContain('s@cret')
    expect((await bob.publish('nobody', 1)).count).toBe(0)
    server.reload(users('ann', 'bob'))
    while ((await ann.publish('nobody', 1).catch(() => ({ count: -1 }))).count !== 0)
      await new Promise(setImmediate)
  })

  const permitted = (...subjects: string[]): string =>
    `authorization { users: [{ user: ann, password: p, permissions: {
      publish: ">", subscribe: [${[...subjects, '_INBOX.>'].map(subject => `"${subject}"`).join(', ')}] } }] }`

  test('a permission that is taken back ends that subscription and no other, until it is given again', async () => {
    const server = await started(permitted('app.a', 'app.b'))
    const ann = client(server, { user: 'ann', password: 'p' })
    const [one, other] = [await ann.subscribe('app.a'), await ann.subscribe('app.b')]
    const heard: unknown[] = []
    one.emitter.on('message', message => heard.push(message.data))
    const denied = once(ann, 'permission')
    server.reload(permitted('app.b'))
    expect((await denied)[0]).toMatchObject({ subject: 'app.a', type: 'sub' })
    expect((await ann.publish('app.a', 'gone')).count).toBe(0)
    expect((await ann.publish('app.b', 'there')).count).toBe(1)
    server.reload(permitted('app.a', 'app.b'))
    // It asks again by itself.
    await until(async () => (await ann.publish('app.a', 'back')).count !== 0)
    await until(() => heard.includes('back'))
    expect(heard).not.toContain('gone')
    one.close()
    other.close()
  })

  test('the only server says that it will stop: the client stays until it does, and looks for it then', async () => {
    const server = await started('lame_duck_duration: "30s"\nlame_duck_grace_period: "4s"')
    const made = client(server)
    await made.waitUntilReady()
    const raw = await rawNats(server.port)
    const subscription = await made.subscribe('here')
    const left = disconnection(made)
    server.signal('SIGUSR2')
    await raw.until(() => raw.heard.includes('"ldm":true'))
    const told = performance.now()
    expect((await made.publish('here', 1)).count).toBe(1)
    await left
    // It would have moved within two seconds if there were another one.
    expect(performance.now() - told).toBeGreaterThan(3000)
    raw.close()
    await server.kill()
    await server.start('')
    expect((await made.publish('here', 2)).count).toBe(1)
    subscription.close()
  }, 60_000)
})
