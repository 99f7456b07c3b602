// How long something is waited for: `timeout` and `signal` are read, kept and taken off again in one place.
import type { WaitOptions } from '../../index'
import { abortFailure, errorFrom, type Failure, timeoutFailure, withCause } from '../values/failure'
import { checkOptions, isSignal, isTimeout, type Shape, type ShapeOf } from '../values/option-checks'
import { onAbort } from './aborts'
import { startTimer } from './timer'

export const WAIT_SHAPE = {
  timeout: { check: isTimeout, unit: 'ms' },
  signal: isSignal,
} as const satisfies ShapeOf<WaitOptions>

/** Checks the options of a wait, and throws if it is aborted already: then nothing is sent. */
export function checkWait(where: string, options: WaitOptions | undefined, shape: Shape = WAIT_SHAPE): void {
  checkOptions(where, options, shape)
  if (options?.signal?.aborted) throw errorFrom(abortFailure(options.signal))
}

/** Reads what a wait is called with: options, or the milliseconds alone. */
export function waitOptions(where: string, given: number | WaitOptions | undefined): WaitOptions | undefined {
  const options = typeof given === 'number' ? { timeout: given } : given
  checkWait(where, options)
  return options
}

/** Returns why something that is waited for has not come, as far as that is known. */
export type Why = () => Failure | undefined

/**
 * Calls `giveUp` once if the wait gets too long: the time runs from now. `what` did not come. Returns what ends that.
 */
export function bound(
  { timeout, signal }: WaitOptions,
  what: string,
  giveUp: (failure: Failure) => void,
  why?: Why,
): () => void {
  const timer =
    timeout === undefined
      ? undefined
      : startTimer(timeout, () => giveUp(withCause(timeoutFailure(what, timeout), why?.())))
  const offAbort = signal && onAbort(signal, () => giveUp(abortFailure(signal, what, why?.())))
  return () => {
    timer?.stop()
    offAbort?.()
  }
}

/** Resolves with what the promise does, or with why that was not waited for: it goes on alone. */
export async function settledWithin<T>(
  promise: Promise<T>,
  bounds: WaitOptions | undefined,
  what: string,
  why?: Why,
): Promise<T | Failure> {
  if (bounds?.timeout === undefined && bounds?.signal === undefined) return await promise
  let stop = (): void => {}
  const late = new Promise<Failure>(resolve => {
    stop = bound(bounds, what, resolve, why)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    stop()
  }
}
