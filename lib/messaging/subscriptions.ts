// The subscriptions of a client: the engine has one for each pattern, which all of the application's to that pattern
// share.
import type { SubscriptionOptions, WaitOptions } from '../../index'
import { settledWithin } from '../async/bounds'
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import { DELIVERED, DELIVERED_MANY, DELIVERED_TIMED, LEFT_OUT } from '../engine/kinds'
import { native } from '../engine/native'
import { CHANNELS } from '../telemetry/channels'
import { FabricError } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { checkOptions } from '../values/option-checks'
import { checkSubscribeSubject } from '../values/subjects'
import { isInterrupted, isTurnOver } from '../values/throw-async'
import type { ClientContext } from './client-context'
import { Message, type Responder } from './message'
import { SUBSCRIPTION_SHAPE } from './options'
import type { Permissions } from './permissions'
import { type SharedSubscription, Subscription } from './subscription'
import { readMessage, Ticket } from './ticket'
import { warnIfUnreachable } from './unreachable'
import { watchHandling } from './watching'

/** The subscriptions of one client. */
export class Subscriptions {
  /** Read-only views: pattern to shared subscription, pattern to queue group. */
  readonly subs: Record<string, Shared> = Object.create(null) as Record<string, Shared>
  readonly queueGroups: Record<string, string> = Object.create(null) as Record<string, string>
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #permissions: Permissions
  /** All that have not ended, those that drain included. */
  readonly #members = new Set<Subscription>()
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

