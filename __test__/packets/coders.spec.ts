// Generated code and the interpreter: the same bytes, results and errors, of what fits and of what does not.
import { isDeepStrictEqual } from 'node:util'
import type { Coder, CoderOptions } from '../../lib/packets/codec/coder'
import { generate } from '../../lib/packets/codec/generate'
import { interpret } from '../../lib/packets/codec/interpret'
import { parseSchema } from '../../lib/packets/codec/schema'
import { type Dice, dice } from '../support/dice'
import { codecOf, hex, outcome, WAYS } from './codecs'
import { randomSchema, randomValue } from './random-schemas'

const OPTIONS: CoderOptions = { packDepth: 64, emptyElements: 1024, areViews: false }

function expectSame(seed: number, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect({ seed, value: actual }).toEqual({ seed, value: expected })
}

test('a value that fits is the business of generated code alone, and comes back as it was', () => {
  const refusing: Coder = {
    write: () => expect('write').toBe('not asked for'),
    read: () => expect('read').toBe('not asked for'),
  } as unknown as Coder
  for (let seed = 0; seed < 2000; seed++) {
    const chance = dice(seed)
    const schema = randomSchema(chance, { isPlain: false })
    const node = parseSchema(schema)
    const generated = generate(node, OPTIONS, refusing)!
    const interpreted = interpret(node, OPTIONS)
    const value = randomValue(chance, schema)
    const bytes = Buffer.alloc(1 << 20)
    const end = generated.write(value, bytes, 5, bytes.length)
    const again = Buffer.alloc(bytes.length)
    expectSame(seed, interpreted.write(value, again, 5, again.length), end)
    expectSame(seed, hex(again.subarray(0, end)), hex(bytes.subarray(0, end)))
    expectSame(seed, generated.read(bytes, 5, end), value)
    expectSame(seed, interpreted.read(bytes, 5, end), value)
  }
})

test('what does not fit is refused with the same words, whether one byte, key or level is wrong', () => {
  let refused = 0
  for (let seed = 0; seed < 2500; seed++) {
    const chance = dice(seed)
    const schema = randomSchema(chance, { isPlain: false })
    const [generated, interpreted] = WAYS.map(way => codecOf(way, schema)) as [Codec, Codec]
    const value = spoiled(chance, randomValue(chance, schema))
    const told = [generated, interpreted].map(codec => outcome(() => hex(codec.encode(value))))
    expectSame(seed, told[0], told[1])
    if (told[0]!.code !== undefined) refused += 1
  }
  expect(refused).toBeGreaterThan(1000)
})

test('of any bytes, decoding refuses, or encoding what it gave gives the same bytes again', () => {
  let taken = 0
  let refused = 0
  for (let seed = 0; seed < 2500; seed++) {
    const chance = dice(seed)
    // MessagePack can say one thing in several ways, and a NaN has many.
    const schema = randomSchema(chance, { isPlain: chance.below(2) === 0 }, 3)
    const [generated, interpreted] = WAYS.map(way => codecOf(way, schema)) as [Codec, Codec]
    const isExact = !/float|packed/.test(JSON.stringify(schema))
    const valid = Buffer.from(generated.encode(randomValue(chance, schema)))
    for (let i = 0; i < 8; i++) {
      const bytes = mutated(chance, valid)
      const told = [generated, interpreted].map(codec => outcome(() => codec.decode(bytes)))
      expectSame(seed, told[0], told[1])
      if (told[0]!.code === undefined) {
        taken += 1
        if (isExact) expectSame(seed, hex(generated.encode(told[0]!.value)), hex(bytes))
      } else {
        refused += 1
        expectSame(seed, told[0]!.code, 'ERR_PACKET_MALFORMED')
      }
    }
  }
  expect(taken).toBeGreaterThan(1000)
  expect(refused).toBeGreaterThan(1000)
})

type Codec = ReturnType<typeof codecOf>

const WRONG = [
  undefined,
  null,
  NaN,
  -1,
  1e10,
  1.5,
  Infinity,
  'text',
  true,
  7n,
  [],
  {},
  [[]],
  Buffer.from([1]),
  () => 1,
]

/** A copy with one thing in it replaced, taken away or added. */
function spoiled(dice: Dice, value: unknown): unknown {
  const isInside = typeof value === 'object' && value !== null && !Buffer.isBuffer(value)
  const keys = isInside ? Object.keys(value) : []
  if (keys.length === 0 || dice.below(4) === 0) return dice.pick(WRONG)
  const key = dice.pick(keys)
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>
  const choice = dice.below(8)
  if (choice === 0) delete copy[key]
  else if (choice === 1 && Array.isArray(copy)) copy.length -= 1
  else copy[key] = spoiled(dice, copy[key])
  return copy
}

function mutated(dice: Dice, valid: Buffer): Buffer {
  const bytes = Buffer.from(valid)
  const choice = dice.below(6)
  if (choice === 0) return bytes.subarray(0, dice.below(bytes.length + 1))
  if (choice === 1) return Buffer.concat([bytes, Buffer.from([dice.below(256)])])
  if (choice === 2) return Buffer.from(Array.from({ length: dice.below(40) }, () => dice.below(256)))
  for (let i = dice.below(3); i >= 0 && bytes.length > 0; i--) {
    bytes[dice.below(bytes.length)] = dice.pick([0, 1, 2, 0x7f, 0x80, 0xff, dice.below(256)])
  }
  return bytes
}

