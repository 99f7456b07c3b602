// The timeout of a socket: so many ms in which nothing moved. Never keeps the process alive.
import { clearTimer, setTimer } from '../values/platform'

export class IdleTimer {
  readonly #handleIdle: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(handleIdle: () => void) {
    this.#handleIdle = handleIdle
  }

  set(ms: number): void {
    this.stop()
    if (ms > 0) this.#timer = setTimer(this.#handleIdle, ms).unref()
  }

  /** Something moved. */
  refresh(): void {
    this.#timer?.refresh()
  }

  stop(): void {
    clearTimer(this.#timer)
    this.#timer = undefined
  }
}