  /** `where` is what the program has called. */
  open(pattern: string, options: SubscriptionOptions = {}, where = 'subscribe'): Subscription {
    this.#context.checkAsk()
    checkSubscribeSubject(pattern)
    warnIfUnreachable(pattern)
    checkOptions(where, options, SUBSCRIPTION_SHAPE)
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
    shared.handleBound()
    this.#members.add(subscription)
    if (CHANNELS.subscriptionOpen.hasSubscribers) {
      CHANNELS.subscriptionOpen.publish(this.#told(subscription))
    }
    return subscription
  }

  /** Waits until the broker has answered about all of them. */
  async untilConfirmed(bounds: WaitOptions): Promise<void> {
    if (this.#pending.size === 0) return
    const failure = await this.#confirmed.wait(
      'a subscription does not stand',
      bounds,
      () => this.#context.obstacle,
    )
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Drains all of them, for at most so many ms. */
  async drain(timeout: number): Promise<void> {
    const members = [...this.#members]
    const deadline = Math.max(1, timeout)
    await Promise.all(members.map(member => member.drain({ deadline }).catch(() => {})))
  }

  /** Ends all of them, because the client has closed by itself: loops throw `failure`. */
  fail(failure: Failure): void {
    for (const member of [...this.#members]) member.finish(failure)
  }

  /** Notes that the client connects again. */
  handleConnect(): void {
    for (const member of this.#members) member.hold()
  }

  /** Ends all of them at once, when the client closes. */
  close(): void {
    for (const member of [...this.#members]) member.close()
  }

  #create(pattern: string, named: string | undefined): Shared {
    const handleLeft = (member: Subscription): void => {
      this.#members.delete(member)
      if (CHANNELS.subscriptionClose.hasSubscribers) CHANNELS.subscriptionClose.publish(this.#told(member))
    }
    const handleGone = (): void => {
      this.#settle(shared)
      // Of one that drains there may be a successor.
      if (this.subs[pattern] !== shared) return
      delete this.subs[pattern]
      this.#context.stats.subs -= 1
      delete this.queueGroups[pattern]
    }
    const shared = new Shared(this.#context, this.#responder, pattern, named, handleLeft, handleGone)
    this.#pending.add(shared)
    void shared.confirmed.then(() => this.#settle(shared))
    this.subs[pattern] = shared
    this.#context.stats.subs += 1
    this.queueGroups[pattern] = shared.queue
    return shared
  }

  /** What channels tell of one. */
  #told(subscription: Subscription): object {
    const { subject: pattern, queue } = subscription
    return { client: this.#context.owner, subscription, pattern, queue }
  }

  #settle(shared: Shared): void {
    if (this.#pending.delete(shared) && this.#pending.size === 0) this.#confirmed.settle()
  }
}

/** One subscription of the engine. */
class Shared implements Target, SharedSubscription {
  readonly client: number
  readonly queue: string
  /** Whether the program has named the group. */
  readonly #isNamed: boolean
  readonly members: Subscription[] = []
  /** Settles when the broker has answered. */
  readonly confirmed: Promise<Failure | undefined>
  readonly #handle: number = commands.nextHandle()
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #handleLeft: (member: Subscription) => void
  readonly #handleGone: () => void
  readonly #pattern: string
  /** The subject of the messages that are being delivered. */
  #subject = ''
  /** The members that drain. */
  readonly #draining = new Set<Subscription>()
  #unreadBound = 0

  constructor(
    context: ClientContext,
    responder: Responder,
    pattern: string,
    named: string | undefined,
    handleLeft: (member: Subscription) => void,
    handleGone: () => void,
  ) {
    this.client = context.handle
    this.queue = named ?? native.randomId()
    this.#isNamed = named !== undefined
    this.#context = context
    this.#responder = responder
    this.#handleLeft = handleLeft
    this.#handleGone = handleGone
    this.#pattern = pattern
    route(this.#handle, this)
    const ticket = new Ticket(context, responder)
    commands.subscribe(context.handle, this.#handle, ticket.handle, pattern, named ?? null)
    this.confirmed = this.#confirm(ticket)
  }

  get refCount(): number {
    return this.members.length
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === DELIVERED) this.#deliver(readMessage(this.#context, this.#responder, event, true))
    else if (kind === DELIVERED_TIMED) {
      const until = performance.now() + event.f64()
      const message = readMessage(this.#context, this.#responder, event, true)
      message.until = until
      this.#deliver(message)
    } else if (kind === LEFT_OUT) {
      const messages = event.f64()
      for (const member of this.members) member.handleLeftOut(messages)
    } else if (kind === DELIVERED_MANY) {
      if (!event.isResumed) this.#subject = event.str()
      while (event.more && this.members.length > 0 && !isInterrupted() && !isTurnOver()) {
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

  /** Returns what `confirmed` does, or why that was not waited for. */
  async confirmedWithin(bounds: WaitOptions, where: string): Promise<Failure | undefined> {
    const what = `${where} '${this.#pattern}' was not confirmed`
    return await settledWithin(this.confirmed, bounds, what, () => this.#context.obstacle)
  }

  /** Why there is no connection, as far as that is known. */
  get obstacle(): Failure | undefined {
    return this.#context.obstacle
  }

  watch<T>(message: Message, handle: () => T, method?: string): T {
    const group = this.#isNamed ? this.queue : undefined
    const { subject, length } = message
    const where = { subject, template: this.#pattern, group, method, size: () => length }
    return watchHandling(this.#context, where, message.isRequest(), message.headers, { message }, handle)
  }

  countDropped(subscription: Subscription, messages: number): void {
    this.#context.counters.countDropped(messages)
    if (!CHANNELS.subscriptionDrop.hasSubscribers || messages === 0) return
    const { dropped } = subscription
    const client = this.#context.owner
    CHANNELS.subscriptionDrop.publish({
      client,
      subscription,
      pattern: this.#pattern,
      queue: this.queue,
      dropped,
    })
  }

  countStale(): void {
    this.#context.stats.expired += 1
  }

  /** The largest bound of its members; none, if one of them has none. */
  handleBound(): void {
    const bounds = this.members.map(({ unreadBound }) => unreadBound)
    const bound = bounds.includes(0) ? 0 : Math.max(0, ...bounds)
    if (bound === this.#unreadBound) return
    this.#unreadBound = bound
    commands.boundUnread(this.client, this.#handle, bound)
  }

  leave(member: Subscription): void {
    const at = this.members.indexOf(member)
    if (at < 0) return
    this.members.splice(at, 1)
    this.#draining.delete(member)
    this.#handleLeft(member)
    if (this.members.length > 0) {
      if (!this.#context.closed) this.handleBound()
      return
    }
    if (!this.#context.closed) commands.unsubscribe(this.client, this.#handle)
    forget(this.#handle)
    this.#handleGone()
  }

  /**
   * Resolves when everything that the broker has for a member is here: for the last one, since the others take what
   * comes. Who comes now begins anew.
   */
  async drain(member: Subscription): Promise<void> {
    this.#draining.add(member)
    const isLast = this.members.every(other => this.#draining.has(other))
    if (!isLast || this.#context.closed) return
    this.#handleGone()
    const ticket = new Ticket(this.#context, this.#responder)
    commands.drain(this.client, ticket.handle, this.#handle)
    await ticket.outcome
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
