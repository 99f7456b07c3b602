import * as oracle from '@msgpack/msgpack'
import { decode, encode } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { read, rejection } from '../support/messages'
import { pair } from '../support/sockets'

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
}

const bytes = Uint8Array.from([1, 2, 3, 250])
const sparse = [1]
sparse[3] = 4

/** One of each kind of value that behaves in its own way in some MessagePack library. */
const VALUES: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  true: true,
  false: false,
  zero: 0,
  'minus zero': -0,
  'fixint 127': 127,
  'uint8 255': 255,
  'uint16 65535': 65535,
  'uint32 max': 0xffffffff,
  'beyond 32 bits': 2 ** 32,
  'largest safe': Number.MAX_SAFE_INTEGER,
  'negative fixint -32': -32,
  'int8 -128': -128,
  'int16 -32768': -32768,
  'int32 min': -(2 ** 31),
  'below 32 bits': -(2 ** 31) - 1,
  'smallest safe': Number.MIN_SAFE_INTEGER,
  float: 1.5,
  'tiny float': Number.MIN_VALUE,
  'huge float': Number.MAX_VALUE,
  'unsafe integer': 2 ** 60,
  NaN: Number.NaN,
  infinity: Number.POSITIVE_INFINITY,
  'minus infinity': Number.NEGATIVE_INFINITY,
  'empty string': '',
  'string of 31': 'x'.repeat(31),
  'string of 32': 'x'.repeat(32),
  'string of 255': 'x'.repeat(255),
  'string of 256': 'x'.repeat(256),
  'string of 70000': 'x'.repeat(70_000),
  'text beyond ASCII': 'Grüße 日本語',
  emoji: '🌍👩‍🚀',
  'lone surrogate': 'a\ud800b',
  'zero byte': 'a\0b',
  date: new Date(1_700_000_000_123),
  'date on the second': new Date(1_700_000_000_000),
  'date before 1970': new Date(-1),
  'date far away': new Date(8.64e15),
  'invalid date': new Date(Number.NaN),
  Uint8Array: bytes,
  Buffer: Buffer.from('bytes'),
  'no bytes': new Uint8Array(0),
  '300 bytes': Buffer.alloc(300, 7),
  '70000 bytes': Buffer.alloc(70_000, 7),
  'bytes in an object': { a: bytes, b: Buffer.from('x') },
  Float32Array: Float32Array.from([1.5, -2]),
  Uint16Array: Uint16Array.from([1, 65535]),
  DataView: new DataView(bytes.buffer, 1, 2),
  array: [1, 'a', null, [true]],
  'array of 16': Array.from({ length: 16 }, (_, i) => i),
  'array of 70000': new Array(70_000).fill(0),
  'sparse array': sparse,
  'undefined in an array': [undefined, 1],
  object: { a: 1, b: { c: [{}] } },
  'empty object': {},
  'object of 16': Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i])),
  'undefined in an object': { a: undefined, b: 1 },
  'null in an object': { a: null },
  'object without prototype': Object.assign(Object.create(null), { a: 1 }),
  'numeric keys': { 1: 'a', 2: 'b' },
  'class instance': new Point(1, 2),
  'instance without fields': new (class Nothing {})(),
  'Error with fields': Object.assign(new Error('lost'), { code: 7 }),
  ExtData: new oracle.ExtData(5, Uint8Array.from([1, 2])),
}

const REFUSED: Record<string, unknown> = {
  BigInt: 1n,
  'BigInt inside': { n: [1n] },
  function: () => {},
  'function in an object': { f: () => {} },
  'object with toJSON': { toJSON: () => 1 },
  symbol: Symbol('s'),
}

/** What other programs make of a value: what the reference library sends, and what it reads of that. */
const encodedByOracle = (value: unknown) => Buffer.from(oracle.encode(value, { ignoreUndefined: true }))
const decodedByOracle = (value: unknown) => oracle.decode(encodedByOracle(value))

