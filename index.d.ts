/**
 * selvedge: reliable, ordered sockets over a pub/sub fabric; a drop-in replacement for the socket module of Conat.
 *
 * All durations are milliseconds, all sizes bytes. No object here emits `error`: `closed` carries the reason,
 * once, and is the last event. Nothing is emitted inside the call that caused it. Options with unknown names
 * are refused (`"ERR_UNKNOWN_OPTION"`), as are values of a wrong type (`"ERR_INVALID_ARG_TYPE"`) or range
 * (`"ERR_OUT_OF_RANGE"`); an async method rejects with these, a sync one throws.
 */

import type { EventEmitter } from 'node:events'
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'

/**
 * A value whose type sender and receiver agree on, unknown here: payloads, users. `any`, because programs
 * written for Conat read such values without a cast; name the type where it is known: `Message<Order>`.
 */
// biome-ignore lint/suspicious/noExplicitAny: as said
type Agreed = any

/** What a program emits beside the events here: `declare module 'selvedge' { interface OwnEvents { saved: [id: string] } }`. */
// biome-ignore lint/suspicious/noEmptyInterface: programs fill it
export interface OwnEvents {}

type OwnName = keyof OwnEvents | 'newListener' | 'removeListener'
type ListenerOf<Events, Name> = Name extends keyof Events
  ? (...args: Extract<Events[Name], unknown[]>) => void
  : Name extends keyof OwnEvents
    ? (...args: Extract<OwnEvents[Name], unknown[]>) => void
    : (name: string | symbol, listener: (...args: Agreed[]) => void) => void

/** Node's `EventEmitter` with these events alone: to listen for one that is never emitted does not compile. */
declare abstract class Emitter<Events> extends EventEmitter {
  on<Name extends (keyof Events & string) | OwnName>(name: Name, listener: ListenerOf<Events, Name>): this
  once<Name extends (keyof Events & string) | OwnName>(name: Name, listener: ListenerOf<Events, Name>): this
  off<Name extends (keyof Events & string) | OwnName>(name: Name, listener: ListenerOf<Events, Name>): this
  addListener<Name extends (keyof Events & string) | OwnName>(
    name: Name,
    listener: ListenerOf<Events, Name>,
  ): this
  removeListener<Name extends (keyof Events & string) | OwnName>(
    name: Name,
    listener: ListenerOf<Events, Name>,
  ): this
  prependListener<Name extends (keyof Events & string) | OwnName>(
    name: Name,
    listener: ListenerOf<Events, Name>,
  ): this
  prependOnceListener<Name extends (keyof Events & string) | OwnName>(
    name: Name,
    listener: ListenerOf<Events, Name>,
  ): this
  emit<Name extends (keyof Events & string) | OwnName>(
    name: Name,
    ...args: Parameters<ListenerOf<Events, Name>>
  ): boolean
}

/** What all objects with events here are: Node's `EventEmitter`, with types for the events. */
export type { Emitter }

/** Ends with nothing: what `AsyncIterableIterator<T, undefined>` is from TypeScript 5.6 on. */
export interface AsyncValues<T> extends AsyncIterableIterator<T> {
  /** Waits for the next value; `done` after the last one. */
  next(): Promise<IteratorResult<T, undefined>>
  /** Ends it before the last value, as leaving a `for await` does. */
  return?(): Promise<IteratorResult<T, undefined>>
  /** Returns itself. */
  [Symbol.asyncIterator](): AsyncValues<T>
}

/**
 * Headers of a message: any JSON object. Keys that start with `CN-` are reserved: sockets and replies leave them out,
 * as does a message that is sent in place of a value.
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
  | 'EDESTADDRREQ'
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
  | 'ERR_INVALID_IP_ADDRESS'
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
  | 'ERR_PROXY_AUTH'
  | 'ERR_PROXY_TUNNEL'
  | 'ERR_QUEUE_GROUP'
  | 'ERR_REFUSED'
  | 'ERR_ROOM_LIMIT'
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
  | 'ERR_SOCKET_ABORTED'
  | 'ERR_SOCKET_ALREADY_BOUND'
  | 'ERR_SOCKET_BAD_BUFFER_SIZE'
  | 'ERR_SOCKET_BAD_TYPE'
  | 'ERR_SOCKET_BUFFER_SIZE'
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
  constructor(message: string, code: number | string, options?: { cause?: unknown; data?: unknown })
  /** The form that programs written for Conat use. */
  constructor(message: string, options: { code: number | string; cause?: unknown; data?: unknown })
  readonly code: ErrorCode | (number & {}) | (string & {})
  /**
   * On the reason of a closed socket, and on `"ERR_UNDELIVERED"`: how many messages were written and are not
   * known to have been handled.
   */
  readonly undelivered?: number
  /**
   * On `"ERR_SOCKET_CLOSED_BY_PEER"`: how many of the messages that the other side had written did not come. Absent:
   * everything came.
   */
  readonly missing?: number
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
   * On the reason of a socket that the other side closed: not only this socket was closed, its server is leaving.
   */
  readonly draining?: true
  /**
   * On the failure of a request over a socket: no handler of the other side has had it, so that it can be asked
   * again without harm. Absent: one may have.
   */
  readonly handled?: false
  /** On the failure of a request over a socket that was answered with an error: its `data`. */
  readonly data?: unknown
}

/** The same class under Conat's name. */
export { FabricError as ConatError }

/**
 * Returns whether `error` is one of selvedge's with one of these codes, an application's own among them; also an error of
 * another copy of the package. A text that begins with `ERR_` must be one of selvedge's, unless its type is `string`.
 *
 * @example
 * if (hasCode(error, 503, 'EPIPE')) retry()
 */
export declare function hasCode<const Codes extends readonly (ErrorCode | (number & {}) | (string & {}))[]>(
  error: unknown,
  ...codes: Codes & { [At in keyof Codes]: Codes[At] extends `ERR_${string}` ? ErrorCode : unknown }
): error is FabricError & { readonly code: Codes[number] }

/** How a value is sent. */
export interface MessageOptions {
  /** @default DataEncoding.MsgPack */
  encoding?: DataEncoding | undefined
  /** Sends these bytes as they are instead of the value; set `encoding` to match. */
  raw?: Uint8Array | undefined
  /** Sent beside the payload: at most 896 KiB of JSON, 62 levels deep, else `"ERR_ENCODE"`. @default none */
  headers?: Headers | null | undefined
}

/** Options of a message that may expire. */
export interface DataOptions extends MessageOptions {
  /**
   * Milliseconds after which it is dropped and counted in `stats.expired`, never delivered late. The time
   * runs while it waits to be sent and while it waits to be read; time in transit, or in a broker for a slow
   * reader, does not count. @default none
   */
  ttl?: number | undefined
}

/** How long something is waited for. */
export interface WaitOptions {
  /**
   * Milliseconds from the call, connecting included; then `408`, which says what did not come, and whose
   * `cause` says why, if that is known: the broker cannot be reached, the other side is away, the sign-in was
   * refused. @default none
   */
  timeout?: number | undefined
  /**
   * Stops the waiting: `"ABORT_ERR"`, whose `cause` is the signal's reason, and whose text says what was
   * waited for. What was sent stays sent. If it is aborted before the call, nothing is started.
   */
  signal?: AbortSignal | undefined
}

/** How a message is published and confirmed. */
export interface PublishOptions extends RequestOptions, DataOptions {}

/** How a request is sent, and how long its reply is waited for. */
export interface RequestOptions extends MessageOptions {
  /**
   * Milliseconds to wait, from the moment it is sent; waiting for a connection is separate
   * (`offlineTimeout`). @default 30_000
   */
  timeout?: number | undefined
  /** If nobody listens, waits until somebody does, at most `timeout`, and sends once more. @default false */
  waitForInterest?: boolean | undefined
  /**
   * Does not throw what the fabric refuses, nor an abort: `publish` resolves with a count of 0, `request`
   * with `undefined`, and the iterator of `requestMany` ends. Wrong arguments and a closed client still
   * throw. @default false
   */
  noThrow?: boolean | undefined
  /**
   * Stops the waiting, also for a connection, but not what is already on its way. The call rejects with
   * `"ABORT_ERR"`; `cause` is the signal's reason.
   */
  signal?: AbortSignal | undefined
}

/** The same with headers that may be any JSON, as a reply can have. */
export type WithAnyHeaders<T> = Omit<T, 'headers'> & { headers?: unknown }

/** How several replies are waited for. */
export interface RequestManyOptions extends RequestOptions {
  /** Ends after this many replies. @default no limit */
  maxMessages?: number | undefined
  /**
   * Ends after this many milliseconds without another reply, after the first one. Each reply begins it again, also
   * when `timeout` is over, which is for the first reply then; a `signal` bounds them all. @default until `timeout`
   */
  maxWait?: number | undefined
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
  constructor(options: {
    encoding?: DataEncoding | undefined
    raw: Uint8Array
    headers?: Headers | null | undefined
    ttl?: number | undefined
  })
  readonly encoding: DataEncoding
  /** The encoded payload. Yours to keep. */
  get raw(): Buffer
  get headers(): Headers | null | undefined
  /** Length of `raw`, in bytes. */
  get length(): number
  /** Milliseconds after which nobody wants it any more, if that was said here. */
  get ttl(): number | undefined
  /** The decoded payload; decoded on first access. @throws {FabricError} `"ERR_DECODE"` it is damaged */
  get data(): T
  /** As it travels inside a value: `new MessageData(it)` makes the message again. */
  toJSON(): { encoding: DataEncoding; raw: Buffer; headers?: Headers | null }
}

/** A message that was received. A request has its reply subject in the header `CN-Reply`. */
export declare class Message<T = Agreed, Answer = unknown> extends MessageData<T> {
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
   * Replies, and resolves when the reply is confirmed. With an `Error` the request rejects: with its text, its `code`, else
   * `"ERR_SERVICE"`, and its `data`. `requestMany` and clients of Conat get it as a message without data,
   * with `error` and `code` in its headers. Waits until the requester can receive it, unless
   * `waitForInterest` is `false`. Over a socket the reply is part of the socket's stream: resolves at once,
   * with a `count` of 1, or 0 when nobody waits for it any more.
   *
   * @throws {FabricError} `"ERR_NOT_A_REQUEST"` it is not a request · `408` the requester is gone · and as
   *   `Client.publish`
   */
  respond(
    data?: Answer | MessageData<Answer> | Error,
    options?: WithAnyHeaders<RequestOptions>,
  ): Promise<Published>
  /**
   * Replies without waiting for a confirmation. @throws {FabricError} `"ERR_NOT_A_REQUEST"` · `"ERR_ENCODE"`
   * · `"ERR_CLOSED"` · `"ENOBUFS"`
   */
  respondSync(
    data?: Answer | MessageData<Answer> | Error,
    options?: WithAnyHeaders<MessageOptions>,
  ): { bytes: number }
  /**
   * Says that no more replies follow to a `requestMany` over a socket: its loop ends. Nothing happens where the
   * requester takes one reply only, or the other side is a socket of Conat.
   */
  end(): void
}

/**
 * Encodes a value once, to send it many times: publish, respond and write accept the result in place of a
 * value. Inside a value it travels as `{ encoding, raw, headers }`.
 *
 * @throws {FabricError} `"ERR_ENCODE"` it has a BigInt or a function in it, or what would arrive as `{}`: a
 *   `Map`, a Promise, an `ArrayBuffer` (docs/guide/messaging.md has the table)
 */
export declare function messageData<T>(data: T, options?: DataOptions): MessageData<T>

/** Encodes a value as it would be sent. @throws {FabricError} `"ERR_ENCODE"` */
export declare function encode(options: { encoding?: DataEncoding | undefined; mesg: unknown }): Buffer

/** Decodes a value; no bytes at all are `undefined`. @throws {FabricError} `"ERR_DECODE"` */
export declare function decode(options: { encoding?: DataEncoding | undefined; data: Uint8Array }): Agreed

