// The lifecycle of a socket or socket server: its state and events, waiting for a state, closing, and the
// process reference.
import type { EventEmitter } from 'node:events'
import type { State, WaitOptions } from '../../index'
import { bound, type Why, waitOptions } from '../async/bounds'
import { Waiters } from '../async/waiters'
import type { EventReader } from '../engine/event-reader'
import { forget, type Target } from '../engine/events'
import { ProcessRef } from '../engine/process-ref'
import type { Child, ClientContext } from '../messaging/client-context'
import { FabricError } from '../values/errors'
import { closedFailure, errorFrom, Failure, withUndelivered } from '../values/failure'
import { throwAsync } from '../values/throw-async'

/** In the order of the numbers in docs/internals/boundary.md. */
const STATES: readonly State[] = ['disconnected', 'connecting', 'ready', 'closed']

/** Reasons of a close after which nothing is missing, unless they say so. */
const ORDERLY: ReadonlySet<number | string> = new Set(['ERR_CLOSED', 'ERR_SOCKET_CLOSED_BY_PEER'])

/** Returns whether nothing is missing after a close for this reason. */
export function isOrderly(reason: FabricError | Failure): boolean {
  const { missing } = reason instanceof Failure ? (reason.details ?? {}) : reason
  return !missing && ORDERLY.has(reason.code)
}

/** The events of a state; each object adds its own. */
export interface StateEvents {
  disconnected: [reason?: FabricError]
  connecting: []
  ready: []
  closed: [reason: FabricError | undefined, undelivered: number]
}

/** The object whose lifecycle it is: an emitter of `StateEvents`. */
export interface LifecycleOwner extends Target, Child {
  readonly engineHandle: number
  /** Returns its name in error texts. */
  describe(): string
  /** Called before the state changes to one that is not `closed`. */
  handleEnter(state: State): void
  /**
   * Called once, as soon as it is closed from either side: with the failure for those who wait for something
   * else, and with the reason.
   */
  handleClosing(failure: Failure, reason: Failure): void
  /**
   * Calls `finish` when the engine has reported everything about what it closed; with the number of
   * undelivered messages if that is known more exactly here.
   */
  handleEngineClosed(wasOpen: boolean, finish: (undelivered?: number) => void): void
  /** Called just before `closed` is emitted, with what that says. */
  handleGone(reason: FabricError | undefined, undelivered: number): void
}

export class Lifecycle {
  state: State = 'disconnected'
  /** Set when the other side or the decoder is to blame for a close from here. */
  closeReason: FabricError | undefined
  /** Why it is closed; `undefined` while it is open, and if it was closed from this side. */
  reason: Failure | undefined
  /** Whether it was ready at any time. */
  wasReady = false
  /** Whether the engine closed it, and not this side: what the engine does not know by then, it never takes. */
  isClosedBelow = false
  readonly processRef = new ProcessRef()
  readonly #owner: LifecycleOwner & EventEmitter
  readonly #context: ClientContext
  #ready: Waiters | undefined
  #closed: Waiters | undefined
  #stopLimit: (() => void) | undefined
  #announced: State = 'disconnected'
  #isGone = false
  /** Why it was disconnected last, if that was because of the other side. */
  #peerLoss: Failure | undefined
  /** Why it has not found a server, while it looks for one. */
  #unserved: Failure | undefined
  /** The same, if what is to choose a server does not. */
  unchosen: Failure | undefined

