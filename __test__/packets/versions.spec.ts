// Old and new programs, as two processes: every row of the rules for changing packets, in both directions.
import { type ConatServer, init } from 'selvedge'
import { compileSchema } from '../../lib/packets/codec/codec'
import { parseSchema } from '../../lib/packets/codec/schema'
import { Incompatible, resolve } from '../../lib/packets/registry/resolve'
import { Child } from './child'

const UNSUPPORTED = Symbol('unsupported')

interface Row {
  old: unknown
  new: unknown
  /** What the old one sends, and what the new one gets of it. */
  sent: unknown
  got: unknown
  /** The same the other way. */
  sentBack: unknown
  gotBack: unknown
}

const wider = (from: string, to: string, value: number): Row => ({
  old: { v: from },
  new: { v: to },
  ...{ sent: { v: value }, got: { v: value } },
  ...{ sentBack: { v: 1 }, gotBack: UNSUPPORTED },
})

const incompatible = (from: unknown, to: unknown, sent: unknown, sentBack: unknown): Row => ({
  ...{ old: from, new: to },
  ...{ sent, got: UNSUPPORTED, sentBack, gotBack: UNSUPPORTED },
})

const ROWS: Readonly<Record<string, Row>> = {
  same: {
    old: { a: 'bool' },
    new: { a: 'bool' },
    sent: { a: true },
    got: { a: true },
    sentBack: { a: false },
    gotBack: { a: false },
  },
  anOptionalKeyIsAdded: {
    old: { id: 'uint32' },
    new: { id: 'uint32', 'zone?': 'string' },
    ...{ sent: { id: 1 }, got: { id: 1, zone: undefined } },
    ...{ sentBack: { id: 2, zone: 'q' }, gotBack: { id: 2 } },
  },
  anOptionalKeyIsTakenAway: {
    old: { 'b?': ['uint8'], id: 'uint32' },
    new: { id: 'uint32' },
    ...{ sent: { b: [1, 2], id: 1 }, got: { id: 1 } },
    ...{ sentBack: { id: 2 }, gotBack: { id: 2, b: undefined } },
  },
  aRequiredKeyIsAdded: {
    old: { id: 'uint32' },
    new: { id: 'uint32', zone: 'string' },
    ...{ sent: { id: 1 }, got: UNSUPPORTED },
    ...{ sentBack: { id: 2, zone: 'q' }, gotBack: { id: 2 } },
  },
  aKeyBecomesOptional: {
    old: { id: 'uint32' },
    new: { 'id?': 'uint32' },
    ...{ sent: { id: 1 }, got: { id: 1 } },
    ...{ sentBack: { id: 2 }, gotBack: UNSUPPORTED },
  },
  int8ToInt16: wider('int8', 'int16', -128),
  int8ToInt32: wider('int8', 'int32', -128),
  int16ToInt32: wider('int16', 'int32', -32768),
  uint8ToUint16: wider('uint8', 'uint16', 255),
  uint8ToUint32: wider('uint8', 'uint32', 255),
  uint8ToInt16: wider('uint8', 'int16', 255),
  uint8ToInt32: wider('uint8', 'int32', 255),
  uint16ToUint32: wider('uint16', 'uint32', 65535),
  uint16ToInt32: wider('uint16', 'int32', 65535),
  float32ToFloat64: wider('float32', 'float64', 0.5),
  anotherType: incompatible({ a: 'string' }, { a: 'uint8' }, { a: 'x' }, { a: 1 }),
  anotherSign: incompatible({ a: 'int8' }, { a: 'uint8' }, { a: 1 }, { a: 1 }),
  anObjectForAType: incompatible({ a: 'string' }, { a: { b: 'string' } }, { a: 'x' }, { a: { b: 'x' } }),
  anArrayForAType: incompatible({ a: 'uint8' }, { a: ['uint8'] }, { a: 1 }, { a: [1] }),
  anotherNumberOfEntries: incompatible(['uint8'], ['uint8', 'uint8'], [1], [1, 2]),
  deepInside: {
    old: { l: [{ a: 'uint8', at: ['string', { x: 'int8' }] }] },
    new: { l: [{ at: ['string', { x: 'int32', 'y?': 'bool' }] }] },
    sent: { l: [{ a: 1, at: ['p', { x: -1 }, { x: 2 }] }] },
    got: { l: [{ at: ['p', { x: -1, y: undefined }, { x: 2, y: undefined }] }] },
    ...{ sentBack: { l: [] }, gotBack: UNSUPPORTED },
  },
  anOptionalObject: {
    old: { 'o?': { a: 'uint8' } },
    new: { 'o?': { a: 'uint16', 'b?': 'bool' } },
    ...{ sent: {}, got: { o: undefined } },
    ...{ sentBack: {}, gotBack: UNSUPPORTED },
  },
}

/** Results by themselves: `data` is the same on both sides. What the new one answers the old, and the old the new. */
const RESULTS: Readonly<
  Record<
    string,
    { old?: unknown; new?: unknown; answer: unknown; got: unknown; answerBack: unknown; gotBack: unknown }
  >