/** How a client connects. */
export interface ConnectOptions {
  /**
   * `http://host:port/base` of a server, `https://` for TLS; `ws://` and `wss://` use a WebSocket from the
   * start, for proxies that pass nothing else; `unix:/path` is a Unix domain socket. `nats://host:port,host:port`
   * is a cluster of NATS, `tls://` one with TLS only; a user and a password may stand before a host and `@`. What a
   * broker's `address()` returns is an address, too. Not empty. @default the environment variable `CONAT_SERVER`, else the
   * address of the default client, else the fabric inside this process
   */
  address?: string | ServerAddress | undefined
  /**
   * For `https` and `wss`: the certificate authorities to trust, in PEM. @default those that Node.js trusts
   */
  ca?: Pem | readonly Pem[] | undefined
  /** The client's certificate, for servers that ask for one: PEM, followed by its chain. */
  cert?: Pem | undefined
  /** The key to `cert`, in PEM. */
  key?: Pem | undefined
  /** Decrypts `key`. */
  passphrase?: string | undefined
  /** `false` accepts any certificate: encrypted, but anybody may be at the other end. @default true */
  rejectUnauthorized?: boolean | undefined
  /** The name that the certificate must be for. @default the host of `address` */
  servername?: string | undefined
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
  /**
   * `true` makes a new client; else calls with equal options share one, which closes when all have closed it.
   * @default false
   */
  noCache?: boolean | undefined
  /** Path of the server below the address. @default "/conat" */
  path?: string | undefined
  /** First token of the subject where replies arrive. Must start with `_INBOX`. @default "_INBOX" */
  inboxPrefix?: string | undefined
  /** HTTP headers of the connection's request, such as a cookie. */
  extraHeaders?: Record<string, string> | undefined
  /**
   * Signs in as the system account of a server that has this password. Sent as the cookie `sys`; never shown.
   */
  systemAccountPassword?: string | undefined
  /**
   * When spans are made with `@opentelemetry/api`, if the program has registered an SDK before it makes the client:
   * `'active'` where a span is active or a message brings a trace context, `'all'` for everything, `false` for nothing.
   * An object says more. A client whose `destination` is set is not shared with other calls.
   * @default 'active'
   */
  tracing?: 'active' | 'all' | false | TracingOptions | undefined
  /** Connects at once, without `connect()`. @default true */
  autoConnect?: boolean | undefined
  /**
   * Reconnects, for ever, when the connection is lost. `false`: whatever waits for a connection, and whatever
   * is asked from then on, rejects with the reason of `connectFailed` or `disconnected`, until `connect()`. Loops over
   * subscriptions throw it; the subscriptions themselves are there again with `connect()`, for the next loop, until they
   * are closed. Sockets and socket servers close: `"ERR_SOCKET_LOST"`, whose `cause` is that reason.
   * @default true
   */
  reconnection?: boolean | undefined
  /**
   * How long a publish, a request or a wait for interest waits for a connection, in ms; 0: for ever. Its own
   * `timeout` is for the answer, and begins when it leaves; that of anything else that waits begins with the call.
   * @default 60_000
   */
  offlineTimeout?: number | undefined
  /**
   * Bytes of one message, payload and headers, that it sends; the broker's own bound counts as well. More is
   * `"ERR_TOO_LARGE"`, and nothing is sent. @default 256 MiB
   */
  maxMessageBytes?: number | undefined
  /**
   * Unit of the pauses before reconnecting, in ms. The first one is at most two fifths of it, the next twice, the
   * others four times while the outage is younger than 10 s; then they double. Starts over after a connection
   * that lasted 5 s. @default 500
   */
  reconnectionDelay?: number | undefined
  /** Longest pause, in ms. @default 15_000 */
  reconnectionDelayMax?: number | undefined
  /**
   * The random share of a pause, 0 to 1. 1 is full jitter: thousands of clients do not reconnect in step.
   * @default 1
   */
  randomizationFactor?: number | undefined
  /**
   * The protocol to use: `'conat'`, Conat's, inside a WebSocket; `'selvedge'`, selvedge's own, on the bare
   * connection or, where that is refused, inside a WebSocket; servers that do not speak it are refused. No
   * effect inside this process.
   * @default selvedge's if the server speaks it, else Conat's
   */
  wire?: 'conat' | 'selvedge' | undefined
  /**
   * `http://user:password@host:port`: connects through this HTTP proxy, with CONNECT; `https://` uses TLS to
   * the proxy itself, to which `ca` and `rejectUnauthorized` apply as well. `false`: never through one. The
   * password is never shown. Failures are `"ERR_PROXY_TUNNEL"` and `"ERR_PROXY_AUTH"`.
   * @default the environment's: `HTTPS_PROXY` for `https`, `wss` and `tls`, else `HTTP_PROXY`, except for
   * loopback and what `NO_PROXY` lists
   */
  proxy?: string | false | undefined
  /**
   * Returns where a subject belongs: to another client, or to an address, for which this client opens one with its
   * own other options, and closes it with itself; `undefined`: here. Called by every method that takes a subject, so
   * it must be quick. A client with this option is never shared.
   */
  routeSubject?: ((subject: string) => SubjectRoute | undefined) | undefined
  /**
   * Who signs in, with `password`: as `Authorization: Basic`, or to NATS. Takes precedence over a name in `address`,
   * as do the options below. The ids of this client's sockets begin with `<user>~`, unless `inboxPrefix` has another name.
   */
  user?: string | undefined
  /** The password of `user`. Never shown. */
  password?: string | undefined
  /** A token instead of a user, not empty: as `Authorization: Bearer`, or to NATS. Never shown. */
  token?: string | undefined
  /** With NATS: the seed of a user's NKey, `SU…`. It signs the server's challenge, and is never sent. */
  nkey?: string | undefined
  /**
   * With NATS: a user with a JWT of their account: the text of a `.creds` file, or its path. A file is read at
   * every sign-in, so that it can be replaced while the client runs.
   */
  credentials?: string | undefined
  /** With NATS: connects only to the servers in `address`, not to others that these announce. @default false */
  ignoreDiscovered?: boolean | undefined
}

/** When a client makes spans, and what they say. */
export interface TracingOptions {
  /** As `tracing` by itself. @default 'active' */
  mode?: 'active' | 'all' | false | undefined
  /**
   * Returns what spans call a subject, instead of its pattern or itself, as `messaging.destination.template` and in
   * their names: `user.4711.mail` is `user.{id}.mail`. `undefined`: as without it. Called for each span, so it must be
   * quick; what it throws is an uncaught exception, and the message goes its way.
   */
  destination?: ((subject: string) => string | undefined) | undefined
  /** Whether spans have the bytes of the payload, `messaging.message.body.size`. @default false */
  bodySize?: boolean | undefined
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
  forceNew?: boolean | undefined
  multiplex?: boolean | undefined
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
 * one of the fabric that `connect()` reaches. The caller is not counted as one of its users.
 */
export declare function getClient(): Client

/** Counters of one direction. */
export interface Traffic {
  messages: number
  bytes: number
}

/** A metric, as Prometheus knows it. docs/reference/metrics.md lists all of them. */
export interface MetricFamily {
  /** Begins with `selvedge_`; that of a counter ends with `_total`. */
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  unit?: 'seconds' | 'bytes' | undefined
  samples: {
    /** Of a histogram: `_bucket`, `_sum` or `_count`. */
    suffix?: string | undefined
    labels: Record<string, string>
    value: number
  }[]
}

/** How metrics are served over HTTP. */
export interface MetricsOptions {
  /**
   * Requests must carry it as `Authorization: Bearer`: 16 to 1024 visible characters. Without one only
   * requests from this machine are answered, to a loopback name, and not through a proxy.
   */
  token?: string | undefined
  /** A port for `GET /metrics` and `/healthz` alone; 0 is any. @default the broker's own port */
  port?: number | null | undefined
  /** Where that port listens. @default '127.0.0.1' */
  host?: string | undefined
}

/** How the monitor of a broker is served to browsers. */
export interface MonitorOptions {
  /**
   * Needed to see the monitor: 8 to 256 bytes. Without one only this machine is answered, to a loopback name,
   * and not through a proxy. Never printed.
   */
  password?: string | undefined
  /** Milliseconds that its charts reach back, at most a day. @default 600_000 */
  history?: number | undefined
  /**
   * Lets users of the monitor disconnect and revalidate connections, and drain the broker. Needs `password`.
   * Each action is listed as an event, with the address that it came from. @default false
   */
  actions?: boolean | undefined
}

/**
 * What all clients and brokers of this process have counted together, those that are closed included.
 */
export declare function processMetrics(): MetricFamily[]

/**
 * Returns metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0. The names are our own, so the text
 * can follow that of `prom-client`.
 */
export declare function formatMetrics(
  families: readonly MetricFamily[],
  options?: { openMetrics?: boolean | undefined },
): string

/** Options of a graceful stop. */
export interface DrainOptions {
  /**
   * Milliseconds after which whatever is left is closed. Of several calls the one whose time is over first counts, for
   * all of them. @default 10_000
   */
  deadline?: number | undefined
  /**
   * Milliseconds over which connections or sockets are released, so that they do not all reach the next
   * server at once. @default 1000
   */
  spread?: number | undefined
  /** Stops the waiting of this call, with `"ABORT_ERR"`; the drain goes on. Aborted before: nothing is drained. */
  signal?: AbortSignal | undefined
}

/** The events of a client and what listeners get. */
export interface ClientEvents {
  connected: []
  /**
   * The connection is gone; with `reconnection` another one follows. The reason, if known:
   * `"ERR_SLOW_CONSUMER"` this client read too slowly, and the server dropped what waited for it, which its
   * subscriptions have lost · `"ERR_DRAINING"` the server drains · `403` and others of docs/reference/errors.md: the client may not subscribe to
   * its inbox, so it cannot become ready; whatever waited for a connection was rejected with the same reason.
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
export declare class Client extends Emitter<ClientEvents> {
  constructor(options?: ConnectOptions & ForeignConnect)
  readonly id: string
  readonly state: 'disconnected' | 'connected' | 'closed'
  /**
   * As given, without `systemAccountPassword`; `extraHeaders` is there, but `console.log` does not show it.
   */
  readonly options: Readonly<ConnectOptions>
  /**
   * What carries the connection: the fabric protocol by itself (`'selvedge'`) or inside a WebSocket, Conat's protocol, NATS, or
   * nothing, in the broker's own process; `undefined` while there is none.
   */
  readonly wire: 'selvedge' | 'websocket' | 'conat' | 'nats' | 'inprocess' | undefined
  /** What the server sent at the last sign-in. */
  readonly info: Record<string, unknown> | undefined
  /** What this client and its sockets have sent and received. */
  readonly stats: ClientStats
  /** What this client and its sockets have counted, as metrics. Counters stay when it is closed. */
  metrics(): MetricFamily[]
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
    /** With what travels on its sockets, named once for both ends. */
    listen<C extends Contract<C>>(
      subject: string,
      options?: SocketListenOptions,
    ): ConatSocketServer<ToServer<C>, ToClient<C>, AskClient<C>, AskServer<C>>
    /** With what is read here, and what is written here. */
    listen<In, Out>(subject: string, options?: SocketListenOptions): ConatSocketServer<In, Out>
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
    /** With what travels on it, named once for both ends. */
    connect<C extends Contract<C>>(
      subject: string,
      options?: SocketConnectOptions,
    ): ConatSocketClient<ToClient<C>, ToServer<C>, AskServer<C>, AskClient<C>>
    /** With what is read here, and what is written here. */
    connect<In, Out>(subject: string, options?: SocketConnectOptions): ConatSocketClient<In, Out>
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
   * Stops gracefully, then closes, also for others who share the client:
   *
   * - drains its socket servers, and ends its sockets when requests over them are answered (after half of the
   *   time in any case),
   * - drains its subscriptions: what the broker has given them is read, and the request that a loop is working
   *   on is answered; other members of their queue groups get everything else,
   * - waits for running methods of its services, and for pending replies and confirmations.
   *
   * Does not wait for handlers of a `message` event, for a `requestMany`, nor for what is started meanwhile.
   * Resolves when all is done, or at `deadline`: what was published and has found no broker by then is given up, as
   * `close` does.
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
  waitUntilConnected(options?: WaitOptions): Promise<void>
  /**
   * Waits until the server has accepted the client's sign-in. `timeout` in ms, default none.
   *
   * @throws {FabricError} `"ERR_SIGN_IN"` it refused (`failed to sign in`) · `408` · `"ERR_CLOSED"`
   */
  waitUntilSignedIn(options?: WaitOptions): Promise<void>
  /**
   * Waits until replies can arrive and all subscriptions are in place. @throws {FabricError} as
   * `waitUntilSignedIn` · `403` the broker denies the client its inbox
   */
  waitUntilReady(options?: WaitOptions): Promise<void>

