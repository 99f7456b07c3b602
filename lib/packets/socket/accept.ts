// What a packet passes on its way to its answer: direction, layers, validation, listeners, response. Waits only where
// something gives it a promise.
import type { Agreed } from '../agreed'
import { messageOf, PacketError, ValidationError } from '../errors'
import type { Entry } from '../registry/entry'
import type { AnyPacket } from '../registry/packet'
import type { WireError } from './wire'

export type Layer = (packet: AnyPacket, socket: Agreed, next: () => Promise<unknown>) => unknown
export type Respond = (packet: AnyPacket, socket: Agreed) => unknown

export interface Handler {
  readonly validate?: Respond | undefined
  readonly respond?: Respond | undefined
}

/** The handlers and layers of a socket, or of a server. */
export class Handlers {
  readonly #handlers = new Map<Entry, Handler>()
  layers: readonly Layer[] = []

  get(entry: Entry): Handler | undefined {
    return this.#handlers.get(entry)
  }

  /** Returns what takes the handler out again. @throws {PacketError} `"ERR_PACKET_HANDLED"` */
  add(entry: Entry, handler: unknown): () => void {
    if (this.#handlers.has(entry)) {
      throw new PacketError(`${entry.name} has a handler`, 'ERR_PACKET_HANDLED', { packet: entry.name })
    }
    const added = handlerOf(handler)
    this.#handlers.set(entry, added)
    return () => {
      if (this.#handlers.get(entry) === added) this.#handlers.delete(entry)
    }
  }

  use(layer: unknown): void {
    if (typeof layer !== 'function') throw new PacketError('a layer is a function', 'ERR_INVALID_ARG_TYPE')
    this.layers = [...this.layers, layer as Layer]
  }
}

function handlerOf(handler: unknown): Handler {
  if (typeof handler === 'function') return { respond: handler as Respond }
  const { validate, respond } = (handler ?? {}) as Handler
  if (
    [validate, respond].some(each => each !== undefined && typeof each !== 'function') ||
    !(validate ?? respond)
  ) {
    throw new PacketError('a handler is a function, or { validate, respond }', 'ERR_INVALID_ARG_TYPE')
  }
  return { validate, respond }
}

/** Where a packet is accepted. */
export interface Place {
  /** What handlers get. */
  readonly socket: object
  readonly own: Handlers
  readonly ofServer: Handlers | undefined
  readonly isServer: boolean
  emitPacket(packet: AnyPacket): void
}

/** Returns the answer, or a promise of it. Throws, or rejects with, what the packet is refused for. */
export function accept(packet: AnyPacket, entry: Entry, place: Place): unknown {
  checkDirection(entry, place.isServer)
  const layers =
    place.ofServer === undefined ? place.own.layers : [...place.ofServer.layers, ...place.own.layers]
  return layered(packet, entry, place, layers, 0)
}

function checkDirection({ Class, name }: Entry, isServer: boolean): void {
  const { direction } = Class
  if (direction === 'both' || direction === (isServer ? 'toServer' : 'toClient')) return
  const reason = `${name} is not for a ${isServer ? 'server' : 'client'}`
  throw new ValidationError({ code: 403, reason }, undefined, name)
}

function layered(
  packet: AnyPacket,
  entry: Entry,
  place: Place,
  layers: readonly Layer[],
  at: number,
): unknown {
  const layer = layers[at]
  if (layer === undefined) return validate(packet, entry, place)
  let isCalled = false
  return layer(packet, place.socket, async () => {
    if (isCalled) throw Error('a layer called next twice')
    isCalled = true
    return layered(packet, entry, place, layers, at + 1)
  })
}

function validate(packet: AnyPacket, entry: Entry, place: Place): unknown {
  const { socket, own, ofServer } = place
  const handler = own.get(entry) ?? ofServer?.get(entry)
  return then(entry.Class.validate(packet, socket), () =>
    then(handler?.validate?.(packet, socket), () => {
      place.emitPacket(packet)
      return handler?.respond === undefined
        ? entry.Class.respond(packet, socket)
        : handler.respond(packet, socket)
    }),
  )
}

/** Goes on at once where nothing has to be waited for. */
function then(value: unknown, next: () => unknown): unknown {
  return isThenable(value) ? Promise.resolve(value).then(next) : next()
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const isObject = typeof value === 'object' || typeof value === 'function'
  return isObject && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Returns what the other side is told about an error: never a stack, nor a code of the system. */
export function wireErrorOf(error: unknown, exposeErrors: boolean): WireError {
  if (error instanceof ValidationError && error.payload !== undefined) {
    return { code: error.code, reason: error.reason, payload: error.payload }
  }
  return { code: 500, reason: exposeErrors ? messageOf(error) : 'error' }
}
