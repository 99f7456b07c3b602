/**
 * selvedge/net: Node's `net` on subjects. A program changes the import and gives a subject where it gave a port and a host;
 * its byte streams cross the fabric, and outlive a cut connection and a broker that is started again.
 *
 * Names, arguments, order of events and codes are those of `node:net`, except where the guide says so (docs/guide/net.md).
 * Durations are milliseconds, sizes bytes. Errors are as Node makes them: `code`, `errno`, `syscall`, `address` (the
 * subject); `cause` is the error of the fabric.
 */

import type { EventEmitter } from 'node:events'
import type { Agent, AgentOptions as HttpAgentOptions } from 'node:http'
import type nodeNet from 'node:net'
import type { Duplex, DuplexOptions } from 'node:stream'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { Client, ConatSocketClient, ServerSocket } from '../index'

/** Of `node:net`, as they are. */
export declare const isIP: typeof nodeNet.isIP
export declare const isIPv4: typeof nodeNet.isIPv4
export declare const isIPv6: typeof nodeNet.isIPv6
export declare const BlockList: typeof nodeNet.BlockList
export declare const SocketAddress: typeof nodeNet.SocketAddress

/** A host and a port, or a path, where a program gives one. */
export interface ResolveTarget {
  host?: string
  port?: number | string
  path?: string
}

/** Returns the subject for a host and a port. What it throws is the error of the connect. */
export type Resolve = (target: ResolveTarget) => string | Promise<string>

/** Options of every call. Unknown options are ignored: libraries pass theirs along. */
export interface NetOptions {
  /** The client to use. @default that of `over`, else the one of `getClient()` */
  client?: Client
  /** Makes a subject of a host and a port. @default none: a port is no subject, and refused */
  resolve?: Resolve
  /**
   * Bytes that may be under way in one direction: what one end has written, and the other has not read. Both ends' windows hold.
   * @default 1 MiB
   */
  window?: number
  /**
   * Milliseconds without an acknowledgement for which the delivery of what was written goes on after `end` or `destroy`, and
   * keeps the process alive. 0: not at all. @default 60_000
   */
  linger?: number
  /** Milliseconds of silence after which the other end is pinged. @default 45_000 */
  sessionKeepAlive?: number
  /** Milliseconds that it has to answer. @default 30_000 */
  sessionKeepAliveTimeout?: number
  /** Milliseconds for which the other end may be away. @default that of `SocketSettings` */
  resumeTimeout?: number
}

/** Bytes are read into a buffer of the application's, and there are no `data` events. */
export interface OnReadOptions {
  buffer: Uint8Array | (() => Uint8Array)
  /** Gets the number of bytes and the buffer. `false` stops reading until `resume()`. */
  callback(bytes: number, buffer: Uint8Array): boolean
}

/** Options of `new Socket`. */
export interface SocketOptions extends NetOptions, Pick<DuplexOptions, 'highWaterMark' | 'signal'> {
  /** Where it connects to, whatever `connect` is told: for libraries that call `connect(port, host)` by themselves. */
  subject?: string
  /** Whether writing goes on after the other end has ended. @default false */
  allowHalfOpen?: boolean
  onread?: OnReadOptions
}

/** Options of `connect`. */
export interface ConnectOptions extends SocketOptions {
  /**
   * Whether to wait for somebody who listens, or for how many ms. `false`: `ECONNREFUSED` at once if nobody does.
   * @default false
   */
  wait?: boolean | number
  /** Milliseconds until `connect`, everything together; then `ETIMEDOUT`. 0: no bound. @default 30_000 */
  connectTimeout?: number
  /** As `setTimeout`. @default none */
  timeout?: number
  /** Chooses the server: returns its id. */
  loadBalancer?: (subject: string) => Promise<string> | string
}

