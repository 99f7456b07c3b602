// A byte stream over a session, which is a socket of the fabric: bytes, halves, resets and the end. Knows no stream of
// Node.js.
import { startTimer } from '../async/timer'
import type { Incoming } from '../engine/event-reader'
import type { ConatSocketBase } from '../socket/base'
import { isBin } from '../values/codec'
import type { FabricError } from '../values/errors'
import { afterMicrotasks, Buffer, isUint8Array } from '../values/platform'
import { noteSettled } from '../values/throw-async'
import { beforeConnection, codeOf } from './errors'
import { cutAtExit } from './exit-hook'
import { frameOf, type Hello, helloFrame, MAX_FRAME_BYTES, MAX_FRAMES, resetFrame, VERSION } from './frames'
import { Sender } from './sender'

/** Why a transport failed. */
export interface Loss {
  readonly code: string
  readonly cause?: FabricError
  /** Bytes that are not known to have arrived. */
  readonly undelivered?: number
}

/** The stream above. */
export interface TransportOwner {
  /** The other end has accepted. */
  handleHello(hello: Hello): void
  /** Returns whether it takes more. */
  handleBytes(bytes: Buffer): boolean
  handleFin(): void
  /** Called at most once, and nothing after it. */
  handleLoss(loss: Loss): void
  /** Something came, or was acknowledged. */
  handleActivity(): void
  /** The fabric or the other end is away, or back. */
  handleAway(isAway: boolean): void
}

/** What a transport is told. */
export interface TransportOptions {
  /** Bytes that may be under way. */
  readonly window: number
  /** Milliseconds without an acknowledgement for which a close waits. */
  readonly linger: number
}

export class Transport {
  readonly session: ConatSocketBase
  readonly since: number = Date.now()
  bytesRead = 0
  isFinReceived = false
  /** Whether our FIN had been sent when the other end's came. */
  isFinishedFirst = false
  /** Whether the other end takes nothing more. */
  isPeerGone = false
  /** Whether both ends have agreed on the stream. */
  isOpen = false
  /** Whether the stream above has let go of it. */
  isReleased = false
  isSuspended = false
  readonly sender: Sender
  readonly #options: TransportOptions
  #owner: TransportOwner | undefined
  readonly #whenGone: (() => void)[] = []
  #isGone = false
  #lost: string | undefined
  #frames = 0

