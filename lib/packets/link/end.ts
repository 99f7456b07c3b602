// The end of a link: told once, with a reason where the other side was the one who ended it.
import { PacketError } from '../errors'
import { startTimer, stopTimer, type Timer } from '../timer'

/** Milliseconds for the other side to agree to an orderly end. */
const MAX_CLOSING = 3000

export class End {
  #handle: ((reason?: Error) => void) | undefined
  #isEnded = false
  /** It is closed from here: what follows needs no reason. */
  #isOurs = false
  #error: Error | undefined
  #timer: Timer | undefined
  #reason: Error | undefined

  get isEnded(): boolean {
    return this.#isEnded
  }

  listen(handle: (reason?: Error) => void): void {
    this.#handle = handle
    if (this.#isEnded) queueMicrotask(() => handle(this.#reason))
  }

  /** What went wrong before the end comes. */
  fail(error: unknown): void {
    // Not by its class: it may come from another realm.
    const isError = typeof error === 'object' && error !== null && 'message' in error
    this.#error = isError ? (error as Error) : new PacketError(String(error), 'ERR_PACKET_CLOSED')
  }

  /** Begins to end it from here; `cut` is called when it does not within 3 s. */
  begin(cut: () => void): void {
    if (this.#isEnded || this.#isOurs) return
    this.#isOurs = true
    this.#timer = startTimer(() => {
      cut()
      this.reach('')
    }, MAX_CLOSING)
  }

  /** It has ended; `how` says it in words. */
  reach(how: string): void {
    if (this.#isEnded) return
    this.#isEnded = true
    stopTimer(this.#timer)
    if (!this.#isOurs)
      this.#reason = this.#error ?? new PacketError(`the other side closed ${how}`, 'ERR_PACKET_CLOSED')
    this.#handle?.(this.#reason)
  }
}
