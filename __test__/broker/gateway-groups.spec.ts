// Queue groups and clients of one process over gateways: who gets a message, and that nobody gets it twice.
import { connect as natsConnect } from '@nats-io/transport-node'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { until } from '../support/events'
import { describeNats, NatsServer } from '../support/nats'
import { numbers } from '../support/sockets'

describeNats('over gateways', () => {
  const server = new NatsServer()
  const clients: Client[] = []
  const gateways: ConatServer[] = []
  beforeAll(() => server.start())
  afterAll(() => server.close())
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await Promise.all(gateways.splice(0).map(gateway => gateway.close()))
  })

  async function gateway(): Promise<ConatServer> {
    const made = init({ port: 0, upstream: server.address })
    gateways.push(made)
    await made.waitUntilReady()
    return made
  }

  function to(address: string): Client {
    const made = connect({ address, noCache: true })
    clients.push(made)
    return made
  }

  /** Lets so many members join, each at its address, and counts what each of them gets. */
  async function members(addresses: readonly string[], pattern = (_: number) => 'jobs'): Promise<number[]> {
    const counts = addresses.map(() => 0)
    await Promise.all(
      addresses.map(async (address, n) => {
        const subscription = await to(address).subscribe(pattern(n), { queue: 'workers' })
        subscription.emitter.on('message', () => counts[n]!++)
      }),
    )
    return counts
  }

  const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count)

  /** Publishes so many messages by turns, and waits until they have come; then nothing more is under way. */
  async function publish(
    by: readonly Client[],
    subject: string,
    count: number,
    counts: number[],
  ): Promise<void> {
    await Promise.all(by.map(client => client.waitUntilReady()))
    for (const n of numbers(1, count)) by[n % by.length]!.publishSync(subject, n)
    await until(() => sum(counts) >= count)
    await Promise.all(by.map(client => client.publish(`end.${subject}`, 0)))
  }

  test('a group of one member at each of two gateways gets each message once', async () => {
    const addresses = (await Promise.all([gateway(), gateway()])).map(broker => String(broker.address()))
    const counts = await members(addresses)
    await publish(addresses.map(to), 'jobs', 400, counts)
    expect(sum(counts)).toBe(400)
    expect(Math.min(...counts)).toBeGreaterThan(100)
  })

  test('a gateway with ten members gets ten shares, and one with one member gets one', async () => {
    const [many, one] = (await Promise.all([gateway(), gateway()])).map(broker => String(broker.address()))
    const counts = await members([...numbers(1, 10).map(() => many!), one!])
    await publish([to(many!), to(one!)], 'jobs', 1100, counts)
    expect(sum(counts)).toBe(1100)
    // A hundred each: by members, whichever gateway they are at.
    expect(Math.min(...counts)).toBeGreaterThan(50)
    expect(Math.max(...counts)).toBeLessThan(170)
  })

  test('a group with two patterns that a message matches gets it once: groups go by name, as NATS has them', async () => {
    const addresses = (await Promise.all([gateway(), gateway()])).map(broker => String(broker.address()))
    const counts = await members([...addresses, server.address], n => (n === 0 ? 'a.*' : 'a.b'))
    await publish([...addresses, server.address].map(to), 'a.b', 300, counts)
    expect(sum(counts)).toBe(300)
    expect(Math.min(...counts)).toBeGreaterThan(50)
  })

  test('while NATS is away a group at a gateway goes by its name as well', async () => {
    const other = new NatsServer()
    await other.start()
    const broker = init({ port: 0, upstream: other.address })
    gateways.push(broker)
    await broker.waitUntilReady()
    const address = String(broker.address())
    const counts = await members([address, address, address], n => (n === 0 ? 'a.*' : 'a.b'))
    const publisher = to(address)
    await publisher.waitUntilReady()
    await other.close()
    await until(() => !broker.totals!.upstream!.ready)
    const published = await Promise.all(numbers(1, 300).map(n => publisher.publish('a.b', n)))
    expect(new Set(published.map(({ count }) => count))).toEqual(new Set([1]))
    await until(() => sum(counts) >= 300)
    expect((await publisher.publish('a.b', 0)).count).toBe(1)
    await until(() => sum(counts) >= 301)
    expect(sum(counts)).toBe(301)
    expect(Math.min(...counts)).toBeGreaterThan(50)
  })

  test('a gateway, its own client and a direct client, all in one process, are two clients', async () => {
    const broker = await gateway()
    const inside = broker.client()
    clients.push(inside)
    const direct = to(server.address)
    const heard: Record<string, unknown[]> = { inside: [], direct: [] }
    for (const [name, client] of Object.entries({ inside, direct })) {
      const subscription = await client.subscribe('both')
      subscription.emitter.on('message', message => heard[name]!.push(message.data))
    }
    await inside.waitForInterest('both')
    await direct.publish('both', 'from direct')
    expect((await inside.publish('both', 'from inside')).count).toBe(2)
    const stranger = await natsConnect({ servers: server.address })
    stranger.publish('both', 'from a stranger')
    await stranger.flush()
    await until(() => Object.values(heard).every(all => all.length >= 3))
    const texts = (all: unknown[]): string[] => all.map(data => String(data)).sort()
    const all = ['from a stranger', 'from direct', 'from inside']
    expect([texts(heard.inside!), texts(heard.direct!)]).toEqual([all, all])
    // A socket goes from one to the other, and both ways at once.
    for (const [host, guest] of [
      [inside, direct],
      [direct, inside],
    ] as const) {
      const listener = host.socket.listen('echo')
      listener.on('connection', socket => socket.on('data', data => socket.write(data)))
      await listener.waitUntilReady()
      const socket = guest.socket.connect('echo')
      const echo = new Promise(resolve => socket.once('data', resolve))
      socket.write('hi')
      expect(await echo).toBe('hi')
      socket.close()
      listener.close()
    }
    await stranger.close()
  })
})
