// What `selvedge socket` and `selvedge listen` read of stdin, and whether there is any of it now.
import type { Readable } from 'node:stream'
import { lines } from './payload'

/** How long a read of a pipe may take until it counts as one with nothing in it, in ms. */
const MAX_LOOK = 200

/** What is written to sockets, one after the other: what one of them has not taken, the next one gets. */
export class Input {
  readonly isTerminal: boolean
  /** A message for each line; else messages are parts of a stream of bytes. */
  readonly isLines: boolean
  /** Its end is input, too, which one socket gets, even if nothing is in it: so it is of a file. */
  #isFile: boolean
  readonly #parts: AsyncIterator<Buffer>
  #next: Promise<IteratorResult<Buffer>> | undefined
  /** When that read has begun, by `performance.now()`. */
  #began = 0
  /** Something was read since: maybe a part of a line. */
  #hasRead = false

  constructor(stream: Readable & { readonly isTTY?: boolean }, isLines: boolean, isFile: boolean) {
    this.isTerminal = stream.isTTY === true
    this.isLines = isLines
    this.#isFile = isFile
    const parts = this.#read(stream)
    this.#parts = isLines ? lines(parts) : parts
  }

  /** Resolves with the next part, which stays the next one until it is taken. */
  next(): Promise<IteratorResult<Buffer>> {
    if (this.#next === undefined) {
      this.#began = performance.now()
      this.#next = this.#parts.next()
    }
    return this.#next
  }

  take(): void {
    this.#next = undefined
    this.#hasRead = false
  }

  /**
   * Whether there is more that was not taken. A file is always read for that; anything else has some time from the
   * beginning of the read on, since who writes to a pipe may just have been started.
   */
  async hasMore(): Promise<boolean> {
    const found = this.next().then(
      ({ done }) => done !== true,
      () => false,
    )
    if (this.#isFile) return found
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>(resolve => {
      const left = Math.max(0, this.#began + MAX_LOOK - performance.now())
      // However late the timer is: what is in a pipe is read before the immediate.
      timer = setTimeout(() => setImmediate(() => setImmediate(() => resolve(this.#hasRead))), left)
    })
    const hasMore = await Promise.race([found, late])
    clearTimeout(timer)
    return hasMore
  }

  /** Whether it has begun, as far as is known now: a part was read, or its end is input that no socket has got. */
  get hasBegun(): boolean {
    return this.#hasRead || this.#isFile
  }

  /** Returns whether the end is input. */
  takeEnd(): boolean {
    const isInput = this.#isFile
    this.#isFile = false
    return isInput
  }

  async *#read(stream: Readable): AsyncGenerator<Buffer> {
    for await (const part of stream as AsyncIterable<Buffer>) {
      this.#hasRead ||= part.length > 0
      yield part
    }
  }
}
