// Subscriptions: the engine has one for each pattern of a client, which all of the application's to that
// pattern share.
import { EventEmitter } from 'node:events'
import type { SubscriptionOptions } from '../../index'
import { AsyncQueue } from '../async/async-queue'
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import { DELIVERED, DELIVERED_MANY } from '../engine/kinds'
import { native } from '../engine/native'
import { ProcessRef } from '../engine/process-ref'
import { FabricError } from '../values/errors'
import { closedFailure, errorFrom, Failure } from '../values/failure'
import { checkOptions } from '../values/option-checks'
import { clearTimer, nextTick, nextTurn, setTimer } from '../values/platform'
import { checkSubscribeSubject } from '../values/subjects'
import { clearInterruption, isInterrupted, throwAsync } from '../values/throw-async'
import type { ClientContext } from './client-context'
import { Message, type Responder } from './message'
import { SUBSCRIPTION_SHAPE } from './options'
import type { Permissions } from './permissions'
import { readMessage, Ticket } from './ticket'

/** The subscriptions of one client. */
export class Subscriptions {
  /** Read-only views: pattern to shared subscription, pattern to queue group. */
  readonly subs: Record<string, Shared> = Object.create(null) as Record<string, Shared>
  readonly queueGroups: Record<string, string> = Object.create(null) as Record<string, string>
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #permissions: Permissions
  /** Subscriptions that the broker has not confirmed yet. */
  readonly #pending = new Set<Shared>()
  readonly #confirmed = new Waiters()

  constructor(context: ClientContext, responder: Responder, permissions: Permissions) {
    this.#context = context
    this.#responder = responder
    this.#permissions = permissions
  }

  /** The number of patterns. */
  get size(): number {
    return Object.keys(this.subs).length
  }

  open(pattern: string, options: SubscriptionOptions = {}): Subscription {
    this.#context.checkAsk()
    checkSubscribeSubject(pattern)
    checkOptions('subscribe', options, SUBSCRIPTION_SHAPE)
    const refusal = this.#permissions.refused('sub', pattern)
    if (refusal !== undefined) throw errorFrom(refusal)
    const shared = this.subs[pattern] ?? this.#create(pattern, options.queue)
    if (options.queue !== undefined && options.queue !== shared.queue) {
      throw new FabricError(
        `a client can have only one queue group on a pattern: '${pattern}' has '${shared.queue}', not '${options.queue}'`,
        'ERR_QUEUE_GROUP',
      )
    }
    const subscription = new Subscription(shared, pattern, options)
    shared.members.push(subscription)
    return subscription
  }

  /** Waits until the broker has answered about all of them. */
  async untilConfirmed(timeout?: number): Promise<void> {
    if (this.#pending.size === 0) return
    const failure = await this.#confirmed.wait('a subscription does not stand', timeout)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Accepts no more messages, and waits at most so many ms for those that have arrived to be read. */
  async drain(timeout: number): Promise<void> {
    const members = Object.values(this.subs).flatMap(shared => [...shared.members])
    const read = Promise.all(members.map(member => member.drain()))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise(resolve => {
      timer = setTimer(resolve, timeout)
    })
    await Promise.race([read, late])
    clearTimer(timer)
  }

  /** Ends all of them, because the client has closed by itself: loops throw `failure`. */
  fail(failure: Failure): void {
    for (const shared of Object.values(this.subs)) shared.end(failure)
  }

  /** Notes that the client connects again. */
  handleConnect(): void {
    for (const shared of Object.values(this.subs)) for (const member of shared.members) member.hold()
  }

  /** Ends all of them at once, when the client closes. */
  close(): void {
    for (const shared of Object.values(this.subs)) for (const member of [...shared.members]) member.close()
  }

  #create(pattern: string, queue: string = native.randomId()): Shared {
    const shared = new Shared(this.#context, this.#responder, pattern, queue, () => {
      delete this.subs[pattern]
      this.#context.stats.subs -= 1
      delete this.queueGroups[pattern]
      this.#settle(shared)
    })
    this.#pending.add(shared)
    void shared.confirmed.then(() => this.#settle(shared))
    this.subs[pattern] = shared
    this.#context.stats.subs += 1
    this.queueGroups[pattern] = queue
    return shared
  }

  #settle(shared: Shared): void {
    if (this.#pending.delete(shared) && this.#pending.size === 0) this.#confirmed.settle()
  }
}

/** One subscription of the engine. */
class Shared implements Target {
  readonly client: number
  readonly queue: string
  readonly members: Subscription[] = []
  /** Settles when the broker has answered. */
  readonly confirmed: Promise<Failure | undefined>
  readonly #handle: number = commands.nextHandle()
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #gone: () => void
  readonly #pattern: string
  /** The subject of the messages that are being delivered. */
  #subject = ''

