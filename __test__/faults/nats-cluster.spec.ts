// Three servers of NATS in a cluster: sockets across them, while one after the other is killed and started again.
import { type Client, connect } from 'selvedge'
import { EAGER, Echoes, echo } from '../support/echoes'
import { describeNats, type NatsServer, startNatsCluster } from '../support/nats'
import { numbers } from '../support/sockets'

const NODES = 3
const BATCH = 200

describeNats('a cluster of NATS whose servers are killed one after the other', () => {
  let nodes: NatsServer[] = []
  const clients: Client[] = []

  beforeAll(async () => {
    nodes = await startNatsCluster(NODES)
  })
  afterAll(async () => {
    await Promise.all(clients.map(client => client.close()))
    await Promise.all(nodes.map(node => node.close()))
  })

  /** A client that begins at one node, and knows all. */
  function client(first: number): Client {
    const order = numbers(0, NODES - 1).map(n => nodes[(first + n) % NODES]!.address)
    const made = connect({ address: order.join(','), ...EAGER })
    clients.push(made)
    return made
  }

  test('sockets across it lose nothing, get nothing twice, and none closes', async () => {
    echo(client(0))
    const echoes = new Echoes(numbers(0, NODES * 2 - 1).map(n => client(n).socket.connect('echo')))
    await echoes.ready()
    for (const [round, node] of nodes.entries()) {
      await echoes.begin(round, BATCH)
      await node.kill()
      echoes.write(`without ${round}`)
      await echoes.whole()
      await node.start()
    }
    await echoes.begin(NODES, BATCH)
    await echoes.whole()
    echoes.check()
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