  constructor(session: ConatSocketBase, owner: TransportOwner | undefined, options: TransportOptions) {
    this.session = session
    this.sender = new Sender(session, options.window)
    this.#owner = owner
    this.#options = options
    session.on('data', this.#receive)
    session.on('request', this.#violate)
    session.on('disconnected', this.#handleAway)
    session.on('ready', this.#handleBack)
    session.on('closed', this.#handleClosed)
    session.onProgress = this.#handleProgress
    session.admits = this.#admits
    cutAtExit(this)
  }

  /** The accepting end: says so. */
  accept(owner: TransportOwner, port: number): void {
    this.#owner = owner
    this.isOpen = true
    this.#tryWrite(helloFrame(port))
  }

  /** Calls back when nothing is left of it; at once if that is so. */
  onGone(handle: () => void): void {
    if (this.#isGone) handle()
    else this.#whenGone.push(handle)
  }

  /** Bytes written and not acknowledged. */
  get unacknowledged(): number {
    return this.session.stats.pendingBytes + this.sender.joined
  }

  /** Whether bytes have come that the stream above has not been given; an end alone is nothing to be read. */
  get isHolding(): boolean {
    return this.session.holds(data => isUint8Array(data) && data.length > 0)
  }

  /** Resolves when the other end has what was passed on so far. Returns why not. */
  async whenHandled(): Promise<Loss | undefined> {
    const failure = await this.session.whenHandled()
    return failure && { code: this.#lost ?? codeOf(failure) }
  }

  /**
   * Lets go of it. What is in the window is delivered, and then FIN, if nothing is missing on either side; otherwise
   * the other end is told that it was cut off.
   */
  release(isComplete: boolean): void {
    if (this.isReleased) return
    this.isReleased = true
    this.#owner = undefined
    const isDropped = this.sender.release()
    this.session.resume()
    if (this.session.state === 'closed') return
    const isWhole = isComplete && !isDropped
    if (!isWhole || this.#options.linger === 0 || !this.sender.close()) this.#cutOff()
    // A failure has been told: the other end did not acknowledge in time.
    else void this.session.end({ idle: this.#options.linger }).catch(() => {})
  }

  /** Ends it at once, past everything that is under way. `isBlank`: it was not connected yet, and nothing was written. */
  reset(code: string, isBlank = false): void {
    if (this.isReleased) return
    this.isReleased = true
    this.#owner = undefined
    this.sender.release()
    if (this.session.state === 'closed') return
    // The close alone is a reset, unless it comes behind our end.
    if (code !== 'ECONNRESET' || this.sender.isFinished) this.#tryWrite(resetFrame(code))
    if (isBlank) this.session.close()
    else this.#cutOff()
  }

  /** The process ends: what has not arrived will not, which is a reset unless our end has. */
  cut(): void {
    this.isReleased = true
    this.#owner = undefined
    this.isSuspended = false
    this.#cutOff()
  }

  /** Closes it without an end of ours. Whoever accepts it later would take that for one: it is told. */
  #cutOff(): void {
    const { session } = this
    if (session.state === 'closed') return
    if (!this.isOpen && session.role === 'client') session.destroy(beforeConnection())
    else if (this.isSuspended && session.role === 'client' && this.#options.linger > 0) this.#cutOffLater()
    else session.close()
  }

  /** The word would be lost, and whoever accepted waits for the connecting end to come back: it comes, to say it. */
  #cutOffLater(): void {
    const { session } = this
    session.unref()
    const close = (): void => void session.close()
    const timer = startTimer(this.#options.linger, close)
    timer.unref()
    session.once('ready', close)
    session.once('closed', () => timer.stop())
  }

  /** While the stream above does not read, what comes is kept: bytes, and few frames. */
  #admits = (incoming: Incoming): boolean => {
    if (this.isReleased || isBin(incoming)) return true
    this.#frames += 1
    if (this.#frames <= MAX_FRAMES && incoming.end - incoming.start <= MAX_FRAME_BYTES) return true
    this.#violate()
    return false
  }

  #receive = (data: unknown): void => {
    if (this.isReleased) return
    if (isUint8Array(data)) this.#receiveBytes(data as Buffer)
    else this.#receiveFrame(data)
  }

  #receiveBytes(bytes: Buffer): void {
    if (!this.isOpen || this.isFinReceived) {
      this.#violate()
      return
    }
    if (bytes.length === 0) return
    this.bytesRead += bytes.length
    const owner = this.#owner as TransportOwner
    owner.handleActivity()
    if (!owner.handleBytes(bytes) && !this.isReleased) this.session.pause()
  }

  #receiveFrame(data: unknown): void {
    const frame = frameOf(data)
    if (frame === undefined) this.#violate()
    else if (frame.kind === 'reset') this.#lose({ code: frame.code })
    else if (frame.kind === 'fin') {
      if (!this.isOpen || this.isFinReceived) {
        this.#violate()
        return
      }
      this.isFinReceived = true
      this.isFinishedFirst = this.sender.isFinished
      // As the kernel's, in a turn of its own: what the bytes before it have settled goes on first.
      afterMicrotasks(this.#passFin)
    } else if (this.isOpen || this.session.role === 'server') this.#violate()
    else if (frame.hello.v > VERSION) this.#refuse('EPROTONOSUPPORT')
    else {
      this.isOpen = true
      this.#owner?.handleHello(frame.hello)
      // Whoever awaits `connect` goes on before the bytes that came with it.
      noteSettled()
    }
  }

  #passFin = (): void => {
    this.#owner?.handleActivity()
    this.#owner?.handleFin()
  }

  /** The other end broke the rules. */
  #violate = (): void => {
    if (!this.isReleased) this.#refuse('EPROTO')
  }

  #refuse(code: string): void {
    this.#tryWrite(resetFrame(code))
    this.#lose({ code })
  }

  #lose(loss: Loss): void {
    const owner = this.#owner
    if (this.isReleased) return
    this.isReleased = true
    this.#lost = loss.code
    this.#owner = undefined
    this.sender.release()
    this.#cutOff()
    owner?.handleLoss(loss)
  }

  #tryWrite(data: unknown): void {
    try {
      this.session.write(data)
    } catch {
      // It is closed, or has no room: the close says enough.
    }
  }

  #handleProgress = (): void => {
    this.#owner?.handleActivity()
  }

  #handleAway = (): void => {
    if (!this.isOpen || this.isSuspended) return
    this.isSuspended = true
    this.#owner?.handleAway(true)
  }

  #handleBack = (): void => {
    if (!this.isSuspended) return
    this.isSuspended = false
    this.#owner?.handleAway(false)
  }

  #handleClosed = (reason: FabricError | undefined): void => {
    const isOrderly = reason === undefined || reason.code === 'ERR_SOCKET_CLOSED_BY_PEER'
    if (!this.isReleased && this.#isGivenUp(reason)) {
      // To whoever accepted it it came and went, as with TCP.
      this.isFinReceived = true
      this.#passFin()
    }
    if (this.isFinReceived && isOrderly && !this.isReleased && !this.sender.isHeldUp) {
      // It has said everything, and takes no more.
      this.isPeerGone = true
      this.sender.end(undefined)
    } else if (!this.isReleased) {
      const undelivered = this.#undelivered()
      if (reason !== undefined) this.#lose({ code: codeOf(reason), cause: reason, undelivered })
      else this.#lose({ code: this.isOpen ? 'ECONNABORTED' : 'ENETDOWN', undelivered })
    }
    this.#isGone = true
    for (const handle of this.#whenGone.splice(0)) handle()
  }

  /** Whether the connecting end was closed before it heard that it was accepted. */
  #isGivenUp(reason: FabricError | undefined): boolean {
    return (
      this.session.role === 'server' &&
      reason?.code === 'ERR_SOCKET_CLOSED_BY_PEER' &&
      (reason.missing ?? 0) === 0 &&
      this.bytesRead === 0 &&
      this.#frames === 0 &&
      !this.isFinReceived &&
      this.session.stats.acknowledged === 0
    )
  }

  #undelivered(): number {
    let sum = 0
    for (const { data } of this.session.undelivered()) if (Buffer.isBuffer(data)) sum += data.length
    return sum
  }
}
