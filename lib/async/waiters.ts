// Promises for what happens to an object once, repeatedly or never: ready, drained, closed.

import { release, retain } from '../engine/process-ref'
import { type Failure, timeoutFailure } from '../values/failure'
import { startTimer, type Timer } from './timer'

type Settle = (failure: Failure | undefined) => void

/** Each waiter keeps the process alive until it is settled. */
export class Waiters {
  #waiting: Set<Settle> | undefined

  /** Resolves, and never rejects: the error must be made where the caller's frames are (`errorFrom`). */
  wait(what: string, timeout?: number): Promise<Failure | undefined> {
    const waiting = (this.#waiting ??= new Set())
    retain()
    return new Promise(resolve => {
      let timer: Timer | undefined
      const settle: Settle = failure => {
        timer?.stop()
        waiting.delete(settle)
        // There are many sockets, and each waits once: the table is dropped with the last waiter.
        if (waiting.size === 0 && this.#waiting === waiting) this.#waiting = undefined
        release()
        resolve(failure)
      }
      waiting.add(settle)
      if (timeout !== undefined) timer = startTimer(timeout, () => settle(timeoutFailure(what, timeout)))
    })
  }

  get size(): number {
    return this.#waiting?.size ?? 0
  }

  settle(failure?: Failure): void {
    if (this.#waiting === undefined) return
    for (const settle of this.#waiting) settle(failure)
  }
}
