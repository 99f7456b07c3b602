// The real schemapack and msgpack-lite beside ours, on seeded schemas and values.
import { isDeepStrictEqual } from 'node:util'
import { dice } from '../support/dice'
import { codecOf, hex, WAYS } from './codecs'
import { randomPackable, randomSchema, randomValue } from './random-schemas'

const schemapack = require('schemapack') as {
  build(schema: unknown): { encode(value: unknown): Buffer; decode(bytes: Uint8Array): unknown }
}
const msgpackLite = require('msgpack-lite') as {
  encode(value: unknown): Buffer
  decode(bytes: Uint8Array): unknown
}

/** Says which seed it was; and is quick, where Jest's own comparison takes most of the time. */
function expectSame(seed: number, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect({ seed, value: actual }).toEqual({ seed, value: expected })
}

const SCHEMAS = 3000
const VALUES = 3

test(`${SCHEMAS} schemas have the same bytes in schemapack, both ways to a codec, and each reads the others'`, () => {
  for (let seed = 0; seed < SCHEMAS; seed++) {
    const chance = dice(seed)
    const schema = randomSchema(chance, { isPlain: true })
    const theirs = schemapack.build(JSON.parse(JSON.stringify(schema)))
    const ours = WAYS.map(way => codecOf(way, schema))
    for (let i = 0; i < VALUES; i++) {
      const value = randomValue(chance, schema)
      const bytes = theirs.encode(value)
      for (const codec of ours) {
        const encoded = Buffer.from(codec.encode(value))
        expectSame(seed, hex(encoded), hex(bytes))
        expectSame(seed, codec.decode(bytes), value)
        expectSame(seed, theirs.decode(encoded), value)
      }
    }
  }
})

test('5000 packed values have the bytes of msgpack-lite, and each reads the others', () => {
  const codec = codecOf('generated', 'packed')
  for (let seed = 0; seed < 5000; seed++) {
    const value = randomPackable(dice(seed), 4)
    const theirs = msgpackLite.encode(value)
    const ours = Buffer.from(codec.encode(value))
    const head = ours.length - theirs.length
    expectSame(seed, hex(ours.subarray(head)), hex(theirs))
    expectSame(seed, msgpackLite.decode(ours.subarray(head)), value)
    expectSame(seed, codec.decode(ours), value)
  }
})

describe('packed', () => {
  const codec = codecOf('generated', 'packed')
  /** Without the length, which takes one byte. */
  const packed = (value: unknown) => Buffer.from(codec.encode(value)).subarray(1)
  const unpacked = (bytes: Uint8Array) => codec.decode(Buffer.concat([Buffer.from([bytes.length]), bytes]))

  test('dates arrive as dates in msgpack-lite, and from it, and from those who write timestamps', () => {
    const date = new Date('2026-11-28T12:34:56.789Z')
    expect(hex(packed(date))).toBe(hex(msgpackLite.encode(date)))
    expect(Number(msgpackLite.decode(packed(date)))).toBe(date.getTime())
    expect(Number(unpacked(msgpackLite.encode(date)))).toBe(date.getTime())
    expect(Number(unpacked(msgpackLite.encode(new Date(7))))).toBe(7)
    expect(Number(unpacked(Buffer.from('d6ff00000001', 'hex')))).toBe(1000)
  })

  test('bytes are read as bin and as what msgpack-lite makes of a Uint8Array', () => {
    const bytes = Uint8Array.from([1, 2, 3])
    expect(hex(packed({ bytes }))).toBe('81a5627974657' + '3c403010203')
    expect(unpacked(msgpackLite.encode(bytes))).toEqual(Buffer.from(bytes))
    expect(msgpackLite.decode(packed(bytes))).toEqual(Buffer.from(bytes))
  })

  test('integers of more than 32 bits have other bytes, and are read both ways', () => {
    for (const value of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 31) - 1, -(2 ** 53) + 1]) {
      expect(msgpackLite.decode(packed(value))).toBe(value)
      expect(unpacked(msgpackLite.encode(value))).toBe(value)
    }
  })

  test('undefined keys are left out, and undefined elements become null', () => {
    expect(unpacked(packed({ a: undefined, b: [undefined] }))).toEqual({ b: [null] })
  })
})
