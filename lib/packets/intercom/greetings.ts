// When a node says that it is there to those who do not know of it. No I/O; times are passed in.

/** Milliseconds until a greeting is said again, and between those to a crowd. */
export const AGAIN_TIME = 100
/** Greetings that are said at once: a cluster that starts. */
const MAX_GREETINGS = 16

/**
 * Everybody hears every greeting, and all nodes greet. So those who come faster than one in {@link AGAIN_TIME} are
 * greeted together, once some have been greeted at once: a crowd of names, or one that changes its epoch all the time,
 * makes no more of them.
 */
export class Greetings {
  #left = MAX_GREETINGS
  #at = 0

  /** Somebody new is there. Returns whether it is greeted at once. */
  handleNew(now: number): boolean {
    this.#left = Math.min(MAX_GREETINGS, this.#left + (now - this.#at) / AGAIN_TIME)
    this.#at = now
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
