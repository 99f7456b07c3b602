// MessagePack: the reference's bytes, and the same values as any other reader and writer has.
import { decode as otherDecode, encode as otherEncode } from '@msgpack/msgpack'

const { decode, encode } = require('../../dist/sockety/msgpack.js') as {
  decode(bytes: Buffer): unknown
  encode(value: unknown): Buffer
}

const hex = (value: unknown): string => encode(value).toString('hex')

test.each([
  [null, 'c0'],
  [undefined, 'd40000'],
  [true, 'c3'],
  [127, '7f'],
  [128, 'cc80'],
  [255, 'ccff'],
  [256, 'cd0100'],
  [65_536, 'ce00010000'],
  [2 ** 32 - 1, 'ceffffffff'],
  [2 ** 32, 'cb41f0000000000000'],
  [-1, 'ff'],
  [-32, 'e0'],
  [-33, 'd0df'],
  [-129, 'd1ff7f'],
  [-32_769, 'd2ffff7fff'],
  [-(2 ** 31) - 1, 'cbc1e0000000200000'],
  [1.5, 'cb3ff8000000000000'],
  [-0, 'cb8000000000000000'],
  [5n, 'd30000000000000005'],
  [2n ** 64n - 1n, 'cfffffffffffffffff'],
  ['some text', 'a9736f6d652074657874'],
  ['zażółć', 'aa7a61c5bcc3b3c582c487'],
  ['x'.repeat(32), `d920${'78'.repeat(32)}`],
  [Buffer.from('ab'), 'c4026162'],
  [[1, [2]], '92019102'],
  [{ a: 1, b: [true, null, 1.5] }, 'de0002a16101a16293c3c0cb3ff8000000000000'],
  [new Map([[1, 2]]), '810102'],
  [new Set([1]), '9101'],
  [new Date(1000), 'd6ff00000001'],
  [new Date(1500), 'd7ff7735940000000001'],
])('%p is %s', (value, text) => {
  expect(hex(value)).toBe(text)
})

test('other writers are read, and other readers read ours', () => {
  const values = [
    { deep: { list: [1, -1, 300, 70_000, -70_000, 1.25, 'text', null, true] }, [`${'k'.repeat(300)}`]: '' },
    Array.from({ length: 70_000 }, (_, index) => index),
    'ż'.repeat(70_000),
    Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`key ${index}`, index])),
    new Date(123_456_789_012),
    new Date(-1),
  ]
  for (const value of values) {
    expect(decode(Buffer.from(otherEncode(value)))).toEqual(value)
    expect(otherDecode(encode(value))).toEqual(value)
    expect(decode(encode(value))).toEqual(value)
  }
  expect(decode(encode(Buffer.alloc(70_000, 1)))).toEqual(Buffer.alloc(70_000, 1))
  expect(decode(encode([5n, undefined]))).toEqual([5n, undefined])
  expect(decode(Buffer.from('ca3fc00000', 'hex'))).toBe(1.5)
  expect(decode(Buffer.from('810102', 'hex'))).toEqual({ 1: 2 })
})

test.each([
  ['', 'an early end'],
  ['a5', 'an early end'],
  ['0101', '1 bytes behind the value'],
  ['c1', 'the byte 0xc1'],
  ['d40500', 'the unknown extension 5'],
  ['ddffffffff', 'more elements announced than there are bytes'],
  ['dfffffffff', 'more elements announced than there are bytes'],
  ['81a95f5f70726f746f5f5f01', "the key '__proto__'"],
  ['819001', 'a key that is no text'],
  ['91'.repeat(600), 'more than 512 levels'],
])('%s is refused: %s', (text, why) => {
  expect(() => decode(Buffer.from(text, 'hex'))).toThrow(
    expect.objectContaining({ code: 'ERR_DECODE', message: expect.stringContaining(why) }),
  )
})

test('what MessagePack cannot hold is refused', () => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  const opaque = [Promise.resolve(1), { at: Error('e') }, new WeakMap(), new ArrayBuffer(1)]
  for (const value of [() => {}, Symbol('s'), 2n ** 64n, new Date(Number.NaN), cycle, ...opaque]) {
    expect(() => encode(value)).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
  }
  expect(hex([1])).toBe('9101')
  expect(hex(new (class {})())).toBe('de0000')
})
