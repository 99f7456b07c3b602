// The client: publishes, subscribes, sends requests, serves, and creates sockets. Its work is done in
// client-session.ts, requests.ts, service.ts and subscription.ts.
import type {
  ConnectOptions,
  DrainOptions,
  MessageOptions,
  MetricFamily,
  Published,
  PublishOptions,
  Remote,
  RemoteMany,
  RequestManyOptions,
  RequestOptions,
  SocketConnectOptions,
  SocketListenOptions,
  SubscriptionOptions,
  WaitOptions,
} from '../../index'
import { checkWait, WAIT_SHAPE } from '../async/bounds'
import { type Drain, DrainOnce } from '../async/drain'
import { startTimer } from '../async/timer'
import { ClientViews } from '../compat/client-views'
import { FOREIGN_CONNECT, ownOptions } from '../compat/foreign-options'
import { routeSubjects } from '../compat/subject-router'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { endAllOf, forget, route, strandAllOf, type Target } from '../engine/events'
import { forgetAtExit, leaveAtExit } from '../engine/exit-hook'
import { CLIENT_ENDING, CLIENT_STATE, CONNECT_FAILED, PERMISSION } from '../engine/kinds'
import { native } from '../engine/native'
import { type Answers, ask } from '../messaging/answers'
import { replyOf } from '../messaging/error-headers'
import type { Message, Responder } from '../messaging/message'
import {
  INTEREST_SHAPE,
  LIST_SHAPE,
  MESSAGE_SHAPE,
  PUBLISH_SHAPE,
  REPLY_PUBLISH_SHAPE,
  REPLY_SHAPE,
  REQUEST_MANY_SHAPE,
  REQUEST_SHAPE,
  WAIT_FOR_CALLER,
} from '../messaging/options'
import { resolvePublish, resolveReply, unwrap } from '../messaging/outcome'
import { Permissions, type Refusal } from '../messaging/permissions'
import { prepare } from '../messaging/prepare'
import * as requests from '../messaging/requests'
import {
  calledMethod,
  callManyProxy,
  callProxy,
  checkImplementation,
  invoke,
  joined,
  methodOf,
  SERVICE_QUEUE,
  serve,
} from '../messaging/service'
import type { Subscription } from '../messaging/subscription'
import { Subscriptions } from '../messaging/subscriptions'
import { print } from '../messaging/watch'
import { ConatSocketClient } from '../socket/client-socket'
import { ConatSocketServer } from '../socket/server'
import { CHANNELS } from '../telemetry/channels'
import { register, retire } from '../telemetry/process'
import { lookForTracing, type Tracing, tracingOf } from '../telemetry/tracing'
import { abortFailure, errorFrom, Failure } from '../values/failure'
import { checkOptions, isFunction, isSignal, isString } from '../values/option-checks'
import { checkPublishSubject, idPrefix } from '../values/subjects'
import { clientMetrics } from './metrics'
import { OfflineWarning } from './offline-warning'
import { addressOf, CLIENT_SHAPE, isOnNats, openSettings, shownOptions, withAddress } from './options'
import { type Change, CLOSED, type ClientState, REFUSED, Session, type Wire } from './session'
import { SocketReports } from './socket-reports'

/** How long what was published waits for a connection when the client closes, in ms. The engine has the same bound. */
const MAX_PARTING = 5000
/** Whether anybody listens is told at once: there is no time to give. */
const NOW_SHAPE = { signal: isSignal }
const SERVICE_SHAPE = { queue: isString, ...WAIT_SHAPE }

export class Client extends ClientViews implements Target, Responder {
  readonly client: number
  readonly options: Readonly<ConnectOptions>
  readonly socket = {
    listen: (subject: string, options?: SocketListenOptions): ConatSocketServer =>
      new ConatSocketServer(this.context, this, subject, options),
    connect: (subject: string, options?: SocketConnectOptions): ConatSocketClient =>
      new ConatSocketClient(this.context, this, subject, options),
  }
  protected readonly subscriptions: Subscriptions
  protected readonly permissions: Permissions = new Permissions()
  readonly #session: Session
  readonly #socketReports = new SocketReports(this.context)
  #isGone = false
  /** Whether it was told to connect, and not to disconnect since. */
  #isWanted = false
  readonly #offlineWarning = new OfflineWarning()
  /** Attempts to connect that have failed in a row. */
  #failedAttempts = 0
  /** Why it was closed, if not because `close()` was called. */
  #reason: Failure | undefined
  #handleGone: (() => void) | undefined
  readonly #drainOnce = new DrainOnce(() => this.context.obstacle)
  /** @internal */
  readonly answersInKind: boolean
  #users = 1

