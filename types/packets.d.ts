/**
 * selvedge/packets: typed packets. A schema says once what a packet holds: its TypeScript type, its bytes, and checks that
 * name the field.
 *
 * Importing it loads no native code. Durations are milliseconds, sizes bytes. The rule for changing schemas and an
 * introduction: docs/guide/packets.md; the bytes: docs/protocols/packets.md.
 */

import type {
  Client,
  ConatSocketClient,
  Headers,
  Published,
  PublishOptions,
  ServerSocket,
  SubscriptionOptions,
} from '../index'

/**
 * A value whose type those who use the package agree on, where none is named: `any`, so that programs without types
 * read it without a cast.
 */
// biome-ignore lint/suspicious/noExplicitAny: as said
type Agreed = any

/**
 * What objects of other packages take and pass on: `any`, since nothing else fits the types of all of them (Socket.IO,
 * WebSockets, ports, streams).
 */
// biome-ignore lint/suspicious/noExplicitAny: as said
type Foreign = any

/** The types of values; white space around them and capitals make no difference. `boolean` is `bool`. */
export type ScalarType =
  | 'bool'
  | 'boolean'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'float32'
  | 'float64'
  | 'string'
  | 'varuint'
  | 'varint'
  | 'buffer'
  | 'packed'

/**
 * What a value looks like: a type; an object of schemas, a key that ends in `?` may be absent; or an array, whose last entry
 * repeats zero or more times while those before it are there once. At most 32 levels and 4096 types.
 */
export type Schema = ScalarType | readonly Schema[] | { readonly [key: string]: Schema }

/** The string `'packed'`, which for TypeScript knows what is packed. */
export type PackedType<T> = 'packed' & { readonly __packed: T }

/**
 * Returns `'packed'`: any value as MessagePack, of the type `T`.
 *
 * @example
 * const codec = compileSchema({ id: 'uint32', document: packed<Document>() })
 */
export declare function packed<T = unknown>(): PackedType<T>

interface ScalarValues {
  bool: boolean
  boolean: boolean
  int8: number
  uint8: number
  int16: number
  uint16: number
  int32: number
  uint32: number
  float32: number
  float64: number
  string: string
  varuint: number
  varint: number
  buffer: Uint8Array
  packed: Agreed
}

type Plain<T> = { [K in keyof T]: T[K] }
type RequiredKeys<S> = { -readonly [K in keyof S as K extends `${string}?` ? never : K]: DataOf<S[K]> }
type OptionalKeys<S> = { -readonly [K in keyof S as K extends `${infer N}?` ? N : never]?: DataOf<S[K]> }

/** The type of the values of a schema: `{ id: 'uint32', 'why?': 'string' }` is `{ id: number, why?: string }`. */
export type DataOf<S> =
  S extends PackedType<infer T>
    ? T
    : S extends keyof ScalarValues
      ? ScalarValues[S]
      : S extends string
        ? never
        : S extends readonly [...infer Fixed, infer Rest]
          ? Fixed extends readonly []
            ? DataOf<Rest>[]
            : [...{ [K in keyof Fixed]: DataOf<Fixed[K]> }, ...DataOf<Rest>[]]
          : S extends readonly (infer Rest)[]
            ? DataOf<Rest>[]
            : Plain<RequiredKeys<S> & OptionalKeys<S>>

/** Bounds; docs/reference/limits.md has what happens at each. */
export interface Limits {
  /** Bytes of one packet's body, each way. @default 1 MiB */
  packetBytes?: number | undefined
  /** Levels of bundles in bundles. @default 8 */
  bundleDepth?: number | undefined
  /** Packets of a bundle, those of bundles inside included. @default 10_000 */
  bundlePackets?: number | undefined
  /** Levels of a packed value. @default 64 */
  packDepth?: number | undefined
  /** Elements that have no bytes, as in `[{}]`, in all arrays of a value. @default 1024 */
  emptyElements?: number | undefined
  /** Calls of a socket that wait for an answer. @default 4096 */
  calls?: number | undefined
  /** Packets of a socket that are being accepted at once, those of bundles included. @default 4096 */
  acceptors?: number | undefined
  /** Bytes of packets that wait for a full link; and of posts that wait to be accepted. @default 16 MiB each */
  queueBytes?: number | undefined
  /** Malformed packets until a socket is closed. @default 100 */
  malformed?: number | undefined
  /** Names that the other side may have. @default 4096 */
  packets?: number | undefined
  /** Bytes of one schema of the other side. @default 16 KiB */
  schemaBytes?: number | undefined
  /** Bytes of packets that travel as one message. @default 64 KiB */
  batchBytes?: number | undefined
}

