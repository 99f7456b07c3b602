// NATS dies under two gateways, and is back: sockets across them know it within a second, and lose nothing.
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { until } from '../support/events'
import { describeNats, NatsServer } from '../support/nats'
import { disconnection, join, listening, numbers, take } from '../support/sockets'

/** How a call that fails does. */
function outcome(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'done',
    error => [error.code, error.message],
  )
}

type Join = (gateway: ConatServer) => Client

/** The ways to plug in of clients that are told of ends. */
const WAYS: readonly [string, Join][] = [
  ['in-process', gateway => gateway.client()],
  ['over TCP', gateway => connect({ address: `http://127.0.0.1:${gateway.address()!.port}`, noCache: true })],
  [
    'over WebSocket',
    gateway => connect({ address: `ws://127.0.0.1:${gateway.address()!.port}`, noCache: true }),
  ],
]
/** Of a second that is promised, and what a busy machine adds; far less than what keep-alive takes. */
const SOON = 4000

describeNats('NATS that dies under gateways', () => {
  const nats = new NatsServer()
  const clients: Client[] = []
  let gateways: ConatServer[] = []
  beforeAll(() => nats.start())
  afterAll(() => nats.close())
  beforeEach(async () => {
    gateways = [1, 2].map(() => init({ port: 0, upstream: nats.address }))
    await Promise.all(gateways.map(gateway => gateway.waitUntilReady()))
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await Promise.all(gateways.map(gateway => gateway.close()))
    await nats.kill()
    await nats.start()
  })

  describe.each(WAYS)('with clients %s', (way, joinBy) => {
    const at = (gateway: number): Client => {
      const client = joinBy(gateways[gateway]!)
      clients.push(client)
      return client
    }

    test('lets sockets across them wait as for a broker of their own, and only those', async () => {
      const listener = await listening(at(0), 'far', { resumeTimeout: 1000 })
      const [theirs, ours] = await join(listener, at(1), { resumeTimeout: 1000 })
      const [near, neighbour] = await join(listener, at(0))
      const closed: string[] = []
      for (const socket of [theirs, ours, near, neighbour]) {
        socket.on('closed', reason => closed.push(String(reason)))
      }
      const lost = Promise.all([disconnection(theirs), disconnection(ours)])
      const since = Date.now()
      await nats.kill()
      for (const reasons of await lost) {
        expect(reasons).toMatchObject([
          { code: 'ERR_PEER_SILENT', message: expect.stringContaining('upstream') },
        ])
      }
      expect(Date.now() - since).toBeLessThan(SOON)
      for (const socket of [theirs, ours]) socket.write('meanwhile')
      neighbour.write('here')
      expect(await take(near, 1)).toEqual(['here'])
      expect([near.state, neighbour.state]).toEqual(['ready', 'ready'])
      // Longer than they wait for each other: that time does not run while nobody can know.
      await new Promise(resolve => setTimeout(resolve, 3000))
      const got = Promise.all([take(theirs, 1), take(ours, 1)])
      await nats.start()
      expect(await got).toEqual([['meanwhile'], ['meanwhile']])
      await Promise.all([theirs.waitUntilReady(), ours.waitUntilReady()])
      expect(closed).toEqual([])
    })

    test('loses nothing of what flows while it dies again and again', async () => {
      const listener = await listening(at(0), 'flow')
      const [theirs, ours] = await join(listener, at(1))
      const got = Promise.all([take(theirs, 300), take(ours, 300)])
      for (const n of numbers(1, 3)) {
        for (const socket of [theirs, ours]) for (const m of numbers(1, 50)) socket.write(100 * n + m)
        await nats.kill()
        for (const socket of [theirs, ours]) for (const m of numbers(51, 100)) socket.write(100 * n + m)
        // A short outage, and two of which sockets hear.
        await new Promise(resolve => setTimeout(resolve, 400 * (n - 1)))
        await nats.start()
      }
      const all = numbers(1, 3).flatMap(n => numbers(100 * n + 1, 100 * n + 100))
      expect(await got).toEqual([all, all])
    })

    // A handler in this process that does not end is waited for.
    const owes = way === 'in-process' ? [] : [['whose clients owe answers elsewhere', 1, 0] as const]
    test.each([['whose clients wait for answers from elsewhere', 0, 1] as const, ...owes])(
      'a gateway %s drains at once, and they are told',
      async (_case, callerAt, memberAt) => {
        let isAsked: () => void = () => {}
        const asked = new Promise<void>(resolve => (isAsked = resolve))
        const wait = (): Promise<void> => {
          isAsked()
          return new Promise(() => {})
        }
        await at(memberAt).service('work', { wait })
        const caller = at(callerAt)
        const work = caller.call<{ wait(): Promise<void> }>('work', {
          waitForInterest: true,
          timeout: 60_000,
        })
        const outcomes = [outcome(work.wait())]
        await asked
        await nats.kill()
        await until(() => gateways.every(({ totals }) => !totals!.upstream!.ready))
        // What is made now is held.
        outcomes.push(outcome(caller.request('nobody', 1, { timeout: 60_000 })))
        outcomes.push(outcome(caller.publish('nobody', 1, { timeout: 60_000 })))
        await new Promise(resolve => setTimeout(resolve, 100))
        const since = Date.now()
        await gateways[0]!.drain({ spread: 100, deadline: 60_000 })
        expect(Date.now() - since).toBeLessThan(SOON)
        if (callerAt === 0) {
          expect(await Promise.all(outcomes)).toEqual([
            ['EPIPE', expect.stringMatching(/ended|upstream/)],
            [408, expect.stringContaining('drains')],
            [408, expect.stringContaining('drains')],
          ])
        }
      },
    )
  })
})
