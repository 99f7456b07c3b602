// Three servers of NATS in a cluster: sockets across them, while one after the other is killed and started again.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type Client, connect } from 'selvedge'
import { describeNats, NatsServer } from '../support/nats'
import { numbers } from '../support/sockets'

const NODES = 3
const BATCH = 200

/** Ports that were free a moment ago: routes have to be known before anybody listens. */
async function freePorts(count: number): Promise<number[]> {
  const servers = numbers(1, count).map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}

describeNats('a cluster of NATS whose servers are killed one after the other', () => {
  let nodes: NatsServer[] = []
  const clients: Client[] = []

  beforeAll(async () => {
    const ports = await freePorts(NODES)
    const routes = ports.map(port => `"nats://127.0.0.1:${port}"`).join(', ')
    nodes = ports.map(
      (port, n) =>
        new NatsServer(`server_name: n${n}
          cluster { name: test, listen: "127.0.0.1:${port}", routes: [${routes}] }`),
    )
    await Promise.all(nodes.map(node => node.start()))
  })
  afterAll(async () => {
    await Promise.all(clients.map(client => client.close()))
    await Promise.all(nodes.map(node => node.close()))
  })

  /** A client that begins at one node, and knows all. */
  function client(first: number): Client {
    const order = numbers(0, NODES - 1).map(n => nodes[(first + n) % NODES]!.address)
    const made = connect({
      address: order.join(','),
      noCache: true,
      reconnectionDelay: 5,
      reconnectionDelayMax: 50,
    })
    clients.push(made)
    return made
  }

  test('sockets across it lose nothing, get nothing twice, and none closes', async () => {
    const host = client(0)
    const listener = host.socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    const sockets = numbers(0, NODES * 2 - 1).map(n => client(n).socket.connect('echo'))
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
    const closed: unknown[] = []
    const all = sockets.map(socket => {
      socket.on('closed', reason => closed.push(reason))
      const got: unknown[] = []
      let wake = () => {}
      socket.on('data', data => {
        got.push(data)
        wake()
      })
      const reached = (count: number) =>
        new Promise<void>(resolve => {
          wake = () => got.length >= count && resolve()
          wake()
        })
      return { got, reached }
    })
    const expected: unknown[] = []
    for (const [round, node] of [...nodes, undefined].entries()) {
      const batch = numbers(round * BATCH, (round + 1) * BATCH - 1)
      for (const socket of sockets) for (const n of batch) socket.write(n)
      await Promise.all(all.map(one => one.reached(expected.length + 1)))
      expected.push(...batch)
      if (node === undefined) break
      await node.kill()
      for (const socket of sockets) socket.write(`without ${round}`)
      expected.push(`without ${round}`)
      await Promise.all(all.map(one => one.reached(expected.length)))
      await node.start()
    }
    await Promise.all(all.map(one => one.reached(expected.length)))
    for (const { got } of all) expect(got).toEqual(expected)
    expect(closed).toEqual([])
  }, 120_000)

  test('a subscription at one server is known at the others, and a queue group is one over all', async () => {
    const [one, two, three] = [client(0), client(1), client(2)]
    const subscription = await one.subscribe('news')
    expect(await two.waitForInterest('news', { timeout: 10_000 })).toBe(true)
    expect(await three.waitForInterest('news', { timeout: 10_000 })).toBe(true)
    expect((await two.publish('news', 1)).count).toBe(1)
    let count = 0
    const members = await Promise.all([one, two, three].map(at => at.subscribe('jobs', { queue: 'workers' })))
    const done = new Promise<void>(resolve => {
      for (const member of members) member.emitter.on('message', () => ++count === 100 && resolve())
    })
    await Promise.all([one, two, three].map(at => at.waitForInterest('jobs', { timeout: 10_000 })))
    for (let n = 0; n < 100; n++) expect((await one.publish('jobs', n)).count).toBe(1)
    await done
    expect(count).toBe(100)
    subscription.close()
    for (const member of members) member.close()
  })
})
