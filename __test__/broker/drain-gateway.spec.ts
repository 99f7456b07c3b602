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
})