/** Options of `createServer`. */
export interface ServerOptions extends NetOptions {
  /** Of accepted sockets. @default false */
  allowHalfOpen?: boolean
  /** Accepted sockets read nothing before `resume()`. @default false */
  pauseOnConnect?: boolean
  /** Of accepted sockets, both directions. @default that of streams */
  highWaterMark?: number
  /** Has no effect: nothing is held back here. */
  noDelay?: boolean
  /** Has no effect: `sessionKeepAlive` does. */
  keepAlive?: boolean
  /** Has no effect. */
  keepAliveInitialDelay?: number
  /**
   * Called before the connecting end hears anything. What it throws refuses the connection: its `code` is the code there,
   * `ECONNREFUSED` if it has none. @default accepts all
   */
  accept?: (info: { subject: string; id: string; remoteAddress: string }) => void | Promise<void>
  /** Milliseconds that `accept` has, then the connecting end gets `ETIMEDOUT`. 0: no bound. @default 10_000 */
  acceptTimeout?: number
  captureRejections?: boolean
}

/** Options of `listen`. */
export interface ListenOptions extends Pick<NetOptions, 'client'> {
  /** A subject, or a pattern with `*`, which serves all that match. @default a free one */
  subject?: string
  /** Connections whose `accept` has not answered; further ones are refused. @default 511 */
  backlog?: number
  /** Shares the subject with other servers: the first answer wins. @default false */
  reusePort?: boolean
  /** Has no meaning here. */
  exclusive?: boolean
  /** Closes the server. */
  signal?: AbortSignal
}

export interface AddressInfo {
  /** The subject of a server. */
  subject?: string
  address: string
  family: 'subject'
  port: number
}

export type ReadyState = 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed'

/** A connection that was refused because of `maxConnections`. */
export interface DropArgument {
  localAddress: string
  localPort: number
  localFamily: 'subject'
  remoteAddress: string
  remotePort: number
  remoteFamily: 'subject'
}

/** A server on a subject. Keeps the process alive while it listens. */
export declare class Server extends EventEmitter<{
  listening: []
  connection: [socket: Socket]
  drop: [data: DropArgument]
  error: [error: Error]
  close: []
}> {
  constructor(connectionListener?: (socket: Socket) => void)
  constructor(options?: ServerOptions | null, connectionListener?: (socket: Socket) => void)
  /** Whether it listens, as the fabric has confirmed. */
  readonly listening: boolean
  /** The subject, from `listen` to `close`. */
  readonly subject: string | undefined
  /** Above it connections are refused (`ECONNREFUSED`, event `drop`). 0 refuses all. @default no bound */
  maxConnections: number | undefined
  /** Has no effect. */
  dropMaxConnection: boolean
  /**
   * Listens. `address()` has the subject at once, and a connect of this process waits for the listen.
   *
   * By event: `EADDRINUSE` somebody listens there already, `EACCES` not permitted, `EMFILE` over a limit, `ENETDOWN` the client
   * is closed, `ETIMEDOUT` no confirmation within 60 s.
   *
   * @throws {Error} `"ERR_SERVER_ALREADY_LISTEN"` · `"ERR_INVALID_ARG_VALUE"` no valid subject · `"ERR_INVALID_ARG_TYPE"`
   */
  listen(subject?: string, backlog?: number, listener?: () => void): this
  listen(subject?: string, listener?: () => void): this
  listen(options: ListenOptions, listener?: () => void): this
  listen(listener?: () => void): this
  /** Accepts nobody new. `close` follows when the last socket is closed. `ERR_SERVER_NOT_RUNNING` if it did not listen. */
  close(callback?: (error?: Error) => void): this
  address(): AddressInfo | null
  getConnections(callback: (error: Error | null, count: number) => void): this
  ref(): this
  unref(): this
  [Symbol.asyncDispose](): Promise<void>
}

/** The events of a socket beside those of a Duplex. */
export interface SocketEvents {
  /** With `resolve` only. */
  lookup: [error: Error | null, subject: string | undefined, family: 'subject', host: string | undefined]
  connect: []
  ready: []
  timeout: []
  /** The fabric or the other end is away: bytes wait. */
  suspend: []
  /** Both are there again, and nothing is lost. */
  continue: []
  /** The last one. */
  close: [hadError: boolean]
}

/**
 * A byte stream over the fabric.
 *
 * Errors by event: `ECONNREFUSED` nobody listens, or refused; `ETIMEDOUT` no answer in time, or no life; `EACCES`; `EMFILE`;
 * `ENETDOWN` the client is closed; `ECONNABORTED` it was closed meanwhile; `ECONNRESET` the other end was lost or has cut the
 * stream off, with `undelivered`, the bytes that are not known to have arrived; `EPROTO` the other end speaks something else;
 * `EPIPE` written to an end that is gone; `ABORT_ERR`.
 */
