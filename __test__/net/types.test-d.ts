// Compile-only: every overload of net, tls and dgram, and what fits where Node's own does.
import type { EventEmitter } from 'node:events'
import type http from 'node:http'
import type nodeNet from 'node:net'
import type { Duplex } from 'node:stream'
import type nodeTls from 'node:tls'
import type { Client } from 'selvedge'
import * as dgram from 'selvedge/dgram'
import defaultNet, * as net from 'selvedge/net'
import * as tls from 'selvedge/tls'

declare const client: Client
const nothing = (): void => {}

export function servers(): net.Server[] {
  const listener = (socket: net.Socket): void => void socket.pipe(socket)
  const options: net.ServerOptions = {
    allowHalfOpen: true,
    accept: async ({ subject, id }) => void [subject, id],
  }
  const made: net.Server[] = [
    net.createServer(),
    net.createServer(listener),
    net.createServer(options),
    net.createServer(options, listener),
    net.createServer(null, listener),
    new net.Server(options, listener),
    new net.Server(listener),
  ]
  const [server] = made as [net.Server]
  const chained: net.Server[] = [
    server.listen(),
    server.listen(nothing),
    server.listen('subject'),
    server.listen('subject', nothing),
    server.listen('subject', 511),
    server.listen('subject', 511, nothing),
    server.listen({ subject: 'subject', reusePort: true, client, signal: new AbortController().signal }),
    server.listen({}, nothing),
    server.close(),
    server.close((error?: Error) => void error),
    server.ref().unref(),
  ]
  const address: net.AddressInfo | null = server.address()
  const subject: string | undefined = server.subject
  server.getConnections((error: Error | null, count: number) => void [error, count])
  server.on('connection', listener).on('error', (error: Error) => void error)
  server.on('drop', data => void data?.remoteAddress)
  server.maxConnections = 5
  // @ts-expect-error a port is no subject
  server.listen(5432)
  void [address, subject]
  return [...made, ...chained]
}

export function sockets(): net.Socket[] {
  const options: net.ConnectOptions = { wait: 500, connectTimeout: 0, window: 1 << 16, timeout: 5 }
  const made: net.Socket[] = [
    net.connect('subject'),
    net.connect('subject', nothing),
    net.connect('subject', options),
    net.connect('subject', options, nothing),
    net.connect({ subject: 'subject', ...options }, nothing),
    net.connect({ port: 5432, host: 'db', resolve: ({ host, port }) => `${host}.${port}` }),
    net.connect({ path: '/run/db', resolve: async () => 'db' }, nothing),
    net.connect(5432),
    net.connect(5432, 'db'),
    net.connect(5432, 'db', nothing),
    net.connect(5432, nothing),
    net.createConnection('subject'),
    new net.Socket(),
    new net.Socket({ subject: 'subject', onread: { buffer: Buffer.alloc(5), callback: () => true } }),
    new net.Stream({ allowHalfOpen: true }),
  ]
  const [socket] = made as [net.Socket]
  const stream: Duplex = socket satisfies Duplex
  const chained: net.Socket[] = [
    socket.connect('subject'),
    socket.connect('subject', nothing),
    socket.connect('subject', options, nothing),
    socket.connect({ subject: 'subject' }, nothing),
    socket.connect(5432, 'db', nothing),
    socket.end(),
    socket.end(nothing),
    socket.end('text', nothing),
    socket.end('text', 'latin1', nothing),
    socket.setTimeout(5),
    socket.setTimeout(5, nothing),
    socket.setNoDelay().setKeepAlive(true, 5).ref().unref().pause().resume().setEncoding('utf8'),
    socket.destroy(Error('x')),
    socket.destroySoon(),
    socket.resetAndDestroy(),
  ]
  const wrote: boolean = socket.write('text', 'utf8', (error?: Error | null) => void error)
  const flushed: Promise<void>[] = [
    socket.flushed(),
    socket.flushed({ timeout: 500, signal: new AbortController().signal }),
    net.expose('a', { port: 1 }).drain({ deadline: 500, signal: new AbortController().signal }),
    net.forward('a', { port: 1 }).drain({ deadline: 500, signal: new AbortController().signal }),
  ]
  // @ts-expect-error a flush has no deadline
  void socket.flushed({ deadline: 500 })
  const known: (string | number | undefined)[] = [
    socket.localAddress,
    socket.localPort,
    socket.localFamily,
    socket.remoteAddress,
    socket.remotePort,
    socket.remoteFamily,
    socket.bytesRead,
    socket.bytesWritten,
    socket.bufferSize,
    socket.timeout,
    socket.readyState,
  ]
  socket.on('lookup', (error, subject, family, host) => void [error, subject, family, host])
  socket
    .on('close', (hadError: boolean) => void hadError)
    .on('suspend', nothing)
    .on('continue', nothing)
  // @ts-expect-error nowhere
  net.connect()
  // @ts-expect-error what there is not
  new net.Socket({ fd: 5 })
  void [stream, wrote, flushed, known]
  return [...made, ...chained]
}

