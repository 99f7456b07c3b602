// Back-pressure for connections that have none: the reader says how many bytes it has taken, and the writer counts.
import { Fifo } from '../fifo'

/** Bytes that were not taken until the connection counts as full. */
const MAX_UNTAKEN_BYTES = 1024 * 1024
/** So many are taken until that is said: not each message needs an answer. */
const SAY_BYTES = MAX_UNTAKEN_BYTES / 4
/** Bytes that are kept while reading is paused: the window, and a message that went beyond it. More no honest side sends. */
const MAX_HELD_BYTES = 32 * 1024 * 1024

export class Credit {
  readonly #say: (bytes: number) => void
  readonly #deliver: (message: Uint8Array | null) => void
  #untaken = 0
  #taken = 0
  #isPaused = false
  #isEnded = false
  #writable: (() => void)[] = []
  readonly #held = new Fifo<Uint8Array>()
  #heldBytes = 0

  /** `say` tells the other side what was taken; `deliver` gets its messages, and null when it does not keep to the rules. */
  constructor(say: (bytes: number) => void, deliver: (message: Uint8Array | null) => void) {
    this.#say = say
    this.#deliver = deliver
  }

  /** Counts what was sent, and returns whether there is room for more. */
  spend(bytes: number): boolean {
    this.#untaken += bytes
    return this.#untaken <= MAX_UNTAKEN_BYTES
  }

  writable(): Promise<void> {
    return new Promise(resolve => {
      this.#writable.push(resolve)
      this.#tell()
    })
  }

  /** What came: bytes, or a number of bytes that the other side has taken. */
  handle(data: Uint8Array | number | null): void {
    if (typeof data === 'number') {
      // Not a number of bytes: it takes back nothing.
      if (data > 0) this.#untaken = Math.max(0, this.#untaken - data)
      this.#tell()
    } else if (data === null) this.#deliver(null)
    else if (this.#isPaused) this.#hold(data)
    else this.#take(data)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    while (!this.#isPaused) {
      const message = this.#held.shift()
      if (message === undefined) break
      this.#heldBytes -= message.length
      this.#take(message)
    }
  }

  end(): void {
    this.#isEnded = true
    this.#tell()
  }

  #hold(message: Uint8Array): void {
    this.#held.push(message)
    this.#heldBytes += message.length
    if (this.#heldBytes > MAX_HELD_BYTES) this.#deliver(null)
  }

  #take(message: Uint8Array): void {
    this.#taken += message.length
    if (this.#taken >= SAY_BYTES) {
      this.#say(this.#taken)
      this.#taken = 0
    }
    this.#deliver(message)
  }

  #tell(): void {
    if (this.#untaken > MAX_UNTAKEN_BYTES / 2 && !this.#isEnded) return
    for (const resolve of this.#writable.splice(0)) resolve()
  }
}
