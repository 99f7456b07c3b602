// Seeded randomness: the same seed makes the same choices.

/** A generator of numbers from 0 to below 1 (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Returns an integer from 0 to below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  /** Returns a generator for part `number` that does not depend on what other parts draw. */
  fork(number: number): Random {
    return new Random(Math.imul(this.#state ^ (number + 1), 0x9e3779b1))
  }
}
