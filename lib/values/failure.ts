// Failures: errors before they are thrown.
import { FabricError, type FabricErrorOptions, type UndeliveredOf } from './errors'

/** What an error says beside its code, text and cause. */
export type FailureDetails = Pick<
  FabricErrorOptions,
  'undelivered' | 'missing' | 'sockets' | 'left' | 'handled' | 'draining' | 'data'
>

/** A failure. The error is created later, where the caller's frames are on the stack. */
export class Failure {
  constructor(
    readonly code: number | string,
    readonly message: string,
    readonly cause?: unknown,
    readonly details?: FailureDetails,
  ) {}
}

/**
 * Creates the error. Must be called in the async method that the user awaits, so that V8's async stack has
 * the caller's line.
 */
export function errorFrom(failure: Failure): FabricError {
  const { code, message, details } = failure
  const cause = failure.cause instanceof Failure ? errorFrom(failure.cause) : failure.cause
  const error = new FabricError(message, code, { cause, ...details })
  if (code === 'ABORT_ERR') Object.defineProperty(error, 'name', { value: 'AbortError' })
  return error
}

export function closedFailure(what: string, cause?: Failure): Failure {
  return new Failure('ERR_CLOSED', `closed: ${what}`, cause)
}

/** Returns what `end` rejects with when messages are left. */
export function undeliveredFailure(
  what: string,
  undelivered: number,
  cause?: Failure,
  sockets?: UndeliveredOf[],
): Failure {
  const messages = undelivered === 1 ? 'message is' : 'messages are'
  const why = cause === undefined ? '' : `: ${cause.message}`
  const text = `${what} has ended, and ${undelivered} ${messages} undelivered${why}`
  return new Failure('ERR_UNDELIVERED', text, cause, { undelivered, sockets })
}

/** Returns the same failure of a request that no handler has had, and will have. */
export function unhandled({ code, message, cause, details }: Failure): Failure {
  return new Failure(code, message, cause, { ...details, handled: false })
}

export function timeoutFailure(what: string, timeout: number): Failure {
  return new Failure(408, `timeout: ${what} after ${timeout} ms`)
}

/** Returns the same failure with a cause, if it has none and there is one. */
export function withCause(failure: Failure, cause: Failure | undefined): Failure {
  if (cause === undefined || cause === failure || failure.cause !== undefined) return failure
  const { code, message, details } = failure
  return new Failure(code, `${message}: ${cause.message}`, cause, details)
}

/** Returns the same failure with the number of undelivered messages. */
export function withUndelivered(failure: Failure, undelivered: number): Failure {
  const { code, message, cause, details } = failure
  return new Failure(code, message, cause, { ...details, undelivered })
}

/** The cause is the signal's reason; the text has what was waited for, and why that did not come, if that is known. */
export function abortFailure(signal: AbortSignal, what?: string, why?: Failure): Failure {
  const text = ['The operation was aborted', what, why?.message].filter(part => part !== undefined)
  return new Failure('ABORT_ERR', text.join(': '), signal.reason)
}

/** Why loops do not end quietly if the other side has closed before so much was read. It knows that it was not. */
export function unreadFailure(missing: number): Failure | undefined {
  if (missing === 0) return undefined
  const text = `closed by the peer, before ${missing} messages that had arrived were read`
  return new Failure('ERR_SOCKET_CLOSED_BY_PEER', text, undefined, { missing })
}
