// One subscription, as the application has it.
import type { SubscriptionOptions, WaitOptions } from '../../index'
import { AsyncQueue } from '../async/async-queue'
import { checkWait, settledWithin } from '../async/bounds'
import { Emitter } from '../async/emitter'
import { InFlight } from '../async/in-flight'
import { readableOf } from '../async/web-streams'
import { ProcessRef } from '../engine/process-ref'
import type { FabricError } from '../values/errors'
import { closedFailure, errorFrom, Failure } from '../values/failure'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted, throwAsync } from '../values/throw-async'
import type { Message } from './message'
import { SUBSCRIPTION_DRAIN_SHAPE, SUBSCRIPTION_SHAPE } from './options'
import { isHandlingWatched } from './watching'

/** What the subscriptions to one pattern share. */
export interface SharedSubscription {
  readonly queue: string
  /** Settles when the broker has answered. */
  readonly confirmed: Promise<Failure | undefined>
  /** The same, or why that was not waited for. */
  confirmedWithin(bounds: WaitOptions, where: string): Promise<Failure | undefined>
  /** Why there is no connection, as far as that is known. */
  readonly obstacle: Failure | undefined
  /** Why there will be no connection before `connect()`. */
  readonly stranded: Failure | undefined
  /** Calls a handler, for those who watch it. */
  watch<T>(message: Message, handle: () => T, method?: string): T
  /** Counts messages that nobody will read. */
  countDropped(subscription: Subscription, messages: number): void
  /** Counts a message that was dropped, since its `ttl` was over. */
  countStale(): void
  /** Notes that the bound of a member has changed. */
  handleBound(): void
  /** Removes a member. */
  leave(member: Subscription): void
  /** Resolves when everything that the broker has for a member is here, unless another one stays and takes it. */
  drain(member: Subscription): Promise<void>
}

interface SubscriptionEvents {
  // biome-ignore lint/suspicious/noExplicitAny: a message, of whatever type the program says
  message: [message: any]
}

/** Messages to one pattern, as an async iterator or as `message` events of `emitter`. */
export class Subscription implements AsyncIterableIterator<Message, undefined> {
  readonly subject: string
  /** Number of messages that were dropped: more than `maxQueueBytes` waited to be read, or this thread lagged. */
  dropped = 0
  readonly #shared: SharedSubscription
  readonly #unread: AsyncQueue<Message> = new AsyncQueue()
  readonly #ref = new ProcessRef()
  readonly #maxQueueBytes: number
  #left: number
  #queuedBytes = 0
  #emitter: Emitter<SubscriptionEvents> | undefined
  #iterated = false
  /** Requests that were passed to a loop and not replied to, oldest first. */
  #unanswered: Message[] = []
  /** Messages that loops are still working on. */
  #handedOut = 0
  #drained: (() => void) | undefined
  /** The drain, which all callers wait for. */
  #draining: Promise<void> | undefined
  /** Why a drain was given up. */
  #given: Failure | undefined
  /** Whether its messages are calls of a service, which are watched by themselves. @internal */
  isServing = false
  /** Methods of a service that are running. @internal */
  readonly serving: InFlight = new InFlight()
  /** Bytes that may wait for this thread; 0: it slows down the connection instead. @internal */
  unreadBound = 0
  /** Called when it ends, with the reason if there is one. @internal */
  onEnd: ((reason: FabricError | undefined) => void) | undefined

  constructor(shared: SharedSubscription, subject: string, options: SubscriptionOptions) {
    this.#shared = shared
    this.subject = subject
    this.#maxQueueBytes = options.maxQueueBytes ?? SUBSCRIPTION_SHAPE.maxQueueBytes.default
    this.#left = options.maxMessages ?? Number.POSITIVE_INFINITY
    this.#ref.set(true)
  }

