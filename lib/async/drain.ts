// An orderly stop: accepts nothing new, lets what exists finish, spread over time, until a deadline.
import type { DrainOptions } from '../../index'
import { errorFrom, Failure } from '../values/failure'
import { isPause, isSignal, isTimeout, type ShapeOf } from '../values/option-checks'
import { onAbort } from './aborts'
import { checkWait, settledWithin, type Why } from './bounds'
import { startTimer, type Timer } from './timer'

export const DRAIN_SHAPE = {
  deadline: { check: isTimeout, unit: 'ms', default: 10_000 },
  spread: { check: isPause, unit: 'ms', default: 1000 },
  signal: isSignal,
} as const satisfies ShapeOf<DrainOptions>

/** A drain that happens once; all callers wait for the same one. */
export class DrainOnce {
  #running: Promise<void> | undefined
  #drain: Drain | undefined
  readonly #why: Why | undefined

  constructor(why?: Why) {
    this.#why = why
  }

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /**
   * Starts the drain, or joins it, and makes it shorter if this call has less time. A signal ends the wait of one caller.
   */
  async run(options: DrainOptions | undefined, act: (drain: Drain) => Promise<void>): Promise<void> {
    checkWait('drain', options, DRAIN_SHAPE)
    this.#drain?.hasten(options)
    this.#drain ??= new Drain(options)
    this.#running ??= this.#drain.run(act)
    const bounds = { signal: options?.signal }
    const outcome = await settledWithin(this.#running, bounds, 'the drain goes on', this.#why)
    if (outcome instanceof Failure) throw errorFrom(outcome)
  }
}

/** The remaining time of one drain. It may become less. */
export class Drain {
  #spread: number
  #until: number
  /** When the pauses of `spread` began. */
  #spreadFrom = Date.now()
  readonly #over = new AbortController()
  readonly #halfOver = new AbortController()
  #timers: Timer[] = []
  readonly #parts = new Set<() => void>()
  #isFinished = false

  /** With options that are checked. */
  constructor(options: DrainOptions | undefined) {
    const { deadline, spread } = timesOf(options)
    this.#until = Date.now() + deadline
    this.#spread = spread
    this.#start(deadline)
  }

  /** Returns the milliseconds until the deadline, at least 1. */
  get left(): number {
    return Math.max(1, this.#until - Date.now())
  }

  get spread(): number {
    return this.#spread
  }

  /** Is aborted at the deadline. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** Is aborted when half of the time is over: requests may never stop, and some must be left for the end. */
  get halfOver(): AbortSignal {
    return this.#halfOver.signal
  }

  /** Takes the time of another call, if that is over sooner. */
  hasten(options: DrainOptions | undefined): void {
    const { deadline, spread } = timesOf(options)
    if (this.#isFinished || Date.now() + deadline >= this.#until) return
    this.#until = Date.now() + deadline
    this.#spread = Math.min(this.#spread, spread)
    this.#spreadFrom = Date.now()
    this.#start(deadline)
    for (const handle of this.#parts) handle()
  }

  /** Drains a part of what is drained, in such a share of the time; again when that becomes less. */
  async part(
    share: number,
    act: (options: Required<Omit<DrainOptions, 'signal'>>) => Promise<void>,
  ): Promise<void> {
    const begin = (): Promise<void> =>
      act({ deadline: Math.ceil(this.left * share), spread: Math.floor(this.#spread * share) })
    const handle = (): void => void begin().catch(() => {})
    this.#parts.add(handle)
    try {
      await begin()
    } finally {
      this.#parts.delete(handle)
    }
  }

  /** Calls `act` with each of `items`, spread evenly over the first part of the time, and waits for all. */
  async spreadOver<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
    const started = items.map(async (item, index) => {
      if (index > 0) await this.#turn(index / items.length)
      await act(item)
    })
    await Promise.all(started)
  }

  async run(act: (drain: Drain) => Promise<void>): Promise<void> {
    try {
      await act(this)
    } finally {
      this.#isFinished = true
      this.#stop()
    }
  }

  /** Resolves after such a part of `spread`. */
  async #turn(part: number): Promise<void> {
    await new Promise<void>(resolve => {
      let timer: Timer | undefined
      const done = (): void => {
        timer?.stop()
        this.#parts.delete(set)
        resolve()
      }
      const set = (): void => {
        timer?.stop()
        timer = startTimer(Math.max(0, this.#spreadFrom + this.#spread * part - Date.now()), done)
      }
      this.#parts.add(set)
      set()
    })
  }

  #start(deadline: number): void {
    this.#stop()
    const end =
      (controller: AbortController): (() => void) =>
      () =>
        controller.abort()
    this.#timers = [startTimer(deadline / 2, end(this.#halfOver)), startTimer(deadline, end(this.#over))]
  }

  #stop(): void {
    for (const timer of this.#timers.splice(0)) timer.stop()
  }
}

/** Calls `cut` if the drain is over before `work` is done, and waits for that in any case. */
export async function doneBefore(over: AbortSignal, work: Promise<unknown>, cut: () => void): Promise<void> {
  const stop = over.aborted ? undefined : onAbort(over, cut)
  if (over.aborted) cut()
  try {
    await work
  } finally {
    stop?.()
  }
}

function timesOf(options: DrainOptions | undefined): { deadline: number; spread: number } {
  const deadline = options?.deadline ?? DRAIN_SHAPE.deadline.default
  return { deadline, spread: Math.max(0, Math.min(options?.spread ?? DRAIN_SHAPE.spread.default, deadline)) }
}