/** How a schema is compiled. */
export interface CodecOptions {
  limits?: Limits | undefined
  /** Whether decoded `buffer` values are copies, or views of the bytes that were decoded. @default 'copy' */
  buffers?: 'copy' | 'view' | undefined
}

/** Encodes and decodes the values of one schema. */
export interface Codec<D> {
  /**
   * Returns the bytes of a value, which it does not change: a view of memory that nothing else will touch. Keys that the
   * schema lacks are left out, fractions in integer types are cut off.
   *
   * @throws {PacketError} `"ERR_PACKET_ENCODE"` the value does not fit, at `path` · `"ERR_PACKET_TOO_LARGE"`
   */
  encode(value: D): Uint8Array
  /**
   * Returns the value of these bytes, all of them. Bytes in it are Buffers where there are Buffers. An optional key that was
   * absent is there, and undefined.
   *
   * @throws {PacketError} `"ERR_PACKET_MALFORMED"` they are no value of the schema, at `path`, `offset` · `"ERR_PACKET_TOO_LARGE"`
   */
  decode(bytes: Uint8Array): D
  /** The least bytes that a value takes. */
  readonly minBytes: number
  /** 16 hex digits: the same for equal schemas, however they are written. */
  readonly fingerprint: string
}

/**
 * Compiles a schema. Does not change it, and generates code where that is allowed.
 *
 * @throws {PacketError} `"ERR_PACKET_SCHEMA"` it is no schema, at `path`
 * @example
 * const codec = compileSchema({ id: 'uint32', at: ['float32'], 'why?': 'string' })
 * const bytes = codec.encode({ id: 7, at: [1, 2] })
 * codec.decode(bytes).at[1] // 2
 */
export declare function compileSchema<const S extends Schema>(
  schema: S,
  options?: CodecOptions,
): Codec<DataOf<S>>

/** An instance of a packet: its data. `R` is what it is answered with. */
export interface PacketInstance<D = Agreed, R = Agreed> {
  data: D
  /** Refuses the packet by throwing, best a `ValidationError`. */
  validate?(socket: PacketSocket): void | Promise<void>
  /** Returns the answer. */
  respond?(socket: PacketSocket): unknown
  /** Only for TypeScript. */
  readonly __result?: R
}

/** A packet class. Its statics can be overridden. */
export interface PacketClass<D = Agreed, R = Agreed> {
  new (data?: D): PacketInstance<D, R>
  readonly prototype: PacketInstance<D, R>
  /** The schema. @default {} */
  readonly data: Schema
  /** The schema of the answer; without one it is any value as MessagePack. @default undefined */
  readonly result: Schema | undefined
  /** Who may get it; the others refuse it with 403. @default 'both' */
  readonly direction: Direction
  /** `'serial'`: of one socket, each is done with before the next one starts. @default 'concurrent' */
  readonly order: Order
  /** The data in bytes, by the schema. */
  encode(data: D): Uint8Array
  /** The data of bytes. */
  decode(bytes: Uint8Array): D
  /** Refuses a packet by throwing. @default `packet.validate?.(socket)` */
  validate(packet: Agreed, socket: Agreed): unknown
  /** Returns the answer. @default `packet.respond?.(socket)` */
  respond(packet: Agreed, socket: Agreed): unknown
}

/** Which side may send a packet. */
export type Direction = 'both' | 'toClient' | 'toServer'
/** Whether packets are handled one after the other, or side by side. */
export type Order = 'concurrent' | 'serial'

/** What a packet of a schema has beside it. */
export interface PacketOptions<D, R> {
  /** The schema of the answer. @default any value, as MessagePack */
  result?: R | undefined
  /** Keys whose values are any value as MessagePack; `true`: all of the data. @default none */
  pack?: true | string | readonly string[] | undefined
  /** @default 'both' */
  direction?: Direction | undefined
  /** @default 'concurrent' */
  order?: Order | undefined
  /** Refuses a packet by throwing, best a `ValidationError`. */
  validate?(packet: PacketInstance<D>, socket: PacketSocket): void | Promise<void>
  /** Returns the answer. */
  respond?(
    packet: PacketInstance<D>,
    socket: PacketSocket,
  ): R extends Schema ? DataOf<R> | Promise<DataOf<R>> : unknown
}

type ResultData<R> = R extends Schema ? DataOf<R> : Agreed

interface PacketBase extends PacketClass {
  /**
   * Returns a packet class of a schema.
   *
   * @throws {PacketError} `"ERR_PACKET_SCHEMA"` · `"ERR_UNKNOWN_OPTION"`
   */
  <const S extends Schema, const R extends Schema | undefined = undefined>(
    schema: S,
    options?: PacketOptions<DataOf<S>, R>,
  ): PacketClass<DataOf<S>, ResultData<R>>
}

