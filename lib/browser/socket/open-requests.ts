// The requests over a socket that wait for their answers, by key.

/** What settles one. */
export interface Waiting<T> {
  readonly deadline: number
  readonly settle: (outcome: T) => void
}

const NEVER = Number.POSITIVE_INFINITY
/** Requests that are open at one time. */
export const MAX_OPEN = 10_000

export class OpenRequests<T> {
  /** In the order of the keys. */
  readonly #open = new Map<number, Waiting<T>>()
  #lastKey = 0
  /** Not later than the earliest deadline; looked at when it fires. */
  #expiresAt = NEVER

  get size(): number {
    return this.#open.size
  }

  /** Adds a request, and returns its key. */
  add(waiting: Waiting<T>): number {
    this.#open.set(++this.#lastKey, waiting)
    this.#expiresAt = Math.min(this.#expiresAt, waiting.deadline)
    return this.#lastKey
  }

  has(key: number): boolean {
    return this.#open.has(key)
  }

  /** Whether there was ever a request with this key. */
  wasAsked(key: number): boolean {
    return key <= this.#lastKey
  }

  /** Ends one. Returns whether it was open. */
  settle(key: number, outcome: T): boolean {
    const waiting = this.#open.get(key)
    if (waiting === undefined) return false
    this.#open.delete(key)
    if (this.#open.size === 0) this.#expiresAt = NEVER
    waiting.settle(outcome)
    return true
  }

  get keys(): number[] {
    return [...this.#open.keys()]
  }

  pollTimeout(): number {
    return this.#expiresAt
  }

  /** Returns the keys of those whose time is over. */
  expired(now: number): number[] {
    if (this.#expiresAt > now) return []
    const keys: number[] = []
    this.#expiresAt = NEVER
    for (const [key, { deadline }] of this.#open) {
      if (deadline <= now) keys.push(key)
      else this.#expiresAt = Math.min(this.#expiresAt, deadline)
    }
    return keys
  }
}
