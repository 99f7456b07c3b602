// The sending half of a transport: joins what one turn writes, cuts what is large, and waits for room.
import { Buffer, nextTick } from '../values/platform'
import { FIN_FRAME } from './frames'

/** What one turn writes leaves in messages of at most so many bytes. */
export const MAX_MESSAGE_BYTES = 64 * 1024
/** Smaller writes are joined; larger ones are worth a message of their own, without a copy. */
export const JOINED_BYTES = 16 * 1024
/** A small window holds so many messages, so that the writer goes on while acknowledgements are on their way. */
const PIECES = 8
/** Bytes of a message beside its payload, in the window. */
const OVERHEAD_BYTES = 5

/** The session below. */
export interface SenderSession {
  readonly state: string
  write(data: unknown): boolean
  waitUntilWritable(): Promise<void>
}

export class Sender {
  /** Bytes that the session has. */
  written = 0
  /** Whether FIN is behind them. */
  isFinished = false
  readonly #session: SenderSession
  readonly #maxMessage: number
  /** Joined at the end of the turn. */
  #small: Buffer[] = []
  #smallBytes = 0
  #isScheduled = false
  /** The write that waits for room, and what of it is left. */
  #rest: Buffer | undefined
  #done: ((error?: Error) => void) | undefined
  #isFull = false
  #isFinishing = false
  /** Whether the session did not take something. */
  #isRefused = false
  #isEnded = false

  /** `window`: the bytes that may be unacknowledged. */
  constructor(session: SenderSession, window: number) {
    this.#session = session
    this.#maxMessage = Math.max(1, Math.min(MAX_MESSAGE_BYTES, Math.floor(window / PIECES) - OVERHEAD_BYTES))
  }

  /** Bytes that were taken, and are not the session's yet. */
  get joined(): number {
    return this.#smallBytes
  }

  /** Whether a part of a write waits for room. */
  get isHeldUp(): boolean {
    return this.#rest !== undefined
  }

  /** Takes bytes. `done` is called when they are in the window, or on their way into it in this turn. */
  write(bytes: Buffer, done: (error?: Error) => void): void {
    if (bytes.length < JOINED_BYTES && this.#smallBytes + bytes.length <= this.#maxMessage) {
      this.#small.push(bytes)
      this.#smallBytes += bytes.length
      this.#schedule()
      if (this.#isFull) this.#done = done
      else done()
      return
    }
    this.#join()
    this.#rest = bytes
    this.#done = done
    this.#pump()
  }

  /** Puts FIN behind everything. */
  finish(done: (error?: Error) => void): void {
    this.#join()
    this.#isFinishing = true
    this.#done = done
    this.#pump()
  }

  /**
   * Passes on what was taken, though the window may be more than half full, and takes no more. Returns whether
   * anything had to be dropped.
   */
  release(): boolean {
    const hasRest = this.#rest !== undefined
    this.#isFull = false
    this.#join()
    this.#rest = this.#done = undefined
    this.#isEnded = true
    return hasRest || this.#isRefused
  }

  /** Puts FIN behind what was passed on. Returns whether there was room. */
  close(): boolean {
    if (!this.isFinished) this.isFinished = this.#tryWrite(FIN_FRAME) !== undefined
    return this.isFinished
  }

  /** Ends the wait for room. */
  end(error: Error | undefined): void {
    this.#isEnded = true
    this.#small = []
    this.#smallBytes = 0
    this.#rest = undefined
    this.#settle(error)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    nextTick(this.#flush)
  }

  #flush = (): void => {
    this.#isScheduled = false
    if (this.#isEnded) return
    this.#join()
  }

  #join(): void {
    if (this.#smallBytes === 0 || this.#isFull) return
    const bytes =
      this.#small.length === 1 ? (this.#small[0] as Buffer) : Buffer.concat(this.#small, this.#smallBytes)
    this.#small = []
    this.#smallBytes = 0
    this.#put(bytes)
  }

  /** Writes as much as there is room for, and then says so. */
  #pump(): void {
    while (!this.#isFull && this.#rest !== undefined) {
      const bytes = this.#rest
      const part = bytes.length <= this.#maxMessage ? bytes : bytes.subarray(0, this.#maxMessage)
      this.#rest = part.length === bytes.length ? undefined : bytes.subarray(part.length)
      this.#put(part)
    }
    if (this.#isFull || this.#rest !== undefined) return
    if (this.#isFinishing) this.close()
    this.#settle()
  }

  #put(bytes: Buffer): void {
    const hasRoom = this.#tryWrite(bytes)
    if (hasRoom === undefined) this.#isRefused = true
    else this.written += bytes.length
    if (hasRoom !== false || this.#isFull) return
    this.#isFull = true
    this.#session.waitUntilWritable().then(this.#handleRoom, () => {})
  }

  /** Writes, unless the session has closed or, at the end, has no room left. Returns whether there is more room. */
  #tryWrite(data: unknown): boolean | undefined {
    try {
      return this.#session.state === 'closed' ? undefined : this.#session.write(data)
    } catch {
      return undefined
    }
  }

  #handleRoom = (): void => {
    if (this.#isEnded) return
    this.#isFull = false
    this.#join()
    this.#pump()
  }

  #settle(error?: Error): void {
    const done = this.#done
    this.#done = undefined
    done?.(error)
  }
}
