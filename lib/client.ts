// The client: publishes, subscribes, asks, and makes sockets. Its work is done in requests.ts and subscription.ts.
import { EventEmitter } from 'node:events'
import { type Answers, ask } from './answers'
import * as commands from './commands'
import { CLIENT_SHAPE, type ConnectOptions, openSettings } from './connect-options'
import { Core, type Traffic } from './core'
import { closedFailure, errorFrom, FabricError, Failed } from './errors'
import { CLIENT_STATE, endAllOf, forget, PERMISSION, route, type Target } from './events'
import { Hold } from './lifetime'
import {
  type Message,
  type MessageData,
  type MessageOptions,
  messageData,
  type Published,
  type PublishOptions,
  type Responder,
} from './message'
import { native } from './native'
import { checkOptions, isTimeout } from './options'
import * as requests from './requests'
import type { Slab } from './slab'
import { ConatSocketClient, type SocketConnectOptions } from './socket-client'
import { ConatSocketServer, type SocketListenOptions } from './socket-server'
import { checkPublishSubject } from './subjects'
import { type Subscription, type SubscriptionOptions, Subscriptions } from './subscription'
import { Waiters } from './waiters'

export type ClientState = 'disconnected' | 'connected' | 'closed'

export interface WaitOptions {
  timeout?: number
}

/** The numbers of *client state* in docs/boundary.md. */
const [DISCONNECTED, CONNECTED, SIGNED_IN, READY, CLOSED, REFUSED] = [0, 1, 2, 3, 4, 5]

export interface ClientEvents {
  connected: []
  disconnected: []
  info: [info: Record<string, unknown>]
  inbox: []
  permission: [refusal: Refusal]
  closed: [reason: FabricError | undefined]
}

interface Refusal {
  message: string
  subject: string
  type: 'pub' | 'sub'
}

