// An orderly stop: nothing new, what is there comes to its end, spread over time, within a deadline.
import type { DrainOptions } from '../../index'
import { checkOptions, isDuration, isTimeout, type ShapeOf } from '../values/option-checks'

const DRAIN_SHAPE: ShapeOf<DrainOptions> = { deadline: isTimeout, spread: isDuration }
const DEFAULT_DEADLINE = 10_000
const DEFAULT_SPREAD = 1000

/** A drain that happens once, whoever asks for it, and is waited for by all of them. */
export class DrainOnce {
  #running: Promise<void> | undefined

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /** Checks the options of every call; the first one's count. */
  run(options: DrainOptions | undefined, act: (drain: Drain) => Promise<void>): Promise<void> {
    const drain = new Drain(options)
    this.#running ??= act(drain)
    return this.#running
  }
}

/** What one drain has left of its time. */
export class Drain {
  readonly spread: number
  readonly #until: number

  constructor(options: DrainOptions | undefined) {
    checkOptions('drain', options, DRAIN_SHAPE)
    const deadline = options?.deadline ?? DEFAULT_DEADLINE
    this.#until = Date.now() + deadline
    this.spread = Math.max(0, Math.min(options?.spread ?? DEFAULT_SPREAD, deadline))
  }

  /** Milliseconds until the deadline: at least one, so that it can be waited for. */
  get left(): number {
    return Math.max(1, this.#until - Date.now())
  }

  /** Does something with each of `items`, at times spread evenly over the first part of the time; waits for all of it. */
  async spreadOver<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
    const pause = this.spread / Math.max(1, items.length)
    const started = items.map(async (item, index) => {
      if (index > 0) await new Promise(resolve => setTimeout(resolve, Math.min(pause * index, this.left)))
      await act(item)
    })
    await Promise.all(started)
  }
}
