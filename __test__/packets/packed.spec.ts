// Packed values of strangers, and values that cannot be packed.
import { encode } from '@msgpack/msgpack'
import { codecOf, outcome, WAYS } from './codecs'

function lengthOf(size: number): number[] {
  return size < 0x80 ? [size] : [(size & 0x7f) | 0x80, ...lengthOf(size >>> 7)]
}

const framed = (bytes: Uint8Array) => Buffer.concat([Buffer.from(lengthOf(bytes.length)), bytes])
const bytes = (hex: string) => Buffer.from(hex, 'hex')
const nested = (levels: number): unknown => (levels === 0 ? 7 : [nested(levels - 1)])

describe.each(WAYS)('a codec that is %s', way => {
  const codec = codecOf(way, 'packed')

  test.each([
    ['nothing', bytes('')],
    ['a byte that is never used', bytes('c1')],
    ['a cut value', bytes('92 01'.replace(' ', ''))],
    ['two values', bytes('0101')],
    ['an array of 2^32 - 1', bytes('ddffffffff')],
    ['a map of 2^32 - 1', bytes('dfffffffff')],
    ['an array of 2^32 - 1 in a megabyte', Buffer.concat([bytes('ddffffffff'), Buffer.alloc(1 << 20)])],
    ['bytes of 2^32 - 1', bytes('c6ffffffff')],
    ['65 levels', Buffer.from(encode(nested(64)))],
    ['200 000 levels', Buffer.concat([Buffer.alloc(200_000, 0x91), bytes('01')])],
    ['a key __proto__', Buffer.from(encode([JSON.parse('{"__proto__": {"pwned": 1}}')]))],
    ['a key that is a list', bytes('819001')],
    ['a key that is null', bytes('81c001')],
    ['a text that is no UTF-8', bytes('a2c328')],
    ['a text of a surrogate', bytes('a3eda080')],
    ['an extension that nobody knows', bytes('d40500')],
    ['a date that is a text', bytes('c7020da161')],
    ['a date of nothing', bytes('c7000d')],
    ['a time of three bytes', bytes('c703ff010101')],
  ])('refuses %s', (_, value) => {
    const told = outcome(() =>
      codecOf(way, 'packed', { limits: { packetBytes: 1 << 24 } }).decode(framed(value)),
    )
    expect(told).toMatchObject({
      code: 'ERR_PACKET_MALFORMED',
      path: '',
      message: expect.stringMatching(/^packed: /),
    })
  })

  const cyclic: unknown[] = []
  cyclic.push(cyclic)

  test.each([
    ['undefined', undefined],
    ['a BigInt', [7n]],
    ['a function', { f: () => 1 }],
    ['a symbol', [Symbol('s')]],
    ['a cycle', cyclic],
    ['65 levels', nested(64)],
    ['a Map', { map: new Map([[1, 2]]) }],
    ['a Set', [new Set([1])]],
    ['an Error', Error('x')],
    ['a key __proto__', JSON.parse('[{"__proto__": 1}]')],
  ])('refuses to pack %s', (_, value) => {
    const told = outcome(() => codec.encode(value))
    expect(told).toMatchObject({ code: 'ERR_PACKET_ENCODE', path: '' })
  })

  test('packs 64 levels, the text __proto__, and what JSON has', () => {
    for (const value of [
      nested(63),
      '__proto__',
      { a: '__proto__' },
      { list: [1, 'x', null, true, 1.5, {}] },
    ]) {
      expect(codec.decode(codec.encode(value))).toEqual(value)
    }
  })

  test('gives bytes that are copies', () => {
    const input = framed(bytes('c4020708'))
    const decoded = codec.decode(input) as Buffer
    input.fill(0)
    expect(decoded).toEqual(Buffer.from([7, 8]))
  })

  test('numbers as keys are texts, and the last of two equal keys counts', () => {
    expect(codec.decode(framed(bytes('820102a13103')))).toEqual({ 1: 3 })
  })

  test('texts keep a mark of byte order at their start', () => {
    const text = `\ufeff${'x'.repeat(300)}`
    expect(codec.decode(codec.encode(text))).toBe(text)
  })
})
