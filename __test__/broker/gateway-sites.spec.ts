// What the guide says of sites and tenants: a leaf node of NATS with a gateway of its own, and an account of NATS for each tenant.
import { type Client, type ConatServer, connect, init, type ServerOptions } from 'selvedge'
import { rejection } from '../support/messages'
import { describeNats, freePorts, NatsServer } from '../support/nats'
import { join, listening, numbers, take, writeNumbers } from '../support/sockets'

let servers: NatsServer[] = []
let gateways: ConatServer[] = []
let clients: Client[] = []

afterEach(async () => {
  await Promise.all(clients.map(client => client.close()))
  await Promise.all(gateways.map(gateway => gateway.close()))
  await Promise.all(servers.map(server => server.close()))
  servers = []
  gateways = []
  clients = []
})

async function startServer(config: string): Promise<NatsServer> {
  const server = new NatsServer(config)
  servers.push(server)
  await server.start()
  return server
}

async function startGateway(upstream: ServerOptions['upstream']): Promise<ConatServer> {
  const gateway = init({ port: 0, upstream })
  gateways.push(gateway)
  await gateway.waitUntilReady()
  return gateway
}

async function clientOf(gateway: ConatServer): Promise<Client> {
  const client = connect({
    address: String(gateway.address()),
    noCache: true,
    reconnectionDelay: 5,
    reconnectionDelayMax: 50,
  })
  clients.push(client)
  await client.waitUntilReady()
  return client
}

describeNats('a site with a leaf node', () => {
  /** A gateway at the hub, and one at the leaf. */
  async function sites(): Promise<{ hub: ConatServer; leaf: ConatServer; node: NatsServer }> {
    const [port] = await freePorts(1)
    const center = await startServer(`leafnodes { listen: "127.0.0.1:${port}" }`)
    const node = await startServer(
      `leafnodes { remotes: [{ url: "nats://127.0.0.1:${port}" }], reconnect: 1 }`,
    )
    return { hub: await startGateway(center.address), leaf: await startGateway(node.address), node }
  }

  test('is in the same fabric: sockets, requests and interest', async () => {
    const { hub, leaf } = await sites()
    const [host, guest] = [await clientOf(hub), await clientOf(leaf)]
    const listener = await listening(host, 'chat')
    const [server, socket] = await join(listener, guest)
    const [atHost, atGuest] = [take(server, 1000), take(socket, 1000)]
    await Promise.all([writeNumbers(socket, 1, 1000), writeNumbers(server, 1, 1000)])
    expect([await atHost, await atGuest]).toEqual([numbers(1, 1000), numbers(1, 1000)])
    server.on('request', request => request.respond(request.data * 2))
    expect((await socket.request(21)).data).toBe(42)
  })

  test('keeps its sockets when its node is killed and started again', async () => {
    const { hub, leaf, node } = await sites()
    const [host, guest] = [await clientOf(hub), await clientOf(leaf)]
    const listener = await listening(host, 'chat', { resumeTimeout: 60_000 })
    const [server, socket] = await join(listener, guest, { resumeTimeout: 60_000 })
    const arrived = take(server, 300)
    await writeNumbers(socket, 1, 100)
    await node.kill()
    await writeNumbers(socket, 101, 200)
    await node.start()
    await writeNumbers(socket, 201, 300)
    expect(await arrived).toEqual(numbers(1, 300))
  })

  test('keeps the calls of a group to itself, as long as it has a member', async () => {
    const { hub, leaf } = await sites()
    const [far, near, caller] = [await clientOf(hub), await clientOf(leaf), await clientOf(leaf)]
    await far.service('work', { where: () => 'hub' })
    await caller.waitForInterest('work', { timeout: 30_000 })
    const service = await near.service('work', { where: () => 'leaf' })
    const where = (): Promise<string> => caller.call<{ where(): Promise<string> }>('work').where()
    while ((await where()) !== 'leaf');
    const answers = new Set<string>()
    for (let n = 0; n < 50; n++) answers.add(await where())
    expect([...answers]).toEqual(['leaf'])
    await service.drain()
    while ((await where()) !== 'hub');
  })
})

describeNats('tenants with an account of NATS each', () => {
  const ACCOUNTS = `accounts {
    red: { users: [{ user: red, password: r }] }
    blue: { users: [{ user: blue, password: b }] }
  }`

  test('have fabrics of their own: nobody hears, asks or sees those of another', async () => {
    const nats = await startServer(ACCOUNTS)
    const upstream = (user: string, password: string) => ({ address: nats.address, user, password })
    const red = await Promise.all([1, 2].map(() => startGateway(upstream('red', 'r'))))
    const blue = await startGateway(upstream('blue', 'b'))
    const [ann, bob, eve] = [await clientOf(red[0]!), await clientOf(red[1]!), await clientOf(blue)]
    const [heardByAnn, heardByEve] = [await ann.subscribe('news'), await eve.subscribe('news')]
    await bob.waitForInterest('news', { timeout: 30_000 })
    await bob.publish('news', 'for red')
    await eve.publish('news', 'for blue')
    expect([(await heardByAnn.next()).value?.data, (await heardByEve.next()).value?.data]).toEqual([
      'for red',
      'for blue',
    ])
    await ann.service('work', { whose: () => 'red' })
    await bob.waitForInterest('work', { timeout: 30_000 })
    expect(await bob.call<{ whose(): Promise<string> }>('work').whose()).toBe('red')
    expect(await rejection(eve.request('work', 1))).toMatchObject({ code: 503 })
    expect(await rejection(eve.waitForInterest('work', { timeout: 50 }))).toMatchObject({ code: 408 })
    const listener = await listening(ann, 'chat')
    listener.on('connection', socket => socket.write('red'))
    expect(await rejection(eve.socket.connect('chat', { wait: false }).waitUntilReady())).toMatchObject({
      code: 503,
    })
  })
})
