// How long a listener that accepts nobody any more stays behind its last socket: until the other end of that has heard
// that it is closed. The broker may go with the word; whoever has not heard it comes back and asks.
import { startTimer, type Timer } from '../async/timer'

/** Milliseconds after which a broker that was there has passed a word on. */
const ON_ITS_WAY = 5000
/** So long after the return of the fabric the other end is back, or gives up by itself. */
const RETURN_TIME = 30_000

export interface FarewellOwner {
  /** Whether the fabric is away. */
  readonly isAway: boolean
  /** Asks the broker anything, and rejects or resolves with its answer. */
  ask(): Promise<unknown>
  /** Nobody waits for it any more: it is not what keeps the process alive. */
  handleUntold(): void
  /** It may close. */
  handleTold(): void
}

export class Farewell {
  readonly #owner: FarewellOwner
  #lastAt = Number.NEGATIVE_INFINITY
  #isUntold = false
  #isDue = false
  #isOver = false
  #timer: Timer | undefined

  constructor(owner: FarewellOwner) {
    this.#owner = owner
  }

  /** A socket has closed. */
  handleClosed(): void {
    this.#lastAt = Date.now()
    if (this.#owner.isAway) this.#isUntold = true
  }

  /** The fabric has gone, with what had not been passed on. */
  handleAway(): void {
    this.#timer?.stop()
    if (Date.now() - this.#lastAt < ON_ITS_WAY) this.#isUntold = true
    if (this.#isUntold && this.#isDue) this.#owner.handleUntold()
  }

  handleBack(): void {
    if (!this.#isUntold || this.#isOver) return
    this.#timer?.stop()
    this.#timer = startTimer(RETURN_TIME, () => {
      this.#isUntold = false
      if (this.#isDue) this.#tell()
    })
    this.#timer.unref()
  }

  /** There is no socket left. Calls `handleTold`, once. */
  async begin(): Promise<void> {
    if (this.#isDue || this.#isOver) return
    this.#isDue = true
    // What was said before this has left the broker when it answers.
    if (!this.#isUntold) await this.#owner.ask().catch(() => {})
    if (this.#isOver) return
    if (this.#isUntold || this.#owner.isAway) this.#owner.handleUntold()
    else this.#tell()
  }

  /** It is over: there is no fabric for it. */
  stop(): void {
    this.#isOver = true
    this.#timer?.stop()
  }

  #tell(): void {
    this.stop()
    this.#owner.handleTold()
  }
}