export class Client extends EventEmitter<ClientEvents> implements Target, Responder {
  readonly client: number
  readonly options: Readonly<ConnectOptions>
  state: ClientState = 'disconnected'
  /** What the server said at sign-in. */
  info: Record<string, unknown> | undefined
  readonly socket = {
    listen: (subject: string, options?: SocketListenOptions): ConatSocketServer =>
      new ConatSocketServer(this.#core, this, subject, options),
    connect: (subject: string, options?: SocketConnectOptions): ConatSocketClient =>
      new ConatSocketClient(this.#core, this, subject, options),
  }
  readonly #core: Core
  readonly #subscriptions: Subscriptions
  readonly #hold = new Hold()
  readonly #connected = new Waiters()
  readonly #signedIn = new Waiters()
  readonly #ready = new Waiters()
  readonly #closed = new Waiters()
  #connectionId: string | undefined
  #isSignedIn = false
  #isReady = false
  #isGone = false
  #refusal: Failed | undefined
  #users = 1

  constructor(options: ConnectOptions = {}, broker?: number, own = false) {
    super()
    checkOptions('connect', options, CLIENT_SHAPE)
    this.options = { ...options }
    this.#core = new Core(native.randomId())
    this.client = this.#core.handle
    this.#subscriptions = new Subscriptions(this.#core, this)
    route(this.client, this)
    const failure = native.clientOpen(this.client, openSettings(this.#core.id, options, broker, own))
    if (failure !== null) {
      forget(this.client)
      throw errorFrom(failure)
    }
    this.#hold.set(options.autoConnect !== false)
  }

  get id(): string {
    return this.#core.id
  }

  get stats(): { readonly sent: Traffic; readonly recv: Traffic } {
    return this.#core.stats
  }

  get subs(): Readonly<Record<string, { readonly refCount: number }>> {
    return this.#subscriptions.subs
  }

  get queueGroups(): Readonly<Record<string, string>> {
    return this.#subscriptions.queueGroups
  }

  get conn() {
    return {
      connected: this.state === 'connected',
      id: this.#connectionId,
      io: { engine: { close: () => this.#dropTransport() } },
    }
  }

  numSubscriptions(): number {
    return this.#subscriptions.size
  }

  ref(): this {
    this.#hold.want(true)
    return this
  }

  unref(): this {
    this.#hold.want(false)
    return this
  }

  connect(): void {
    this.#core.checkOpen()
    if (this.state === 'connected') return
    this.#hold.set(true)
    commands.clientConnect(this.client)
  }

  disconnect(): void {
    if (this.#core.closed) return
    commands.clientDisconnect(this.client)
    this.#hold.set(false)
    this.#leave()
  }

  /** One more `connect()` has been given this client, and will close it. @internal */
  share(): this {
    this.#users += 1
    return this
  }

  async close(): Promise<void> {
    if (this.#users > 0) this.#users -= 1
    if (this.#users > 0) return
    if (!this.#core.closed) {
      commands.clientClose(this.client)
      this.#beginClose()
    }
    if (!this.#isGone) await this.#closed.wait('the client')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async waitUntilConnected(options?: WaitOptions): Promise<void> {
    await this.#wait(this.state === 'connected', this.#connected, 'the client is not connected', options)
  }

  async waitUntilSignedIn(options?: WaitOptions): Promise<void> {
    if (this.#refusal !== undefined) throw errorFrom(this.#refusal)
    await this.#wait(this.#isSignedIn, this.#signedIn, 'the client is not signed in', options)
  }

  async waitUntilReady(options?: WaitOptions): Promise<void> {
    if (this.#refusal !== undefined) throw errorFrom(this.#refusal)
    await this.#wait(this.#isReady, this.#ready, 'the client is not ready', options)
  }

  async subscribe(subject: string, options?: SubscriptionOptions): Promise<Subscription> {
    return await this.#subscriptions.open(subject, options).confirmed()
  }

  async sub(subject: string, options?: SubscriptionOptions): Promise<Subscription> {
    return await this.#subscriptions.open(subject, options).confirmed()
  }

  subscribeSync(subject: string, options?: SubscriptionOptions): Subscription {
    return this.#subscriptions.open(subject, options)
  }

  async publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published> {
    checkPublishSubject(subject)
    checkOptions('publish', options, requests.PUBLISH_SHAPE)
    const wait = options?.waitForInterest ?? false
    if (options?.noThrow !== true) this.#core.refusals.check('pub', subject)
    return await this.#settle(requests.publish(this.#core, this, subject, data, options, wait), options)
  }

  async pub(subject: string, data?: unknown, options?: PublishOptions): Promise<Published> {
    return await this.publish(subject, data, options)
  }

  publishSync(subject: string, data?: unknown, options?: MessageOptions): { bytes: number } {
    checkPublishSubject(subject)
    checkOptions('publishSync', options, requests.MESSAGE_SHAPE)
    this.#core.refusals.check('pub', subject)
    return requests.publishSync(this.#core, subject, data, options)
  }

  request(
    subject: string,
    data?: unknown,
    options?: requests.RequestOptions & { noThrow?: false },
  ): Promise<Message>
  request(subject: string, data?: unknown, options?: requests.RequestOptions): Promise<Message | undefined>
  async request(
    subject: string,
    data?: unknown,
    options?: requests.RequestOptions,
  ): Promise<Message | undefined> {
    checkPublishSubject(subject)
    checkOptions('request', options, requests.REQUEST_SHAPE)
    if (options?.noThrow !== true) this.#core.refusals.check('pub', subject)
    const outcome = await requests.request(this.#core, this, subject, data, options)
    if (!(outcome instanceof Failed)) return outcome as Message
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(subject: string, data?: unknown, options?: requests.RequestManyOptions): Answers {
    return ask(this.#core, this, options?.signal, () => {
      checkPublishSubject(subject)
      checkOptions('requestMany', options, requests.REQUEST_MANY_SHAPE)
      this.#core.refusals.check('pub', subject)
      this.#core.checkSend()
      const wait = requests.waitOf(options, true)
      const headers = requests.prepare(data, options)
      return ticket => this.#core.countSent(commands.request(this.client, ticket, wait, subject, headers))
    })
  }

  async interest(subject: string): Promise<boolean> {
    return await this.#interest(subject, { timeout: 0 })
  }

  async waitForInterest(
    subject: string,
    options: { timeout?: number; signal?: AbortSignal } = {},
  ): Promise<boolean> {
    checkOptions('waitForInterest', options, requests.INTEREST_SHAPE)
    return await this.#interest(subject, options)
  }

  message(data: unknown, options?: MessageOptions): MessageData {
    return messageData(data, options)
  }

  /** @internal */
  respond(subject: string, data: unknown, options?: PublishOptions): Promise<Published> {
    checkOptions('respond', options, requests.PUBLISH_SHAPE)
    const wait = options?.waitForInterest ?? true
    const answer = this.#settle(requests.publish(this.#core, this, subject, data, options, wait), options)
    // Handlers answer without waiting for it: an asker that has gone, or a client closed meanwhile, must not end the process.
    answer.catch(() => {})
    return answer
  }

  /** @internal */
  respondSync(subject: string, data: unknown, options?: MessageOptions): { bytes: number } {
    checkOptions('respondSync', options, requests.MESSAGE_SHAPE)
    return requests.publishSync(this.#core, subject, data, options)
  }

  /** @internal */
  handleEvent(kind: number, slab: Slab): void {
    if (kind === PERMISSION) {
      const text = slab.str()
      if (!this.#core.closed) this.#handleRefusal(JSON.parse(text) as Refusal)
    } else if (kind === CLIENT_STATE) {
      const state = slab.u8()
      const text = slab.str()
      if (state === CLOSED) this.#finish(text)
      else if (!this.#core.closed) this.#enter(state, text)
    }
  }

  /** @internal */
  handleClientClosed(): void {}

  #enter(state: number, text: string): void {
    if (state === DISCONNECTED) {
      // Also said of an attempt that came to nothing; then nothing changed.
      const wasConnected = this.state === 'connected'
      this.#leave()
      if (wasConnected) this.emit('disconnected')
    } else if (state === CONNECTED) {
      this.state = 'connected'
      this.#connectionId = text || this.id
      this.#hold.set(false)
      this.#connected.settle()
      this.emit('connected')
    } else if (state === SIGNED_IN) {
      this.#isSignedIn = true
      this.#refusal = undefined
      // It may be somebody else who has signed in.
      this.#core.refusals.clear()
      this.info = JSON.parse(text) as Record<string, unknown>
      this.#signedIn.settle()
      this.emit('info', this.info)
    } else if (state === READY) {
      this.#isReady = true
      this.#ready.settle()
      this.emit('inbox')
    } else if (state === REFUSED) {
      this.#refuse(text)
    }
  }

  #handleRefusal(refusal: Refusal): void {
    this.#core.refusals.remember(refusal.type, refusal.subject, refusal.message)
    this.emit('permission', refusal)
  }

  #leave(): void {
    this.state = 'disconnected'
    this.#isSignedIn = false
    this.#isReady = false
    this.#connectionId = undefined
  }

  #refuse(text: string): void {
    const message = text.includes('failed to sign in') ? text : `failed to sign in - ${text}`
    this.#refusal = new Failed('ERR_SIGN_IN', message)
    this.#signedIn.settle(this.#refusal)
    this.#ready.settle(this.#refusal)
  }

  #beginClose(): void {
    this.#core.closed = true
    this.#leave()
    this.state = 'closed'
    this.#users = 0
    // Until `closed` has come.
    this.#hold.set(true)
    const failure = closedFailure('the client')
    for (const waiters of [this.#connected, this.#signedIn, this.#ready]) waiters.settle(failure)
    this.#subscriptions.close()
    for (const child of [...this.#core.children]) child.handleClientClosing()
  }

  #finish(text: string): void {
    if (this.#isGone) return
    if (!this.#core.closed) this.#beginClose()
    this.#isGone = true
    endAllOf(this.client)
    forget(this.client)
    this.#hold.set(false)
    this.#closed.settle()
    this.emit('closed', text === '' ? undefined : new FabricError(text, 'ERR_CLIENT_CLOSED'))
  }

  #dropTransport(): void {
    if (!this.#core.closed) commands.dropTransport(this.client)
  }

  async #wait(isThere: boolean, waiters: Waiters, what: string, options?: WaitOptions): Promise<void> {
    checkOptions('wait', options, { timeout: isTimeout })
    this.#core.checkOpen()
    if (isThere) return
    const failure = await waiters.wait(what, options?.timeout)
    if (failure !== undefined) throw errorFrom(failure)
  }

  async #interest(subject: string, options: { timeout?: number; signal?: AbortSignal }): Promise<boolean> {
    checkPublishSubject(subject)
    this.#core.refusals.check('pub', subject)
    const outcome = await requests.interest(this.#core, this, subject, options)
    if (outcome instanceof Failed) throw errorFrom(outcome)
    return outcome === 1
  }

  async #settle(pending: Promise<requests.Outcome>, options: PublishOptions | undefined): Promise<Published> {
    const outcome = await pending
    if (!(outcome instanceof Failed)) return outcome as Published
    if (options?.noThrow) return { bytes: 0, count: 0 }
    throw errorFrom(outcome)
  }
}
