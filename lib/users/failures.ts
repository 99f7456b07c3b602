// Who guesses: an address that fails too often is not listened to for a while.

/** Failed sign-ins of one address in a minute. */
const MAX_FAILURES = 10
const WINDOW = 60_000
/** Addresses that are remembered; the oldest are forgotten first. */
const MAX_ADDRESSES = 10_000

export class Failures {
  readonly #byAddress = new Map<string, { since: number; count: number }>()

  isTooMany(address: string): boolean {
    const entry = this.#byAddress.get(address)
    return entry !== undefined && entry.count >= MAX_FAILURES && now() - entry.since < WINDOW
  }

  count(address: string): void {
    const entry = this.#byAddress.get(address)
    if (entry !== undefined && now() - entry.since < WINDOW) {
      entry.count += 1
      return
    }
    this.#byAddress.delete(address)
    this.#byAddress.set(address, { since: now(), count: 1 })
    if (this.#byAddress.size <= MAX_ADDRESSES) return
    const [oldest] = this.#byAddress.keys()
    this.#byAddress.delete(oldest!)
  }
}

function now(): number {
  return performance.now()
}