  constructor(
    context: ClientContext,
    responder: Responder,
    pattern: string,
    queue: string,
    gone: () => void,
  ) {
    this.client = context.handle
    this.queue = queue
    this.#context = context
    this.#responder = responder
    this.#gone = gone
    this.#pattern = pattern
    route(this.#handle, this)
    const ticket = new Ticket(context, responder)
    commands.subscribe(context.handle, this.#handle, ticket.handle, pattern, queue)
    this.confirmed = this.#confirm(ticket)
  }

  get refCount(): number {
    return this.members.length
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === DELIVERED) this.#deliver(readMessage(this.#context, this.#responder, event, true))
    else if (kind === DELIVERED_MANY) {
      if (!event.isResumed) this.#subject = event.str()
      while (event.more && this.members.length > 0 && !isInterrupted()) {
        const incoming = event.part()
        this.#context.countReceived(incoming.end - incoming.start)
        this.#deliver(new Message(this.#responder, this.#subject, event.partHeaders, null, incoming))
      }
    }
  }

  #deliver(message: Message): void {
    // A copy: a handler may close subscriptions, which removes them from the list.
    const members = this.members.length === 1 ? this.members : [...this.members]
    for (const member of members) if (!member.ended) member.handleMessage(message)
  }

  handleClientClosed(): void {
    this.end(undefined)
  }

  handleStranded(failure: Failure, isFinal: boolean): void {
    if (isFinal) for (const member of [...this.members]) member.strand(failure)
  }

  /** Why there will be no connection before `connect()`. */
  get stranded(): Failure | undefined {
    return this.#context.stranded
  }

  /** Returns what `confirmed` does, or a timeout: the time runs while the client is connected. */
  async confirmedWithin(timeout: number): Promise<Failure | undefined> {
    const connected = this.#context.whenConnected()
    const first = await Promise.race([this.confirmed.then(failure => ({ failure })), connected])
    if (first !== undefined) return first.failure
    const waiters = new Waiters()
    void this.confirmed.then(failure => waiters.settle(failure))
    return await waiters.wait(`subscribe '${this.#pattern}' was not confirmed`, timeout)
  }

  leave(member: Subscription): void {
    const at = this.members.indexOf(member)
    if (at < 0) return
    this.members.splice(at, 1)
    if (this.members.length > 0) return
    if (!this.#context.closed) commands.unsubscribe(this.client, this.#handle)
    forget(this.#handle)
    this.#gone()
  }

  end(failure: Failure | undefined): void {
    for (const member of [...this.members]) member.finish(failure)
  }

  async #confirm(ticket: Ticket): Promise<Failure | undefined> {
    const outcome = await ticket.outcome
    if (!(outcome instanceof Failure)) return undefined
    this.end(outcome)
    return outcome
  }
}

/** Messages to one pattern, as an async iterator or as `message` events of `emitter`. */
export class Subscription implements AsyncIterableIterator<Message, undefined> {
  readonly subject: string
  /** Number of messages that were dropped while more than `maxQueueBytes` waited to be read. */
  dropped = 0
  readonly #shared: Shared
  readonly #unread: AsyncQueue<Message> = new AsyncQueue()
  readonly #ref = new ProcessRef()
  readonly #maxQueueBytes: number
  #left: number
  #queuedBytes = 0
  #emitter: EventEmitter | undefined
  #iterated = false
  /** Requests that were passed to a loop and not replied to, oldest first. */
  #unanswered: Message[] = []
  /** Messages that loops are still working on. */
  #handedOut = 0
  #drained: (() => void) | undefined
  /** The drain, which all callers wait for. */
  #draining: Promise<void> | undefined

