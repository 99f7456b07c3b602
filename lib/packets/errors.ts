// What the packets throw, reject with, and hand to events. No code of Node: pages use this, too.

export interface PacketErrorDetails {
  packet?: string
  path?: string
  offset?: number
  payload?: unknown
  reason?: string
  cause?: unknown
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

  constructor(message: string, code: string | number, details: PacketErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.reason = details.reason ?? message
    if (details.packet !== undefined) this.packet = details.packet
    if (details.path !== undefined) this.path = details.path
    if (details.offset !== undefined) this.offset = details.offset
    if (details.payload !== undefined) this.payload = details.payload
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
export function badOption(message: string, code: 'ERR_UNKNOWN_OPTION' | 'ERR_OUT_OF_RANGE'): PacketError {
  return new PacketError(message, code)
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

/** Characters of a value that an error's text repeats. */
const MAX_SHOWN = 40