export declare class Socket extends Duplex {
  constructor(options?: SocketOptions)
  readonly connecting: boolean
  readonly pending: boolean
  readonly readyState: ReadyState
  /** Bytes that have arrived, read or not. */
  readonly bytesRead: number
  /** Bytes given to `write`, also those that still wait. */
  readonly bytesWritten: number | undefined
  /** Bytes that wait in the stream. */
  readonly bufferSize: number | undefined
  /** The socket's id; the subject at the accepting end. */
  readonly localAddress: string | undefined
  /** The number that the server gave it; 0 at the accepting end. */
  readonly localPort: number | undefined
  readonly localFamily: 'subject' | undefined
  /** The subject; the socket's id at the accepting end. Stays after the close. */
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: 'subject' | undefined
  readonly timeout: number | undefined
  /** At the accepting end. */
  readonly server: Server | null
  /** The socket of the fabric below. To look at. */
  readonly session: ConatSocketClient | ServerSocket | undefined
  /**
   * @throws {Error} `"ERR_MISSING_ARGS"` · `"ERR_INVALID_ARG_TYPE"` a port without `resolve`, among others ·
   *   `"ERR_INVALID_ARG_VALUE"` no valid subject · `"EISCONN"` it is open
   */
  connect(subject: string, options?: ConnectOptions, connectListener?: () => void): this
  connect(subject: string, connectListener?: () => void): this
  connect(port: number, host?: string, connectListener?: () => void): this
  connect(port: number, connectListener?: () => void): this
  connect(
    options: (ConnectOptions & { subject: string }) | (ConnectOptions & ResolveTarget),
    connectListener?: () => void,
  ): this
  address(): AddressInfo | Record<string, never>
  setTimeout(ms: number, callback?: () => void): this
  /** Has no effect: nothing is held back. */
  setNoDelay(noDelay?: boolean): this
  /** Has no effect: the fabric has its own. */
  setKeepAlive(enable?: boolean, initialDelay?: number): this
  ref(): this
  unref(): this
  destroySoon(): this
  /** Cuts the stream off: the other end gets `ECONNRESET`. */
  resetAndDestroy(): this
  /** Resolves when the other end's stream has all that was written so far; rejects as the socket breaks. */
  flushed(): Promise<void>
}

export { Socket as Stream }

export declare function createServer(connectionListener?: (socket: Socket) => void): Server
export declare function createServer(
  options?: ServerOptions | null,
  connectionListener?: (socket: Socket) => void,
): Server

/**
 * @example
 * const server = net.createServer(socket => socket.pipe(socket)).listen('echo')
 * net.connect('echo').end('hello').pipe(process.stdout)
 */
export declare function connect(
  subject: string,
  options?: ConnectOptions,
  connectListener?: () => void,
): Socket
export declare function connect(subject: string, connectListener?: () => void): Socket
export declare function connect(port: number, host?: string, connectListener?: () => void): Socket
export declare function connect(port: number, connectListener?: () => void): Socket
export declare function connect(
  options: (ConnectOptions & { subject: string }) | (ConnectOptions & ResolveTarget),
  connectListener?: () => void,
): Socket

export { connect as createConnection }

/** The state of a socket, as TCP's diagram has it. Acknowledged is what the other end's stream was handed. */
export type SocketState =
  | 'LISTEN'
  | 'SYN_SENT'
  | 'SYN_RECEIVED'
  | 'ESTABLISHED'
  | 'FIN_WAIT1'
  | 'FIN_WAIT2'
  | 'CLOSE_WAIT'
  | 'LAST_ACK'
  | 'CLOSING'
  | 'TIME_WAIT'
  | ''

/** One socket of this process. */
export interface SocketRow {
  proto: 'stream' | 'tls' | 'dgram'
  local: string
  foreign: string
  /** Empty for datagrams. */
  state: SocketState
  /** Bytes that have arrived and are unread. */
  recvQ: number
  /** Bytes written and not acknowledged. */
  sendQ: number
  bytesRead: number
  bytesWritten: number
  /** When it was made, in ms since 1970. */
  since: number
  suspended: boolean
  id: string
}

