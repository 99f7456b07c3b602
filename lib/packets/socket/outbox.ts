// Frames on their way out: those of one tick go as one message, and what a full link does not take waits here.
import { PacketError } from '../errors'
import { Fifo } from '../fifo'
import type { AllLimits } from '../limits'
import type { PacketLink } from '../link/link'
import { Batch } from './batch'

/** Answers may take so many times the bytes of everything else: they cannot be refused, only given up. */
const ANSWER_SHARE = 2

export class Outbox {
  readonly #link: PacketLink
  readonly #limits: AllLimits
  readonly #isBatched: boolean
  readonly #handleBroken: (error: unknown) => void
  readonly #batch = new Batch()
  /** Messages that wait for the link, oldest first. */
  readonly #waiting = new Fifo<Uint8Array>()
  #waitingBytes = 0
  /** Until the other side has said what it has, and while the link is full. */
  #isHeld = true
  #isFull = false
  #isScheduled = false
  #isClosed = false
  #writable: (() => void)[] = []

  /** `handleBroken`: the link threw, and is good for nothing. */
  constructor(
    link: PacketLink,
    limits: AllLimits,
    isBatched: boolean,
    handleBroken: (error: unknown) => void,
  ) {
    this.#handleBroken = handleBroken
    this.#link = link
    this.#limits = limits
    this.#isBatched = isBatched
  }

  /** Bytes that are not with the link. */
  get pendingBytes(): number {
    return this.#waitingBytes + this.#batch.length
  }

  /** Whether more may be written without waiting. */
  get hasRoom(): boolean {
    return !this.#isFull && this.pendingBytes <= this.#limits.queueBytes / 2
  }

  /** Whether answers have used up what they may. */
  get isOverfull(): boolean {
    return this.pendingBytes > this.#limits.queueBytes * ANSWER_SHARE
  }

  /** @throws {PacketError} `"ERR_PACKET_BUSY"` · `"ERR_PACKET_CLOSED"` */
  checkRoom(): void {
    if (this.#isClosed) throw new PacketError('the socket is closed', 'ERR_PACKET_CLOSED')
    if (this.pendingBytes < this.#limits.queueBytes) return
    throw new PacketError(`${this.pendingBytes} bytes wait for the other side`, 'ERR_PACKET_BUSY')
  }

  /** Writes a frame, which leaves at the end of this tick. */
  frame(write: (batch: Batch) => void): void {
    if (this.#isClosed) return
    const before = this.#batch.length
    this.#batch.frame(write)
    if (before > 0 && this.#batch.length > this.#limits.batchBytes) this.#send(this.#batch.take(before))
    if (!this.#isBatched) this.flush()
    else if (!this.#isScheduled) {
      this.#isScheduled = true
      queueMicrotask(() => {
        this.#isScheduled = false
        this.flush()
      })
    }
  }

  /** Sends these frames before everything that waits. */
  sendFirst(write: (batch: Batch) => void): void {
    const batch = new Batch()
    write(batch)
    if (batch.length > 0 && !this.#isClosed) this.#give(batch.take())
  }

  /** Lets go what was held back since the beginning. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#drain()
  }

  flush(): void {
    if (this.#batch.length === 0 || this.#isClosed) return
    this.#send(this.#batch.take())
    this.#tell()
  }

  /** Resolves when there is room, or nothing leaves any more. */
  waitUntilWritable(): Promise<void> {
    if (this.hasRoom || this.#isClosed) return Promise.resolve()
    return new Promise(resolve => this.#writable.push(resolve))
  }

  /** Resolves when all is with the link. */
  async drained(): Promise<void> {
    this.flush()
    while (this.pendingBytes > 0 && !this.#isClosed)
      await new Promise<void>(resolve => this.#writable.push(resolve))
  }

  /** Drops what did not leave, and returns how many bytes that was. */
  close(): number {
    const unsent = this.pendingBytes
    this.#isClosed = true
    this.#waiting.clear()
    this.#waitingBytes = 0
    if (this.#batch.length > 0) this.#batch.take()
    this.#tell()
    return unsent
  }

  #send(message: Uint8Array): void {
    if (this.#isHeld || this.#isFull || this.#waiting.length > 0) {
      this.#waiting.push(message)
      this.#waitingBytes += message.length
    } else this.#give(message)
  }

  #give(message: Uint8Array): void {
    try {
      if (this.#link.send(message) !== false || this.#link.writable === undefined) return
      this.#isFull = true
      this.#link.writable().then(
        () => this.#handleWritable(),
        // The link says by itself that it is closed.
        () => undefined,
      )
    } catch (error) {
      this.#handleBroken(error)
    }
  }

  #handleWritable(): void {
    this.#isFull = false
    this.#drain()
  }

  #drain(): void {
    while (!this.#isFull && !this.#isClosed) {
      const message = this.#waiting.shift()
      if (message === undefined) break
      this.#waitingBytes -= message.length
      this.#give(message)
    }
    this.#tell()
  }

  #tell(): void {
    if (!this.hasRoom && !this.#isClosed) return
    for (const resolve of this.#writable.splice(0)) resolve()
  }
}