/**
 * The base class of packets, and the function that makes one of a schema.
 *
 * @example
 * class Slap extends Packet({ 'why?': 'string' }) {}
 * class Ping extends Packet {}
 * const Where = Packet({ id: 'uint32' }, { result: { x: 'float32', y: 'float32' } })
 */
export declare const Packet: PacketBase

/**
 * Returns a decorator of packet classes: the whole data, or the value of one key, is any value as MessagePack.
 *
 * @example
 * class Message extends Packer()(Packet) {}
 * class Upload extends Packer('document')(Packet({ id: 'uint32' })) {}
 */
export declare function Packer(key?: string): <C extends PacketClass>(Superclass: C) => PacketClass

/** Many packets as one; nested ones are fine. Answered with what came of each, in order. */
export declare const Bundle: PacketClass<readonly unknown[], BundleOutcome[]>
/** What came of a packet of a bundle; `{}`: it was accepted, with nothing to say. */
export type BundleOutcome =
  | { readonly value?: Agreed; readonly error?: undefined }
  | { readonly error: { readonly code: number; readonly reason: string; readonly [more: string]: unknown } }
  | readonly BundleOutcome[]
/**
 * Sends a page to another address, http, https or relative; on the client's socket it is the event `redirect`, and only
 * without a listener the page goes there by itself. Servers refuse it.
 */
export declare const Redirect: PacketClass<string, undefined>
/** Has a page load itself again; as `Redirect`. */
export declare const Refresh: PacketClass<{}, undefined>

interface DefaultPackets {
  Bundle: typeof Bundle
  Redirect: typeof Redirect
  Refresh: typeof Refresh
}

/** Packet classes by name. */
export type Packets = Record<string, PacketClass>
type WithDefaults<M> = Omit<DefaultPackets, keyof M> & M
/** The data of the packets of a class. */
export type DataOfClass<C> = C extends PacketClass<infer D> ? D : Agreed
/** The answer to the packets of a class. */
export type ResultOfClass<C> = C extends PacketClass<Agreed, infer R> ? R : Agreed
/** The answer to a packet. */
export type ResultOf<P> = P extends PacketInstance<Agreed, infer R> ? R : Agreed

/** A packet by its name: `['Slap', { why: 'late' }]`. Without data it is `{}`. */
export type Dehydrated<M = Agreed> = {
  [K in keyof WithDefaults<M>]: readonly [K, DataOfClass<WithDefaults<M>[K]>?]
}[keyof WithDefaults<M>]

/** How a registry is made. */
export interface PacketRegistryOptions extends CodecOptions {
  /** Whether `Bundle`, `Redirect` and `Refresh` are in it. @default true */
  defaults?: boolean | undefined
}

/**
 * The packets that an application has, by name. Both sides of a connection need not have the same ones.
 *
 * @example
 * export const packets = new PacketRegistry({ Where, Slap })
 */
export declare class PacketRegistry<const M extends Packets = {}> {
  /** @throws {PacketError} `"ERR_PACKET_SCHEMA"` one is not a packet class, or its schema is not valid */
  constructor(packets?: M, options?: PacketRegistryOptions)
  /** Sorted by their units of UTF-16. */
  readonly names: readonly string[]
  /** 16 hex digits over all names and schemas. */
  readonly hash: string
  /** The class of a name. */
  get(name: string): PacketClass | undefined
  /** Returns the packet: an instance as it is. @throws {PacketError} `"ERR_PACKET_UNKNOWN"` */
  hydrate(packet: Dehydrated<M> | PacketInstance): PacketInstance
  /**
   * Returns the bytes of a packet, as flecks has them; of bundles, too. Who decodes them must have the same registry.
   *
   * @throws {PacketError} `"ERR_PACKET_UNKNOWN"` · `"ERR_PACKET_ENCODE"` · `"ERR_PACKET_TOO_LARGE"`
   */
  encode(packet: Dehydrated<M> | PacketInstance): Uint8Array
  /** Returns the packet of bytes. @throws {PacketError} `"ERR_PACKET_MALFORMED"` · `"ERR_PACKET_UNKNOWN"` · `"ERR_PACKET_TOO_LARGE"` */
  decode<K extends keyof WithDefaults<M> & string>(
    name: K,
    bytes: Uint8Array,
  ): InstanceType<WithDefaults<M>[K]>
  /**
   * Returns the bytes of a packet, preceded by its fingerprint, for storage and pub/sub.
   * @throws {PacketError} as `encode`
   */
  pack(packet: Dehydrated<M> | PacketInstance): Uint8Array
  /**
   * Returns the packet of such bytes.
   *
   * @throws {PacketError} `"ERR_PACKET_UNKNOWN"` no packet here has that fingerprint · `"ERR_PACKET_MALFORMED"`
   */
  unpack(bytes: Uint8Array): PacketInstance
  /** Publishes a packet. @throws {PacketError} as `encode` · {FabricError} as `client.publish` */
  publish(
    client: Client,
    subject: string,
    packet: Dehydrated<M> | PacketInstance,
    options?: PublishOptions,
  ): Promise<Published>
  /**
   * Subscribes to packets; everything else is ignored, and counted.
   *
   * @throws {FabricError} as `client.subscribe`
   * @example
   * for await (const { subject, packet } of await packets.subscribe(client, 'moves.*')) console.log(subject, packet.data)
   */
  subscribe(client: Client, pattern: string, options?: SubscriptionOptions): Promise<PacketSubscription>
}

