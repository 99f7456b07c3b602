/**
 * Clients and sockets for web pages: plain JavaScript without the engine, over a WebSocket to any broker or gateway of
 * selvedge. Names, errors and promises are those of the main module, of which this is a part; docs/guide/browser.md
 * lists what is left out. Bytes are a `Uint8Array` where Node.js has a `Buffer`.
 *
 * @example
 * import { connect } from 'selvedge/browser'
 * const client = connect({ address: 'https://fabric.example' })
 * const socket = client.socket.connect('chat')
 * socket.on('data', data => console.log(data))
 * socket.write('hello')
 */

// What others have agreed on with this program, which no type checks.
// biome-ignore lint/suspicious/noExplicitAny: as said
type Agreed = any

/** Ends with nothing: what `AsyncIterableIterator<T, undefined>` is from TypeScript 5.6 on. */
export interface AsyncValues<T> extends AsyncIterableIterator<T> {
  next(): Promise<IteratorResult<T, undefined>>
  return?(): Promise<IteratorResult<T, undefined>>
  [Symbol.asyncIterator](): AsyncValues<T>
}

/** Application headers: any JSON object. Names that begin with `CN-` are reserved. */
export type Headers = Record<string, unknown>

/** How a payload is encoded. */
export declare enum DataEncoding {
  MsgPack = 0,
  JsonCodec = 1,
}

/** Every error that is thrown, rejected with, or handed to `closed`. docs/reference/errors.md has the codes. */
export declare class FabricError extends Error {
  constructor(message: string, code: number | string, options?: { cause?: unknown; data?: unknown })
  /** What programs match on. */
  readonly code: number | string
  /** On the reason of a closed socket, and on `"ERR_UNDELIVERED"`: messages that are not known to have been handled. */
  readonly undelivered?: number
  /** On `"ERR_SOCKET_CLOSED_BY_PEER"`: messages of the other side that did not come. Absent: all came. */
  readonly missing?: number
  /** On `"ERR_TOO_LARGE"`: the bytes of payload and headers. */
  readonly size?: number
  /** On `"ERR_TOO_LARGE"`: how many there may be. */
  readonly limit?: number
  /** On the failure of a request over a socket: no handler of the other side has had it. */
  readonly handled?: false
  /** On the reason of a closed socket: its server is leaving. */
  readonly draining?: true
  /** On the failure of a request over a socket that was answered with an error: its `data`. */
  readonly data?: unknown
}

/** Events, as Node's `EventEmitter` has them. A listener that throws does not stop the others. */
export interface Emitter<Events extends Record<keyof Events, unknown[]>> {
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
  once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): boolean
  listenerCount(name: keyof Events): number
}

/** How a value is sent. */
export interface MessageOptions {
  /** @default DataEncoding.MsgPack */
  encoding?: DataEncoding | undefined
  /** Sends these bytes as they are instead of the value; set `encoding` to match. */
  raw?: Uint8Array | undefined
  /** Sent beside the payload. @default none */
  headers?: Headers | null | undefined
}

/** How something is waited for. */
export interface WaitOptions {
  /** Milliseconds, then `408`. */
  timeout?: number | undefined
  /** Stops the waiting: `"ABORT_ERR"`. */
  signal?: AbortSignal | undefined
}

/** How a message is published and confirmed; or how an answer is waited for. `timeout` is 30 s by default. */
export interface PublishOptions extends MessageOptions, WaitOptions {
  /** If nobody listens, waits until somebody does, at most `timeout`, and sends once more. @default false */
  waitForInterest?: boolean | undefined
}

/** The broker's confirmation of a publish. */
export interface Published {
  /** Length of the encoded payload. */
  bytes: number
  /** Number of subscribers reached. */
  count: number
}

/** A payload with its headers: made by `messageData`, or received. */
export declare class MessageData<T = Agreed> {
  constructor(options: {
    encoding?: DataEncoding | undefined
    raw: Uint8Array
    headers?: Headers | null | undefined
  })
  get encoding(): DataEncoding
  /** The encoded payload. */
  get raw(): Uint8Array
  get headers(): Headers | null | undefined
  /** Length of `raw`, in bytes. */
  get length(): number
  /** The decoded payload; decoded on first access. @throws {FabricError} `"ERR_DECODE"` it is damaged */
  get data(): T
  toJSON(): { encoding: DataEncoding; raw: Uint8Array; headers?: Headers | null }
}

