// A broker behind an HTTP server of the application's, beside its routes and its other upgrades.
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import net, { type AddressInfo } from 'node:net'
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  init,
  type ServerOptions,
} from 'selvedge'
import { io } from 'socket.io-client'
import { WebSocket, WebSocketServer } from 'ws'
import { CA, material } from '../support/certificates'
import { rejection } from '../support/messages'
import { disconnection, join, listening, numbers, take } from '../support/sockets'

const open: { close(): Promise<unknown> }[] = []
let server: Server

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
  // All that the broker has left open would keep it from closing.
  if (server.listening) await once(server.close(), 'close')
})

/** The application: routes, and an upgrade of its own at /echo. It ends upgrades that nobody else can want. */
const routes: RequestListener = (request, response) => {
  response.statusCode = request.url === '/hello' ? 200 : 404
  response.end(request.url === '/hello' ? 'hello' : 'no such route')
}

async function application(make: () => Server = () => createServer(routes)): Promise<number> {
  server = make()
  const echo = new WebSocketServer({ noServer: true })
  echo.on('connection', socket => socket.on('message', data => socket.send(data)))
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/echo')
      echo.handleUpgrade(request, socket, head, one => echo.emit('connection', one))
    else if (server.listenerCount('upgrade') === 1) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

async function attach(options: ServerOptions = {}): Promise<ConatServer> {
  const broker = init({ httpServer: server, ...options })
  open.push(broker)
  await broker.waitUntilReady()
  return broker
}

function enter(address: string, options: ConnectOptions = {}): Client {
  const client = connect({
    address,
    noCache: true,
    reconnectionDelay: 5,
    reconnectionDelayMax: 20,
    ...options,
  })
  open.push(client)
  return client
}

test('routes, another upgrade, and clients of both wires live on one port', async () => {
  const port = await application()
  const broker = await attach()
  expect(broker.address()).toMatchObject({ address: '127.0.0.1', port })
  const address = `http://127.0.0.1:${port}`
  const [host, guest] = [enter(address, { wire: 'conat' }), enter(address, { wire: 'selvedge' })]
  const [atHost, atGuest] = await join(await listening(host, 'chat'), guest)
  const all = take(atHost, 500)
  for (const n of numbers(1, 500)) atGuest.write(n)

  expect(await (await fetch(`${address}/hello`)).text()).toBe('hello')
  expect((await fetch(`${address}/conat/`)).status).toBe(404)
  const echo = new WebSocket(`ws://127.0.0.1:${port}/echo`)
  await once(echo, 'open')
  echo.send('over here')
  expect(String((await once(echo, 'message'))[0])).toBe('over here')
  echo.close()
  await once(echo, 'close')
  expect(await all).toEqual(numbers(1, 500))
})

test('a client on the official socket.io-client signs in', async () => {
  const port = await application()
  await attach({ clusterName: 'here' })
  const socket = io(`http://127.0.0.1:${port}`, { path: '/conat', transports: ['websocket'], forceNew: true })
  const info = await new Promise<{ clusterName: string }>(resolve => socket.once('info', resolve))
  expect(info.clusterName).toBe('here')
  expect(await socket.emitWithAck('subscribe', { subject: 'a.*', queue: '0' })).toEqual({ status: 'added' })
  socket.disconnect()
})

test('with a server of node:https everything goes over its TLS', async () => {
  const port = await application(() => createSecureServer(material('server'), routes))
  await attach({ ssl: true })
  for (const wire of ['conat', 'selvedge'] as const) {
    const client = enter(`https://localhost:${port}`, { ca: CA, wire })
    await client.waitUntilReady({ timeout: 5000 })
    expect((await client.publish('nobody', 'x'.repeat(100_000))).count).toBe(0)
  }
})

test('closing the broker leaves the server open, and another broker takes its place', async () => {
  const port = await application()
  const address = `http://127.0.0.1:${port}`
  const first = await attach()
  const client = enter(address)
  await client.waitUntilReady()
  const lost = disconnection(client)
  await first.close()
  await lost
  // It knocks while no broker is there.
  await once(client, 'connectFailed')
  expect(first.address()).toBe(null)
  expect(server.listening).toBe(true)
  expect(await (await fetch(`${address}/hello`)).text()).toBe('hello')
  expect(server.listenerCount('upgrade')).toBe(1)
  await attach()
  await client.waitUntilReady({ timeout: 5000 })
})

test('a reader that is slow stops the writer, and nothing is lost on the way', async () => {
  const port = await application()
  await attach()
  const address = `http://127.0.0.1:${port}`
  const [host, guest] = [enter(address), enter(address)]
  const [atHost, atGuest] = await join(await listening(host, 'chat'), guest)
  const size = 300_000
  const lengths: number[] = []
  const reading = (async () => {
    for await (const [data] of atHost.iter()) {
      lengths.push((data as Buffer).length)
      // The others get their turn between any two.
      await new Promise(setImmediate)
      if (lengths.length === 100) return
    }
  })()
  for (const n of numbers(1, 100)) if (!atGuest.write(Buffer.alloc(size + n))) await atGuest.drain()
  await reading
  expect(lengths).toEqual(numbers(size + 1, size + 100))
})

/** What a raw request is answered. */
async function ask(port: number, lines: string[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  let text = ''
  for await (const part of socket) text += part
  return text
}

test('an upgrade that is not wanted is answered, here or by nobody else', async () => {
  const port = await application()
  await attach({ allowedOrigins: ['https://app.example'], allowedHosts: ['app.example'] })
  const upgrade = ['Connection: Upgrade', 'Upgrade: selvedge/1']
  const get = 'GET /conat/ HTTP/1.1'
  expect(await ask(port, [get, 'Host: evil.example', ...upgrade])).toMatch(/^HTTP\/1.1 403 /)
  const page = ['Host: app.example:80', 'Origin: https://evil.example']
  expect(await ask(port, [get, ...page, ...upgrade])).toMatch(/^HTTP\/1.1 403 /)
  expect(await ask(port, [get, 'Host: app.example', 'Connection: Upgrade', 'Upgrade: other'])).toMatch(
    /^HTTP\/1.1 400 /,
  )
  server.removeAllListeners('upgrade')
  await open.pop()!.close()
  await attach()
  expect(await ask(port, ['GET /elsewhere HTTP/1.1', 'Host: h', ...upgrade])).toMatch(/^HTTP\/1.1 404 /)
})

test('the broker is ready when the server listens, and fails when it cannot', async () => {
  server = createServer(routes)
  const broker = init({ httpServer: server })
  open.push(broker)
  expect(broker.address()).toBe(null)
  server.listen(0, '127.0.0.1')
  await broker.waitUntilReady()
  const { port } = server.address() as AddressInfo
  expect(broker.address()).toMatchObject({ port })
  const second = createServer(routes)
  const unlucky = init({ httpServer: second })
  const failed = rejection(unlucky.waitUntilReady())
  second.listen(port, '127.0.0.1')
  expect(await failed).toMatchObject({ code: 'EADDRINUSE' })
})

test('an HTTP server that is closed and cuts its connections cuts our clients, and no more', async () => {
  const port = await application()
  const broker = await attach()
  const client = enter(`http://127.0.0.1:${port}`)
  const inside = broker.client()
  open.push(inside)
  await client.waitUntilReady()
  const sockets: net.Socket[] = []
  server.on('connection', socket => sockets.push(socket))
  const late = enter(`http://127.0.0.1:${port}`)
  await late.waitUntilReady()
  const lost = disconnection(late)
  for (const socket of sockets) socket.destroy()
  await lost
  expect((await inside.publish('a', 1)).count).toBe(0)
})

test.each([
  [{ httpServer: {} }, 'ERR_INVALID_ARG_TYPE'],
  [{ httpServer: createServer(), socketPath: '/x' }, 'ERR_INVALID_ARG_VALUE'],
  [{ httpServer: createServer(), ssl: material('server') }, 'ERR_INVALID_ARG_VALUE'],
  [{ allowedOrigins: 'https://x' }, 'ERR_INVALID_ARG_TYPE'],
  [{ allowedHosts: [5] }, 'ERR_INVALID_ARG_TYPE'],
  [{ maxHandshakes: 0 }, 'ERR_OUT_OF_RANGE'],
])('options that make no sense are refused: %#', (options, code) => {
  expect(() => init(options as unknown as ServerOptions)).toThrow(expect.objectContaining({ code }))
})
