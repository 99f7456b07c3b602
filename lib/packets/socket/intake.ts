// Messages on their way in, at a pace that leaves time for others: one message, or many small ones, may hold more work
// than a turn of the event loop should take, or more packets than may wait.
import { PacketError } from '../errors'
import { Fifo } from '../fifo'
import type { PacketLink } from '../link/link'
import { startWork, stopTimer, type Timer } from '../timer'

/** Milliseconds of work until others have their turn. */
const MAX_WORK = 10

/** What a message that waits takes beside its bytes. */
const MESSAGE_BYTES = 128

export interface IntakeHost<Frames> {
  /** Returns what is in the message; `undefined`: nothing. */
  begin(message: Uint8Array | null): Frames | undefined
  /** Handles a few frames, or fewer when the intake has stopped, and returns whether there are more. */
  step(frames: Frames): boolean
  fail(error: PacketError): void
}

export class Intake<Frames> {
  readonly #host: IntakeHost<Frames>
  readonly #link: PacketLink
  readonly #maxBytes: number
  /** The message that is at work, and those behind it. */
  #frames: Frames | undefined
  readonly #waiting = new Fifo<Uint8Array | null>()
  #waitingBytes = 0
  /** Milliseconds of work since others had their turn. */
  #work = 0
  /** Until others had their turn. */
  #resting: Timer | undefined
  /** Until there is room for packets. */
  #isHeld = false
  #isRunning = false
  #isPaused = false
  #isClosed = false
  #handleEnd: (() => void) | undefined

  /** `maxBytes`: of what waits from a link that cannot be paused. */
  constructor(host: IntakeHost<Frames>, link: PacketLink, maxBytes: number) {
    this.#host = host
    this.#link = link
    this.#maxBytes = maxBytes
  }

  handleMessage(message: Uint8Array | null): void {
    if (this.#isClosed) return
    if (this.#isRunning || this.isStopped || !this.#isEmpty) {
      this.#waiting.push(message)
      this.#waitingBytes += sizeOf(message)
    } else this.#frames = this.#host.begin(message)
    this.#pump()
    if (this.#waitingBytes > this.#maxBytes && !this.#isClosed) {
      this.#host.fail(new PacketError('packets come faster than they are handled', 'ERR_PACKET_BUSY'))
    }
  }

  /** There is no room for more packets, or there is again. */
  holdBack(isHeld: boolean): void {
    this.#isHeld = isHeld
    this.#pump()
  }

  /**
   * The link is closed. Calls back when all that has come was handled, or what has is as much as may wait: at once, if
   * that is so.
   */
  end(callback: () => void): void {
    this.#handleEnd = callback
    this.#checkEnd()
  }

  /** Returns whether something of what has come was not handled. */
  close(): boolean {
    const isLeft = !this.#isEmpty
    this.#isClosed = true
    this.#frames = undefined
    this.#waiting.clear()
    stopTimer(this.#resting)
    return isLeft
  }

  get #isEmpty(): boolean {
    return this.#frames === undefined && this.#waiting.length === 0
  }

  /** Whether nothing more is to be handled now. */
  get isStopped(): boolean {
    return this.#isClosed || this.#isHeld || this.#resting !== undefined
  }

  /** Handles what is there, as long as it may. */
  #pump(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      this.#run(performance.now())
    } finally {
      this.#isRunning = false
    }
    this.#pauseLink(this.isStopped)
    this.#checkEnd()
  }

  #checkEnd(): void {
    if (this.#isClosed || this.#isRunning || !(this.#isEmpty || this.#isHeld)) return
    const callback = this.#handleEnd
    this.#handleEnd = undefined
    callback?.()
  }

  #run(start: number): void {
    while (!this.isStopped) {
      const frames = this.#frames
      if (frames !== undefined) {
        if (!this.#host.step(frames)) this.#frames = undefined
        // Most messages are done with in one step.
        if (this.#isEmpty) break
      } else if (this.#waiting.length > 0) this.#begin()
      else break
      if (this.#work + performance.now() - start >= MAX_WORK) break
    }
    this.#work += performance.now() - start
    if (this.#work >= MAX_WORK && !this.#isClosed) {
      this.#resting ??= startWork(() => {
        this.#resting = undefined
        this.#work = 0
        this.#pump()
      })
    }
  }

  #begin(): void {
    const message = this.#waiting.shift() as Uint8Array | null
    this.#waitingBytes -= sizeOf(message)
    this.#frames = this.#host.begin(message)
  }

  #pauseLink(isPaused: boolean): void {
    if (isPaused === this.#isPaused || this.#isClosed) return
    this.#isPaused = isPaused
    if (isPaused) this.#link.pause?.()
    else this.#link.resume?.()
  }
}

function sizeOf(message: Uint8Array | null): number {
  return (message?.length ?? 0) + MESSAGE_BYTES
}