/** A message that was received. */
export declare class Message<T = Agreed> extends MessageData<T> {
  private constructor()
  readonly subject: string
  /** Returns whether the sender waits for a reply. */
  isRequest(): boolean
  /** Of a request over a socket: aborts when nobody waits for the reply any more. */
  get signal(): AbortSignal
  /** Of a request over a socket: how long the other side waits, in ms, if that is known. */
  get timeout(): number | undefined
  /** Replies; with an `Error`, that the request rejects. @throws {FabricError} `"ERR_NOT_A_REQUEST"` · `"ERR_ENCODE"` · and as `Client.publish` */
  respond(data?: unknown, options?: MessageOptions): Promise<Published>
  /** Replies without waiting. @throws {FabricError} `"ERR_NOT_A_REQUEST"` · `"ERR_ENCODE"` */
  respondSync(data?: unknown, options?: MessageOptions): { bytes: number }
}

/** Encodes a value once, to send it many times. @throws {FabricError} `"ERR_ENCODE"` */
export declare function messageData(data: unknown, options?: MessageOptions): MessageData

/** Encodes a value as it would be sent. @throws {FabricError} `"ERR_ENCODE"` */
export declare function encode(options: { encoding?: DataEncoding | undefined; mesg: unknown }): Uint8Array

/** Decodes a value; no bytes at all are `undefined`. @throws {FabricError} `"ERR_DECODE"` */
export declare function decode(options: { encoding?: DataEncoding | undefined; data: Uint8Array }): Agreed

/** What is used of a WebSocket class: the browser's, Node's, or that of the package `ws`. */
export type WebSocketClass = new (url: string, protocols: string[]) => Agreed

/** How a client connects. */
export interface ConnectOptions {
  /** `https://host:port/base` of a broker; `http:`, `ws:` and `wss:` as well. @default the page's origin */
  address?: string | undefined
  /** Path below the address. @default "/conat" */
  path?: string | undefined
  /**
   * Who signs in, beside the cookies that the browser sends: a token of at most 4 KiB, or what returns one, which is
   * called for each attempt to connect. `getUser` of the broker finds it as `handshake.token`. Never shown.
   */
  token?: (string | (() => string | Promise<string>)) | undefined
  /** First token of the subject where replies arrive. Must start with `_INBOX`. @default "_INBOX" */
  inboxPrefix?: string | undefined
  /** Connects at once, without `connect()`. @default true */
  autoConnect?: boolean | undefined
  /**
   * Reconnects, for ever, when the connection is lost. `false`: whatever waits, and every later call, ends
   * with the reason of `connectFailed` or `disconnected`, until `connect()`. Subscriptions end, too, and
   * sockets close: `"ERR_SOCKET_LOST"`, whose `cause` is that reason.
   * @default true
   */
  reconnection?: boolean | undefined
  /** Unit of the pauses before reconnecting, in ms. @default 500 */
  reconnectionDelay?: number | undefined
  /** Longest pause, in ms. @default 15_000 */
  reconnectionDelayMax?: number | undefined
  /** How long a publish or a request waits for a connection, in ms; 0: for ever. @default 60_000 */
  offlineTimeout?: number | undefined
  /** Bytes of one message, payload and headers, at least 64 KiB. @default 64 MiB */
  maxMessageBytes?: number | undefined
  /** Where there is no global one. @default the global `WebSocket` */
  WebSocket?: WebSocketClass | undefined
}

/** The events of a client and what listeners get: as in the main module. */
export interface ClientEvents {
  connected: []
  disconnected: [reason?: FabricError]
  signInRefused: [reason: FabricError]
  info: [info: Record<string, unknown>]
  inbox: []
  permission: [refusal: { message: string; subject: string; type: 'pub' | 'sub' }]
  connectFailed: [reason: FabricError]
  closed: [reason: FabricError | undefined]
}

/** How a subscription receives. */
export interface SubscriptionOptions extends WaitOptions {
  /**
   * Clients that subscribe with the same queue share the messages. @default the queue that the client has on the pattern, or
   * else one of its own
   */
  queue?: string | undefined
  /** Ends after this many messages. @default no limit */
  maxMessages?: number | undefined
  /**
   * Bytes that may wait to be read: of each message its payload, headers (characters of their JSON) and names, and 256 for its
   * place. Beyond them the newest are dropped and counted; one alone always fits. @default 64 MiB
   */
  maxQueueBytes?: number | undefined
}

