// Three gateways, each a process, on three servers of NATS: sockets across them while every server and every gateway is
// killed, and one server frozen.
import { type Client, connect } from 'selvedge'
import { describeNats, type NatsServer, startNatsCluster } from '../support/nats'
import { numbers } from '../support/sockets'
import { type End, endAll, Party, sleep, until } from './party'

const NODES = 3
const SOCKETS_EACH = 15
const ALL_THROUGH_MS = 90_000
const FROZEN_MS = 3000
/** How long the server is frozen that a gateway is left with: after 45 s the gateway gives it up (FROZEN_SECONDS in .ci/run). */
const LONG_FROZEN_MS = Number(process.env.FROZEN_SECONDS ?? 3) * 1000
const GIVEN_UP_MS = 55_000

describeNats('three gateways on three servers of NATS', () => {
  let nodes: NatsServer[] = []
  const clients: Client[] = []

  beforeAll(async () => {
    nodes = await startNatsCluster(NODES)
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await endAll()
  })
  afterAll(async () => {
    await Promise.all(nodes.map(node => node.close()))
  })

  /** A gateway that begins at one server, and knows all. */
  const gateway = (n: number, port = 0) =>
    Party.broker(port, {
      upstream: numbers(0, NODES - 1).map(m => nodes[(n + m) % NODES]!.address),
      id: `gateway${n}`,
    })

  test(`${SOCKETS_EACH * 2} sockets lose nothing and get nothing twice, whatever dies`, async () => {
    const gateways = await Promise.all(numbers(0, NODES - 1).map(n => gateway(n)))
    const at = (n: number) => `http://127.0.0.1:${gateways[n]!.port}`
    const host = await Party.client({ address: at(0) })
    const guests = [await Party.client({ address: at(1) }), await Party.client({ address: at(2) })]
    await host.ask('listen', { subject: 'across' })
    for (const guest of guests) await guest.ask('connect', { subject: 'across', count: SOCKETS_EACH })
    const both = async (): Promise<[End, End][]> => {
      const theirs = (await host.report()).ends
      const ours = (await Promise.all(guests.map(guest => guest.report()))).flatMap(({ ends }) => ends)
      return ours.map(end => [end, theirs.find(other => other.id === end.id)!])
    }
    const got = async () => (await host.report()).ends.reduce((sum, end) => sum + end.got, 0)
    const flows = async (): Promise<void> => {
      const before = await got()
      await until(got, now => now > before + 100, ALL_THROUGH_MS)
    }
    for (const party of [host, ...guests]) await party.ask('talk')
    await until(
      both,
      all => all.length === 2 * SOCKETS_EACH && all.every(([a, b]) => a.got > 5 && b?.got > 5),
      ALL_THROUGH_MS,
    )
    for (const node of nodes) {
      await node.kill()
      await flows()
      await node.start()
    }
    for (const n of numbers(0, NODES - 1)) {
      await gateways[n]!.party.kill()
      gateways[n] = await gateway(n, gateways[n]!.port)
      await flows()
    }
    nodes[0]!.signal('SIGSTOP')
    await sleep(FROZEN_MS)
    nodes[0]!.signal('SIGCONT')
    await flows()
    for (const party of [host, ...guests]) await party.ask('hush')
    const isThrough = ([a, b]: [End, End]): boolean =>
      a.got === b.written && b.got === a.written && a.unsent === 0 && b.unsent === 0
    const all = await until(both, ends => ends.every(isThrough), ALL_THROUGH_MS)
    for (const [a, b] of all) {
      expect({ wrong: [a.wrong, b.wrong], closed: [a.closed, b.closed] }).toEqual({
        wrong: [[], []],
        closed: [[], []],
      })
    }
  }, 300_000)

  test(`a frozen server loses nothing of ${SOCKETS_EACH * 2} sockets, and a gateway leaves it`, async () => {
    // Each begins at one server, and learns of the others there.
    const gateways = await Promise.all(nodes.map(({ address }) => Party.broker(0, { upstream: address })))
    const at = (n: number) => `http://127.0.0.1:${gateways[n]!.port}`
    const host = await Party.client({ address: at(0) })
    const guests = [await Party.client({ address: at(1) }), await Party.client({ address: at(2) })]
    await host.ask('listen', { subject: 'frozen' })
    for (const guest of guests) await guest.ask('connect', { subject: 'frozen', count: SOCKETS_EACH })
    const both = async (): Promise<[End, End][]> => {
      const theirs = (await host.report()).ends
      const ours = (await Promise.all(guests.map(guest => guest.report()))).flatMap(({ ends }) => ends)
      return ours.map(end => [end, theirs.find(other => other.id === end.id)!])
    }
    const flows = async (): Promise<void> => {
      const before = (await both()).map(([a, b]) => [a.got, b?.got ?? 0] as const)
      const isOn = ([a, b]: [End, End], n: number) => a.got > before[n]![0] && b?.got > before[n]![1]
      await until(both, all => all.every(isOn), ALL_THROUGH_MS)
    }
    for (const party of [host, ...guests]) await party.ask('talk', { pause: 20 })
    await flows()
    await nodes[0]!.freeze()
    const thawed = sleep(LONG_FROZEN_MS)
    if (LONG_FROZEN_MS > GIVEN_UP_MS) {
      let isThawed = false
      void thawed.then(() => {
        isThawed = true
      })
      // What was under way before.
      await sleep(1000)
      await flows()
      expect(isThawed).toBe(false)
    }
    await thawed
    nodes[0]!.signal('SIGCONT')
    await flows()
    for (const party of [host, ...guests]) await party.ask('hush')
    const isThrough = ([a, b]: [End, End]): boolean =>
      a.got === b?.written && b.got === a.written && a.unsent === 0 && b.unsent === 0
    const all = await until(both, ends => ends.every(isThrough), ALL_THROUGH_MS)
    expect(all.map(([a, b]) => [a.wrong, b.wrong, a.closed, b.closed])).toEqual(
      all.map(() => [[], [], [], []]),
    )
  }, 300_000)

  test('a subscription at one gateway is known at all, and a queue group is one over all', async () => {
    const gateways = await Promise.all(numbers(0, NODES - 1).map(n => gateway(n)))
    for (const { port } of gateways) {
      clients.push(connect({ address: `http://127.0.0.1:${port}`, noCache: true }))
    }
    const [one, two, three] = clients as [Client, Client, Client]
    await one.subscribe('news')
    for (const client of [two, three]) expect(await client.waitForInterest('news')).toBe(true)
    expect((await two.publish('news', 1)).count).toBe(1)
    const counts = [0, 0, 0]
    const members = await Promise.all(clients.map(client => client.subscribe('jobs', { queue: 'workers' })))
    const done = new Promise<void>(resolve => {
      for (const [n, member] of members.entries()) {
        member.emitter.on('message', () => {
          counts[n]! += 1
          if (counts[0]! + counts[1]! + counts[2]! === 150) resolve()
        })
      }
    })
    await Promise.all(clients.map(client => client.waitForInterest('jobs')))
    for (let n = 0; n < 150; n++) expect((await one.publish('jobs', n)).count).toBe(1)
    await done
    expect(counts.reduce((sum, count) => sum + count)).toBe(150)
  }, 60_000)
})
