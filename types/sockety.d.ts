/**
 * selvedge/sockety: messages, files and streams over TCP and TLS, wire-compatible with the npm package `sockety` ("the
 * reference" below).
 *
 * Durations are milliseconds, sizes bytes. An introduction: docs/guide/sockety.md; the bytes: docs/protocols/sockety.md.
 * Errors have a stable `code` (docs/reference/errors.md); their texts are the reference's, as far as it has one.
 */

import type { EventEmitter } from 'node:events'
import type { AddressInfo, ListenOptions } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Pem, TlsServerOptions, WaitOptions } from '../index'

/** Options of every connection, at both ends. */
export interface SocketyOptions {
  /** Channels that the other end may use: messages that it may send at the same time. 1 to 4096. @default 4096 */
  maxReceivedChannels?: number | undefined
  /** Channels that this end uses, if the other end offers as many. 1 to 4096. @default 4096 */
  maxWritableChannels?: number | undefined
  /**
   * Milliseconds that the other end may be silent before the connection is given up. When this end has sent nothing for three
   * quarters of it, it sends a heartbeat. 0: neither. Both ends should have similar values. @default 60_000
   */
  timeout?: number | undefined
  /** Milliseconds for the other end's connection header; for TLS's handshake as well, at a server. @default 10_000 */
  handshakeTimeout?: number | undefined
  /**
   * Milliseconds that `close()` waits until what was sent has left. Then it closes at once: what has not left is lost, and
   * `closeReason` says so (`"ERR_SLOW_CONSUMER"`). @default 60_000
   */
  closeTimeout?: number | undefined
  /**
   * Bytes of data, files and streams that may wait to be read. With more of them nothing is read from the other end, which
   * slows it down, until the application reads. @default 16 MiB
   */
  maxUnreadBytes?: number | undefined
  /** Bytes of message headers that have not come whole, all channels together. @default 4 MiB */
  maxHeaderBytes?: number | undefined
  /** Files of messages that have not come whole, all channels together. @default 16_384 */
  maxFiles?: number | undefined
  /** Bytes that `dataBuffer()` and `msgpack()` take; larger data is read as a stream. @default 256 MiB */
  maxDataBufferBytes?: number | undefined
  /** Send and take files that are longer or shorter than announced. @default false */
  allowFilesSizeMismatch?: boolean | undefined
  /** An option of the reference; has no effect here. */
  immediateFlushBytes?: number | undefined
  /** An option of the reference; has no effect here. */
  maxInlineUtf8Bytes?: number | undefined
  /** An option of the reference; has no effect here. */
  maxInlineBufferBytes?: number | undefined
}

/** Options of `node:net` that hold in any case, or change nothing here. */
export interface NodeSocketOptions {
  noDelay?: boolean | undefined
  keepAlive?: boolean | undefined
  keepAliveInitialDelay?: number | undefined
  allowHalfOpen?: boolean | undefined
  pauseOnConnect?: boolean | undefined
  highWaterMark?: number | undefined
}

/** Options of `connect`. */
export interface ConnectOptions extends SocketyOptions, NodeSocketOptions {
  /** @default 'localhost' */
  host?: string | undefined
  port?: number | string | undefined
  /** A socket in the file system, instead of a port. */
  path?: string | undefined
  /** Milliseconds for the look-up of the name, TCP and TLS together. @default 20_000 */
  connectTimeout?: number | undefined
}