  constructor(given: ConnectOptions = {}, broker?: number, own = false) {
    const options = ownOptions('connect', given, FOREIGN_CONNECT)
    super()
    checkOptions('connect', options, CLIENT_SHAPE)
    this.options = shownOptions(options)
    this.context.socketIdPrefix = idPrefix(options.inboxPrefix, options.user)
    if (options.maxMessageBytes !== undefined) this.context.limitMessages(options.maxMessageBytes)
    this.answersInKind = isOnNats(options)
    this.client = this.context.handle
    this.subscriptions = new Subscriptions(this.context, this, this.permissions)
    route(this.client, this)
    const failure = native.clientOpen(this.client, openSettings(this.context.id, options, broker, own))
    if (failure !== null) {
      forget(this.client)
      throw errorFrom(withAddress(failure, options.address))
    }
    leaveAtExit(this.client)
    register(this)
    this.context.owner = this
    if (broker === undefined) this.context.address = addressOf(options)
    const mode = CLIENT_SHAPE.tracing.default
    this.context.tracing = tracingOf(options.tracing ?? mode, mode)
    lookForTracing(this.context.tracing.mode)
    this.#isWanted = options.autoConnect !== false
    this.#session = new Session(this.#isWanted)
    this.context.obstacle = this.#session.obstacle
    this.#session.ref.set(this.#isWanted)
    const { routeSubject, ...rest } = options
    if (routeSubject !== undefined) {
      routeSubjects(this, routeSubject, address => new Client({ ...rest, address }))
    }
  }

  get state(): ClientState {
    return this.#session.state
  }

  /** @internal */
  get tracing(): Tracing {
    return this.context.tracing
  }

  /** What it has counted, and what is there now. */
  metrics(): MetricFamily[] {
    return clientMetrics(this.context)
  }

  get info(): Record<string, unknown> | undefined {
    return this.#session.info
  }

  get wire(): Wire | undefined {
    return this.#session.wire
  }

  /** @internal */
  get connectionId(): string | undefined {
    return this.#session.connectionId
  }

  ref(): this {
    this.#session.ref.ref()
    return this
  }

  unref(): this {
    this.#session.ref.unref()
    return this
  }

  connect(): void {
    this.context.checkOpen()
    if (this.state === 'connected') return
    this.#session.connect()
    this.context.obstacle = this.#session.obstacle
    this.#isWanted = true
    this.context.stranded = undefined
    this.subscriptions.handleConnect()
    commands.clientConnect(this.client)
  }

  disconnect(): void {
    if (this.context.closed) return
    commands.clientDisconnect(this.client)
    this.#isWanted = false
    this.#session.ref.set(false)
    this.#session.leave()
  }

  /** Counts one more caller of `connect()` that shares this client, and will close it. @internal */
  share(): this {
    this.#users += 1
    return this
  }

  /** Whether `drain()` was called. */
  get draining(): boolean {
    return this.#drainOnce.isStarted
  }

  /**
   * Ends servers and sockets in order, waits for subscriptions to be read and for replies, and closes for all
   * who share it.
   */
  async drain(options?: DrainOptions): Promise<void> {
    await this.#drainOnce.run(options, drain => this.#drain(drain))
  }

  async close(): Promise<void> {
    await this.#close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async waitUntilConnected(options?: WaitOptions): Promise<void> {
    this.context.checkOpen()
    await this.#session.untilConnected(options)
  }

  async waitUntilSignedIn(options?: WaitOptions): Promise<void> {
    this.context.checkOpen()
    await this.#session.untilSignedIn(options)
  }

  async waitUntilReady(options?: WaitOptions): Promise<void> {
    this.context.checkOpen()
    const begun = Date.now()
    await this.#session.untilReady(options)
    const left = options?.timeout === undefined ? undefined : options.timeout - (Date.now() - begun)
    await this.subscriptions.untilConfirmed({ timeout: left, signal: options?.signal })
    this.context.checkOpen()
  }

  subscribe(subject: string, options?: SubscriptionOptions): Promise<Subscription> {
    return this.#subscribe('subscribe', subject, options)
  }

  sub(subject: string, options?: SubscriptionOptions): Promise<Subscription> {
    return this.#subscribe('sub', subject, options)
  }