  /** Emits `message`. While it has listeners and nobody iterates, nothing is queued. */
  get emitter(): Emitter<SubscriptionEvents> {
    if (this.#emitter === undefined) {
      const emitter = new Emitter<SubscriptionEvents>()
      // The first listener gets what arrived before, but not inside its registration.
      emitter.on('newListener', name => {
        if (name === 'message' && this.#unread.length > 0) nextTick(this.#release)
      })
      this.#emitter = emitter
    }
    return this.#emitter
  }

  get ended(): boolean {
    return this.#unread.ended
  }

  get queue(): string {
    return this.#shared.queue
  }

  /** Returns a queued message with a single promise. */
  next(): Promise<IteratorResult<Message, undefined>> {
    this.#iterated = true
    this.#onNextPull()
    const message = this.#takeFresh()
    if (message === undefined) return this.#nextToCome()
    this.#handleRead(message)
    return Promise.resolve({ value: message, done: false })
  }

  async #nextToCome(): Promise<IteratorResult<Message, undefined>> {
    this.#checkDrained()
    if (!this.ended && this.#shared.stranded !== undefined) throw errorFrom(this.#shared.stranded)
    const result = await this.#unread.next()
    if (!result.done) this.#handleRead(result.value)
    return result
  }

  /** Takes what is next, without what nobody wants any more. */
  #takeFresh(): Message | undefined {
    let message = this.#unread.take()
    while (message?.isStale) {
      this.#queuedBytes -= message.cost
      this.#shared.countStale()
      message = this.#unread.take()
    }
    return message
  }

  #handleRead(message: Message): void {
    this.#queuedBytes -= message.cost
    this.#handedOut += 1
    if (message.isRequest()) this.#unanswered.push(message)
    if (this.#drained !== undefined) message.onAnswer(this.#checkDrained)
    this.#checkDrained()
  }

