/**
 * selvedge/net: Node's `net` on subjects. A program changes the import, and gives a subject in place of a port and a host;
 * its byte streams cross the fabric, and outlive cut connections and a broker that is started again.
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

/** That of `node:net`. */
export declare const isIP: typeof nodeNet.isIP
/** That of `node:net`. */
export declare const isIPv4: typeof nodeNet.isIPv4
/** That of `node:net`. */
export declare const isIPv6: typeof nodeNet.isIPv6
/** That of `node:net`. */
export declare const BlockList: typeof nodeNet.BlockList
/** That of `node:net`. */
export declare const SocketAddress: typeof nodeNet.SocketAddress

/** A host and a port, or a path, where a program gives one. */
export interface ResolveTarget {
  host?: string | undefined
  port?: number | string | undefined
  path?: string | undefined
}

/** Returns the subject for a host and a port. What it throws is the error of the connect. */
export type Resolve = (target: ResolveTarget) => string | Promise<string>

/** Options of every call. Unknown ones are ignored, because libraries pass on all that they have. */
export interface NetOptions {
  /** The client to use. @default that of `over`, else the one of `getClient()` */
  client?: Client | undefined
  /** Returns the subject for a host and a port. @default none: ports are refused (`"ERR_INVALID_ARG_TYPE"`) */
  resolve?: Resolve | undefined
  /**
   * Bytes that may be under way in one direction: what one end has written, and the other has not read. Both ends' windows hold.
   * @default 1 MiB
   */
  window?: number | undefined
  /**
   * When the socket is closed, by `destroy` or because both ends have ended, the delivery of what was written goes on, and keeps the
   * process alive, until this many milliseconds pass without an acknowledgement. 0: not at all. A socket that has ended, and whose
   * other end has not, is open, and waits like every open one. @default 60_000
   */
  linger?: number | undefined
  /** Milliseconds of silence after which the other end is pinged; 0: never. @default 45_000 */
  sessionKeepAlive?: number | undefined
  /** Milliseconds that it has to answer. @default 30_000 */
  sessionKeepAliveTimeout?: number | undefined
  /** Milliseconds for which the other end may be away. @default as `resumeTimeout` of a socket (`SocketSettings`) */
  resumeTimeout?: number | undefined
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
  subject?: string | undefined
  /** Whether writing goes on after the other end has ended. @default false */
  allowHalfOpen?: boolean | undefined
  /** `false`: this half is none from the start. @default true */
  readable?: boolean | undefined
  writable?: boolean | undefined
  /** A listener that rejects destroys the socket with its error. @default false */
  captureRejections?: boolean | undefined
  onread?: OnReadOptions | undefined
}

/** Options of `connect`. */
export interface ConnectOptions extends SocketOptions {
  /**
   * Whether to wait for somebody who listens, or for how many ms; in either case no longer than `connectTimeout`. `false`:
   * `ECONNREFUSED` at once if nobody listens.
   * @default false
   */
  wait?: boolean | number | undefined
  /** Milliseconds for the whole connect; then `ETIMEDOUT`. 0: no bound. @default 30_000 */
  connectTimeout?: number | undefined
  /** Milliseconds without activity until the event `timeout`, as with `setTimeout`. @default none */
  timeout?: number | undefined
  /** Chooses the server: returns its id. */
  loadBalancer?: ((subject: string) => Promise<string> | string) | undefined
}

/** Bounds of a server's connections, beside `maxConnections`: those over it are refused with `EMFILE`. */
export interface ListenerLimits {
  /** Connections at one time, those that wait to be accepted included. @default 65_536 */
  maxSockets?: number | undefined
  /** The same of one user of the broker, or of one client without a user. @default 4096 */
  maxSocketsPerUser?: number | undefined
}

/** Options of `createServer`. */
export interface ServerOptions extends NetOptions, ListenerLimits {
  /** Of accepted sockets. @default false */
  allowHalfOpen?: boolean | undefined
  /** Accepted sockets read nothing before `resume()`. @default false */
  pauseOnConnect?: boolean | undefined
  /** Of accepted sockets, both directions. @default that of streams */
  highWaterMark?: number | undefined
  /** Has no effect: nothing is held back here. */
  noDelay?: boolean | undefined
  /** Has no effect: `sessionKeepAlive` does. */
  keepAlive?: boolean | undefined
  /** Has no effect. */
  keepAliveInitialDelay?: number | undefined
  /**
   * Called before the connecting end hears anything. What it throws refuses the connection: its `code` is the code there,
   * `ECONNREFUSED` if it has none. @default accepts all
   */
  accept?:
    | ((info: { subject: string; id: string; remoteAddress: string }) => void | Promise<void>)
    | undefined
  /** Milliseconds that `accept` has, then the connecting end gets `ETIMEDOUT`. 0: no bound. @default 10_000 */
  acceptTimeout?: number | undefined
  captureRejections?: boolean | undefined
}

