// The sending half of a socket: what is written, what of it is acknowledged, and what is left when the socket
// closes.
import type { Headers, SendOptions, SocketStats, State, WaitOptions, WriteOptions } from '../../index'
import { checkWait } from '../async/bounds'
import { Deliveries } from '../async/deliveries'
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import type { Outgoing } from '../engine/outgoing'
import type { ClientContext } from '../messaging/client-context'
import { prepare } from '../messaging/prepare'
import { isSendWatched, isWriteWatched, watchDelivery, watchSending } from '../messaging/watching'
import type { FabricError } from '../values/errors'
import { abortFailure, closedFailure, errorFrom, Failure } from '../values/failure'
import { socketHeadersText } from '../values/headers'
import type { Lifecycle } from './lifecycle'
import { sendOptions, writeOptions } from './options'
import type { SocketSettings } from './settings'
import { type Rewrite, Undelivered, UndeliveredMessage } from './undelivered'
import { SendWindow } from './window'

/** The socket that sends. */
interface OutboxOwner {
  readonly id: string
  readonly engineHandle: number
  /** What spans call it. */
  readonly topic: string
  /** Whether nothing may be written any more. */
  readonly ended: boolean
  /** Returns its name in error texts. */
  describe(): string
}

/** Of so many messages of a socket one is timed: a look at the clock costs more than all that is counted. */
const TIMED = 64

/** Why data is stale in an event *socket stale*: it never left, or the other side did not hand it out. */
const NEVER_LEFT = 0
const DROPPED_THERE = 2

export class Outbox {
  readonly #owner: OutboxOwner
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #settings: SocketSettings
  readonly #window: SendWindow
  // A program may have thousands of sockets, most of them idle: what few need is created on demand.
  #drained: Waiters | undefined
  #writable: Waiters | undefined
  #deliveries: Deliveries | undefined
  #undelivered: Undelivered | undefined
  /** Called when the engine has reported everything about a socket that it closed. */
  #collected: (() => void) | undefined
  /** The number of messages written when the socket was last ready. */
  #writtenReady = 0
  #volatileDropped = 0
  /** Whether a server has the present socket of the engine. */
  #isAttached = false
  /** What is written while there is no socket of the engine. */
  #held: UndeliveredMessage[] | undefined
  /** To how many servers before the first messages of the present socket of the engine were written. */
  #attempts: number[] | undefined
  /** What was written, and was given up at a renewal. */
  #forgone = 0
  #forgoneBytes = 0
  /** What was not sent, or not sent again, since its time was over; and how many of these had never left. */
  #expired = 0
  #expiredBytes = 0
  #removed = 0
  /** The number of the message that is timed, and when it was written; 0: none is. */
  #timed = 0
  #timedSince = 0

  constructor(owner: OutboxOwner, lifecycle: Lifecycle, context: ClientContext, settings: SocketSettings) {
    this.#owner = owner
    this.#lifecycle = lifecycle
    this.#context = context
    this.#settings = settings
    this.#window = new SendWindow(settings.maxQueueSize, settings.maxQueueBytes)
    this.#isAttached = lifecycle.wasReady
  }

  /** The number of unacknowledged messages. */
  get pending(): number {
    return this.#window.messages
  }

  get written(): number {
    return this.#window.written
  }

  get acknowledged(): number {
    return this.#window.acknowledged
  }