  /**
   * Notes that a loop asks for more. It may have passed a request without a reply; which one follows from how
   * many are out.
   */
  #onNextPull(): void {
    if (this.#handedOut > 0) this.#handedOut -= 1
    if (this.#unanswered.length === 0) return
    this.#unanswered = this.#unanswered.filter(request => request.awaitsAnswer)
    if (this.#unanswered.length > this.#handedOut) this.#unanswered.shift()
  }

  get #isReadOut(): boolean {
    return this.#unread.length === 0 && !this.#unanswered.some(request => request.awaitsAnswer)
  }

  #checkDrained = (): void => {
    if (this.#isReadOut) this.#drained?.()
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    this.close()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    this.#iterated = true
    return this
  }

  /** The messages as a stream of the platform; to cancel it closes the subscription. */
  toWeb(): ReadableStream<Message> {
    return readableOf(
      this[Symbol.asyncIterator](),
      message => message,
      () => this.close(),
    )
  }

  /** Ends it; unread messages are dropped. */
  close(): void {
    this.finish(undefined)
    this.#unanswered = []
    while (this.#unread.take() !== undefined) this.#queuedBytes = 0
    this.#drained?.()
    this.serving.forget()
  }

  stop(): void {
    this.close()
  }

  end(): void {
    this.close()
  }

  /**
   * Leaves its group, and resolves when all that the broker has given it is read, and the last request is replied to
   * or passed.
   */
  async drain(options: { deadline?: number; signal?: AbortSignal } = {}): Promise<void> {
    checkWait('drain', options, SUBSCRIPTION_DRAIN_SHAPE)
    this.#draining ??= this.#drain()
    const { deadline, signal } = options
    const what = `the drain of '${this.subject}' goes on`
    const why = (): Failure | undefined => this.#shared.obstacle
    const failure = await settledWithin(this.#draining, { timeout: deadline, signal }, what, why)
    if (failure?.code === 408) this.#giveUp(deadline as number)
    else if (failure !== undefined) throw errorFrom(failure)
    // The shortest of its deadlines holds for all who wait.
    if (this.#given !== undefined) throw errorFrom(this.#given)
  }

  async #drain(): Promise<void> {
    if (!this.ended) {
      await this.#shared.drain(this)
      this.finish(undefined)
    }
    if (!this.#isReadOut) {
      await new Promise<void>(resolve => {
        this.#drained = resolve
        for (const request of this.#unanswered) request.onAnswer(this.#checkDrained)
      })
    }
    await this.serving.whenNone()
  }

  /** Drops what its drain was too slow for. */
  #giveUp(deadline: number): void {
    if (this.#given !== undefined) return
    const open = this.#unanswered.filter(request => request.awaitsAnswer).length
    const left = this.#unread.length + open + this.serving.count
    this.dropped += this.#unread.length
    this.#shared.countDropped(this, this.#unread.length)
    const text = `timeout: '${this.subject}' has not handled ${left} messages after ${deadline} ms`
    this.#given = new Failure(408, text, undefined, { left })
    this.close()
  }

  ref(): this {
    this.#ref.ref()
    return this
  }

  unref(): this {
    this.#ref.unref()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  /** Resolves when messages flow; ends it if that takes longer than the bounds say. */
  async confirmed({ timeout, signal }: WaitOptions = {}, where = 'subscribe'): Promise<this> {
    const failure = await this.#shared.confirmedWithin({ timeout, signal }, where)
    if (failure?.code === 408 || failure?.code === 'ABORT_ERR') this.close()
    if (failure !== undefined) throw errorFrom(failure)
    if (this.ended) throw errorFrom(closedFailure(`the subscription to '${this.subject}'`))
    return this
  }

  /** Ends it, for its loops to throw, if messages do not flow within the bounds. @internal */
  boundBy({ timeout, signal }: WaitOptions = {}, where = 'subscribe'): this {
    if (timeout !== undefined || signal !== undefined) {
      void this.#shared.confirmedWithin({ timeout, signal }, where).then(failure => {
        if (failure?.code === 408 || failure?.code === 'ABORT_ERR') this.finish(failure)
      })
    }
    return this
  }

  /** Drops the newest, as UDP does, while more than so many bytes wait for this thread. @internal */
  boundUnread(bytes: number): void {
    this.unreadBound = bytes
    if (!this.ended) this.#shared.handleBound()
  }

  /** @internal */
  watch<T>(message: Message, handle: () => T, method?: string): T {
    return this.#shared.watch(message, handle, method)
  }

  /** @internal */
  handleMessage(message: Message): void {
    if (message.isStale) {
      this.#shared.countStale()
      return
    }
    this.#left -= 1
    const isHeard = this.#emitter !== undefined && this.#emitter.listenerCount('message') > 0
    // Behind what the first listener has not received yet.
    const isHeld = !this.#iterated && this.#unread.length > 0
    if (this.#iterated || !isHeard || isHeld) this.#enqueue(message)
    if (this.#left <= 0) this.finish(undefined)
    if (isHeard && !isHeld) this.#emit(message)
  }

  /** The engine has left messages out, since this thread lagged. @internal */
  handleLeftOut(messages: number): void {
    this.dropped += messages
    this.#shared.countDropped(this, messages)
  }

  #release = (): void => {
    clearInterruption()
    while (!this.#iterated && this.#emitter !== undefined && this.#emitter.listenerCount('message') > 0) {
      const message = this.#takeFresh()
      if (message === undefined) break
      this.#queuedBytes -= message.cost
      this.#emit(message)
      if (isInterrupted()) {
        nextTurn(this.#release)
        return
      }
    }
    this.#checkDrained()
  }

  #emit(message: Message): void {
    try {
      if (isHandlingWatched() && !this.isServing)
        this.#shared.watch(message, () => this.#emitter?.emit('message', message))
      else this.#emitter?.emit('message', message)
    } catch (error) {
      throwAsync(error)
    }
  }

  /** Fails loops that wait, and lets the process go: nothing comes before the client connects again. @internal */
  strand(failure: Failure): void {
    this.#ref.set(false)
    this.#unread.failPulls(failure)
  }

  /** Keeps the process alive again. @internal */
  hold(): void {
    if (!this.ended) this.#ref.set(true)
  }

  /** @internal */
  finish(failure: Failure | undefined): void {
    if (this.#unread.ended) return
    this.#unread.end(failure)
    this.#ref.set(false)
    this.#shared.leave(this)
    this.onEnd?.(failure && errorFrom(failure))
  }

  #enqueue(message: Message): void {
    if (this.#queuedBytes + message.cost > this.#maxQueueBytes && this.#unread.length > 0) {
      this.dropped += 1
      this.#shared.countDropped(this, 1)
      return
    }
    this.#queuedBytes += message.cost
    this.#unread.push(message)
  }
}
