// Data of a draft that is the same in every message: what is large is copied to the engine once, and not for each of them.
import { native } from '../engine/native'

/** Data from this size on is handed over by itself. */
export const ATTACHED_BYTES = 32 * 1024

const kept = new FinalizationRegistry((number: number) => native.socketyRelease(number))

export class FixedData {
  readonly length: number
  /** Until the engine has them. */
  #bytes: Uint8Array | undefined
  #number = 0
  #isUsed = false

  /** `bytes`: nobody changes them any more. */
  constructor(bytes: Uint8Array) {
    this.length = bytes.length
    this.#bytes = bytes
  }

  /** The bytes, if they are not in the engine. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes
  }

  /** Hands them over, and returns the number by which the engine knows them; from the second time on it is the same one. */
  attach(): number {
    const bytes = this.#bytes
    if (bytes === undefined) return this.#number
    // Most are sent once.
    if (!this.#isUsed) {
      this.#isUsed = true
      return native.socketyAttach(bytes)
    }
    this.#number = native.socketyKeep(bytes)
    this.#bytes = undefined
    kept.register(this, this.#number)
    return this.#number
  }
}
