// Promises for what happens to an object: ready, writable, closed. Each may be given up after a time, or by a signal.
import { onAbort } from '../../async/aborts'
import { abortFailure, errorFrom, type Failure, timeoutFailure } from '../../values/failure'
import { checkOptions, type Shape } from '../../values/option-checks'
import { WAIT_SHAPE } from './options'

export interface WaitOptions {
  timeout?: number
  signal?: AbortSignal
}

type Settle = (failure: Failure | undefined) => void

/** Calls `giveUp` if the wait gets too long. Returns what ends that. */
export function bound(
  { timeout, signal }: WaitOptions,
  what: string,
  giveUp: (failure: Failure) => void,
): () => void {
  const timer = timeout && setTimeout(() => giveUp(timeoutFailure(what, timeout)), timeout)
  const unwatch = signal && onAbort(signal, () => giveUp(abortFailure(signal)))
  return () => {
    clearTimeout(timer)
    unwatch?.()
  }
}

/** Checks the options of a wait, and throws if it is aborted already: then nothing is sent. */
export function checkWait(where: string, options: WaitOptions | undefined, shape: Shape = WAIT_SHAPE): void {
  checkOptions(where, options, shape)
  if (options?.signal?.aborted) throw errorFrom(abortFailure(options.signal))
}

export class Waits {
  readonly #waiting = new Set<Settle>()

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves with why not, and never rejects: the error is made where the caller's frames are. */
  wait(what: string, options: WaitOptions = {}): Promise<Failure | undefined> {
    return new Promise(resolve => {
      const settle: Settle = failure => {
        stop()
        this.#waiting.delete(settle)
        resolve(failure)
      }
      const stop = bound(options, what, settle)
      this.#waiting.add(settle)
    })
  }

  settle(failure?: Failure): void {
    for (const settle of [...this.#waiting]) settle(failure)
  }
}
