// The orderly end of a socket: waits until the other side has handled everything, as long as something moves; then
// tells it how much was handled here, and closes.
import { startTimer, type Timer } from '../async/timer'
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { Ticket } from '../messaging/ticket'
import { type Failure, timeoutFailure, undeliveredFailure, withCause } from '../values/failure'
import { EndOnce } from './end-once'
import type { Lifecycle } from './lifecycle'
import { END_SHAPE, type EndOptions } from './options'

/** Parts of the idle time: it is over after so many without progress. */
const TICKS = 4
/**
 * Idle times for which it waits while the other side or the broker is away: longer than the engine keeps a socket for
 * a peer that does not come back.
 */
const MAX_AWAY = 6

/** The socket that ends. */
export interface OrderlyEndOwner {
  readonly client: number
  readonly handle: number
  /** Whether the other side has handled everything, and no request is open. */
  readonly isFinished: boolean
  /** Returns its name in error texts. */
  describe(): string
  /** Writes and asks nothing more. */
  beginEnd(): void
  /** Called before it is closed from this side. */
  prepareClose(): void
  /** Hands nothing more to the application. */
  shut(): void
  close(): void
  undelivered(): readonly unknown[]
}

export class OrderlyEnd {
  readonly #owner: OrderlyEndOwner
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #once = new EndOnce()
  readonly #waiting = new Waiters()
  #timer: Timer | undefined
  #quiet = 0
  #away = 0
  #begun = 0
  /** Whether everything is handled, and the other side is told so. */
  #isTelling = false

  constructor(owner: OrderlyEndOwner, lifecycle: Lifecycle, context: ClientContext, responder: Responder) {
    this.#owner = owner
    this.#lifecycle = lifecycle
    this.#context = context
    this.#responder = responder
  }

  /** Ends the socket, unless that has begun. Rejects if messages are left. */
  end(options: EndOptions | undefined): Promise<void> {
    return this.#once.run(options, () => this.#finish(options), this.#lifecycle.why)
  }

  /** Notes that something was acknowledged or answered. */
  handleProgress(): void {
    this.#quiet = 0
    if (this.#owner.isFinished) this.#waiting.settle()
  }

  /** Waits no more: its time is over. */
  cutShort(): void {
    this.#giveUp(this.#lateAfter(Date.now() - this.#begun))
    if (this.#isTelling) this.#owner.close()
  }

  handleClosing(reason: Failure): void {
    this.#waiting.settle(reason)
  }

  /** Returns why messages are left, if any are. */
  async #finish(options: EndOptions | undefined): Promise<Failure | undefined> {
    let cause: Failure | undefined
    if (this.#lifecycle.state !== 'closed') {
      this.#begun = Date.now()
      const idle = options?.idle ?? END_SHAPE.idle.default
      const timeout = options?.timeout
      this.#owner.beginEnd()
      cause = await this.#whenHandled(timeout, idle)
      if (cause === undefined)
        await this.#tell(timeout === undefined ? idle : timeout - (Date.now() - this.#begun))
      this.#owner.close()
    }
    await this.#lifecycle.whenGone()
    const { length } = this.#owner.undelivered()
    // What is left after a close from this side is what that close wanted.
    const why = this.#lifecycle.reason ?? cause
    return length === 0 || why === undefined
      ? undefined
      : undeliveredFailure(this.#owner.describe(), length, why)
  }

  /** Resolves when everything is handled; with why it was not, when its time is over or the socket closes. */
  async #whenHandled(timeout: number | undefined, idle: number): Promise<Failure | undefined> {
    if (this.#owner.isFinished) return undefined
    const waiting = this.#waiting.wait(this.#owner.describe())
    if (timeout === undefined) this.#tick(idle)
    else this.#timer = startTimer(timeout, () => this.#giveUp(this.#lateAfter(timeout)))
    const failure = await waiting
    this.#timer?.stop()
    return failure
  }

  /**
   * Tells the other side, which has handled everything, how much was handled here, and waits so many ms for its
   * answer. Nothing is handed to the application from now on, so that the number is exact.
   */
  async #tell(wait: number): Promise<void> {
    this.#isTelling = true
    this.#owner.prepareClose()
    this.#owner.shut()
    const ticket = new Ticket(this.#context, this.#responder)
    const timeout = Math.max(1, Math.ceil(wait))
    commands.socketEnd(this.#owner.client, ticket.handle, this.#owner.handle, timeout)
    await ticket.outcome
  }

  #tick(idle: number): void {
    this.#timer = startTimer(Math.ceil(idle / TICKS), () => {
      if (this.#isPeerAway && this.#away < MAX_AWAY * TICKS) this.#away += 1
      else this.#quiet += 1
      if (this.#quiet < TICKS) this.#tick(idle)
      // Whoever has no broker, or no other side, has waited for that.
      else this.#giveUp(this.#lifecycle.why() ?? this.#lateAfter(idle))
    })
  }

  /** Whether it was attached, and the other side is missing, or the broker: it may come back. */
  get #isPeerAway(): boolean {
    return this.#lifecycle.wasReady && this.#lifecycle.state !== 'ready'
  }

  #giveUp(failure: Failure): void {
    this.#waiting.settle(failure)
  }

  #lateAfter(ms: number): Failure {
    const what = `the other side of ${this.#owner.describe()} has not handled everything`
    return withCause(timeoutFailure(what, ms), this.#lifecycle.why())
  }
}
