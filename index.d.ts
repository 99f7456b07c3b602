/**
 * selvedge: reliable, ordered sockets over a pub/sub fabric; a drop-in replacement for the socket module of Conat.
 *
 * All durations are milliseconds, all sizes bytes. No object here emits `error`: `closed` carries the reason,
 * once, and is the last event. Nothing is emitted inside the call that caused it. Options with unknown names
 * are refused (`"ERR_UNKNOWN_OPTION"`), as are values of a wrong type (`"ERR_INVALID_ARG_TYPE"`) or range
 * (`"ERR_OUT_OF_RANGE"`); an async method rejects with these, a sync one throws.
 */

import type { EventEmitter } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'

/**
 * A value whose type sender and receiver agree on, unknown here: payloads, users. `any`, because programs
 * written for Conat read such values without a cast; name the type where it is known: `Message<Order>`.
 */
type Agreed = any

/**
 * Headers of a message: any JSON object. Keys that start with `CN-` are reserved and never sent by sockets.
 */
export type Headers = Record<string, unknown>

/** How a payload is encoded. */
export declare enum DataEncoding {
  /** MessagePack: the default, and what other programs on the fabric expect. */
  MsgPack = 0,
  /** JSON in UTF-8. */
  JsonCodec = 1,
}

/**
 * Every code of docs/reference/errors.md, which says when each comes and what to do. An application's own codes
 * also pass: those that `getUser`, or a method of a service, throws.
 */
export type ErrorCode =
  | 403
  | 408
  | 429
  | 503
  | 'ABORT_ERR'
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'EBADF'
  | 'ECONNABORTED'
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'EINVAL'
  | 'EISCONN'
  | 'EMFILE'
  | 'EMSGSIZE'
  | 'ENETDOWN'
  | 'ENOBUFS'
  | 'ENOENT'
  | 'ENOTFOUND'
  | 'EPIPE'
  | 'EPROTO'
  | 'EPROTONOSUPPORT'
  | 'ERR_ALREADY_LISTENING'
  | 'ERR_BROKER'
  | 'ERR_BROKER_CLOSED'
  | 'ERR_BUFFER_OUT_OF_BOUNDS'
  | 'ERR_CLIENT_CLOSED'
  | 'ERR_CLOSED'
  | 'ERR_CONNECT'
  | 'ERR_DECODE'
  | 'ERR_DRAINING'
  | 'ERR_ENCODE'
  | 'ERR_INTERCOM_CLOSED'
  | 'ERR_INTERCOM_FAILED'
  | 'ERR_INTERCOM_TIMEOUT'
  | 'ERR_INTERCOM_TYPE'
  | 'ERR_INTERNAL'
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_INVALID_ARG_VALUE'
  | 'ERR_INVALID_SUBJECT'
  | 'ERR_LISTEN'
  | 'ERR_MISSING_ARGS'
  | 'ERR_NATIVE_MISSING'
  | 'ERR_NOT_A_REQUEST'
  | 'ERR_NOT_DEFINED'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_PACKET_ABORTED'
  | 'ERR_PACKET_BUSY'
  | 'ERR_PACKET_CLOSED'
  | 'ERR_PACKET_ENCODE'
  | 'ERR_PACKET_HANDLED'
  | 'ERR_PACKET_MALFORMED'
  | 'ERR_PACKET_PROTOCOL'
  | 'ERR_PACKET_SCHEMA'
  | 'ERR_PACKET_TIMEOUT'
  | 'ERR_PACKET_TOO_LARGE'
  | 'ERR_PACKET_UNKNOWN'
  | 'ERR_PACKET_UNSUPPORTED'
  | 'ERR_PEER_ENDED'
  | 'ERR_PEER_SILENT'
  | 'ERR_QUEUE_GROUP'
  | 'ERR_REFUSED'
  | 'ERR_SERVER_ALREADY_LISTEN'
  | 'ERR_SERVER_NOT_RUNNING'
  | 'ERR_SERVICE'
  | 'ERR_SIGN_IN'
  | 'ERR_SLOW_CONSUMER'
  | 'ERR_SOCKETY_ABORTED'
  | 'ERR_SOCKETY_DISCARDED'
  | 'ERR_SOCKETY_FILE_SIZE'
  | 'ERR_SOCKETY_LIMIT'
  | 'ERR_SOCKETY_NOT_CONNECTED'
  | 'ERR_SOCKETY_PROTOCOL'
  | 'ERR_SOCKETY_UNREAD'
  | 'ERR_SOCKET_ALREADY_BOUND'
  | 'ERR_SOCKET_BAD_TYPE'
  | 'ERR_SOCKET_CLOSED'
  | 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION'
  | 'ERR_SOCKET_CLOSED_BY_PEER'
  | 'ERR_SOCKET_DGRAM_IS_CONNECTED'
  | 'ERR_SOCKET_DGRAM_NOT_CONNECTED'
  | 'ERR_SOCKET_DGRAM_NOT_RUNNING'
  | 'ERR_SOCKET_LOST'
  | 'ERR_SOCKET_PROTOCOL'
  | 'ERR_SOCKET_TAKEN'
  | 'ERR_SOCKET_TIMEOUT'
  | 'ERR_STREAM_DESTROYED'
  | 'ERR_STREAM_NULL_VALUES'
  | 'ERR_SUPERSEDED'
  | 'ERR_TLS'
  | 'ERR_TLS_CLIENT_CERTIFICATE'
  | 'ERR_TLS_EXPIRED'
  | 'ERR_TLS_NAME'
  | 'ERR_TLS_PLAIN'
  | 'ERR_TLS_REQUIRED'
  | 'ERR_TLS_UNTRUSTED'
  | 'ERR_TOO_LARGE'
  | 'ERR_UNDELIVERED'
  | 'ERR_UNKNOWN_OPTION'
  | 'ERR_UNSUPPORTED'
  | 'ETIMEDOUT'

/**
 * Every error that selvedge throws, rejects with, or hands to `closed`.
 *
 * `code` is a number for what the fabric refuses or cannot do: `403` not permitted, `408` not in time, `429`
 * over a limit, `503` nobody listens. It is a string for the rest: `"ENOBUFS"`, `"EPIPE"`, `"ABORT_ERR"`, `"ERR_…"`.
 */
export declare class FabricError extends Error {
  constructor(message: string, code: number | string, options?: { cause?: unknown })
  /** The form that programs written for Conat use. */
  constructor(message: string, options: { code: number | string; cause?: unknown })
  readonly code: ErrorCode | (number & {}) | (string & {})
  /**
   * On the reason of a closed socket, and on `"ERR_UNDELIVERED"`: how many messages were written and are not
   * known to have been handled.
   */
  readonly undelivered?: number
  /** On the error of a server's `write`: the ids of the sockets that did not take the message. */
  readonly ids?: string[]
  /** On the error of a server's `end`: its sockets that have undelivered messages. */
  readonly sockets?: { id: string; undelivered: number }[]
  /** On the error of a subscription's `drain`: how many messages were not handled by `deadline`. */
  readonly left?: number
  /** On `"ERR_TOO_LARGE"`: the bytes of payload and headers. */
  readonly size?: number
  /** On `"ERR_TOO_LARGE"`: how many they may be. */
  readonly limit?: number
  /**
   * On the failure of a request over a socket: no handler of the other side has had it, so that it can be asked
   * again without harm. Absent: one may have.
   */
  readonly handled?: false
}

/** The same class under Conat's name. */
export { FabricError as ConatError }

/** How a value is sent. */
export interface MessageOptions {
  /** @default DataEncoding.MsgPack */
  encoding?: DataEncoding
  /** Sends these bytes as they are instead of the value; set `encoding` to match. */
  raw?: Uint8Array
  /** Sent beside the payload: at most 896 KiB of JSON, 62 levels deep, else `"ERR_ENCODE"`. @default none */
  headers?: Headers | null
}

/** How a message is published and confirmed. */
export interface PublishOptions extends MessageOptions {
  /**
   * Milliseconds until it gives up, which begin when it leaves; the connection is waited for separately
   * (`offlineTimeout`). @default 30_000
   */
  timeout?: number
  /** If nobody listens, waits until somebody does, at most `timeout`, and sends once more. @default false */
  waitForInterest?: boolean
  /**
   * Does not throw what the fabric refuses, nor an abort: `publish` resolves with a count of 0, `request`
   * with `undefined`, and the iterator of `requestMany` ends. Wrong arguments and a closed client still
   * throw. @default false
   */
  noThrow?: boolean
  /**
   * Stops the waiting, also for a connection, but not what is already on its way. The call rejects with
   * `"ABORT_ERR"`; `cause` is the signal's reason.
   */
  signal?: AbortSignal
}

/** How a reply is waited for. */
export interface RequestOptions extends PublishOptions {}

/** The same with headers that may be any JSON, as a reply can have. */
export type WithAnyHeaders<T> = Omit<T, 'headers'> & { headers?: unknown }

/** How several replies are waited for. */
export interface RequestManyOptions extends RequestOptions {
  /** Ends after so many replies. @default no limit */
  maxMessages?: number
  /** Ends after so many milliseconds without a reply. @default until `timeout` */
  maxWait?: number
}

/** The broker's confirmation of a publish. */
export interface Published {
  /** Length of the encoded payload. */
  bytes: number
  /**
   * Number of subscribers reached: one for each queue group of each pattern; subscribers to `>` do not count.
   */
  count: number
}

/** A payload with its headers: made by `messageData`, or received. */
export declare class MessageData<T = Agreed> {
  constructor(options: { encoding?: DataEncoding; raw: Uint8Array; headers?: Headers | null })
  readonly encoding: DataEncoding
  /** The encoded payload. Yours to keep. */
  get raw(): Buffer
  get headers(): Headers | null | undefined
  /** Length of `raw`, in bytes. */
  get length(): number
  /** The decoded payload; decoded on first access. @throws {FabricError} `"ERR_DECODE"` it is damaged */
  get data(): T
  /** As it travels inside a value: `new MessageData(it)` makes the message again. */
  toJSON(): { encoding: DataEncoding; raw: Buffer; headers?: Headers | null }
}