/** The messages to one pattern, to be iterated. Leaving a `for await` closes it. It outlives reconnects. */
export interface Subscription extends AsyncValues<Message> {
  readonly subject: string
  readonly queue: string
  readonly ended: boolean
  /** Number of messages lost because more than `maxQueueBytes` waited. */
  readonly dropped: number
  /** Emits `message`. While it has listeners and nobody iterates, nothing is queued. */
  readonly emitter: Emitter<{ message: [message: Message] }>
  /** Ends it, as leaving a `for await` does. */
  return(): Promise<IteratorResult<Message, undefined>>
  /** Ends it at once: unread messages are dropped. */
  close(): void
}

/**
 * A client of the fabric. Returns at once and connects in the background. While its page is hidden or asleep it keeps
 * its sockets, and looks after its connection as soon as the page is awake.
 *
 * @throws {FabricError} an option is wrong; never because of the network
 */
export declare function connect(options?: ConnectOptions): Client

// Its events. The class is below.
export interface Client extends Emitter<ClientEvents> {}
/** Publishes, subscribes, sends requests, and connects sockets. */
export declare class Client {
  constructor(options?: ConnectOptions)
  readonly id: string
  readonly state: 'disconnected' | 'connected' | 'closed'
  /** As given, without `token`. */
  readonly options: Readonly<ConnectOptions>
  /** What the broker sent at the last sign-in. */
  readonly info: Record<string, unknown> | undefined
  readonly socket: {
    /**
     * Connects a socket to a server that listens on `subject`. Returns at once; writes are queued until it is ready.
     * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ABORT_ERR"` · `"ERR_CLOSED"`
     */
    connect(subject: string, options?: SocketOptions): ClientSocket
  }
  /** Connects, after `disconnect()` or with `autoConnect: false`. @throws {FabricError} `"ERR_CLOSED"` */
  connect(): void
  /** Disconnects until `connect()`. Subscriptions and sockets are kept, and wait. */
  disconnect(): void
  /** Closes the client with its subscriptions and sockets. What was published leaves first. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  /** Waits for the connection. @throws {FabricError} `408` · `"ABORT_ERR"` · `"ERR_CLOSED"` */
  waitUntilConnected(options?: WaitOptions): Promise<void>
  /** Waits until the broker has accepted the sign-in. @throws {FabricError} `"ERR_SIGN_IN"`, and as above */
  waitUntilSignedIn(options?: WaitOptions): Promise<void>
  /** Waits until replies can arrive and all subscriptions are in place. @throws {FabricError} as above */
  waitUntilReady(options?: WaitOptions): Promise<void>
  /**
   * Subscribes to a pattern (`*` one token, a final `>` one or more), and resolves when messages flow.
   * @throws {FabricError} `403` · `408` · `429` · `"ERR_QUEUE_GROUP"` · `"ERR_INVALID_SUBJECT"` · `"ABORT_ERR"` ·
   *   `"ERR_CLOSED"`
   */
  subscribe(subject: string, options?: SubscriptionOptions): Promise<Subscription>
  /**
   * Subscribes without waiting. If the broker refuses, or does not confirm within `timeout`, iterating throws what
   * `subscribe` would.
   */
  subscribeSync(subject: string, options?: SubscriptionOptions): Subscription
  numSubscriptions(): number
  /**
   * Publishes, and resolves when the broker has confirmed.
   * @throws {FabricError} `403` · `408` · `"ENOBUFS"` · `"ERR_TOO_LARGE"` · `"ERR_ENCODE"` · `"ERR_INVALID_SUBJECT"` ·
   *   `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  /** Publishes without confirmation. Dropped if the client is not connected yet. */
  publishSync(subject: string, data?: unknown, options?: MessageOptions): { bytes: number }
  /** Sends a request and resolves with the first reply. @throws {FabricError} `503` nobody listens, and as `publish` */
  request(subject: string, data?: unknown, options?: PublishOptions): Promise<Message>
  /** The service on a subject, as an object: every method sends a request and resolves with the result. */
  call<T = Agreed>(subject: string, options?: PublishOptions): T
  /** Resolves with whether anybody listens on `subject` now. @throws {FabricError} `403` · `"ABORT_ERR"` · `"ERR_CLOSED"` */
  interest(subject: string, options?: { signal?: AbortSignal | undefined }): Promise<boolean>
  /** Resolves with `true` when somebody listens. @throws {FabricError} `408` · `403` · `"ABORT_ERR"` */
  waitForInterest(subject: string, options?: WaitOptions): Promise<boolean>
  /** As the function `messageData`. */
  message(data: unknown, options?: MessageOptions): MessageData
  toJSON(): object
}

