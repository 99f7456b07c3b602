/**
 * selvedge: reliable, ordered sockets over a pub/sub fabric; drop-in for the socket module of Conat.
 *
 * All durations are milliseconds, all sizes bytes. No object emits `error`: `closed` carries the reason, once, and is the
 * last event. Nothing is emitted inside the call that caused it. Options with unknown names are refused
 * (`"ERR_UNKNOWN_OPTION"`), as are values of a wrong type (`"ERR_INVALID_ARG_TYPE"`) or range (`"ERR_OUT_OF_RANGE"`); an
 * async method rejects with these, a sync one throws.
 */

import type { EventEmitter } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'

/**
 * A value whose type is between sender and receiver, and unknown here: payloads, users. `any`, because programs written for Conat read such
 * values as they are; say the type where it is known: `Message<Order>`.
 */
type Agreed = any

/** Headers of a message: any JSON object. Keys that start with `CN-` are reserved and never sent by sockets. */
export type Headers = Record<string, unknown>

/** How a payload is encoded. */
export declare enum DataEncoding {
  /** MessagePack: the default, and what other programs on the fabric expect. */
  MsgPack = 0,
  /** JSON in UTF-8. */
  JsonCodec = 1,
}

/**
 * Every error that selvedge throws, rejects with, or hands to `closed`.
 *
 * `code` is a number for what the fabric refuses: `403` not permitted, `408` no answer in time, `429` over a limit,
 * `503` nobody listens. It is a string for the rest: `"ENOBUFS"`, `"EPIPE"`, `"ABORT_ERR"`, `"ERR_…"`.
 */
export declare class FabricError extends Error {
  constructor(message: string, code: number | string, options?: { cause?: unknown })
  readonly code: number | string
  /** On the reason of a closed socket: how many messages were written and not acknowledged. */
  readonly undelivered?: number
  /** On the error of a server's `write`: the ids of the sockets that did not take the message. */
  readonly ids?: string[]
}

/** The same class under Conat's name. */
export { FabricError as ConatError }

/** How a value is sent. */
export interface MessageOptions {
  /** @default DataEncoding.MsgPack */
  encoding?: DataEncoding
  /** These bytes are sent as they are, in place of the value; say their `encoding`. */
  raw?: Uint8Array
  /** Travel beside the payload: at most 896 KiB of JSON, 62 levels deep, else `"ERR_ENCODE"`. @default none */
  headers?: Headers | null
}

/** How a message is published and confirmed. */
export interface PublishOptions extends MessageOptions {
  /** Milliseconds until it gives up. @default 30_000 */
  timeout?: number
  /** When nobody listens, wait until somebody does, at most `timeout`, and send once more. @default false */
  waitForInterest?: boolean
  /**
   * Swallow what became of it, an abort included: `publish` resolves with a count of 0, `request` with `undefined`, the iterator of
   * `requestMany` ends. Wrong arguments and a closed client still throw. @default false
   */
  noThrow?: boolean
}

/** How an answer is waited for. */
export interface RequestOptions extends PublishOptions {
  /** Stops the waiting, not what is already on its way. Rejects with `"ABORT_ERR"`, `cause` is the signal's reason. */
  signal?: AbortSignal
}

/** How several answers are waited for. */
export interface RequestManyOptions extends RequestOptions {
  /** Ends after so many answers. @default no limit */
  maxMessages?: number
  /** Ends after so many milliseconds without an answer. @default until `timeout` */
  maxWait?: number
}

/** What the broker said to a publish. */
export interface Published {
  /** Length of the encoded payload. */
  bytes: number
  /** How many subscribers got it: one for each queue group of each pattern; a subscriber to `>` does not count. */
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
  /** The decoded payload; decoded when it is first asked for. @throws {FabricError} `"ERR_DECODE"` it is damaged */
  get data(): T
}

/** A message that was received. A request has its reply subject in the header `CN-Reply`. */
export declare class Message<T = Agreed> extends MessageData<T> {
  private constructor()
  readonly subject: string
  /** Whether the sender waits for an answer. */
  isRequest(): boolean
  /**
   * Answers, and resolves when the answer is confirmed. Waits for the asker's interest unless told otherwise.
   *
   * @throws {FabricError} `"ERR_NOT_A_REQUEST"` nobody asked · `408` the asker is gone · and as `Client.publish`
   */
  respond(data?: unknown, options?: PublishOptions): Promise<Published>
  /** Answers and forgets. @throws {FabricError} `"ERR_NOT_A_REQUEST"` · `"ERR_ENCODE"` · `"ERR_CLOSED"` · `"ENOBUFS"` */
  respondSync(data?: unknown, options?: MessageOptions): { bytes: number }
}

/**
 * Encodes a value once, to send it often: publish, respond and write take the result in place of a value.
 *
 * @throws {FabricError} `"ERR_ENCODE"` it has a BigInt or a function in it
 */
export declare function messageData(data: unknown, options?: MessageOptions): MessageData

/** The bytes of a value, as they travel. @throws {FabricError} `"ERR_ENCODE"` */
export declare function encode(options: { encoding?: DataEncoding; mesg: unknown }): Buffer

/** The value of some bytes; of none, `undefined`. @throws {FabricError} `"ERR_DECODE"` */
export declare function decode(options: { encoding?: DataEncoding; data: Uint8Array }): Agreed

