// What `console.log` shows: what a person wants to know, on one line where it fits, and nothing that is nobody's business.
import { inspect } from 'node:util'
import {
  type Client,
  type ConatServer,
  init,
  type Message,
  MessageData,
  messageData,
  Patterns,
  type ServerSocket,
  watchRoom,
} from 'selvedge'

let server: ConatServer
let client: Client

beforeEach(async () => {
  server = init({ port: 0, systemAccountPassword: 's3cret' })
  await server.waitUntilReady()
  client = server.client({ extraHeaders: { 'X-Key': 's3cret' }, systemAccountPassword: 's3cret' })
  await client.waitUntilReady()
})

afterEach(async () => {
  await client.close()
  await server.close()
})

async function oneMessage(send: () => void): Promise<Message> {
  const subscription = await client.subscribe('orders.*')
  send()
  for await (const message of subscription) return message
  throw Error('ended')
}

test('a client, a broker and a subscription', async () => {
  const subscription = await client.subscribe('a.*', { queue: 'q' })
  expect(inspect(client)).toMatch(
    /^Client \{\s+id: '\w{32}',\s+state: 'connected',[\s\S]*subscriptions: 1\s\}$/,
  )
  expect(inspect(server)).toMatch(/^ConatServer \{\s+id: '0',\s+state: 'ready',\s+address: 'http:/)
  expect(inspect(subscription)).toBe("Subscription { subject: 'a.*', queue: 'q', ended: false, dropped: 0 }")
  expect(inspect([client, server])).not.toMatch(/s3cret|Symbol|_events/)
})

test('both ends of a socket, and its server', async () => {
  const listener = client.socket.listen('chat', { desc: 'the lobby' })
  const accepted = new Promise<object>(resolve => listener.once('connection', resolve))
  await listener.waitUntilReady()
  const socket = client.socket.connect('chat', { id: 'ann' })
  await socket.waitUntilReady()
  expect(inspect(socket)).toBe(
    "ConatSocketClient { subject: 'chat', id: 'ann', state: 'ready', pending: 0, sent: 0, received: 0 }",
  )
  expect(inspect(await accepted)).toMatch(/^ServerSocket \{\s+subject: 'chat.server/)
  expect(inspect(listener)).toMatch(
    /ConatSocketServer \{\s+subject: 'chat',[\s\S]*desc: 'the lobby',\s+sockets: 1\s\}$/,
  )
})

test('rooms, from each side', async () => {
  const listener = client.socket.listen('chat')
  const accepted = new Promise<ServerSocket>(resolve => listener.once('connection', resolve))
  await listener.waitUntilReady()
  const socket = client.socket.connect('chat')
  const place = await accepted
  place.join(['a', 'b'])
  expect(inspect(listener.room('a'))).toBe("Room { name: 'a', members: 1 }")
  expect(inspect(watchRoom(socket, 'a'))).toBe("RoomView { name: 'a', members: 0 }")
  expect(inspect(listener.to('a'))).toBe("Broadcast { rooms: [ 'a' ], members: 1 }")
  expect(inspect(listener.to(['a', 'b']).except('x'))).toBe(
    "Broadcast { rooms: [ 'a', 'b' ], except: [ 'x' ], members: 1 }",
  )
  const patterns = new Patterns<number>()
  patterns.set('a.*', 1)
  expect(inspect(patterns)).toBe('Patterns { patterns: 1 }')
})

test('a message shows its data and headers', async () => {
  const message = await oneMessage(() => client.publishSync('orders.new', { id: 1 }, { headers: { n: 1 } }))
  expect(inspect(message)).toBe(
    "Message { subject: 'orders.new', data: { id: 1 }, headers: { n: 1 }, request: false }",
  )
  expect(inspect({ deep: { deeper: message } }, { depth: 1 })).toBe('{ deep: { deeper: [Message] } }')
  expect(inspect(messageData('hello'))).toBe("MessageData { data: 'hello' }")
})

test('a payload that cannot be decoded is shown as that', () => {
  expect(inspect(new MessageData({ raw: Buffer.from([0xc1]) }))).toBe('MessageData { data: <ERR_DECODE> }')
})
