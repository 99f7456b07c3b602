// Any value that @msgpack/msgpack can encode arrives as it would read it, over every way, and to and from a peer that uses it.
import { inspect, isDeepStrictEqual } from 'node:util'
import * as oracle from '@msgpack/msgpack'
import { type Client, connect, decode, encode, init } from 'selvedge'
import { Client as Peer } from '../interop/peers/client'
import { type Dice, dice } from '../support/dice'
import { describeFabrics } from '../support/fabrics'
import { read } from '../support/messages'
import { pair } from '../support/sockets'

const DEEPEST = 5
const LENGTHS = [0, 1, 15, 16, 31, 32, 33, 255, 256, 257, 1000, 65_535, 65_536]
const TEXTS = ['a', 'Z', '0', '\0', '\x7f', '\x80', 'ü', '日', '🌍', '\u2028', '"', '\\']
const INTEGERS = [
  0,
  31,
  32,
  127,
  128,
  255,
  256,
  32_767,
  32_768,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
]

function number({ below, pick, fraction }: Dice): number {
  const sign = below(2) === 0 ? 1 : -1
  switch (below(4)) {
    case 0:
      return sign * pick(INTEGERS)
    case 1:
      return sign * (pick(INTEGERS) + 1)
    case 2:
      return sign * fraction() * 10 ** (below(600) - 300)
    default:
      return pick([Number.NaN, Infinity, -Infinity, -0, 5e-324, 1.7976931348623157e308, 0.1])
  }
}

function text({ below, pick }: Dice): string {
  const length = below(40) === 0 ? pick(LENGTHS) : below(40)
  const ascii = below(2) === 0
  return Array.from({ length }, () => (ascii ? 'x' : pick(TEXTS))).join('')
}

function bytes({ below, pick }: Dice): unknown {
  const raw = Uint8Array.from({ length: below(40) === 0 ? pick(LENGTHS) : below(40) }, () => below(256))
  const whole = raw.subarray(0, raw.length - (raw.length % 8)).slice()
  return pick([
    raw,
    Buffer.from(raw),
    new DataView(raw.buffer),
    new Float64Array(whole.buffer),
    new Int16Array(whole.buffer),
  ])
}

function leaf(chance: Dice): unknown {
  const { below, pick } = chance
  const kinds = [
    () => number(chance),
    () => text(chance),
    () => bytes(chance),
    () => pick([null, undefined, true, false]),
    () => new Date(pick([0, -1, 1, 1e12, 2 ** 32 * 1000, 2 ** 34 * 1000, -8.64e15]) + below(2000)),
    () => new oracle.ExtData(below(100), Uint8Array.from({ length: pick([1, 2, 3, 4, 8, 16, 17]) })),
    () => pick([new Date(NaN), Object.assign(new Error('x'), { code: 1 }), new (class Empty {})()]),
  ]
  return pick(kinds)()
}

function value(chance: Dice, depth = 0): unknown {
  const { below, pick } = chance
  if (depth >= DEEPEST || below(3) > 0) return leaf(chance)
  const length = below(20) === 0 ? pick([15, 16, 17, 40]) : below(6)
  const items = Array.from({ length }, () => value(chance, depth + 1))
  if (below(2) === 0) return items
  // `__proto__` is no key that the library takes.
  return Object.fromEntries(items.map((item, i) => [pick([`k${i}`, String(i), text(chance) || 'k']), item]))
}

/** Jest's own comparison takes seconds for a long buffer. Two invalid dates are alike only when printed. */
function same(got: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(got, wanted)) expect(printed(got)).toBe(printed(wanted))
}

const printed = (any: unknown) => inspect(any, { depth: null, maxArrayLength: null, maxStringLength: null })

const sent = (any: unknown) => Buffer.from(oracle.encode(any, { ignoreUndefined: true }))

function values(seed: number, count: number): { any: unknown; raw: Buffer }[] {
  const chance = dice(seed)
  return Array.from({ length: count }, () => {
    const any = value(chance)
    return { any, raw: sent(any) }
  })
}

test.each([1, 2, 3])('encode and decode do what the library does (seed %i)', seed => {
  for (const { any, raw } of values(seed, 400)) {
    expect(encode({ mesg: any }).equals(raw)).toBe(true)
    same(decode({ data: raw }), oracle.decode(raw))
  }
})

test.each([1, 2, 3])(
  'bytes that were tampered with are refused or read just as by the library (seed %i)',
  seed => {
    const { below } = dice(seed)
    const outcome = (act: () => unknown) => {
      try {
        return { value: act() }
      } catch {
        return 'refused'
      }
    }
    for (const { raw } of values(seed, 300)) {
      if (raw.length > 2000) continue
      const data = Buffer.from(raw.subarray(0, below(3) === 0 ? 1 + below(raw.length) : raw.length))
      data[below(data.length)] = below(256)
      same(
        outcome(() => decode({ data })),
        outcome(() => oracle.decode(data)),
      )
    }
  },
)

describeFabrics('any value', fabric => {
  test.each([11])(
    'arrives by publish, request and write as the library would read it (seed %i)',
    async seed => {
      const { host, guest, server, socket } = await pair(fabric)
      const all = values(seed, 200)
      const subscription = await host.subscribe('any')
      const data = server.iter()
      for (const { any, raw } of all) {
        guest.publishSync('any', any)
        const message = (await read(subscription, 1))[0]!
        expect(message.raw.equals(raw)).toBe(true)
        same(message.data, oracle.decode(raw))
        socket.write(any)
        same((await data.next()).value![0], oracle.decode(raw))
      }
      server.on('request', message => void message.respond(message.data))
      for (const { any, raw } of all.slice(0, 50)) {
        // There and back: what was read once is written again.
        const there = oracle.decode(raw)
        same((await socket.request(any)).data, oracle.decode(sent(there)))
      }
    },
  )
})

describe('any value between us and a peer with the library itself', () => {
  let ours: Client
  let peer: Peer

  afterEach(async () => {
    peer.close()
    await ours.close()
  })

  test.each([21])('is the same on both sides (seed %i)', async seed => {
    const broker = init({ port: 0, host: '127.0.0.1' })
    await broker.waitUntilReady()
    const address = `http://127.0.0.1:${broker.address()!.port}`
    ours = connect({ address, noCache: true, wire: 'conat' })
    peer = new Peer(address)
    await peer.untilReady()
    const all = values(seed, 200)
    const received: unknown[] = []
    const echo = peer.subscribe('theirs', message => {
      received.push(message.data)
      void message.respond(message.data)
    })
    await echo.confirmed
    const questions = await ours.subscribe('ours')
    for (const { any, raw } of all) {
      const there = oracle.decode(raw)
      same((await ours.request('theirs', any)).data, oracle.decode(sent(there)))
      same(received.pop(), there)
      const asked = peer.publish('ours', any)
      same((await read(questions, 1))[0]!.data, there)
      await asked
    }
    await broker.close()
  })
})
