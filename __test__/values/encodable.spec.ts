// What is inside a value and is no plain data: messages, dates of other realms, and what would become `{}`.
import { runInNewContext } from 'node:vm'
import { Client, DataEncoding, decode, encode, Message, MessageData, messageData } from 'selvedge'
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

/** A value that contains itself. */
function cycle(): object {
  const value = { a: [{ c: {} }] }
  value.a[0]!.c = value
  return value
}

test('the place of what no encoding has is told, too', () => {
  const cases: [unknown, string][] = [
    [{ a: [1, 2n] }, 'a[1]'],
    [[{ f: () => 1 }], '[0].f'],
    [{ 'x y': Symbol('s') }, '["x y"]'],
    [cycle(), 'a[0].c'],
    [{ x: [1, JSON.parse('{"__proto__": 1}')] }, 'x[1].__proto__'],
    [
      {
        x: {
          get y() {
            throw new Error('boom')
          },
        },
      },
      'x.y',
    ],
  ]
  for (const [mesg, place] of cases) {
    expect(() => encode({ mesg })).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
    expect(() => encode({ mesg })).toThrow(new RegExp(`at ${place.replace(/[[\]]/g, '\\$&')}$`))
  }
})

test('the place of a cycle is told, however it is encoded, and by whatever sends', async () => {
  for (const encoding of [DataEncoding.MsgPack, DataEncoding.JsonCodec])
    expect(() => encode({ encoding, mesg: cycle() })).toThrow(/ at a\[0\]\.c$/)
  await using client = new Client()
  const failure = { code: 'ERR_ENCODE', message: expect.stringMatching(/ at a\[0\]\.c$/) }
  await expect(client.publish('a', cycle())).rejects.toMatchObject(failure)
  expect(() => client.publishSync('a', 1, { headers: { h: cycle() } })).toThrow(
    expect.objectContaining({ code: 'ERR_ENCODE', message: expect.stringMatching(/ at h\.a\[0\]\.c$/) }),
  )
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

describe('what throws when it is looked at', () => {
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  const cases: Record<string, () => object> = {
    'a Proxy that was revoked': revoked,
    'a Proxy that throws': () =>
      new Proxy(
        {},
        {
          has() {
            throw Error('mine')
          },
          ownKeys() {
            throw Error('mine')
          },
        },
      ),
    'a getter that throws nothing': () => ({
      get it() {
        throw undefined
      },
    }),
    'a message with a member of its own': () =>
      Object.defineProperty(messageData(1), 'raw', {
        get() {
          throw Error('mine')
        },
      }),
    'an object that only looks like a message': () => Object.create(MessageData.prototype),
  }

  test.each(Object.keys(cases))('%s is refused with a code by whatever sends', async name => {
    await using client = new Client()
    const subscription = await client.subscribe('thrower')
    client.socket.listen('thrower')
    const socket = client.socket.connect('thrower')
    const make = cases[name]!
    const doors: (() => unknown)[] = [
      () => client.publishSync('thrower', make()),
      () => client.publish('thrower', make()),
      () => client.request('thrower', make()),
      () => client.requestMany('thrower', make()),
      () => client.publish('thrower', { inside: make() }),
      () => client.publish('thrower', 1, { headers: { inside: make() } }),
      () => socket.write(make()),
      () => socket.request(make()),
    ]
    for (const door of doors) {
      const failure = async (): Promise<unknown> => {
        try {
          await door()
        } catch (error) {
          return error
        }
        return undefined
      }
      expect([String(door), await failure()]).toEqual([
        String(door),
        expect.objectContaining({ code: 'ERR_ENCODE', message: expect.stringContaining('cannot encode') }),
      ])
    }
    subscription.close()
  })
})

test('headers refuse what would arrive as {}, with its place', async () => {
  await using client = new Client()
  const headers = { id: 1, late: { answer: Promise.resolve(1) } }
  const refusal = {
    code: 'ERR_ENCODE',
    message: 'cannot encode Promise: the headers.late.answer would arrive as {}',
  }
  expect(() => client.publishSync('headers', 1, { headers })).toThrow(expect.objectContaining(refusal))
  expect(() => messageData(1, { headers })).toThrow(expect.objectContaining(refusal))
  expect(client.publishSync('headers', 1, { headers: { empty: {} } })).toEqual({ bytes: 1 })
})

describeFabrics('a message that is passed on', fabric => {
  test('keeps headers that are no object, where they can go, and loses reserved ones', async () => {
    const [client, other] = [fabric.client(), fabric.client()]
    const out = await other.subscribe('out')
    const questions = await other.subscribe('in')
    questions.emitter.on('message', question => question.respondSync('x', { headers: [1, 'two'] }))
    const reply = await client.request('in')
    expect(reply.headers).toEqual([1, 'two'])
    await client.publish('out', reply)
    const { server, socket } = await pair(fabric)
    const written = new Promise(resolve => server.once('data', (...all) => resolve(all)))
    socket.write(reply)
    expect(await written).toEqual(['x', {}])
    const request = client.request('out', 1, { headers: { mine: 1 } })
    const [first, second] = await read(out, 2)
    expect([first!.data, first!.headers]).toEqual(['x', [1, 'two']])
    await other.publish('out', second)
    const [third] = await read(out, 1)
    expect([third!.isRequest(), third!.headers]).toEqual([false, { mine: 1 }])
    second!.respondSync(null)
    await request
  })
})
