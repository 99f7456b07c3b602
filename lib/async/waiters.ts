// Promises for what happens to an object once, repeatedly or never: ready, drained, closed.

import type { WaitOptions } from '../../index'
import { release, retain } from '../engine/process-ref'
import type { Failure } from '../values/failure'
import { bound, type Why } from './bounds'

type Settle = (failure: Failure | undefined) => void

/** Each waiter keeps the process alive until it is settled. */
export class Waiters {
  #waiting: Set<Settle> | undefined

  /** Resolves, and never rejects: the error must be made where the caller's frames are (`errorFrom`). */
  wait(what: string, bounds?: WaitOptions, why?: Why): Promise<Failure | undefined> {
    const waiting = (this.#waiting ??= new Set())
    retain()
    return new Promise(resolve => {
      let stop: (() => void) | undefined
      const settle: Settle = failure => {
        stop?.()
        waiting.delete(settle)
        // There are many sockets, and each waits once: the table is dropped with the last waiter.
        if (waiting.size === 0 && this.#waiting === waiting) this.#waiting = undefined
        release()
        resolve(failure)
      }
      waiting.add(settle)
      if (bounds !== undefined) stop = bound(bounds, what, settle, why)
    })
  }

  get size(): number {
    return this.#waiting?.size ?? 0
  }

  settle(failure?: Failure): void {
    // Mostly one: an iterator would cost more than it.
    this.#waiting?.forEach(settle => {
      settle(failure)
    })
  }
}
