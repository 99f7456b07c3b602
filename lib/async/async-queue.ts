// The queue behind an async iterator: items wait for pulls, or pulls for items.
import { errorFrom, type Failure } from '../values/failure'

type Pulled<T> = { value: T } | Failure | undefined
type Resolve<T> = (pulled: Pulled<T>) => void

/** The consumed part of the list is cut off when it is this long, since that costs its length. */
const COMPACT_AT = 1024

export class AsyncQueue<T> {
  #items: (T | undefined)[] = []
  #head = 0
  #pulls: Resolve<T>[] = []
  #ended = false
  #failure: Failure | undefined

  /** Items that have not been pulled yet. */
  get length(): number {
    return this.#items.length - this.#head
  }

  /** A copy of them. */
  get waiting(): T[] {
    return this.#items.slice(this.#head) as T[]
  }

  /** Whether a pull waits for the next item. */
  get isAwaited(): boolean {
    return this.#pulls.length > 0
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Adds an item. Returns whether a pull was waiting for it. */
  push(value: T): boolean {
    const pull = this.#pulls.shift()
    if (pull === undefined) {
      this.#items.push(value)
      return false
    }
    pull({ value })
    return true
  }

  /** Returns the next item, if there is one now. */
  take(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head] as T
    this.#items[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#items.length || this.#head >= COMPACT_AT) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Returns the next item, or waits for it. Rejects once if the queue was ended with a failure. */
  async next(): Promise<IteratorResult<T, undefined>> {
    const item = this.take()
    if (item !== undefined) return { value: item, done: false }
    const pulled = this.#ended ? this.#takeFailure() : await new Promise<Pulled<T>>(this.#wait)
    if (pulled === undefined) return { value: undefined, done: true }
    if ('value' in pulled) return { value: pulled.value, done: false }
    throw errorFrom(pulled)
  }

  /** Fails the pulls that wait; the queue stays open. */
  failPulls(failure: Failure): void {
    for (const pull of this.#pulls.splice(0)) pull(failure)
  }

  /** Ends the queue; queued items can still be pulled. */
  end(failure?: Failure): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    const pulls = this.#pulls
    this.#pulls = []
    for (const pull of pulls) pull(this.#takeFailure())
  }

  #wait = (resolve: Resolve<T>): void => {
    this.#pulls.push(resolve)
  }

  #takeFailure(): Failure | undefined {
    const failure = this.#failure
    this.#failure = undefined
    return failure
  }
}