describe('values in MessagePack', () => {
  test('a text of any length has the bytes of @msgpack/msgpack', () => {
    for (const part of ['a', 'ü', '日', '🌍', 'a\ud800', '\udc00b']) {
      for (const count of [1, 25, 32, 33, 50, 51, 63, 64, 65, 66, 200, 30_000, 70_000]) {
        const text = part.repeat(count)
        for (const mesg of [text, { [text]: [text, 1] }]) {
          expect(encode({ mesg }).equals(oracle.encode(mesg))).toBe(true)
        }
      }
    }
  })

  test.each(Object.keys(VALUES))('%s has the bytes of @msgpack/msgpack, and is read back the same', name => {
    const value = VALUES[name]
    expect(encode({ mesg: value }).equals(encodedByOracle(value))).toBe(true)
    expect(decode({ data: encodedByOracle(value) })).toEqual(decodedByOracle(value))
  })

  test.each(Object.keys(REFUSED))('%s is refused, as there', name => {
    const value = REFUSED[name]
    expect(() => encodedByOracle(value)).toThrow()
    expect(() => encode({ mesg: value })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
  })

  test('a value that contains itself is refused', () => {
    const loop: Record<string, unknown> = {}
    loop.loop = loop
    expect(() => encode({ mesg: loop })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
    expect(encode({ mesg: 'fine after it' }).equals(encodedByOracle('fine after it'))).toBe(true)
  })

  test.each([
    ['cut short', [0x93, 1, 2]],
    ['a string cut short', [0xa5, 0x61]],
    ['followed by more', [1, 2]],
    ['the byte that is never used', [0xc1]],
    ['an object with the key __proto__', [...encodedByOracle(JSON.parse('{"__proto__": {"a": 1}}'))]],
  ])('bytes that are %s are damaged', (_what, damaged) => {
    expect(() => oracle.decode(Uint8Array.from(damaged))).toThrow()
    const data = Buffer.from(damaged)
    expect(() => decode({ data })).toThrow(expect.objectContaining({ code: 'ERR_DECODE' }))
    expect(({} as { a?: number }).a).toBeUndefined()
  })

  test.each([1, 2, 30, 66, 70, 200, 201, 5000, 70_000])(
    'a text that begins with a byte order mark keeps it: %i characters',
    length => {
      for (const mark of ['\ufeff', '\ufeff\ufeff']) {
        const text = mark + 'é'.repeat(length)
        expect(decode({ data: Buffer.from(encode({ mesg: text })) })).toBe(text)
        const nested = { [text]: [text, 'end'], after: 1 }
        expect(decode({ data: Buffer.from(encode({ mesg: nested })) })).toEqual(nested)
      }
    },
  )

  test('64-bit integers of other programs are numbers', () => {
    for (const value of [5n, -5n, 2n ** 40n, 2n ** 63n - 1n]) {
      const data = Buffer.from(oracle.encode(value, { useBigInt64: true }))
      expect(decode({ data })).toBe(Number(value))
    }
  })
})

describeFabrics('values on their way', fabric => {
  test('arrive by publish as other programs would read them', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('values')
    for (const value of Object.values(VALUES)) client.publishSync('values', value)
    const messages = await read(subscription, Object.keys(VALUES).length)
    for (const [i, [name, value]] of Object.entries(VALUES).entries()) {
      expect([name, messages[i]!.raw.equals(encodedByOracle(value))]).toEqual([name, true])
      expect([name, messages[i]!.data]).toEqual([name, decodedByOracle(value)])
    }
  })

  test('arrive by a socket as other programs would read them', async () => {
    const { server, socket } = await pair(fabric)
    const received = server.iter()
    for (const [name, value] of Object.entries(VALUES)) {
      socket.write(value)
      expect([name, (await received.next()).value![0]]).toEqual([name, decodedByOracle(value)])
    }
  })

  test('that cannot be encoded are refused by all that sends', async () => {
    const { host, server, listener, socket } = await pair(fabric)
    for (const value of Object.values(REFUSED)) {
      for (const send of [
        () => socket.write(value),
        () => server.write(value),
        () => listener.write(value),
        () => host.publishSync('a', value),
      ]) {
        expect(send).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
      }
      expect((await rejection(socket.request(value))).code).toBe('ERR_ENCODE')
      expect((await rejection(host.request('a', value))).code).toBe('ERR_ENCODE')
    }
    socket.write('fine')
    expect((await server.iter().next()).value![0]).toBe('fine')
  })

  test('of bytes are the receiver’s to keep', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('bytes')
    const kept: Buffer[] = []
    for (let n = 0; n < 200; n++) {
      client.publishSync('bytes', Buffer.alloc(100 + n, n))
      kept.push((await read(subscription, 1))[0]!.data as Buffer)
    }
    for (const [n, bytes] of kept.entries()) expect(bytes.equals(Buffer.alloc(100 + n, n))).toBe(true)
  })
})
