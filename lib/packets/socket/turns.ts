// Which packets of a socket are at work, and which wait: for room, or for those before them.
import { Fifo } from '../fifo'
import type { Entry } from '../registry/entry'
import type { Order } from '../registry/packet'
import { isThenable } from './accept'

/** What a packet that waits takes beside its bytes: its objects. */
const ARRIVAL_BYTES = 128

/** A packet that has arrived. */
export interface Arrival {
  readonly entry: Entry
  /** Whether an answer is wanted. */
  readonly isCall: boolean
  /** Bytes that it took. */
  readonly size: number
  /** Runs it, and returns a promise if it is not done with when this returns. Never throws, and never rejects. */
  run(): unknown
  /** It will not be run. */
  drop(): void
}

export class Turns {
  readonly #maxAtWork: number
  readonly #order: Order
  readonly #handleRoom: () => void
  #atWork = 0
  /** Posts that wait for one that is at work to end. */
  readonly #waiting = new Fifo<Arrival>()
  #waitingBytes = 0
  /** The ends of those that must end before the next: of the whole socket, and of each class. */
  readonly #last = new Map<Entry | 'all', Promise<unknown>>()

  /** `handleRoom`: fewer bytes wait. */
  constructor(maxAtWork: number, order: Order, handleRoom: () => void) {
    this.#maxAtWork = maxAtWork
    this.#order = order
    this.#handleRoom = handleRoom
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Starts a packet, or lets a post wait. Returns `false` for a call that there is no room for. */
  try(arrival: Arrival): boolean {
    if (this.#atWork < this.#maxAtWork && this.#waiting.length === 0) {
      this.#start(arrival)
      return true
    }
    if (arrival.isCall) return false
    this.#waiting.push(arrival)
    this.#waitingBytes += arrival.size + ARRIVAL_BYTES
    return true
  }

  /** Whether there is no room for a packet of a bundle, which itself has one. */
  get isOverfull(): boolean {
    return this.#atWork > this.#maxAtWork
  }

  /** A packet of a bundle is at work until its end. */
  countIn(end: Promise<unknown>): void {
    this.#atWork += 1
    void end.then(() => this.#handleEnd())
  }

  /** Drops what waits. */
  clear(): void {
    this.#waitingBytes = 0
    for (const arrival of this.#waiting.clear()) arrival.drop()
  }

  #start(arrival: Arrival): void {
    const key =
      this.#order === 'serial' ? 'all' : arrival.entry.Class.order === 'serial' ? arrival.entry : undefined
    const before = key === undefined ? undefined : this.#last.get(key)
    const end = before === undefined ? arrival.run() : before.then(() => arrival.run())
    if (!isThenable(end)) return
    this.#atWork += 1
    const done = Promise.resolve(end).then(() => {
      if (key !== undefined && this.#last.get(key) === done) this.#last.delete(key)
      this.#handleEnd()
    })
    if (key !== undefined) this.#last.set(key, done)
  }

  #handleEnd(): void {
    this.#atWork -= 1
    if (this.#waiting.length === 0) return
    while (this.#waiting.length > 0 && this.#atWork < this.#maxAtWork) {
      const arrival = this.#waiting.shift() as Arrival
      this.#waitingBytes -= arrival.size + ARRIVAL_BYTES
      this.#start(arrival)
    }
    this.#handleRoom()
  }
}
