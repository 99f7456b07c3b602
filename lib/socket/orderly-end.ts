// The orderly end of a socket: waits until the other side has handled everything, as long as something moves; then
// tells it how much was handled here, and closes.
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { Ticket } from '../messaging/ticket'
import { closedFailure, type Failure, timeoutFailure, undeliveredFailure, withCause } from '../values/failure'
import { EndLimit } from './end-limit'
import { EndOnce } from './end-once'
import type { Lifecycle } from './lifecycle'
import type { EndOptions } from './options'

/** The socket that ends. */
export interface OrderlyEndOwner {
  readonly client: number
  readonly engineHandle: number
  /** Whether the other side has handled everything, and no request is open. */
  readonly isFinished: boolean
  /** Whether it ends in the middle of what a stream writes, which the close says. */
  readonly isCutOff: boolean
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
  /** Of the calls that said how long they wait: the one that is over first counts. */
  readonly #limits = new Set<EndLimit>()
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
    const act = { finish: () => this.#finish(options), hasten: (given: EndOptions) => this.#limit(given) }
    return this.#once.run(options, act, this.#lifecycle.why)
  }

  /** Notes that something was acknowledged or answered. */
  handleProgress(): void {
    for (const limit of this.#limits) limit.handleProgress()
    if (this.#owner.isFinished) this.#waiting.settle()
  }

  /** Waits no more: its time is over. */
  cutShort(): void {
    this.#giveUp(this.#lateAfter(Date.now() - this.#begun))
  }

  handleClosing(reason: Failure): void {
    this.#waiting.settle(reason)
  }

  /** Returns why messages are left, if any are. */
  async #finish(options: EndOptions | undefined): Promise<Failure | undefined> {
    let cause: Failure | undefined
    if (this.#lifecycle.state !== 'closed') {
      this.#begun = Date.now()
      this.#limit(options ?? {})
      this.#owner.beginEnd()
      if (!this.#owner.isFinished) cause = await this.#waiting.wait(this.#owner.describe())
      if (cause === undefined && !this.#owner.isCutOff) await this.#tell()
      for (const limit of this.#limits) limit.stop()
      this.#limits.clear()
      this.#owner.close()
    }
    await this.#lifecycle.whenGone()
    const { length } = this.#owner.undelivered()
    if (length === 0) return undefined
    const what = this.#owner.describe()
    return undeliveredFailure(what, length, this.#lifecycle.reason ?? cause ?? closedFailure(what))
  }

  /**
   * Tells the other side, which has handled everything, how much was handled here, and waits for its answer.
   * Nothing is handed to the application from now on, so that the number is exact.
   */
  async #tell(): Promise<void> {
    this.#isTelling = true
    this.#owner.prepareClose()
    this.#owner.shut()
    const ticket = new Ticket(this.#context, this.#responder)
    const left = [...this.#limits].map(limit => limit.left)
    const timeout = Math.max(1, Math.ceil(Math.min(...left)))
    commands.socketEnd(this.#owner.client, ticket.handle, this.#owner.engineHandle, timeout)
    await ticket.outcome
  }

  /** Waits for no longer than this says from now on. */
  #limit(options: EndOptions): void {
    if (this.#lifecycle.state === 'closed') return
    const isPeerAway = (): boolean => this.#isPeerAway
    const limit = new EndLimit(options, isPeerAway, (ms, isIdle) => {
      // Whoever has no broker, or no other side, has waited for that.
      this.#giveUp((isIdle ? this.#lifecycle.why() : undefined) ?? this.#lateAfter(ms))
    })
    this.#limits.add(limit)
  }

  /** Whether the other side of a socket that was attached is missing, or a broker that was there: it may come back. */
  get #isPeerAway(): boolean {
    if (this.#lifecycle.state === 'ready') return false
    return this.#lifecycle.wasReady || (this.#context.wasConnected && !this.#context.connected)
  }

  #giveUp(failure: Failure): void {
    this.#waiting.settle(failure)
    if (this.#isTelling) this.#owner.close()
  }

  #lateAfter(ms: number): Failure {
    const what = `the other side of ${this.#owner.describe()} has not handled everything`
    return withCause(timeoutFailure(what, ms), this.#lifecycle.why())
  }
}
