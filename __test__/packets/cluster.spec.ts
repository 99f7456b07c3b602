// An intercom of three processes, over every way to plug in: many calls, one process frozen, one killed. Every call is
// settled, and nothing that was said is lost.
import type { ConnectOptions } from 'selvedge'
import { describeFabric, type Kind, OTHER_TRANSPORTS } from '../support/fabrics'
import { describeNats, type NatsServer, startNatsCluster } from '../support/nats'
import { Child } from './child'

interface Nodes {
  a: Child
  b: Child
  c: Child
}

const TIMEOUT = 1500

/** Three processes, each a node. `remote`: how the first, second and third one connects. */
async function startNodes(remote: (index: number) => ConnectOptions): Promise<Nodes> {
  const [a, b, c] = (await Promise.all([1, 2, 3].map(() => Child.start('node.cjs')))) as [Child, Child, Child]
  const nodes = { a, b, c }
  for (const [index, [node, child]] of Object.entries(nodes).entries())
    await child.ask('start', { options: remote(index), node, timeout: TIMEOUT })
  // In a cluster of NATS that has just begun, some may not have heard of the others.
  for (const child of Object.values(nodes)) await child.ask('meet', { count: 3 })
  return nodes
}

async function stopNodes(...nodes: Child[]): Promise<void> {
  for (const child of nodes) {
    expect((await child.ask('report')).broken).toEqual([])
    await child.stop()
  }
}

/** What all calls are when all three answer. */
const whole = (count: number) => ({ whole: count, short: 0, failed: {}, wrong: [] })

function defineTests(remote: (index: number) => ConnectOptions): void {
  test('1000 calls have the answers of all three; one that is frozen is missed in time, one that is killed is no slot', async () => {
    const nodes = await startNodes(remote)
    const { a, b, c } = nodes
    expect(await a.ask('call', { count: 1000, parallel: 50 })).toEqual(whole(1000))
    for (const child of [a, b, c]) expect((await child.ask('report')).handled).toBe(1000)

    // What the others said is in the error.
    await c.freeze()
    const told = await b.ask('call', { count: 20, parallel: 20 })
    expect(told).toEqual({ ...whole(0), failed: { 'ERR_INTERCOM_TIMEOUT of c, 2 responses': 20 } })
    c.signal('SIGCONT')
    expect((await c.ask('report')).broken).toEqual([])
    expect(await b.ask('call', { count: 50, parallel: 10 })).toEqual(whole(50))

    // In the middle of many calls: none of them fails, or waits for what nobody says.
    const calls = a.ask('call', { count: 1000, parallel: 20 })
    await b.ask('call', { count: 50, parallel: 10 })
    c.signal('SIGKILL')
    const { failed, wrong, whole: all, short } = await calls
    expect({ failed, wrong, count: all + short }).toEqual({ failed: {}, wrong: [], count: 1000 })
    expect(await a.ask('call', { count: 100, parallel: 10 })).toEqual({ ...whole(0), short: 100 })
    await stopNodes(a, b)
  }, 60_000)
}

const KINDS: readonly Kind[] = ['conat wire', 'selvedge wire', 'nats', 'gateways', ...OTHER_TRANSPORTS]

for (const kind of KINDS) describeFabric(kind, 'nodes', fabric => defineTests(() => fabric.remote))

describeNats('nodes, each at another server of a cluster of NATS', () => {
  let servers: NatsServer[] = []

  beforeAll(async () => {
    servers = await startNatsCluster(3)
  })
  afterAll(() => Promise.all(servers.map(server => server.close())))

  defineTests(index => ({ address: servers[index]!.address, ignoreDiscovered: true }))
})
