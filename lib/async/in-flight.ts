// Counts operations in flight, and resolves when there are none.
import { Waiters } from './waiters'

export class InFlight {
  #count = 0
  readonly #handleEnd: (() => void) | undefined
  #idle: Waiters | undefined

  /** `handleEnd` is called after each end. */
  constructor(handleEnd?: () => void) {
    this.#handleEnd = handleEnd
  }

  get isNone(): boolean {
    return this.#count === 0
  }

  get count(): number {
    return this.#count
  }

  begin(): void {
    this.#count += 1
  }

  /** Bound, because it is passed on as a callback. */
  readonly end = (): void => {
    if (this.#count === 0) return
    this.#count -= 1
    if (this.#count === 0) this.#idle?.settle()
    this.#handleEnd?.()
  }

  /** Stops waiting for the rest. */
  forget(): void {
    this.#count = 0
    this.#idle?.settle()
  }

  /** Resolves when there are none, or when the signal is aborted. */
  async whenNone(signal?: AbortSignal): Promise<void> {
    if (this.#count === 0 || signal?.aborted) return
    await (this.#idle ??= new Waiters()).wait('something is under way', { signal })
  }
}