/** The packets of a subscription. */
export declare class PacketSubscription implements AsyncIterableIterator<PublishedPacket> {
  private constructor()
  readonly subject: string
  /** Messages that were no packets of the registry. */
  readonly rejected: number
  /** Messages that were lost because too many waited. */
  readonly dropped: number
  next(): Promise<IteratorResult<PublishedPacket, undefined>>
  return(): Promise<IteratorResult<PublishedPacket, undefined>>
  close(): void
  [Symbol.asyncIterator](): this
  [Symbol.asyncDispose](): Promise<void>
}

/** A packet that was published, and where. */
export interface PublishedPacket {
  readonly subject: string
  readonly headers: Headers | null | undefined
  readonly packet: PacketInstance
}

/** What packets need of a connection: messages in order, whole, each once. */
export interface PacketLink {
  /** `'frames'`: the protocol of packets. `'flecks'`: that of @flecks/socket. */
  readonly kind: 'frames' | 'flecks'
  readonly id: string
  /** Messages are pieces of a stream of bytes, cut anywhere. @default false */
  readonly isStream?: boolean
  /** Takes a message in any case. Returns `false` when it is full, and the next one should wait for `writable()`. */
  send(message: Uint8Array): unknown
  /** Resolves when messages can be sent again. */
  writable?(): Promise<void>
  /** Stops messages from coming until `resume()`. A link without it is closed where it would have to. */
  pause?(): void
  resume?(): void
  /** `message` gets bytes, or null for what is no bytes; `closed` is called once, and last. */
  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void
  /** Calls back when messages can be sent: at once, if they can be. */
  ready(go: () => void): void
  /** Ends cleanly: what was sent is still delivered. */
  close(): void
  /** Ends at once, because of what the other side did. @default `close` */
  abort?(): void
}

/**
 * A socket of the fabric as a link: what `new PacketSocket(socket, …)` makes by itself. Survives reconnects.
 *
 * @param options.channel Of a client's socket: another socket to the channel of that name, for a server at `server.channel(name)`.
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` it has packets already, or renews itself (`renew`):
 *   another server would know nothing of its packets
 */
export declare function overSocket(
  socket: ConatSocketClient | ServerSocket,
  options?: { channel?: string | undefined },
): PacketLink

/** What is used of a WebSocket: of a page's own, of `ws`, or of any other with the same events. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  readonly bufferedAmount: number
  send(data: Foreign): void
  close(code?: number, reason?: string): void
  addEventListener(type: Foreign, listener: (event: Foreign) => void): void
  pause?(): void
  resume?(): void
  terminate?(): void
}

/**
 * A WebSocket as a link. Make the PacketSocket when the WebSocket is made, not later: what has arrived by then is lost. It
 * ends with the WebSocket; a page's own cannot be held back, and closes where it would have to be.
 *
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"`
 * @example
 * const socket = new PacketSocket(overWebSocket(new WebSocket('wss://game.example/packets')), packets)
 * const server = new PacketServer(new WebSocketServer({ port: 8080 }), packets, { link: overWebSocket })
 */
export declare function overWebSocket(socket: WebSocketLike): PacketLink

/** What is used of a socket of Socket.IO, of either side. */
export interface SocketIoLike {
  readonly id?: string | undefined
  readonly connected: boolean
  emit(event: Foreign, ...args: Foreign[]): unknown
  on(event: Foreign, listener: (...args: Foreign[]) => void): unknown
  once(event: Foreign, listener: (...args: Foreign[]) => void): unknown
  onAny(listener: (event: Foreign, ...args: Foreign[]) => void): unknown
  disconnect(): unknown
  timeout?(ms: number): { emit(event: Foreign, ...args: Foreign[]): unknown }
}