  /** The number of messages that wait for the socket to become ready. */
  get queued(): number {
    if (this.#lifecycle.state === 'ready') return 0
    return this.#window.written - Math.max(this.#window.acknowledged, this.#writtenReady)
  }

  get stats(): Pick<
    SocketStats,
    'sent' | 'sentBytes' | 'acknowledged' | 'volatileDropped' | 'expired' | 'pending' | 'pendingBytes'
  > {
    return {
      sent: this.#window.written + this.#forgone + this.#removed,
      sentBytes: this.#window.writtenBytes + this.#forgoneBytes + this.#expiredBytes,
      expired: this.#expired,
      acknowledged: this.#window.acknowledged,
      volatileDropped: this.#volatileDropped,
      pending: this.#window.messages,
      pendingBytes: this.#window.bytes,
    }
  }

  /** Writes. Returns whether more than half of the window is free. */
  write(data: unknown, second: Headers | WriteOptions | null | undefined): boolean {
    return this.#write(data, writeOptions(second))
  }

  #write(data: unknown, options: WriteOptions | undefined): boolean {
    this.#checkWritable()
    const isVolatile = options?.volatile === true
    if (isVolatile && this.#lifecycle.state !== 'ready') return this.#drop()
    // Checked before the expensive encoding, for writers that retry often.
    const full = isVolatile ? undefined : this.#window.refusal(0)
    if (full !== undefined) throw full
    const sent = isWriteWatched()
      ? watchSending(this.#context, 'send', this.#owner.topic, data, options, {
          socket: this.#owner,
          seq: this.#window.written + 1,
        })
      : undefined
    const most = this.#settings.maxMessageBytes(this.#context)
    const message = prepare(data, sent?.options ?? options, most, socketHeadersText)
    sent?.end()
    const { size } = message
    // Encoding may have run user code that wrote to this socket or closed it.
    this.#checkWritable()
    const refusal = this.#window.refusal(size)
    if (refusal !== undefined) {
      if (isVolatile) return this.#drop()
      throw refusal
    }
    if (this.#held !== undefined) {
      const until = message.ttl === undefined ? undefined : performance.now() + message.ttl
      this.#held.push(new UndeliveredMessage(this.#window.written + 1, 0, message.copy(), until))
      return this.#window.put(size, false)
    }
    this.#pass(message, isVolatile)
    this.#context.countSent(message.length)
    const isWritable = this.#window.put(size, isVolatile)
    if (this.#window.written % TIMED === 1) this.#time()
    return isWritable
  }

  /** Begins to time the message that was written last, unless it waits for the socket to become ready. */
  #time(): void {
    if (this.#timed !== 0 || this.#lifecycle.state !== 'ready') return
    this.#timed = this.#window.written
    this.#timedSince = performance.now()
  }

  #pass(message: Outgoing, isVolatile: boolean): void {
    const [client, handle] = [this.#context.handle, this.#owner.engineHandle]
    if (message.ttl === undefined) commands.socketWrite(client, handle, message, isVolatile)
    else commands.socketWriteTimed(client, [handle], message, isVolatile)
  }

  /** Writes a message of the socket's own, with these headers: JSON, which may have reserved names. */
  writeOwn(headers: string): void {
    const message = prepare(null, { headers: {} }, Number.POSITIVE_INFINITY, () => headers)
    const { size } = message
    commands.socketWrite(this.#context.handle, this.#owner.engineHandle, message, false)
    this.#context.countSent(message.length)
    this.#window.put(size, false)
  }

  /** The same with data, unless the window is full. Returns whether it was written. */
  tryWriteOwn(headers: string, data: unknown): boolean {
    if (this.#lifecycle.state === 'closed' || this.#owner.ended) return false
    const message = prepare(data, { headers: {} }, Number.POSITIVE_INFINITY, () => headers)
    const { size } = message
    if (this.#window.refusal(size) !== undefined) return false
    commands.socketWrite(this.#context.handle, this.#owner.engineHandle, message, false)
    this.#context.countSent(message.length)
    this.#window.put(size, false)
    return true
  }

  /** Holds what is written from now on, until `rewrite`: there is no socket of the engine. */
  hold(): void {
    this.#held = []
  }

  /** Writes, and resolves when the other side has handled the message. */
  async send(data: unknown, given: SendOptions | undefined): Promise<void> {
    const options = sendOptions(given)
    if (options?.signal?.aborted) throw errorFrom(abortFailure(options.signal))
    const trace = isSendWatched() ? watchDelivery(this.#context, this.#owner.topic, this.#owner) : undefined
    let failure: Failure | undefined
    try {
      this.#write(data, options)
      failure = await this.#whenHandled(true, options)
    } catch (error) {
      trace?.(error)
      throw error
    }
    const error = failure && errorFrom(failure)
    trace?.(error)
    if (error !== undefined) throw error
  }

  /** Resolves when the other side has handled what was written so far; with why not, if it will not. */
  whenHandled(): Promise<Failure | undefined> {
    return this.#whenHandled(false)
  }

  async #whenHandled(isStrandable: boolean, bounds?: WaitOptions): Promise<Failure | undefined> {
    const { written, messages } = this.#window
    if (messages === 0) return undefined
    if (this.#lifecycle.state === 'closed')
      return this.#lifecycle.reason ?? closedFailure(this.#owner.describe())
    const deliveries = (this.#deliveries ??= new Deliveries(() => this.#owner.describe()))
    return await deliveries.wait(written, isStrandable, bounds, this.#lifecycle.why)
  }

  /** Returns why a message of this size cannot be written now, if it cannot. */
  refusal(size: number): FabricError | undefined {
    return this.#window.refusal(size)
  }

  /** Counts a message of a broadcast that was passed to the engine. Returns what `write` does. */
  countWrite(size: number, isVolatile: boolean): boolean {
    return this.#window.put(size, isVolatile)
  }

  /** Counts a volatile message of a broadcast that was not written. */
  countDropped(): void {
    this.#volatileDropped += 1
  }

  /** Resolves when everything that was written is acknowledged. */
  async drain(options?: WaitOptions, where = 'drain'): Promise<void> {
    checkWait(where, options)
    if (this.#window.messages === 0) return
    if (this.#lifecycle.state === 'closed') throw this.#lifecycle.endError()
    const what = `${this.#owner.describe()} has not drained`
    const failure = await (this.#drained ??= new Waiters()).wait(what, options, this.#lifecycle.why)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Resolves when more than half of the window is free. */
  async waitUntilWritable(options?: WaitOptions): Promise<void> {
    checkWait('waitUntilWritable', options)
    if (this.#lifecycle.state === 'closed') throw this.#lifecycle.endError()
    while (!this.#window.isWritable) {
      const what = `${this.#owner.describe()} is not writable`
      const failure = await (this.#writable ??= new Waiters()).wait(what, options, this.#lifecycle.why)
      if (failure !== undefined) throw errorFrom(failure)
    }
  }

  /**
   * Returns the messages that the other side is not known to have handled, oldest first. None before
   * `closed`.
   */
  undelivered(): UndeliveredMessage[] {
    return this.#lifecycle.state === 'closed' ? [...this.left, ...this.held] : []
  }

  /** What the engine has reported as undelivered so far, oldest first. */
  get left(): UndeliveredMessage[] {
    return this.#undelivered?.list() ?? []
  }

  /** What was written since `hold`. */
  get held(): readonly UndeliveredMessage[] {
    return this.#held ?? []
  }

  /**
   * Writes again, to a socket of the engine that has nothing, what the one before it has left, or what is given in its
   * place. Calls `before` with the number that a message had, before it is written. What waits for a message that is
   * not written again fails with `reason`.
   */
  rewrite(messages: readonly Rewrite[], reason: Failure, before: (seq: number) => void): void {
    const { written, writtenBytes } = this.#window
    const left = [...this.left, ...this.held]
    const attempts = new Map(left.map(message => [message.seq, message.attempts]))
    const numbers = new Map<number, number>()
    this.#undelivered = undefined
    this.#held = undefined
    this.#isAttached = false
    this.#attempts = []
    this.#window.restart()
    this.#timed = 0
    const start = this.#window.written
    for (const { message, seq } of messages) {
      if (seq !== undefined) before(seq)
      const outgoing = prepare(message, undefined, Number.POSITIVE_INFINITY, socketHeadersText)
      const { size } = outgoing
      this.#pass(outgoing, false)
      this.#context.countSent(outgoing.length)
      this.#window.put(size, false)
      this.#attempts.push(seq === undefined ? 0 : (attempts.get(seq) ?? 0))
      if (seq !== undefined) numbers.set(seq, this.#window.written)
    }
    this.#forgone += Math.max(0, written - this.#window.written)
    this.#forgoneBytes += Math.max(0, writtenBytes - this.#window.writtenBytes)
    const numberOf = (seq: number): number | undefined => {
      if (attempts.has(seq)) return numbers.get(seq)
      // A volatile one: with the last one before it.
      const before = left.filter(message => message.seq < seq && numbers.has(message.seq))
      const last = before[before.length - 1]
      return last === undefined ? start : numbers.get(last.seq)
    }
    this.#deliveries?.renumber(numberOf, reason)
    this.#settle(start)
  }

  /** Reads an event *undelivered*. */
  readUndelivered(event: EventReader): void {
    this.#undelivered ??= new Undelivered()
    const { stale } = this.#undelivered
    this.#undelivered.read(event, this.#window, number => {
      const before = this.#attempts?.[this.#window.placeOf(number) - 1] ?? 0
      return this.#isAttached ? before + 1 : before
    })
    this.#expired += this.#undelivered.stale - stale
  }

  /** Reads an event *socket stale*. */
  readStale(event: EventReader): void {
    const what = event.u8()
    const place = event.f64()
    const bytes = event.f64()
    const number = this.#window.numberOf(place)
    const isGone = what === NEVER_LEFT
    if (what !== DROPPED_THERE) {
      this.#expired += 1
      this.#expiredBytes += bytes
    }
    if (isGone) {
      this.#removed += 1
      this.#window.remove(number, bytes)
      if (number <= this.#timed) this.#timed = 0
      if (number <= this.#writtenReady) this.#writtenReady -= 1
      this.#attempts?.splice(place - 1, 1)
    } else this.#window.empty(bytes)
    const text = `timeout: the ttl of a message of ${this.#owner.describe()} was over before it was handled`
    this.#deliveries?.drop(number, new Failure(408, text), isGone)
    this.#settle(this.#window.acknowledged)
  }

  /** Takes the totals of what the other side has handled. */
  acknowledge(messages: number, bytes: number): void {
    if (!this.#window.acknowledge(messages, bytes)) return
    if (this.#timed !== 0 && this.#timed <= this.#window.acknowledged) {
      this.#context.counters.observeRoundtrip(performance.now() - this.#timedSince)
      this.#timed = 0
    }
    this.#settle(this.#window.acknowledged)
  }

  /** Notes that the state is about to change. */
  handleEnter(state: State): void {
    if (state === 'ready' || this.#lifecycle.state === 'ready') this.#writtenReady = this.#window.written
    if (state === 'ready') this.#isAttached = true
  }

  /**
   * Ends `send` and `drain`: the broker has refused the client. What was written stays. Once it was attached,
   * who waits for room goes on.
   */
  strand(failure: Failure): void {
    this.#deliveries?.strand(failure)
    this.#drained?.settle(failure)
    if (!this.#lifecycle.wasReady) this.#writable?.settle(failure)
  }

  /** Ends all waiting: nothing will be acknowledged any more. */
  end(reason: Failure): void {
    this.#deliveries?.fail(reason)
    this.#drained?.settle(reason)
    this.#writable?.settle(reason)
  }

  /**
   * Calls `finish` when everything has been reported that was written after the engine had closed the socket,
   * and before that was known here.
   */
  collect(wasOpen: boolean, finish: (undelivered: number) => void): void {
    const done = (): void => {
      this.#collected = undefined
      finish(this.#known)
    }
    if (!wasOpen || this.#known >= this.#window.messages) done()
    else {
      this.#collected = done
      commands.collect(this.#context.handle, this.#owner.engineHandle)
    }
  }

  /** Finishes a `collect`. Returns whether there was one. */
  finishCollect(): boolean {
    const collected = this.#collected
    collected?.()
    return collected !== undefined
  }

  /** How many messages are known to be undelivered. */
  get #known(): number {
    return (this.#undelivered?.length ?? 0) + this.held.length
  }

  /** Settles what waits for the messages up to this total, or for room. */
  #settle(handled: number): void {
    this.#deliveries?.settle(handled)
    if (this.#window.isWritable) this.#writable?.settle()
    if (this.#window.messages > 0) return
    this.#drained?.settle()
    this.#lifecycle.announce('drain')
  }

  #checkWritable(): void {
    if (!this.#owner.ended && !this.#context.closed) return
    throw errorFrom(new Failure('EPIPE', `closed: ${this.#owner.describe()}`, this.#lifecycle.reason))
  }

  #drop(): false {
    this.#volatileDropped += 1
    return false
  }
}