/** Options of a socket: as in the main module. */
export interface SocketOptions {
  /** How many messages may be unacknowledged before `write` throws. @default 1000 */
  maxQueueSize?: number | undefined
  /** The same in bytes. @default 256 MiB */
  maxQueueBytes?: number | undefined
  /** Bytes of one message. @default those of the client */
  maxMessageBytes?: number | undefined
  /** Pings the other side after this many ms without a message from it; 0 or less: never. @default 45_000 */
  keepAlive?: number | undefined
  /** Milliseconds that the other side has to send anything after a ping. @default 30_000 */
  keepAliveTimeout?: number | undefined
  /** How long a server that is away is waited for, in ms. @default 2 s if there is another one, else 30 to 45 s */
  resumeTimeout?: number | undefined
  /** Reconnects when the connection is lost. @default true */
  reconnection?: boolean | undefined
  /** Milliseconds to get `ready` for the first time; then it closes with `408`. @default none */
  timeout?: number | undefined
  /** Until then: closes it with `"ABORT_ERR"`. One that is aborted before throws. */
  signal?: AbortSignal | undefined
}

/** How a value is written. */
export interface WriteOptions extends MessageOptions {
  /** At most once: dropped, and counted, if the socket is not ready or its window is full. @default false */
  volatile?: boolean | undefined
}

/** How a value is sent whose delivery is awaited. */
export interface SendOptions extends MessageOptions {
  /** Milliseconds to wait for the other side; then `408`. The message is not taken back, and may still arrive. @default none */
  timeout?: number | undefined
  /** Stops the waiting, with `"ABORT_ERR"`; not what is on its way. Aborted before: nothing is sent. */
  signal?: AbortSignal | undefined
}

/** How long `end` waits. */
export interface EndOptions {
  /**
   * Milliseconds in all, whatever moves. Of several calls the one whose time is over first counts, for all of them; one
   * that names neither `timeout` nor `idle` only waits with the others. @default none: as long as something moves
   */
  timeout?: number | undefined
  /** Milliseconds without an acknowledgement or answer after which it gives up, without `timeout`. @default 10_000 */
  idle?: number | undefined
  /** Stops the waiting of this call, with `"ABORT_ERR"`; the end goes on. Aborted before: nothing is ended. */
  signal?: AbortSignal | undefined
}

/** A message that the other side of a closed socket is not known to have handled. */
export interface UndeliveredMessage extends MessageData {
  /** 1 for the first message that was written to its socket. */
  readonly seq: number
}

/** The events of a socket and what listeners get: as in the main module. */
export interface SocketEvents {
  data: [data: Agreed, headers: Headers]
  request: [message: Message]
  drain: []
  disconnected: [reason?: FabricError]
  connecting: []
  ready: []
  closed: [reason: FabricError | undefined, undelivered: number]
}

/** Counters of a socket. */
export interface SocketStats {
  readonly sent: number
  readonly sentBytes: number
  readonly acknowledged: number
  readonly received: number
  readonly receivedBytes: number
  readonly resent: number
  readonly duplicates: number
  readonly foreign: number
  readonly volatileDropped: number
  readonly pending: number
  readonly pendingBytes: number
}

/**
 * A reliable socket: what is written arrives in order and exactly once, across reconnects; if that becomes impossible,
 * `closed` says how many messages may be missing. Its members are those of the main module's.
 */
