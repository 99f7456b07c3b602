// Seeded chance for property tests: the same seed gives the same run.

export interface Dice {
  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number
  pick<T>(list: readonly T[]): T
  fraction(): number
}

/** Mulberry32. */
export function dice(seed: number): Dice {
  let state = seed >>> 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (bound: number): number => Math.floor(fraction() * bound)
  return { fraction, below, pick: list => list[below(list.length)]! }
}