describe.each(WAYS)('a codec that is %s', way => {
  test('changes neither the schema nor the value, and takes frozen ones', () => {
    const freeze = (value: any): any => {
      if (typeof value === 'object' && !Buffer.isBuffer(value))
        Object.values(Object.freeze(value)).forEach(freeze)
      return value
    }
    const schema = freeze({ ' B ': 'BOOLEAN', l: [{ x: ' UInt8 ' }], p: 'packed' })
    const value = freeze({ ' B ': true, l: [{ x: 1 }], p: { deep: [1] } })
    const codec = codecOf(way, schema)
    expect(codec.decode(codec.encode(value))).toEqual(value)
  })

  test('reads inherited keys and getters, once each, and names the key of one that throws', () => {
    let reads = 0
    class Point {
      get x() {
        reads += 1
        return 7
      }
    }
    const codec = codecOf(way, { x: 'uint8' })
    expect(hex(codec.encode(new Point()))).toBe('07')
    expect(reads).toBe(1)
    const throwing = {
      get x() {
        throw Error('not now')
      },
    }
    expect(outcome(() => codec.encode(throwing))).toMatchObject({
      code: 'ERR_PACKET_ENCODE',
      path: 'x',
      message: 'x: not now',
    })
  })

  test('can encode inside of a getter of a value that is being encoded', () => {
    const codec = codecOf(way, { a: 'string', b: 'buffer', c: 'string' })
    const inner = { a: 'x', b: Buffer.from('y'), c: 'z' }
    const value = {
      a: 'before',
      get b() {
        return codec.encode(inner)
      },
      c: 'after',
    }
    const decoded = codec.decode(codec.encode(value)) as typeof inner
    expect([decoded.a, decoded.c]).toEqual(['before', 'after'])
    expect(codec.decode(decoded.b)).toEqual(inner)
  })

  test('gives bytes that stay as they are, however much is encoded afterwards', () => {
    const codec = codecOf(way, { n: 'uint32', s: 'string', l: ['varuint'] })
    const value = (n: number) => ({
      n,
      s: 'é'.repeat(n % 300),
      l: Array.from({ length: n % 50 }, (_, i) => i * n),
    })
    const all = Array.from({ length: 3000 }, (_, n) => codec.encode(value(n)))
    for (const [n, bytes] of all.entries())
      expect(isDeepStrictEqual(codec.decode(bytes), value(n))).toBe(true)
  })

  test('encodes and decodes up to the limit, and refuses one byte more', () => {
    const codec = codecOf(way, 'buffer', { limits: { packetBytes: 1000 } })
    expect(codec.decode(codec.encode(Buffer.alloc(998)))).toEqual(Buffer.alloc(998))
    const tooLarge = { code: 'ERR_PACKET_TOO_LARGE' }
    expect(outcome(() => codec.encode(Buffer.alloc(999)))).toMatchObject(tooLarge)
    expect(outcome(() => codec.decode(Buffer.alloc(1001)))).toMatchObject(tooLarge)
    const texts = codecOf(way, ['string'])
    for (const text of ['a', 'é', '語']) {
      const most = [text.repeat(Math.floor((2 ** 20 - 8) / Buffer.byteLength(text)))]
      expect(texts.decode(texts.encode(most))).toEqual(most)
      expect(outcome(() => texts.encode([...most, 'aaaaaaaaaa']))).toMatchObject(tooLarge)
    }
  })

  test('gives copies of bytes, or views of what it was given', () => {
    const schema = { b: 'buffer' }
    const bytes = Uint8Array.from([2, 7, 8])
    const copy = codecOf(way, schema).decode(bytes) as { b: Buffer }
    const view = codecOf(way, schema, { buffers: 'view' }).decode(bytes) as { b: Buffer }
    expect([copy.b, view.b]).toEqual([Buffer.from([7, 8]), Buffer.from([7, 8])])
    bytes[1] = 9
    expect([copy.b[0], view.b[0]]).toEqual([7, 9])
  })

  test('treats keys as keys, whatever is in them', () => {
    const strange = ["a'+(globalThis.pwned=1)+'", '"];globalThis.pwned=2//', '\n\u2028\u2029', '\\', '`$', '']
    const schema = Object.fromEntries(strange.map(key => [key, 'uint8']))
    const value = Object.fromEntries(strange.map((key, index) => [key, index]))
    const codec = codecOf(way, schema)
    expect(codec.decode(codec.encode(value))).toEqual(value)
    expect((globalThis as { pwned?: unknown }).pwned).toBeUndefined()
  })
})

test('a value from another realm is taken as one from this', () => {
  const { runInNewContext } = require('node:vm') as typeof import('node:vm')
  const value = runInNewContext('({ b: Uint8Array.of(1), l: [2], t: Int8Array.of(3) })')
  for (const way of WAYS) {
    expect(hex(codecOf(way, { b: 'buffer', l: ['uint8'], t: ['int8'] }).encode(value))).toBe('010101020103')
  }
})
