// The MessagePack of the page's bundle beside the library that Node.js has: the same bytes, the same values, and what the one
// refuses the other does, too. Half a surrogate pair alone differs: a page's TextEncoder makes it U+FFFD.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as native from 'selvedge'
import { type Dice, dice } from '../support/dice'

const SEEDS = 300

const code = readFileSync(join(__dirname, '../../dist/browser/selvedge.iife.js'), 'utf8')
const page = new Function(`${code}; return selvedge`)() as Pick<
  typeof import('selvedge/browser'),
  'encode' | 'decode'
>

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  127,
  128,
  -32,
  -33,
  -128,
  -129,
  255,
  256,
  65_535,
  65_536,
  -32_769,
  2 ** 31,
  2 ** 32 - 1,
]
const EXTREMES = [
  2 ** 32,
  -(2 ** 31) - 1,
  2 ** 53,
  -(2 ** 53),
  2 ** 63,
  0.5,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
]
const TEXTS = [
  '',
  'a',
  'x'.repeat(31),
  'x'.repeat(32),
  'é'.repeat(128),
  '\u{1F600}'.repeat(40),
  '\uFEFFmark',
  '__proto__',
]

function random(chance: Dice, depth: number): unknown {
  switch (chance.below(depth > 3 ? 8 : 11)) {
    case 0:
      return [null, undefined, true, false][chance.below(4)]
    case 1:
      return NUMBERS[chance.below(NUMBERS.length)]
    case 2:
      return EXTREMES[chance.below(EXTREMES.length)]
    case 3:
    case 4:
      return TEXTS[chance.below(TEXTS.length)]
    case 5:
      return Buffer.alloc(chance.below(300), chance.below(256))
    case 6:
      return new Date(chance.below(2 ** 31) * 1000 + chance.below(1000))
    case 7:
      return new Uint8Array(chance.below(3) * 35_000)
    case 8:
    case 9:
      return Array.from({ length: chance.below(12) }, () => random(chance, depth + 1))
    default:
      return Object.fromEntries(
        Array.from({ length: chance.below(12) }, (_, n) => [
          `${TEXTS[chance.below(5)]}${n}`,
          random(chance, depth + 1),
        ]),
      )
  }
}

const encoding = native.DataEncoding.MsgPack

/** What comes out, in a form that does not ask which of the two made its bytes. */
function outcome(decode: () => unknown): unknown {
  try {
    return plain(decode())
  } catch (error) {
    return (error as native.FabricError).code
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object' || value instanceof Date) return value
  return Object.entries(value).map(([key, one]) => [key, plain(one)])
}

test(`${SEEDS} random values: the same bytes, the same values, and the same bytes are refused`, () => {
  let refused = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const chance = dice(seed)
    const mesg = random(chance, 0)
    const raw = native.encode({ encoding, mesg })
    expect({ seed, same: Buffer.compare(page.encode({ encoding, mesg }), raw) }).toEqual({ seed, same: 0 })
    const values = [native, page].map(({ decode }) => outcome(() => decode({ encoding, data: raw })))
    expect({ seed, value: values[1] }).toEqual({ seed, value: values[0] })
    for (let change = 1; change < 5; change++) {
      const data = Buffer.from(raw)
      if (data.length > 0) data[chance.below(data.length)] = chance.below(256)
      const cut = change === 4 ? data.subarray(0, chance.below(data.length + 1)) : data
      // What is no UTF-8 any more reads differently.
      const [here, there] = [native, page].map(
        ({ decode }) => outcome(() => decode({ encoding, data: cut })) === 'ERR_DECODE',
      )
      if (here) refused += 1
      expect({ seed, data: cut.toString('hex', 0, 100), there }).toEqual({
        seed,
        data: cut.toString('hex', 0, 100),
        there: here,
      })
    }
  }
  expect(refused).toBeGreaterThan(SEEDS / 10)
})

test('what cannot be encoded is refused by both, and names where it is', () => {
  for (const mesg of [() => {}, { a: [Symbol('no')] }, { deep: 1n }]) {
    for (const { encode } of [native, page]) {
      expect(() => encode({ encoding, mesg })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
    }
  }
})
