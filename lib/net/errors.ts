// Errors as Node.js makes them: of the system, and of wrong arguments.
import { constants } from 'node:os'
import { inspect } from 'node:util'

/** An error as Node's own modules emit it. */
export interface SystemError extends Error {
  code: string
  errno?: number
  syscall?: string
  address?: string
  undelivered?: number
}

/** Returns an error like `connect ECONNREFUSED db.main`. */
export function systemError(syscall: string, code: string, address?: string, cause?: unknown): SystemError {
  const text = address === undefined ? `${syscall} ${code}` : `${syscall} ${code} ${address}`
  const error = new Error(text, cause === undefined ? undefined : { cause }) as SystemError
  const errno = (constants.errno as Record<string, number>)[code]
  if (errno !== undefined) error.errno = -errno
  error.code = code
  error.syscall = syscall
  if (address !== undefined) error.address = address
  return error
}

/** Returns an error like `listen EADDRINUSE: address already in use db.main`, as Node makes those of its servers. */
export function listenError(code: string, address?: string, cause?: unknown): SystemError {
  const error = systemError('listen', code, address, cause)
  const text = TEXTS[code]
  if (text !== undefined) error.message = error.message.replace(code, `${code}: ${text}`)
  return error
}

/** What the system says of an error. */
const TEXTS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EMFILE: 'too many open files',
  ENETDOWN: 'network is down',
  ETIMEDOUT: 'connection timed out',
}

/** Returns a plain error with a code. */
export function codedError(code: string, text: string): SystemError {
  return coded(new Error(text), code)
}

export function coded<E extends Error>(error: E, code: string): E & SystemError {
  const all = error as E & SystemError
  all.code = code
  // As Node's: the code stands in the first line of the stack, and the name is that of the class.
  const { name } = error
  error.name = `${name} [${code}]`
  void error.stack
  Reflect.deleteProperty(error, 'name')
  return all
}

export function argType(name: string, wanted: string, value: unknown): TypeError & SystemError {
  const kind = name.includes('.') ? 'property' : 'argument'
  return coded(
    new TypeError(`The "${name}" ${kind} must be ${wanted}.${received(value)}`),
    'ERR_INVALID_ARG_TYPE',
  )
}

export function argValue(name: string, value: unknown, why = 'is invalid'): TypeError & SystemError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const shown = inspect(value)
  const short = shown.length > 128 ? `${shown.slice(0, 128)}...` : shown
  return coded(new TypeError(`The ${kind} '${name}' ${why}. Received ${short}`), 'ERR_INVALID_ARG_VALUE')
}

export function outOfRange(name: string, range: string, value: number): RangeError & SystemError {
  const text = `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`
  return coded(new RangeError(text), 'ERR_OUT_OF_RANGE')
}

/** A port or a host where a subject belongs. */
export function noSubject(value: unknown): TypeError & SystemError {
  const text = `The "subject" argument must be of type string, and no port or host.${received(value)}. A connect finds the subject for them by the option "resolve"`
  return coded(new TypeError(text), 'ERR_INVALID_ARG_TYPE')
}

export function missingArgs(...names: string[]): TypeError & SystemError {
  const all = names.map(name => `"${name}"`).join(' or ')
  return coded(new TypeError(`The ${all} argument must be specified`), 'ERR_MISSING_ARGS')
}

export function abortError(reason: unknown): SystemError {
  const error = new Error('The operation was aborted', { cause: reason }) as SystemError
  error.name = 'AbortError'
  error.code = 'ABORT_ERR'
  return error
}

export function closedError(): SystemError {
  return codedError('ERR_SOCKET_CLOSED', 'Socket is closed')
}

export function beforeConnection(): SystemError {
  return codedError(
    'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
    'Socket closed before the connection was established',
  )
}

export function destroyedError(): SystemError {
  return codedError('ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed')
}

/** Node's words for what came instead. */
function received(value: unknown): string {
  if (value === null || value === undefined) return ` Received ${value}`
  if (typeof value === 'function') return ` Received function ${value.name}`
  if (typeof value === 'object') {
    const name = (value as object).constructor?.name
    return name ? ` Received an instance of ${name}` : ` Received ${inspect(value, { depth: -1 })}`
  }
  const shown = inspect(value, { colors: false })
  return ` Received type ${typeof value} (${shown.length > 28 ? `${shown.slice(0, 25)}...` : shown})`
}

/** Codes of the fabric, by what they are on a byte stream. */
const CODES: ReadonlyMap<number | string, string> = new Map<number | string, string>([
  [403, 'EACCES'],
  [429, 'EMFILE'],
  [408, 'ETIMEDOUT'],
  ['ERR_SOCKET_TIMEOUT', 'ETIMEDOUT'],
  ['ERR_SLOW_CONSUMER', 'ETIMEDOUT'],
  ['ERR_SOCKET_PROTOCOL', 'EPROTO'],
  ['ERR_DECODE', 'EPROTO'],
  ['ERR_TOO_LARGE', 'EPROTO'],
])

/** Returns what a session that closed for this reason is on a byte stream. */
export function codeOf(reason: { readonly code: number | string }): string {
  return CODES.get(reason.code) ?? 'ECONNRESET'
}