/** How a client connects. */
export interface ConnectOptions {
  /**
   * `http://host:port/base` of a server, `https://` for TLS; `ws://` and `wss://` put everything inside a WebSocket from the start, for
   * proxies that pass nothing else; `unix:/path` is a socket in the file system. @default the environment variable `CONAT_SERVER`, else
   * the fabric inside this process
   */
  address?: string
  /** For `https` and `wss`: whose certificates are believed, in PEM. @default those that Node.js believes */
  ca?: Pem | readonly Pem[]
  /** For servers that ask for a certificate: ours, in PEM, the chain behind it. */
  cert?: Pem
  /** The key to `cert`, in PEM. */
  key?: Pem
  /** Opens `key`. */
  passphrase?: string
  /** `false`: any certificate will do. What is said is then secret, but nobody knows from whom. @default true */
  rejectUnauthorized?: boolean
  /** The name that the certificate must be for. @default the host of `address` */
  servername?: string
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** A client of one's own; without it equal options share one, which closes when all have closed it. @default false */
  noCache?: boolean
  /** Path of the server below the address. @default "/conat" */
  path?: string
  /** First token of the subject where answers arrive. Must start with `_INBOX`. @default "_INBOX" */
  inboxPrefix?: string
  /** HTTP headers for the connection, such as a cookie. */
  extraHeaders?: Record<string, string>
  /** Signs in as the system account of a server that has this password. Sent as the cookie `sys`; shown nowhere. */
  systemAccountPassword?: string
  /** Connect without being asked. @default true */
  autoConnect?: boolean
  /** Connect again, for ever, when the connection is lost. @default true */
  reconnection?: boolean
  /** First pause before connecting again, in ms; doubles, and is the first again after a connection that lasted 5 s. @default 500 */
  reconnectionDelay?: number
  /** Longest pause, in ms. @default 15_000 */
  reconnectionDelayMax?: number
  /** How much of a pause is chance, 0 to 1. 1 is full jitter: thousands of clients do not come back in step. @default 1 */
  randomizationFactor?: number
  /**
   * What to speak with the server: `'conat'`, the wire of Conat, inside a WebSocket; `'selvedge'`, our own, on the bare connection or,
   * where that is refused, inside a WebSocket, and every other server is refused. Makes no difference inside this process. @default our own if the server speaks it, else
   * Conat's
   */
  wire?: 'conat' | 'selvedge'
}

/**
 * A client of the fabric. Returns at once and connects in the background.
 *
 * The process stays alive until it is connected, then only for what is open: sockets, subscriptions, pending answers.
 *
 * @throws {FabricError} an option is wrong; never for a reason of the network
 * @example
 * const client = connect({ address: 'http://localhost:3000' })
 * await client.waitUntilSignedIn()
 */
export declare function connect(options?: ConnectOptions): Client

/** The client that all callers of this function in this process share. */
export declare function getClient(): Client

/** Counters of one direction. */
export interface Traffic {
  messages: number
  bytes: number
}

/** An orderly stop. */
export interface DrainOptions {
  /** Milliseconds until what is left is cut off. @default 10_000 */
  deadline?: number
  /** Milliseconds over which connections or sockets are let go, so that they do not all come to the next server at once. @default 1000 */
  spread?: number
}

/** The events of a client and what listeners get. */
export interface ClientEvents {
  connected: []
  /**
   * The connection is gone; with `reconnection` another one follows. The reason where one is known: `"ERR_SLOW_CONSUMER"` this client did
   * not read what came for it, the server dropped that, and the client's subscriptions have lost it · `403` and others of docs/reference/errors.md: the
   * server does not let this client subscribe to its inbox, so that it is never ready; what waited for that was rejected with the same.
   */
  disconnected: [reason?: FabricError]
  /** Signed in; what the server said. */
  info: [info: Record<string, unknown>]
  /** Answers can arrive and every subscription stands. */
  inbox: []
  /**
   * The server refused a publish, a subscribe or a wait for interest, or took back a subscription that it had confirmed (which is
   * tried again from then on). For 60 s, or until the next sign-in, the client refuses the same again by itself, at once.
   */
  permission: [refusal: { message: string; subject: string; type: 'pub' | 'sub' }]
  /**
   * An attempt to connect came to nothing, and why: `"ECONNREFUSED"` · `"ENOENT"` · `"ETIMEDOUT"` · `"ERR_REFUSED"` ·
   * `"ERR_TLS_UNTRUSTED"` and others of docs/reference/errors.md. With `reconnection` the next attempt follows.
   */
  connectFailed: [reason: FabricError]
  closed: [reason: FabricError | undefined]
}

