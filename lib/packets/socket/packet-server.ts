// The sockets of a server: makes one of each connection, and sends to all of them, or to those in a room, on all nodes.
import type { PacketServerOptions } from '../../../types/packets'
import { isBytes } from '../codec/coder'
import { encodeWith } from '../codec/slab'
import { Emitter, type EventName } from '../emitter'
import { badOption, PacketError, throwAsync } from '../errors'
import { type IntercomInside, intercomInsideOf } from '../intercom/inside'
import { randomId } from '../link/ids'
import { linkOf } from '../link/link-of'
import { INSPECT, type Inspect, show } from '../printing'
import type { Entry } from '../registry/entry'
import { FINGERPRINT_BYTES } from '../registry/envelope'
import { named, PacketRegistry } from '../registry/registry'
import { Handlers } from './accept'
import { checkSocketOptions, SERVER_OPTIONS } from './options'
import { PacketSocket } from './packet-socket'
import { checkRoom, Rooms } from './rooms'

interface ConnectionSource {
  on(name: string, listener: (socket: unknown) => void): unknown
  off(name: string, listener: (socket: unknown) => void): unknown
  readonly subject?: unknown
}

/** What a server says to the others of its channel: who it is, the channel, the room or null for all, and the envelope. */
type BroadcastMessage = readonly [server: string, channel: string, room: string | null, envelope: Uint8Array]

export interface SendTo {
  local?: boolean
}

export class PacketServer extends Emitter {
  readonly #source: ConnectionSource
  readonly #event: string
  readonly #registry: PacketRegistry
  readonly #options: PacketServerOptions
  readonly #handlers = new Handlers()
  readonly #sockets = new Map<string, PacketSocket>()
  readonly #rooms = new Rooms<PacketSocket>()
  readonly #id = randomId()
  readonly #channel: string
  readonly #intercom: IntercomInside | undefined
  readonly #stopBroadcasts: (() => void) | undefined
  #rejected = 0

  constructor(source: ConnectionSource, registry: PacketRegistry, options: PacketServerOptions = {}) {
    super()
    checkSocketOptions(options, SERVER_OPTIONS)
    if (typeof source?.on !== 'function')
      throw badOption('source must emit connections', 'ERR_INVALID_ARG_TYPE')
    // It is an emitter, and never emits one.
    if ('publish' in source && 'socket' in source)
      throw badOption('source must be a server, as of client.socket.listen()', 'ERR_INVALID_ARG_TYPE')
    if (!(registry instanceof PacketRegistry))
      throw badOption('registry must be a PacketRegistry', 'ERR_INVALID_ARG_TYPE')
    this.#source = source
    // A server of node:tls has sockets of TLS in an event of their own.
    this.#event = 'addContext' in source ? 'secureConnection' : 'connection'
    this.#registry = registry
    this.#options = options
    this.#channel = options.channel ?? (typeof source.subject === 'string' ? source.subject : '')
    this.#intercom = intercomInsideOf(options.intercom)
    this.#stopBroadcasts = this.#intercom?.onBroadcast(this, message => this.#handleBroadcast(message))
    source.on(this.#event, this.#handleConnection)
  }

  get sockets(): ReadonlyMap<string, PacketSocket> {
    return this.#sockets
  }

  /** Broadcasts of other nodes that nothing here could be made of. */
  get rejected(): number {
    return this.#rejected
  }

  [INSPECT](...how: [number, object, Inspect]): string {
    return show(this, { sockets: this.#sockets.size, rejected: this.#rejected }, how)
  }

  handle(Class: unknown, handler: unknown): () => void {
    return this.#handlers.add(this.#registry.entryOfClass(Class), handler)
  }

  use(layer: unknown): this {
    this.#handlers.use(layer)
    return this
  }

  send(packet: unknown, options: SendTo = {}): void {
    this.#broadcast(null, packet, options)
  }

  to(room: string): { send(packet: unknown, options?: SendTo): void } {
    checkRoom(room)
    return { send: (packet, options = {}) => this.#broadcast(room, packet, options) }
  }

  async close(): Promise<void> {
    this.#source.off(this.#event, this.#handleConnection)
    this.#stopBroadcasts?.()
    await Promise.all([...this.#sockets.values()].map(socket => socket.close()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  readonly #handleConnection = (source: unknown): void => {
    try {
      const { link, channel, ...options } = this.#options
      const socket = new PacketSocket(
        link === undefined ? linkOf(source).link : link(source),
        this.#registry,
        options,
        {
          server: this,
          handlers: this.#handlers,
          rooms: this.#rooms,
          source,
        },
      )
      this.#sockets.set(socket.id, socket)
      socket.on('closed', () => this.#forget(socket))
      this.emit('connection', socket)
    } catch (error) {
      throwAsync(error)
    }
  }

  #forget(socket: PacketSocket): void {
    this.#rooms.leaveAll(socket)
    // Another one may have come under the same id.
    if (this.#sockets.get(socket.id) === socket) this.#sockets.delete(socket.id)
  }

  #broadcast(room: string | null, packet: unknown, { local = false }: SendTo): void {
    const { entry, name, data, coder } = this.#registry.prepare(packet)
    const body = named(name, () => encodeWith(coder, data, this.#registry.limits.packetBytes))
    this.#post(room, entry, body)
    if (local || this.#intercom === undefined) return
    const message: BroadcastMessage = [this.#id, this.#channel, room, this.#registry.envelope(entry, body)]
    this.#intercom.broadcast(message).catch(error => this.#tell('sendError', error, packet))
  }

  #post(room: string | null, entry: Entry, body: Uint8Array): void {
    const sockets = room === null ? this.#sockets.values() : this.#rooms.in(room)
    for (const socket of sockets) socket.postBody(entry, body)
  }

  #handleBroadcast(message: unknown): void {
    if (!isBroadcast(message) || message[0] === this.#id || message[1] !== this.#channel) return
    const [, , room, envelope] = message
    try {
      // Once here, and not at every client: it may come from anybody who may publish there.
      this.#registry.unpack(envelope)
      this.#post(room, this.#registry.entryOfEnvelope(envelope), envelope.subarray(FINGERPRINT_BYTES))
    } catch (error) {
      if (!(error instanceof PacketError)) throw error
      this.#rejected += 1
    }
  }

  #tell(name: EventName, ...args: unknown[]): void {
    try {
      this.emit(name, ...args)
    } catch (error) {
      throwAsync(error)
    }
  }
}

function isBroadcast(message: unknown): message is BroadcastMessage {
  if (!Array.isArray(message)) return false
  const [server, channel, room, envelope] = message
  return (
    typeof server === 'string' &&
    typeof channel === 'string' &&
    (room === null || typeof room === 'string') &&
    isBytes(envelope)
  )
}