  constructor(shared: Shared, subject: string, options: SubscriptionOptions) {
    this.#shared = shared
    this.subject = subject
    this.#maxQueueBytes = options.maxQueueBytes ?? SUBSCRIPTION_SHAPE.maxQueueBytes.default
    this.#left = options.maxMessages ?? Number.POSITIVE_INFINITY
    this.#ref.set(true)
  }

  /** Emits `message`. While it has listeners and nobody iterates, nothing is queued. */
  get emitter(): EventEmitter {
    if (this.#emitter === undefined) {
      this.#emitter = new EventEmitter()
      // The first listener gets what arrived before, but not inside its registration.
      this.#emitter.on('newListener', name => {
        if (name === 'message' && this.#unread.length > 0) nextTick(this.#release)
      })
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
    const message = this.#unread.take()
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

  #handleRead(message: Message): void {
    this.#queuedBytes -= message.length
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

  /** Ends it; unread messages are dropped. */
  close(): void {
    this.finish(undefined)
    this.#unanswered = []
    while (this.#unread.take() !== undefined) this.#queuedBytes = 0
    this.#drained?.()
  }

  stop(): void {
    this.close()
  }

  end(): void {
    this.close()
  }

  /**
   * Accepts no more messages, and resolves when those that have arrived are read, and the last request is
   * replied to or passed.
   */
  async drain(): Promise<void> {
    this.finish(undefined)
    if (this.#isReadOut) return
    for (const request of this.#unanswered) request.onAnswer(this.#checkDrained)
    this.#draining ??= new Promise<void>(resolve => {
      this.#drained = resolve
    })
    await this.#draining
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

  /** Resolves when messages flow; ends it if that takes more than so many ms of a connection. */
  async confirmed(timeout?: number): Promise<this> {
    const { confirmed } = this.#shared
    const failure = await (timeout === undefined ? confirmed : this.#shared.confirmedWithin(timeout))
    if (failure?.code === 408) this.close()
    if (failure !== undefined) throw errorFrom(failure)
    if (this.ended) throw errorFrom(closedFailure(`the subscription to '${this.subject}'`))
    return this
  }

  /** @internal */
  handleMessage(message: Message): void {
    this.#left -= 1
    const isHeard = this.#emitter !== undefined && this.#emitter.listenerCount('message') > 0
    // Behind what the first listener has not received yet.
    const isHeld = !this.#iterated && this.#unread.length > 0
    if (this.#iterated || !isHeard || isHeld) this.#enqueue(message)
    if (this.#left <= 0) this.finish(undefined)
    if (isHeard && !isHeld) this.#emit(message)
  }

  #release = (): void => {
    clearInterruption()
    while (!this.#iterated && this.#emitter !== undefined && this.#emitter.listenerCount('message') > 0) {
      const message = this.#unread.take()
      if (message === undefined) break
      this.#queuedBytes -= message.length
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
      this.#emitter?.emit('message', message)
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
  }

  #enqueue(message: Message): void {
    if (this.#queuedBytes + message.length > this.#maxQueueBytes && this.#unread.length > 0) {
      this.dropped += 1
      return
    }
    this.#queuedBytes += message.length
    this.#unread.push(message)
  }
}
