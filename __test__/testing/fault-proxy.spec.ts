// The fault proxy of selvedge/testing, each fault by itself, against a plain TCP server.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { type FaultProxy, type FaultProxyOptions, faultProxy } from 'selvedge/testing'

let server: Server
let accepted: Socket[]
let proxy: FaultProxy
let clients: Socket[]

beforeEach(async () => {
  accepted = []
  clients = []
  server = createServer({ allowHalfOpen: true }, socket => {
    accepted.push(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(async () => {
  await proxy?.close()
  for (const socket of [...clients, ...accepted]) socket.destroy()
  server.close()
  await once(server, 'close')
})

const portOf = (listening: Server): number => (listening.address() as AddressInfo).port

async function start(options: Partial<FaultProxyOptions> = {}): Promise<void> {
  proxy = await faultProxy({ target: portOf(server), ...options })
}

/** A client through the proxy, and the server's end of it. */
async function pair(): Promise<[Socket, Socket]> {
  const arrival = once(server, 'connection')
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  clients.push(client)
  const [socket] = (await arrival) as [Socket]
  return [client, socket]
}

async function take(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= bytes) return Buffer.concat(chunks)
  }
  throw Error(`ended after ${length} of ${bytes} bytes`)
}

const noise = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255))
const codeOf = async (socket: Socket): Promise<unknown> => (await once(socket, 'error'))[0].code

/** What has come by the end of a round trip of the event loop and a timer; not a wait for something to come. */
async function arrivedWithin(socket: Socket, ms: number): Promise<number> {
  let bytes = 0
  const count = (chunk: Buffer): void => void (bytes += chunk.length)
  socket.on('data', count)
  await new Promise(resolve => setTimeout(resolve, ms))
  socket.off('data', count)
  socket.pause()
  return bytes
}

test('without faults it relays both ways, and a close passes too', async () => {
  await start()
  const [client, socket] = await pair()
  const bytes = noise(3_000_000)
  client.write(bytes)
  expect((await take(socket, bytes.length)).equals(bytes)).toBe(true)
  socket.end(bytes)
  expect((await take(client, bytes.length)).equals(bytes)).toBe(true)
  client.end()
  await Promise.all([once(client, 'close'), once(socket, 'close')])
  expect(proxy.stats).toEqual({
    connections: 1,
    bytes: { toServer: bytes.length, toClient: bytes.length },
    flipped: 0,
    resets: 0,
  })
})

test('latency and jitter delay, and keep the order', async () => {
  await start({ toServer: { latency: 80, jitter: 40 } })
  const [client, socket] = await pair()
  const before = performance.now()
  for (let i = 0; i < 50; i++) {
    client.write(Buffer.from([i]))
    await new Promise(setImmediate)
  }
  expect([...(await take(socket, 50))]).toEqual(Array.from({ length: 50 }, (_, i) => i))
  expect(performance.now() - before).toBeGreaterThanOrEqual(80)
})

test('a bandwidth makes bytes take their time', async () => {
  await start({ toClient: { bandwidth: 100_000 } })
  const [client, socket] = await pair()
  const before = performance.now()
  socket.write(noise(40_000))
  expect((await take(client, 40_000)).equals(noise(40_000))).toBe(true)
  expect(performance.now() - before).toBeGreaterThanOrEqual(380)
})

test('slices arrive in many pieces, whole', async () => {
  await start({ toServer: { slice: 1, latency: 1 } })
  const [client, socket] = await pair()
  let writes = 0
  const arrived: Buffer[] = []
  const all = new Promise<void>(resolve => {
    socket.on('data', chunk => {
      writes += 1
      arrived.push(chunk)
      if (Buffer.concat(arrived).length === 2000) resolve()
    })
  })
  client.write(noise(2000))
  await all
  expect(Buffer.concat(arrived).equals(noise(2000))).toBe(true)
  expect(writes).toBeGreaterThan(10)
})

test('half a close ends one direction only', async () => {
  await start()
  const [client, socket] = await pair()
  const ended = once(socket.resume(), 'end')
  proxy.halfClose('toServer')
  await ended
  socket.write('still here')
  expect(String(await take(client, 10))).toBe('still here')
})

test('a black hole tells nobody and loses nothing', async () => {
  await start()
  const [client, socket] = await pair()
  proxy.blackhole('toServer')
  client.write('held')
  expect(await arrivedWithin(socket, 60)).toBe(0)
  socket.write('the other way')
  expect(String(await take(client, 13))).toBe('the other way')
  const [late, lateSocket] = await pair()
  late.write('late')
  await proxy.restore()
  expect(String(await take(socket, 4))).toBe('held')
  expect(String(await take(lateSocket, 4))).toBe('late')
})

test('a cut resets both ends, and the next connection is taken', async () => {
  await start()
  const [client, socket] = await pair()
  const codes = [codeOf(client), codeOf(socket)]
  expect(await proxy.cut()).toBe(1)
  expect(await Promise.all(codes)).toEqual(['ECONNRESET', 'ECONNRESET'])
  expect(proxy.connections).toBe(0)
  const [again, there] = await pair()
  again.write('again')
  expect(String(await take(there, 5))).toBe('again')
})

test('refused connections are taken after restore, on the same port', async () => {
  await start()
  const { port } = proxy
  await proxy.refuse()
  const refused = connect(port, '127.0.0.1')
  expect(await codeOf(refused)).toBe('ECONNREFUSED')
  await proxy.restore()
  expect(proxy.port).toBe(port)
  await pair()
})

test('one flip is one bit, and the same seed flips the same one', async () => {
  const seen: Buffer[] = []
  for (let round = 0; round < 2; round++) {
    await start({ seed: 7 })
    proxy.flip(1, 'toServer')
    const [client, socket] = await pair()
    client.write(Buffer.alloc(100))
    seen.push(await take(socket, 100))
    expect(proxy.stats.flipped).toBe(1)
    await proxy.close()
  }
  const bits = seen.map(bytes =>
    [...bytes].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0),
  )
  expect(bits).toEqual([1, 1])
  expect(seen[0]!.equals(seen[1]!)).toBe(true)
})