/** A message that was received. A request has its reply subject in the header `CN-Reply`. */
export declare class Message<T = Agreed> extends MessageData<T> {
  private constructor()
  readonly subject: string
  /** Returns whether the sender waits for a reply. */
  isRequest(): boolean
  /**
   * Of a request over a socket: aborts when nobody waits for the reply any more, because the other side gave up
   * or the socket closed. Never aborts for other messages, nor for a request of a peer of Conat.
   */
  get signal(): AbortSignal
  /** Of a request over a socket: how long the other side waits for the reply, in ms, if that is known. */
  get timeout(): number | undefined
  /**
   * Replies, and resolves when the reply is confirmed. Waits until the requester can receive it, unless
   * `waitForInterest` is `false`. Over a socket the reply is part of the socket's stream: resolves at once, with a
   * `count` of 1, or 0 when nobody waits for it any more.
   *
   * @throws {FabricError} `"ERR_NOT_A_REQUEST"` it is not a request · `408` the requester is gone · and as
   *   `Client.publish`
   */
  respond(data?: unknown, options?: WithAnyHeaders<PublishOptions>): Promise<Published>
  /**
   * Replies without waiting for a confirmation. @throws {FabricError} `"ERR_NOT_A_REQUEST"` · `"ERR_ENCODE"`
   * · `"ERR_CLOSED"` · `"ENOBUFS"`
   */
  respondSync(data?: unknown, options?: WithAnyHeaders<MessageOptions>): { bytes: number }
}

/**
 * Encodes a value once, to send it many times: publish, respond and write accept the result in place of a
 * value. Inside a value it travels as `{ encoding, raw, headers }`.
 *
 * @throws {FabricError} `"ERR_ENCODE"` it has a BigInt or a function in it, or what would arrive as `{}`: a
 *   `Map`, a Promise, an `ArrayBuffer` (docs/guide/messaging.md has the table)
 */
export declare function messageData(data: unknown, options?: MessageOptions): MessageData

/** Encodes a value as it would be sent. @throws {FabricError} `"ERR_ENCODE"` */
export declare function encode(options: { encoding?: DataEncoding; mesg: unknown }): Buffer

/** Decodes a value; no bytes at all are `undefined`. @throws {FabricError} `"ERR_DECODE"` */
export declare function decode(options: { encoding?: DataEncoding; data: Uint8Array }): Agreed

/** How a client connects. */
export interface ConnectOptions {
  /**
   * `http://host:port/base` of a server, `https://` for TLS; `ws://` and `wss://` use a WebSocket from the
   * start, for proxies that pass nothing else; `unix:/path` is a Unix domain socket. `nats://host:port,host:port`
   * is a cluster of NATS, `tls://` one with TLS only; a user and a password may stand before a host and `@`. What a
   * broker's `address()` returns is an address, too. @default the environment variable `CONAT_SERVER`, else the
   * address of the default client, else the fabric inside this process
   */
  address?: string | ServerAddress
  /**
   * For `https` and `wss`: the certificate authorities to trust, in PEM. @default those that Node.js trusts
   */
  ca?: Pem | readonly Pem[]
  /** The client's certificate, for servers that ask for one: PEM, followed by its chain. */
  cert?: Pem
  /** The key to `cert`, in PEM. */
  key?: Pem
  /** Decrypts `key`. */
  passphrase?: string
  /** `false` accepts any certificate: encrypted, but anybody may be at the other end. @default true */
  rejectUnauthorized?: boolean
  /** The name that the certificate must be for. @default the host of `address` */
  servername?: string
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /**
   * `true` makes a new client; else calls with equal options share one, which closes when all have closed it.
   * @default false
   */
  noCache?: boolean
  /** Path of the server below the address. @default "/conat" */
  path?: string
  /** First token of the subject where replies arrive. Must start with `_INBOX`. @default "_INBOX" */
  inboxPrefix?: string
  /** HTTP headers of the connection's request, such as a cookie. */
  extraHeaders?: Record<string, string>
  /**
   * Signs in as the system account of a server that has this password. Sent as the cookie `sys`; never shown.
   */
  systemAccountPassword?: string
  /** Connects at once, without `connect()`. @default true */
  autoConnect?: boolean
  /**
   * Reconnects, for ever, when the connection is lost. `false`: whatever waits for a connection, and whatever
   * is asked from then on, rejects with the reason of `connectFailed` or `disconnected`, until `connect()`.
   * @default true
   */
  reconnection?: boolean
  /**
   * How long a publish, a request or a wait for interest waits for a connection, in ms; 0: for ever. Its own
   * `timeout` is for the answer, and begins when it leaves. @default 60_000
   */
  offlineTimeout?: number
  /**
   * Bytes of one message, payload and headers, that it sends; the broker's own bound counts as well. More is
   * `"ERR_TOO_LARGE"`, and nothing is sent. @default 256 MiB
   */
  maxMessageBytes?: number
  /**
   * Unit of the pauses before reconnecting, in ms. The first one is at most two fifths of it, the next twice, the
   * others four times while the outage is younger than 10 s; then they double. Starts over after a connection
   * that lasted 5 s. @default 500
   */
  reconnectionDelay?: number
  /** Longest pause, in ms. @default 15_000 */
  reconnectionDelayMax?: number
  /**
   * The random share of a pause, 0 to 1. 1 is full jitter: thousands of clients do not reconnect in step.
   * @default 1
   */
  randomizationFactor?: number
  /**
   * The protocol to use: `'conat'`, Conat's, inside a WebSocket; `'selvedge'`, selvedge's own, on the bare
   * connection or, where that is refused, inside a WebSocket; servers that do not speak it are refused. No
   * effect inside this process.
   * @default selvedge's if the server speaks it, else Conat's
   */
  wire?: 'conat' | 'selvedge'
  /**
   * Returns where a subject belongs: to another client, or to an address, for which this client opens one with its
   * own other options, and closes it with itself; `undefined`: here. Called by every method that takes a subject, so
   * it must be quick. A client with this option is never shared.
   */
  routeSubject?: (subject: string) => SubjectRoute | undefined
  /** With NATS: who signs in, with `password`. Takes precedence over `address`, as do the options below. */
  user?: string
  /** With NATS: the password of `user`. Never shown. */
  password?: string
  /** With NATS: a token instead of a user. Never shown. */
  token?: string
  /** With NATS: the seed of a user's NKey, `SU…`. It signs the server's challenge, and is never sent. */
  nkey?: string
  /**
   * With NATS: a user with a JWT of their account: the text of a `.creds` file, or its path. A file is read at
   * every sign-in, so that it can be replaced while the client runs.
   */
  credentials?: string
  /** With NATS: connects only to the servers in `address`, not to others that these announce. @default false */
  ignoreDiscovered?: boolean
}

/** Another client, or the address of one. */
export type SubjectRoute = string | { client: Client } | { address: string }

/**
 * Options of Socket.IO and of clusters that `connect` takes from programs written for Conat. `forceNew`, and
 * `multiplex: false`, are `noCache`; the others have no effect (`NODE_DEBUG=selvedge` names them).
 */
export interface ForeignConnect {
  ackTimeout?: unknown
  addTrailingSlash?: unknown
  auth?: unknown
  autoUnref?: unknown
  closeOnBeforeunload?: unknown
  clusterName?: unknown
  forceBase64?: unknown
  forceNew?: boolean
  multiplex?: boolean
  parser?: unknown
  perMessageDeflate?: unknown
  protocols?: unknown
  query?: unknown
  reconnectionAttempts?: unknown
  rememberUpgrade?: unknown
  retries?: unknown
  timeout?: unknown
  timestampParam?: unknown
  timestampRequests?: unknown
  transportOptions?: unknown
  transports?: unknown
  tryAllTransports?: unknown
  upgrade?: unknown
  withCredentials?: unknown
}

/**
 * A client of the fabric. Returns at once and connects in the background. The latest one with an `address` is the
 * default client, until it is closed: `connect()` without options returns it, as one more of its users.
 *
 * Keeps the process alive until it is connected, then only for what is open: sockets, subscriptions, pending
 * requests.
 *
 * @throws {FabricError} an option is wrong; never because of the network
 * @example
 * const client = connect({ address: 'http://localhost:3000' })
 * await client.waitUntilSignedIn()
 */
export declare function connect(options?: ConnectOptions & ForeignConnect): Client

/**
 * Returns the default client of this process: the latest that `connect` made for an address and that is open, else
 * one of the fabric that `connect()` reaches. Nobody is counted as its user.
 */
export declare function getClient(): Client

/** Counters of one direction. */
export interface Traffic {
  messages: number
  bytes: number
}

/** An orderly stop. */
export interface DrainOptions {
  /** Milliseconds after which whatever is left is closed. @default 10_000 */
  deadline?: number
  /**
   * Milliseconds over which connections or sockets are released, so that they do not all reach the next
   * server at once. @default 1000
   */
  spread?: number
}

/** The events of a client and what listeners get. */
export interface ClientEvents {
  connected: []
  /**
   * The connection is gone; with `reconnection` another one follows. The reason, if known:
   * `"ERR_SLOW_CONSUMER"` this client read too slowly, and the server dropped what waited for it, which its
   * subscriptions have lost · `403` and others of docs/reference/errors.md: the client may not subscribe to
   * its inbox, so it cannot become ready; whatever waited for that was rejected with the same reason.
   */
  disconnected: [reason?: FabricError]
  /**
   * The server refused the sign-in (`"ERR_SIGN_IN"`; `cause` has the code and the text of its `getUser`), and
   * whatever waited for it was rejected with this. `disconnected` follows, and the next attempt.
   */
  signInRefused: [reason: FabricError]
  /** Signed in; with what the server sent. */
  info: [info: Record<string, unknown>]
  /** Replies can arrive, and every subscription is in place. */
  inbox: []
  /**
   * The server refused a publish, a subscribe or a wait for interest, or revoked a subscription that it had
   * confirmed (which the client then retries). For 60 s, or until the next sign-in, the client refuses the
   * same operation by itself.
   */
  permission: [refusal: { message: string; subject: string; type: 'pub' | 'sub' }]
  /**
   * An attempt to connect failed, with the reason: `"ECONNREFUSED"` · `"ENOENT"` · `"ETIMEDOUT"` ·
   * `"ERR_REFUSED"` · `"ERR_TLS_UNTRUSTED"` and others of docs/reference/errors.md. With `reconnection` the
   * next attempt follows.
   */
  connectFailed: [reason: FabricError]
  closed: [reason: FabricError | undefined]
}

