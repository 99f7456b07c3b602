// Messages of a socket that were under way when its connection broke, and come when the next one is in use: the numbers and
// the incarnation that they bear decide, as on any fabric.
import { connect as natsConnect } from '@nats-io/transport-node'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { until } from '../support/events'
import { describeNats, NatsServer } from '../support/nats'
import { numbers } from '../support/sockets'

describeNats('messages of an earlier connection to NATS', () => {
  const server = new NatsServer()
  const clients: Client[] = []
  const gateways: ConatServer[] = []
  const proxies: FaultProxy[] = []
  beforeAll(() => server.start())
  afterAll(() => server.close())
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await Promise.all(gateways.splice(0).map(gateway => gateway.close()))
    await Promise.all(proxies.splice(0).map(proxy => proxy.close()))
  })

  function to(address: string): Client {
    clients.push(connect({ address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }))
    return clients.at(-1)!
  }

  /** A client whose connection can be cut. */
  async function cuttable(target: string, scheme: string): Promise<{ client: Client; proxy: FaultProxy }> {
    const proxy = await faultProxy({ target })
    proxies.push(proxy)
    return { client: to(`${scheme}://127.0.0.1:${proxy.port}`), proxy }
  }

  test.each(['a direct client', 'a client of a gateway'])(
    'come late to %s, and change nothing',
    async who => {
      let [address, scheme] = [server.address, 'nats']
      if (who.endsWith('gateway')) {
        const gateway = init({ port: 0, upstream: server.address })
        gateways.push(gateway)
        await gateway.waitUntilReady()
        ;[address, scheme] = [String(gateway.address()), 'http']
      }
      const { client, proxy } = await cuttable(address.replace('nats:', 'http:'), scheme)
      const stranger = await natsConnect({ servers: server.address })
      const captured: [string, Uint8Array, object][] = []
      const tap = stranger.subscribe('far.>', {
        callback: (_, { subject, data, headers, reply }) => {
          captured.push([subject, data, { headers, ...(reply === undefined ? {} : { reply }) }])
        },
      })
      await stranger.flush()
      const listener = to(server.address).socket.listen('far')
      const [heard, back]: number[][] = [[], []]
      let accepted = 0
      listener.on('connection', socket => {
        accepted++
        socket.on('data', n => {
          heard!.push(n)
          socket.write(n)
        })
      })
      await listener.waitUntilReady()
      const socket = client.socket.connect('far')
      socket.on('data', n => back!.push(n))
      async function talk(first: number, last: number): Promise<void> {
        for (const n of numbers(first, last)) socket.write(n)
        await until(() => back!.length >= last)
      }
      await talk(1, 50)
      // From now on nobody else hears it: a tap counts as interest.
      tap.unsubscribe()
      await stranger.flush()
      expect(await proxy.cut()).toBeGreaterThan(0)
      await talk(51, 100)
      for (const message of captured) stranger.publish(...message)
      await stranger.flush()
      await talk(101, 150)
      expect(captured.length).toBeGreaterThan(2)
      expect([heard, back, accepted, socket.state]).toEqual([numbers(1, 150), numbers(1, 150), 1, 'ready'])
      await stranger.close()
    },
  )
})
