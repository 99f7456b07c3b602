// What is inside a value and is no plain data: messages, dates of other realms, and what would become `{}`.
import { runInNewContext } from 'node:vm'
import { type Client, DataEncoding, decode, encode, Message, MessageData, messageData } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { read } from '../support/messages'
import { pair } from '../support/sockets'

/** What a copy of the package makes that knows nothing of this one. */
function otherCopy(): { messageData: typeof messageData } {
  let copy: typeof import('selvedge') | undefined
  jest.isolateModules(() => {
    copy = require('selvedge')
  })
  expect(copy!.messageData).not.toBe(messageData)
  return copy!
}

/** One of each that would arrive as `{}`. */
const LOST: Record<string, () => object> = {
  ArrayBuffer: () => new ArrayBuffer(3),
  SharedArrayBuffer: () => new SharedArrayBuffer(3),
  Promise: () => Promise.resolve(1),
  Map: () => new Map([['a', 1]]),
  Set: () => new Set([1]),
  WeakMap: () => new WeakMap(),
  RegExp: () => /a/g,
  Error: () => new Error('lost'),
  URL: () => new URL('http://localhost/'),
  URLSearchParams: () => new URLSearchParams('a=1'),
  Number: () => Object(1),
  Generator: () => (function* () {})(),
  'Map of another realm': () => runInNewContext('new Map([[1, 2]])'),
}

describe.each(Object.keys(LOST))('a %s, which would arrive as {},', name => {
  const tag = name.split(' ')[0]

  test.each([
    ['MessagePack', DataEncoding.MsgPack],
    ['JSON', DataEncoding.JsonCodec],
  ])('is refused in %s, with its place', (_, encoding) => {
    // JSON carries what has a `toJSON`, and numbers.
    if (encoding === DataEncoding.JsonCodec && (name === 'URL' || name === 'Number')) return
    const refused = (mesg: unknown) => expect(() => encode({ encoding, mesg }))
    const lost = LOST[name]!()
    const error = (place: string) =>
      expect.objectContaining({
        code: 'ERR_ENCODE',
        message: `cannot encode ${tag}: ${place} would arrive as {}`,
      })
    refused(lost).toThrow(error('the value'))
    refused({ a: [0, { 'b c': lost }] }).toThrow(error('the value.a[1]["b c"]'))
  })
})