/**
 * Publishes, subscribes, sends requests, and creates sockets. Its subscriptions and sockets outlive
 * reconnects.
 */
export declare class Client extends EventEmitter<ClientEvents> {
  constructor(options?: ConnectOptions & ForeignConnect)
  readonly id: string
  readonly state: 'disconnected' | 'connected' | 'closed'
  /**
   * As given, without `systemAccountPassword`; `extraHeaders` is there, but `console.log` does not show it.
   */
  readonly options: Readonly<ConnectOptions>
  /** What the server sent at the last sign-in. */
  readonly info: Record<string, unknown> | undefined
  /** What this client and its sockets have sent and received. */
  readonly stats: ClientStats
  /** The connection, as programs for Conat see it. */
  readonly conn: Connection
  /** The current subscriptions, by pattern. */
  readonly subs: Readonly<Record<string, { readonly refCount: number }>>
  /** The queue group of each subscribed pattern. */
  readonly queueGroups: Readonly<Record<string, string>>
  readonly socket: {
    /**
     * Listens for sockets on a subject; a pattern serves all subjects that match.
     *
     * @throws {FabricError} `"ERR_ALREADY_LISTENING"` this client has a server there ·
     *   `"ERR_INVALID_SUBJECT"` it is not a pattern, or ends in `>` · `"ERR_CLOSED"`
     * @example
     * const server = client.socket.listen('chat')
     * server.on('connection', socket => socket.on('data', data => socket.write(data)))
     */
    listen(subject: string, options?: SocketListenOptions): ConatSocketServer
    /**
     * Connects a socket to a server that listens on `subject`. Returns at once; writes are queued until it is
     * ready.
     *
     * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
     * @example
     * const socket = client.socket.connect('chat')
     * socket.on('data', data => console.log(data))
     * socket.write('hello')
     */
    connect(subject: string, options?: SocketConnectOptions): ConatSocketClient
  }

  /** Connects, after `disconnect()` or with `autoConnect: false`. @throws {FabricError} `"ERR_CLOSED"` */
  connect(): void
  /** Disconnects until `connect()`. Subscriptions and sockets are kept, and wait. */
  disconnect(): void
  /**
   * Closes the client with its subscriptions and sockets, and resolves when that is done. Pending calls
   * reject with `"ERR_CLOSED"`. Never rejects. A shared client closes when everyone who got it from `connect`
   * has closed it.
   *
   * What was published leaves first. If the client is still connecting, that takes up to 5 s; if there is no
   * connection by then, `closed` has the reason `"ERR_UNDELIVERED"` with the number of messages in its text.
   */
  close(): Promise<void>
  /**
   * Stops in order, then closes, also for others who share the client:
   *
   * - drains its socket servers, and ends its sockets when requests over them are answered (after half of the
   *   time in any case),
   * - drains its subscriptions: what the broker has given them is read, and the request that a loop is working
   *   on is answered; other members of their queue groups get everything else,
   * - waits for running methods of its services, and for pending replies and confirmations.
   *
   * Does not wait for handlers of a `message` event, for a `requestMany`, nor for what is started meanwhile.
   * Resolves when all is done, or at `deadline`.
   *
   * @example
   * process.once('SIGTERM', () => client.drain({ deadline: 5000 }))
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean;
  [Symbol.asyncDispose](): Promise<void>
  /** Keeps the process alive while the client connects or closes, again. */
  ref(): this
  /** Lets the process end while the client connects or closes. */
  unref(): this

  /** Waits for the connection. `timeout` in ms, default none. @throws {FabricError} `408` · `"ERR_CLOSED"` */
  waitUntilConnected(options?: { timeout?: number }): Promise<void>
  /**
   * Waits until the server has accepted the client's sign-in. `timeout` in ms, default none.
   *
   * @throws {FabricError} `"ERR_SIGN_IN"` it refused (`failed to sign in`) · `408` · `"ERR_CLOSED"`
   */
  waitUntilSignedIn(options?: { timeout?: number }): Promise<void>
  /**
   * Waits until replies can arrive and all subscriptions are in place. @throws {FabricError} as
   * `waitUntilSignedIn`
   */
  waitUntilReady(options?: { timeout?: number }): Promise<void>

  /**
   * Subscribes to a pattern (`*` one token, a final `>` one or more), and resolves when messages flow.
   *
   * Subscriptions of one client to the same pattern share one at the server, and each gets every message. The
   * subscription keeps the process alive until it is closed.
   *
   * @throws {FabricError} `403` not permitted · `408` not confirmed within 60 s · `429` too many ·
   *   `"ERR_QUEUE_GROUP"` the pattern has another queue here · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   * @example
   * for await (const message of await client.subscribe('sensors.*')) console.log(message.subject, message.data)
   */
  subscribe(subject: string, options?: SubscriptionOptions): Promise<Subscription>
  /** Alias of `subscribe`. */
  sub(subject: string, options?: SubscriptionOptions): Promise<Subscription>
  /** Subscribes without waiting. If the server refuses, iterating throws what `subscribe` would. */
  subscribeSync(subject: string, options?: SubscriptionOptions): Subscription
  /** Returns the number of patterns that are subscribed. */
  numSubscriptions(): number

