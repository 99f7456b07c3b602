// What a broker forbids, against one of the original's kind: asked once, then remembered for a minute.
import { once } from 'node:events'
import { type Client, connect } from 'selvedge'
import { Broker } from '../interop/peers/broker'
import { rejection } from '../support/messages'

let broker: Broker
let client: Client
let asked: string[]
let forbids: (subject: string) => boolean

beforeEach(async () => {
  asked = []
  forbids = subject => subject.startsWith('secret')
  broker = await Broker.listen({
    isAllowed: (type, subject) => {
      if (subject.startsWith('secret')) asked.push(`${type} ${subject}`)
      return !forbids(subject)
    },
  })
  const address = `http://127.0.0.1:${broker.port}`
  client = connect({ address, noCache: true, wire: 'conat', reconnectionDelay: 5, reconnectionDelayMax: 50 })
  await client.waitUntilReady()
})

afterEach(async () => {
  jest.restoreAllMocks()
  await client.close()
  await broker.close()
})

const denied = (act: string) => ({
  code: 403,
  message: expect.stringContaining(`permission denied ${act} 'secret.a'`),
})

test('the second time nobody is asked: publish, request and interest are refused at once', async () => {
  expect(await rejection(client.publish('secret.a', 1))).toMatchObject(denied('publishing to'))
  expect(asked).toEqual(['pub secret.a'])
  const sent = client.stats.sent.messages
  expect(await rejection(client.publish('secret.a', 1))).toMatchObject(denied('publishing to'))
  expect(await rejection(client.request('secret.a', 1))).toMatchObject(denied('publishing to'))
  expect(await rejection(client.requestMany('secret.a', 1))).toMatchObject(denied('publishing to'))
  expect(await rejection(client.interest('secret.a'))).toMatchObject(denied('publishing to'))
  expect(await rejection(client.call('secret.a').method())).toMatchObject(denied('publishing to'))
  expect(() => client.publishSync('secret.a', 1)).toThrow(expect.objectContaining({ code: 403 }))
  expect([asked, client.stats.sent.messages]).toEqual([['pub secret.a'], sent])
  // Another subject, and the other way, are other questions.
  expect(await rejection(client.publish('secret.b', 1))).toMatchObject({ code: 403 })
  expect(await rejection(client.subscribe('secret.a'))).toMatchObject(denied('subscribing to'))
  expect(asked).toEqual(['pub secret.a', 'pub secret.b', 'sub secret.a'])
})

test('a subscribe that was refused is remembered as well', async () => {
  expect(await rejection(client.subscribe('secret.a'))).toMatchObject(denied('subscribing to'))
  expect(() => client.subscribeSync('secret.a')).toThrow(expect.objectContaining({ code: 403 }))
  expect(await rejection(client.service('secret.a', {}))).toMatchObject(denied('subscribing to'))
  expect(asked).toEqual(['sub secret.a'])
})

test('a refusal of publishSync is told by the event alone, and then remembered', async () => {
  const told = once(client, 'permission')
  client.publishSync('secret.a', 1)
  expect(await told).toEqual([{ message: expect.any(String), subject: 'secret.a', type: 'pub' }])
  expect(() => client.publishSync('secret.a', 1)).toThrow('permission denied publishing to')
})

test('after 60 s it is asked again', async () => {
  expect(await rejection(client.publish('secret.a', 1))).toMatchObject({ code: 403 })
  const now = Date.now()
  const clock = jest.spyOn(Date, 'now').mockReturnValue(now + 58_000)
  expect(await rejection(client.publish('secret.a', 1))).toMatchObject({ code: 403 })
  expect(asked.length).toBe(1)
  forbids = () => false
  clock.mockReturnValue(now + 60_001)
  expect(await client.publish('secret.a', 1)).toEqual({ bytes: 1, count: 0 })
  expect(asked.length).toBe(2)
})

test('after a new sign-in it is asked again: another user may be allowed', async () => {
  expect(await rejection(client.publish('secret.a', 1))).toMatchObject({ code: 403 })
  forbids = () => false
  const again = once(client, 'inbox')
  broker.cut()
  await again
  expect(await client.publish('secret.a', 1)).toEqual({ bytes: 1, count: 0 })
})

test('at most 1000 refusals are remembered', async () => {
  await rejection(client.publish('secret.first', 1))
  for (let n = 0; n < 1000; n++) await rejection(client.publish(`secret.${n}`, 1))
  expect(asked.length).toBe(1001)
  await rejection(client.publish('secret.999', 1))
  expect(asked.length).toBe(1001)
  await rejection(client.publish('secret.first', 1))
  expect(asked.length).toBe(1002)
})