  subscribeSync(subject: string, options?: SubscriptionOptions): Subscription {
    if (options?.signal?.aborted) throw errorFrom(abortFailure(options.signal))
    return this.subscriptions.open(subject, options, 'subscribeSync').boundBy(options, 'subscribeSync')
  }

  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published> {
    return this.#publish('publish', subject, data, options)
  }

  pub(subject: string, data?: unknown, options?: PublishOptions): Promise<Published> {
    return this.#publish('pub', subject, data, options)
  }

  async #publish(
    where: 'publish' | 'pub',
    subject: string,
    data: unknown,
    options: PublishOptions | undefined,
  ): Promise<Published> {
    this.#checkPublish(subject, options?.noThrow)
    checkOptions(where, options, PUBLISH_SHAPE)
    const wait = options?.waitForInterest ?? false
    const sent = requests.publish(this.context, this, subject, data, options, wait)
    return await resolvePublish(where === 'pub' ? requests.renamed(sent, 'publish', 'pub') : sent, options)
  }

  publishSync(subject: string, data?: unknown, options?: MessageOptions): { bytes: number } {
    this.#checkPublish(subject)
    checkOptions('publishSync', options, MESSAGE_SHAPE)
    return requests.publishSync(this.context, this, subject, data, options)
  }

  request(subject: string, data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  request(subject: string, data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  request(subject: string, data?: unknown, options?: RequestOptions): Promise<Message | undefined> {
    return this.#request(subject, data, options)
  }

  /** `method` is one of a service. */
  async #request(
    subject: string,
    data: unknown,
    options: RequestOptions | undefined,
    method?: string,
  ): Promise<Message | undefined> {
    this.#checkPublish(subject, options?.noThrow)
    checkOptions('request', options, REQUEST_SHAPE)
    const outcome = await requests.request(this.context, this, subject, data, options, method)
    if (options?.noThrow && outcome instanceof Failure) return undefined
    return unwrap<Message>(outcome)
  }

  requestMany(subject: string, data?: unknown, options?: RequestManyOptions): Answers {
    return ask(this.context, this, options, () => {
      this.#checkPublish(subject)
      checkOptions('requestMany', options, REQUEST_MANY_SHAPE)
      this.context.checkSend()
      const wait = requests.waitOf(options, true)
      const message = prepare(data, options, this.context.maxMessageBytes)
      return ticket => {
        commands.request(this.client, ticket, wait, subject, message)
        this.context.countSent(message.length)
      }
    })
  }

  async service(
    subject: string,
    implementation: object,
    options: { queue?: string } & WaitOptions = {},
  ): Promise<Subscription> {
    checkImplementation(implementation)
    checkWait('service', options, SERVICE_SHAPE)
    const subscription = this.subscriptions.open(
      subject,
      { queue: options.queue ?? SERVICE_QUEUE },
      'service',
    )
    serve(
      subscription,
      message => invoke(message, implementation),
      message => calledMethod(message, implementation),
    )
    return await subscription.confirmed(options, 'service')
  }

  // biome-ignore lint/suspicious/noExplicitAny: as `Agreed` of the contract
  call<T = any>(subject: string, options?: RequestOptions): Remote<T> {
    checkPublishSubject(subject)
    checkOptions('call', options, REQUEST_SHAPE)
    return callProxy(`call '${subject}'`, (data, own) =>
      this.#request(subject, data, joined(options, own), methodOf(data)),
    )
  }

  // biome-ignore lint/suspicious/noExplicitAny: as `Agreed` of the contract
  callMany<T = any>(subject: string, options?: RequestManyOptions): RemoteMany<T> {
    checkPublishSubject(subject)
    checkOptions('callMany', options, REQUEST_MANY_SHAPE)
    return callManyProxy(`callMany '${subject}'`, data => this.requestMany(subject, data, options))
  }

  watch(subject: string, handle: (message: Message) => unknown = print): Subscription {
    isFunction('the callback', handle)
    const subscription = this.subscribeSync(subject)
    subscription.emitter.on('message', handle)
    return subscription
  }

  async syncSubscriptions(options?: WaitOptions): Promise<void> {
    checkWait('syncSubscriptions', options, LIST_SHAPE)
    unwrap(await requests.list(this.context, this, 'subscriptions', options))
  }

  async cluster(options?: WaitOptions): Promise<string[]> {
    checkWait('cluster', options, LIST_SHAPE)
    return unwrap<string[]>(await requests.list(this.context, this, 'cluster', options))
  }

  async waitForInterest(
    subject: string,
    options: { timeout?: number; signal?: AbortSignal } = {},
  ): Promise<boolean> {
    checkOptions('waitForInterest', options, INTEREST_SHAPE)
    return await this.#interest('waitForInterest', subject, options)
  }

  /** Resolves with whether anybody listens now. */
  async interest(subject: string, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    checkOptions('interest', options, NOW_SHAPE)
    return await this.#interest('interest', subject, { ...options, timeout: 0 })
  }

  /** @internal */
  respond(subject: string, data: unknown, options?: PublishOptions): Promise<Published> {
    checkOptions('respond', options, REPLY_PUBLISH_SHAPE)
    const wait = options?.waitForInterest ?? true
    const [value, sending, text] = replyOf(data, options)
    const sent = requests.publish(this.context, this, subject, value, sending, wait, text)
    return resolveReply(sent, options)
  }

  /** @internal */
  respondSync(subject: string, data: unknown, options?: MessageOptions): { bytes: number } {
    checkOptions('respondSync', options, REPLY_SHAPE)
    return requests.publishSync(this.context, this, subject, ...replyOf(data, options))
  }

  /** @internal */
  handleEvent(kind: number, event: EventReader): void {
    if (kind === PERMISSION) {
      const refusal = JSON.parse(event.str()) as Refusal
      this.permissions.remember(refusal)
      if (CHANNELS.clientPermission.hasSubscribers) {
        const { type, subject } = refusal
        CHANNELS.clientPermission.publish({ client: this, type, subject })
      }
      if (!this.context.closed) this.emit('permission', refusal)
    } else if (kind === CLIENT_STATE) {
      const state = event.u8()
      const text = event.str()
      if (state === CLOSED) this.#finish(text)
      else if (!this.context.closed) {
        const change = this.#session.handleState(state, text)
        this.context.connected = this.state === 'connected'
        this.context.wasConnected ||= this.context.connected
        this.context.obstacle = this.#session.obstacle
        if (change === 'info') this.context.counters.countConnect('ok')
        if (state === REFUSED) this.#handleRefused()
        else if (change === 'disconnected') this.#strand(this.#session.obstacle)
        this.#announce(change)
      }
    } else if (kind === CLIENT_ENDING) {
      const isInbox = event.u8() === 1
      const failure = new Failure(event.code(), event.str())
      this.#session.handleEnding(failure, isInbox)
      if (isInbox) strandAllOf(this.client, failure, false)
    } else if (kind === CONNECT_FAILED) {
      const failure = new Failure(event.code(), event.str())
      this.context.counters.countConnectFailed(failure.code)
      this.#failedAttempts += 1
      if (CHANNELS.clientConnectFailed.hasSubscribers) {
        const attempt = this.#failedAttempts
        CHANNELS.clientConnectFailed.publish({ client: this, reason: errorFrom(failure), attempt })
      }
      const offline = this.#session.handleConnectFailed(failure)
      this.context.obstacle = this.#session.obstacle
      if (this.context.closed) return
      this.#strand(failure)
      if (!this.emit('connectFailed', errorFrom(failure))) this.#offlineWarning.give(offline, failure)
    }
  }

  /** @internal */
  handleClientClosed(): void {}

  /** Sets what is called when it has closed. @internal */
  onGone(handleGone: () => void): this {
    this.#handleGone = handleGone
    return this
  }

  /** Closes it because its broker has closed, which cannot come back. @internal */
  handleBrokerClosed(): void {
    if (this.context.closed) return
    this.#reason = new Failure('ERR_BROKER_CLOSED', 'the broker of this client is closed')
    this.subscriptions.fail(this.#reason)
    this.#sendClose()
    this.#beginClose(this.#reason)
  }

  #handleRefused(): void {
    this.context.counters.countConnect('sign_in')
    const refusal = this.#session.refusal as Failure
    strandAllOf(this.client, refusal, false)
    this.emit('signInRefused', errorFrom(refusal))
  }

  /** Ends what waits for a connection, if none will follow. */
  #strand(failure: Failure | undefined): void {
    if (this.options.reconnection !== false || !this.#isWanted || failure === undefined) return
    this.#isWanted = false
    this.context.stranded = failure
    this.#session.strand(failure)
    strandAllOf(this.client, failure, true)
  }

  /** Waits until answers are delivered; a caller that is away is waited for a moment. */
  async #answersDelivered(over: AbortSignal): Promise<void> {
    const { answering } = this.context
    const timer = startTimer(WAIT_FOR_CALLER, () => answering.forget())
    await answering.whenNone(over)
    timer.stop()
  }

  async #drain(drain: Drain): Promise<void> {
    if (!this.context.closed) {
      const children = [...this.context.children].map(child => child.finishWith(drain))
      const subscriptions = drain.part(1, ({ deadline }) => this.subscriptions.drain(deadline))
      await Promise.all([...children, subscriptions])
      await Promise.all([this.context.awaited.whenNone(drain.over), this.#answersDelivered(drain.over)])
      this.#users = 1
    }
    await this.#close(drain)
  }

  /** Closes for one of its users. A drain leaves what was published no more time than it has itself. */
  async #close(drain?: Drain): Promise<void> {
    if (this.#users > 0) this.#users -= 1
    if (this.#users > 0) return
    if (!this.context.closed) {
      this.#sendClose(drain?.left)
      this.#beginClose()
    }
    if (!this.#isGone) await this.#session.gone.wait('the client')
  }

  #announce(change: Change): void {
    if (change === 'info') {
      this.permissions.clear()
      this.#failedAttempts = 0
      this.context.handleInfo(this.info as Record<string, unknown>)
      this.#socketReports.start(this.info?.monitor)
      this.emit('info', this.info as Record<string, unknown>)
    } else if (change === 'disconnected') {
      this.#socketReports.stop()
      const ending = this.#session.takeEnding()
      if (CHANNELS.clientDisconnect.hasSubscribers) {
        CHANNELS.clientDisconnect.publish({ client: this, reason: ending && errorFrom(ending) })
      }
      if (ending === undefined) this.emit('disconnected')
      else this.emit('disconnected', errorFrom(ending))
    } else if (change !== undefined) {
      if (change === 'connected' && CHANNELS.clientConnect.hasSubscribers) {
        CHANNELS.clientConnect.publish({ client: this, address: this.options.address, wire: this.wire })
      }
      this.emit(change)
    }
  }

  #sendClose(left = MAX_PARTING): void {
    for (const child of this.context.children) child.prepareClose()
    commands.clientClose(this.client, Math.min(MAX_PARTING, Math.ceil(left)))
  }

  /** With the reason, unless it is closed here: nobody has closed what is on it then. */
  #beginClose(reason?: Failure): void {
    this.context.closed = true
    this.#users = 0
    this.context.closeReason = reason
    this.#session.close(this.context.closedFailure())
    this.subscriptions.close()
    for (const child of [...this.context.children]) child.handleClientClosing(reason)
  }

  #finish(text: string): void {
    if (this.#isGone) return
    if (!this.context.closed) {
      const reason = new Failure('ERR_CLIENT_CLOSED', text)
      this.subscriptions.fail(reason)
      this.#beginClose(reason)
    }
    this.#isGone = true
    this.#socketReports.stop()
    endAllOf(this.client)
    forget(this.client)
    retire(this)
    forgetAtExit(this.client)
    this.#session.ref.set(false)
    this.#session.gone.settle()
    const ending = this.#session.takeEnding()
    const unsent = ending?.code === 'ERR_UNDELIVERED' ? ending : undefined
    const closed = text === '' ? undefined : new Failure('ERR_CLIENT_CLOSED', text)
    const reason = this.#reason ?? unsent ?? closed
    this.#handleGone?.()
    this.emit('closed', reason && errorFrom(reason))
  }

  /** @internal */
  dropTransport(): void {
    if (!this.context.closed) commands.dropTransport(this.client)
  }

  /** Throws if the server has just refused the same. */
  #checkPublish(subject: string, noThrow = false): void {
    checkPublishSubject(subject)
    // With `noThrow` the request is sent again; its outcome is ignored.
    const refusal = noThrow ? undefined : this.permissions.refused('pub', subject)
    if (refusal !== undefined) throw errorFrom(refusal)
  }

  async #subscribe(
    where: string,
    subject: string,
    options: SubscriptionOptions | undefined,
  ): Promise<Subscription> {
    if (options?.signal?.aborted) throw errorFrom(abortFailure(options.signal))
    return await this.subscriptions.open(subject, options, where).confirmed(options, where)
  }

  async #interest(
    where: 'interest' | 'waitForInterest',
    subject: string,
    options: { timeout?: number; signal?: AbortSignal },
  ): Promise<boolean> {
    this.#checkPublish(subject)
    return unwrap(await requests.interest(this.context, this, where, subject, options)) === 1
  }
}
