// How long one call of `end()` waits: so many ms in all, or so many in which nothing moves.
import { startTimer, type Timer } from '../async/timer'
import { END_SHAPE, type EndOptions } from './options'

/** Parts of the idle time: it is over after so many without progress. */
const TICKS = 4
/**
 * Idle times for which it waits while the other side or the broker is away: longer than the engine keeps a socket for
 * a peer that does not come back.
 */
const MAX_AWAY = 6

export class EndLimit {
  readonly #isPeerAway: () => boolean
  readonly #giveUp: (ms: number, isIdle: boolean) => void
  readonly #idle: number
  readonly #until: number | undefined
  #timer: Timer
  #quiet = 0
  #away = 0

  /** Calls `giveUp` once, with the milliseconds that are over, unless it is stopped. */
  constructor(
    { timeout, idle = END_SHAPE.idle.default }: EndOptions,
    isPeerAway: () => boolean,
    giveUp: (ms: number, isIdle: boolean) => void,
  ) {
    this.#isPeerAway = isPeerAway
    this.#giveUp = giveUp
    this.#idle = idle
    this.#until = timeout === undefined ? undefined : Date.now() + timeout
    this.#timer = timeout === undefined ? this.#tick() : startTimer(timeout, () => giveUp(timeout, false))
  }

  /** Milliseconds for which it waits at most if nothing moves. */
  get left(): number {
    return this.#until === undefined ? this.#idle : this.#until - Date.now()
  }

  handleProgress(): void {
    this.#quiet = 0
  }

  stop(): void {
    this.#timer.stop()
  }

  #tick(): Timer {
    return startTimer(Math.ceil(this.#idle / TICKS), () => {
      if (this.#isPeerAway() && this.#away < MAX_AWAY * TICKS) this.#away += 1
      else this.#quiet += 1
      if (this.#quiet < TICKS) this.#timer = this.#tick()
      else this.#giveUp(this.#idle, true)
    })
  }
}
