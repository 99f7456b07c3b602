// What sockets and socket servers have in common: a state that is announced, waiting for it, closing, and the hold.
import { EventEmitter } from 'node:events'
import type { State } from '../../index'
import type { Drain } from '../async/drain'
import { Waiters } from '../async/waiters'
import type { EventReader } from '../engine/event-reader'
import { forget, type Target } from '../engine/events'
import { ProcessRef } from '../engine/process-ref'
import type { Child, ClientContext } from '../messaging/client-context'
import { closedFailure, errorFrom, type FabricError, Failure, throwAsync } from '../values/errors'
import { isTimeout } from '../values/option-checks'

/** In the order of the numbers in docs/internals/boundary.md. */
const STATES: readonly State[] = ['disconnected', 'connecting', 'ready', 'closed']

/** The events of a state; each object adds its own. */
export interface StateEvents {
  disconnected: []
  connecting: []
  ready: []
  closed: [reason: FabricError | undefined]
}

export abstract class Stateful<Events extends StateEvents & Record<keyof Events, unknown[]>>
  extends EventEmitter<Events>
  implements Target, Child
{
  readonly subject: string
  state: State = 'disconnected'
  protected readonly context: ClientContext
  /** Set when the other side or the decoder is to blame for a close from here. */
  protected closeReason: FabricError | undefined
  readonly #ref = new ProcessRef()
  #ready: Waiters | undefined
  #closed: Waiters | undefined
  #announced: State = 'disconnected'
  #isGone = false

  abstract readonly handle: number

  get client(): number {
    return this.context.handle
  }

  constructor(context: ClientContext, subject: string) {
    super()
    this.context = context
    this.subject = subject
    context.children.add(this)
    this.#ref.set(true)
  }

  /** Itself, without the types of its events: TypeScript cannot see through `Events` here. */
  protected get emitter(): EventEmitter {
    return this as unknown as EventEmitter
  }

  abstract handleEvent(kind: number, event: EventReader): void

  abstract finishWith(drain: Drain): Promise<void>

  ref(): this {
    this.#ref.want(true)
    return this
  }

  unref(): this {
    this.#ref.want(false)
    return this
  }

  /** Resolves when the state is `ready`. */
  async waitUntilReady(timeout?: number): Promise<void> {
    if (timeout !== undefined) isTimeout('timeout', timeout)
    if (this.state === 'ready') return
    if (this.state === 'closed') throw this.closedError()
    const failure = await (this.#ready ??= new Waiters()).wait(`${this.describe()} is not ready`, timeout)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Throws what a call on a closed object gets. */
  protected checkOpen(): void {
    if (this.state === 'closed') throw this.closedError()
    this.context.checkOpen()
  }

  protected closedError(): FabricError {
    return errorFrom(closedFailure(this.describe()))
  }

  protected abstract describe(): string

  /** Closes from this side; `closed` is emitted when the engine has said so. Whether there was something to do. */
  protected beginClose(reason?: Failure): boolean {
    if (this.state === 'closed') return false
    this.state = 'closed'
    const failure = closedFailure(this.describe())
    this.#settleReady(failure)
    const own = this.closeReason
    this.handleClosing(failure, reason ?? (own && new Failure(String(own.code), own.message)) ?? failure)
    return true
  }

  /** Called once, as soon as it is closed from either side: with what waits for it gets, and with the reason. */
  protected abstract handleClosing(failure: Failure, reason: Failure): void

  /** Settles when `closed` has come. */
  protected whenGone(): Promise<unknown> {
    return this.#isGone ? Promise.resolve() : (this.#closed ??= new Waiters()).wait(this.describe())
  }

  handleClientClosing(): void {
    this.beginClose()
  }

  handleClientClosed(): void {
    this.beginClose()
    this.#finish(undefined)
  }

  /** Reads a *socket state* or a *listener state*. */
  protected handleState(event: EventReader): void {
    const state = STATES[event.u8()] as State
    const code = event.optStr()
    const message = event.str()
    const undelivered = event.u32()
    if (state === 'closed') {
      const reason = (left: number): Failure | undefined =>
        code === null ? undefined : new Failure(code, message, undefined, left)
      this.beforeGone(this.beginClose(reason(undelivered)), (left = undelivered) => {
        const failed = reason(left)
        this.#finish(failed === undefined ? undefined : errorFrom(failed))
      })
    } else if (this.state !== 'closed') this.enter(state)
  }

  /** Calls `finish` when everything has been said about what the engine closed, with what is undelivered if that is known better here. */
  protected beforeGone(_wasOpen: boolean, finish: (undelivered?: number) => void): void {
    finish()
  }

  protected enter(state: State): void {
    this.state = state
    if (state === this.#announced) return
    this.#announced = state
    if (state === 'ready') this.#settleReady()
    this.announce(state)
  }

  /** Emits to handlers that may throw; whether there were any. One that throws has been called all the same. */
  protected announce(name: string, ...args: unknown[]): boolean {
    try {
      return this.emitter.emit(name, ...args)
    } catch (error) {
      throwAsync(error)
      return true
    }
  }

  #settleReady(failure?: Failure): void {
    const ready = this.#ready
    this.#ready = undefined
    ready?.settle(failure)
  }

  #finish(reason: FabricError | undefined): void {
    if (this.#isGone) return
    this.#isGone = true
    forget(this.handle)
    this.context.children.delete(this)
    this.handleGone()
    this.#ref.set(false)
    this.#closed?.settle()
    this.announce('closed', this.closeReason ?? reason)
  }

  /** Called just before `closed` is emitted. */
  protected handleGone(): void {}
}