export function bridges(): void {
  const exposed = net.expose(
    'db',
    { port: 5432, host: 'db.local' },
    { connectTimeout: 5, allow: ({ id }) => id !== '' },
  )
  const made = net.expose('db', { path: '/run/db' }).stats.active
  const custom: net.Server = net.expose('db', socket => socket)
  const forwarded: nodeNet.Server = net.forward('db', { port: 0 }, { maxConnections: 5 })
  const drained: Promise<void> = net.forward('db', { path: '/run/db' }).drain({ deadline: 5 })
  const web = {} as http.Server
  const served: net.Server[] = [
    net.serve('web', web),
    net.serve('web', web, { reusePort: true, maxConnections: 5 } as net.ServerOptions),
    net.serve('ssh', { injectSocket: (socket: Duplex) => void socket }),
  ]
  const agents: http.Agent[] = [
    net.agent({ subject: 'web' }),
    net.agent({ resolve: ({ host }) => String(host), keepAlive: true, tls: { ca: 'ca' } }),
  ]
  const rows: net.SocketRow[] = [
    ...net.sockets(),
    ...net.sockets({ state: 'LISTEN' }),
    ...net.sockets(({ recvQ }) => recvQ > 0),
  ]
  const table: string = net.netstat({ proto: 'tls' })
  const bound: net.Net = net.over(client, { resolve: () => 'x' })
  const again: net.Socket = new bound.Socket()
  const same: typeof net.connect = defaultNet.connect
  const isIP: number = net.isIP('::1')
  void [exposed, made, custom, forwarded, drained, served, agents, rows, table, again, same, isIP]
}

export function secure(): void {
  const listener = (socket: nodeTls.TLSSocket): void => void socket.getPeerCertificate()
  const servers: tls.Server[] = [
    tls.createServer({ key: 'key', cert: 'cert' }),
    tls.createServer({ requestCert: true, accept: nothing }, listener),
    tls.over(client).createServer({}, listener),
  ]
  const sockets: nodeTls.TLSSocket[] = [
    tls.connect('subject'),
    tls.connect('subject', { ca: 'ca', servername: 'name', wait: true }),
    tls.connect('subject', { ca: 'ca' }, nothing),
    tls.connect({ subject: 'subject', ca: 'ca' }, nothing),
    tls.connect({ socket: net.connect('subject'), servername: 'name' }, nothing),
    // Node's own takes ours.
    ({} as typeof nodeTls).connect({ socket: net.connect('subject') }),
  ]
  const context: nodeTls.SecureContext = tls.createSecureContext()
  void [servers, sockets, context, servers[0]?.listen('subject', nothing).close()]
}

export function datagrams(): void {
  const listener = (message: Buffer, info: dgram.DatagramInfo): void => void [message, info.subject]
  const made: dgram.Socket[] = [
    dgram.createSocket('subject'),
    dgram.createSocket('udp4', listener),
    dgram.createSocket({ type: 'udp6', reuseAddr: true, sendBufferSize: 5, client }, listener),
    new dgram.Socket('subject'),
    dgram.over(client).createSocket('subject'),
  ]
  const [socket] = made as [dgram.Socket]
  const emitter: EventEmitter = socket as unknown as EventEmitter
  const chained: dgram.Socket[] = [
    socket.bind(),
    socket.bind(nothing),
    socket.bind('subject'),
    socket.bind('subject', nothing),
    socket.bind({ subject: 'subject', queue: 'workers', exclusive: true }, nothing),
    socket.close(),
    socket.close(nothing),
    socket.ref().unref(),
  ]
  const done = (error: Error | null, bytes: number): void => void [error, bytes]
  socket.send('text', 'subject')
  socket.send(Buffer.alloc(1), 'subject', done)
  socket.send(['a', new Uint8Array(1)], 'subject', done)
  socket.send('text', 0, 2, 'subject', done)
  socket.send('text', done)
  socket.send('text', 0, 2, done)
  socket.connect('subject')
  socket.connect('subject', nothing)
  const numbers: number[] = [
    socket.setTTL(5),
    socket.setMulticastTTL(5),
    socket.getSendQueueSize(),
    socket.getRecvBufferSize(),
    socket.stats.sendDropped,
  ]
  const where: dgram.DatagramAddress[] = [socket.address(), socket.remoteAddress()]
  // @ts-expect-error a number is no message
  socket.send(5, 'subject')
  // @ts-expect-error no such type
  dgram.createSocket('tcp')
  void [emitter, chained, numbers, where]
}
