// Which schemas there are, what is wrong with the others, and their fingerprints.
import { createHash } from 'node:crypto'
import { compileSchema } from '../../lib/packets/codec/codec'
import { canonical, parseSchema } from '../../lib/packets/codec/schema'
import { fingerprint } from '../../lib/packets/codec/sha256'
import { dice } from '../support/dice'
import { outcome } from './codecs'

const nested = (levels: number): any => (levels === 1 ? 'bool' : [nested(levels - 1)])
const cyclic: Record<string, unknown> = { a: 'bool' }
cyclic.self = cyclic

test.each([
  ['uint64', '', /no type "uint64"/],
  [{ at: { x: 'flot' } }, 'at.x', /no type "flot"/],
  [['bool', [null]], '[1][0]', /null is no type/],
  [{ a: undefined }, 'a', /undefined is no type/],
  [7, '', /7 is no type/],
  [() => 1, '', /a function is no type/],
  [[], '', /at least one entry/],
  [{ a: [[]] }, 'a[0]', /at least one entry/],
  // biome-ignore lint/suspicious/noSparseArray: that is the case
  [['bool', , 'bool'], '[1]', /undefined is no type/],
  [{ 'a?': 'bool', a: 'bool' }, 'a', /with and without/],
  [JSON.parse('{"__proto__": "bool"}'), '__proto__', /is no key/],
  [JSON.parse('{"__proto__?": "bool"}'), '__proto__', /is no key/],
  [nested(33), '[0]'.repeat(32), /more than 32 levels/],
  [cyclic, /^(self\.){31}a$/, /more than 32 levels/],
  [Array(4096).fill('bool'), '[4095]', /more than 4096 types/],
  [Array(2 ** 32 - 1), '', /more than 4096 types/],
])('schema %# is refused, and it is said where', (schema, path, problem) => {
  const told = outcome(() => compileSchema(schema))
  expect(told).toMatchObject({ code: 'ERR_PACKET_SCHEMA', message: expect.stringMatching(problem) })
  expect(told.path).toEqual(typeof path === 'string' ? path : expect.stringMatching(path))
})

test('the largest schemas are taken', () => {
  const deep = compileSchema(nested(32))
  const wide = compileSchema(Array(4095).fill('uint8'))
  const value = Array.from({ length: 4096 }, (_, i) => i & 255)
  expect(wide.decode(wide.encode(value))).toEqual(value)
  expect(deep.minBytes).toBe(1)
})

test.each([
  [' BOOL ', '"bool"'],
  [
    { b: 'boolean', 'a?': 'UINT8', B: [{ x: 'packed' }, 'string'] },
    '{"B":[{"x":"packed"},"string"],"a?":"uint8","b":"bool"}',
  ],
  [{ b: 'bool', '\ud800"': 'bool' }, '{"b":"bool","\\ud800\\"":"bool"}'],
])('there is one way to write schema %#', (schema, text) => {
  expect(canonical(parseSchema(schema))).toBe(text)
  expect(canonical(parseSchema(JSON.parse(text)))).toBe(text)
})

test('equal schemas have equal fingerprints, others have others', () => {
  const of = (schema: any) => compileSchema(schema).fingerprint
  expect(of({ a: 'bool', b: 'uint8' })).toBe(of({ b: ' UINT8', a: 'Boolean' }))
  expect(of({ a: 'bool', b: 'uint8' })).toMatch(/^[0-9a-f]{16}$/)
  const others = [
    { a: 'bool' },
    { 'a?': 'bool' },
    { a: ['bool'] },
    [{ a: 'bool' }],
    'bool',
    { a: 'uint8' },
    {},
  ]
  expect(new Set(others.map(of)).size).toBe(others.length)
})

test('a fingerprint is SHA-256', () => {
  const chance = dice(1)
  for (let length = 0; length < 300; length++) {
    const bytes = Buffer.from(Array.from({ length }, () => chance.below(256)))
    expect(fingerprint(bytes)).toBe(createHash('sha256').update(bytes).digest('hex').slice(0, 16))
  }
})

test.each([
  [{ unknown: 1 }, 'ERR_UNKNOWN_OPTION'],
  [{ packetBytes: 0 }, 'ERR_OUT_OF_RANGE'],
  [{ packDepth: 1.5 }, 'ERR_OUT_OF_RANGE'],
  [{ emptyElements: '7' }, 'ERR_OUT_OF_RANGE'],
])('the limits %j are refused', (limits, code) => {
  expect(outcome(() => compileSchema('bool', { limits: limits as object }))).toMatchObject({ code })
})
