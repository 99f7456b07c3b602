// The headline: the broker dies again and again with all that it knew, a client is frozen meanwhile, and nothing is lost.
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { type End, endAll, Party, type Report, sleep, until, WIRES } from './party'

const KILLS = 8
const FROZEN_MS = 2500
const ALL_THROUGH_MS = 20_000

let proxy: FaultProxy | undefined

afterEach(async () => {
  await endAll()
  await proxy?.close()
  proxy = undefined
})

/** The two ends of each socket. */
function pairs(clientSide: Report, serverSide: Report): [End, End][] {
  return clientSide.ends.map(end => [end, serverSide.ends.find(other => other.id === end.id)!])
}

const isThrough = (all: [End, End][]): boolean =>
  all.every(([a, b]) => a.got === b.written && b.got === a.written && a.unsent === 0 && b.unsent === 0)

describe.each(WIRES)('%s wire', wire => {
  test.each(['straight', 'over a bad network'])(
    `four sockets, the broker killed ${KILLS} times, a client frozen: everything once, in order; %s`,
    async way => {
      let broker = await Party.broker()
      const { port } = broker
      // The client's way leads through a proxy that only relays, or delays and crumbles what passes.
      proxy = await faultProxy({ target: port, seed: 11 })
      if (way !== 'straight') proxy.set({ latency: 3, jitter: 15, slice: 700 })
      const host = await Party.client({ address: `http://127.0.0.1:${port}`, wire })
      const guest = await Party.client({ address: proxy.address, wire })
      await host.ask('listen', { subject: 'four' })
      await guest.ask('connect', { subject: 'four', count: 4 })
      const both = async (): Promise<[End, End][]> => pairs(await guest.report(), await host.report())
      // A frozen process does not answer: what the server has got tells as much.
      const got = async (): Promise<number> =>
        (await host.report()).ends.reduce((sum, end) => sum + end.got, 0)
      await host.ask('talk')
      await guest.ask('talk')
      await until(both, all => all.length === 4 && all.every(([a, b]) => a.got > 20 && b.got > 20), 20_000)

      let frozen: Promise<void> | undefined
      let restarted = 0
      for (let round = 0; round < KILLS; round++) {
        await broker.party.kill()
        if (round === 2) {
          await guest.freeze()
          frozen = sleep(FROZEN_MS).then(() => guest.thaw())
        }
        broker = await Party.broker(port)
        restarted = Date.now()
        // Some die before anybody is back, some in mid-traffic.
        if (round % 2 === 1 && round !== 3) {
          const before = await got()
          await until(got, now => now > before + 20, ALL_THROUGH_MS)
        } else await sleep(100)
      }
      await frozen
      await guest.ask('hush')
      await host.ask('hush')
      const all = await until(both, isThrough, ALL_THROUGH_MS)
      const took = Date.now() - restarted

      for (const [a, b] of all) {
        expect({ wrong: [a.wrong, b.wrong], closed: [a.closed, b.closed] }).toEqual({
          wrong: [[], []],
          closed: [[], []],
        })
        expect([a.state, b.state]).toEqual(['ready', 'ready'])
        expect(a.written).toBeGreaterThan(100)
      }
      expect(all).toHaveLength(4)
      expect(took).toBeLessThan(ALL_THROUGH_MS)
      expect([(await guest.report()).broken, (await host.report()).broken]).toEqual([[], []])
      expect([guest.stderr, host.stderr]).toEqual(['', ''])
      const messages = all.reduce((sum, [a, b]) => sum + a.written + b.written, 0)
      console.info(`${wire}, ${way}: ${messages} messages, all through ${took} ms after the last restart`)
    },
    150_000,
  )
})
