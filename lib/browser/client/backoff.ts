// Pauses before a client connects again, as src/link: full jitter; short ones while the outage is young.

export interface BackoffSettings {
  readonly reconnectionDelay: number
  readonly reconnectionDelayMax: number
}

/** The part of `reconnectionDelay` that is the ceiling of the first pause. */
const FIRST_PART = 0.4
/** An outage that is younger has no pause longer than four times `reconnectionDelay`, in ms. */
const YOUNG = 10_000
/** How long a connection must last to count as a success. */
const STABLE = 5000

export class Backoff {
  readonly #settings: BackoffSettings
  #failures = 0
  #missingSince: number | undefined
  #readySince: number | undefined

  constructor(settings: BackoffSettings) {
    this.#settings = settings
  }

  handleReady(now: number): void {
    this.#readySince = now
  }

  /** `random`: 0 to 1. */
  next(now: number, random: number): number {
    if (this.#readySince !== undefined && now - this.#readySince >= STABLE) {
      this.#failures = 0
      this.#missingSince = undefined
    }
    this.#readySince = undefined
    this.#missingSince ??= now
    if (now - this.#missingSince < YOUNG) this.#failures = Math.min(this.#failures, 2)
    const { reconnectionDelay, reconnectionDelayMax } = this.#settings
    const part = this.#failures === 0 ? FIRST_PART : 2 ** Math.min(this.#failures, 16)
    this.#failures += 1
    return Math.min(reconnectionDelay * part, reconnectionDelayMax) * (1 - random)
  }
}
