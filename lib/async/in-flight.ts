// Counts what is under way, and says when nothing is any more.
import { Waiters } from './waiters'

export class InFlight {
  #count = 0
  #idle: Waiters | undefined

  begin(): void {
    this.#count += 1
  }

  /** Bound: it is handed on as what is to be called. */
  readonly end = (): void => {
    if (this.#count === 0) return
    this.#count -= 1
    if (this.#count === 0) this.#idle?.settle()
  }

  /** Nobody waits for the rest. */
  forget(): void {
    this.#count = 0
    this.#idle?.settle()
  }

  /** Waits until there is none, at most so many ms. */
  async whenNone(timeout: number): Promise<void> {
    if (this.#count > 0) await (this.#idle ??= new Waiters()).wait('something is under way', timeout)
  }
}
