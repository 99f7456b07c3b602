// Promises of `send`: each settles when the other side has handled its message, or it is known that it never
// will.

import type { WaitOptions } from '../../index'
import { release, retain } from '../engine/process-ref'
import type { Failure } from '../values/failure'
import { bound, type Why } from './bounds'

interface Delivery {
  readonly seq: number
  /** Whether it waits no longer than there is a connection, or one to come. */
  readonly isStrandable: boolean
  readonly settle: (failure: Failure | undefined) => void
}

/** In the order of the messages. Each keeps the process alive until it is settled. */
export class Deliveries {
  readonly #describe: () => string
  #waiting: Delivery[] = []

  /** `describe` names the socket in error texts. */
  constructor(describe: () => string) {
    this.#describe = describe
  }

  /**
   * Resolves, and never rejects: the error must be made where the caller's frames are (`errorFrom`). Waits for no longer
   * than its bounds say; the message stays where it is.
   */
  wait(seq: number, isStrandable: boolean, bounds?: WaitOptions, why?: Why): Promise<Failure | undefined> {
    retain()
    if (bounds?.timeout === undefined && bounds?.signal === undefined) {
      return new Promise(settle => this.#waiting.push({ seq, isStrandable, settle }))
    }
    return new Promise(resolve => {
      const delivery: Delivery = {
        seq,
        isStrandable,
        settle: failure => {
          stop()
          resolve(failure)
        },
      }
      const giveUp = (failure: Failure): void => {
        // Its place may have changed: `renumber` makes others.
        const at = this.#waiting.findIndex(({ settle }) => settle === delivery.settle)
        this.#end(this.#waiting.splice(at, 1), failure)
      }
      const what = `a message of ${this.#describe()} may still be handled, and is not known to be`
      const stop = bound(bounds, what, giveUp, why)
      this.#waiting.push(delivery)
    })
  }

  /** Resolves the promises of the messages up to this total, which have been handled. */
  settle(handled: number): void {
    const rest = this.#waiting.findIndex(({ seq }) => seq > handled)
    this.#end(this.#waiting.splice(0, rest < 0 ? this.#waiting.length : rest), undefined)
  }

  /** Settles the promise of a message that nobody will get. If it `isGone`, those behind it take its number. */
  drop(seq: number, failure: Failure, isGone: boolean): void {
    const dropped = this.#waiting.filter(delivery => delivery.seq === seq)
    const rest = this.#waiting.filter(delivery => delivery.seq !== seq)
    this.#waiting = isGone
      ? rest.map(delivery => (delivery.seq > seq ? { ...delivery, seq: delivery.seq - 1 } : delivery))
      : rest
    this.#end(dropped, failure)
  }

  /** Settles all others: nothing more will be known of them. */
  fail(failure: Failure): void {
    this.#end(this.#waiting.splice(0), failure)
  }

  /** Settles those that do not wait for another connection; the messages stay where they are. */
  strand(failure: Failure): void {
    const stranded = this.#waiting.filter(({ isStrandable }) => isStrandable)
    this.#waiting = this.#waiting.filter(({ isStrandable }) => !isStrandable)
    this.#end(stranded, failure)
  }

  /** Gives the messages other numbers; those that have none any more fail. */
  renumber(numberOf: (seq: number) => number | undefined, failure: Failure): void {
    const numbered = this.#waiting.map(delivery => ({ delivery, seq: numberOf(delivery.seq) }))
    this.#end(
      numbered.flatMap(({ delivery, seq }) => (seq === undefined ? [delivery] : [])),
      failure,
    )
    const kept = numbered.flatMap(({ delivery, seq }) => (seq === undefined ? [] : [{ ...delivery, seq }]))
    this.#waiting = kept.sort((a, b) => a.seq - b.seq)
  }

  #end(deliveries: readonly Delivery[], failure: Failure | undefined): void {
    for (const { settle } of deliveries) {
      release()
      settle(failure)
    }
  }
}
