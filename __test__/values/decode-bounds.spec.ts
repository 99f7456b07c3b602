// What may be decoded: claims of more than there is, and nesting without end, are refused before any room is made for them.
import { encode as pack } from '@msgpack/msgpack'
import { DataEncoding, decode } from 'selvedge'
import { findBadLength } from '../../lib/values/msgpack-scan'

const codeOf = (data: Buffer, encoding = DataEncoding.MsgPack): unknown => {
  try {
    decode({ data, encoding })
  } catch (error) {
    return (error as { code: unknown }).code
  }
  return 'decoded'
}

const nested = (levels: number): Buffer => Buffer.concat([Buffer.alloc(levels, 0x91), Buffer.from([0xc0])])
const claim = (first: number, count: number): Buffer => {
  const bytes = Buffer.alloc(5)
  bytes[0] = first
  bytes.writeUInt32BE(count, 1)
  return bytes
}

/** Values of every kind, from one seed. */
function values(seed: number): unknown {
  let state = seed
  const below = (end: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >> 8) % end
  }
  const make = (depth: number): unknown => {
    const length = [0, 1, 3, 15, 16, 31, 32, 300, 70_000][below(depth > 1 ? 5 : 9)]!
    switch (below(depth > 4 ? 6 : 9)) {
      case 0:
        return [null, true, false, new Date(below(2 ** 30))][below(4)]
      case 1:
        return [1, -1, -100, 200, 70_000, 2 ** 33, -(2 ** 33), 1.5][below(8)]
      case 2:
      case 3:
        return 'é'.repeat(length)
      case 4:
      case 5:
        return new Uint8Array(length)
      case 6:
        return Object.fromEntries(Array.from({ length: length % 40 }, (_, i) => [`k${i}`, make(depth + 1)]))
      default:
        return Array.from({ length: length % 40 }, () => make(depth + 1))
    }
  }
  return make(0)
}

test('what an encoder wrote is decoded, whatever it is', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const bytes = Buffer.from(pack(values(seed)))
    const lie = findBadLength(bytes)
    if (lie !== undefined) throw Error(`seed ${seed}: ${lie}`)
  }
  expect(findBadLength(Buffer.from(pack(Array.from({ length: 70_000 }, () => null))))).toBeUndefined()
  expect(
    findBadLength(Buffer.from(pack(Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [i, 0]))))),
  ).toBeUndefined()
})

test.each<[string, Buffer]>([
  ['an array of 4 G', claim(0xdd, 0xffffffff)],
  ['a map of 4 G', claim(0xdf, 0xffffffff)],
  ['one element too many', Buffer.concat([claim(0xdd, 4), Buffer.from([1, 2, 3])])],
  [
    'a chain of claims that each fit',
    Buffer.concat([...Array.from({ length: 50 }, () => claim(0xdd, 200)), Buffer.alloc(210)]),
  ],
  [
    'a chain of 16-bit claims',
    Buffer.concat(Array.from({ length: 300 }, () => Buffer.from([0xdc, 0xff, 0xff]))),
  ],
  ['100 000 levels', nested(100_000)],
  ['1025 levels', nested(1025)],
])('%s is ERR_DECODE, and no room is made for it', (_name, bytes) => {
  const before = process.memoryUsage().rss
  for (let i = 0; i < 20; i++) expect(codeOf(bytes)).toBe('ERR_DECODE')
  expect(findBadLength(bytes)).toBeDefined()
  expect(process.memoryUsage().rss - before).toBeLessThan(50 * 2 ** 20)
})

// Row 26 of the list of bad inputs, as far as plain values go.
test.each<[string, number[], unknown]>([
  ['a string that is no UTF-8', [0xa2, 0xff, 0xfe], expect.any(String)],
  ['NaN', [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], Number.NaN],
  ['negative zero', [0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0], -0],
  ['2^64 - 1', [0xcf, ...Array(8).fill(0xff)], 2 ** 64],
  ['a date at the end of 32 bits', [0xd6, 0xff, 0xff, 0xff, 0xff, 0xff], new Date(0xffffffff * 1000)],
  [
    'a date beyond all dates',
    [0xc7, 12, ...Array(5).fill(0xff), 0x7f, ...Array(7).fill(0xff)],
    expect.any(Date),
  ],
  ['an extension that nobody knows', [0xd4, 0x55, 1], expect.objectContaining({ type: 0x55 })],
])('%s is a value like others', (_name, bytes, value) => {
  expect(decode({ encoding: DataEncoding.MsgPack, data: Buffer.from(bytes) })).toEqual(value)
})

test.each<[string, number[]]>([
  ['a date of three bytes', [0xc7, 3, 0xff, 1, 2, 3]],
  ['a type that is not used', [0xc1]],
])('%s is ERR_DECODE', (_name, bytes) => {
  expect(codeOf(Buffer.from(bytes))).toBe('ERR_DECODE')
})

test('1024 levels are decoded, and in JSON as many', () => {
  expect(codeOf(nested(1024))).toBe('decoded')
  const json = (levels: number): Buffer => Buffer.from(`${'['.repeat(levels)}"[[\\"["${']'.repeat(levels)}`)
  expect(codeOf(json(1024), DataEncoding.JsonCodec)).toBe('decoded')
  expect(codeOf(json(1025), DataEncoding.JsonCodec)).toBe('ERR_DECODE')
  expect(codeOf(Buffer.from(JSON.stringify('['.repeat(5000))), DataEncoding.JsonCodec)).toBe('decoded')
})