  /**
   * Publishes, and resolves when the server has confirmed. Waits for the sign-in.
   *
   * @param subject A literal subject; wildcards are refused.
   * @throws {FabricError} `403` not permitted · `408` not confirmed in time · `"ENOBUFS"` over 64 MiB are
   *   queued · `"ERR_TOO_LARGE"` it has more than `maxMessageBytes` · `"ERR_ENCODE"` the value cannot be encoded ·
   *   `"ABORT_ERR"` · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  /** Alias of `publish`. */
  pub(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  /**
   * Publishes without waiting for a confirmation. Dropped if the client is not connected yet; but if it is
   * closed while it connects, `close()` sends what was published before.
   *
   * @throws {FabricError} `"ENOBUFS"` over 64 MiB are queued · `"ERR_TOO_LARGE"` · `"ERR_ENCODE"` ·
   *   `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  publishSync(subject: string, data?: unknown, options?: MessageOptions): { bytes: number }

  /**
   * Sends a request and resolves with the first reply.
   *
   * Rejects at once, without waiting for `timeout`, when nobody listens.
   *
   * @throws {FabricError} `503` nobody listens · `408` no reply in time · `403` not permitted · `"ABORT_ERR"`
   *   · `"ENOBUFS"` · `"ERR_TOO_LARGE"` · `"ERR_ENCODE"` · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   * @example
   * const reply = await client.request('sensors.roof.read', { unit: 'C' }, { timeout: 500 })
   */
  request(subject: string, data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  /**
   * With `noThrow`: resolves with `undefined` instead of what the fabric refuses. @throws {FabricError} wrong
   * arguments, as above
   */
  request(subject: string, data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  /**
   * Sends a request and iterates over the replies. Await it to learn first whether anybody listens. Over 64
   * MiB of unread replies end it with `"ENOBUFS"`.
   *
   * @throws {FabricError} as `request`, when awaited or iterated
   * @example
   * for await (const reply of client.requestMany('sensors.*.ping', null, { maxWait: 200 })) console.log(reply.data)
   */
  requestMany(subject: string, data?: unknown, options?: RequestManyOptions): Answers

  /**
   * Serves a subject, or all subjects that match a pattern: callers of a method of `implementation`,
   * inherited ones included, get what it returns, or what it throws with text and code. `this` inside a
   * method is the message. Calls run concurrently. Resolves when calls can arrive; closing the subscription
   * ends the service.
   *
   * @param options.queue Services with the same queue share the calls: each call goes to one of them.
   *   @default "0"
   * @throws {FabricError} as `subscribe` · `"ERR_INVALID_ARG_TYPE"` `implementation` is not an object
   * @example
   * await client.service('math', { add: (a: number, b: number) => a + b })
   */
  service(subject: string, implementation: object, options?: { queue?: string }): Promise<Subscription>
  /**
   * The service on a subject, as an object: every method sends a request and resolves with the result.
   *
   * Methods reject with what the service threw (its `code`, or else `"ERR_SERVICE"`), with
   * `"ERR_NOT_DEFINED"` if there is no such method (`… not defined`), and as `request`. Methods called `then`
   * or `toJSON`, or like those that every object has, cannot be called.
   *
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"`
   * @example
   * const math = client.call<{ add(a: number, b: number): number }>('math')
   * await math.add(1, 2)
   */
  call<T = Agreed>(subject: string, options?: RequestOptions): Remote<T>
  /**
   * All services on a subject, as one object: every method iterates over their results as they arrive. If a
   * service threw, its result is the error.
   *
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"`
   * @example
   * const all = client.callMany<{ load(): number }>('workers', { maxWait: 200 })
   * for await (const load of all.load()) console.log(load)
   */
  callMany<T = Agreed>(subject: string, options?: RequestManyOptions): RemoteMany<T>
  /**
   * Watches what is published: a subscription with a queue of its own, whose messages are passed to
   * `callback`.
   *
   * @param callback @default prints time, subject and data
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  watch(subject: string, callback?: (message: Message) => unknown): Subscription
  /**
   * Compares the server's list of this client's subscriptions with the client's own, and repairs both.
   * Happens automatically after every reconnect. `timeout` in ms, default 30_000.
   *
   * @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  syncSubscriptions(options?: { timeout?: number }): Promise<void>
  /**
   * Resolves with the addresses of the fabric's servers; a selvedge broker forms no cluster and returns none.
   * `timeout` in ms, default 30_000.
   *
   * @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  cluster(options?: { timeout?: number }): Promise<string[]>

  /** Resolves with whether anybody listens on `subject` now. @throws {FabricError} `403` · `"ERR_CLOSED"` */
  interest(subject: string): Promise<boolean>
  /**
   * Resolves with `true` when somebody listens. `timeout` in ms, default 30_000, at most 90_000; 0 does not
   * wait.
   *
   * @throws {FabricError} `408` nobody did in time · `403` · `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  waitForInterest(subject: string, options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>
  /** As the function `messageData`. */
  message(data: unknown, options?: MessageOptions): MessageData

  /** Resolves with the patterns that the broker has for this client, when both agree. @throws as `syncSubscriptions` */
  getSubscriptions(): Promise<string[]>
  /** Returns a new subject below the inbox prefix, for replies to a request that is made by hand. */
  temporaryInboxSubject(): string
  /** Resolves with a subscription to such a subject, the same for every caller. @throws as `subscribe` */
  getInbox(): Promise<Subscription>
  /** Returns what the server refused less than 60 s ago, as the error that a call would throw. */
  permissionError(refused: { type: 'pub' | 'sub'; subject: string }): FabricError | undefined
  /** Measures confirmed publishes, or requests to this client, one after the other: how many a second. */
  readonly bench: {
    publish(count?: number, subject?: string): Promise<number>
    request(count?: number, subject?: string): Promise<number>
  }
}

/** Counters of a client. `send` is `sent` and `recv0` is `recv`, under the names of Conat. */
export interface ClientStats {
  readonly sent: Traffic
  readonly recv: Traffic
  readonly send: Traffic
  readonly recv0: Traffic
  /** The number of patterns that are subscribed. */
  readonly subs: number
}

/** A view on the connection of a client, in the form of a Socket.IO socket. */
export interface Connection extends EventEmitter {
  readonly connected: boolean
  readonly disconnected: boolean
  /**
   * The server's id of this connection: a key of its `sockets`, `Visitor.id` there. A reconnect gets
   * another one.
   */
  readonly id: string | undefined
  /** Also emits the client's events under the names `open`, `reconnect`, `reconnect_error` and `close`. */
  readonly io: EventEmitter & {
    /** `close()` cuts the connection as if the network had failed, to test reconnecting. */
    readonly engine: { close(): void }
    /** The options of the client. */
    readonly opts: object
    connect(): unknown
  }
  /** As `Client.connect`. */
  connect(): this
  /** As `Client.disconnect`. */
  disconnect(): this
  /**
   * Asks the broker: `subscriptions`, `cluster`, `wait-for-interest`, `publish`, `stats`, in the form that they
   * have in Conat's protocol. A last argument that is a function gets the answer; an error is `{ error, code? }`.
   */
  emit(event: string, ...args: Agreed[]): boolean
  /** The same; resolves with the answer. */
  emitWithAck(event: string, ...args: Agreed[]): Promise<Agreed>
  /** The same within so many ms. The function of `emit` gets an error first. */
  timeout(ms: number): {
    emit(event: string, ...args: Agreed[]): boolean
    /** @throws {FabricError} `408` */
    emitWithAck(event: string, ...args: Agreed[]): Promise<Agreed>
  }
}

/** What awaiting `requestMany` resolves with: it can be closed as a subscription can. */
export interface AnswerIterator extends AsyncIterableIterator<Message, undefined> {
  /** Waits for no more replies, as leaving the loop does. */
  close(): void
  /** The same as `close`. */
  stop(): void
  /** The same as `close`. */
  end(): void
  /** Waits for no more replies, and resolves when those that have come were read. */
  drain(): Promise<void>
}

/** Can be iterated, or awaited first. Leaving the loop stops waiting. */
export type Results<T> = Promise<AsyncIterableIterator<T, undefined>> & AsyncIterableIterator<T, undefined>

/** The replies to a `requestMany`. */
export type Answers = Promise<AnswerIterator> & AnswerIterator

/** The methods of a service, as its callers see them. */
export type Remote<T> = 0 extends 1 & T
  ? Agreed
  : {
      [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never
    }

/** The methods of several services, as a caller of all of them sees them. */
export type RemoteMany<T> = 0 extends 1 & T
  ? Agreed
  : {
      [K in keyof T]: T[K] extends (...args: infer A) => infer R
        ? (...args: A) => Results<Awaited<R> | FabricError>
        : never
    }

/** How a subscription receives. */
export interface SubscriptionOptions {
  /**
   * Subscribers with the same queue share the messages: each message goes to one of them. @default a queue of
   * its own
   */
  queue?: string
  /**
   * Milliseconds for the server to confirm, which begin when the client is connected; then `subscribe` rejects
   * with `408`. @default 60_000
   */
  timeout?: number
  /** Ends after so many messages. @default no limit */
  maxMessages?: number
  /** Bytes that may wait to be read; beyond them the newest are dropped and counted. @default 64 MiB */
  maxQueueBytes?: number
}

/** The messages to one pattern, to be iterated. Leaving a `for await` closes it. It outlives reconnects. */
export interface Subscription extends AsyncIterableIterator<Message, undefined> {
  readonly subject: string
  readonly queue: string
  readonly ended: boolean
  /** Number of messages lost because more than `maxQueueBytes` waited. */
  readonly dropped: number
  /** Emits `message`. While it has listeners and nobody iterates, nothing is queued. */
  readonly emitter: EventEmitter
  /** Ends it, as leaving a `for await` does. */
  return(): Promise<IteratorResult<Message, undefined>>
  /** Ends it at once: unread messages, and those that are on their way, are dropped. */
  close(): void
  /** The same as `close`. */
  stop(): void
  /** The same as `close`. */
  end(): void
  /**
   * Leaves in order: the broker gives it nothing more, and it goes on until everything that it was given has
   * been read, requests that a loop is working on are answered, and methods of a service have returned. So a
   * member of a queue group that drains loses nothing (unless its connection breaks meanwhile).
   *
   * @param options.deadline Milliseconds until it closes anyway. @default none
   * @throws {FabricError} `408` `deadline` has passed; `left` is the number of messages that were dropped
   */
  drain(options?: { deadline?: number }): Promise<void>
  /** Keeps the process alive while it is open, again. */
  ref(): this
  /** Lets the process end while it is open. */
  unref(): this
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of both sides of a socket. */
export interface SocketSettings {
  /** A name for logs. */
  desc?: string
  /** How many messages may be unacknowledged before `write` throws. @default 1000 */
  maxQueueSize?: number
  /**
   * The same in bytes, payloads and headers together. A single larger message is accepted when nothing else
   * is unacknowledged. `write` returns `false` from half of it on, and from 16 MiB on in any case. The reading
   * side keeps at most as many bytes, and at most 16 MiB, that are not handled yet. @default 256 MiB
   */
  maxQueueBytes?: number
  /**
   * Bytes of one message, payload and headers, at least 64 KiB. To write more is `"ERR_TOO_LARGE"`, and nothing is
   * written; the client's and its broker's own bounds count as well. A message that comes and has more closes the
   * socket with that code, on both sides. @default 256 MiB
   */
  maxMessageBytes?: number
  /**
   * What to do when the other side acknowledges nothing, because it is slow or away: `'wait'` for ever, or
   * `'close'` the socket with `"ERR_SLOW_CONSUMER"`. @default 'wait'
   */
  slowConsumer?: 'wait' | 'close'
  /**
   * With `'close'`: after so many milliseconds without an acknowledgement while half of the window (`maxQueueSize`,
   * `maxQueueBytes`) is used. @default 30_000
   */
  slowConsumerTimeout?: number
  /** Pings the other side after so many ms without a message from it; 0 or less: never. @default 45_000 */
  keepAlive?: number
  /** Milliseconds that the other side has to send anything after a ping. @default 30_000 */
  keepAliveTimeout?: number
  /**
   * How long the other side is waited for after its connection ended, or it fell silent, in ms. By default a
   * client waits 2 s for a server that ended while there is another one, else 30 to 45 s; a server waits 30 s,
   * or `keepAlive` + `keepAliveTimeout` if that is less. A side that has closed for good is not waited for.
   */
  resumeTimeout?: number
  /**
   * Lets acknowledgements travel along with the messages of the other direction, if the other side is selvedge, too.
   * `false`, or an option `dialect`: acknowledges as Conat does. @default true
   */
  stream?: boolean
}

/** Options of a socket server. */
export interface SocketListenOptions extends SocketSettings {
  /**
   * One token. Of all socket servers with one chosen id on a subject, whichever process they are in, the newest
   * takes what comes: the one before closes with `"ERR_SUPERSEDED"`, and its sockets with it (not over
   * Conat's protocol and NATS, where both get everything). @default the client's id
   */
  id?: string
  /** Sockets at one time; further ones close with `429` at the connecting side. @default 65_536 */
  maxSockets?: number
  /**
   * The same of one user, or of one connection that has no user. Known only over selvedge's own protocol and
   * inside a process; over Conat's only `maxSockets` counts. @default 4096
   */
  maxSocketsPerUser?: number
}

/** Options of a socket that connects. */
export interface SocketConnectOptions extends SocketSettings {
  /**
   * One token. @default a random one; for a client with the `inboxPrefix` `_INBOX_<name>` behind `<name>~`
   * (`privateEnds`)
   */
  id?: string
  /** Reconnects when the connection is lost. @default true */
  reconnection?: boolean
  /**
   * Chooses the server: returns its id. Called again later if it throws. @default the first server that
   * answers
   */
  loadBalancer?: (subject: string) => Promise<string> | string
  /** Milliseconds for `loadBalancer`. @default 10_000 */
  loadBalancerTimeout?: number
  /** Which of Conat's two handshakes to use. @default both at once */
  dialect?: 'classic' | 'attempt'
}

/** How a value is written. */
export interface WriteOptions extends MessageOptions {
  /**
   * At most once: dropped, and counted, if the socket is not ready or its window is full; never throws
   * `"ENOBUFS"`. Otherwise it is sent and acknowledged like any other, in order, but not reported as
   * undelivered. `write` returns `false` if it was dropped. @default false
   */
  volatile?: boolean
}

/**
 * Counters of one socket since it was created. Bytes are those of payloads; for sent messages, headers are
 * included.
 */
export interface SocketStats {
  /** Messages written. */
  readonly sent: number
  readonly sentBytes: number
  /** Those of them that the other side has handled. */
  readonly acknowledged: number
  /** Messages that arrived, each counted once. */
  readonly received: number
  readonly receivedBytes: number
  /** Messages sent again. */
  readonly resent: number
  /** Messages that arrived again. */
  readonly duplicates: number
  /** Volatile messages that were dropped. */
  readonly volatileDropped: number
  /** Messages written and not acknowledged. */
  readonly pending: number
  readonly pendingBytes: number
}

/**
 * A message that the other side of a closed socket is not known to have handled. Can be written to another
 * socket as it is.
 */
export interface UndeliveredMessage extends MessageData {
  /** 1 for the first message that was written to its socket. */
  readonly seq: number
}

/** `closed` is final; a socket may enter the others many times. */
export type State = 'disconnected' | 'connecting' | 'ready' | 'closed'

/** The events of a socket and what listeners get. */
export interface SocketEvents {
  /** In order, each message exactly once. Held back until there is a listener or an iterator. */
  data: [data: Agreed, headers: Headers]
  /** Answer with `respond`. */
  request: [message: Message]
  /** Everything written is acknowledged. */
  drain: []
  /**
   * With the reason if it is the other side that is away: `"ERR_PEER_ENDED"` its connection ended,
   * `"ERR_PEER_SILENT"` it gave no sign of life. It may come back, with nothing lost: `ready` follows then, or
   * else `closed`, whose reason has this one as `cause`.
   */
  disconnected: [reason?: FabricError]
  connecting: []
  ready: []
  /**
   * With the reason, unless the socket closed because `close` or `end` was called here, and the number of
   * `undelivered()`.
   */
  closed: [reason: FabricError | undefined, undelivered: number]
}

/**
 * A reliable socket: what is written arrives in order and exactly once, across reconnects; if that becomes
 * impossible, `closed` says how many messages may be missing.
 *
 * A message is acknowledged when the other side's handler has been called, so a slow reader slows down the
 * writer. The socket keeps the process alive until it is closed.
 */
declare abstract class ConatSocketBase extends EventEmitter<SocketEvents> {
  readonly id: string
  readonly subject: string
  readonly state: State
  readonly desc: string | undefined
  readonly role: 'client' | 'server'
  readonly maxQueueSize: number
  readonly maxQueueBytes: number
  /** What this socket has sent and received. */
  readonly stats: SocketStats
  readonly keepAlive: number
  readonly keepAliveTimeout: number
  /** Whether `close` or `end` was called, or the other side closed. */
  readonly ended: boolean
  readonly conn: { readonly id: string }
  /** The fabric hides addresses: `ip` is empty. */
  readonly address: { readonly ip: string }
  /** Writes that wait for the socket to become ready. */
  readonly queuedWrites: { readonly length: number }
  /** `send.unsent`: number of unacknowledged writes. */
  readonly tcp: { readonly send: { readonly unsent: number } }
  /**
   * `last`: when the other side was last heard from, in ms since 1970; while it only answers pings, to within
   * `keepAlive` + `keepAliveTimeout`.
   */
  readonly alive: { readonly last: number }

  /**
   * Writes a value. Returns whether more than half of the window (`maxQueueSize`, `maxQueueBytes`) is free, and
   * less than 16 MiB of it used. After `false`, wait for `waitUntilWritable()`, or for `drain`, which is emitted
   * when everything is acknowledged.
   *
   * @param second The headers; or options, if all its keys are names of options. The headers object that a handler
   *   has received always counts as headers, whatever its keys are; a copy of it may not, so pass that as
   *   `{ headers: { ...headers, more } }`.
   * @throws {FabricError} `"ENOBUFS"` `maxQueueSize` messages or `maxQueueBytes` bytes are unacknowledged ·
   *   `"EPIPE"` the socket is closed or ending · `"ERR_TOO_LARGE"` it has more than `maxMessageBytes` ·
   *   `"ERR_ENCODE"` the value cannot be encoded. Nothing was written then.
   * @example
   * if (!socket.write(row, { headers: { table: 'users' } })) await socket.waitUntilWritable()
   */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean
  /**
   * Writes a value, and resolves when the other side's handler has been called with it. May be called many
   * times without awaiting each; order is kept.
   *
   * @throws {FabricError} as `write`, and nothing was written · `"ERR_INVALID_ARG_VALUE"` with `volatile` ·
   *   the reason of `closed` if the socket closed before the message was known to arrive; the message is then
   *   among `undelivered()`
   * @example
   * await socket.send(order)
   */
  send(data: unknown, second?: Headers | WriteOptions | null): Promise<void>
  /**
   * Sends a request to the other side, and resolves with its reply.
   *
   * @throws {FabricError} `503` the other side is gone · `408` no reply in time · `429` too many of them wait
   *   there · `"EPIPE"` the socket closed meanwhile, or the other side went away · `"ABORT_ERR"` · `"ENOBUFS"` ·
   *   `"ERR_TOO_LARGE"` · `"ERR_ENCODE"` · `"ERR_CLOSED"`
   */
  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  /**
   * With `noThrow`: resolves with `undefined` if there is no reply. @throws {FabricError} wrong arguments, as
   * above
   */
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  /** Sends a request with several replies to the other side. As `Client.requestMany`. */
  requestMany(data?: unknown, options?: RequestManyOptions): Answers
  /**
   * Iterates over the data as `[data, headers]`, as a loop over the socket itself does, with one difference: a
   * message is acknowledged as soon as it is handed out, so that a program that takes exactly three leaves none
   * open.
   *
   * @example
   * const messages = socket.iter()
   * const [hello] = (await messages.next()).value
   */
  iter(): AsyncIterableIterator<[data: Agreed, headers: Headers], undefined>
  /**
   * Resolves when everything written is acknowledged. @throws {FabricError} `"ERR_CLOSED"` it never will be
   */
  drain(): Promise<void>
  /** The same as `drain`. */
  waitUntilDrain(): Promise<void>
  /**
   * Resolves when `write` would return `true`. A writer that waits for this keeps the other side busy; one that
   * waits for `drain` lets it run dry first. @throws {FabricError} `"ERR_CLOSED"` it never will be
   */
  waitUntilWritable(): Promise<void>
  /**
   * Waits for the state `ready`. `timeout` in ms, default none. @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  waitUntilReady(timeout?: number): Promise<void>
  /**
   * Holds data back from listeners and iterators until `resume()`, unacknowledged, so that the other side's
   * window fills up. Requests still arrive.
   */
  pause(): this
  /** Delivers data again. */
  resume(): this
  /** Returns whether `pause` holds data back. */
  isPaused(): boolean
  /**
   * After `closed`: returns the messages that the other side is not known to have handled, in the order in
   * which they were written, without volatile ones. Their number is `undelivered` of the reason. Also after a
   * close on this side.
   *
   * @example
   * socket.on('closed', () => {
   *   const next = client.socket.connect('chat')
   *   for (const message of socket.undelivered()) next.write(message)
   * })
   */
  undelivered(): UndeliveredMessage[]
  /** Disconnects the socket; a client socket reconnects by itself if `reconnection` is on. */
  disconnect(): void
  /**
   * Closes at once, and tells the other side. Only `closed` is emitted afterwards. A second call does
   * nothing.
   */
  close(): void
  /** The same as `close`. */
  destroy(): void
  /**
   * Ends in order: writes no more, and resolves when the other side has handled everything and open requests
   * are answered. Goes on for as long as something moves, or for `timeout` ms. Nobody has to await it.
   *
   * @throws {FabricError} `"ERR_UNDELIVERED"` its time is over, or the socket has closed, and messages are
   *   left: `undelivered` is their number, `cause` the reason. It is closed then.
   * @example
   * await socket.end()
   */
  end(options?: EndOptions): Promise<void>
  /**
   * Iterates over the data as `[data, headers]`. A message is acknowledged when the loop asks for the next
   * one, or is left. Messages that the loop has not been given when it is left wait for the next listener or
   * iterator, unless another one has received something newer. Of several iterators each gets everything that
   * arrives while it exists, and a message is acknowledged by the last one to be done with it.
   *
   * Ends when either side has closed or ended the socket. If the socket closes for another reason, that is
   * thrown, behind what has arrived.
   *
   * @example
   * for await (const [data, headers] of socket) await store(data)
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<[data: Agreed, headers: Headers], undefined>
  /**
   * Returns the socket as a stream of Node.js. It reads what has not been handed to anybody yet. A message is
   * acknowledged when the stream has taken it, so a slow reader slows down the writer. `end()` of the stream ends the
   * socket; `destroy()` closes it. When the other side closes in order, the stream ends behind the data; when the
   * socket is lost, the stream is destroyed with the reason.
   *
   * From then on the data belongs to the stream: another listener of `data`, a loop, or a second call throws.
   * `Duplex.toWeb` makes Web Streams of it.
   *
   * The stream is destroyed with `"EPIPE"` if the socket is closed already, with `"ERR_INVALID_ARG_TYPE"` by a message
   * that is not bytes if `objectMode` is `false`, and with `"ERR_STREAM_NULL_VALUES"` by a message `null` unless
   * `headers` is `true`.
   *
   * @throws {FabricError} `"ERR_SOCKET_TAKEN"` it has a stream already
   * @example
   * await pipeline(createReadStream('big.bin'), socket.toDuplex({ objectMode: false }))
   */
  toDuplex(options?: SocketDuplexOptions): Duplex
  /** As `end()`: throws if messages are left. */
  [Symbol.asyncDispose](): Promise<void>
  /** Keeps the process alive while it is open, again. */
  ref(): this
  /** Lets the process end while the socket is open. */
  unref(): this
}

/** How `toDuplex` reads and writes. */
export interface SocketDuplexOptions {
  /** `false`: bytes. What is written leaves in messages of at most 64 KiB. @default true */
  objectMode?: boolean
  /** With `objectMode`: `{ data, headers }` in place of the value, both ways. @default false */
  headers?: boolean
  /** Of both directions, in values or bytes. @default that of streams */
  highWaterMark?: number
}

/** The side that connects. Made by `client.socket.connect`. */
export declare class ConatSocketClient extends ConatSocketBase {
  private constructor()
  readonly role: 'client'
  readonly reconnection: boolean
  /** The `id` of the server that it belongs to; `undefined` before it was ready. */
  readonly serverId: string | undefined
  /** `close()` disconnects the socket, to test reconnecting. */
  readonly sub: { close(): void }
  /** Reconnects, after `disconnect()`. @throws {FabricError} `"ERR_CLOSED"` */
  connect(): void
  /** Another socket with the same options, on the subject `<subject>.<name>`. */
  channel(name: string): ConatSocketClient
}

/** The side that accepted. Emitted, ready, by a server's `connection`. */
export declare class ServerSocket extends ConatSocketBase {
  private constructor()
  readonly role: 'server'
  /** The subject on which its client listens. */
  readonly clientSubject: string
}

/** How long `end` waits. */
export interface EndOptions {
  /** Milliseconds in all, whatever moves. @default none: as long as something moves */
  timeout?: number
  /**
   * Milliseconds without an acknowledgement or answer after which it gives up, without `timeout`. Does not run
   * while the other side is away and may come back.
   * @default 10_000
   */
  idle?: number
}

/** The events of a socket server and what listeners get. */
export interface SocketServerEvents {
  /** Held back until there is a listener: at most 10 000, further ones are closed. */
  connection: [socket: ServerSocket]
  disconnected: []
  connecting: []
  ready: []
  closed: [reason: FabricError | undefined]
}

/** Accepts sockets. Made by `client.socket.listen`. Keeps the process alive until it is closed. */
export declare class ConatSocketServer extends EventEmitter<SocketServerEvents> {
  private constructor()
  readonly id: string
  readonly subject: string
  readonly state: State
  readonly desc: string | undefined
  readonly role: 'server'
  /** Of each of its sockets. */
  readonly maxQueueSize: number
  readonly maxQueueBytes: number
  readonly keepAlive: number
  readonly keepAliveTimeout: number
  /** Whether `close` or `end` was called. */
  readonly ended: boolean
  /** Disconnects every socket; their clients reconnect them. */
  disconnect(): void
  /** The open sockets by id. */
  readonly sockets: Record<string, ServerSocket>
  /** Calls `visit` with each of them. */
  forEach(visit: (socket: ServerSocket, id: string) => void): void
  /**
   * Writes to every socket that has room. Returns whether all have more than half of their window free.
   *
   * @throws {FabricError} `"ENOBUFS"` the windows of the sockets in `error.ids` are full: they did not get
   *   it, all others did · `"EPIPE"` the server is closed · `"ERR_ENCODE"`
   */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean
  /** The same as `write`. */
  broadcast(data: unknown, second?: Headers | WriteOptions | null): boolean
  /**
   * Sends a request to every socket, and resolves with the first reply. @throws {FabricError} `503` there are
   * no sockets · `"ERR_CLOSED"`
   */
  request(data: unknown, options: RequestOptions & { race: true }): Promise<Message>
  /**
   * Sends a request to every socket. Resolves with all replies in the order of the sockets, with an error
   * where one failed.
   *
   * @throws {FabricError} `"ERR_CLOSED"`
   */
  request(data?: unknown, options?: RequestOptions & { race?: false }): Promise<(Message | Error)[]>
  /** Another server with the same options, on the subject `<subject>.<name>`. */
  channel(name: string): ConatSocketServer
  /**
   * Waits for the state `ready`. `timeout` in ms, default none. @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  waitUntilReady(timeout?: number): Promise<void>
  /** Closes the server and its sockets at once, and tells the other sides. */
  close(): void
  /** The same as `close`. */
  destroy(): void
  /**
   * Accepts no more sockets; new ones go to other servers. Ends its sockets one after the other, spread over
   * `spread`: each when requests over it are answered (after half of the time in any case) and what was
   * written to it is acknowledged. Then closes, at `deadline` at the latest. The other side of each socket
   * gets `closed` (`"ERR_SOCKET_CLOSED_BY_PEER"`), and finds in `undelivered()` what this server has not
   * handled, to write it to the next one.
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean
  /**
   * Accepts no more sockets, ends all as their `end` does, and closes.
   *
   * @throws {FabricError} `"ERR_UNDELIVERED"` messages are left: `sockets` has the `id` of each of these
   *   sockets and the number of its `undelivered` messages, `undelivered` the sum.
   */
  end(options?: EndOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  /** Keeps the process alive while it is open, again. */
  ref(): this
  /** Lets the process end while the server is open. */
  unref(): this
}

/** Options of a broker. */
export interface ServerOptions {
  /** TCP port; 0: any free one; `null`: none, only clients made by `server.client()`. @default 3000 */
  port?: number | null
  /** Address to listen on. @default "127.0.0.1" */
  host?: string
  /** @default "0" */
  id?: string
  /** @default "/conat" */
  path?: string
  /** @default 500 */
  maxSubscriptionsPerClient?: number
  /** The same for users with a `hub_id`. @default 15_000 */
  maxSubscriptionsPerHub?: number
  /** Bytes of one message, payload and headers, at least 64 KiB; more is refused. @default 256 MiB */
  maxMessageBytes?: number
  /** Concurrent connections; more are refused with `429`. @default 10_000 */
  maxConnections?: number
  /** Concurrent connections of one user, compared as JSON; `null` is not counted. @default 100 */
  maxConnectionsPerUser?: number
  clusterName?: string
  /**
   * Uses TLS at the port, and nothing else. `true` only says that `httpServer` does. `setSecureContext`
   * renews the certificate.
   */
  ssl?: boolean | TlsServerOptions
  /**
   * Serves the upgrades below `path` of this `node:http` or `node:https` server, which stays yours: its other
   * requests and upgrades are not touched, and `close()` leaves it open. After that clients keep trying: if
   * an `upgrade` listener of yours answers nothing, each of these connections stays open, as with any upgrade
   * that is not handled. Every byte crosses from JavaScript to the engine and back: a port of the broker's
   * own is several times as fast. `port` has no effect then.
   */
  httpServer?: HttpServer | HttpsServer
  /**
   * Listens on this Unix domain socket instead of a port. Not on Windows. A socket file left by a dead
   * process is replaced.
   */
  socketPath?: string
  /** Permissions of `socketPath`. @default 0o600 */
  socketMode?: number
  /**
   * Web pages that may connect, by exact `Origin`: `'https://app.example'`. Programs send no `Origin` and are
   * not affected.
   * @default none
   */
  allowedOrigins?: readonly string[]
  /**
   * Names, without a port, that the `Host` header may have; others are refused. On loopback, loopback names
   * are always accepted.
   * @default on loopback: only loopback names, so that no page gets in through a rebound name; else any
   */
  allowedHosts?: readonly string[]
  /** Milliseconds for a whole handshake, TLS and HTTP together. @default 10_000 */
  handshakeTimeout?: number
  /**
   * Milliseconds in which an incomplete message must make progress (64 KiB, or its end), or its connection is
   * closed; noticed after at most twice that. @default 30_000
   */
  messageTimeout?: number
  /** Concurrent handshakes; further connections are dropped, and clients retry. @default 1000 */
  maxHandshakes?: number
  /** The same from one address (of IPv6, one /64). @default half of `maxHandshakes` */
  maxHandshakesPerAddress?: number
  /**
   * Authenticates: called once for each connection, before anything that it sends is looked at. Returns, or
   * resolves with, the user: any JSON, passed to `isAllowed` and shown to the client (`info.user`). If it
   * throws, the sign-in fails: the client is told the error's `message` and `code` (a number), and
   * disconnected. @default everybody is `null`, or the system user if they have the `systemAccountPassword`
   */
  getUser?: (visitor: Visitor, systemAccounts?: SystemAccounts) => unknown
  /**
   * Authorises: called before a publish or wait for interest (`"pub"`), and for each pattern of a subscribe
   * (`"sub"`), inboxes (`_INBOX.…`) included. Decisions are cached for `permissionCache`. Anything but
   * `true`, an error, and a promise that takes longer than `permissionTimeout` deny. While it decides, the
   * rest of that connection waits, in order. @default everything is allowed
   */
  isAllowed?: (question: { type: 'pub' | 'sub'; user: Agreed; subject: string }) => boolean | Promise<boolean>
  /**
   * Turns on the system service (`sys.conat.…`). Only users with `hub_id: "system"` may publish there,
   * whatever `isAllowed` says, and only the server receives it. May contain only characters that a cookie can
   * have. @default none
   */
  systemAccountPassword?: string
  /** Milliseconds that `getUser` may take. @default 10_000 */
  signInTimeout?: number
  /** Milliseconds that `isAllowed` may take. @default 10_000 */
  permissionTimeout?: number
  /**
   * Milliseconds for which a decision of `isAllowed`, either way, is cached for the same connection, type and
   * subject; 0: not at all. `revalidate()` clears the cache. @default 1000
   */
  permissionCache?: number
}

/**
 * Options of Socket.IO and of clusters that `init` takes from programs written for Conat. They have no effect
 * (`NODE_DEBUG=selvedge` names them); for `cors` there is `allowedOrigins`.
 */
export interface ForeignInit {
  adapter?: unknown
  addTrailingSlash?: unknown
  allowEIO3?: unknown
  allowRequest?: unknown
  allowUpgrades?: unknown
  autoscanInterval?: unknown
  cleanupEmptyChildNamespaces?: unknown
  clusterIpAddress?: unknown
  clusterNodes?: unknown
  connectTimeout?: unknown
  connectionStateRecovery?: unknown
  cookie?: unknown
  cors?: unknown
  destroyUpgrade?: unknown
  destroyUpgradeTimeout?: unknown
  httpCompression?: unknown
  localClusterSize?: unknown
  logger?: unknown
  longAutoscanInterval?: unknown
  maxHttpBufferSize?: unknown
  parser?: unknown
  perMessageDeflate?: unknown
  pingInterval?: unknown
  pingTimeout?: unknown
  serveClient?: unknown
  transports?: unknown
  upgradeTimeout?: unknown
  wsEngine?: unknown
}

/** Certificates and keys: text or bytes in PEM. */
export type Pem = string | Uint8Array

/** TLS of a server, as in `node:tls`. */
export interface TlsServerOptions {
  /** PEM; PKCS #8, PKCS #1 or SEC1. */
  key?: Pem
  /** PEM, the server's own certificate first. */
  cert?: Pem
  /** Authorities that may sign clients' certificates. */
  ca?: Pem | readonly Pem[]
  /** Decrypts `key`. */
  passphrase?: string
  /** Asks clients for a certificate. Needs `ca`. @default false */
  requestCert?: boolean
  /** `false` also accepts clients without a certificate; an invalid one is still refused. @default true */
  rejectUnauthorized?: boolean
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** A connection that is signing in. */
export interface Visitor {
  /** Id of the connection; a reconnect gets another one. */
  readonly id: string
  readonly handshake: {
    /** HTTP headers, names in lower case; for a client inside the process, its `extraHeaders`. */
    readonly headers: Readonly<Record<string, string>>
    /** Network address; empty for a client inside the process. */
    readonly address: string
    /**
     * The client's certificate, verified against `ca` in this handshake, or `null`. Needs `requestCert` in
     * `ssl` or `httpServer`.
     */
    readonly certificate: VisitorCertificate | null
  }
}

/**
 * A client's identity by its certificate. Compare whole strings. The subject is not included, because
 * matching parts of it lets impostors in.
 */
export interface VisitorCertificate {
  /** SHA-256 of the certificate, as Node.js writes it: `AB:CD:…`. */
  readonly fingerprint256: string
  /**
   * The names it was issued for: `DNS:…`, `URI:…`. Only as trustworthy as the authority, which can sign any
   * name.
   */
  readonly subjectAltNames: readonly string[]
}

/** The server's built-in accounts, by the name of the cookie that holds the password. */
export type SystemAccounts = Record<string, { password: string; user: Record<string, unknown> }>

/** A connection of a server, at the time of the call. */
export interface ConnectionView {
  id: string
  user: Agreed
  /** Network address; empty for a client inside the process. */
  address: string
  subscriptions: string[]
  /** `recv`: what it published; `send`: what was delivered to it. */
  stats: { recv: Traffic; send: Traffic }
}

/**
 * What a connection published (`recv`), what was delivered to it (`send`), and its number of subscriptions.
 */
export interface ConnectionStats {
  user: Agreed
  /** Network address; empty for a client inside the process. */
  address: string
  recv: Traffic
  send: Traffic
  subs: number
}

/** The number of connections, in total and by user, as JSON. */
export interface Usage {
  total: number
  perUser: Record<string, number>
}

/** The events of a broker and what listeners get. */
export interface ServerEvents {
  ready: []
  closed: [reason: FabricError | undefined]
  /**
   * A callback threw, rejected, took too long, or returned something it should not. Without a listener, the
   * first failure of `isAllowed` is a process warning.
   */
  callbackFailed: [error: unknown, callback: 'getUser' | 'isAllowed']
}

/**
 * Starts a broker in this process.
 *
 * Returns at once; `ready` is emitted when it listens. If it cannot, `closed` carries the reason
 * (`"EADDRINUSE"`), which is thrown as an uncaught exception if there is no listener.
 *
 * @example
 * const server = init({ port: 0 })
 * await server.waitUntilReady()
 * const client = connect({ address: `http://localhost:${server.address()?.port}` })
 */
export declare function init(options?: ServerOptions & ForeignInit): ConatServer

/** Where a broker listens. As a text it is the URL to connect to: `http://127.0.0.1:3000`, `unix:/path`. */
export interface ServerAddress extends String {
  readonly address: string
  readonly family: string
  readonly port: number
}

/** A broker in this process. With a port it keeps the process alive until it is closed. */
export declare class ConatServer extends EventEmitter<ServerEvents> {
  /** As `init`. */
  constructor(options?: ServerOptions & ForeignInit)
  readonly id: string
  readonly clusterName: string | undefined
  /** Without the password. */
  readonly options: Readonly<ServerOptions>
  readonly state: 'starting' | 'ready' | 'closed'
  /** Every connection by its id. This and the next three are empty once the server is closed. */
  readonly sockets: Record<string, ConnectionView>
  /**
   * What each connection published (`recv`) and received (`send`), and its number of subscriptions, by its
   * id.
   */
  readonly stats: Record<string, ConnectionStats>
  /** The number of connections, in total and by user, as JSON. */
  getUsage(): Usage
  /** Which patterns are subscribed. */
  readonly interest: {
    /** Every pattern with the number of its subscriptions. */
    serialize(): { patterns: Record<string, number> }
    /** Returns the patterns that `subject` matches. */
    matches(subject: string): string[]
    /** Returns whether there is a subscriber for `subject`, other than to `>`. */
    hasMatch(subject: string): boolean
  }
  /** Totals since the server started; `undefined` once it is closed. */
  readonly totals:
    | {
        connections: number
        subscriptions: number
        patterns: number
        waits: number
        /** What waits to be sent to clients. */
        outbox: Traffic
        published: Traffic
        delivered: Traffic
        publishesRefused: number
        connectionsRefused: number
        slowConsumers: number
      }
    | undefined
  /**
   * Returns where it listens; `null` before `ready` and without a port. With `socketPath`: the path, family
   * `'Unix'`, port 0. With `httpServer`: where that listens. As a text it is the URL to connect to.
   */
  address(): ServerAddress | null
  /**
   * Replaces the certificate for later handshakes; open connections stay open. Without `ca` the current
   * authorities stay.
   * @throws {FabricError} `"ERR_INVALID_ARG_VALUE"` it cannot be used, and nothing has changed ·
   *   `"ERR_CLOSED"`
   */
  setSecureContext(options: { key: Pem; cert: Pem; ca?: Pem | readonly Pem[]; passphrase?: string }): void
  /** Returns a new client of this broker that needs no network; with `address`, one that connects there. */
  client(options?: ConnectOptions & ForeignConnect): Client
  /** A view on the connections, in the form of a Socket.IO server. */
  readonly io: {
    readonly engine: { readonly clientsCount: number }
    readonly sockets: { readonly sockets: ReadonlyMap<string, ConnectionView> }
    of(namespace: string): { readonly sockets: ReadonlyMap<string, ConnectionView> }
    disconnectSockets(): void
    close(done?: () => void): Promise<void>
  }
  /** The patterns of each connection, by its id. */
  readonly subscriptions: Record<string, Set<string>>
  /** Resolves with whether it is ready and its engine responds. */
  isHealthy(): Promise<boolean>
  /**
   * Resolves with `true` when somebody listens on `subject`, or with `false` at the timeout. `timeout` in ms,
   * default 30_000, at most 90_000.
   *
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  waitForInterest(subject: string, timeout?: number, options?: { signal?: AbortSignal }): Promise<boolean>
  /** Disconnects these connections; their clients may sign in again. Returns how many there were. */
  disconnect(ids: string | readonly string[]): number
  /**
   * Forgets every decision of `isAllowed` about these connections (default all), and asks again about each of
   * their subscriptions and pending waits: those that are denied end, and their client emits `permission`.
   * Call it when permissions change. Returns the number of connections.
   */
  revalidate(ids?: string | readonly string[]): number
  /** Waits until it listens. `timeout` in ms. @throws {FabricError} `408` · `"EADDRINUSE"` … why it cannot */
  waitUntilReady(timeout?: number): Promise<void>
  /**
   * Accepts no more connections, and disconnects all clients, spread over `spread`. They reconnect, to
   * another server if one shares the address, and their sockets resume there. Then closes, at `deadline` at
   * the latest. `/healthz` answers 503 meanwhile.
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean
  /**
   * Disconnects all clients, and resolves when the port is free. Never rejects. An `httpServer` stays open.
   */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  /** Keeps the process alive while it is open, again. */
  ref(): this
  /** Lets the process end while the broker is open. */
  unref(): this
}

/**
 * Returns whether `subject` may be subscribed to: tokens joined by `.`, `*` as a token, `>` as the last one.
 */
export declare function isValidSubject(subject: string): boolean

/** Options of `privateEnds`. */
export interface PrivateEndsOptions {
  /**
   * Returns the name of a user: one token without `~`, `*`, `>`. A user without a name, or with any other text, has no
   * inbox and no sockets. @default `user.name`
   */
  name?: (user: Agreed) => string | undefined
  /** Patterns of the subjects that a user may listen on for sockets. @default none */
  serve?: readonly string[] | ((user: Agreed) => readonly string[])
  /** Patterns of the subjects that a user may connect sockets to. @default ['>'] */
  connect?: readonly string[] | ((user: Agreed) => readonly string[])
  /**
   * Decides about everything that belongs to no inbox and no socket. Never asked about a pattern that such a
   * subject could match, such as `a.>`: that is denied. @default denies
   */
  other?: (question: { type: 'pub' | 'sub'; user: Agreed; subject: string }) => boolean | Promise<boolean>
}

/**
 * Returns an `isAllowed` under which inboxes are private and sockets belong to their ends: nobody can read
 * what is for another, or write under another's id.
 *
 * A client of the user `ann` needs the `inboxPrefix` `_INBOX_ann`. Its sockets then have ids that begin with
 * `ann~`, by which the server knows whose they are. System users may do everything.
 *
 * @throws {FabricError} `"ERR_INVALID_ARG_TYPE"`
 * @example
 * const server = init({
 *   getUser: visitor => ({ name: nameOf(visitor) }),
 *   isAllowed: privateEnds({
 *     serve: user => (user.name === 'backend' ? ['chat'] : []),
 *     other: ({ user, subject }) => subject.startsWith(`user.${user.name}.`),
 *   }),
 * })
 * const ann = connect({ inboxPrefix: '_INBOX_ann' })
 * const socket = ann.socket.connect('chat')
 */
export declare function privateEnds(
  options?: PrivateEndsOptions,
): (question: { type: 'pub' | 'sub'; user: Agreed; subject: string }) => boolean | Promise<boolean>

/** Returns whether `subject` may be published to: no wildcards. */
export declare function isValidSubjectWithoutWildcards(subject: string): boolean

/** Returns whether a message to `subject` reaches a subscription to `pattern`. */
export declare function matchesPattern(options: { pattern: string; subject: string }): boolean
export declare function matchesPattern(pattern: string, subject: string): boolean

/** Returns whether one token of a pattern matches one token of a subject. */
export declare function matchesSegment(pattern: string, token: string): boolean

/** Returns an id that nobody can guess: one token of a subject. */
export declare function randomId(): string

/** The longest wait for interest, in ms: 90_000. */
export declare const MAX_INTEREST_TIMEOUT: number
/** What a request waits that names no `timeout`, in ms: 30_000. */
export declare const DEFAULT_REQUEST_TIMEOUT: number
/** What a publish waits that names no `timeout`, in ms: 30_000. */
export declare const DEFAULT_PUBLISH_TIMEOUT: number
/** What a subscription waits that names no `timeout`, in ms: 60_000. */
export declare const DEFAULT_SUBSCRIPTION_TIMEOUT: number

/**
 * A map from patterns to values that finds those that a subject matches. A look-up costs what matches, not
 * what is stored.
 *
 * @example
 * const handlers = new Patterns<string>().set('sensors.*', 'one').set('sensors.>', 'all')
 * handlers.matches('sensors.roof')
 */
export declare class Patterns<T = unknown> implements Iterable<[pattern: string, value: T]> {
  constructor()
  /** The number of patterns. */
  readonly size: number
  /** A copy: patterns to values. */
  readonly patterns: Record<string, T>
  /**
   * Adds a pattern, or replaces its value. @throws {FabricError} `"ERR_INVALID_SUBJECT"` it is not a pattern
   */
  set(pattern: string, value: T): this
  /** Returns the value of exactly this pattern. */
  get(pattern: string): T | undefined
  /** Returns whether it contains exactly this pattern. */
  hasPattern(pattern: string): boolean
  /** Removes a pattern. Returns whether it was there. */
  delete(pattern: string): boolean
  /** Removes all patterns. */
  clear(): void
  /** Returns the patterns that match a literal subject, in no particular order. */
  matches(subject: string): string[]
  /** Returns whether any pattern matches. */
  hasMatch(subject: string): boolean
  /** Returns the content as plain data. */
  serialize(): { patterns: Record<string, T> }
  /** Replaces the content. @throws {FabricError} `"ERR_INVALID_SUBJECT"`; then nothing has changed */
  deserialize(state: { patterns: Record<string, T> }): void
  [Symbol.iterator](): IterableIterator<[pattern: string, value: T]>
}

/** What names a service: its subject, or what a subject below `services.` is made of. */
export interface ServiceName {
  /** One token. Without `subject`, `account_id` and `project_id` the subject is `services.hub.<service>`. */
  service?: string
  /** The subject itself; the other fields then only describe. */
  subject?: string
  /** Without `subject`: makes it `services.account-<account_id>.<browser_id or _>.<service>`. */
  account_id?: string
  browser_id?: string
  /** Makes it `services.project-<project_id>.<compute_server_id or _>.<service>.<base64url of path, or _>`. */
  project_id?: string
  compute_server_id?: number | string
  path?: string
  /** For people. */
  description?: string
  /** @default the client of `setConatClient`, else the default client */
  client?: Client
}

/** Where services find their client: one, or an object with a function that makes it. */
export type ConatClientSource = Client | { conat: () => Client | Promise<Client> }

/** Sets the client of all services and calls that name none; `undefined`: the default client again. */
export declare function setConatClient(source: ConatClientSource | undefined): void

/** A service of one function. */
export interface ServiceSetup extends ServiceName {
  /** Returns, or resolves with, the answer to what was asked. What it throws, the caller gets, with text and code. */
  handler: (mesg: Agreed, message: Message) => unknown
  /** Services with the same queue share the calls. @default '0' */
  queue?: string
  /** Gets every call, also those that other services get. @default false */
  all?: boolean
}

/** How a service is called. */
export interface ServiceCall extends ServiceName {
  /** What is asked. */
  mesg: unknown
  /** Milliseconds for the answer, the waiting for a service included. @default 30_000 */
  timeout?: number
  signal?: AbortSignal
  /** Fails with `503` at once if there is no service now. @default false */
  noRetry?: boolean
}

/** The events of a service and what listeners get. */
export interface ConatServiceEvents {
  /** Calls can arrive. */
  running: []
  /** With the reason if it could not run. */
  closed: [reason: FabricError | undefined]
}

/** A running service. Made by `createConatService` and `createServiceHandler`. */
export declare class ConatService extends EventEmitter<ConatServiceEvents> {
  private constructor()
  readonly subject: string
  readonly name: string
  readonly state: 'starting' | 'running' | 'closed'
  /** Settles when calls can arrive. @throws {FabricError} as `Client.subscribe` */
  readonly running: Promise<void>
  close(): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Serves one function. Returns at once; `running` is emitted when calls can arrive.
 *
 * @throws {FabricError} `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_SUBJECT"`
 * @example
 * createConatService({ service: 'echo', handler: mesg => mesg })
 * await callConatService({ service: 'echo', mesg: 'hi' })
 */
export declare function createConatService(options: ServiceSetup): ConatService

/**
 * Calls a service made by `createConatService`, and waits for one that starts later.
 *
 * @throws {FabricError} `408` no answer in time (`timeout`) · `503` with `noRetry`: there is none now · what the
 *   service threw (its code, or else `"ERR_SERVICE"`)
 */
export declare function callConatService(call: ServiceCall): Promise<Agreed>

/** A service of several methods. */
export interface HandlerSetup<T extends object> extends Omit<ServiceSetup, 'handler'> {
  /** Its methods. `this` inside a method is the message. */
  impl: T
}

/** How a service of several methods is called. */
export interface ServiceTarget extends Omit<ServiceCall, 'mesg'> {}

/** Serves the methods of an object. Resolves when calls can arrive. @throws {FabricError} as `Client.service` */
export declare function createServiceHandler<T extends object>(
  options: HandlerSetup<T>,
): Promise<ConatService>

/**
 * The service as an object: every method calls it, and waits for one that starts later. `conat.waitFor` waits until
 * it is there, at most `maxWait` ms (default 30_000); `conat.ping` resolves with whether it is there now.
 *
 * @throws {FabricError} `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_SUBJECT"`
 *
 * @example
 * const math = createServiceClient<{ add(a: number, b: number): number }>({ service: 'math' })
 * await math.add(1, 2)
 */
export declare function createServiceClient<T = Agreed>(
  options: ServiceTarget,
): Remote<T> & {
  conat: { waitFor(options?: { maxWait?: number }): Promise<void>; ping(): Promise<boolean> }
}

/** The time service. */
export interface TimeApi {
  /** Milliseconds since 1970. */
  time(): number
}

/** Serves this process's time. @throws {FabricError} as `Client.subscribe` */
export declare function createTimeService(options?: { client?: Client }): Promise<ConatService>

/** The time service, as an object. `timeout` in ms, default 30_000. */
export declare function timeClient(options?: { client?: Client; timeout?: number }): Remote<TimeApi>

/**
 * Resolves with how many ms this process's clock is ahead of the time service's. `timeout` in ms, default 30_000.
 *
 * @throws {FabricError} as `callConatService`
 */
export declare function getSkew(options?: { client?: Client; timeout?: number }): Promise<number>

/**
 * Returns the time of the time service in ms since 1970: this process's clock, corrected by the latest `getSkew`. That
 * is measured in the background once an hour, and 10 s after it failed, unless `noLoad` is set; until it is known, nothing
 * is corrected.
 */
export declare function time(options?: { noLoad?: boolean }): number

/** What a server tells system accounts about itself and its fabric. */
export interface SysApi {
  /** Counters of each connection: by id of the server, then of the connection. */
  stats(): Record<string, Record<string, ConnectionStats>>
  /** The number of connections, in total and by user: by id of the server. */
  usage(): Record<string, Usage>
  /** Disconnects the connections with these ids. */
  disconnect(ids: string | string[]): void
  /** Which servers are connected: by cluster, then by id of the server, its address. Only with `id`. */
  clusterTopology(): Record<string, Record<string, string | null>>
  /** The addresses of the servers. Only with `id`. */
  clusterAddresses(): string[]
}

/**
 * The system service of one server, as an object; the client must have signed in as the system account.
 *
 * @param options.id Which server; without it, the one that answers first. @param options.clusterName @default
 *   the one that the client's server belongs to
 * @example
 * const usage = await sysApi(client).usage()
 */
export declare function sysApi(
  client: Client,
  options?: { id?: string; clusterName?: string } & RequestOptions,
): Remote<SysApi>

/** The system service of all servers, as `Client.callMany`. */
export declare function sysApiMany(
  client: Client,
  options?: { clusterName?: string } & RequestManyOptions,
): RemoteMany<SysApi>

/** Sets the timeouts, in ms, of all later calls that name none. */
export declare function setDefaultTimeouts(timeouts: { request?: number; publish?: number }): void

/** Sets the timeouts, in ms, of all sockets that are created later. */
export declare function setDefaultSocketTimeouts(timeouts: {
  command?: number
  keepAlive?: number
  keepAliveTimeout?: number
}): void

/** The header with a socket's command, on the wire. */
export declare const SOCKET_HEADER_CMD: 'CN-SocketCmd'

/** The header with a socket's sequence number, on the wire. */
export declare const SOCKET_HEADER_SEQ: 'CN-SocketSeq'