export interface ClientSocket extends Emitter<SocketEvents> {
  readonly id: string
  readonly subject: string
  readonly role: 'client'
  readonly state: 'disconnected' | 'connecting' | 'ready' | 'closed'
  readonly ended: boolean
  /** The `id` of the server that it belongs to; `undefined` before it was ready. */
  readonly serverId: string | undefined
  readonly stats: SocketStats
  /**
   * Writes a value. Returns whether half of the window is free.
   * @param second The headers; or options, if all its keys are names of options.
   * @throws {FabricError} `"ENOBUFS"` · `"EPIPE"` · `"ERR_TOO_LARGE"` · `"ERR_ENCODE"`
   */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean
  /**
   * Writes a value, and resolves when the other side's handler has been called with it.
   * @throws {FabricError} as `write` · `408` · `"ABORT_ERR"` · `"ERR_UNKNOWN_OPTION"` headers that stand alone · the reason of
   *   `closed`
   */
  send(data: unknown, options?: SendOptions): Promise<void>
  /**
   * Sends a request to the other side. If it answers with an error, rejects with its text and code (or `"ERR_SERVICE"`).
   * @throws {FabricError} `503` · `408` · `"EPIPE"` · `"ERR_DRAINING"` · `"ABORT_ERR"`
   */
  request(data?: unknown, options?: PublishOptions): Promise<Message>
  /** Has a function answer requests: what it returns or resolves with is the answer, what it throws an error answer. */
  handle(answer: (question: Agreed, message: Message) => unknown): this
  /**
   * Resolves when everything written is acknowledged. @throws {FabricError} it never will be: the reason of `closed`, or
   * `"ERR_CLOSED"` after a close on this side · `408` · `"ABORT_ERR"`
   */
  drain(options?: WaitOptions): Promise<void>
  waitUntilDrain(options?: WaitOptions): Promise<void>
  /** Resolves when `write` would return `true`. @throws {FabricError} as `drain` */
  waitUntilWritable(options?: WaitOptions): Promise<void>
  /** Waits for the state `ready`: for ever, or this many ms, or as the options say. @throws {FabricError} as above */
  waitUntilReady(timeout?: number | WaitOptions): Promise<void>
  /** Holds data back from listeners and iterators until `resume()`. */
  pause(): this
  resume(): this
  isPaused(): boolean
  /** Iterates over the data; a message is acknowledged as soon as it is returned. */
  iter(): AsyncValues<[data: Agreed, headers: Headers]>
  /**
   * Iterates over the data; a message is acknowledged when the loop asks for the next one. Begins with what
   * had arrived and no reader has had, as does a first listener; one that begins after the end throws if
   * messages were left unread (`missing`). Each of several loops gets everything, and a message is
   * acknowledged when the last of them is done with it.
   */
  [Symbol.asyncIterator](): AsyncValues<[data: Agreed, headers: Headers]>
  /** After `closed`: the messages that the other side is not known to have handled, in order. */
  undelivered(): UndeliveredMessage[]
  /** Reconnects, after `disconnect()`. @throws {FabricError} `"ERR_CLOSED"` */
  connect(): void
  /** Disconnects the socket; it reconnects by itself if `reconnection` is on. */
  disconnect(): void
  /** Closes at once, and tells the other side. */
  close(): void
  /**
   * The same as `close`. With a reason, what was written is incomplete: loops of the other side throw
   * `"ERR_SOCKET_ABORTED"`, whose text has that of this error.
   */
  destroy(reason?: unknown): void
  /**
   * Ends cleanly: writes no more, and resolves when the other side has handled everything.
   * @throws {FabricError} `"ERR_UNDELIVERED"` its time is over, or the socket has closed, and messages are left · `"ABORT_ERR"`
   */
  end(options?: EndOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  toJSON(): object
}

/** A member of a room: all its sockets that have joined with one key. */
export interface RoomMember {
  readonly key: string
  /** What its newest socket has joined with; `null` if nothing. */
  readonly data: Agreed
  /** Oldest first; `since` in ms since 1970. */
  readonly sockets: readonly { readonly id: string; readonly server: string; readonly since: number }[]
  /** None of its sockets can be reached now: each is away, or its server is. */
  readonly stale: boolean
}

/** The events of a room as a page follows it. */
export interface RoomViewEvents {
  join: [member: RoomMember]
  /** Its data, its sockets or `stale` have changed. */
  update: [member: RoomMember]
  leave: [member: RoomMember, reason: 'left' | 'closed' | 'server-left' | 'server-lost']
  /** All members are known: at first, and again after the page could not keep up. */
  sync: []
}

/** A room as a page follows it. Made by `watchRoom`. */
export interface RoomView extends Emitter<RoomViewEvents> {
  readonly name: string
  /** By key: those of all servers. As it was last, once the socket is closed. */
  readonly members: ReadonlyMap<string, RoomMember>
  /** Follows the room no more. */
  close(): void
}

/**
 * Follows who is in a room, once the socket's server allows it with `room.watch(socket)`. Changes of the room
 * are not `data` events. Returns the same object for the same name until that is closed.
 * @throws {FabricError} `"ERR_CLOSED"` · `"ENOBUFS"` · `"ERR_INVALID_ARG_VALUE"`
 */
export declare function watchRoom(socket: ClientSocket, room: string): RoomView
