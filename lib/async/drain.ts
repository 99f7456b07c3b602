// An orderly stop: accepts nothing new, lets what exists finish, spread over time, until a deadline.
import type { DrainOptions } from '../../index'
import { errorFrom, Failure } from '../values/failure'
import { isDuration, isSignal, isTimeout, type ShapeOf } from '../values/option-checks'
import { setTimer } from '../values/platform'
import { checkWait, settledWithin } from './bounds'

export const DRAIN_SHAPE = {
  deadline: { check: isTimeout, unit: 'ms', default: 10_000 },
  spread: { check: isDuration, unit: 'ms', default: 1000 },
  signal: isSignal,
} as const satisfies ShapeOf<DrainOptions>

/** A drain that happens once; all callers wait for the same one. */
export class DrainOnce {
  #running: Promise<void> | undefined

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /**
   * Starts the drain, or joins it. The options of every call are checked; those of the first count, but for its own
   * signal, which ends the wait of one caller.
   */
  async run(options: DrainOptions | undefined, act: (drain: Drain) => Promise<void>): Promise<void> {
    const drain = new Drain(options)
    this.#running ??= act(drain)
    const outcome = await settledWithin(this.#running, { signal: options?.signal }, 'the drain goes on')
    if (outcome instanceof Failure) throw errorFrom(outcome)
  }
}

/** The remaining time of one drain. */
export class Drain {
  readonly spread: number
  readonly #until: number

  constructor(options: DrainOptions | undefined) {
    checkWait('drain', options, DRAIN_SHAPE)
    const deadline = options?.deadline ?? DRAIN_SHAPE.deadline.default
    this.#until = Date.now() + deadline
    this.spread = Math.max(0, Math.min(options?.spread ?? DRAIN_SHAPE.spread.default, deadline))
  }

  /** Returns the milliseconds until the deadline, at least 1. */
  get left(): number {
    return Math.max(1, this.#until - Date.now())
  }

  /** Calls `act` with each of `items`, spread evenly over the first part of the time, and waits for all. */
  async spreadOver<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
    const pause = this.spread / Math.max(1, items.length)
    const started = items.map(async (item, index) => {
      if (index > 0) await new Promise(resolve => setTimer(resolve, Math.min(pause * index, this.left)))
      await act(item)
    })
    await Promise.all(started)
  }
}
