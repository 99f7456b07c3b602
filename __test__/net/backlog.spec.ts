// Many connects in a tick against a server with the default backlog: each is accepted or refused, and nothing is left.
// SELVEDGE_NET_CONNECTS=10000 for the long form.
import { once } from 'node:events'
import { over, type Server, sockets } from 'selvedge/net'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'

const MANY = Number(process.env.SELVEDGE_NET_CONNECTS ?? 1500)
/** A client may have 500 subscriptions; each of its sockets needs one. */
const EACH = 400
const BACKLOG = 511

for (const kind of ['in-process', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'a rush', fabric => {
    /** Connects in one tick. Resolves with how often each of them ended how. */
    async function rush(server: Server): Promise<Map<string, number>> {
      const guests = Array.from({ length: Math.ceil(MANY / EACH) }, () => over(fabric.client()))
      const many = Array.from({ length: MANY }, (_, at) =>
        guests[at % guests.length]!.connect(server.subject!, { connectTimeout: 0 }).resume(),
      )
      const ends = many.map(
        socket =>
          new Promise<string>(resolve => {
            socket.on('error', error => resolve((error as NodeJS.ErrnoException).code!))
            socket.on('close', () => resolve('ended'))
          }),
      )
      const counts = new Map<string, number>()
      for (const how of await Promise.all(ends)) counts.set(how, (counts.get(how) ?? 0) + 1)
      return counts
    }

    async function close(server: Server): Promise<void> {
      const closed = once(server, 'close')
      server.close()
      await closed
      await until(() => sockets().length === 0)
    }

    test(`of ${MANY} those over the backlog are refused with ECONNREFUSED, nothing is lost, nothing stays`, async () => {
      const server = over(fabric.client()).createServer(socket => socket.resume().end('welcome'))
      await once(server.listen('rush'), 'listening')
      const counts = await rush(server)
      expect((counts.get('ended') ?? 0) + (counts.get('ECONNREFUSED') ?? 0)).toBe(MANY)
      expect(counts.get('ended')).toBeGreaterThanOrEqual(BACKLOG)
      // It goes on.
      const again = over(fabric.client()).connect('rush')
      expect(String((await once(again, 'data'))[0])).toBe('welcome')
      await close(server)
    }, 60_000)

    // Of one client with raised limits, ten thousand asked twenty thousand times a second, and were told nothing else.
    test('whether anybody listens is asked once for all of a client that connect there', async () => {
      const client = fabric.client()
      const asked = jest.spyOn(client, 'interest')
      const server = over(fabric.client()).createServer({ accept: () => new Promise<void>(() => {}) })
      await once(server.listen('rush'), 'listening')
      const many = Array.from({ length: 100 }, () => over(client).connect('rush'))
      const refused = many.map(
        socket =>
          new Promise(resolve => socket.on('error', error => resolve((error as NodeJS.ErrnoException).code))),
      )
      await until(() => sockets({ state: 'SYN_RECEIVED' }).length >= many.length)
      await until(() => asked.mock.calls.length >= 3)
      expect(asked.mock.calls.length).toBeLessThan(many.length)
      // Who leaves is asked for no more, and the others are.
      many[0]!.destroy()
      server.close()
      expect(new Set(await Promise.all(refused.slice(1)))).toEqual(new Set(['ECONNREFUSED']))
      const before = asked.mock.calls.length
      const next = over(client).connect('rush')
      expect(await once(next, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }])
      expect(asked).toHaveBeenCalledTimes(before + 1)
      await until(() => sockets().length === 0)
    })

    test('while accept has not answered, as many wait as the backlog says', async () => {
      let asked = 0
      const decisions: (() => void)[] = []
      const server = over(fabric.client()).createServer(
        {
          acceptTimeout: 0,
          accept: async () => {
            asked += 1
            await new Promise<void>(resolve => decisions.push(resolve))
          },
        },
        socket => socket.resume().end(),
      )
      await once(server.listen('rush'), 'listening')
      const counted = rush(server)
      const connecting = (): number => sockets({ state: 'SYN_SENT' }).length
      await until(() => asked >= BACKLOG && connecting() <= BACKLOG)
      expect([asked, sockets({ state: 'SYN_RECEIVED' }).length]).toEqual([BACKLOG, BACKLOG])
      for (const decide of decisions) decide()
      expect(await counted).toEqual(
        new Map([
          ['ended', BACKLOG],
          ['ECONNREFUSED', MANY - BACKLOG],
        ]),
      )
      await close(server)
    }, 60_000)
  })
}
