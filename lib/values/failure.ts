// Failures: what went wrong, before it is an error of the caller.
import { FabricError } from './errors'

/** What went wrong, before it is an error: the error is made where the caller's frames are on the stack. */
export class Failure {
  constructor(
    readonly code: string,
    readonly message: string,
    readonly cause?: unknown,
    readonly undelivered?: number,
  ) {}
}

/** Digits only stand for a number: `"503"` is the number 503. */
function codeOf(code: string): number | string {
  return /^\d+$/.test(code) ? Number(code) : code
}

/** Call it in the async method that the user awaits, so that V8's async stack has the caller's line. */
export function errorFrom(failure: Failure): FabricError {
  const { code, message, cause, undelivered } = failure
  const error = new FabricError(message, codeOf(code), { cause, undelivered })
  if (code === 'ABORT_ERR') Object.defineProperty(error, 'name', { value: 'AbortError' })
  return error
}

export function closedFailure(what: string): Failure {
  return new Failure('ERR_CLOSED', `closed: ${what}`)
}

export function timeoutFailure(what: string, timeout: number): Failure {
  return new Failure('408', `timeout: ${what} after ${timeout} ms`)
}

export function abortFailure(signal: AbortSignal): Failure {
  return new Failure('ABORT_ERR', 'The operation was aborted', signal.reason)
}