/** Publishes, subscribes, asks, and makes sockets. Keeps its subscriptions and sockets over reconnects. */
export declare class Client extends EventEmitter<ClientEvents> {
  constructor(options?: ConnectOptions)
  readonly id: string
  readonly state: 'disconnected' | 'connected' | 'closed'
  /** As given, without `systemAccountPassword`; `extraHeaders` is there, but not printed. */
  readonly options: Readonly<ConnectOptions>
  /** What the server said at the last sign-in. */
  readonly info: Record<string, unknown> | undefined
  /** What this client and its sockets have sent and received. */
  readonly stats: { readonly sent: Traffic; readonly recv: Traffic }
  readonly conn: {
    readonly connected: boolean
    /** What the server calls this connection: a key of its `sockets`, `Visitor.id` there. A reconnect is another one. */
    readonly id: string | undefined
    /** `close()` cuts the connection as if the network had failed: a test of reconnecting. */
    readonly io: { readonly engine: { close(): void } }
  }
  /** A look at what is subscribed, by pattern. */
  readonly subs: Readonly<Record<string, { readonly refCount: number }>>
  /** The queue group of each subscribed pattern. */
  readonly queueGroups: Readonly<Record<string, string>>
  readonly socket: {
    /**
     * Listens for sockets on a subject; a pattern serves all subjects that match.
     *
     * @throws {FabricError} `"ERR_ALREADY_LISTENING"` this client has a server there · `"ERR_INVALID_SUBJECT"` it is no
     *   pattern, or ends in `>` · `"ERR_CLOSED"`
     * @example
     * const server = client.socket.listen('chat')
     * server.on('connection', socket => socket.on('data', data => socket.write(data)))
     */
    listen(subject: string, options?: SocketListenOptions): ConatSocketServer
    /**
     * Connects a socket to a server that listens on `subject`. Returns at once; writes are queued until it is ready.
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
  /** Disconnects until `connect()`. Subscriptions and sockets stay and wait. */
  disconnect(): void
  /**
   * Closes the client with its subscriptions and sockets, and resolves when it has. What still waits rejects with
   * `"ERR_CLOSED"`. Never rejects. A shared client closes when everybody who connected has closed it.
   */
  close(): Promise<void>
  /**
   * Stops in order: drains its socket servers, ends its sockets when requests over them are answered (after half of the time in any case), ends
   * subscriptions once what has arrived was read and the request that a loop is at answered, waits for methods of its services that run and for
   * answers and confirmations that are under way, and closes, also for others who share it. What handlers do behind a `message` event, a `requestMany`, and
   * what is begun meanwhile is not waited for. Resolves when all is done, or `deadline` is over.
   *
   * @example
   * process.once('SIGTERM', () => client.drain({ deadline: 5000 }))
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean;
  [Symbol.asyncDispose](): Promise<void>
  /** Lets the client keep the process alive again while it connects or closes. */
  ref(): this
  /** Lets the process end although the client connects or closes. */
  unref(): this

  /** Waits for the connection. `timeout` in ms, default none. @throws {FabricError} `408` · `"ERR_CLOSED"` */
  waitUntilConnected(options?: { timeout?: number }): Promise<void>
  /**
   * Waits until the server has let the client in. `timeout` in ms, default none.
   *
   * @throws {FabricError} `"ERR_SIGN_IN"` it refused (`failed to sign in`) · `408` · `"ERR_CLOSED"`
   */
  waitUntilSignedIn(options?: { timeout?: number }): Promise<void>
  /** Waits until answers can arrive and all subscriptions stand. @throws {FabricError} as `waitUntilSignedIn` */
  waitUntilReady(options?: { timeout?: number }): Promise<void>

  /**
   * Subscribes to a pattern (`*` one token, a final `>` one or more), and resolves when messages flow.
   *
   * Subscriptions of one client to one pattern share one of the server; each gets every message. The subscription keeps
   * the process alive until it is closed.
   *
   * @throws {FabricError} `403` not permitted · `408` not confirmed within 60 s · `429` too many ·
   *   `"ERR_QUEUE_GROUP"` the pattern has another queue here · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   * @example
   * for await (const message of await client.subscribe('sensors.*')) console.log(message.subject, message.data)
   */
  subscribe(subject: string, options?: SubscriptionOptions): Promise<Subscription>
  /** Short for `subscribe`. */
  sub(subject: string, options?: SubscriptionOptions): Promise<Subscription>
  /** Subscribes without waiting; when the server refuses, iterating throws what `subscribe` would. */
  subscribeSync(subject: string, options?: SubscriptionOptions): Subscription
  /** How many patterns are subscribed. */
  numSubscriptions(): number

  /**
   * Publishes, and resolves when the server has confirmed. Waits for the sign-in.
   *
   * @param subject A literal subject; wildcards are refused.
   * @throws {FabricError} `403` not permitted · `408` not confirmed in time · `"ENOBUFS"` over 64 MiB are queued ·
   *   `"ERR_ENCODE"` the value has a BigInt or a function in it · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  /** Short for `publish`. */
  pub(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  /**
   * Publishes and forgets. What is published before the client is connected is dropped.
   *
   * @throws {FabricError} `"ENOBUFS"` over 64 MiB are queued · `"ERR_ENCODE"` · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  publishSync(subject: string, data?: unknown, options?: MessageOptions): { bytes: number }

  /**
   * Sends a request and resolves with the first answer.
   *
   * Rejects at once, without waiting for `timeout`, when nobody listens.
   *
   * @throws {FabricError} `503` nobody listens · `408` no answer in time · `403` not permitted · `"ABORT_ERR"` ·
   *   `"ENOBUFS"` · `"ERR_ENCODE"` · `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   * @example
   * const reply = await client.request('sensors.roof.read', { unit: 'C' }, { timeout: 500 })
   */
  request(subject: string, data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  /** With `noThrow`: resolves with `undefined` where the fabric has no answer. @throws {FabricError} as above, what is wrong at once */
  request(subject: string, data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  /**
   * Sends a request and iterates over the answers. Await it to be told first whether anybody listens. Over 64 MiB of
   * answers that were not read end it with `"ENOBUFS"`.
   *
   * @throws {FabricError} as `request`, when awaited or iterated
   * @example
   * for await (const reply of client.requestMany('sensors.*.ping', null, { maxWait: 200 })) console.log(reply.data)
   */
  requestMany(subject: string, data?: unknown, options?: RequestManyOptions): Answers

  /**
   * Serves a subject, or all subjects that match a pattern: who calls a method of `implementation`, also an inherited one,
   * gets what it returns. `this` inside a method is the message. What it throws, its caller gets, with text and code. Calls
   * run side by side. Resolves when calls arrive; closing the subscription ends the service.
   *
   * @param options.queue Services with one queue share the calls, one gets each. @default "0"
   * @throws {FabricError} as `subscribe` · `"ERR_INVALID_ARG_TYPE"` `implementation` is no object
   * @example
   * await client.service('math', { add: (a: number, b: number) => a + b })
   */
  service(subject: string, implementation: object, options?: { queue?: string }): Promise<Subscription>
  /**
   * The service on a subject, as an object: every method sends a request and resolves with the result.
   *
   * Methods reject with what the service threw (its `code`; without one `"ERR_SERVICE"`), with `"ERR_NOT_DEFINED"` when it
   * has no such method (`… not defined`), and as `request`. A service has no methods called `then` or `toJSON`, nor any
   * of those that every object has, for its callers.
   *
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"`
   * @example
   * const math = client.call<{ add(a: number, b: number): number }>('math')
   * await math.add(1, 2)
   */
  call<T = Agreed>(subject: string, options?: RequestOptions): Remote<T>
  /**
   * All services on a subject, as one object: every method gives their results, in the order in which they come. A
   * service that threw is an error among them.
   *
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"`
   * @example
   * const all = client.callMany<{ load(): number }>('workers', { maxWait: 200 })
   * for await (const load of all.load()) console.log(load)
   */
  callMany<T = Agreed>(subject: string, options?: RequestManyOptions): RemoteMany<T>
  /**
   * Shows what is published: a subscription with a queue of its own, whose messages are given to `callback`.
   *
   * @param callback @default prints time, subject and data
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ERR_CLOSED"`
   */
  watch(subject: string, callback?: (message: Message) => unknown): Subscription
  /**
   * Has the server's list of this client's subscriptions compared with its own, and repaired both ways. Happens by itself
   * after every reconnect. `timeout` in ms, default 30_000.
   *
   * @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  syncSubscriptions(options?: { timeout?: number }): Promise<void>
  /**
   * The addresses of the servers of the fabric, as the server tells them; ours forms no cluster and tells none. `timeout` in ms, default 30_000.
   *
   * @throws {FabricError} `408` · `"ERR_CLOSED"`
   */
  cluster(options?: { timeout?: number }): Promise<string[]>

  /** Whether anybody listens on `subject` now. @throws {FabricError} `403` · `"ERR_CLOSED"` */
  interest(subject: string): Promise<boolean>
  /**
   * Resolves with `true` when somebody listens. `timeout` in ms, default 30_000, at most 90_000; 0 answers at once.
   *
   * @throws {FabricError} `408` nobody came · `403` · `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  waitForInterest(subject: string, options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>
  /** As the function `messageData`. */
  message(data: unknown, options?: MessageOptions): MessageData
}

/** The iterator that awaiting `requestMany` gives. */
export type AnswerIterator = AsyncIterableIterator<Message, undefined>

/** Iterate it, or await it first. Leaving the loop stops the waiting. */
export type Results<T> = Promise<AsyncIterableIterator<T, undefined>> & AsyncIterableIterator<T, undefined>

/** The answers to a `requestMany`. */
export type Answers = Results<Message>

/** The methods of a service, for who calls them. */
export type Remote<T> = 0 extends 1 & T
  ? Agreed
  : {
      [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never
    }

/** The methods of several services, for who calls them all. */
export type RemoteMany<T> = 0 extends 1 & T
  ? Agreed
  : {
      [K in keyof T]: T[K] extends (...args: infer A) => infer R
        ? (...args: A) => Results<Awaited<R> | FabricError>
        : never
    }

/** How a subscription receives. */
export interface SubscriptionOptions {
  /** Members of one queue share the messages, one gets each. @default a queue of its own */
  queue?: string
  /** Ends after so many messages. @default no limit */
  maxMessages?: number
  /** Bytes that may wait to be read; beyond them the newest are dropped and counted. @default 64 MiB */
  maxQueueBytes?: number
}

/** Messages to one pattern: iterate it. Leaving a `for await` closes it. It outlives reconnects. */
export interface Subscription extends AsyncIterableIterator<Message, undefined> {
  readonly subject: string
  readonly queue: string
  readonly ended: boolean
  /** Messages lost because more than `maxQueueBytes` waited. */
  readonly dropped: number
  /** Emits `message`. While it has listeners and nobody iterates, nothing is queued. */
  readonly emitter: EventEmitter
  /** Ends it, as leaving a `for await` does. */
  return(): Promise<IteratorResult<Message, undefined>>
  /** Ends it; what was not read is dropped. */
  close(): void
  /** The same as `close`. */
  stop(): void
  /** The same as `close`. */
  end(): void
  /** Lets nothing more in, and resolves when what has arrived was read. */
  drain(): Promise<void>
  /** Lets it keep the process alive again. */
  ref(): this
  /** Lets the process end although it is open. */
  unref(): this
  [Symbol.asyncDispose](): Promise<void>
}

/** What both sides of a socket can set. */
export interface SocketSettings {
  /** A name for logs. */
  desc?: string
  /** How many messages may be unacknowledged before `write` throws. @default 1000 */
  maxQueueSize?: number
  /**
   * How many bytes of them, payloads and headers together. One message that is larger by itself is taken when nothing else is unacknowledged.
   * The side that reads keeps at most as much that is not handled. @default 16 MiB
   */
  maxQueueBytes?: number
  /**
   * What becomes of a socket whose other side acknowledges nothing, be it slow or away: `'wait'` for ever, or `'close'` it with
   * `"ERR_SLOW_CONSUMER"`. @default 'wait'
   */
  slowConsumer?: 'wait' | 'close'
  /** With `'close'`: so many ms with no acknowledgement while half of the window is used. @default 30_000 */
  slowConsumerTimeout?: number
  /** Asks after the other side when nothing was heard for so many ms; 0 or less: never. @default 45_000 */
  keepAlive?: number
  /** Milliseconds for the other side to show life. @default 30_000 */
  keepAliveTimeout?: number
}

/** How a socket server is made. */
export interface SocketListenOptions extends SocketSettings {
  /** One token. @default the client's id */
  id?: string
}

/** How a socket is connected. */
export interface SocketConnectOptions extends SocketSettings {
  /** One token. @default a random one */
  id?: string
  /** Connect again when the connection is lost. @default true */
  reconnection?: boolean
  /** Chooses the server by its id. One that throws is asked again later. @default the first server that answers */
  loadBalancer?: (subject: string) => Promise<string> | string
  /** Milliseconds for `loadBalancer`. */
  loadBalancerTimeout?: number
  /** How to say hello; both ways at once by default. */
  dialect?: 'classic' | 'attempt'
}

/** How a value is written. */
export interface WriteOptions extends MessageOptions {
  /**
   * At most once: dropped, and counted, when the socket is not ready or its window is full; never throws `"ENOBUFS"`. Once taken it is sent
   * and acknowledged like all others, in order, but not reported as undelivered. `write` returns `false` when it was dropped. @default false
   */
  volatile?: boolean
}

/** Counters of one socket, since it was made. Bytes are those of payloads, on the sending side with their headers. */
export interface SocketStats {
  /** Messages written. */
  readonly sent: number
  readonly sentBytes: number
  /** Of them, those that the other side has handled. */
  readonly acknowledged: number
  /** Messages that arrived here, in order and once. */
  readonly received: number
  readonly receivedBytes: number
  /** Messages that were sent a second time, or a third. */
  readonly resent: number
  /** Messages that came although they were here already. */
  readonly duplicates: number
  /** Volatile messages that were not written. */
  readonly volatileDropped: number
  /** Messages written and not acknowledged. */
  readonly pending: number
  readonly pendingBytes: number
}

/** A message that the other side of a closed socket is not known to have handled. Write it to another socket as it is. */
export interface UndeliveredMessage extends MessageData {
  /** 1 for the first message that was written to its socket. */
  readonly seq: number
}

/** `closed` is final; the other three come and go. */
export type State = 'disconnected' | 'connecting' | 'ready' | 'closed'

/** The events of a socket and what listeners get. */
export interface SocketEvents {
  /** In order, each exactly once. Held back until there is a listener or an iterator. */
  data: [data: Agreed, headers: Headers]
  /** Answer with `respond`. */
  request: [message: Message]
  /** Nothing is unacknowledged. */
  drain: []
  disconnected: []
  connecting: []
  ready: []
  /** The reason, when the socket did not close because `close` or `end` was called here. */
  closed: [reason: FabricError | undefined]
}

/**
 * A reliable socket: what is written arrives in order, exactly once, over reconnects, or `closed` says what is missing.
 *
 * A message is acknowledged when the handler on the other side was called, so a slow reader holds back the writer. The
 * socket keeps the process alive until it is closed.
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
  /** `close` or `end` was called, or the other side closed. */
  readonly ended: boolean
  readonly conn: { readonly id: string }
  /** The fabric hides addresses: `ip` is empty. */
  readonly address: { readonly ip: string }
  /** Writes that wait for the socket to be ready. */
  readonly queuedWrites: { readonly length: number }
  /** `send.unsent`: writes that are not acknowledged. */
  readonly tcp: { readonly send: { readonly unsent: number } }
  /** `last`: when something of the other side was last seen here, in ms since 1970. */
  readonly alive: { readonly last: number }

  /**
   * Writes a value. Returns whether more than half of the window is free, in messages and in bytes; after `false`, wait for
   * `waitUntilWritable()`, or for `drain`, which comes when all is acknowledged.
   *
   * @param second The headers; or options, when all its keys are names of write options.
   * @throws {FabricError} `"ENOBUFS"` `maxQueueSize` messages or `maxQueueBytes` bytes are unacknowledged · `"EPIPE"` the socket is closed or
   *   ending · `"ERR_ENCODE"` the value has a BigInt or a function in it. Nothing was written then.
   * @example
   * if (!socket.write(row, { headers: { table: 'users' } })) await socket.waitUntilWritable()
   */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean
  /**
   * Writes a value, and resolves when the other side's handler has been called with it. What is sent in a row travels in a row: each need not
   * wait for the one before.
   *
   * @throws {FabricError} as `write`, and nothing was written · `"ERR_INVALID_ARG_VALUE"` with `volatile` · when the socket closed before it
   *   was known to arrive, the reason, as in `closed`; then it is one of `undelivered()`
   * @example
   * await socket.send(order)
   */
  send(data: unknown, second?: Headers | WriteOptions | null): Promise<void>
  /** Asks the other side. @throws {FabricError} `503` · `408` · `"ABORT_ERR"` · `"ERR_ENCODE"` · `"EPIPE"` it closed meanwhile · `"ERR_CLOSED"` */
  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  /** With `noThrow`: resolves with `undefined` where there is no answer. @throws {FabricError} as above, what is wrong at once */
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  /** Asks the other side for several answers. As `Client.requestMany`. */
  requestMany(data?: unknown, options?: RequestManyOptions): Answers
  /**
   * The data as `[data, headers]`. A message is acknowledged when the next one is asked for, or the loop is left. What a loop has not given out
   * when it is left waits for the next listener or iterator, if nobody else has had something newer. With several iterators each gets everything
   * that comes while it is there, and the last one acknowledges.
   *
   * @example
   * for await (const [data, headers] of socket.iter()) await store(data)
   */
  iter(): AsyncIterableIterator<[data: Agreed, headers: Headers], undefined>
  /** Resolves when everything written is acknowledged. @throws {FabricError} `"ERR_CLOSED"` it never will be */
  drain(): Promise<void>
  /** The same as `drain`. */
  waitUntilDrain(): Promise<void>
  /**
   * Resolves when more than half of the window is free, which is when `write` returns `true`: a writer that waits for this keeps the other
   * side busy, one that waits for `drain` lets it run dry first. @throws {FabricError} `"ERR_CLOSED"` it never will be
   */
  waitUntilWritable(): Promise<void>
  /** Waits for the state `ready`. `timeout` in ms, default none. @throws {FabricError} `408` · `"ERR_CLOSED"` */
  waitUntilReady(timeout?: number): Promise<void>
  /**
   * Gives listeners and iterators nothing more until `resume()`: what arrives is held, unacknowledged, so that the other side's window fills.
   * Requests still come.
   */
  pause(): this
  /** Lets data come again. */
  resume(): this
  /** Whether `pause` holds data back. */
  isPaused(): boolean
  /**
   * After `closed`: the messages that the other side is not known to have handled, in the order of their writing, without volatile ones. As
   * many as `undelivered` of the reason says; also when the socket or its client was closed here.
   *
   * @example
   * socket.on('closed', () => {
   *   const next = client.socket.connect('chat')
   *   for (const message of socket.undelivered()) next.write(message)
   * })
   */
  undelivered(): UndeliveredMessage[]
  /** Cuts the socket off; a client connects again by itself if `reconnection` is on. */
  disconnect(): void
  /** Closes at once and tells the other side. Afterwards only `closed` is emitted. A second call does nothing. */
  close(): void
  /** The same as `close`. */
  destroy(): void
  /** Ends in order: resolves when the other side has answered, or after `timeout` ms (default 3000). Never rejects. */
  end(options?: { timeout?: number }): Promise<void>
  [Symbol.asyncIterator](): AsyncIterableIterator<[data: Agreed, headers: Headers], undefined>
  /** As `end()`. */
  [Symbol.asyncDispose](): Promise<void>
  /** Lets it keep the process alive again. */
  ref(): this
  /** Lets the process end although the socket is open. */
  unref(): this
}

/** The side that connects. Made by `client.socket.connect`. */
export declare class ConatSocketClient extends ConatSocketBase {
  private constructor()
  readonly role: 'client'
  readonly reconnection: boolean
  /** `close()` cuts the socket off, as a test of reconnecting. */
  readonly sub: { close(): void }
  /** Connects again, after `disconnect()`. @throws {FabricError} `"ERR_CLOSED"` */
  connect(): void
  /** Another socket with the same options, on the subject `<subject>.<name>`. */
  channel(name: string): ConatSocketClient
}

/** The side that was connected to. Handed over, ready, by a server's `connection`. */
export declare class ServerSocket extends ConatSocketBase {
  private constructor()
  readonly role: 'server'
}

/** The events of a socket server and what listeners get. */
export interface SocketServerEvents {
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
  /** The open sockets by id. */
  readonly sockets: Record<string, ServerSocket>
  /** Calls `visit` with each of them. */
  forEach(visit: (socket: ServerSocket, id: string) => void): void
  /**
   * Writes to every socket that can take it. Returns whether all have more than half of their window free.
   *
   * @throws {FabricError} `"ENOBUFS"` the windows of the sockets in `error.ids` are full: these did not get it, all others
   *   did · `"EPIPE"` the server is closed · `"ERR_ENCODE"`
   */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean
  /** The same as `write`. */
  broadcast(data: unknown, second?: Headers | WriteOptions | null): boolean
  /** Asks every socket, and resolves with the first answer. @throws {FabricError} `503` there are no sockets · `"ERR_CLOSED"` */
  request(data: unknown, options: RequestOptions & { race: true }): Promise<Message>
  /**
   * Asks every socket. Resolves with all answers in the order of the sockets, an error in a failed slot.
   *
   * @throws {FabricError} `"ERR_CLOSED"`
   */
  request(data?: unknown, options?: RequestOptions & { race?: false }): Promise<(Message | Error)[]>
  /** Another server with the same options, on the subject `<subject>.<name>`. */
  channel(name: string): ConatSocketServer
  /** Waits for the state `ready`. `timeout` in ms, default none. @throws {FabricError} `408` · `"ERR_CLOSED"` */
  waitUntilReady(timeout?: number): Promise<void>
  /** Closes the server and its sockets at once, and tells the other sides. */
  close(): void
  /** The same as `close`. */
  destroy(): void
  /**
   * Accepts nothing more: who looks for a server is answered by others. Ends its sockets one after the other, spread over `spread`: each
   * when requests over it are answered (after half of the time in any case) and what was written to it is acknowledged. Then closes, at the latest at `deadline`. The other side of each socket gets `closed`
   * (`"ERR_SOCKET_CLOSED_BY_PEER"`), and finds in `undelivered()` what this server has not handled, to write it to the next one.
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean
  /** Accepts nothing more, ends all sockets in order, at most `timeout` ms (default 3000). Never rejects. */
  end(options?: { timeout?: number }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  /** Lets it keep the process alive again. */
  ref(): this
  /** Lets the process end although the server is open. */
  unref(): this
}

/** How a broker is set up. */
export interface ServerOptions {
  /** TCP port; 0: any free one; `null`: none, only for clients made by `server.client()`. @default 3000 */
  port?: number | null
  /** Address to listen on. */
  host?: string
  /** @default "0" */
  id?: string
  /** @default "/conat" */
  path?: string
  /** @default 500 */
  maxSubscriptionsPerClient?: number
  /** The same for users with a `hub_id`. @default 15_000 */
  maxSubscriptionsPerHub?: number
  /** Connections at once; more are refused with `429`. @default 10_000 */
  maxConnections?: number
  /** Connections at once of one user, by his JSON; nobody (`null`) is not counted. @default 100 */
  maxConnectionsPerUser?: number
  clusterName?: string
  /**
   * Speak TLS at the port, and nothing else. `true` only says that `httpServer` does. A certificate that is about to expire is replaced by
   * `setSecureContext`.
   */
  ssl?: boolean | TlsServerOptions
  /**
   * Serve the upgrades below `path` of this server of `node:http` or `node:https`, which stays yours: its other requests and upgrades are
   * not touched, and `close()` leaves it open. Clients then go on knocking: an `upgrade` listener of yours that answers nothing keeps
   * each such connection, as with any upgrade that nobody takes. Every byte crosses from JavaScript to the engine and back: a port
   * of the broker's own is several times as fast. Excludes `port`.
   */
  httpServer?: HttpServer | HttpsServer
  /** Listen at this socket in the file system instead of a port. Not on Windows. What a dead process left there is replaced. */
  socketPath?: string
  /** Permissions of `socketPath`. @default 0o600 */
  socketMode?: number
  /**
   * Web pages that may connect, by exact `Origin`: `'https://app.example'`. Programs send no `Origin` and are not concerned.
   * @default none
   */
  allowedOrigins?: readonly string[]
  /**
   * Names, without a port, that the header `Host` may have; others are refused. At a port on loopback loopback's own names always pass.
   * @default at a port on loopback: only loopback's names, so that no page with a rebound name gets in; else any
   */
  allowedHosts?: readonly string[]
  /** For a whole handshake, TLS and HTTP together, in ms. @default 10_000 */
  handshakeTimeout?: number
  /**
   * A message that has begun must make progress (64 KiB, or its end) in this time, in ms, or its connection is closed; at the latest in
   * twice the time. @default 30_000
   */
  messageTimeout?: number
  /** Connections in their handshake at once; more are dropped, and come again. @default 1000 */
  maxHandshakes?: number
  /** The same from one address (of IPv6, one /64). @default half of `maxHandshakes` */
  maxHandshakesPerAddress?: number
  /**
   * Who connects: called once for each connection, before anything that it says is looked at. What it gives, or resolves with,
   * is the user: any JSON, seen by the client (`info.user`) and by `isAllowed`. A throw is a failed sign-in: the client is
   * told its `message` and `code` (a number), and disconnected. @default everybody is `null`, and the system user who has
   * the `systemAccountPassword`
   */
  getUser?: (visitor: Visitor, systemAccounts?: SystemAccounts) => unknown
  /**
   * What they may do: called before a publish or wait for interest (`"pub"`), and for each pattern of a subscribe (`"sub"`), inboxes
   * (`_INBOX.…`) included. Decisions are kept for `permissionCache`. Anything but true, a throw, and a promise that takes longer than
   * `permissionTimeout` deny; what follows on that connection waits, in order. @default everything is allowed
   */
  isAllowed?: (question: { type: 'pub' | 'sub'; user: Agreed; subject: string }) => boolean | Promise<boolean>
  /**
   * Turns on the system service (`sys.conat.…`). Only users with `hub_id: "system"` may publish there, whatever `isAllowed` says, and only
   * the server hears it. Characters that a cookie can have. @default none
   */
  systemAccountPassword?: string
  /** How long `getUser` may take, in ms. @default 10_000 */
  signInTimeout?: number
  /** How long `isAllowed` may take, in ms. @default 10_000 */
  permissionTimeout?: number
  /**
   * For how long a decision of `isAllowed`, either way, is believed for the same connection, type and subject, in ms; 0: not at all.
   * `revalidate()` ends it sooner. @default 1000
   */
  permissionCache?: number
}

/** Certificates and keys: text or bytes in PEM. */
export type Pem = string | Uint8Array

/** What a server shows, and whom it asks for what: as in `node:tls`. */
export interface TlsServerOptions {
  /** PEM; PKCS #8, PKCS #1 or SEC1. */
  key?: Pem
  /** PEM, the server's own certificate first. */
  cert?: Pem
  /** Whose signature is enough on a client's certificate. */
  ca?: Pem | readonly Pem[]
  /** Opens `key`. */
  passphrase?: string
  /** Ask clients for a certificate. Needs `ca`. @default false */
  requestCert?: boolean
  /** `false`: clients without a certificate come in too; one that is not in order is refused all the same. @default true */
  rejectUnauthorized?: boolean
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** A connection that asks to be let in. */
export interface Visitor {
  /** Of the connection; a reconnect is another one. */
  readonly id: string
  readonly handshake: {
    /** HTTP headers, names in lower case; of a client inside the process its `extraHeaders`. */
    readonly headers: Readonly<Record<string, string>>
    /** Network address; empty for a client inside the process. */
    readonly address: string
    /** The client's own certificate, verified against `ca` in this handshake; `null` without one. Needs `ssl.requestCert`, or the like of an `httpServer`. */
    readonly certificate: VisitorCertificate | null
  }
}

/** Who a client is by its certificate. Compare whole strings; the subject line is not offered, because patterns on it let impostors in. */
export interface VisitorCertificate {
  /** SHA-256 of the certificate, as Node.js writes it: `AB:CD:…`. */
  readonly fingerprint256: string
  /** The names that it was issued for: `DNS:…`, `URI:…`. Only as good as whoever signs: he can sign any name. */
  readonly subjectAltNames: readonly string[]
}

/** The accounts that a server has by itself, by the cookie that holds the password. */
export type SystemAccounts = Record<string, { password: string; user: Record<string, unknown> }>

/** A connection of a server, as it is when it is looked at. */
export interface ConnectionView {
  id: string
  user: Agreed
  /** Network address; empty for a client inside the process. */
  address: string
  subscriptions: string[]
  /** `recv`: what it published. `send`: what was delivered to it. */
  stats: { recv: Traffic; send: Traffic }
}

/** What a connection published (`recv`), what was delivered to it (`send`), and its number of subscriptions. */
export interface ConnectionStats {
  user: Agreed
  /** Network address; empty for a client inside the process. */
  address: string
  recv: Traffic
  send: Traffic
  subs: number
}

/** How many connections there are, and of each user, by his JSON. */
export interface Usage {
  total: number
  perUser: Record<string, number>
}

/** The events of a broker and what listeners get. */
export interface ServerEvents {
  ready: []
  closed: [reason: FabricError | undefined]
  /**
   * A callback threw, rejected, took too long, or gave something else than it should. With nobody to hear it the first failure of
   * `isAllowed` is a warning of the process.
   */
  callbackFailed: [error: unknown, callback: 'getUser' | 'isAllowed']
}

/**
 * Starts a broker in this process.
 *
 * Returns at once; `ready` is emitted when it listens. When it cannot, `closed` carries the reason (`"EADDRINUSE"`); with
 * nobody to hear that it is thrown as an uncaught exception.
 *
 * @example
 * const server = init({ port: 0 })
 * await server.waitUntilReady()
 * const client = connect({ address: `http://localhost:${server.address()?.port}` })
 */
export declare function init(options?: ServerOptions): ConatServer

/** A broker in this process. With a port it keeps the process alive until it is closed. */
export interface ConatServer extends EventEmitter<ServerEvents> {
  readonly id: string
  readonly clusterName: string | undefined
  /** Without the password. */
  readonly options: Readonly<ServerOptions>
  readonly state: 'starting' | 'ready' | 'closed'
  /** Every connection by its id. This and the next three are empty when the server is closed. */
  readonly sockets: Record<string, ConnectionView>
  /** What each connection published (`recv`) and was sent (`send`), and its number of subscriptions, by its id. */
  readonly stats: Record<string, ConnectionStats>
  /** How many connections there are, and of each user, by his JSON. */
  getUsage(): Usage
  /** Who listens. */
  readonly interest: {
    /** Every pattern with the number of its subscriptions. */
    serialize(): { patterns: Record<string, number> }
    /** The patterns that `subject` matches. */
    matches(subject: string): string[]
    /** Whether somebody other than a tap (`>`) listens on `subject`. */
    hasMatch(subject: string): boolean
  }
  /** The server's numbers since it began; `undefined` when it is closed. */
  readonly totals:
    | {
        connections: number
        subscriptions: number
        patterns: number
        waits: number
        /** What waits to be read by clients. */
        outbox: Traffic
        published: Traffic
        delivered: Traffic
        publishesRefused: number
        connectionsRefused: number
        slowConsumers: number
      }
    | undefined
  /**
   * Where it listens; `null` before `ready` and without a port. With `socketPath`: its path, family `'Unix'`, port 0. With `httpServer`:
   * where that listens.
   */
  address(): { address: string; family: string; port: number } | null
  /**
   * Shows another certificate from the next handshake on; connections that are open stay open. Without `ca` the one from before stays.
   * @throws {FabricError} `"ERR_INVALID_ARG_VALUE"` they cannot be used, and all is as it was · `"ERR_CLOSED"`
   */
  setSecureContext(options: { key: Pem; cert: Pem; ca?: Pem | readonly Pem[]; passphrase?: string }): void
  /** A new client of this broker that needs no network. */
  client(options?: ConnectOptions): Client
  /** Whether it is ready and its engine answers. */
  isHealthy(): Promise<boolean>
  /**
   * Resolves with true when somebody listens on `subject`, with false when nobody came. `timeout` in ms, default 30_000, at most 90_000.
   *
   * @throws {FabricError} `"ERR_INVALID_SUBJECT"` · `"ABORT_ERR"` · `"ERR_CLOSED"`
   */
  waitForInterest(subject: string, timeout?: number, options?: { signal?: AbortSignal }): Promise<boolean>
  /** Disconnects these connections, which may come back and sign in again. Gives the number of those that were there. */
  disconnect(ids: string | readonly string[]): number
  /**
   * Forgets every decision of `isAllowed` about these connections (default all), and asks about each of their subscriptions and open waits again: those
   * that are denied end, and the client hears `permission`. Call it when permissions change. Gives the number of connections.
   */
  revalidate(ids?: string | readonly string[]): number
  /** Waits until it listens. `timeout` in ms. @throws {FabricError} `408` · `"EADDRINUSE"` … why it cannot */
  waitUntilReady(timeout?: number): Promise<void>
  /**
   * Lets nobody in any more, and disconnects everybody, spread over `spread`: they connect again, where others share the address to another
   * server, and their sockets resume there. Then closes, at the latest at `deadline`. `/healthz` answers 503 meanwhile.
   */
  drain(options?: DrainOptions): Promise<void>
  /** Whether `drain` was called. */
  readonly draining: boolean
  /** Disconnects everybody, and resolves when the port is free. Never rejects. An `httpServer` stays open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  /** Lets it keep the process alive again. */
  ref(): this
  /** Lets the process end although the broker is open. */
  unref(): this
}

/** Whether `subject` may be subscribed to: tokens joined by `.`, `*` as a token, `>` as the last one. */
export declare function isValidSubject(subject: string): boolean

/** Whether `subject` may be published to: no wildcards. */
export declare function isValidSubjectWithoutWildcards(subject: string): boolean

/** Whether a message to `subject` reaches a subscription to `pattern`. */
export declare function matchesPattern(options: { pattern: string; subject: string }): boolean

/**
 * Patterns with a value each, and those among them that a subject matches. A look costs what matches, not what is held.
 *
 * @example
 * const handlers = new Patterns<string>().set('sensors.*', 'one').set('sensors.>', 'all')
 * handlers.matches('sensors.roof')
 */
export declare class Patterns<T = unknown> implements Iterable<[pattern: string, value: T]> {
  constructor()
  /** How many patterns are held. */
  readonly size: number
  /** A copy of what is held: patterns to values. */
  readonly patterns: Record<string, T>
  /** Adds a pattern, or replaces its value. @throws {FabricError} `"ERR_INVALID_SUBJECT"` it is no pattern */
  set(pattern: string, value: T): this
  /** The value of exactly this pattern. */
  get(pattern: string): T | undefined
  /** Whether exactly this pattern is held. */
  hasPattern(pattern: string): boolean
  /** Takes a pattern out. Returns whether it was there. */
  delete(pattern: string): boolean
  /** Takes all patterns out. */
  clear(): void
  /** The patterns that match a literal subject, in no particular order. */
  matches(subject: string): string[]
  /** Whether any pattern matches. */
  hasMatch(subject: string): boolean
  /** What is held, as plain data. */
  serialize(): { patterns: Record<string, T> }
  /** Replaces what is held. @throws {FabricError} `"ERR_INVALID_SUBJECT"`; then nothing has changed */
  deserialize(state: { patterns: Record<string, T> }): void
  [Symbol.iterator](): IterableIterator<[pattern: string, value: T]>
}

/** What a server answers about itself and its fabric, to system accounts only. */
export interface SysApi {
  /** Counters of each connection: by id of the server, then of the connection. */
  stats(): Record<string, Record<string, ConnectionStats>>
  /** Connections, in all and by user: by id of the server. */
  usage(): Record<string, Usage>
  /** Cuts off the connections with these ids. */
  disconnect(ids: string | string[]): void
  /** Which servers are connected: by cluster, then by id of the server, its address. Only with `id`. */
  clusterTopology(): Record<string, Record<string, string | null>>
  /** The addresses of the servers. Only with `id`. */
  clusterAddresses(): string[]
}

/**
 * The system service of one server, as an object; the client must have signed in as the system account.
 *
 * @param options.id Which server; without it, the one that answers first. @param options.clusterName @default the one
 *   that the client's server belongs to
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

/** Sets the times, in ms, of all sockets that are made later. */
export declare function setDefaultSocketTimeouts(timeouts: {
  command?: number
  keepAlive?: number
  keepAliveTimeout?: number
}): void

/** The header with a socket's command, on the wire. */
export declare const SOCKET_HEADER_CMD: 'CN-SocketCmd'

/** The header with a socket's sequence number, on the wire. */
export declare const SOCKET_HEADER_SEQ: 'CN-SocketSeq'
