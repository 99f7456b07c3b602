// An orderly end: waits until the other side has handled everything, as long as something moves.
import { startTimer, type Timer } from '../async/timer'
import { Waiters } from '../async/waiters'
import { type Failure, timeoutFailure } from '../values/failure'
import { END_SHAPE, type EndOptions } from './options'

/** Parts of the idle time: it is over after so many without progress. */
const TICKS = 4
/**
 * Idle times for which it waits while only the other side is away: longer than the engine keeps a socket for a
 * peer that does not come back.
 */
const MAX_AWAY = 6

/** The socket that ends. */
export interface OrderlyEndOwner {
  /** Whether the other side has handled everything, and no request is open. */
  readonly isFinished: boolean
  /** Whether it was attached, and only the other side is missing. */
  readonly isPeerAway: boolean
  /** Returns its name in error texts. */
  describe(): string
}

export class OrderlyEnd {
  readonly #owner: OrderlyEndOwner
  readonly #timeout: number | undefined
  readonly #idle: number
  readonly #waiting: Waiters = new Waiters()
  #timer: Timer | undefined
  #quiet = 0
  #away = 0

  constructor(owner: OrderlyEndOwner, options: EndOptions | undefined) {
    this.#owner = owner
    this.#timeout = options?.timeout
    this.#idle = options?.idle ?? END_SHAPE.idle.default
  }

  /** Resolves when everything is handled; with why it was not, when its time is over or the socket closes. */
  async whenFinished(): Promise<Failure | undefined> {
    if (this.#owner.isFinished) return undefined
    const waiting = this.#waiting.wait(this.#owner.describe())
    if (this.#timeout === undefined) this.#tick()
    else this.#timer = startTimer(this.#timeout, () => this.#giveUp(this.#timeout as number))
    const failure = await waiting
    this.#timer?.stop()
    return failure
  }

  /** Notes that something was acknowledged or answered. */
  handleProgress(): void {
    this.#quiet = 0
    if (this.#owner.isFinished) this.#waiting.settle()
  }

  handleClosing(reason: Failure): void {
    this.#waiting.settle(reason)
  }

  #tick(): void {
    this.#timer = startTimer(Math.ceil(this.#idle / TICKS), () => {
      if (this.#owner.isPeerAway && this.#away < MAX_AWAY * TICKS) this.#away += 1
      else this.#quiet += 1
      if (this.#quiet < TICKS) this.#tick()
      else this.#giveUp(this.#idle)
    })
  }

  #giveUp(after: number): void {
    this.#waiting.settle(timeoutFailure(`${this.#owner.describe()} has not handled everything`, after))
  }
}