/** Options of `secureConnect`: TLS's have the names and meanings of Node.js. */
export interface SecureConnectOptions extends ConnectOptions {
  ca?: Pem | readonly Pem[] | undefined
  cert?: Pem | undefined
  key?: Pem | undefined
  passphrase?: string | undefined
  /** @default true */
  rejectUnauthorized?: boolean | undefined
  /** The name that the server's certificate must have. @default the host */
  servername?: string | undefined
  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

/** Options of `createServer`. */
export interface ServerOptions extends SocketyOptions, NodeSocketOptions {
  /**
   * Bytes of messages that may wait to be read, and of their unfinished headers, on all connections together. As long as
   * there are more, a connection on which over 256 KiB wait is not read, and one with over 64 KiB of unfinished headers is
   * closed (`"ERR_SOCKETY_LIMIT"`). @default 256 MiB
   */
  maxTotalUnreadBytes?: number | undefined
}

/** Options of `createSecureServer`. */
export interface SecureServerOptions extends ServerOptions, TlsServerOptions {}

/**
 * Creates a server. It accepts connections once `listen` is called.
 *
 * @example
 * const server = createServer({}, connection => connection.on('message', handler))
 * await server.listen(7000)
 */
export declare function createServer(connectionListener?: (connection: Connection) => void): Server
export declare function createServer(
  options: ServerOptions,
  connectionListener?: (connection: Connection) => void,
): Server

/** Creates a server that speaks TLS. `options` needs `key` and `cert`. */
export declare function createSecureServer(
  options: SecureServerOptions,
  connectionListener?: (connection: Connection) => void,
): Server

/**
 * Starts a connection, and returns it at once: messages can be sent after `ready()`.
 *
 * @throws {FabricError} `"ERR_UNKNOWN_OPTION"`, `"ERR_INVALID_ARG_VALUE"`, `"ERR_OUT_OF_RANGE"`: the options
 * @example
 * const connection = await connect(7000, 'example.org').ready()
 */
export declare function connect(options: ConnectOptions): Connection
export declare function connect(port: number, options?: ConnectOptions): Connection
export declare function connect(port: number, host: string, options?: ConnectOptions): Connection
export declare function connect(path: string, options?: ConnectOptions): Connection

/** The same over TLS. */
export declare function secureConnect(options: SecureConnectOptions): Connection
export declare function secureConnect(port: number, options?: SecureConnectOptions): Connection
export declare function secureConnect(port: number, host: string, options?: SecureConnectOptions): Connection
export declare function secureConnect(path: string, options?: SecureConnectOptions): Connection

/** The events of a server, with their arguments. */
export interface ServerEvents {
  /** A client is connected, and has said its header. */
  connection: [connection: Connection]
  listening: []
  /** It cannot listen; `listen` rejects with the same. Emitted only if somebody listens to it. */
  error: [error: Error]
  /** It listens no more, and all connections are gone. */
  close: []
}

/** A server, made by `createServer` or `createSecureServer`. */
export declare class Server extends EventEmitter<ServerEvents> {
  private constructor()
  /** The connections that are there. */
  readonly clients: Connection[]
  readonly listening: boolean
  readonly connections: number
  /** Connections beyond it are closed at once. @default undefined: no bound */
  maxConnections: number | undefined
  /**
   * Resolves when it listens: at a port (0: any free one) on all addresses or on `host`, or at a path in the file system.
   * `backlog` is the system's.
   *
   * @throws {FabricError} `"EADDRINUSE"`, `"EADDRNOTAVAIL"`, `"EACCES"`, `"ENOENT"`, `"ERR_LISTEN"`
   */
  listen(port?: number, host?: string, backlog?: number, callback?: () => void): Promise<this>
  listen(port?: number, host?: string, callback?: () => void): Promise<this>
  listen(port?: number, backlog?: number, callback?: () => void): Promise<this>
  listen(port?: number, callback?: () => void): Promise<this>
  listen(path: string, backlog?: number, callback?: () => void): Promise<this>
  listen(path: string, callback?: () => void): Promise<this>
  listen(options: ListenOptions, callback?: () => void): Promise<this>
  /** Where it listens; `null` if it does not. */
  address(): AddressInfo | string | null
  /** Accepts no more connections, and resolves when those that are there have gone. It does not close them. */
  close(): Promise<this>
  /** Passes a message to all clients for which `filter` is true; rejects if one of them does not get it. */
  broadcast(producer: Producer, filter?: (connection: Connection) => boolean): Promise<void>
  getConnections(): Promise<number>
  /** Whether it keeps the process alive: it does by default. */
  ref(): this
  unref(): this
}

/** The events of a connection, with their arguments. */
export interface ConnectionEvents {
  /** Both ends have said their header. */
  connect: []
  message: [message: Message]
  /** Any response, before `request.response()` resolves. */
  response: [response: Response]
  /** Any fast reply. */
  fastReply: [uuid: UUID, code: number]
  /** The other end will close the connection soon. */
  goAway: []
  /** The other end was silent for `timeout`. `close` follows. */
  timeout: []
  /**
   * Why the connection fails: the network, or an end that breaks the protocol. `close` follows. Emitted only if somebody
   * listens to it; `closeReason` keeps it.
   */
  error: [error: Error]
  /**
   * Once, in any case. `await once(connection, 'close')` listens to `error` as well, and rejects if the connection fails: use
   * a promise of your own to wait for either.
   */
  close: []
}

/**
 * One end of a connection; both have the same rights.
 *
 * The other end may go at any time, and ends no process by it: what fails in a listener for that reason alone, at once or
 * in the promise that it returns, and a `pass`, `broadcast` or fast reply that nobody awaits, is excused. Nor does what it
 * sends: a listener that fails since data is larger than `maxDataBufferBytes`, or is no MessagePack, ends the connection,
 * with that error as `closeReason`. Any other error of a listener is the process's, as always.
 *
 * A peer that does not read its answers is cut off with `"ERR_SLOW_CONSUMER"` when more than 64 MiB wait for it, or 4 MiB
 * while more than 256 MiB wait on all connections.
 */
export declare class Connection extends EventEmitter<ConnectionEvents> {
  private constructor()
  /** Why it closed, if not because one of the ends wanted it. */
  readonly closeReason: Error | null
  /** At a server: where the client comes from. */
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  /**
   * Resolves when messages can be sent; rejects if that will never be. The connection goes on after a timeout or an abort.
   *
   * @throws {FabricError} `408` not within `timeout` · `"ABORT_ERR"` · why it closed
   */
  ready(options?: WaitOptions): Promise<this>
  /**
   * Sends a message that may be answered. Returns at once; the message leaves with all others of this tick.
   *
   * @throws {FabricError} `"ERR_SOCKETY_NOT_CONNECTED"` before `ready()` · `"ERR_CLOSED"` · `"ENOBUFS"` more than 64 MiB
   *   wait to be sent (4 MiB while all connections have over 256 MiB), or a million messages for an answer
   * @example
   * const answer = await connection.send(ping()).response()
   */
  send(producer: Producer): Request
  /**
   * Sends a message, or a `series` of them, for which no answer is wanted. Resolves when the system has taken it over,
   * with its files and without its stream.
   *
   * @throws {FabricError} as `send`, not as a rejection
   */
  pass(producer: Producer): Promise<void>
  /**
   * Closes the connection when everything that was sent has left, and after `closeTimeout` in any case; with `true` at
   * once, and what has not left is lost. Files and streams that are still being written are cut off: await `sent()`, and
   * the stream's `finish`, before. Requests that were not answered are rejected. Resolves when it is closed.
   */
  close(force?: boolean): Promise<void>
  /** Whether it keeps the process alive: it does by default, as long as it is open. */
  ref(): this
  unref(): this
}

/** A prepared message, as a called draft returns it. Can be used any number of times, unless it has a file that can be read once. */
export interface Producer {
  readonly [producer: symbol]: unknown
  (): never
}

/** A prepared response, as a called `ResponseDraft` returns it. */
export type ResponseProducer = (parent: UUID) => Producer

/** Returns a producer that sends others one after another; for `pass`. */
export declare function series(...producers: Producer[]): Producer

/** Sends one heartbeat; for `pass`. */
export declare const heartbeat: Producer

/** A file in the form of plain objects. */
export type PlainFile =
  | { readonly name: string; readonly buffer: Uint8Array }
  | { readonly name: string; readonly stream: Readable; readonly size: number }

type Files = readonly (FileTransfer | PlainFile)[]

/** What a draft is called with: only what it has without a fixed value. */
type InputOf<Data, HasFiles> = ([Data] extends [never] ? unknown : { data: Data }) &
  (HasFiles extends true ? { files: Files } : unknown)
type Factory<Input, Result> = unknown extends Input ? (input?: object) => Result : (input: Input) => Result

interface BaseDraft<Result, Data, HasFiles extends boolean> {
  /**
   * Gives the message data: this, as it is now, or what the draft is called with. Replaces `msgpack`. Large data that is
   * given here is handed to the engine once, and not for each message.
   */
  data(content: Uint8Array | string): Self<Result, never, HasFiles>
  data(): Self<Result, Uint8Array | string, HasFiles>
  /** Gives the message a value as data, in MessagePack: this, or what the draft is called with. Replaces `data`. */
  msgpack(value: unknown): Self<Result, never, HasFiles>
  msgpack<T = unknown>(): Self<Result, T, HasFiles>
  /** Gives the message files: these, or what the draft is called with. */
  files(list: Files): Self<Result, Data, false>
  files(): Self<Result, Data, true>
  /** Gives the message a stream, which is `request.stream`; sent by `pass` it is empty. */
  stream(): Self<Result, Data, HasFiles>
  /** Returns the draft as a plain function, which is faster to call. */
  optimize(): Factory<InputOf<Data, HasFiles>, Result>
  /** The same. */
  createFactory(): Factory<InputOf<Data, HasFiles>, Result>
}

type Self<Result, Data, HasFiles extends boolean> = Result extends Producer
  ? Draft<Data, HasFiles>
  : ResponseDraft<Data, HasFiles>

/**
 * A kind of message, prepared once. Its methods change it and return it; called, it returns a producer.
 *
 * @example
 * const log = Draft.for('log').msgpack<{ level: number; text: string }>()
 * await connection.pass(log({ data: { level: 3, text: 'hello' } }))
 */
export type Draft<Data = never, HasFiles extends boolean = false> = BaseDraft<Producer, Data, HasFiles> &
  Factory<InputOf<Data, HasFiles>, Producer>

export declare const Draft: {
  /** `action` has at most 65 535 bytes. */
  new (action: string): Draft
  /** The same. */
  for(action: string): Draft
}

/**
 * A kind of response. Called, it returns what `respond` takes.
 *
 * @example
 * const pong = new ResponseDraft().data()
 * connection.on('message', message => message.respond(pong({ data: 'pong' })))
 */
export type ResponseDraft<Data = never, HasFiles extends boolean = false> = BaseDraft<
  ResponseProducer,
  Data,
  HasFiles
> &
  Factory<InputOf<Data, HasFiles>, ResponseProducer>

export declare const ResponseDraft: {
  new (): ResponseDraft
}

/** A file to send. */
export declare class FileTransfer {
  private constructor()
  readonly name: string
  readonly size: number
  /** A file in memory. */
  static buffer(buffer: Uint8Array, name: string): FileTransfer
  /** A file that is read from a stream, once. If it has more or fewer bytes than `size`, the message is given up. */
  static stream(stream: Readable, size: number, name: string): FileTransfer
  /** A file of the file system. Its size is read now, its content each time it is sent. @default name: that of the file */
  static fs(path: string, name?: string): Promise<FileTransfer>
}

/** An array that can also be called, and then returns itself. */
export type ReceivedFiles = MessageFileStream[] & (() => MessageFileStream[])

interface Received {
  readonly id: UUID
  readonly connection: Connection
  /** Whether the sender waits for an answer. */
  readonly expectsResponse: boolean
  /** Whether it was answered here. */
  readonly responded: boolean
  readonly dataSize: number
  readonly filesCount: number
  readonly totalFilesSize: number
  /** The data as a stream; `null` without data. */
  readonly data: MessageDataStream | null
  /** The stream; `null` if there is none. */
  readonly stream: MessageStream | null
  /**
   * The files, in the order of the sender. Their names are the sender's: do not take them for paths. If their headers
   * take several packets, the last files may come later.
   */
  readonly files: ReceivedFiles
  /**
   * Resolves with the whole data; empty if there is none.
   *
   * @throws {FabricError} `"ERR_SOCKETY_LIMIT"` more than `maxDataBufferBytes` · `"ERR_CLOSED"` the connection was lost
   *   before · `"ERR_SOCKETY_ABORTED"` the sender gave the message up · `"ERR_SOCKETY_DISCARDED"`
   */
  dataBuffer(): Promise<Buffer>
  /** Resolves with the value in the data. @throws {FabricError} `"ERR_DECODE"`, and as `dataBuffer` */
  // biome-ignore lint/suspicious/noExplicitAny: what sender and receiver agree on; name it where it is known
  msgpack<T = any>(): Promise<T>
  /**
   * Answers with a response. Several answers all leave; `response()` at the other end takes the first, the others are
   * events. It may be answered in turn: an answer that nobody has asked for is kept for the newest 1024
   * responses. Throws as `send`.
   */
  respond(response: ResponseProducer): Request
  respond(
    response: { data?: Uint8Array | string | undefined; files?: Files | undefined },
    stream?: boolean | { stream?: boolean | undefined },
  ): Request
  /** Answers with a number from 0 to 4095. Resolves when the system has taken it over. */
  fastReply(code: number): Promise<void>
  /** Answers with 0. */
  accept(): Promise<void>
  /** Answers with 1. */
  reject(): Promise<void>
  /**
   * Drops the data, files and streams of which nobody has begun to read, or with `true` all of them. What
   * nobody reads holds up what comes after it; a `MessageHandler` does this when it is done.
   */
  discard(all?: boolean): void
}

/** A message that was received. */
export declare class Message {
  private constructor()
  readonly action: string
}
export interface Message extends Received {}

/** A response that was received. */
export declare class Response {
  private constructor()
  /** What it answers. */
  readonly parentId: UUID
}
export interface Response extends Received {}

/** A message or response that was sent. */
export declare class Request {
  private constructor()
  readonly id: UUID
  readonly connection: Connection
  /** The stream that the draft's `stream()` has announced, to be ended by the sender; `null` without one. */
  readonly stream: Writable | null
  /** Whether header, data and files have left. */
  isSent(): boolean
  /**
   * Resolves when header, data and files have left. It does not wait for the stream, which has its own `finish`; in the
   * reference it does.
   *
   * @throws {FabricError} `"ERR_CLOSED"` · `"ERR_SOCKETY_FILE_SIZE"` a file is longer or shorter than announced · the error
   *   of a file that cannot be read · `408` not within `timeout` · `"ABORT_ERR"`; it may still leave
   */
  sent(options?: WaitOptions): Promise<this>
  /**
   * Resolves with the first answer, whether it comes before or after the call: a response, or the number of a fast reply.
   * Without a `timeout` it waits as long as the connection is open.
   * After a timeout it can be called again.
   *
   * @throws {FabricError} `"ERR_CLOSED"` the connection was closed before · `408` none within `timeout` ·
   *   `"ABORT_ERR"` the `signal`, whose reason is the `cause`
   */
  response(options?: {
    timeout?: number | undefined
    signal?: AbortSignal | undefined
  }): Promise<Response | number>
}

/** A part of a received message: read as any stream of Node.js. What is not read makes the sender wait. */
export declare class MessageStream extends Readable {
  protected constructor()
  /** Bytes that have come. */
  readonly receivedSize: number
  /** Whether all of it has come. */
  readonly loaded: boolean
}

/** The data of a message. */
export declare class MessageDataStream extends MessageStream {
  readonly size: number
  readonly bytesLeft: number
}

/** A file of a message. */
export declare class MessageFileStream extends MessageDataStream {
  readonly name: string
}

/**
 * What is done with messages: steps that run in their order, one after another, for every message. Use it as a listener.
 *
 * A step that returns a number, or resolves to one, answers with it, if an answer is wanted and none was given. Running
 * goes on after an answer and after an error. When the last step is done, what nobody has begun to read is discarded.
 *
 * @example
 * const handler = new MessageHandler()
 *   .action('ping', () => FastReply.Accept)
 *   .use(() => FastReply.NotImplemented)
 * connection.on('message', handler)
 */
export interface MessageHandler {
  (message: Message): Promise<void>
  /** Runs for every message, with the last error of an earlier step, or null. */
  use(run: (message: Message, error: unknown) => unknown): this
  /** Runs for messages with this action, unless an earlier step has failed. */
  action(name: string, run: (message: Message) => unknown): this
  /** Runs if an earlier step has failed. */
  error(run: (message: Message, error: unknown) => unknown): this
  /** Returns it as a plain function, which is faster to call. */
  optimize(): (message: Message) => Promise<void>
}

export declare const MessageHandler: {
  new (): MessageHandler
}

/** Fast replies with a name; any number from 0 to 4095 may be used. */
export declare enum FastReply {
  Accept = 0,
  Reject = 1,
  NotImplemented = 2,
  Unauthorized = 3,
  BadRequest = 4,
  InternalError = 5,
}

/** Fast replies in words. */
export declare const FastReplyDescription: Readonly<Record<FastReply, string>>
/** Returns whether a fast reply has a name. */
export declare function isKnownFastReply(code: number): code is FastReply
/** Returns an answer in words: `Custom #7` for a number without a name. */
export declare function getResponseDescription(response: Response | number): string

/** The id of a message: a version 4 UUID. */
export declare class UUID {
  /** Reads 16 bytes. @throws {FabricError} `"ERR_OUT_OF_RANGE"` there are fewer */
  constructor(bytes: Uint8Array, offset?: number)
  equals(other: UUID): boolean
  write(buffer: Uint8Array, offset?: number): void
  toBuffer(): Buffer
  toString(): string
  toJSON(): string
}