/** The sockets of this process that pass, newest last. One that `destroy` left behind is listed until it is gone. */
export declare function sockets(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): SocketRow[]
/** The same as a table. */
export declare function netstat(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): string

/** A TCP port (`host` default 127.0.0.1), or the path of a Unix socket. */
export type NodePlace = { port: number; host?: string } | { path: string }

/** What `expose` and `forward` have done. `bytesIn` is what those have said who connected. */
export interface BridgeStats {
  readonly connections: number
  readonly active: number
  readonly refused: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface ExposeOptions extends ServerOptions, Omit<ListenOptions, 'subject' | 'exclusive'> {
  /** Milliseconds to connect to the target; then the connecting end gets `ETIMEDOUT`. 0: no bound. @default 10_000 */
  connectTimeout?: number
  /** As the server's. @default no bound */
  maxConnections?: number
  /** Returns whether this connection may be; otherwise it is refused with `EACCES`. @default all may */
  allow?: (info: { subject: string; id: string; remoteAddress: string }) => boolean | Promise<boolean>
}

/**
 * Puts a TCP or Unix socket server on a subject: every connection to the subject becomes one to the target. The target is
 * dialled before the connecting end is accepted, which gets the code of a failure (`ECONNREFUSED`, `ENOENT` …). Instead of a
 * place, a function that returns a stream for each accepted socket.
 *
 * Bytes, halves, back-pressure and resets go through. `close` lets open connections end; `drain` cuts them off at its
 * deadline, by default after 10 s.
 *
 * @example
 * net.expose('db.main', { port: 5432 }) // beside the database
 * net.forward('db.main', { port: 5432 }) // beside its client
 */
export declare function expose(
  subject: string,
  target: NodePlace | ((socket: Socket) => Duplex),
  options?: ExposeOptions,
): Server & { readonly stats: BridgeStats; drain(options?: { deadline?: number }): Promise<void> }

export interface ForwardOptions extends ConnectOptions {
  /** As the server's. @default no bound */
  maxConnections?: number
}

/**
 * Listens on a TCP port, on loopback unless `host` says otherwise, or on a Unix socket, and connects every connection to the
 * subject. One that cannot be connected is reset. Returns Node's server; its errors are Node's.
 */
export declare function forward(
  subject: string,
  place: NodePlace,
  options?: ForwardOptions,
): nodeNet.Server & { readonly stats: BridgeStats; drain(options?: { deadline?: number }): Promise<void> }

/** A server that takes connections by its event `connection`, as those of http, https, http2 and tls do, or by `injectSocket`. */
export type ServeTarget = EventEmitter | { injectSocket(socket: Duplex): unknown }

/**
 * Serves a server of another library on a subject. It need not listen itself.
 *
 * @example
 * net.serve('web', http.createServer((request, response) => response.end('hello')))
 * http.get('http://web/', { agent: net.agent({ subject: 'web' }) }, response => response.pipe(process.stdout))
 */
export declare function serve(
  subject: string,
  target: ServeTarget,
  options?: ServerOptions & Omit<ListenOptions, 'subject' | 'exclusive'>,
): Server

export interface AgentOptions extends HttpAgentOptions, Pick<NetOptions, 'client' | 'resolve'> {
  /** Where every request goes. @default what `resolve` makes of the request's host and port */
  subject?: string
  /** TLS over the connections: an agent of https. @default false */
  tls?: boolean | TlsOptions
}

/** Returns an agent for http, or with `tls` for https, whose connections are sockets on subjects. */
export declare function agent(options: AgentOptions): Agent

/** The module, bound to a client. */
export interface Net {
  createServer: typeof createServer
  connect: typeof connect
  createConnection: typeof connect
  Server: typeof Server
  Socket: typeof Socket
  Stream: typeof Socket
  over: typeof over
  expose: typeof expose
  forward: typeof forward
  serve: typeof serve
  agent: typeof agent
  sockets: typeof sockets
  netstat: typeof netstat
}

/** Returns the module's functions and classes bound to `client`. @throws {Error} `"ERR_INVALID_ARG_TYPE"` */
export declare function over(client: Client, options?: Pick<NetOptions, 'resolve'>): Net