test('the place of what no encoding has is told, too', () => {
  const cases: [unknown, string][] = [
    [{ a: [1, 2n] }, 'a[1]'],
    [[{ f: () => 1 }], '[0].f'],
    [{ 'x y': Symbol('s') }, '["x y"]'],
  ]
  for (const [mesg, place] of cases) {
    expect(() => encode({ mesg })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
    expect(() => encode({ mesg })).toThrow(new RegExp(`at ${place.replace(/[[\]]/g, '\\$&')}$`))
  }
})

test('a value that contains itself often is refused without a look at every way through it', () => {
  const value: Record<string, unknown> = { message: messageData(1) }
  Object.assign(value, { a: value, b: value, c: [value, value] })
  expect(() => encode({ mesg: value })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
  delete value.message
  expect(() => encode({ mesg: value })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
})

test('a date of another realm is a date', () => {
  const date = new Date(1_700_000_000_123)
  const foreign = runInNewContext('new Date(1700000000123)')
  expect(foreign).not.toBeInstanceOf(Date)
  const data = encode({ mesg: { at: foreign, list: [foreign] } })
  expect(data.equals(encode({ mesg: { at: date, list: [date] } }))).toBe(true)
  expect(decode({ data })).toEqual({ at: date, list: [date] })
})

test('a view whose bytes JSON would lose is refused there alone', () => {
  const mesg = { view: new DataView(Uint8Array.from([1, 2]).buffer) }
  expect(decode({ data: encode({ mesg }) })).toEqual({ view: Buffer.from([1, 2]) })
  expect(() => encode({ encoding: DataEncoding.JsonCodec, mesg })).toThrow(/DataView: the value\.view/)
})

test('a lone surrogate, −0 and a date that is none arrive as docs/guide/messaging.md says', () => {
  const there = (mesg: unknown, encoding = DataEncoding.MsgPack) =>
    decode({ encoding, data: encode({ encoding, mesg }) })
  for (const encoding of [DataEncoding.MsgPack, DataEncoding.JsonCodec]) {
    expect(there('a\ud800b', encoding)).toBe('a\ud800b')
    expect(there([-0], encoding)).toEqual([0])
  }
  const long = 'x'.repeat(60)
  expect(there(`${long}\ud800`)).toBe(`${long}\ufffd`)
  expect(there(`${long}\ud800`, DataEncoding.JsonCodec)).toBe(`${long}\ud800`)
  expect(there(new Date(Number.NaN))).toEqual(new Date(0))
  expect(there(new Date(Number.NaN), DataEncoding.JsonCodec)).toBeNull()
})

test('objects and arrays of another realm are data', () => {
  const foreign = runInNewContext('({ a: [1, { b: new Uint8Array([7]) }], empty: {} })')
  expect(decode({ data: encode({ mesg: foreign }) })).toEqual({ a: [1, { b: Buffer.from([7]) }], empty: {} })
})

describe('a message inside a value', () => {
  const made = messageData({ n: 1 }, { headers: { h: [1] } })
  const plain = { encoding: 0, raw: made.raw, headers: { h: [1] } }

  test.each([
    ['is encoded as its encoding, raw and headers', { batch: [made], made }],
    [
      'of another copy is, too',
      { batch: [otherCopy().messageData({ n: 1 }, { headers: { h: [1] } })], made },
    ],
  ])('%s', (_, value) => {
    expect(decode({ data: encode({ mesg: value }) })).toEqual({ batch: [plain], made: plain })
    expect(encode({ mesg: value }).equals(encode({ mesg: { batch: [plain], made: plain } }))).toBe(true)
  })

  test('without headers has no field for them, and null stays', () => {
    const list = [messageData(1), new MessageData({ raw: Buffer.from([1]), headers: null })]
    const [none, empty] = decode({ data: encode({ mesg: list }) }) as object[]
    expect(Object.keys(none!)).toEqual(['encoding', 'raw'])
    expect(empty).toEqual({ encoding: 0, raw: Buffer.from([1]), headers: null })
  })

  test('comes back as the message that it was', () => {
    const [stored] = decode({ data: encode({ mesg: [made] }) }) as ConstructorParameters<typeof MessageData>
    const again = new MessageData(stored)
    expect([again.data, again.headers, again.encoding]).toEqual([{ n: 1 }, { h: [1] }, 0])
  })

  test('is the same object in JSON, with its bytes as JSON has them', () => {
    const text = encode({ encoding: DataEncoding.JsonCodec, mesg: [made] }).toString()
    expect(JSON.parse(text)).toEqual([{ ...plain, raw: made.raw.toJSON() }])
  })

  test('leaves the value as it was', () => {
    const value = { list: [made, { deep: made }] }
    encode({ mesg: value })
    expect(value).toEqual({ list: [made, { deep: made }] })
    expect(value.list[0]).toBe(made)
  })
})

describeFabrics('messages on their way', fabric => {
  test('inside a value, as a store saves what it has received', async () => {
    const client: Client = fabric.client()
    const arriving = await client.subscribe('log')
    await client.publish('log', { n: 1 }, { headers: { key: 'a' } })
    await client.publish('log', Buffer.alloc(5000, 1))
    const received = await read(arriving, 2)
    expect(received[0]).toBeInstanceOf(Message)
    const saving = await client.subscribe('store')
    await client.publish('store', { messages: received })
    const [saved] = await read(saving, 1)
    const messages = saved!.data.messages.map((one: MessageData) => new MessageData(one))
    expect(messages.map((one: MessageData) => [one.data, one.headers])).toEqual([
      [{ n: 1 }, { key: 'a' }],
      [Buffer.alloc(5000, 1), undefined],
    ])
  })

  test('of another copy of the package are sent as messages', async () => {
    const { server, socket } = await pair(fabric)
    socket.write(otherCopy().messageData('from another copy', { headers: { a: 1 } }))
    socket.write(['inside', otherCopy().messageData('b')])
    const received = server.iter()
    expect((await received.next()).value).toEqual(['from another copy', { a: 1 }])
    expect((await received.next()).value![0][1].raw).toEqual(encode({ mesg: 'b' }))
  })
})