  /**
   * Subscribes to a pattern (`*` one token, a final `>` one or more), and resolves when messages flow.
   *
   * Subscriptions of one client to the same pattern share one at the server, and each gets every message; with a `queue`
   * every message that the queue gives to this client. The subscription keeps the process alive until it is closed.
   *
   * @throws {FabricError} `403` not permitted · `408` not confirmed within 60 s · `429` too many ·
   *   `"ERR_QUEUE_GROUP"` the pattern has another queue here · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   * @example
   * for await (const message of await client.subscribe('sensors.*')) console.log(message.subject, message.data)
   */
  subscribe<T = Agreed>(subject: string, options?: SubscriptionOptions): Promise<Subscription<T>>
  /** Alias of `subscribe`. */
  sub<T = Agreed>(subject: string, options?: SubscriptionOptions): Promise<Subscription<T>>
  /**
   * Subscribes without waiting. If the server refuses, or does not confirm within `timeout`, iterating throws what
   * `subscribe` would.
   */
  subscribeSync<T = Agreed>(subject: string, options?: SubscriptionOptions): Subscription<T>
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
  publish<T = unknown>(
    subject: string,
    data?: T | MessageData<T>,
    options?: PublishOptions,
  ): Promise<Published>
  /** Alias of `publish`. */
  pub<T = unknown>(subject: string, data?: T | MessageData<T>, options?: PublishOptions): Promise<Published>
  /**
   * Publishes without waiting for a confirmation. Dropped if the client is not connected yet; but if it is
   * closed while it connects, `close()` sends what was published before.
   *
   * @throws {FabricError} `"ENOBUFS"` over 64 MiB are queued · `"ERR_TOO_LARGE"` · `"ERR_ENCODE"` ·
   *   `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  publishSync<T = unknown>(
    subject: string,
    data?: T | MessageData<T>,
    options?: MessageOptions,
  ): { bytes: number }

  /**
   * Sends a request and resolves with the first reply.
   *
   * Rejects at once, without waiting for `timeout`, when nobody listens; and with the error that was given to `respond`.
   *
   * @throws {FabricError} `503` nobody listens · `408` no reply in time · `403` not permitted · `"EPIPE"` the
   * responder, or the broker, has ended; the request may have been carried out · `"ABORT_ERR"` · `"ENOBUFS"`
   * · `"ERR_TOO_LARGE"` ·
   *   `"ERR_ENCODE"` · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   * @example
   * const reply = await client.request('sensors.roof.read', { unit: 'C' }, { timeout: 500 })
   */
  request<A = Agreed, Q = unknown>(
    subject: string,
    data?: Q | MessageData<Q>,
    options?: RequestOptions & { noThrow?: false | undefined },
  ): Promise<Message<A>>
  /**
   * With `noThrow`: resolves with `undefined` instead of what the fabric refuses. @throws {FabricError} wrong
   * arguments, as above
   */
  request<A = Agreed, Q = unknown>(
    subject: string,
    data?: Q | MessageData<Q>,
    options?: RequestOptions,
  ): Promise<Message<A> | undefined>
  /**
   * Sends a request and iterates over the replies. Await it to learn first whether anybody listens: that rejects at once
   * if nobody does, and resolves with the first reply, or at the end if there is none. Since nobody knows how
   * many will reply, it ends without an error when `timeout` is over, even without a reply; with `maxWait` and a reply it
   * ends with that instead. Over 64 MiB of unread replies end it with `"ENOBUFS"`.
   *
   * @throws {FabricError} as `request`, when it is awaited or iterated, even later; nothing is thrown if it
   * is neither. `408` also when its time is over without a connection: there may be replies that cannot come
   * @example
   * for await (const reply of client.requestMany('sensors.*.ping', null, { maxWait: 200 })) console.log(reply.data)
   */
  requestMany<A = Agreed, Q = unknown>(
    subject: string,
    data?: Q | MessageData<Q>,
    options?: RequestManyOptions,
  ): Answers<A>

  /**
   * Serves a subject, or all subjects that match a pattern: callers of a method of `implementation`,
   * inherited ones included, get what it returns, or what it throws with text and code. `this` inside a
   * method is the message. Calls run concurrently. Resolves when calls can arrive; closing the subscription
   * ends the service.
   *
   * @param options.queue Clients whose services have the same queue share the calls: each call goes to one of them. All
   *   services of one client on the same pattern run the calls that it gets: one that is registered twice runs each twice.
   *   @default "0"
   * @throws {FabricError} as `subscribe` · `"ERR_INVALID_ARG_TYPE"` `implementation` is not an object
   * @example
   * await client.service('math', { add: (a: number, b: number) => a + b })
   */
  service(
    subject: string,
    implementation: object,
    options?: { queue?: string | undefined } & WaitOptions,
  ): Promise<Subscription>
  /** The same with the methods that its callers see: `client.call<S>` at the other end. */
  service<S extends object>(
    subject: string,
    implementation: Implementation<S>,
    options?: { queue?: string | undefined } & WaitOptions,
  ): Promise<Subscription>
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
   * Watches what is published: a subscription without `queue`, whose messages are passed to `callback`.
   *
   * @param callback @default prints time, subject and data
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  watch<T = Agreed>(subject: string, callback?: (message: Message<T>) => unknown): Subscription<T>
  /**
   * Compares the server's list of this client's subscriptions with the client's own, and repairs both.
   * Happens automatically after every reconnect. `timeout` in ms from the call; without one 30_000 from when it leaves.
   *
   * @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  syncSubscriptions(options?: WaitOptions): Promise<void>
  /**
   * Resolves with the addresses of the fabric's servers; a selvedge broker forms no cluster and returns none.
   * `timeout` as `syncSubscriptions`.
   *
   * @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  cluster(options?: WaitOptions): Promise<string[]>

  /** Resolves with whether anybody listens on `subject` now. @throws {FabricError} `403` · `"ERR_CLOSED"` */
  interest(subject: string, options?: { signal?: AbortSignal | undefined }): Promise<boolean>
  /**
   * Resolves with `true` when somebody listens. `timeout` in ms, default 30_000, at most 90_000; 0 does not
   * wait.
   *
   * @throws {FabricError} `408` nobody did in time · `403` · `"ERR_OUT_OF_RANGE"` · `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  waitForInterest(
    subject: string,
    options?: { timeout?: number | undefined; signal?: AbortSignal | undefined },
  ): Promise<boolean>
  /** As the function `messageData`. */
  message<T>(data: T, options?: MessageOptions): MessageData<T>

