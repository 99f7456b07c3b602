// Large messages among small ones of another client, on NATS and over two gateways. Each end is a process; what crosses NATS, and in
// which order, a subscriber by hand sees.
import { describeNats, NatsServer, rawNats } from '../support/nats'
import { type End, endAll, Party, until } from './party'

const LARGE_BYTES = 5_000_000
/** Smaller ones are no pieces of a large message. */
const SMALL_BYTES = 1024
/** Of a gateway's clients; those on NATS have half of it. */
const PIECE_BYTES = 256 * 1024
/** What a piece has beside its bytes. */
const NAMES_BYTES = 1024
const LARGE_ONES = 20
const ALL_THROUGH_MS = 60_000

interface Seen {
  subject: string
  size: number
}

/** The messages that cross a server of NATS. */
async function tap(port: number, pattern: string): Promise<{ seen: Seen[]; close: () => void }> {
  const seen: Seen[] = []
  const raw = await rawNats(port)
  raw.socket.removeAllListeners('data')
  // What is missing of the payload of the last one.
  let missing = 0
  let rest = ''
  raw.socket.on('data', (text: string) => {
    let at = Math.min(missing, text.length)
    missing -= at
    while (at < text.length) {
      const end = text.indexOf('\n', at)
      rest += text.slice(at, end === -1 ? undefined : end)
      if (end === -1) return
      at = end + 1
      const words = rest.trimEnd().split(' ')
      rest = ''
      if (words[0] === 'PING') raw.socket.write('PONG\r\n')
      if (words[0] !== 'MSG' && words[0] !== 'HMSG') continue
      const size = Number(words.at(-1))
      seen.push({ subject: words[1]!, size })
      const there = Math.min(size + 2, text.length - at)
      missing = size + 2 - there
      at += there
    }
  })
  raw.socket.write(`SUB ${pattern} 1\r\n`)
  return { seen, close: () => raw.close() }
}

/** Of each large message: how many small ones have crossed after its first piece and before its last one. */
function between(seen: readonly Seen[]): number[] {
  const full = Math.max(...seen.map(({ size }) => size))
  const large = seen.find(({ size }) => size === full)!.subject
  const counts: number[] = []
  let pieces = 0
  let count = 0
  for (const { subject, size } of seen) {
    if (subject !== large) count += pieces > 0 ? 1 : 0
    else if (size > SMALL_BYTES) {
      pieces += 1
      if (size > full / 2) continue
      // The rest of the message.
      counts.push(count)
      pieces = 0
      count = 0
    }
  }
  return counts
}

describeNats('large messages among small ones', () => {
  const server = new NatsServer()
  beforeAll(() => server.start())
  afterEach(endAll)
  afterAll(() => server.close())

  async function gateway(): Promise<string> {
    const { port } = await Party.broker(0, { upstream: server.address })
    return `http://127.0.0.1:${port}`
  }

  test.each(['NATS', 'two gateways'])(
    '5 MB over %s go in pieces and in order, and messages of another client go between them',
    async way => {
      const [here, there] =
        way === 'NATS' ? [server.address, server.address] : [await gateway(), await gateway()]
      const host = await Party.client({ address: there })
      const [large, small] = [await Party.client({ address: here }), await Party.client({ address: here })]
      await host.ask('listen', { subject: 'mixed' })
      for (const guest of [large, small]) await guest.ask('connect', { subject: 'mixed', count: 1 })
      const { seen, close } = await tap(server.port, 'mixed.server.>')
      await small.ask('talk', { pause: 1 })
      await large.ask('talk', { pause: 1, bytes: LARGE_BYTES })
      const end = async (party: Party): Promise<End> => (await party.report()).ends[0]!
      await until(
        () => end(large),
        ({ written, unsent }) => written - unsent >= LARGE_ONES,
        ALL_THROUGH_MS,
      )
      const through = async (party: Party): Promise<End[]> => {
        await party.ask('hush')
        const { id, written } = await end(party)
        const isThrough = (ends: End[]) => ends.some(end => end.id === id && end.got === written)
        return until(async () => (await host.report()).ends, isThrough, ALL_THROUGH_MS)
      }
      await through(large)
      const ends = await through(small)
      expect(ends.map(({ wrong }) => wrong)).toEqual([[], []])
      close()
      expect(Math.max(...seen.map(({ size }) => size))).toBeLessThanOrEqual(PIECE_BYTES + NAMES_BYTES)
      const counts = between(seen)
      expect(counts.length).toBeGreaterThanOrEqual(LARGE_ONES)
      // If they had to wait, all would cross between two large ones.
      expect(counts.filter(count => count > 0).length).toBeGreaterThan(counts.length / 5)
    },
    120_000,
  )
})