/**
 * A socket of Socket.IO as a link, for packets of ours on both sides: they travel in the event `packets`. When a client
 * connects again, that is another link.
 *
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"`
 */
export declare function overSocketIo(socket: SocketIoLike): PacketLink

/**
 * A socket of Socket.IO as a link that speaks with @flecks/socket 4, which need not know. Both sides must have the same
 * packets: ids are all that they say. Answers are JSON; result schemas are not used.
 *
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"`
 * @example
 * new PacketServer(io, packets, { link: overFlecks })
 * new PacketSocket(overFlecks(connect(url, { path: '/<application id>/socket.io' })), packets)
 */
export declare function overFlecks(socket: SocketIoLike): PacketLink

/** What is used of a connection of `selvedge/sockety`. */
export interface SocketyConnectionLike {
  readonly closeReason: Error | null
  ready(): Promise<unknown>
  send(producer: Foreign): { readonly stream: unknown }
  on(event: Foreign, listener: (...args: Foreign[]) => void): unknown
}

/** What is used of its class `Draft`. */
export interface SocketyDraftLike {
  for(action: string): { stream(): (...input: Foreign[]) => unknown }
}

/**
 * A connection of Sockety as a link: one message on a channel of its own carries the packets of each side; files, streams and
 * other messages stay the connection's, and it stays open when the link is closed.
 *
 * @param Draft That of `selvedge/sockety`, which this module does not load by itself.
 * @param options.channel The action of the message. @default 'packets'
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"`
 * @example
 * const socket = new PacketSocket(overSockety(connect(7000), Draft), packets)
 * new PacketServer(server, packets, { link: connection => overSockety(connection, Draft) })
 */
export declare function overSockety(
  connection: SocketyConnectionLike,
  Draft: SocketyDraftLike,
  options?: { channel?: string | undefined },
): PacketLink

/** What is used of a Duplex. */
export interface DuplexLike {
  readonly writable: boolean
  readonly connecting?: boolean
  write(bytes: Foreign): boolean
  end(): unknown
  destroy(): unknown
  pause(): unknown
  resume(): unknown
  on(event: Foreign, listener: (...args: Foreign[]) => void): unknown
  once(event: Foreign, listener: (...args: Foreign[]) => void): unknown
}

/**
 * A stream of bytes as a link: of `node:net`, `node:tls`, a child process.
 *
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"`
 * @example
 * new PacketServer(net.createServer().listen(0), packets, { link: overStream })
 */
export declare function overStream(stream: DuplexLike): PacketLink

/** What is used of a port. */
export interface PortLike {
  postMessage(value: Foreign, transfer?: Foreign): void
  addEventListener?(type: Foreign, listener: (event: Foreign) => void): void
  on?(event: Foreign, listener: (value: Foreign) => void): unknown
  start?(): void
  close?(): void
}

/**
 * A MessagePort as a link; or a Worker, and in it `parentPort` or `self`. Both sides count what the other has taken.
 *
 * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"`
 */
export declare function overPort(port: PortLike): PacketLink

/** Runs around what accepts packets; `next` runs the rest, and resolves with its answer. */
export type Layer = (packet: PacketInstance, socket: PacketSocket, next: () => Promise<unknown>) => unknown

/** Answers the packets of a class. */
export type Handler<C> = (
  packet: C extends abstract new (...args: Foreign) => infer P ? P : PacketInstance,
  socket: PacketSocket,
) => ResultOfClass<C> | Promise<ResultOfClass<C>>

/** How a packet is sent. */
export interface SendOptions {
  /** Milliseconds for the answer. @default that of the socket */
  timeout?: number | undefined
  /** Stops the waiting, not what the other side has begun. */
  signal?: AbortSignal | undefined
}

/** How a socket is made. */
export interface PacketSocketOptions {
  /** Milliseconds for an answer. @default 10_000 */
  timeout?: number | undefined
  /** `'serial'`: a packet is done with before the next one starts. @default 'concurrent' */
  order?: Order | undefined
  /** `false`: each packet is a message of its own. @default 'tick': those of one tick travel together */
  batch?: 'tick' | false | undefined
  /** Which end of the connection this is, for the direction of packets. @default that of the fabric's socket, else 'client' */
  role?: 'client' | 'server' | undefined
  /** Whether the other side gets the text of unexpected errors. @default false: it gets `error` */
  exposeErrors?: boolean | undefined
  limits?: Limits | undefined
  /** Is `req.intercom`; and carries what a server sends to the other nodes. */
  intercom?: Intercom | undefined
  /** What `req` has besides; called with the connection when the socket is made. */
  context?(socket: Agreed): Record<string, unknown>
}

