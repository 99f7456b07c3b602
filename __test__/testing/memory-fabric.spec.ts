// The fabric of selvedge/testing: whole, alone, and gone when it is closed.
import { once } from 'node:events'
import { connect } from 'selvedge'
import { type MemoryFabric, memoryFabric } from 'selvedge/testing'
import { disconnection } from '../support/sockets'

const { refCount } = require('../../dist/engine/process-ref.js') as { refCount(): number }

let fabric: MemoryFabric

beforeEach(() => {
  fabric = memoryFabric()
})

afterEach(async () => {
  await fabric.close()
  expect(refCount()).toBe(0)
})

test('sockets talk over it', async () => {
  const server = fabric.client().socket.listen('chat')
  server.on('connection', socket => socket.on('data', data => socket.write({ got: data })))
  const socket = fabric.client().socket.connect('chat')
  socket.write('hi')
  expect((await once(socket, 'data'))[0]).toEqual({ got: 'hi' })
})

test('it is a fabric of its own', async () => {
  const other = memoryFabric()
  const shared = connect({ noCache: true })
  const subscription = await fabric.client().subscribe('a')
  for (const stranger of [other.client(), shared]) {
    expect((await stranger.publish('a', 'unheard')).count).toBe(0)
    await stranger.close()
  }
  expect((await fabric.client().publish('a', 'heard')).count).toBe(1)
  expect((await subscription.next()).value!.data).toBe('heard')
  await other.close()
})

test('dropped connections come back, and nothing written meanwhile is lost', async () => {
  const [host, guest] = [fabric.client(), fabric.client()]
  const server = host.socket.listen('chat')
  const seen: unknown[] = []
  server.on('connection', socket => socket.on('data', data => seen.push(data)))
  const socket = guest.socket.connect('chat')
  await socket.waitUntilReady()
  for (const dropped of [[], [host], [guest], [host, guest]]) {
    const losses = (dropped.length > 0 ? dropped : [host, guest]).map(client => disconnection(client))
    fabric.dropConnections(...dropped)
    socket.write(dropped.length)
    await Promise.all(losses)
    // Who is not connected cannot lose its connection.
    await Promise.all([host.waitUntilReady(), guest.waitUntilReady()])
  }
  await socket.drain()
  expect(seen).toEqual([0, 1, 1, 2])
})

test('options reach the broker, and one that makes no sense is refused', async () => {
  const small = memoryFabric({ maxSubscriptionsPerClient: 2 })
  const client = small.client()
  await client.subscribe('a')
  await expect(Promise.all([client.subscribe('b'), client.subscribe('c')])).rejects.toMatchObject({
    code: 429,
  })
  await small[Symbol.asyncDispose]()
  expect(client.state).toBe('closed')
  for (const options of [{ port: 0 }, { colour: 'red' }] as object[]) {
    expect(() => memoryFabric(options)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION' }))
  }
})
