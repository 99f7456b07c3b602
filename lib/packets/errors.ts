// What the packets throw, reject with, and hand to events. No code of Node: pages use this, too.

import { didYouMean } from '../values/nearest'
import type { Agreed } from './agreed'

export interface PacketErrorDetails {
  packet?: string
  path?: string
  offset?: number
  payload?: unknown
  reason?: string
  cause?: unknown
  responses?: readonly NodeResponse[]
  failures?: readonly NodeFailure[]
}

/** What a node of an intercom answered. */
export interface NodeResponse {
  readonly node: string
  readonly value: unknown
}

/** What became of a node that did not. */
export interface NodeFailure {
  readonly node: string
  readonly error: PacketError
}

/** Every error of the packets but those that a peer validated with. */
export class PacketError extends Error {
  readonly code: string | number
  readonly reason: string
  // `declare`: an error has only what there is to say, so that a print of it shows no `undefined`.
  declare readonly packet?: string
  declare readonly path?: string
  declare readonly offset?: number
  declare readonly payload?: unknown
  declare readonly responses?: readonly NodeResponse[]
  declare readonly failures?: readonly NodeFailure[]

  constructor(message: string, code: string | number, details: PacketErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.reason = details.reason ?? message
    if (details.packet !== undefined) this.packet = details.packet
    if (details.path !== undefined) this.path = details.path
    if (details.offset !== undefined) this.offset = details.offset
    if (details.payload !== undefined) this.payload = details.payload
    if (details.responses !== undefined) this.responses = details.responses
    if (details.failures !== undefined) this.failures = details.failures
  }
}

// On the prototype, as for the built-in errors: an own property would show in every print of an error.
Object.defineProperty(PacketError.prototype, 'name', {
  value: 'PacketError',
  configurable: true,
  writable: true,
})

/** Returns the error of a schema that is none. */
export function badSchema(path: string, problem: string): PacketError {
  const where = path === '' ? 'schema' : `schema at ${path}`
  return new PacketError(`${where}: ${problem}`, 'ERR_PACKET_SCHEMA', { path })
}

/** Returns the error of an option that is wrong. */
export function badOption(
  message: string,
  code: 'ERR_UNKNOWN_OPTION' | 'ERR_OUT_OF_RANGE' | 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE',
): PacketError {
  return new PacketError(message, code)
}

/** Returns the error of an option that is not there. @param known Those that are */
export function unknownOption(name: string, known: readonly string[], what = 'option'): PacketError {
  return badOption(`unknown ${what} '${name}'${didYouMean(name, known)}`, 'ERR_UNKNOWN_OPTION')
}

/** @throws {PacketError} `"ERR_INVALID_ARG_TYPE"` it is no client, of whichever copy of the package */
export function checkClient(client: unknown): void {
  const { publish, subscribe } = (client ?? {}) as { publish?: unknown; subscribe?: unknown }
  if (typeof publish === 'function' && typeof subscribe === 'function') return
  throw badOption('client must be a client of the fabric, as connect() returns it', 'ERR_INVALID_ARG_TYPE')
}

/** Returns a value as text for people: never throws, and never longer than a line. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value
    return JSON.stringify(text)
  }
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null)
    return typeof value === 'bigint' ? `${value}n` : String(value)
  if (Array.isArray(value)) return 'an array'
  return ArrayBuffer.isView(value) ? 'bytes' : 'an object'
}

/** Returns the text of whatever was thrown. */
export function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown }
  // Not by its class: it may come from another realm.
  return (typeof message === 'string' ? message : shown(error)) || 'error'
}

/** Returns what was thrown, or an error in the place of what throws itself when it is looked at. */
export function readable(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error)
    const { code, reason, path, packet, payload } = (thrown ?? {}) as Record<string, unknown>
    void [code, reason, path, packet, payload, messageOf(thrown)]
    return thrown
  } catch {
    return Error('what was thrown cannot be read')
  }
}

/** Throws what code of the user threw where nothing of ours breaks: as an uncaught exception. */
export function throwAsync(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/** Characters of a value that an error's text repeats. */
const MAX_SHOWN = 40

/** What a peer is told that a packet was refused for. */
export interface ValidationPayload {
  code: number
  reason: string
  [more: string]: unknown
}

/** Refuses a packet; the other side's `send` rejects with the same. */
export class ValidationError extends Error {
  readonly payload: Agreed
  readonly code: number
  readonly reason: string
  declare readonly packet?: string

  constructor(payload?: ValidationPayload | string, message?: string, packet?: string) {
    const said = typeof payload === 'string' ? { code: 400, reason: payload } : payload
    const { code, reason } = codeAndReason(said)
    super(message ?? reason)
    this.payload = said
    this.code = code
    this.reason = reason
    if (packet !== undefined) this.packet = packet
  }
}

Object.defineProperty(ValidationError.prototype, 'name', {
  value: 'ValidationError',
  configurable: true,
  writable: true,
})

/** Payloads of strangers may be anything. */
function codeAndReason(payload: unknown): { code: number; reason: string } {
  const { code, reason } = (
    typeof payload === 'object' && payload !== null ? payload : {}
  ) as Partial<ValidationPayload>
  return {
    code: typeof code === 'number' ? code : 500,
    reason: typeof reason === 'string' ? reason : 'error',
  }
}

/** Returns the error of a packet that is not in the registry. */
export function unknownPacket(what: string, hint = ''): PacketError {
  return new PacketError(`no packet ${what}${hint}`, 'ERR_PACKET_UNKNOWN')
}