/** Options of `listen`. */
export interface ListenOptions extends Pick<NetOptions, 'client'>, ListenerLimits {
  /** A subject, or a pattern with `*`, which serves all that match. @default a free one */
  subject?: string | undefined
  /**
   * Connections that wait: for their turn (64 are accepted in each turn of the event loop), or for the answer of `accept`. Further
   * ones are refused with `ECONNREFUSED`. @default 511
   */
  backlog?: number | undefined
  /** Shares the subject with other servers: the first that answers gets the connection. @default false */
  reusePort?: boolean | undefined
  /** Has no effect. */
  exclusive?: boolean | undefined
  /** Closes the server. */
  signal?: AbortSignal | undefined
}

/** What a server listens on, or a socket is bound to. */
export interface AddressInfo {
  /** Of a server: its subject. */
  subject?: string | undefined
  /** Of a server the subject; of a socket its `localAddress`. */
  address: string
  family: 'subject'
  /** Of a server 0; of a socket its `localPort`. */
  port: number
}

/** The state of a socket, as Node's `readyState` has it. */
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
  /** Whether it listens, and the fabric has confirmed it. */
  readonly listening: boolean
  /** The subject or pattern, from `listen` to `close`. */
  readonly subject: string | undefined
  /** Above it connections are refused (`ECONNREFUSED`, event `drop`). 0 refuses all. @default no bound */
  maxConnections: number | undefined
  /** Has no effect. */
  dropMaxConnection: boolean
  /** As the options of the same name; what is set later holds for sockets that are accepted from then on. */
  allowHalfOpen: boolean
  pauseOnConnect: boolean
  highWaterMark: number | undefined
  /** Have no effect. */
  noDelay: boolean
  keepAlive: boolean
  /** In seconds. */
  keepAliveInitialDelay: number
  /**
   * Listens. `address()` has the subject at once, and a connect of this process waits for the listen.
   *
   * Errors by event: `EADDRINUSE` somebody listens there already · `EACCES` not permitted · `EMFILE` over a limit · `ENETDOWN`
   * the client is closed · `ETIMEDOUT` no confirmation within 60 s.
   *
   * @throws {Error} `"ERR_SERVER_ALREADY_LISTEN"` · `"ERR_INVALID_ARG_VALUE"` no valid subject · `"ERR_INVALID_ARG_TYPE"`
   */
  listen(subject?: string, backlog?: number, listener?: () => void): this
  listen(subject?: string, listener?: () => void): this
  listen(anyPort: 0, host?: string, backlog?: number, listener?: () => void): this
  listen(anyPort: 0, host?: string, listener?: () => void): this
  listen(anyPort: 0, backlog?: number, listener?: () => void): this
  listen(anyPort: 0, listener?: () => void): this
  listen(options: ListenOptions, listener?: () => void): this
  listen(listener?: () => void): this
  /**
   * Accepts no more connections. `close` follows when the last socket is closed; the callback gets `ERR_SERVER_NOT_RUNNING` if
   * it did not listen.
   */
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
 * Errors by event: `ECONNREFUSED` nobody listens, or the server refused · `ETIMEDOUT` no answer in time, or no sign of life
 * · `EACCES` not permitted · `EMFILE` over a limit · `ENOTFOUND` `resolve` failed without a code of its own · `ENETDOWN`
 * the client is closed · `ECONNABORTED` the client was closed while the stream was open · `ECONNRESET` the other end was
 * lost, or has cut the stream off; `undelivered` is the number of bytes that are not known to have arrived · `EPROTO` the
 * other end speaks something else · `EPROTONOSUPPORT` only a later version · `EPIPE` a write to an end that is gone ·
 * `ABORT_ERR` the `signal`.
 */
export declare class Socket extends Duplex {
  constructor(options?: SocketOptions)
  readonly connecting: boolean
  readonly pending: boolean
  readonly readyState: ReadyState
  /** Bytes that have arrived, read or not. */
  readonly bytesRead: number
  /** Bytes given to `write` since `connect`, those that still wait included. */
  readonly bytesWritten: number | undefined
  /** Bytes that wait in the stream. */
  readonly bufferSize: number | undefined
  /** At the connecting end the socket's id; at the accepting end the subject that was connected to. */
  readonly localAddress: string | undefined
  /** At the connecting end the number that the server gave the socket; at the accepting end 0. */
  readonly localPort: number | undefined
  readonly localFamily: 'subject' | undefined
  /** At the connecting end the subject; at the accepting end the socket's id. Stays after the close. */
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: 'subject' | undefined
  /** Milliseconds, as `setTimeout` was given them. */
  timeout: number | undefined
  /** At the accepting end: the server that accepted it. */
  readonly server: Server | null
  /** The socket of the fabric underneath: for inspection, not for use. */
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
  /**
   * Resolves when the other end's stream has everything that was written so far. `timeout` in ms, default none; the bytes stay
   * under way after a timeout or an abort.
   *
   * @throws {Error} as the events, if it breaks · `"ETIMEDOUT"` · `"ABORT_ERR"`, whose `cause` is the signal's reason
   */
  flushed(options?: { timeout?: number | undefined; signal?: AbortSignal | undefined }): Promise<void>
}

export { Socket as Stream }

