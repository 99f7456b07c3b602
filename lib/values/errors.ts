// The error class, and errors of wrong arguments.
import type { ErrorCode } from '../../index'

export interface FabricErrorOptions {
  cause?: unknown
  undelivered?: number
  missing?: number
  ids?: string[]
  sockets?: UndeliveredOf[]
  left?: number
  size?: number
  limit?: number
  handled?: false
  draining?: boolean
  data?: unknown
}

interface CodeOptions extends FabricErrorOptions {
  code: number | string
}

/** A socket, and how many of its messages are undelivered. */
export interface UndeliveredOf {
  id: string
  undelivered: number
}

/** What an error may have beside code, text and cause, in the order in which it is printed. */
const DETAILS = [
  'undelivered',
  'missing',
  'ids',
  'sockets',
  'left',
  'size',
  'limit',
  'handled',
  'draining',
  'data',
] as const

/** Every error that selvedge throws, rejects with, or hands to `closed`. */
export class FabricError extends Error {
  readonly code: ErrorCode | (number & {}) | (string & {})
  // `declare`: no own properties, so that a printed error shows no `undefined`.
  /**
   * On the reason of a closed socket, and on `ERR_UNDELIVERED`: the number of messages that were written and
   * not acknowledged.
   */
  declare readonly undelivered?: number
  /** On the reason of a closed socket: messages of the other side that did not come. */
  declare readonly missing?: number
  /** On the error of a broadcast: the ids of the sockets that did not get the message. */
  declare readonly ids?: string[]
  /** On the error of a server's `end`: its sockets that have undelivered messages. */
  declare readonly sockets?: UndeliveredOf[]
  /** On the error of a subscription's `drain`: the number of messages that were not handled in time. */
  declare readonly left?: number
  /** On `ERR_TOO_LARGE`: the bytes of payload and headers. */
  declare readonly size?: number
  /** On `ERR_TOO_LARGE`: how many there may be. */
  declare readonly limit?: number
  /** On the failure of a request over a socket: no handler of the other side has had it. */
  declare readonly handled?: false
  /** On the reason of a closed socket: its server is leaving. */
  declare readonly draining?: true
  /** On the error that a handler of the other side answered with: what it says beside text and code. */
  declare readonly data?: unknown

  /** `code` may be among the options, as programs for Conat have it. */
  constructor(message: string, code: number | string | CodeOptions, more?: FabricErrorOptions) {
    const options = typeof code === 'object' ? code : more
    super(message, options?.cause === undefined ? undefined : { cause: options.cause })
    this.code = typeof code === 'object' ? code.code : code
    for (const name of DETAILS) {
      const value = options?.[name]
      // Of these there is nothing to say.
      if (value !== undefined && (value || !/missing|draining/.test(name)))
        Object.assign(this, { [name]: value })
    }
  }
}

/** Marks the errors of every copy of the package. */
const FABRIC_ERROR = Symbol.for('selvedge.FabricError')
Object.defineProperty(FabricError.prototype, FABRIC_ERROR, { value: true })

/** Returns whether it is an error of selvedge's, of any copy of it, with one of these codes. */
export function hasCode<const Codes extends readonly (ErrorCode | (number & {}) | (string & {}))[]>(
  error: unknown,
  ...codes: Codes
): error is FabricError & { readonly code: Codes[number] } {
  if (typeof error !== 'object' || error === null || !(FABRIC_ERROR in error)) return false
  return codes.includes((error as { code?: ErrorCode }).code as ErrorCode)
}

// On the prototype, as for built-in errors: an own property would be printed with every error.
Object.defineProperty(FabricError.prototype, 'name', {
  value: 'FabricError',
  configurable: true,
  writable: true,
})

/** Returns an error whose text says which call of the program it is of: a call is made of others, which errors name. */
export function namedAfter(call: string, error: unknown): unknown {
  if (!(error instanceof FabricError)) return error
  const named = new FabricError(`${call}: ${error.message}`, error.code, error)
  if (error.name !== named.name) Object.defineProperty(named, 'name', { value: error.name })
  return named
}

/** Formats a value for an error text. Never throws, and is never longer than a line or two. */
export function shown(value: unknown): string {
  if (value !== null && (typeof value === 'object' || typeof value === 'function')) return `(${typeof value})`
  const text = String(value)
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)`
}

const MAX_SHOWN = 200

/** Throws for what has no members to read. */
export function checkObject(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null) throw invalidType(name, 'an object', value)
}

export function invalidType(name: string, wanted: string, value: unknown): FabricError {
  return new FabricError(`${name} must be ${wanted}, got ${kindOf(value)}`, 'ERR_INVALID_ARG_TYPE')
}

/** Names the kind of a value: `null`, `array`, `string`, `Map`. */
function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  const tag = typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : 'Object'
  return tag === 'Object' ? typeof value : tag
}

export function invalidValue(name: string, wanted: string, value: unknown): FabricError {
  return new FabricError(`${name} must be ${wanted}, got ${shown(value)}`, 'ERR_INVALID_ARG_VALUE')
}

export function outOfRange(name: string, wanted: string, value: number): FabricError {
  return new FabricError(`${name} must be ${wanted}, got ${value}`, 'ERR_OUT_OF_RANGE')
}
