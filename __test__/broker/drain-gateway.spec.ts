// A gateway that drains fails no call: neither those of its own clients, nor those that its clients answer.
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { Caller, failuresOf, goOn, serveWork } from '../support/callers'
import { describeNats, NatsServer } from '../support/nats'

const CALLERS = 10

describeNats('a gateway that drains', () => {
  const server = new NatsServer()
  let closes: (() => Promise<unknown>)[] = []
  let gateways: ConatServer[] = []
  let proxy: FaultProxy
  beforeAll(() => server.start())
  afterAll(() => server.close())
  beforeEach(async () => {
    gateways = [1, 2].map(() => init({ port: 0, upstream: server.address }))
    await Promise.all(gateways.map(gateway => gateway.waitUntilReady()))
    proxy = await faultProxy({ target: gateways[0]!.address()!.port })
    closes = [() => Promise.all(gateways.map(gateway => gateway.close())), () => proxy.close()]
  })
  afterEach(async () => {
    for (const close of closes.reverse()) await close()
  })

  async function join(address: string): Promise<Client> {
    const client = connect({ address, noCache: true, reconnectionDelay: 20, reconnectionDelayMax: 100 })
    closes.push(() => client.close())
    await client.waitUntilReady()
    return client
  }

  test.each([
    ['with callers and members', 'here', 'here'],
    ['with the members', 'there', 'here'],
    ['with the callers', 'here', 'there'],
  ])('calls go on over a gateway that drains %s', async (_name, callersAt, membersAt) => {
    const address = (at: string) => (at === 'here' ? proxy.address : String(gateways[1]!.address()))
    for (let n = 0; n < 3; n += 1) await serveWork(await join(address(membersAt)))
    const clients = await Promise.all(Array.from({ length: CALLERS }, () => join(address(callersAt))))
    const callers = clients.map(client => new Caller(client))
    await goOn(callers, 2)
    proxy.retarget(gateways[1]!.address()!.port)
    // Longer than the test may take: it must not be needed.
    await gateways[0]!.drain({ spread: 300, deadline: 60_000 })
    await goOn(callers, 2)
    await Promise.all(callers.map(caller => caller.stop()))
    expect(failuresOf(callers)).toEqual([])
  })
  test.each([
    ['a socket server with clients at the other one', 'there', 'here'],
    ['clients of a socket server at the other one', 'here', 'there'],
    ['a socket server with its clients', 'here', 'here'],
  ])('does not wait for %s, whose sockets go on', async (_name, clientsAt, serverAt) => {
    const address = (at: string) => (at === 'here' ? proxy.address : String(gateways[1]!.address()))
    const serving = await join(address(serverAt))
    const listener = serving.socket.listen('echo')
    listener.on('connection', socket => socket.on('request', request => request.respond(request.data)))
    await listener.waitUntilReady()
    const clients = await Promise.all(Array.from({ length: CALLERS }, () => join(address(clientsAt))))
    const sockets = clients.map(client => client.socket.connect('echo'))
    const echoes = (text: string) =>
      Promise.all(sockets.map(async socket => (await socket.request(text)).data))
    expect(await echoes('before')).toEqual(sockets.map(() => 'before'))
    // They resume.
    await proxy.cut()
    expect(await echoes('again')).toEqual(sockets.map(() => 'again'))
    proxy.retarget(gateways[1]!.address()!.port)
    const begun = Date.now()
    await gateways[0]!.drain({ spread: 1000, deadline: 60_000 })
    expect(Date.now() - begun).toBeLessThan(5000)
    expect(await echoes('after')).toEqual(sockets.map(() => 'after'))
  })
})
