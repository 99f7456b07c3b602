// Promises of `send`: each settles when the other side has handled its message, or it is known that it never
// will.

import { release, retain } from '../engine/process-ref'
import type { Failure } from '../values/failure'

interface Delivery {
  readonly seq: number
  readonly settle: (failure: Failure | undefined) => void
}

/** In the order of the messages. Each keeps the process alive until it is settled. */
export class Deliveries {
  #waiting: Delivery[] = []

  /** Resolves, and never rejects: the error must be made where the caller's frames are (`errorFrom`). */
  wait(seq: number): Promise<Failure | undefined> {
    retain()
    return new Promise(settle => this.#waiting.push({ seq, settle }))
  }

  /** Resolves the promises of the messages up to this total, which have been handled. */
  settle(handled: number): void {
    const rest = this.#waiting.findIndex(({ seq }) => seq > handled)
    this.#end(this.#waiting.splice(0, rest < 0 ? this.#waiting.length : rest), undefined)
  }

  /** Settles all others: nothing more will be known of them. */
  fail(failure: Failure): void {
    this.#end(this.#waiting.splice(0), failure)
  }

  #end(deliveries: readonly Delivery[], failure: Failure | undefined): void {
    for (const { settle } of deliveries) {
      release()
      settle(failure)
    }
  }
}