  /** Resolves with the patterns that the broker has for this client, when both agree. @throws as `syncSubscriptions` */
  getSubscriptions(options?: WaitOptions): Promise<string[]>
  /** Returns a new subject below the inbox prefix, for replies to a request that is made by hand. */
  temporaryInboxSubject(): string
  /** Resolves with a subscription to such a subject, the same for every caller. @throws as `subscribe` */
  getInbox(options?: WaitOptions): Promise<Subscription>
  /** Returns what the server refused less than 60 s ago, as the error that a call would throw. */
  permissionError(refused: { type: 'pub' | 'sub'; subject: string }): FabricError | undefined
  /** Measures this client and its connection. */
  readonly bench: {
    /** Resolves with how many confirmed publishes a second there were, one after the other. */
    publish(count?: number, subject?: string): Promise<number>
    /** Resolves with how many requests a second this client has answered itself, one after the other. */
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
  /** Messages whose `ttl` was over, before they were sent, or unread in a subscription: they were dropped. */
  readonly expired: number
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
    /** As `Client.connect`. */
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
  /** The same within this many ms. The function of `emit` gets an error first. */
  timeout(ms: number): {
    /** As `emit`; the function gets an error, or `null`, before the answer. */
    emit(event: string, ...args: Agreed[]): boolean
    /** @throws {FabricError} `408` */
    emitWithAck(event: string, ...args: Agreed[]): Promise<Agreed>
  }
}

/** What awaiting `requestMany` resolves with: it can be closed as a subscription can. */
export interface AnswerIterator<A = Agreed> extends AsyncValues<Message<A>> {
  /** Waits for no more replies, as leaving the loop does. */
  close(): void
  /** The same as `close`. */
  stop(): void
  /** The same as `close`. */
  end(): void
  /** Waits for no more replies, and resolves when those that have come were read: by a loop, which has to go on. */
  drain(): Promise<void>
}

/** Can be iterated, or awaited first: until the first has come, or the end. Leaving the loop stops waiting. */
export type Results<T> = Promise<AsyncValues<T>> & AsyncValues<T>

/** The replies to a `requestMany`. */
export type Answers<A = Agreed> = Promise<AnswerIterator<A>> & AnswerIterator<A>

/** The methods of a service, as its callers see them. */
export type Remote<T> = 0 extends 1 & T
  ? Agreed
  : {
      [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never
    }

/**
 * Returns the same service, whose calls have these options: `signal`, `timeout`, `headers`. They come before those
 * of `call`. A function and not a method, since every method is the service's.
 *
 * @throws {FabricError} `"ERR_INVALID_ARG_TYPE"` it was not made by `call`, `createServiceClient` or `sysApi`
 * @example
 * await withOptions(math, { signal, timeout: 500 }).add(1, 2)
 */
export declare function withOptions<R extends object>(remote: R, options: RequestOptions): R

/** The methods of a service, as they are written: with the types that its callers see. `this` is the message. */
export type Implementation<S extends object> = {
  [K in keyof S as S[K] extends (...args: never) => unknown ? K : never]: S[K] extends (
    ...args: infer A
  ) => infer R
    ? (this: Message, ...args: A) => Awaited<R> | Promise<Awaited<R>>
    : never
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
   * Clients that subscribe with the same queue share the messages: each message goes to one of them, and there to all its
   * subscriptions to the pattern. A client has one queue for each pattern: a second subscription without `queue` joins it,
   * and sees only this client's share. To see all of them, use another client. @default the queue that the
   * client has on the pattern, or else one of its own
   */
  queue?: string | undefined
  /**
   * Milliseconds for the server to confirm, from the call, at most 60_000; then `subscribe` rejects with `408`.
   * @default 60_000
   */
  timeout?: number | undefined
  /** Stops the waiting of `subscribe`, with `"ABORT_ERR"`: nothing is subscribed then. */
  signal?: AbortSignal | undefined
  /** Ends after this many messages. @default no limit */
  maxMessages?: number | undefined
  /**
   * Bytes that may wait to be read: of each message its payload, headers (characters of their JSON) and names, and 256 for its
   * place. Beyond them the newest are dropped and counted; one alone always fits. @default 64 MiB
   */
  maxQueueBytes?: number | undefined
}

/** The messages to one pattern, to be iterated. Leaving a `for await` closes it. It outlives reconnects. */
export interface Subscription<T = Agreed> extends AsyncValues<Message<T>> {
  readonly subject: string
  readonly queue: string
  readonly ended: boolean
  /**
   * Number of messages lost because more than `maxQueueBytes` waited, or, on NATS, because this thread was blocked
   * while more than 32 MiB came.
   */
  readonly dropped: number
  /** Emits `message`. While it has listeners and nobody iterates, nothing is queued. */
  readonly emitter: Emitter<{ message: [message: Message<T>] }>
  /**
   * The messages as a stream of the platform, one for each that is read. Cancelling it closes the
   * subscription.
   *
   * @example
   * await subscription.toWeb().pipeTo(sink)
   */
  toWeb(): ReadableStream<Message<T>>
  /** Ends it, as leaving a `for await` does. */
  return(): Promise<IteratorResult<Message<T>, undefined>>
  /** Ends it at once: unread messages, and those that are on their way, are dropped. */
  close(): void
  /** The same as `close`. */
  stop(): void
  /** The same as `close`. */
  end(): void
  /**
   * Leaves gracefully: the broker gives it nothing more, and it goes on until everything that it was given
   * has been read, requests that a loop is working on are answered, and methods of a service have returned.
   * So a member of a queue group that drains loses nothing (unless its connection breaks meanwhile).
   *
   * @param options.deadline Milliseconds until it closes anyway. Of several calls the one whose time is over first
   *   counts, for all of them. @default none
   * @param options.signal Stops the waiting of this call, with `"ABORT_ERR"`; the drain goes on.
   * @throws {FabricError} `408` the deadline has passed; `left` is the number of messages that were dropped
   */
  drain(options?: { deadline?: number | undefined; signal?: AbortSignal | undefined }): Promise<void>
  /** Keeps the process alive while it is open, again. */
  ref(): this
  /** Lets the process end while it is open. */
  unref(): this
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * What travels on the sockets of a subject, written once and named at both ends:
 * `socket.listen<Chat>('chat')` and `socket.connect<Chat>('chat')`. What is missing can be anything.
 *
 * @example
 * interface Chat {
 *   toServer: { text: string }
 *   toClient: { from: string; text: string }
 *   askServer: [question: 'who', answer: string[]]
 * }
 */
export interface SocketContract {
  toServer?: unknown
  toClient?: unknown
  /** What a client asks the server, and is answered. */
  askServer?: [question: unknown, answer: unknown]
  /** What the server asks a client, and is answered. */
  askClient?: [question: unknown, answer: unknown]
}

/** A contract that names nothing else: one letter wrong would leave that part open. */
type Contract<C> = SocketContract & { [Name in Exclude<keyof C, keyof SocketContract>]: never }

/** What a contract says of one thing. */
type Said<C, Name extends keyof SocketContract> = Name extends keyof C ? Required<C>[Name] : Agreed
type Asking<C, Name extends keyof SocketContract> = Name extends keyof C
  ? Extract<Required<C>[Name], [unknown, unknown]>
  : [question: Agreed, answer: Agreed]

/** What clients write, by a contract. */
export type ToServer<C extends SocketContract> = Said<C, 'toServer'>
/** What the server writes. */
export type ToClient<C extends SocketContract> = Said<C, 'toClient'>
/** Question and answer of a client's request. */
export type AskServer<C extends SocketContract> = Asking<C, 'askServer'>
/** Question and answer of a server's request. */
export type AskClient<C extends SocketContract> = Asking<C, 'askClient'>

/** Options of both sides of a socket. */
export interface SocketSettings {
  /** A name for logs. */
  desc?: string | undefined
  /** How many messages may be unacknowledged before `write` throws. @default 1000 */
  maxQueueSize?: number | undefined
  /**
   * The same in bytes, payloads and headers together. A single larger message is accepted when nothing else
   * is unacknowledged. `write` returns `false` from half of it on, and from 16 MiB on in any case. The reading
   * side keeps at most as many bytes, and at most 16 MiB, that are not handled yet. @default 256 MiB
   */
  maxQueueBytes?: number | undefined
  /**
   * Bytes of one message, payload and headers, at least 64 KiB. To write more is `"ERR_TOO_LARGE"`, and nothing is
   * written; the client's and its broker's own bounds count as well. A message that comes and has more closes the
   * socket with that code, on both sides. @default 256 MiB
   */
  maxMessageBytes?: number | undefined
  /**
   * What to do when the other side acknowledges nothing, because it is slow or away: `'wait'` for ever, or
   * `'close'` the socket with `"ERR_SLOW_CONSUMER"`. @default 'wait'
   */
  slowConsumer?: 'wait' | 'close' | undefined
  /**
   * With `'close'`: after this many milliseconds without an acknowledgement while half of the window (`maxQueueSize`,
   * `maxQueueBytes`) is used. @default 30_000
   */
  slowConsumerTimeout?: number | undefined
  /** Pings the other side after this many ms without a message from it; 0 or less: never. @default 45_000 */
  keepAlive?: number | undefined
  /** Milliseconds that the other side has to send anything after a ping. @default 30_000 */
  keepAliveTimeout?: number | undefined
  /**
   * How long the other side is waited for after its connection ended, or it fell silent, in ms. By default a
   * client waits 2 s for a server that ended while there is another one, else 30 to 45 s; a server waits 30 s,
   * or `keepAlive` + `keepAliveTimeout` if that is less. A side that has closed for good is not waited for.
   */
  resumeTimeout?: number | undefined
  /**
   * Lets acknowledgements travel along with the messages of the other direction, if the other side is selvedge, too.
   * `false`, or an option `dialect`: acknowledges as Conat does. @default true
   */
  stream?: boolean | undefined
}

/** Options of a socket server. */
export interface SocketListenOptions extends SocketSettings {
  /**
   * One token, of at most 1024 bytes. Of all socket servers with one chosen id on a subject, whichever process they
   * are in, the newest takes over: the previous one closes with `"ERR_SUPERSEDED"`, and its sockets with it,
   * for that reason on both sides (not over Conat's protocol and NATS, where both get everything).
   * @default the client's id
   */
  id?: string | undefined
  /** Sockets at one time; further ones close with `429` at the connecting side. @default 65_536 */
  maxSockets?: number | undefined
  /**
   * The same of one user, or of one connection that has no user. Known only over selvedge's own protocol and
   * inside a process; over Conat's only `maxSockets` counts. @default 4096
   */
  maxSocketsPerUser?: number | undefined
  /** Milliseconds for each function of `use` to decide about a connection; then it is refused with `408`. @default 10_000 */
  middlewareTimeout?: number | undefined
  /** Milliseconds to get `ready` for the first time; then it closes with `408`. @default none */
  timeout?: number | undefined
  /** Until then: closes it with `"ABORT_ERR"`. One that is aborted before throws. */
  signal?: AbortSignal | undefined
  /** How rooms behave. */
  rooms?: RoomsOptions | undefined
}

/** Options of the rooms of a listener. */
export interface RoomsOptions {
  /**
   * Whether the servers of a subject tell each other who is in their rooms. `false`: `members` are those of this server;
   * what is written reaches all. @default true
   */
  presence?: boolean | undefined
  /**
   * Milliseconds for which a member without a socket is kept, stale, before `leave` is emitted; one that
   * comes back in time has not left. @default 0
   */
  leaveDelay?: number | undefined
  /**
   * What becomes of a member whose window is full: closed with `"ERR_SLOW_CONSUMER"`, on both sides, or it misses it.
   * @default 'close'
   */
  slowMember?: 'close' | 'drop' | undefined
  /** Other servers that this one knows. @default 64 */
  servers?: number | undefined
}

/** A member of a room: all its sockets that have joined with one key. */
export interface RoomMember<Data = Agreed> {
  readonly key: string
  /** What its newest socket has joined with; `null` if nothing. */
  readonly data: Data
  /**
   * `user` of its newest socket, as that socket's server reports it; absent if that has more than 4096
   * characters of JSON. Clients that watch the room do not get it: put into `data` what they may see.
   */
  readonly user?: Agreed
  /** Oldest first; `since` in ms since 1970. */
  readonly sockets: readonly { readonly id: string; readonly server: string; readonly since: number }[]
  /** None of its sockets can be reached now: each is away, or its server is. */
  readonly stale: boolean
}

/** The events of a room and what listeners get. */
export interface RoomEvents<Data = Agreed> {
  join: [member: RoomMember<Data>]
  /** Its data, its sockets or `stale` have changed. */
  update: [member: RoomMember<Data>]
  /** Its last socket has left, or was closed, or its server left in order, or was lost. */
  leave: [member: RoomMember<Data>, reason: 'left' | 'closed' | 'server-left' | 'server-lost']
  /** The members of another server are known, all of them. */
  sync: []
  /** A server with members here cannot be reached; they are `stale`. */
  stale: [server: string]
}

/** A room as one server sees it. Made by `listener.room`. */
export interface Room<Data = Agreed> extends Emitter<RoomEvents<Data>> {
  readonly name: string
  /** By key: those of all servers. */
  readonly members: ReadonlyMap<string, RoomMember<Data>>
  /**
   * Lets the client of a socket of this server follow the room with `watchRoom`: it gets the list of members,
   * and then every change, with no gap between the two. Nothing is sent to a client that does not follow it.
   * Returns a function that ends this; so does the end of the socket.
   */
  watch(socket: ServerSocket): () => void
}

/** The events of a room as a client follows it, and what listeners get. */
export interface RoomViewEvents<Data = Agreed> {
  join: [member: RoomMember<Data>]
  /** Its data, its sockets or `stale` have changed. */
  update: [member: RoomMember<Data>]
  leave: [member: RoomMember<Data>, reason: 'left' | 'closed' | 'server-left' | 'server-lost']
  /** All members are known: at first, and again after the client could not keep up. */
  sync: []
}

/** A room as a client follows it. Made by `watchRoom`. */
export interface RoomView<Data = Agreed> extends Emitter<RoomViewEvents<Data>> {
  readonly name: string
  /** By key: those of all servers. As it was last, and everybody `stale` (`update`), once the socket is closed. */
  readonly members: ReadonlyMap<string, RoomMember<Data>>
  /** Follows the room no more. */
  close(): void
}

/**
 * Runs a function inside a span of OpenTelemetry for a message that it handles: a loop gets no span of its own.
 * The parent is the context that the message brings; without one, or without an SDK, the function just runs. The
 * span ends with the function, or with the promise that it returns. Returns what the function returns.
 *
 * @throws {FabricError} `"ERR_INVALID_ARG_TYPE"`; and what the function throws
 * @example
 * for await (const message of await client.subscribe('orders.*')) {
 *   await traceMessage(message, () => store(message.data))
 * }
 */
export declare function traceMessage<T>(message: Message<Agreed, Agreed>, run: () => T): T

/**
 * Follows who is in a room, once the socket's server allows it with `room.watch(socket)`; until then the room
 * is empty, and there is no `sync`. Changes of the room arrive over the socket, in order with its data, but
 * not as `data` events. Returns the same object for the same name until that is closed. The server has to be
 * a program of selvedge.
 *
 * @example
 * const lobby = watchRoom(socket, 'lobby')
 * lobby.on('sync', () => show([...lobby.members.keys()]))
 * @throws {FabricError} `"ERR_UNSUPPORTED"` the socket renews itself · `"ERR_CLOSED"` · `"ENOBUFS"` · `"ERR_ROOM_LIMIT"`
 *   it follows 1000 rooms
 */
export declare function watchRoom<Data = Agreed>(
  socket: ConatSocketClient<Agreed, Agreed, [Agreed, Agreed], [Agreed, Agreed]>,
  room: string,
): RoomView<Data>

/**
 * A set of sockets to write to. Each step returns a new one; nothing is sent before `write`, `send` or
 * `close`.
 */
export interface Broadcast<
  Out = Agreed,
  Ask extends [unknown, unknown] = [question: Agreed, answer: Agreed],
> {
  /** These rooms as well; a socket that is in several gets it once. */
  to(room: string | readonly string[]): Broadcast<Out, Ask>
  /** Without these sockets, by id; `'room:NAME'` are all of a room. At most 256. */
  except(
    who: string | { readonly id: string } | readonly (string | { readonly id: string })[],
  ): Broadcast<Out, Ask>
  /** Only the sockets of this server. */
  readonly local: Broadcast<Out, Ask>
  /** At most once: not to sockets that are not ready, or whose window is full. */
  readonly volatile: Broadcast<Out, Ask>
  /**
   * Writes to each member, encoded once. Returns how many sockets of this server took it; the other servers follow, in the
   * order of this server's calls. A full window of one does not hold up the rest: `rooms.slowMember` says
   * what happens to it. For another server 100,000 broadcasts or 64 MiB wait; beyond that it is lost, and
   * `peerLost` counts what it misses.
   *
   * @throws {FabricError} `"ERR_ENCODE"` · `"ERR_TOO_LARGE"`
   */
  write(data: Out | MessageData<Out>, second?: Headers | WriteOptions | null): number
  /**
   * The same; resolves when all have handled it, with those that have not. A server that was lost is one
   * `id`. @throws {FabricError} as `write` · `408` not within `timeout` · `"ABORT_ERR"`; it may still arrive
   */
  send(
    data: Out | MessageData<Out>,
    options?: SendOptions,
  ): Promise<{ delivered: number; lost: { id: string; code: string | number }[] }>
  /**
   * Asks each member once, at whichever server it is. Iterates over the answers as they come, with an error in the place of
   * one that failed, whose `ids` has the socket; or the server, if that was lost (`"ERR_SOCKET_LOST"`) or away (`408`).
   * Ends when all have answered, or as the options say: `timeout` is that of each answer, with `maxWait`, too.
   *
   * @throws {FabricError} `"ERR_ENCODE"` · `"ERR_TOO_LARGE"`; when iterated: `"ABORT_ERR"` · `"ENOBUFS"` 64 MiB were not read ·
   *   why the listener has closed
   * @example
   * for await (const answer of listener.to('lobby').request('ready?', { timeout: 2000 })) console.log(answer)
   */
  request(
    data?: Ask[0] | MessageData<Ask[0]>,
    options?: RequestManyOptions,
  ): Results<Message<Ask[1]> | FabricError>
  /** The members of all these rooms. */
  members(): RoomMember[]
  /** Their number. */
  readonly size: number
  /**
   * Closes the sockets: at once, or, with a reason, once their clients have been told; they find it in
   * `closed`, with its `code`.
   */
  close(reason?: Error): void
}

/** Options of a socket that connects. */
export interface SocketConnectOptions extends SocketSettings {
  /**
   * One token, of at most 1024 bytes. @default a random one; for a client with the `inboxPrefix`
   * `_INBOX_<name>` preceded by `<name>~` (`privateEnds`)
   */
  id?: string | undefined
  /**
   * Reconnects when the connection is lost. With `false` it waits for `connect()`, as long as for a server that is away
   * (`resumeTimeout`), and then closes with `"ERR_SOCKET_LOST"`. @default true
   */
  reconnection?: boolean | undefined
  /**
   * Whether it waits for a server while nobody listens, the first time: for ever, not at all, or this many milliseconds. Then it
   * closes with `503`. Without a broker it is not known who listens: that time does not count. @default true
   */
  wait?: boolean | number | undefined
  /**
   * Chooses the server: returns its id. Called again later if it throws, or does not answer in time: whoever waits for the
   * socket with a `timeout` then gets a `408` whose `cause` is a `503` with the error as its own `cause`. @default any of the
   * servers
   */
  loadBalancer?: ((subject: string) => Promise<string> | string) | undefined
  /** Milliseconds for `loadBalancer`. @default 10_000 */
  loadBalancerTimeout?: number | undefined
  /** Which of Conat's two handshakes to use. @default both at once */
  dialect?: 'classic' | 'attempt' | undefined
  /**
   * Whether it goes on at another server when its server is lost (`"ERR_SOCKET_LOST"`, `"ERR_SOCKET_TIMEOUT"`) or is
   * leaving: `renewed` tells. What the old server is not known to have handled is written again, in the same
   * order and before anything new, and requests that no server has had are sent again: at least once, not
   * exactly once.
   *
   * A new server knows nothing of what was said before. A function returns what is written in place of what
   * is left: a greeting before it, some of it, nothing. If it throws, the socket closes.
   *
   * It goes on for as long as servers keep leaving, and emits `disconnected` and `renewed` each time; with
   * pauses that grow from 0.5 to 10 s, unless the last server had it for a second or handled something.
   * `send`, `request` and the others keep their own `timeout` over renewals.
   * @example
   * client.socket.connect('orders', { renew: left => [hello, ...left] })
   * @default false
   */
  renew?: boolean | Renew | undefined
  /** Milliseconds to get `ready` for the first time; then it closes with `408`. @default none */
  timeout?: number | undefined
  /** Until then: closes it with `"ABORT_ERR"`. One that is aborted before throws. */
  signal?: AbortSignal | undefined
}

/** Returns what is written to the next server in the place of what is left, in order. */
export type Renew = (left: UndeliveredMessage[]) => unknown[]

/** What `renewed` carries. */
export interface SocketRenewal {
  /** Why the previous server was lost. */
  readonly reason: FabricError
  /** Messages that it is not known to have handled. */
  readonly undelivered: number
  /** How many of them were written again. */
  readonly rewritten: number
  /** The id of the new server. */
  readonly server: string | undefined
}

/** How a value is written. */
export interface WriteOptions extends MessageOptions {
  /**
   * At most once: dropped, and counted, if the socket is not ready or its window is full; never throws
   * `"ENOBUFS"`. Otherwise it is sent and acknowledged like any other, in order, but not reported as
   * undelivered. `write` returns `false` if it was dropped. @default false
   */
  volatile?: boolean | undefined
}

/** How a value is sent whose delivery is awaited. */
export interface SendOptions extends DataOptions {
  /**
   * Milliseconds to wait for the other side; then `408`. The message is not taken back, and may still arrive.
   * @default none
   */
  timeout?: number | undefined
  /** Stops the waiting, with `"ABORT_ERR"`; not what is on its way. Aborted before: nothing is sent. */
  signal?: AbortSignal | undefined
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
  /** Messages that cannot be from the peer, or that no peer would send: ignored. */
  readonly foreign: number
  /** Volatile messages that were dropped. */
  readonly volatileDropped: number
  /**
   * Messages whose `ttl` was over: here before they were sent, or sent again, or before they were delivered.
   */
  readonly expired: number
  /** Messages written and not acknowledged. */
  readonly pending: number
  readonly pendingBytes: number
  /** How often it has gone on at another server (`renew`). */
  readonly renewals: number
}

/**
 * A message that the other side of a closed socket is not known to have handled. Can be written to another
 * socket as it is.
 */
export interface UndeliveredMessage extends MessageData {
  /** 1 for the first message that was written to its socket. */
  readonly seq: number
  /** To how many servers it was written: 0 if its socket never had one, more than 1 only with `renew`. */
  readonly attempts: number
}

/** `closed` is final; a socket may enter the others many times. */
export type State = 'disconnected' | 'connecting' | 'ready' | 'closed'

/** The events of a socket and what listeners get. */
export interface SocketEvents<
  In = Agreed,
  Asked extends [unknown, unknown] = [question: Agreed, answer: Agreed],
> {
  /** In order, each message exactly once. Held back until there is a listener or an iterator. */
  data: [data: In, headers: Headers]
  /**
   * Answer with `respond`. What a handler throws, what its promise rejects with, and an `Error` that is passed to
   * `respond` are answers, too: the requester gets text, code and `data` (what JSON can hold in 16 KiB). A handler
   * that throws after its last answer throws as any other does; so does one whose requester is a socket of Conat.
   * `handle` is shorter.
   */
  request: [message: Message<Asked[0], Asked[1]>]
  /** Everything written is acknowledged. */
  drain: []
  /**
   * With the reason if it is the other side that is away: `"ERR_PEER_ENDED"` its connection ended,
   * `"ERR_PEER_SILENT"` it gave no sign of life, or its gateway lost NATS. It may come back, with nothing lost: `ready` follows then, or
   * else `closed`, whose reason has this one as `cause`.
   */
  disconnected: [reason?: FabricError]
  connecting: []
  ready: []
  /** It has another server, and what was left is written to it. Only with `renew`; after `ready`. */
  renewed: [renewal: SocketRenewal]
  /**
   * With the reason, unless the socket closed because `close` or `end` was called here, on it or on its client or
   * server, and the number of `undelivered()`.
   */
  closed: [reason: FabricError | undefined, undelivered: number]
}

/**
 * A reliable socket: what is written arrives in order and exactly once, across reconnects; if that becomes
 * impossible, `closed` says how many messages may be missing.
 *
 * A message is acknowledged when the other side's handler has been called, so a slow reader slows down the
 * writer. The socket keeps the process alive until it is closed.
 *
 * `In` is what is read here, `Out` what is written; `Ask` are question and answer of requests from here, `Asked` of
 * those that come.
 */
declare abstract class ConatSocketBase<
  In = Agreed,
  Out = Agreed,
  Ask extends [unknown, unknown] = [question: Agreed, answer: Agreed],
  Asked extends [unknown, unknown] = [question: Agreed, answer: Agreed],
> extends Emitter<SocketEvents<In, Asked>> {
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
  write(data: Out | MessageData<Out>, second?: Headers | WriteOptions | null): boolean
  /**
   * Writes a value, and resolves when the other side's handler has been called with it. May be called many
   * times without awaiting each; order is kept. Headers go into `{ headers }`: nothing else is taken for them.
   *
   * @throws {FabricError} as `write`, and nothing was written · `"ERR_UNKNOWN_OPTION"` headers that stand alone ·
   *   `408` not within `timeout` · `"ABORT_ERR"` · `"ERR_SIGN_IN"` the broker refuses the client now · `403` it denies
   *   the client its inbox: in these cases the
   *   message stays in its place, and may still be handled ·
   *   the reason of `closed` if the socket closed before the message was known to arrive; the message is then
   *   among `undelivered()`
   * @example
   * await socket.send(order)
   */
  send(data: Out | MessageData<Out>, options?: SendOptions): Promise<void>
  /**
   * Sends a request to the other side, and resolves with its reply. If that is an error, rejects with its text and
   * its code (or `"ERR_SERVICE"`).
   *
   * @throws {FabricError} `503` the other side is gone · `408` no reply in time · `429` too many of them wait
   *   there · `"EPIPE"` the socket closed meanwhile, or the other side went away · `"ABORT_ERR"` · `"ENOBUFS"` ·
   *   `"ERR_TOO_LARGE"` · `"ERR_ENCODE"` · `"ERR_CLOSED"`
   */
  request(
    data?: Ask[0] | MessageData<Ask[0]>,
    options?: RequestOptions & { noThrow?: false | undefined },
  ): Promise<Message<Ask[1]>>
  /**
   * With `noThrow`: resolves with `undefined` if there is no reply. @throws {FabricError} wrong arguments, as
   * above
   */
  request(data?: Ask[0] | MessageData<Ask[0]>, options?: RequestOptions): Promise<Message<Ask[1]> | undefined>
  /**
   * Sends a request with several replies to the other side, in order with what is written. As
   * `Client.requestMany`, but ends when the other side calls `message.end()`, after `maxMessages` replies, or
   * when none has come for `maxWait` after one. A reply that is an error has it in its headers: `error`, the
   * text, and `code`.
   *
   * @throws {FabricError} as `request`, when awaited or iterated; `408` when `timeout` is over before that, unless `maxWait`
   *   and a reply have taken its place: there may be more replies. (A Conat peer does not announce the end: then the loop ends without an error.)
   * @example
   * for await (const { data } of socket.requestMany({ rows: 'all' })) console.log(data)
   */
  requestMany(data?: Ask[0] | MessageData<Ask[0]>, options?: RequestManyOptions): Answers<Ask[1]>
  /**
   * Has a function answer requests: what it returns or resolves with is the answer, what it throws an error answer, with
   * text, code and `data` as `request` says. Of several functions and listeners the first answer counts. A socket of Conat
   * gets an error in the headers `error` and `code`.
   *
   * @example
   * socket.handle(async question => await find(question))
   */
  handle(
    answer: (question: Asked[0], message: Message<Asked[0], Asked[1]>) => Asked[1] | Promise<Asked[1]>,
  ): this
  /**
   * Iterates over the data as `[data, headers]`, as a loop over the socket itself does, with one difference: a
   * message is acknowledged as soon as it is returned, so that a program that takes exactly three leaves none
   * open. Leave it with `return()` when another loop, or a listener, reads the rest.
   *
   * @example
   * const messages = socket.iter()
   * const [hello] = (await messages.next()).value
   * await messages.return()
   */
  iter(): AsyncValues<[data: In, headers: Headers]>
  /**
   * Resolves when everything written is acknowledged. @throws {FabricError} it never will be: the reason of `closed`, or
   * `"ERR_CLOSED"` after a close on this side · `408` · `"ABORT_ERR"` · `"ERR_SIGN_IN"` the broker refuses the client now ·
   * `403` the broker denies the client its inbox
   */
  drain(options?: WaitOptions): Promise<void>
  /** The same as `drain`. */
  waitUntilDrain(options?: WaitOptions): Promise<void>
  /**
   * Resolves when `write` would return `true`. A writer that waits for this keeps the other side busy; one that
   * waits for `drain` lets it run dry first. @throws {FabricError} as `drain`
   */
  waitUntilWritable(options?: WaitOptions): Promise<void>
  /**
   * Waits for the state `ready`: for ever, or this many ms, or as the options say. @throws {FabricError} `408` · the reason
   * of `closed`, or `"ERR_CLOSED"` after a close on this side · `"ABORT_ERR"`
   */
  waitUntilReady(timeout?: number | WaitOptions): Promise<void>
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
  /**
   * Disconnects the socket. It reconnects by itself, and nothing is lost; a client socket with `reconnection: false` waits
   * for `connect()`, as long as for a server that is away.
   */
  disconnect(): void
  /**
   * Closes at once, and tells the other side. Only `closed` is emitted afterwards. A second call does
   * nothing.
   */
  close(): void
  /**
   * The same as `close`. With a reason, unless `end` was called, what was written is incomplete: loops and streams of
   * the other side throw `"ERR_SOCKET_ABORTED"`, whose text has that of this error, after what has arrived.
   *
   * @example
   * source.on('error', error => socket.destroy(error))
   */
  destroy(reason?: unknown): void
  /**
   * Ends cleanly: writes no more, and resolves when the other side has handled everything and open requests
   * are answered. Waits as long as there is progress, or for `timeout` ms. It need not be awaited.
   *
   * @throws {FabricError} `"ERR_UNDELIVERED"` its time is over, or the socket has closed, also by `close()`, and
   *   messages are left: `undelivered` is their number, `cause` the reason. It is closed then.
   * @example
   * await socket.end()
   */
  end(options?: EndOptions): Promise<void>
  /**
   * Iterates over the data as `[data, headers]`. A message is acknowledged when the loop asks for the next
   * one, or is left. Messages that it has not returned when it is left wait for the next reader. Each of
   * several iterators gets everything that arrives while it exists, and before that what had arrived and no
   * reader has had, as does a first listener. A message is acknowledged when the last of them is done with
   * it: an iterator that is neither read nor left holds up the writer.
   *
   * Ends when either side has closed or ended the socket. If the socket closes for another reason, that is
   * thrown, after what has arrived. A loop that begins after the end throws if messages were left unread,
   * with their number in `missing`. Throws `"ERR_SOCKET_TAKEN"` when a stream takes over.
   *
   * @example
   * for await (const [data, headers] of socket) await store(data)
   */
  [Symbol.asyncIterator](): AsyncValues<[data: In, headers: Headers]>
  /**
   * Returns the socket as a stream of Node.js. It reads what no reader has had yet, including what running
   * loops hold: they throw `"ERR_SOCKET_TAKEN"`. A message is acknowledged when the stream has taken it, so a
   * slow reader slows down the writer. `end()` of the stream ends the socket, both directions of it, as soon
   * as the other side has taken what was written. `destroy()` closes it when nothing was written, as does a
   * loop that is left. In the middle of what is written, and always with an error, as of a `pipeline` that
   * fails or is aborted, it destroys the other side's stream, too, with `"ERR_SOCKET_ABORTED"`. When the
   * other side closes cleanly, the stream ends after the data. When the socket is lost or aborted, the stream
   * is destroyed with the reason: after what has arrived if somebody has begun to read it (what is written
   * meanwhile fails with the reason at once, and drops that, as with a stream of Node.js), else at once.
   *
   * From then on the data belongs to the stream: another listener of `data`, a loop, or a second call throws.
   * `toWeb` makes streams of the platform.
   *
   * The stream is destroyed with `"EPIPE"` if the socket is closed already; after the messages before it,
   * with `"ERR_INVALID_ARG_TYPE"` by a message that is not bytes if `objectMode` is `false`, and with
   * `"ERR_STREAM_NULL_VALUES"` by a message `null` unless `headers` is `true`: whoever wrote it gets
   * `"ERR_SOCKET_ABORTED"`.
   *
   * @throws {FabricError} `"ERR_SOCKET_TAKEN"` it has a stream already
   * @example
   * await pipeline(createReadStream('big.bin'), socket.toDuplex({ objectMode: false }))
   */
  toDuplex(options?: SocketDuplexOptions): Duplex
  /**
   * Returns the socket as streams of the platform, of values. A value is acknowledged when the next one is read, so a slow
   * reader slows down the writer, and nothing is read ahead. Closing `writable` ends the socket; aborting it,
   * or cancelling `readable`, closes it: with a reason, and always at an abort, as `destroy(reason)`. When
   * the other side closes cleanly, `readable` ends after the data; when the socket is lost, both fail with
   * the reason. The data belongs to `readable` from then on, as with `toDuplex`.
   *
   * @throws {FabricError} `"ERR_SOCKET_TAKEN"` it has a stream already · `"ERR_UNSUPPORTED"` the socket renews itself
   * @example
   * await socket.toWeb().readable.pipeThrough(transform).pipeTo(sink)
   */
  toWeb(): { readable: ReadableStream<In>; writable: WritableStream<Out | MessageData<Out>> }
  /**
   * As `end()`: throws if messages are left. It ends cleanly even when the block throws, which JavaScript
   * does not reveal: what was written by then looks complete to the other side. Call `destroy(error)` where
   * that can happen.
   *
   * @example
   * await using socket = client.socket.connect('upload')
   * try {
   *   for await (const row of rows) if (!socket.write(row)) await socket.waitUntilWritable()
   * } catch (error) {
   *   socket.destroy(error)
   *   throw error
   * }
   */
  [Symbol.asyncDispose](): Promise<void>
  /** Keeps the process alive while it is open, again. */
  ref(): this
  /** Lets the process end while the socket is open. */
  unref(): this
}

/** How `toDuplex` reads and writes. */
export interface SocketDuplexOptions {
  /** `false`: bytes. What is written leaves in messages of at most 64 KiB. @default true */
  objectMode?: boolean | undefined
  /** With `objectMode`: `{ data, headers }` in place of the value, both ways. @default false */
  headers?: boolean | undefined
  /** Of both directions, in values or bytes. @default that of streams */
  highWaterMark?: number | undefined
}

/** The side that connects. Made by `client.socket.connect`. */
export declare class ConatSocketClient<
  In = Agreed,
  Out = Agreed,
  Ask extends [unknown, unknown] = [question: Agreed, answer: Agreed],
  Asked extends [unknown, unknown] = [question: Agreed, answer: Agreed],
> extends ConatSocketBase<In, Out, Ask, Asked> {
  private constructor()
  readonly role: 'client'
  readonly reconnection: boolean
  /** Whether it was connected with `renew`. */
  readonly renews: boolean
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
export declare class ServerSocket<
  In = Agreed,
  Out = Agreed,
  Ask extends [unknown, unknown] = [question: Agreed, answer: Agreed],
  Asked extends [unknown, unknown] = [question: Agreed, answer: Agreed],
> extends ConatSocketBase<In, Out, Ask, Asked> {
  private constructor()
  readonly role: 'server'
  /** The subject on which its client listens. */
  readonly clientSubject: string
  /** Whatever the program keeps with it: empty at first. */
  readonly data: Record<string, Agreed>
  /**
   * Who connected it: what the broker's `getUser` resolved with for the connection that it came over. The
   * broker reports it, and the other side cannot forge it. The same for the socket's life: one that comes
   * back as another user is closed with `403`. `undefined` if nobody vouches: see `verified`. A new object
   * each time.
   */
  readonly user: Agreed
  /**
   * Whether a broker vouches for `user`. Known over selvedge's own protocol and inside a process; not over Conat's
   * protocol, not for clients on NATS, and not for a user that is nested more than 60 levels deep.
   */
  readonly verified: boolean
  /** The rooms that it is in. */
  readonly rooms: ReadonlySet<string>
  /**
   * Joins a room, or several, at once: a `write` to the room after it reaches it. It leaves them all when it
   * closes. Joining again replaces key and data.
   *
   * @param room 1 to 256 bytes, no control characters.
   * @param member.key 1 to 256 bytes. Sockets with one key are one member. @default the socket's id
   * @param member.data Shown to whoever looks at the room, as it is now: at most 4096 characters of JSON.
   * @throws {FabricError} `"ERR_ROOM_LIMIT"` 1000 rooms, or 100,000 members or 64 MiB of them at this server · `"ERR_ENCODE"`
   *   · `"ERR_INVALID_ARG_VALUE"` · `"ERR_INVALID_ARG_TYPE"` · `"ERR_UNKNOWN_OPTION"` · `"ERR_CLOSED"`
   */
  join(room: string | readonly string[], member?: { key?: string | undefined; data?: unknown }): void
  /** Leaves a room, at once. */
  leave(room: string): void
  /** Replaces what the room shows of it. @throws {FabricError} as `join` · `"ERR_INVALID_ARG_VALUE"` it is not in the room */
  update(room: string, data: unknown): void
  /** The members of rooms, without itself. */
  to(room: string | readonly string[]): Broadcast<Out, Ask>
}

/** How long `end` waits. */
export interface EndOptions {
  /**
   * Milliseconds in all, whatever the progress. Of several calls the one whose time is over first counts, for
   * all of them; one that names neither `timeout` nor `idle` only waits with the others. @default none: as
   * long as there is progress
   */
  timeout?: number | undefined
  /**
   * Milliseconds without an acknowledgement or answer after which it gives up, without `timeout`. Does not run
   * while the other side or the broker is away and may come back, for six times as long: with that it gives up after
   * seven times as long. @default 10_000
   */
  idle?: number | undefined
  /** Stops the waiting of this call, with `"ABORT_ERR"`; the end goes on. Aborted before: nothing is ended. */
  signal?: AbortSignal | undefined
}

/** The events of a socket server and what listeners get. */
export interface SocketServerEvents<Socket = ServerSocket> {
  /** Held back until there is a listener or a loop: at most 10 000, further ones are closed. */
  connection: [socket: Socket]
  /** Another server of the subject was lost, with its members; `undelivered` is the number of broadcasts that it may not have. */
  peerLost: [lost: { id: string; undelivered: number }]
  disconnected: []
  connecting: []
  ready: []
  closed: [reason: FabricError | undefined]
}

/** Accepts sockets. Made by `client.socket.listen`. Keeps the process alive until it is closed. */
export declare class ConatSocketServer<
  In = Agreed,
  Out = Agreed,
  Ask extends [unknown, unknown] = [question: Agreed, answer: Agreed],
  Asked extends [unknown, unknown] = [question: Agreed, answer: Agreed],
> extends Emitter<SocketServerEvents<ServerSocket<In, Out, Ask, Asked>>> {
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
  /** Disconnects every socket, as `socket.disconnect`. */
  disconnect(): void
  /** The open sockets by id. */
  readonly sockets: Record<string, ServerSocket<In, Out, Ask, Asked>>
  /** Calls `visit` with each of them. */
  forEach(visit: (socket: ServerSocket<In, Out, Ask, Asked>, id: string) => void): void
  /**
   * Writes to every socket that has room. Returns whether all have more than half of their window free.
   *
   * @throws {FabricError} `"ENOBUFS"` the windows of the sockets in `error.ids` are full: they did not get
   *   it, all others did · `"EPIPE"` the server is closed · `"ERR_ENCODE"`
   */
  write(data: Out | MessageData<Out>, second?: Headers | WriteOptions | null): boolean
  /** The same as `write`. */
  broadcast(data: Out | MessageData<Out>, second?: Headers | WriteOptions | null): boolean
  /**
   * Sends a request to every socket, and resolves with the first reply. @throws {FabricError} `503` there are
   * no sockets · `"ERR_CLOSED"`
   */
  request(
    data: Ask[0] | MessageData<Ask[0]>,
    options: RequestOptions & { race: true },
  ): Promise<Message<Ask[1]>>
  /**
   * Sends a request to every socket. Resolves with all replies in the order of the sockets, with an error
   * where one failed.
   *
   * @throws {FabricError} `"ERR_CLOSED"`
   */
  request(
    data?: Ask[0] | MessageData<Ask[0]>,
    options?: RequestOptions & { race?: false | undefined },
  ): Promise<(Message<Ask[1]> | Error)[]>
  /**
   * Has a function decide about each connection before `connection`, in the order of these calls. It calls `next()`, or
   * `next(error)` to refuse; one that takes only the socket returns or throws, or resolves or rejects. An error that it
   * returns, or `false`, refuses, too. Nothing of the
   * socket is delivered meanwhile. The client's socket is `closed` with the error's `code` (else `403`) and
   * text. It is also called for earlier connections that still wait for a listener of `connection`. What it
   * throws or rejects with after its `next()` is an uncaught exception, as an error of a listener is.
   *
   * @example
   * listener.use(async socket => {
   *   if (!(await mayChat(socket.user))) throw new FabricError('not you', 403)
   * })
   */
  use(
    middleware: (socket: ServerSocket<In, Out, Ask, Asked>, next: (error?: unknown) => void) => unknown,
  ): this
  /**
   * Has a function answer the requests to each of its sockets, as `handle` of a socket does.
   *
   * @example
   * listener.handle(question => answers[question])
   */
  handle(
    answer: (question: Asked[0], message: Message<Asked[0], Asked[1]>) => Asked[1] | Promise<Asked[1]>,
  ): this
  /**
   * The sockets in a room, at all servers of the subject that have used rooms.
   *
   * @example
   * listener.to('lobby').except(socket).write({ from: socket.id, text })
   */
  to(room: string | readonly string[]): Broadcast<Out, Ask>
  /**
   * A room, with who is in it at all servers. The same object for the same name.
   *
   * @throws {FabricError} `"ERR_INVALID_ARG_VALUE"` · `"ERR_CLOSED"`
   * @example
   * listener.room('lobby').on('join', member => console.log(`${member.key} is here`))
   */
  room<Data = Agreed>(name: string): Room<Data>
  /**
   * Iterates over the connections: those that no reader has had yet, and new ones; at most 10,000 wait,
   * further ones are closed. Listeners of `connection` and other loops get them as well.
   *
   * Leaving the last loop while nobody listens retires the server: it accepts no more sockets, closes those that still
   * wait, and closes with the last one of the others. The loop ends when the server has closed cleanly, and
   * throws the reason of `closed` otherwise.
   *
   * @example
   * for await (const socket of listener) socket.write('hello')
   */
  [Symbol.asyncIterator](): AsyncValues<ServerSocket<In, Out, Ask, Asked>>
  /** Another server with the same options, on the subject `<subject>.<name>`. */
  channel(name: string): ConatSocketServer
  /**
   * Waits for the state `ready`: for ever, or this many ms, or as the options say. @throws {FabricError} `408` · the reason
   * of `closed`, or `"ERR_CLOSED"` after a close on this side · `"ABORT_ERR"`
   */
  waitUntilReady(timeout?: number | WaitOptions): Promise<void>
  /** Closes the server and its sockets at once, and tells the other sides. */
  close(): void
  /** The same as `close`. */
  destroy(): void
  /**
   * Accepts no more sockets; new ones go to other servers. Ends its sockets one after the other, spread over
   * `spread`: each when requests over it are answered (after half of the time in any case) and what was
   * written to it is acknowledged. Then closes, at `deadline` at the latest. The other side of each socket
   * gets `closed` (`"ERR_SOCKET_CLOSED_BY_PEER"`), and finds in `undelivered()` what this server has not
   * handled, to write it to the next one. Its loop ends cleanly, after everything that was written.
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean
  /**
   * Accepts no more sockets, ends all as their `end` does, and closes.
   *
   * @throws {FabricError} `"ERR_UNDELIVERED"` messages are left, also by `close()`: `sockets` has the `id` of each of these
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
  port?: number | null | undefined
  /** Address to listen on. @default "127.0.0.1" */
  host?: string | undefined
  /** One token of a subject. @default "0" */
  id?: string | undefined
  /** @default "/conat" */
  path?: string | undefined
  /** @default 500 */
  maxSubscriptionsPerClient?: number | undefined
  /** The same for users with a `hub_id`. @default 15_000 */
  maxSubscriptionsPerHub?: number | undefined
  /** Bytes of one message, payload and headers, at least 64 KiB; more is refused. @default 256 MiB */
  maxMessageBytes?: number | undefined
  /** Concurrent connections; more are refused with `429`. @default 10_000 */
  maxConnections?: number | undefined
  /** Concurrent connections of one user, compared as JSON; `null` is not counted. @default 100 */
  maxConnectionsPerUser?: number | undefined
  /**
   * Bytes of memory that the broker holds for all connections: what waits for them, what they have sent that
   * is not processed yet, their subscriptions, waits and unfinished messages. Beyond it, what asks for more
   * is refused with `429`, and the connection with most is closed: of the user, or, without one, of the
   * address with most.
   * @default 2048 MiB
   */
  maxMemoryBytes?: number | undefined
  /** The same for all connections of one user. @default 512 MiB */
  maxMemoryBytesPerUser?: number | undefined
  /** The same for one connection. @default 128 MiB */
  maxMemoryBytesPerConnection?: number | undefined
  /** One token of a subject. */
  clusterName?: string | undefined
  /**
   * Makes the broker a gateway onto a cluster of NATS: `'nats://host:port,host:port'`, a list of addresses, or an
   * object with credentials. All brokers with the same upstream, and all direct clients of it, are one fabric.
   * `ready` comes once it has been reached; `totals.upstream` and the event `upstream` tell of it.
   */
  upstream?: string | readonly string[] | UpstreamOptions | undefined
  /**
   * Uses TLS at the port, and nothing else. `true` only says that `httpServer` does. `setSecureContext`
   * renews the certificate.
   */
  ssl?: boolean | TlsServerOptions | undefined
  /**
   * Serves the upgrades below `path` of this `node:http` or `node:https` server, which stays yours: its other
   * requests and upgrades are not touched, and `close()` leaves it open. After that clients keep trying: if
   * an `upgrade` listener of yours answers nothing, each of these connections stays open, as with any upgrade
   * that is not handled. Every byte crosses from JavaScript to the engine and back: a port of the broker's
   * own is several times as fast. `port` has no effect then.
   */
  httpServer?: HttpServer | HttpsServer | undefined
  /**
   * Answers `GET /metrics` at the broker's port, or at one of its own, with the metrics of the broker and of all clients
   * of the process. Behind an `httpServer` it needs a port, and beyond loopback a token. @default false
   */
  metrics?: boolean | MetricsOptions | undefined
  /**
   * Answers `/monitor` at the broker's port: a page that shows who is connected, what they subscribe to, their sockets,
   * rates and refusals, live. Beyond loopback, and of a gateway, it needs a password. Behind an `httpServer` mount
   * `monitorHandler()`. @default false
   */
  monitor?: boolean | MonitorOptions | undefined
  /**
   * Listens on this Unix domain socket instead of a port. Not on Windows. A socket file left by a dead
   * process is replaced.
   */
  socketPath?: string | undefined
  /** Permissions of `socketPath`. @default 0o600 */
  socketMode?: number | undefined
  /**
   * Web pages that may connect, by exact `Origin`: `'https://app.example'`, without a path, and without the port that
   * the scheme has by itself. Programs send no `Origin` and are not affected.
   * @default none
   */
  allowedOrigins?: readonly string[] | undefined
  /**
   * Names, without a port, that the `Host` header may have; others are refused. On loopback, loopback names
   * are always accepted.
   * @default on loopback: only loopback names, so that no page gets in through a rebound name; else any
   */
  allowedHosts?: readonly string[] | undefined
  /** Milliseconds for a whole handshake, TLS and HTTP together. @default 10_000 */
  handshakeTimeout?: number | undefined
  /**
   * Milliseconds in which an incomplete message must make progress (64 KiB, or its end), or its connection is
   * closed; noticed after at most twice that. @default 30_000
   */
  messageTimeout?: number | undefined
  /** Concurrent handshakes; further connections are dropped, and clients retry. @default 1000 */
  maxHandshakes?: number | undefined
  /** The same from one address (of IPv6, one /64). @default half of `maxHandshakes` */
  maxHandshakesPerAddress?: number | undefined
  /**
   * Proxies that are trusted to name the address of a client: addresses, networks (`'10.0.0.0/8'`),
   * `'loopback'`, and `'unix'` for whoever comes over a Unix socket. The field is ignored in what others
   * send. The address is the last one in `forwardedField` that is no trusted proxy's; `getUser`, views and
   * the limits by address go by it.
   * @default none
   */
  trustedProxies?: readonly string[] | undefined
  /**
   * The one header field in which the proxies name the client. They must write it themselves: another
   * field may come from the client. `'forwarded'` is RFC 7239's. @default 'x-forwarded-for'
   */
  forwardedField?: 'x-forwarded-for' | 'forwarded' | undefined
  /**
   * Authenticates: called once for each connection, before anything that it sends is looked at. Returns, or
   * resolves with, the user: any JSON, passed to `isAllowed` and shown to the client (`info.user`). If it
   * throws, the sign-in fails: the client is told the error's `message` and `code` (a number), and
   * disconnected. @default everybody is `null`, or the system user if they have the `systemAccountPassword`
   */
  getUser?: ((visitor: Visitor, systemAccounts?: SystemAccounts) => unknown) | undefined
  /**
   * Authorises: called before a publish or wait for interest (`"pub"`), and for each pattern of a subscribe
   * (`"sub"`), inboxes (`_INBOX.…`) included. Decisions are cached for `permissionCache`. Anything but
   * `true`, an error, and a promise that takes longer than `permissionTimeout` deny. While it decides, the
   * rest of that connection waits, in order. @default everything is allowed
   */
  isAllowed?:
    | ((question: { type: 'pub' | 'sub'; user: Agreed; subject: string }) => boolean | Promise<boolean>)
    | undefined
  /**
   * Turns on the system service (`sys.conat.…`). Only users with `hub_id: "system"` may publish there,
   * whatever `isAllowed` says, and only the server receives it. May contain only characters that a cookie can
   * have. @default none
   */
  systemAccountPassword?: string | undefined
  /** Milliseconds that `getUser` may take. @default 10_000 */
  signInTimeout?: number | undefined
  /**
   * Milliseconds that `isAllowed` may take, from its call on. While a busy thread delays the call, a client
   * waits for up to twice that. @default 10_000
   */
  permissionTimeout?: number | undefined
  /**
   * Milliseconds for which a decision of `isAllowed`, either way, is cached for the same connection, type and
   * subject; 0: not at all. `revalidate()` clears the cache. @default 1000
   */
  permissionCache?: number | undefined
}

/** Limits of a broker that may change while it runs. */
export type LimitChanges = Partial<
  Pick<
    ServerOptions,
    | 'maxConnections'
    | 'maxConnectionsPerUser'
    | 'maxSubscriptionsPerClient'
    | 'maxSubscriptionsPerHub'
    | 'maxMemoryBytes'
    | 'maxMemoryBytesPerUser'
    | 'maxMemoryBytesPerConnection'
  >
>

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
  key?: Pem | undefined
  /** PEM, the server's own certificate first. */
  cert?: Pem | undefined
  /** Authorities that may sign clients' certificates. */
  ca?: Pem | readonly Pem[] | undefined
  /** Decrypts `key`. */
  passphrase?: string | undefined
  /** Asks clients for a certificate. Needs `ca`. @default false */
  requestCert?: boolean | undefined
  /** `false` also accepts clients without a certificate; an invalid one is still refused. @default true */
  rejectUnauthorized?: boolean | undefined
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

/** A connection that is signing in. */
export interface Visitor {
  /** Id of the connection; a reconnect gets another one. */
  readonly id: string
  readonly handshake: {
    /** HTTP headers, names in lower case; for a client inside the process, its `extraHeaders`. */
    readonly headers: Readonly<Record<string, string>>
    /**
     * The token that a client brought: by `Authorization: Bearer`, or as a page does, which cannot set headers
     * (`selvedge/browser`). Not verified.
     */
    readonly token: string | undefined
    /** Network address, by the word of `trustedProxies`; empty for a client inside the process. */
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

/** Numbers of an upstream since the server started. */
export interface UpstreamTotals {
  ready: boolean
  /** It has been away for more than 30 s: clients are better off at another broker. */
  overdue: boolean
  /** Subscribed to there, each once. */
  patterns: number
  /** Memberships of queue groups there. */
  members: number
  sent: Traffic
  received: Traffic
  /**
   * Messages that were dropped: for whoever listens elsewhere, while it was away; and from there, if the member of a
   * queue group that NATS had chosen had just left without draining, and no other one is here.
   */
  lost: number
  /** Operations that wait for it. */
  held: number
}

/** The fabric that a broker is a gateway of, and as whom it signs in there. */
export interface UpstreamOptions {
  /** `nats://` addresses, `tls://` for nothing without TLS. A user may stand before a host and `@`. */
  address: string | readonly string[]
  /** Who signs in, with `password`. Takes precedence over `address`, as do the next ones. */
  user?: string | undefined
  /** Never shown. */
  password?: string | undefined
  /** A token instead of a user, not empty. Never shown. */
  token?: string | undefined
  /** The seed of a user's NKey, `SU…`. It signs the server's challenge, and is never sent. */
  nkey?: string | undefined
  /** A user with a JWT of their account: the text of a `.creds` file, or its path. */
  credentials?: string | undefined
  /** Connect to no servers but those of `address`. @default false */
  ignoreDiscovered?: boolean | undefined
  /**
   * Lets clients use subjects that begin with `$`, `_R_` or `_GR_`, which NATS takes for commands: with them a
   * client can delete streams of JetStream. @default false
   */
  reserved?: boolean | undefined
  /** Connects through this HTTP proxy, as `connect` does; `false`: never. @default the environment's */
  proxy?: string | false | undefined
  /** The certificate authorities to trust, in PEM. @default those that Node.js trusts */
  ca?: Pem | readonly Pem[] | undefined
  /** The broker's certificate, for servers that ask for one: PEM, followed by its chain. */
  cert?: Pem | undefined
  /** The key to `cert`, in PEM. */
  key?: Pem | undefined
  /** Decrypts `key`. */
  passphrase?: string | undefined
  /** `false` accepts any certificate. @default true */
  rejectUnauthorized?: boolean | undefined
  /** The name that the certificate must be for. @default the host of `address` */
  servername?: string | undefined
  /** @default "TLSv1.2" */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

/** The events of a broker and what listeners get. */
export interface ServerEvents {
  ready: []
  /**
   * The upstream can be used, or not: local traffic goes on without it. `error` says why it is away:
   * `"ECONNREFUSED"` no server · `"ERR_REFUSED"` the sign-in was refused · `"ERR_UNSUPPORTED"` too old ·
   * `"ETIMEDOUT"` it was silent · `"ERR_CONNECT"` others. The broker tries again.
   */
  upstream: [state: 'ready' | 'away', error: FabricError | undefined]
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
export declare class ConatServer extends Emitter<ServerEvents> {
  /** As `init`. */
  constructor(options?: ServerOptions & ForeignInit)
  /**
   * Checks options as `init` does, and starts nothing: whether a port is free, a name is known or an upstream answers is
   * not looked at.
   *
   * @throws {FabricError} what `init` throws
   * @example
   * ConatServer.check({ port: 3000, ssl: { key, cert } })
   */
  static check(options?: ServerOptions & ForeignInit): void
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
  /** What the broker has counted, as metrics. Counters stay when it is closed. */
  metrics(): MetricFamily[]
  /** Where the port for metrics listens; `null` before `ready`, and without `metrics.port`. */
  metricsAddress(): ServerAddress | null
  /**
   * Returns a function for your own HTTP server: it answers requests for `/monitor` and below, and returns whether it
   * does. It answers none without the option `monitor`.
   */
  monitorHandler(): (request: IncomingMessage, response: ServerResponse) => boolean
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
        /** Bytes of memory that are held for all connections: what `maxMemoryBytes` bounds. */
        memoryBytes: number
        /** Messages, or chunks of them, that were accepted; bytes of their payloads. */
        published: Traffic
        /** The same for each connection that they were handed to. */
        delivered: Traffic
        publishesRefused: number
        connectionsRefused: number
        slowConsumers: number
        /** Of a gateway. */
        upstream?: UpstreamTotals
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
  setSecureContext(options: {
    key: Pem
    cert: Pem
    ca?: Pem | readonly Pem[] | undefined
    passphrase?: string | undefined
  }): void
  /** Returns a new client of this broker that needs no network; with `address`, one that connects there. */
  client(options?: ConnectOptions & ForeignConnect): Client
  /** A view on the connections, in the form of a Socket.IO server. */
  readonly io: {
    readonly engine: { readonly clientsCount: number }
    readonly sockets: { readonly sockets: ReadonlyMap<string, ConnectionView> }
    /** Returns the same for every namespace: there is one. */
    of(namespace: string): { readonly sockets: ReadonlyMap<string, ConnectionView> }
    /** Ends every connection; clients come back by themselves. */
    disconnectSockets(): void
    /** As `close` of the broker. */
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
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ERR_OUT_OF_RANGE"` · `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  waitForInterest(
    subject: string,
    timeout?: number,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<boolean>
  /** Disconnects these connections; their clients may sign in again. Returns how many there were. */
  disconnect(ids: string | readonly string[]): number
  /**
   * Forgets every decision of `isAllowed` about these connections (default all), and asks again about each of
   * their subscriptions and pending waits: those that are denied end, and their client emits `permission`.
   * Call it when permissions change. Returns the number of connections.
   */
  revalidate(ids?: string | readonly string[]): number
  /**
   * Changes limits while it runs; those that are absent stay. Nobody is closed for it: what is above a new limit stays,
   * and more is refused. Limits of subscriptions are for those who sign in from now on. A connection that holds more
   * memory than a new limit is closed when more comes for it.
   *
   * @throws {FabricError} `"ERR_INVALID_ARG_TYPE"` · `"ERR_OUT_OF_RANGE"` · `"ERR_UNKNOWN_OPTION"`: nothing has changed
   * @example
   * broker.setLimits({ maxConnections: 20_000 })
   */
  setLimits(limits: LimitChanges): void
  /**
   * Waits until it listens: for ever, or this many ms, or as the options say. @throws {FabricError} `408` · `"ABORT_ERR"` ·
   * `"EADDRINUSE"` … why it cannot
   */
  waitUntilReady(timeout?: number | WaitOptions): Promise<void>
  /**
   * Accepts no more connections, and disconnects all clients, spread over `spread`: each when its own
   * requests are answered, and those that answer requests after that. Requests made meanwhile wait for the
   * next server. They reconnect, to another server if one shares the address, and their sockets resume there.
   * Then closes, at `deadline` at the latest. `/healthz` answers 503 meanwhile.
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
  name?: ((user: Agreed) => string | undefined) | undefined
  /** Patterns of the subjects that a user may listen on for sockets, and in whose rooms it is a server. @default none */
  serve?: (readonly string[] | ((user: Agreed) => readonly string[])) | undefined
  /** Patterns of the subjects that a user may connect sockets to. @default ['>'] */
  connect?: (readonly string[] | ((user: Agreed) => readonly string[])) | undefined
  /**
   * Decides about everything that belongs to no inbox and no socket. Never asked about a pattern that such a
   * subject could match, such as `a.>`: that is denied. @default denies
   */
  other?:
    | ((question: { type: 'pub' | 'sub'; user: Agreed; subject: string }) => boolean | Promise<boolean>)
    | undefined
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
/** The same, with two arguments. */
export declare function matchesPattern(pattern: string, subject: string): boolean

/** Returns whether one token of a pattern matches one token of a subject. */
export declare function matchesSegment(pattern: string, token: string): boolean

/** Returns an id that nobody can guess: one token of a subject. */
export declare function randomId(): string

/** The longest wait for interest, in ms: 90_000. */
export declare const MAX_INTEREST_TIMEOUT: number
/** How long a request without a `timeout` waits, in ms: 30_000. */
export declare const DEFAULT_REQUEST_TIMEOUT: number
/** How long a publish without a `timeout` waits, in ms: 30_000. */
export declare const DEFAULT_PUBLISH_TIMEOUT: number
/** How long a subscription without a `timeout` waits, in ms: 60_000. */
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
  service?: string | undefined
  /** The subject itself; the other fields then only describe. */
  subject?: string | undefined
  /** Without `subject`: makes it `services.account-<account_id>.<browser_id or _>.<service>`. */
  account_id?: string | undefined
  browser_id?: string | undefined
  /** Makes it `services.project-<project_id>.<compute_server_id or _>.<service>.<base64url of path, or _>`. */
  project_id?: string | undefined
  compute_server_id?: number | string | undefined
  path?: string | undefined
  /** For people. */
  description?: string | undefined
  /** @default the client of `setConatClient`, else the default client */
  client?: Client | undefined
}

/** Where services find their client: one, or an object with a function that makes it. */
export type ConatClientSource = Client | { conat: () => Client | Promise<Client> }

/** Sets the client of all services and calls that name none; `undefined`: the default client again. */
export declare function setConatClient(source: ConatClientSource | undefined): void

/** A service of one function. */
export interface ServiceSetup extends ServiceName {
  /** Returns, or resolves with, the answer to what was asked. What it throws, the caller gets, with text and code. */
  handler: (mesg: Agreed, message: Message) => unknown
  /** Clients whose services have the same queue share the calls; those of one client run each call. @default '0' */
  queue?: string | undefined
  /** Gets every call, also those that other services get. @default false */
  all?: boolean | undefined
}

/** How a service is called. */
export interface ServiceCall extends ServiceName {
  /** What is asked. */
  mesg: unknown
  /** Milliseconds for the answer, the waiting for a service included. @default 30_000 */
  timeout?: number | undefined
  signal?: AbortSignal | undefined
  /** Fails with `503` at once if there is no service now. @default false */
  noRetry?: boolean | undefined
}

/** The events of a service and what listeners get. */
export interface ConatServiceEvents {
  /** Calls can arrive. */
  running: []
  /** With the reason if it could not run. */
  closed: [reason: FabricError | undefined]
}

/** A running service. Made by `createConatService` and `createServiceHandler`. */
export declare class ConatService extends Emitter<ConatServiceEvents> {
  private constructor()
  readonly subject: string
  readonly name: string
  /** `starting` until calls can arrive. */
  readonly state: 'starting' | 'running' | 'closed'
  /** Settles when calls can arrive. @throws {FabricError} as `Client.subscribe` */
  readonly running: Promise<void>
  /** Takes no more calls. */
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
  conat: { waitFor(options?: { maxWait?: number | undefined }): Promise<void>; ping(): Promise<boolean> }
}

/** The time service. */
export interface TimeApi {
  /** Milliseconds since 1970. */
  time(): number
}

/** Serves this process's time. @throws {FabricError} as `Client.subscribe` */
export declare function createTimeService(options?: { client?: Client | undefined }): Promise<ConatService>

/** The time service, as an object. `timeout` in ms, default 30_000. */
export declare function timeClient(options?: {
  client?: Client | undefined
  timeout?: number | undefined
}): Remote<TimeApi>

/**
 * Resolves with how many ms this process's clock is ahead of the time service's. `timeout` in ms, default 30_000.
 * Believes anyone who may subscribe to `services.hub.time`: do not use it for decisions that nobody may
 * shift.
 *
 * @throws {FabricError} as `callConatService` · `"ERR_SERVICE"` the answer is not a time
 */
export declare function getSkew(options?: {
  client?: Client | undefined
  timeout?: number | undefined
}): Promise<number>

/**
 * Returns the time of the time service in ms since 1970: this process's clock, corrected by the latest `getSkew`. That
 * is measured in the background once an hour, and 10 s after it failed, unless `noLoad` is set; until it is known, nothing
 * is corrected.
 */
export declare function time(options?: { noLoad?: boolean | undefined }): number

/** What a server is, and its totals. Times in ms since 1970. */
export interface BrokerOverview {
  id: string
  /** Of its cluster. */
  name: string
  version: string
  now: number
  started: number | null
  draining: boolean
  /** Where it listens. */
  address: string | null
  totals: NonNullable<ConatServer['totals']>
  /** Options of the broker, with defaults. */
  limits: { maxConnections: number; maxMemoryBytes: number }
}

/** What connections can be sorted by. */
export type ConnectionSort =
  | 'since'
  | 'id'
  | 'user'
  | 'address'
  | 'wire'
  | 'subscriptions'
  | 'msgsIn'
  | 'msgsOut'
  | 'bytesIn'
  | 'bytesOut'
  | 'outbox'

/** All of them. */
export declare const CONNECTION_SORTS: readonly ConnectionSort[]

/** Which connections are wanted. */
export interface ConnectionQuery {
  /** @default 'since' */
  sort?: ConnectionSort | undefined
  /** @default `'desc'` for numbers, `'asc'` for the rest */
  order?: 'asc' | 'desc' | undefined
  /** A part of the id, of the address or of the user's JSON. */
  filter?: string | undefined
  /** @default 0 */
  offset?: number | undefined
  /** 1 to 500. @default 100 */
  limit?: number | undefined
}

/** Some connections. */
export interface ConnectionPage {
  /** How many there are. */
  total: number
  /** How many the filter lets through. */
  matching: number
  rows: ConnectionRow[]
}

/** One connection. `In` is what it published, `Out` what was handed to it; bytes are those of payloads. */
export interface ConnectionRow {
  id: string
  /** The user's JSON, at most 200 characters of it, without what looks like a secret. */
  user: string
  address: string
  wire: 'selvedge' | 'websocket' | 'conat' | 'inprocess'
  /** Milliseconds since it signed in. */
  age: number
  subscriptions: number
  msgsIn: number
  msgsOut: number
  bytesIn: number
  bytesOut: number
  /** Bytes that wait to be read by it. */
  outbox: number
}

/** One connection with what it subscribes to. */
export interface ConnectionDetail extends ConnectionRow {
  /** The first 1000; an inbox is told by its first token alone. `queue` is `''` where it shares with nobody. */
  patterns: { pattern: string; queue: string }[]
}

/** Which subscribed patterns are wanted. */
export interface SubjectQuery {
  /** A part of the pattern. */
  filter?: string | undefined
  /** Only patterns that this subject matches. */
  match?: string | undefined
  /** @default 0 */
  offset?: number | undefined
  /** 1 to 500. @default 100 */
  limit?: number | undefined
}

/** Some patterns, the most subscribed first. */
export interface SubjectPage {
  total: number
  /** How many the filter lets through. */
  matching: number
  rows: {
    /** Inboxes are one row, of their first token. */
    pattern: string
    subscriptions: number
    /** Queue groups, at most 10. */
    queues: string[]
  }[]
}

/** Which sockets are wanted. */
export interface SocketQuery {
  /** A part of the subject, of the socket's id or of its connection's. */
  filter?: string | undefined
  /** Only sockets on this subject. */
  subject?: string | undefined
  /** @default 0 */
  offset?: number | undefined
  /** 1 to 500. @default 100 */
  limit?: number | undefined
}

/** Some sockets, sorted by subject. */
export interface SocketPage {
  total: number
  /** How many the filter lets through. */
  matching: number
  rows: {
    subject: string
    id: string
    /** The connection of its client. */
    connection: string
    /** How many listen on its subject at this broker. */
    listeners: number
    /** What the client's end tells; `null`: it does not (another program, a web page, or not yet). */
    client: SocketEndReport | null
    /** What the server's end tells, with its connection. `null` as above, and where the server is at another broker. */
    server: (SocketEndReport & { connection: string }) | null
  }[]
}

/** What one end of a socket has told its broker: every 5 s, if something has changed. */
export interface SocketEndReport {
  state: 'connecting' | 'ready' | 'disconnected'
  /** Messages of data that it has written. */
  sent: number
  /** Messages of data that it has received. */
  received: number
  /** Messages that it has written and that are not acknowledged: what is used of `maxQueueSize`. */
  pending: number
  /** Their bytes: what is used of `maxQueueBytes`. */
  pendingBytes: number
  /** Messages that it has sent again. */
  resent: number
}

/** Rates of a broker: a second. */
export interface BrokerRates {
  msgsIn: number
  msgsOut: number
  bytesIn: number
  bytesOut: number
}

/** Something that happened at a broker that has a monitor. Texts are cut at 200 characters. */
export interface BrokerEvent {
  /** Counted from 1; a gap: more happened than is kept. */
  number: number
  /** In ms since 1970, exact to the second. */
  time: number
  kind:
    | 'connect'
    | 'disconnect'
    | 'slow_consumer'
    | 'refused'
    | 'sign_in_failed'
    | 'subscribe_refused'
    | 'publish_refused'
    | 'drain'
    | 'action'
  /** Of the connection. */
  id: string
  /** Why, in one word. */
  code: string
  /** A user, a subject, or the text of an error. */
  text: string
}

/** What the monitor tells of a broker: `GET /monitor/api/overview?since=TIME`. */
export interface MonitorOverview extends BrokerOverview {
  /** By reason, as in metrics. */
  counts: {
    closed: Record<string, number>
    refused: Record<string, number>
    refusedOperations: Record<string, Record<string, number>>
  }
  /** Means of the last second, and of the last minute. */
  rates: { now: BrokerRates; minute: BrokerRates }
  /** Whether the monitor may change something: `actions` of its options. */
  actions: boolean
  lastMinute: { slowConsumers: number; refusals: number }
  /** One a second: time, messages and bytes in and out a second, connections, bytes that wait. */
  history: [
    time: number,
    msgsIn: number,
    msgsOut: number,
    bytesIn: number,
    bytesOut: number,
    connections: number,
    outbox: number,
  ][]
}

/** What a server tells system accounts about itself and its fabric. */
export interface SysApi {
  /** Counters of each connection: by id of the server, then of the connection. */
  stats(): Record<string, Record<string, ConnectionStats>>
  /** The number of connections, in total and by user: by id of the server. */
  usage(): Record<string, Usage>
  /** What the server is, and its totals. */
  overview(): BrokerOverview
  /** Some of its connections, filtered, sorted and cut where they are. */
  connections(query?: ConnectionQuery): ConnectionPage
  /** One of them by its id, with its patterns. */
  connection(id: string): ConnectionDetail | null
  /** Some of the patterns that are subscribed. */
  subjects(query?: SubjectQuery): SubjectPage
  /** Some of the sockets that go through it. */
  sockets(query?: SocketQuery): SocketPage
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
  options?: { id?: string | undefined; clusterName?: string | undefined } & RequestOptions,
): Remote<SysApi>

/** The system service of all servers, as `Client.callMany`. */
export declare function sysApiMany(
  client: Client,
  options?: { clusterName?: string | undefined } & RequestManyOptions,
): RemoteMany<SysApi>

/** Sets the timeouts, in ms, of all later calls that name none. */
export declare function setDefaultTimeouts(timeouts: {
  request?: number | undefined
  publish?: number | undefined
}): void

/** Sets the timeouts, in ms, of all sockets that are created later. */
export declare function setDefaultSocketTimeouts(timeouts: {
  command?: number | undefined
  keepAlive?: number | undefined
  keepAliveTimeout?: number | undefined
}): void

/** The header with a socket's command, on the wire. */
export declare const SOCKET_HEADER_CMD: 'CN-SocketCmd'

/** The header with a socket's sequence number, on the wire. */
export declare const SOCKET_HEADER_SEQ: 'CN-SocketSeq'
