// Large messages in parts that come out of order, twice, or not as was said, from a client made by hand: what is handed out
// is whole and right, or nothing.
import { HandMadeSocket } from './hand-made-socket'
import { arena, besiege, come } from './siege'
import { DOORS, packed, varint } from './stranger'

const [BIG, MORE] = [0x89, 0x8a]
const BYTES = 3000

jest.setTimeout(60_000)

besiege()

const WHOLE = packed(BYTES)
const third = (n: number): Buffer => WHOLE.subarray((n * BYTES) / 3, ((n + 1) * BYTES) / 3)
const part = (n: number, isLast = false): [number, boolean] => [n, isLast]

describe.each(DOORS)('chunks of a message, said at the door %s,', door => {
  test.each<[string, [number, boolean][], number]>([
    ['in order', [part(0), part(1), part(2, true)], 1],
    ['of which two are exchanged', [part(0), part(2, true), part(1)], 0],
    ['backwards', [part(2, true), part(1), part(0)], 0],
    ['of which the first comes twice', [part(0), part(0), part(1), part(2, true)], 1],
    ['of which the second comes twice', [part(0), part(1), part(1), part(2, true)], 0],
    ['of which the last comes twice', [part(0), part(1), part(2, true), part(2, true)], 1],
    ['without the first', [part(1), part(2, true)], 0],
    ['without the second', [part(0), part(2, true)], 0],
    ['that begin anew', [part(0), part(1), part(0), part(1), part(2, true)], 1],
    ['with absurd numbers', [part(0), part(2 ** 32 - 1), part(2 ** 31, true)], 0],
  ])('%s', async (row, chunks, whole) => {
    const stranger = await come(door)
    await arena.victim.ask('plain')
    for (const [n, isLast] of chunks) {
      const payload = third(Math.min(n, 2))
      await stranger.say(stranger.message({ subject: 'plain.x', payload, chunk: [row, n, isLast] }))
    }
    await arena.victim.ask('publish', { subject: 'plain.last', bytes: 1 })
    const heard: unknown[] = []
    while (!JSON.stringify(heard).includes('{"bytes":1}')) {
      const more: [unknown, unknown][] = await arena.victim.ask('plain')
      heard.push(...more.map(([data]) => data))
    }
    expect(heard).toEqual([...Array(whole).fill({ bytes: BYTES - 5 }), { bytes: 1 }])
  })
})

let ids = 0

/** What a BIG says: the bytes of all, those of headers, the encoding, and the first bytes. */
const big = (bytes: Buffer, total = BYTES, headers = 0): Buffer =>
  Buffer.concat([varint(total), varint(headers), Buffer.from([0]), bytes])

const PIECES: readonly (readonly [number, Buffer])[] = [
  [BIG, big(third(0))],
  [MORE, third(1)],
  [MORE, third(2)],
]

describe.each(DOORS)('pieces of a message to a socket, said at the door %s,', door => {
  async function attach(): Promise<HandMadeSocket> {
    const id = `fragments-${++ids}`
    const [socket] = await HandMadeSocket.attach(
      await come(door),
      'victim',
      await arena.victim.ask('server'),
      [id],
    )
    return socket!
  }

  /** What the server has seen of it, as soon as that is something. */
  async function seen(id: string): Promise<{ data: unknown[]; closed: string | null }> {
    for (;;) {
      const record = await arena.victim.ask('seen', { id })
      if (record.data.length > 0 || record.closed !== null) return record
    }
  }

  test.each([
    ['in order', [2, 3]],
    ['exchanged', [3, 2]],
    ['each twice', [1, 2, 2, 3, 3]],
    ['again and again, in any order', [3, 1, 3, 2, 2, 3, 1, 1, 2, 3]],
  ])('%s', async (_, numbers) => {
    const socket = await attach()
    socket.say(...PIECES[0]!, 1)
    await socket.hasCredit()
    for (const seq of numbers) socket.say(...PIECES[seq - 1]!, seq)
    // Others under numbers that were there.
    socket.say(MORE, Buffer.alloc(1000, 7), 2)
    socket.say(BIG, big(third(1)), 1)
    socket.say(0, Buffer.from([7]), 4)
    for (;;) {
      const { data, closed } = await seen(socket.id)
      expect(closed).toBe(null)
      if (data.length < 4) continue
      expect(data.filter((_, n) => n % 2 === 0)).toEqual([{ bytes: BYTES - 5 }, 7])
      break
    }
  })

  test.each<[string, (readonly [number, Buffer])[], code?: string]>([
    ['of which the first is missing', [[MORE, third(1)]]],
    [
      'that are more than was said',
      [
        [BIG, big(third(0), 2000)],
        [MORE, third(1)],
        [MORE, third(2)],
      ],
      'ERR_DECODE',
    ],
    [
      'of which one is more than was said',
      [
        [BIG, big(third(0), 1500)],
        [MORE, third(1)],
      ],
    ],
    ['that are too many to be said', [[BIG, big(third(0), 2 ** 40)]], 'ERR_TOO_LARGE'],
    ['that begin another message in the middle', [PIECES[0]!, PIECES[0]!]],
    ['of no bytes', [PIECES[0]!, [MORE, Buffer.alloc(0)]]],
    ['that are over with the first', [[BIG, big(third(0), 1000)]]],
    ['with more headers than there are bytes', [[BIG, big(third(0), BYTES, BYTES + 1)]]],
    ['of which more come unasked than may', [[BIG, big(packed(200_000).subarray(0, 100_000), 200_000)]]],
    [
      'that are no message when they are whole',
      [
        [BIG, big(third(0), 2000, 1500)],
        [MORE, third(1)],
      ],
    ],
  ])('%s end that socket, and hand out nothing', async (_, pieces, code = 'ERR_SOCKET_PROTOCOL') => {
    const socket = await attach()
    for (const [n, [encoding, payload]] of pieces.entries()) {
      socket.say(encoding, payload, n + 1)
      if (n === 0 && pieces.length > 1) await socket.hasCredit()
    }
    const { data, closed } = await seen(socket.id)
    expect([data, closed]).toEqual([[], code])
  })
})
