import { DataEncoding, decode, encode, MessageData, messageData } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { read, rejection } from '../support/messages'
import { pair, take } from '../support/sockets'

const VALUE = { text: 'Grüße 🌍', list: [1, null, [true]], deep: { n: 1.5 } }

describeFabrics('the encoding of a message', fabric => {
  test('is MessagePack unless told otherwise', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const { bytes } = await client.publish('a', VALUE)
    const [message] = await read(subscription, 1)
    expect(message!.encoding).toBe(DataEncoding.MsgPack)
    expect(message!.data).toEqual(VALUE)
    expect(message!.raw.equals(encode({ mesg: VALUE }))).toBe(true)
    expect(message!.length).toBe(bytes)
  })

  test('can be JSON', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    await client.publish('a', VALUE, { encoding: DataEncoding.JsonCodec })
    const [message] = await read(subscription, 1)
    expect(message!.encoding).toBe(DataEncoding.JsonCodec)
    expect(message!.raw.toString()).toBe(JSON.stringify(VALUE))
    expect(message!.data).toEqual(VALUE)
  })

  test('is up to the sender of raw bytes', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const raw = Buffer.from('{"n": 1}')
    expect(await client.publish('a', 'ignored', { raw, encoding: DataEncoding.JsonCodec })).toMatchObject({
      bytes: 8,
    })
    const [message] = await read(subscription, 1)
    expect(message!.data).toEqual({ n: 1 })
    expect(message!.raw.equals(raw)).toBe(true)
  })

  test('does not matter for no bytes at all: they arrive, and are undefined', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    expect(await client.publish('a', 'ignored', { raw: Buffer.alloc(0) })).toEqual({ bytes: 0, count: 1 })
    const [message] = await read(subscription, 1)
    expect(message!.length).toBe(0)
    expect(message!.data).toBeUndefined()
  })

  test('is known to a message that was made before, which can be sent often', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const data = messageData(VALUE, { encoding: DataEncoding.JsonCodec, headers: { n: 1 } })
    await client.publish('a', data)
    await client.publish('a', data, { headers: { n: 2 } })
    const messages = await read(subscription, 2)
    expect(messages.map(({ data, headers, encoding }) => ({ data, headers, encoding }))).toEqual([
      { data: VALUE, headers: { n: 1 }, encoding: 1 },
      { data: VALUE, headers: { n: 2 }, encoding: 1 },
    ])
  })

  test('that is damaged throws when the data is asked for, and not before', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    await client.publish('a', null, { raw: Buffer.from([0x93, 1]) })
    const [message] = await read(subscription, 1)
    expect(message!.length).toBe(2)
    expect(() => message!.data).toThrow(expect.objectContaining({ code: 'ERR_DECODE' }))
  })

  test('has no place for a BigInt or a function: nothing is sent', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    for (const value of [1n, { f: () => {} }]) {
      expect((await rejection(client.publish('a', value))).code).toBe('ERR_ENCODE')
      expect(() => client.publishSync('a', value)).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
    }
    await client.publish('a', 'after')
    expect((await read(subscription, 1))[0]!.data).toBe('after')
  })

  test('that no reader takes is refused where it is written, and costs no socket', async () => {
    const { server, socket } = await pair(fabric)
    const deep = JSON.parse(`${'['.repeat(1500)}${']'.repeat(1500)}`)
    for (const [value, encoding] of [
      [JSON.parse('{"a":{"__proto__":1}}'), 0],
      [[JSON.parse('{"__proto__":1}'), 'x'.repeat(1000)], 0],
      [deep, 1],
    ]) {
      const refused = expect.objectContaining({ code: 'ERR_ENCODE' })
      expect(() => socket.write(value, { encoding })).toThrow(refused)
    }
    const taken = [{ a: '__proto__' }, { proto: '__proto__', b: 'x'.repeat(1000) }]
    for (const value of taken) socket.write(value)
    socket.write(JSON.parse('{"__proto__":1}'), { encoding: 1 })
    const [, , last] = (await take(server, 3)) as object[]
    expect(Object.keys(last!)).toEqual(['__proto__'])
  })

  test('of bytes that are reused after the call does not change what was sent', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    const bytes = Buffer.from('first')
    client.publishSync('a', bytes)
    const confirmed = client.publish('a', bytes)
    bytes.fill('x')
    await confirmed
    for (const message of await read(subscription, 1)) expect(message.data).toEqual(Buffer.from('first'))
  })
})

test('encode and decode are each other’s reverse, in both encodings', () => {
  for (const encoding of [DataEncoding.MsgPack, DataEncoding.JsonCodec]) {
    expect(decode({ encoding, data: encode({ encoding, mesg: VALUE }) })).toEqual(VALUE)
    const made = new MessageData({ encoding, raw: encode({ encoding, mesg: VALUE }), headers: { a: 1 } })
    expect([made.data, made.headers, made.length]).toEqual([VALUE, { a: 1 }, made.raw.length])
  }
})