test('flips by chance come about as often as they should', async () => {
  await start({ seed: 3, toServer: { flip: 0.01 } })
  const [client, socket] = await pair()
  client.write(Buffer.alloc(100_000))
  const struck = [...(await take(socket, 100_000))].filter(byte => byte !== 0).length
  expect(struck).toBe(proxy.stats.flipped)
  expect(struck).toBeGreaterThan(700)
  expect(struck).toBeLessThan(1300)
})

test('resets by chance reset', async () => {
  await start({ toServer: { reset: 1 } })
  const [client] = await pair()
  const code = codeOf(client)
  client.write('x')
  expect(await code).toBe('ECONNRESET')
  expect(proxy.stats.resets).toBe(1)
})

test('a server that is gone is a reset, and one elsewhere is found', async () => {
  await start()
  const other = createServer(socket => socket.end('other'))
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  proxy.retarget(`http://127.0.0.1:${portOf(other)}`)
  const client = connect(proxy.port, '127.0.0.1')
  clients.push(client)
  expect(String(await take(client, 5))).toBe('other')
  client.destroy()
  other.close()
  await once(other, 'close')
  const late = connect(proxy.port, '127.0.0.1')
  expect(await codeOf(late)).toBe('ECONNRESET')
})

test.each<[unknown, string]>([
  [{}, 'ERR_INVALID_ARG_TYPE'],
  [{ target: 'nowhere' }, 'ERR_INVALID_ARG_VALUE'],
  [{ target: 'http://' }, 'ERR_INVALID_ARG_VALUE'],
  [{ target: 1, lag: 5 }, 'ERR_UNKNOWN_OPTION'],
  [{ target: 1, toServer: { lag: 5 } }, 'ERR_UNKNOWN_OPTION'],
  [{ target: 1, toServer: { latency: -1 } }, 'ERR_OUT_OF_RANGE'],
  [{ target: 1, toClient: { flip: 2 } }, 'ERR_OUT_OF_RANGE'],
  [{ target: 1, toClient: { slice: 0 } }, 'ERR_OUT_OF_RANGE'],
  [{ target: 1, seed: 'x' }, 'ERR_INVALID_ARG_TYPE'],
])('wrong options are refused: %j', async (options, code) => {
  await expect(faultProxy(options as FaultProxyOptions)).rejects.toMatchObject({ code })
})

test('a direction that is none is refused', async () => {
  await start()
  expect(() => proxy.blackhole('up' as 'both')).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  )
})