> = {
  aKeyIsAddedToTheResult: {
    old: { x: 'uint8' },
    new: { x: 'uint8', 'y?': 'uint8' },
    ...{ answer: { x: 1 }, got: { x: 1, y: undefined } },
    ...{ answerBack: { x: 2, y: 3 }, gotBack: { x: 2 } },
  },
  aResultOfAnotherType: {
    ...{ old: 'string', new: 'uint8' },
    ...{ answer: 'x', got: UNSUPPORTED, answerBack: 1, gotBack: UNSUPPORTED },
  },
  aResultGetsASchema: {
    ...{ old: undefined, new: { x: 'uint8' } },
    ...{ answer: { x: 1 }, got: UNSUPPORTED, answerBack: { x: 2 }, gotBack: { x: 2 } },
  },
}

const names = (age: 'old' | 'new') =>
  Object.fromEntries([
    ...Object.entries(ROWS).map(([name, row]) => [name, { data: row[age] }]),
    ...Object.entries(RESULTS).map(([name, row]) => [name, { data: {}, result: row[age] }]),
    // So that all ids differ, and each has what the other lacks.
    [age === 'old' ? 'aaOld' : 'aaNew', { data: {} }],
    [age === 'old' ? 'zzOld' : 'zzNew', { data: {} }],
  ])

describe.each([
  ['old', 'new'],
  ['new', 'old'],
] as const)('with a server that is %s and a client that is %s', (serverAge, clientAge) => {
  let broker: ConatServer
  let server: Child
  let client: Child
  let processes: { old: Child; new: Child }

  beforeAll(async () => {
    broker = init({ port: 0, host: '127.0.0.1' })
    await broker.waitUntilReady()
    const address = `http://127.0.0.1:${broker.address()!.port}`
    ;[server, client] = await Promise.all([Child.start('version.cjs'), Child.start('version.cjs')])
    processes = serverAge === 'old' ? { old: server, new: client } : { old: client, new: server }
    const answers = (key: 'answer' | 'answerBack') =>
      Object.fromEntries(Object.entries(RESULTS).map(([name, row]) => [name, row[key]]))
    const start = (child: Child, role: string, age: 'old' | 'new') =>
      child.ask('start', {
        role,
        address,
        schemas: names(age),
        answers: answers(age === 'old' ? 'answer' : 'answerBack'),
      })
    await start(server, 'server', serverAge)
    await start(client, 'client', clientAge)
    expect(await client.ask('send', { name: 'same', data: { a: true } })).toEqual({ value: undefined })
    await server.ask('report')
  })

  afterAll(async () => {
    for (const child of [client, server]) {
      expect((await child.ask('report')).broken).toEqual([])
      await child.stop()
    }
    await broker.close()
  })

  test.each(Object.entries(ROWS))('%s', async (name, row) => {
    for (const [from, to, sent, got] of [
      ['old', 'new', row.sent, row.got],
      ['new', 'old', row.sentBack, row.gotBack],
    ] as const) {
      const told = await processes[from].ask('send', { name, data: sent })
      await processes[from].ask('post', { name, data: sent })
      await processes[from].ask('send', { name: 'same', data: { a: true } })
      const { seen, rejected } = await processes[to].ask('report')
      if (got === UNSUPPORTED) {
        expect(told).toEqual({ code: 'ERR_PACKET_UNSUPPORTED' })
        expect(seen).toEqual([['same', { a: true }]])
        expect(rejected.at(-1)).toEqual(['ERR_PACKET_UNSUPPORTED', name])
      } else {
        expect(told).toEqual({ value: undefined })
        expect(seen).toEqual([
          [name, got],
          [name, got],
          ['same', { a: true }],
        ])
      }
    }
  })

  test.each(Object.entries(RESULTS))('%s', async (name, row) => {
    const outcome = (got: unknown) =>
      got === UNSUPPORTED ? { code: 'ERR_PACKET_UNSUPPORTED' } : { value: got }
    expect(await processes.new.ask('send', { name, data: {} })).toEqual(outcome(row.got))
    expect(await processes.old.ask('send', { name, data: {} })).toEqual(outcome(row.gotBack))
  })

  test('a packet that only one side has shifts the ids of that side, and nothing minds', async () => {
    expect(await processes.old.ask('send', { name: 'zzOld', data: {} })).toEqual({
      code: 'ERR_PACKET_UNSUPPORTED',
    })
    await processes.new.ask('post', { name: 'zzNew', data: {} })
    expect(await processes.new.ask('send', { name: 'same', data: { a: true } })).toEqual({ value: undefined })
    expect((await processes.old.ask('report')).rejected.at(-1)).toEqual(['ERR_PACKET_UNSUPPORTED', 'zzNew'])
  })
})

test('what is incompatible says where', () => {
  const told = (from: unknown, to: unknown) => String(resolve(parseSchema(from), parseSchema(to)))
  expect(told({ l: [{ a: 'uint8' }] }, { l: [{ a: 'string' }] })).toBe('l[0].a: uint8 written, string read')
  expect(told({}, { a: 'bool' })).toBe('a: not written, and required')
  expect(told('bool', ['bool'])).toBe('bool written, an array read')
  expect(resolve(parseSchema({ a: 'bool' }), parseSchema({ a: 'bool' }))).toBeUndefined()
  expect(resolve(parseSchema('int32'), parseSchema('int16'))).toBeInstanceOf(Incompatible)
  expect(compileSchema({ a: 'bool' }).minBytes).toBe(1)
})
