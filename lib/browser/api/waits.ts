// Promises for what happens to an object: ready, writable, closed. Each may be given up after a time, or by a signal.
import { onAbort } from '../../async/aborts'
import { abortFailure, type Failure, timeoutFailure } from '../../values/failure'

export interface WaitOptions {
  timeout?: number
  signal?: AbortSignal
}

type Settle = (failure: Failure | undefined) => void

export class Waits {
  readonly #waiting = new Set<Settle>()

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves with why not, and never rejects: the error is made where the caller's frames are. */
  wait(what: string, { timeout, signal }: WaitOptions = {}): Promise<Failure | undefined> {
    if (signal?.aborted) return Promise.resolve(abortFailure(signal))
    return new Promise(resolve => {
      const settle: Settle = failure => {
        clearTimeout(timer)
        unwatch?.()
        this.#waiting.delete(settle)
        resolve(failure)
      }
      const timer =
        timeout === undefined ? undefined : setTimeout(() => settle(timeoutFailure(what, timeout)), timeout)
      const unwatch = signal && onAbort(signal, () => settle(abortFailure(signal)))
      this.#waiting.add(settle)
    })
  }

  settle(failure?: Failure): void {
    for (const settle of [...this.#waiting]) settle(failure)
  }
}
