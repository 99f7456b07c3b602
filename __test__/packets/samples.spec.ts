// The sample tables: what each value looks like in bytes, both ways to a codec, and schemapack's own.
import { codecOf, hex, outcome, WAYS } from './codecs'
import { ADDED, COMPOSITION, DEFERRED, OURS, type Row, SCALARS, THROWS } from './samples'

const schemapack = require('schemapack') as {
  build(schema: unknown): { encode(value: unknown): Buffer; decode(bytes: Uint8Array): unknown }
}

/** Schemas are given away as copies: schemapack changes them. */
const copied = (schema: any): any => JSON.parse(JSON.stringify(schema))

/** Jest prints a row of a table by its first values. */
const told = (rows: readonly Row[]): [text: string, row: Row][] =>
  rows.map((row, index) => [`${JSON.stringify(row[0])}, ${index}`, row])

describe.each(WAYS)('a codec that is %s', way => {
  test.each(told([...SCALARS, ...COMPOSITION, ...DEFERRED, ...OURS, ...ADDED]))(
    '%s',
    (_, [schema, value, bytes, decoded = value]) => {
      const codec = codecOf(way, schema)
      if (bytes === THROWS) {
        expect(outcome(() => codec.encode(value))).toMatchObject({ code: 'ERR_PACKET_ENCODE' })
        return
      }
      expect(hex(codec.encode(value))).toBe(bytes)
      expect(codec.decode(Buffer.from(bytes, 'hex'))).toEqual(decoded)
    },
  )
})

describe('schemapack', () => {
  test.each(told([...SCALARS, ...COMPOSITION, ...DEFERRED]))(
    '%s',
    (_, [schema, value, bytes, decoded = value]) => {
      const codec = schemapack.build(copied(schema))
      if (bytes === THROWS) return expect(() => codec.encode(value)).toThrow()
      expect(hex(codec.encode(value))).toBe(bytes)
      expect(codec.decode(Buffer.from(bytes, 'hex'))).toEqual(decoded)
    },
  )

  test('has the defects for which ours has other bytes', () => {
    for (const [schema, value, bytes] of OURS) {
      const theirs = outcome(() => hex(schemapack.build(copied(schema)).encode(value)))
      expect(theirs.value).not.toBe(bytes === THROWS ? undefined : bytes)
    }
  })
})

const MALFORMED: readonly [schema: any, hex: string, problem: RegExp][] = [
  ['uint8', '', /^truncated at byte 0$/],
  ['uint16', '01', /^truncated at byte 0$/],
  ['float64', '3ff00000000000', /truncated/],
  ['uint8', '0102', /^1 bytes left over$/],
  [{}, '0102', /^2 bytes left over$/],
  ['bool', '02', /2 is no bool/],
  ['varuint', '', /truncated/],
  ['varuint', '80', /truncated/],
  ['varuint', '8000', /not as short/],
  ['varuint', 'ffffffff0f', /above 2147483647/],
  ['varuint', '8080808008', /above 2147483647/],
  ['varuint', 'ffffffffff01', /above 2147483647/],
  ['varint', 'ffffffff0f', /above 2147483647/],
  ['string', '', /truncated/],
  ['string', '056162', /a string of 5 bytes, and 2 left/],
  ['string', '02c328', /no UTF-8/],
  ['string', '03eda080', /no UTF-8/],
  ['string', '02c080', /no UTF-8/],
  ['string', '04f4908080', /no UTF-8/],
  ['string', '02e282', /no UTF-8/],
  ['string', `1e${'61'.repeat(29)}ff`, /no UTF-8/],
  ['string', 'ffffffff07', /a string of 2147483647 bytes, and 0 left/],
  ['buffer', '', /truncated/],
  ['buffer', '056162', /a buffer of 5 bytes/],
  ['buffer', 'ffffffff07', /a buffer of 2147483647 bytes/],
  [['string'], 'ffffffff07', /an array of 2147483647, and 0 bytes left/],
  [['uint8'], '0301', /an array of 3, and 1 bytes left/],
  [['uint8'], '', /truncated/],
  [['string'], '03', /an array of 3, and 0 bytes left/],
  [['bool', 'bool', 'uint8'], '010001', /needs at least 2/],
  [[{}], 'ffffff03', /more than 1024 elements/],
  [[{}], '8108', /more than 1024 elements/],
  [[[{}]], '02800801', /more than 1024 elements that have no bytes, at byte 3 while reading \[1\]$/],
  ['float32', '7f800000', /Infinity/],
  ['float64', 'fff0000000000000', /-Infinity/],
  [{ 'a?': 'uint8' }, '02', /2 is no optional key/],
  [{ 'a?': 'uint8' }, '01', /truncated at byte 1 while reading a$/],
  [
    { u: [{ id: 'uint16', hp: 'bool' }] },
    '02010001020002',
    /2 is no bool, at byte 4 while reading u\[1\].hp/,
  ],
  ['packed', '00', /packed/],
  ['packed', '01c1', /packed/],
  ['packed', '029201', /packed/],
  ['packed', '020101', /packed/],
]

describe.each(WAYS)('a codec that is %s refuses', way => {
  test.each(MALFORMED)('%j of %s', (schema, bytes, problem) => {
    const input = Buffer.from(bytes, 'hex')
    const result = outcome(() => codecOf(way, schema).decode(input))
    expect(result).toEqual({
      code: 'ERR_PACKET_MALFORMED',
      message: expect.stringMatching(problem),
      path: expect.any(String),
      offset: expect.any(Number),
    })
    expect(result.offset).toBeLessThanOrEqual(input.length)
  })

  test.each([
    [{ at: { x: 'int8' } }, { at: { x: 128 } }, 'at.x'],
    [{ u: [{ hp: 'uint8' }] }, { u: [{ hp: 1 }, {}] }, 'u[1].hp'],
    [['string', { at: ['bool'] }], ['x', { at: [true, 0] }], '[1].at[1]'],
    [[{ l: ['uint8'], m: ['uint8'] }], [{ l: [1], m: [2, -1] }], '[0].m[1]'],
    [{ 'a b': 'uint8' }, {}, '["a b"]'],
    ['uint8', 'five', ''],
  ])('%j with %j, and says where', (schema, value, path) => {
    const result = outcome(() => codecOf(way, schema).encode(value))
    expect(result).toMatchObject({ code: 'ERR_PACKET_ENCODE', path, message: expect.stringContaining(path) })
  })
})