/** The methods of Node's EventEmitter, also in pages. */
export declare class PacketEmitter<E extends Record<keyof E, unknown[]>> {
  on<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  addListener<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  prependListener<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  once<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  prependOnceListener<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  off<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  removeListener<K extends keyof E>(name: K, listener: (...args: E[K]) => void): this
  removeAllListeners(name?: keyof E): this
  emit<K extends keyof E>(name: K, ...args: E[K]): boolean
  listenerCount(name: keyof E, listener?: (...args: Foreign[]) => void): number
  listeners(name: keyof E): ((...args: Foreign[]) => void)[]
  rawListeners(name: keyof E): ((...args: Foreign[]) => void)[]
  eventNames(): PropertyKey[]
  setMaxListeners(count: number): this
  getMaxListeners(): number
}

/** The events of a socket and what listeners get. */
export interface PacketSocketEvents {
  /** A packet was validated, and is about to be answered. */
  packet: [packet: PacketInstance]
  /** A packet of the other side came to nothing here: a post that was refused, bytes that are malformed, a handler that failed. */
  rejected: [error: PacketError, packet?: PacketInstance]
  /** What `send` rejected with; or packets that did not leave before the socket closed. */
  sendError: [error: PacketError | ValidationError, packet: unknown]
  redirect: [url: string]
  refresh: []
  /** Once, and last. The reason, when it was not closed here by `close()`. */
  closed: [reason?: Error]
}

/**
 * A connection with packets, the same on both sides.
 *
 * @example
 * const socket = new PacketSocket(client.socket.connect('game'), packets)
 * const { x, y } = await socket.send(['Where', { id: 7 }])
 * socket.post(['Slap', { why: 'late' }])
 */
