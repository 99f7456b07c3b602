// A call that waits for its service is made while the service subscribes, over gateways: it gets its answer.
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { describeNats, NatsServer } from '../support/nats'

interface Work {
  add(a: number, b: number): number
}

const TIMES = 20

describeNats('a wait for interest at a gateway', () => {
  const server = new NatsServer()
  let gateways: ConatServer[] = []
  beforeAll(async () => {
    await server.start()
    gateways = [1, 2].map(() => init({ port: 0, upstream: server.address }))
    await Promise.all(gateways.map(gateway => gateway.waitUntilReady()))
  })
  afterAll(async () => {
    await Promise.all(gateways.map(gateway => gateway.close()))
    await server.close()
  })

  async function at(address: string): Promise<Client> {
    const client = connect({ address, noCache: true })
    await client.waitUntilReady()
    return client
  }

  const addressOf = (place: number) => String(gateways[place]?.address() ?? server.address)

  /** What came of calls each of which is made while its service subscribes; a service is asked by its name. */
  async function outcomes(
    [callersAt, membersAt]: [number, number],
    begin: (caller: Client, member: Client, name: string) => Promise<unknown>[],
  ): Promise<string[]> {
    const found = new Set<string>()
    for (let n = 0; n < TIMES; n++) {
      const [caller, member] = [await at(addressOf(callersAt)), await at(addressOf(membersAt))]
      const name = `work${callersAt}${membersAt}${n}`
      const ended = await Promise.allSettled(begin(caller, member, name))
      for (const one of ended) found.add(one.status === 'fulfilled' ? 'done' : String(one.reason))
      await Promise.all([caller.close(), member.close()])
    }
    return [...found]
  }

  const OF_NATS = 2
  const places: [string, [number, number]][] = [
    ['the same gateway', [0, 0]],
    ['two gateways', [0, 1]],
    ['a gateway and NATS', [0, OF_NATS]],
    ['NATS and a gateway', [OF_NATS, 0]],
  ]
  describe.each(places)('with both ends at %s', (_name, where) => {
    test('ends in the answer of a service that subscribes meanwhile', async () => {
      const found = await outcomes(where, (caller, member, name) => [
        caller.call<Work>(name, { waitForInterest: true, timeout: 8000 }).add(1, 2),
        member.service(name, { add: (a: number, b: number) => a + b }),
      ])
      expect(found).toEqual(['done'])
    })

    test('that is over means that a request has a receiver', async () => {
      const found = await outcomes(where, (caller, member, name) => [
        caller
          .waitForInterest(name, { timeout: 8000 })
          .then(() => caller.request(name, null, { timeout: 8000 })),
        member.subscribe(name, { queue: 'workers' }).then(async subscription => {
          const { value } = await subscription.next()
          await value!.respond('here')
        }),
      ])
      expect(found).toEqual(['done'])
    })

    test('is not needed by a socket that connects while its server begins to listen', async () => {
      const found = await outcomes(where, (caller, member, name) => {
        const listener = member.socket.listen(name)
        listener.on('connection', socket => socket.on('request', request => request.respond('here')))
        return [caller.socket.connect(name).request(null, { timeout: 8000 })]
      })
      expect(found).toEqual(['done'])
    })
  })
})
