// Peers that come to a broker and do not belong there, and what that costs the others: nothing.
import { once } from 'node:events'
import net from 'node:net'
import { type ConatServer, connect, init, type ServerOptions } from 'selvedge'
import { closed } from '../support/raw'

let broker: ConatServer

afterEach(() => broker.close())

async function serve(options: ServerOptions = {}): Promise<number> {
  broker = init({ port: 0, ...options })
  await broker.waitUntilReady()
  return broker.address()!.port
}

/** Returns all that is sent to a peer that sends this; empty if the connection is closed at once. */
async function answer(port: number, text: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(text)
  let said = ''
  socket.on('data', part => {
    said += part
  })
  await closed(socket)
  return said
}

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'

test('who says nothing is sent away in time, and so is who says it slowly', async () => {
  const port = await serve({ handshakeTimeout: 200 })
  expect(await answer(port, '')).toBe('')
  const slow = net.connect(port, '127.0.0.1')
  const drip = setInterval(() => slow.write('a'), 20)
  slow.write('GET /conat/ HTTP/1.1\r\nX: ')
  await closed(slow)
  clearInterval(drip)
  expect(await answer(port, HEALTH)).toMatch(/200 OK/)
})

test('an address with too many handshakes loses its oldest, and lets others of the same address in', async () => {
  const port = await serve({ maxHandshakes: 8, maxHandshakesPerAddress: 2 })
  await using member = connect({ address: `http://127.0.0.1:${port}`, noCache: true })
  await member.waitUntilReady()
  const [oldest, second] = [await silent(port), await silent(port)]
  const isGone = closed(oldest)
  expect(await answer(port, HEALTH)).toMatch(/200 OK/)
  await isGone
  expect(second.closed).toBe(false)
  expect((await member.publish('a', 1)).count).toBe(0)
  second.destroy()
})

/** A connection that begins a handshake and never ends it. */
async function silent(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

test('requests that are no upgrade are told what they are', async () => {
  const port = await serve()
  for (const [request, status] of [
    ['GET /conat/?EIO=4&transport=websocket', 426],
    ['GET /conat/', 400],
    ['DELETE /conat/', 405],
    ['GET /elsewhere', 404],
    ['GET /healthz', 200],
  ] as const) {
    const text = `${request} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    expect([request, await answer(port, text)]).toEqual([
      request,
      expect.stringMatching(`^HTTP/1.1 ${status} `),
    ])
  }
})

test('web pages and names that are not allowed stay out', async () => {
  const port = await serve({ allowedOrigins: ['https://app.example'], allowedHosts: ['app.example'] })
  const ask = async (host: string, origin?: string): Promise<boolean> => {
    const client = connect({
      address: `http://127.0.0.1:${port}`,
      noCache: true,
      extraHeaders: origin === undefined ? {} : { Origin: origin },
      reconnection: false,
    })
    const outcome = await Promise.race([
      once(client, 'connected').then(() => true),
      once(client, 'connectFailed').then(() => false),
    ])
    await client.close()
    const head = `GET /conat/ HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n`
    return outcome && !/ 403 /.test(await answer(port, head))
  }
  expect(await ask('localhost')).toBe(true)
  expect(await ask('app.example:443', 'https://app.example')).toBe(true)
  expect(await ask('evil.example')).toBe(false)
  expect(await ask('app.example', 'https://evil.example')).toBe(false)
})