export declare class PacketSocket<M extends Packets = Agreed> extends PacketEmitter<PacketSocketEvents> {
  /**
   * @throws {PacketError} `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` · `"ERR_UNKNOWN_OPTION"` ·
   *   `"ERR_OUT_OF_RANGE"`
   */
  constructor(
    socket: ConatSocketClient | ServerSocket | PacketLink,
    registry: PacketRegistry<M>,
    options?: PacketSocketOptions,
  )
  readonly id: string
  readonly link: PacketLink
  /** `socketId`, `server`, `intercom`, `signal` (aborted when the socket closes), and what `context` returned. Yours to add to. */
  readonly req: Record<string, Agreed>
  /**
   * Sends a packet, and resolves with its answer: undefined, too, says that it was accepted. Never throws, and always
   * settles. A rejection that is not looked at is only the event `sendError`.
   *
   * @throws {PacketError} `"ERR_PACKET_UNKNOWN"` · `"ERR_PACKET_ENCODE"` · `"ERR_PACKET_TOO_LARGE"` · `"ERR_PACKET_TIMEOUT"` ·
   *   `"ERR_PACKET_ABORTED"` · `"ERR_PACKET_CLOSED"` · `"ERR_PACKET_BUSY"` too much waits · `"ERR_PACKET_UNSUPPORTED"` the
   *   other side lacks it, or has one that cannot be read · `"ERR_PACKET_MALFORMED"` the answer is · a number: what the
   *   other side said, 403 wrong direction, 429 too many at once, 500 it failed
   * @throws {ValidationError} the other side threw it
   */
  send<P extends PacketInstance>(packet: P, options?: SendOptions): Promise<ResultOf<P>>
  send<K extends keyof WithDefaults<M> & string>(
    packet: readonly [K, DataOfClass<WithDefaults<M>[K]>?],
    options?: SendOptions,
  ): Promise<ResultOfClass<WithDefaults<M>[K]>>
  /**
   * Sends a packet that is not answered. Returns whether there is room for more; else wait for `waitUntilWritable()`.
   *
   * @throws {PacketError} `"ERR_PACKET_UNKNOWN"` · `"ERR_PACKET_ENCODE"` · `"ERR_PACKET_TOO_LARGE"` · `"ERR_PACKET_CLOSED"` ·
   *   `"ERR_PACKET_BUSY"` over `limits.queueBytes` wait
   */
  post(packet: Dehydrated<M> | PacketInstance): boolean
  /**
   * Resolves when there is room for more, or the socket is closed. Without a `timeout` it waits as long as that takes.
   *
   * @throws {PacketError} `"ERR_PACKET_TIMEOUT"` · `"ERR_PACKET_ABORTED"`, whose `cause` is the signal's reason
   */
  waitUntilWritable(options?: {
    timeout?: number | undefined
    signal?: AbortSignal | undefined
  }): Promise<void>
  /**
   * Answers packets of a class; the class's own `validate` runs before. Wins over a handler of the server.
   * Returns what takes it out again.
   *
   * @throws {PacketError} `"ERR_PACKET_HANDLED"` this socket has one · `"ERR_PACKET_UNKNOWN"`
   */
  handle<C extends PacketClass>(
    Class: C,
    handler: Handler<C> | { validate?: ValidatorOf<C> | undefined; respond?: Handler<C> | undefined },
  ): () => void
  /** Adds a layer, after those of the server. */
  use(layer: Layer): this
  /** Joins a room of the server. @throws {PacketError} `"ERR_PACKET_UNSUPPORTED"` it is not of a server */
  join(room: string): void
  leave(room: string): void
  readonly rooms: readonly string[]
  /** Closes: what was sent still goes, calls reject with `"ERR_PACKET_CLOSED"`. Resolves when it is closed; never rejects. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Refuses packets of a class by throwing. */
export type ValidatorOf<C> = (
  packet: C extends abstract new (...args: Foreign) => infer P ? P : PacketInstance,
  socket: PacketSocket,
) => void | Promise<void>

/** How a server is made. */
export interface PacketServerOptions extends Omit<PacketSocketOptions, 'role'> {
  /** Makes a link of each connection. @default `overSocket` */
  link?(socket: Foreign): PacketLink
  /** What sends to all nodes reaches: servers with the same channel. @default the subject of the fabric's server, else '' */
  channel?: string | undefined
}

/** The events of a server and what listeners get. */
export interface PacketServerEvents {
  connection: [socket: PacketSocket]
  /** What was sent to all nodes did not leave this one. */
  sendError: [error: Error, packet: unknown]
}

/**
 * Makes a `PacketSocket` of each connection of a server.
 *
 * @example
 * const server = new PacketServer(client.socket.listen('game'), packets)
 * server.handle(Where, ({ data }) => positions.get(data.id))
 * server.on('connection', socket => socket.join('lobby'))
 * server.to('lobby').send(['Slap'])
 */
export declare class PacketServer<M extends Packets = Agreed> extends PacketEmitter<PacketServerEvents> {
  /**
   * @param source Emits `connection` (one of node:tls `secureConnection`): a socket server of the fabric, or with
   *   `options.link` any other. It stays yours.
   * @throws {PacketError} as PacketSocket
   */
  constructor(
    source: {
      on(name: Foreign, listener: (...args: Foreign[]) => void): unknown
      off(name: Foreign, listener: (...args: Foreign[]) => void): unknown
    },
    registry: PacketRegistry<M>,
    options?: PacketServerOptions,
  )
  /** The open sockets by id. */
  readonly sockets: ReadonlyMap<string, PacketSocket<M>>
  /** Packets of other nodes that this one could not pass on, because its registry differs. */
  readonly rejected: number
  /** Answers packets of a class on all sockets. @throws {PacketError} `"ERR_PACKET_HANDLED"` · `"ERR_PACKET_UNKNOWN"` */
  handle<C extends PacketClass>(
    Class: C,
    handler: Handler<C> | { validate?: ValidatorOf<C> | undefined; respond?: Handler<C> | undefined },
  ): () => void
  /** Adds a layer to all sockets. */
  use(layer: Layer): this
  /**
   * Posts a packet to all sockets; with an intercom to those of all nodes. A socket whose queue is full misses it, and
   * emits `sendError`.
   *
   * @param options.local Only to the sockets of this node. @default false
   * @throws {PacketError} `"ERR_PACKET_UNKNOWN"` · `"ERR_PACKET_ENCODE"` · `"ERR_PACKET_TOO_LARGE"`
   */
  send(packet: Dehydrated<M> | PacketInstance, options?: { local?: boolean | undefined }): void
  /** The same for the sockets in a room. */
  to(room: string): {
    send(packet: Dehydrated<M> | PacketInstance, options?: { local?: boolean | undefined }): void
  }
  /** Takes no more connections and closes the sockets. The source stays open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How a node of an intercom is started. */
export interface CreateIntercomOptions {
  /** Nodes with the same cluster call each other: the first token, or tokens, of its subjects. @default 'packets' */
  cluster?: string | undefined
  /** The node's name, one token, of no other node. @default a random one */
  node?: string | undefined
  /** Milliseconds for all nodes to answer. @default 5000 */
  timeout?: number | undefined
  /** Calls that are open here, and calls that are being handled here. @default 1024 */
  maxCalls?: number | undefined
  /** Ends the start: the node leaves the cluster again, and `createIntercom` rejects with `"ERR_PACKET_ABORTED"`. */
  signal?: AbortSignal | undefined
}

/**
 * Starts a node of a cluster, and resolves with its intercom when it has heard of the others. It ends with
 * the client. Anyone who may publish and subscribe below the cluster's subjects (`<cluster>.intercom`,
 * `<cluster>.intercom.>`, `<cluster>.broadcast`) is trusted by all nodes.
 *
 * @throws {PacketError} `"ERR_UNKNOWN_OPTION"` · `"ERR_INVALID_ARG_VALUE"` · {FabricError} as `client.subscribe`
 * @example
 * const intercom = await createIntercom(client)
 * intercom.provide('@sim', { position: (id: number) => positions.get(id) })
 * const position = await intercom.first('@sim.position', 7)
 */
export declare function createIntercom(client: Client, options?: CreateIntercomOptions): Promise<Intercom>

/** How nodes are called. */
export interface IntercomOptions {
  /** Milliseconds for all nodes to answer. @default that of the intercom */
  timeout?: number | undefined
  /** Resolves also when nodes failed or are silent: with undefined in their places. @default false */
  partial?: boolean | undefined
  /** Rejects at the first failure, without waiting for the others. @default false */
  failFast?: boolean | undefined
  signal?: AbortSignal | undefined
}

/** What a handler gets beside the data. */
export interface IntercomContext {
  /** The node that called. */
  readonly node: string
  /** The first PacketServer of this node that has the intercom. */
  readonly server?: PacketServer
  /** Aborted when the intercom is closed. */
  readonly signal: AbortSignal
}

/** Answers calls from other nodes, with what it returns or resolves with. */
export type IntercomHandler = (data: Agreed, context: IntercomContext) => unknown

/**
 * Calls handlers on all nodes, the own one included, over the fabric: any value, Dates and bytes as well.
 *
 * @throws {PacketError} `"ERR_INTERCOM_TYPE"` no node has a handler of this type · `"ERR_INTERCOM_FAILED"` a handler threw ·
 *   `"ERR_INTERCOM_TIMEOUT"` a node is silent; both have `responses` and `failures` · `"ERR_INTERCOM_CLOSED"` · `"ERR_PACKET_ABORTED"` ·
 *   `"ERR_PACKET_BUSY"` too many calls are open · {FabricError} as `client.publish`
 */
export interface Intercom {
  /** Resolves with the values of all nodes, ordered by their names; undefined for a node without a handler of the type. */
  <T = Agreed>(type: string, data?: unknown, options?: IntercomOptions): Promise<(T | undefined)[]>
  /** Resolves with the first value that is not undefined; with undefined when all nodes have none. */
  first<T = Agreed>(type: string, data?: unknown, options?: IntercomOptions): Promise<T | undefined>
  /** Iterates over the answers as they come, `ms` after the call, and over nodes that are silent at the end. */
  each<T = Agreed>(
    type: string,
    data?: unknown,
    options?: IntercomOptions,
  ): AsyncIterableIterator<{ node: string; value?: T; error?: PacketError; ms: number }>
  /** Answers calls of a type. Returns what takes the handler out again. @throws {PacketError} `"ERR_INTERCOM_TYPE"` has one */
  handle(type: string, handler: IntercomHandler): () => void
  /** The same for several types: `<part>.<key>`. */
  provide(part: string, handlers: Record<string, IntercomHandler>): () => void
  readonly node: string
  /** Leaves the cluster. Calls that are open reject with `"ERR_INTERCOM_CLOSED"`. Never rejects. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Refuses a packet: the other side's `send` rejects with the same payload.
 *
 * @param payload A string is the reason, with the code 400. Without a payload it is an error like all others.
 * @example
 * throw new ValidationError({ code: 404, reason: 'no such unit' })
 */
export declare class ValidationError extends Error {
  constructor(payload?: { code: number; reason: string; [more: string]: unknown } | string, message?: string)
  readonly payload: Agreed
  readonly code: number
  readonly reason: string
  /** The name of the packet, on the side that sent it. */
  readonly packet?: string
}

/** Every error of packets. */
export declare class PacketError extends Error {
  private constructor()
  /** `"ERR_PACKET_…"`, see docs/reference/errors.md; a number for what the other side said. */
  readonly code: string | number
  /** In short what is wrong. */
  readonly reason: string
  /** The payload of a `ValidationError` that refused a post. */
  readonly payload?: unknown
  /** The name of the packet. */
  readonly packet?: string
  /** Where in the value: `at.x`, `u[1].hp`; empty for the whole. */
  readonly path?: string
  /** Where in the bytes. */
  readonly offset?: number
  /** Of an intercom: what the nodes answered that did, ordered by their names. */
  readonly responses?: readonly { readonly node: string; readonly value: Agreed }[]
  /** And what became of the others. */
  readonly failures?: readonly { readonly node: string; readonly error: PacketError }[]
}