/** Creates a server. It accepts connections once `listen` is called. */
export declare function createServer(connectionListener?: (socket: Socket) => void): Server
export declare function createServer(
  options?: ServerOptions | null,
  connectionListener?: (socket: Socket) => void,
): Server

/**
 * Connects to a subject, and returns the socket at once.
 *
 * @example
 * // Each accepted stream needs a listener of `error`: without one, a peer that resets its stream ends the process.
 * const server = net.createServer(socket => socket.on('error', console.error).pipe(socket)).listen('echo')
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

/** The state of a socket, as in TCP's diagram. Bytes are acknowledged when the other end's stream has been handed them. */
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
  /** Bytes that have arrived and are unread; of a server, connections whose `accept` has not answered. 0 of datagrams. */
  recvQ: number
  /** Bytes written and not acknowledged; of datagrams, bytes that wait for the bind. */
  sendQ: number
  bytesRead: number
  bytesWritten: number
  /** When it was made, in ms since 1970. */
  since: number
  suspended: boolean
  id: string
}

/**
 * Returns the sockets of this process that match, newest last. A destroyed one is listed until what it wrote is delivered or
 * given up.
 */
export declare function sockets(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): SocketRow[]
/** The same as a table, ids shortened. */
export declare function netstat(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): string

/** A TCP port (`host` default 127.0.0.1), or the path of a Unix socket. */
export type NodePlace = { port: number; host?: string | undefined } | { path: string }

/** Counters of `expose` and `forward`. `bytesIn` came from the side that connected, `bytesOut` went there. */
export interface BridgeStats {
  readonly connections: number
  readonly active: number
  readonly refused: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** How a bridge is drained. */
export interface BridgeDrainOptions {
  /** Milliseconds until what is still open is cut off. @default 10_000 */
  deadline?: number | undefined
  /** Stops the waiting of this call; the drain goes on. Aborted before: nothing is begun. */
  signal?: AbortSignal | undefined
}

/** Options of `expose`. */
export interface ExposeOptions extends ServerOptions, Omit<ListenOptions, 'subject' | 'exclusive'> {
  /** Milliseconds to connect to the target; then the connecting end gets `ETIMEDOUT`. 0: no bound. @default 10_000 */
  connectTimeout?: number | undefined
  /** As that of `ServerOptions`, in ms, but without a bound by default, since `connectTimeout` has one. @default 0 */
  acceptTimeout?: number | undefined
  /** As `maxConnections` of a server. @default no bound */
  maxConnections?: number | undefined
  /** Returns whether to accept this connection; otherwise it is refused with `EACCES`. @default accepts all */
  allow?:
    | ((info: { subject: string; id: string; remoteAddress: string }) => boolean | Promise<boolean>)
    | undefined
}

/**
 * What `expose` and `forward` return emits `refused` with the error for each connection that is not made to the other side,
 * and `joined` for each that is.
 */
export interface Bridge {
  readonly stats: BridgeStats
  /** Accepts nobody new. Resolves when each connection has closed on both sides. */
  drain(options?: BridgeDrainOptions): Promise<void>
}

/**
 * Puts a TCP or Unix socket server on a subject: every connection to the subject becomes one to the target. The target is
 * connected to before the connecting end is accepted, which gets the code of a failure (`ECONNREFUSED`, `ENOENT` …). `target`
 * may also be a function that returns a stream for each accepted socket.
 *
 * Bytes, half-closes, back-pressure and resets pass through. `close` lets open connections end; `drain` cuts them off at its
 * deadline, by default after 10 s; its `signal` stops the waiting with `ABORT_ERR`, and the drain goes on.
 *
 * @example
 * net.expose('db.main', { port: 5432 }) // beside the database
 * net.forward('db.main', { port: 5432 }) // beside its client
 */
export declare function expose(
  subject: string,
  target: NodePlace | ((socket: Socket) => Duplex),
  options?: ExposeOptions,
): Server & Bridge

/** Options of `forward`. */
export interface ForwardOptions extends ConnectOptions {
  /** As that of Node's server. @default no bound */
  maxConnections?: number | undefined
}

/**
 * Listens on a TCP port, on loopback unless `host` says otherwise, or on a Unix socket, and connects every connection to the
 * subject. One for which that fails is reset. Returns Node's server; its errors are Node's.
 */
export declare function forward(
  subject: string,
  place: NodePlace,
  options?: ForwardOptions,
): nodeNet.Server & Bridge

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

/** Options of `agent`. */
export interface AgentOptions extends HttpAgentOptions, Pick<NetOptions, 'client' | 'resolve'> {
  /** Where every request goes. @default what `resolve` returns for the host and port of the request */
  subject?: string | undefined
  /** TLS over the connections: an agent of https. @default false */
  tls?: boolean | TlsOptions | undefined
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
  isIP: typeof isIP
  isIPv4: typeof isIPv4
  isIPv6: typeof isIPv6
  BlockList: typeof BlockList
  SocketAddress: typeof SocketAddress
}

/** Returns the module's functions and classes bound to `client`. @throws {Error} `"ERR_INVALID_ARG_TYPE"` */
export declare function over(client: Client, options?: Pick<NetOptions, 'resolve'>): Net
