// What a socket has counted, beside what its outbox counts.
import type { EventReader } from '../engine/event-reader'

export class SocketCounters {
  received = 0
  receivedBytes = 0
  resent = 0
  duplicates = 0
  foreign = 0
  renewals = 0
  /** What was not handed over, since its time was over. */
  expired = 0
  #consumed = 0
  /** What came from earlier servers, and is still to be consumed. */
  #ofEarlier = 0
  #resentBefore = 0
  #duplicatesBefore = 0
  #foreignBefore = 0

  /** Reads an event *socket counters*. */
  read(event: EventReader): void {
    this.resent = this.#resentBefore + event.f64()
    this.duplicates = this.#duplicatesBefore + event.f64()
    this.foreign = this.#foreignBefore + event.f64()
  }

  /** Counts a message that is handed over. Returns whether the present server has sent it. */
  consume(): boolean {
    this.#consumed += 1
    if (this.#ofEarlier === 0) return true
    this.#ofEarlier -= 1
    return false
  }

  /** Goes on with another socket of the engine, which counts from 0. */
  carryOver(): void {
    this.#ofEarlier = this.received - this.#consumed
    this.#resentBefore = this.resent
    this.#duplicatesBefore = this.duplicates
    this.#foreignBefore = this.foreign
  }
}

/** The counters of a socket that has counted nothing. */
export const NO_COUNTERS: Readonly<SocketCounters> = Object.freeze(new SocketCounters())
