// Sends that wait for the bind, bounded in bytes and in number.
import type { SendCall } from './send-arguments'

/** The bound of the memory that tiny ones take beside their bytes. */
const MAX_WAITING = 16_384

export class Waiting {
  #calls: SendCall[] = []
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#calls.length
  }

  /** Adds one, unless more than `most` bytes wait already. Returns whether it did. */
  add(call: SendCall, most: number): boolean {
    if (this.#bytes > most || this.#calls.length >= MAX_WAITING) return false
    this.#calls.push(call)
    this.#bytes += call.bytes.length
    return true
  }

  /** Takes all. */
  take(): SendCall[] {
    const calls = this.#calls
    this.#calls = []
    this.#bytes = 0
    return calls
  }
}