  // biome-ignore lint/suspicious/noExplicitAny: whatever events it has
  constructor(owner: LifecycleOwner & EventEmitter<any>, context: ClientContext) {
    this.#owner = owner
    this.#context = context
    context.children.add(owner)
    this.processRef.set(true)
    if (context.stranded !== undefined) queueMicrotask(() => this.#handleStrandedClient())
  }

  /** Resolves when the state is `ready`. */
  async waitUntilReady(given?: number | WaitOptions): Promise<void> {
    const bounds = waitOptions('waitUntilReady', given)
    if (this.state === 'ready') return
    if (this.state === 'closed') throw this.endError()
    if (this.#context.stranded !== undefined) throw errorFrom(this.#context.stranded)
    const what = `${this.#owner.describe()} is not ready`
    const failure = await (this.#ready ??= new Waiters()).wait(what, bounds, this.why)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Calls `giveUp` if it does not get ready for the first time within these bounds. */
  limitFirst(bounds: WaitOptions, giveUp: (failure: Failure) => void): void {
    if (bounds.timeout === undefined && bounds.signal === undefined) return
    const what = `${this.#owner.describe()} did not get ready`
    this.#stopLimit = bound(bounds, what, giveUp, this.why)
  }

  /** Ends the waits for `ready`. Its own time goes on: it may get ready yet, or, if that is final, has to close. */
  handleStranded(failure: Failure, isFinal: boolean): void {
    if (isFinal && this.state !== 'closed') {
      const what = this.wasReady
        ? 'the connection was lost, and there will be no other'
        : 'there is no connection'
      this.closeReason = new FabricError(`${what}: ${failure.message}`, 'ERR_SOCKET_LOST', {
        cause: errorFrom(failure),
      })
    }
    this.#settleReady(failure)
  }

  /** Unless the client connects after all. */
  #handleStrandedClient(): void {
    const { stranded } = this.#context
    if (stranded !== undefined && this.state !== 'closed') this.#owner.handleStranded?.(stranded, true)
  }

  /** Throws if it is closed. */
  checkOpen(): void {
    if (this.state === 'closed') throw this.closedError()
    this.#context.checkOpen()
  }

  closedError(): FabricError {
    return errorFrom(this.closedFailure())
  }

  /** Returns what whoever wants something of it gets when it is closed. */
  closedFailure(): Failure {
    return closedFailure(this.#owner.describe(), this.reason)
  }

  /** Returns why it is closed: what those who waited for something got. */
  endError(): FabricError {
    return errorFrom(this.reason ?? closedFailure(this.#owner.describe()))
  }

  /** Why what is waited for does not come: there is no broker, or the other side is away, or was never there. */
  readonly why: Why = () => this.#context.obstacle ?? this.#peerLoss ?? this.unchosen ?? this.#unserved

  /** Changes the state and emits it, unless it was the last one emitted. */
  enter(state: State, peerLoss?: Failure): void {
    this.#peerLoss = peerLoss ?? (state === 'connecting' ? this.#peerLoss : undefined)
    this.#owner.handleEnter(state)
    this.state = state
    if (state === this.#announced) return
    this.#announced = state
    if (state === 'ready') {
      this.wasReady = true
      this.#stopLimit?.()
      this.#settleReady()
    }
    if (peerLoss === undefined) this.announce(state)
    else this.announce(state, errorFrom(peerLoss))
  }

  /** Changes the state to `disconnected` at once; the event follows when the engine has disconnected it. */
  leave(): void {
    this.#owner.handleEnter('disconnected')
    this.state = 'disconnected'
  }

  /** Closes from this side; `closed` is emitted when the engine reports it. Returns whether it was open. */
  beginClose(reason?: Failure): boolean {
    if (this.state === 'closed') return false
    this.state = 'closed'
    const failure = closedFailure(this.#owner.describe(), reason)
    const own = this.closeReason
    this.reason = reason ?? (own && new Failure(own.code, own.message, own.cause))
    const why = this.reason ?? failure
    this.#stopLimit?.()
    this.#settleReady(why)
    this.#owner.handleClosing(failure, why)
    return true
  }

  /** Resolves when `closed` was emitted. */
  async whenGone(): Promise<void> {
    if (!this.#isGone) await (this.#closed ??= new Waiters()).wait(this.#owner.describe())
  }

  /** Closes because the client or the server above closes: for this reason, unless that is done here. */
  beginCloseFromAbove(reason: Failure | undefined): void {
    if (this.state === 'closed') return
    if (reason !== undefined) this.closeReason ??= errorFrom(reason)
    this.beginClose()
  }

  /** Ends it because the client has closed, and the engine reports nothing more. */
  handleClientClosed(): void {
    this.beginClose()
    this.#finish(undefined, 0)
  }

  /** Ends it for this reason: the engine has closed what it had, and reports nothing more. */
  finishHere(reason: Failure | undefined): void {
    this.#owner.handleEngineClosed(this.beginClose(reason), (left = 0) => {
      this.#finish(reason && errorFrom(withUndelivered(reason, left)), left)
    })
  }

  /** Why it was disconnected last, if that was because of the other side. */
  get peerLoss(): Failure | undefined {
    return this.#peerLoss
  }

  /** Reads an event *socket unserved*. */
  handleUnserved(event: EventReader): void {
    const code = event.optCode()
    const message = event.str()
    this.#unserved = code === null ? undefined : new Failure(code, message)
  }

  /** Reads an event *socket state* or *listener state*. */
  handleState(event: EventReader): void {
    const state = STATES[event.u8()] as State
    const code = event.optCode()
    const message = event.str()
    const undelivered = event.u32()
    if (state === 'closed') {
      const isLeaving = event.more && event.u8() === 1
      const missing = event.more ? event.u32() : 0
      const reason = (left: number): Failure | undefined =>
        code === null
          ? undefined
          : new Failure(code, message, this.#peerLoss, { undelivered: left, missing, draining: isLeaving })
      this.isClosedBelow = this.state !== 'closed'
      const wasOpen = this.beginClose(reason(undelivered))
      // Also after a close here, if the engine had closed it before it heard of that.
      this.#owner.handleEngineClosed(wasOpen || code !== null, (left = undelivered) => {
        const failure = reason(left)
        this.#finish(failure === undefined ? undefined : errorFrom(failure), left)
      })
    } else if (this.state !== 'closed') {
      this.enter(state, code === null ? undefined : new Failure(code, message))
    }
  }

  /** Emits to handlers that may throw. Returns whether there were any, including those that threw. */
  announce(name: string, ...args: unknown[]): boolean {
    try {
      return this.#owner.emit(name, ...args)
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

  #finish(reason: FabricError | undefined, undelivered: number): void {
    if (this.#isGone) return
    this.#isGone = true
    forget(this.#owner.engineHandle)
    this.#context.children.delete(this.#owner)
    const told = this.closeReason ?? reason
    // One of this side's, or what the other side has said: how much is left is known only now.
    if (told !== undefined && told.undelivered === undefined) Object.assign(told, { undelivered })
    this.#owner.handleGone(told, undelivered)
    this.processRef.set(false)
    this.#closed?.settle()
    this.announce('closed', told, undelivered)
  }
}
