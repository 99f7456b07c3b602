// Clients that come back at another gateway than they left: a balancer sends them anywhere.
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { describeNats, NatsServer } from '../support/nats'
import { disconnection, join, listening, numbers, take } from '../support/sockets'

describeNats('behind a balancer', () => {
  const server = new NatsServer()
  const clients: Client[] = []
  let gateways: ConatServer[] = []
  let proxy: FaultProxy
  beforeAll(() => server.start())
  afterAll(() => server.close())
  beforeEach(async () => {
    gateways = [1, 2].map(() => init({ port: 0, upstream: server.address }))
    await Promise.all(gateways.map(gateway => gateway.waitUntilReady()))
    proxy = await faultProxy({ target: gateways[0]!.address()!.port })
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await proxy.close()
    await Promise.all(gateways.map(gateway => gateway.close()))
  })

  function to(address: string): Client {
    const made = connect({ address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 })
    clients.push(made)
    return made
  }

  test.each(['server', 'client'])(
    'a %s that moves keeps its sockets, though there is another server',
    async who => {
      const near = String(gateways[0]!.address())
      const [host, guest] = who === 'server' ? [to(proxy.address), to(near)] : [to(near), to(proxy.address)]
      const mover = who === 'server' ? host : guest
      const listener = await listening(host, 'chat')
      const [there, socket] = await join(listener, guest)
      const other = await listening(to(near), 'chat')
      const closed: unknown[] = []
      for (const end of [there, socket]) end.on('closed', reason => closed.push(reason))
      const received = [take(there, 200), take(socket, 200)]
      for (const n of numbers(1, 100)) for (const end of [there, socket]) end.write(n)
      for (const gateway of [1, 0, 1]) {
        proxy.retarget(gateways[gateway]!.address()!.port)
        const left = disconnection(mover)
        await proxy.cut()
        await left
        await mover.waitUntilReady()
      }
      for (const n of numbers(101, 200)) for (const end of [there, socket]) end.write(n)
      expect(await Promise.all(received)).toEqual([numbers(1, 200), numbers(1, 200)])
      expect(closed).toEqual([])
      expect(Object.keys(other.sockets)).toEqual([])
    },
  )
})
