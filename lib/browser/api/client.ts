// A client of the fabric in a page.
import { onAbort } from '../../async/aborts'
import { FabricError, invalidValue, outOfRange } from '../../values/errors'
import { abortFailure, errorFrom, Failure } from '../../values/failure'
import { checkOptions } from '../../values/option-checks'
import {
  checkConnectSubject,
  checkPublishSubject,
  checkSubscribeSubject,
  idPrefix,
} from '../../values/subjects'
import { closed, timeout as timeoutOf } from '../client/failures'
import { type ClientEvent, type ClientHost, ClientMachine, type Outcome } from '../client/machine'
import { type WebSocketClass, WebSocketLink } from '../link'
import { watchPage } from '../page'
import type { Item, Publication } from '../wire/publication'
import { Emitter } from './emitter'
import {
  type Answering,
  answerOf,
  checkSize,
  itemOf,
  Message,
  type MessageData,
  type MessageOptions,
  messageData,
} from './message'
import {
  CONNECT_SHAPE,
  DEFAULT_TIMEOUT,
  INTEREST_SHAPE,
  MAX_MESSAGE_BYTES,
  PUBLISH_SHAPE,
  SOCKET_SHAPE,
  SUBSCRIBE_SHAPE,
  SUBSCRIBE_TIMEOUT,
} from './options'
import { ClientSocket, type SocketOptions } from './socket'
import { Subscription, type SubscriptionOptions } from './subscription'
import { bound, checkWait, type WaitOptions, Waits } from './waits'

export interface ConnectOptions {
  address?: string
  path?: string
  token?: string | (() => string | Promise<string>)
  inboxPrefix?: string
  autoConnect?: boolean
  reconnection?: boolean
  reconnectionDelay?: number
  reconnectionDelayMax?: number
  offlineTimeout?: number
  maxMessageBytes?: number
  WebSocket?: WebSocketClass
}

interface PublishOptions extends MessageOptions, WaitOptions {
  waitForInterest?: boolean
}

interface Events {
  connected: []
  disconnected: [reason?: FabricError]
  signInRefused: [reason: FabricError]
  info: [info: Record<string, unknown>]
  inbox: []
  permission: [refusal: { message: string; subject: string; type: 'pub' | 'sub' }]
  connectFailed: [reason: FabricError]
  closed: [reason: FabricError | undefined]
}

const DIGITS = 'abcdefghijklmnopqrstuvwxyz012345'
/** The longest delay of a timer. */
const MAX_DELAY = 0x7fffffff
const MAX_INTEREST = 90_000

export class Client extends Emitter<Events> {
  readonly id: string
  readonly options: Readonly<ConnectOptions>
  readonly #machine: ClientMachine
  readonly #link: WebSocketLink
  readonly #url: string
  readonly #WebSocket: WebSocketClass
  readonly #maxMessageBytes: number
  readonly #unwatchPage: () => void
  #state: 'disconnected' | 'connected' | 'closed' = 'disconnected'
  info: Record<string, unknown> | undefined
  #isAwake = false
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #connected = new Waits()
  readonly #signedIn = new Waits()
  readonly #ready = new Waits()
  readonly socket: { connect(subject: string, options?: SocketOptions): ClientSocket }

  constructor(options: ConnectOptions = {}) {
    super()
    checkOptions('connect', options, CONNECT_SHAPE)
    this.options = { ...options, token: undefined }
    this.#url = urlOf(options)
    this.#WebSocket = webSocketOf(options)
    this.#maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES
    const inboxPrefix = options.inboxPrefix ?? '_INBOX'
    checkSubscribeSubject(inboxPrefix)
    if (!inboxPrefix.startsWith('_INBOX'))
      throw invalidValue('inboxPrefix', 'one that starts with _INBOX', inboxPrefix)
    this.id = randomId()
    const { token } = options
    const tokenOf = token === undefined ? undefined : typeof token === 'function' ? token : () => token
    this.#link = new WebSocketLink({
      handleOpen: () => this.#turn(() => this.#machine.session.handleOpen()),
      handleBytes: bytes => this.#turn(() => this.#machine.handleBytes(bytes)),
      handleDown: reason => this.#turn(() => this.#machine.session.handleDown(reason)),
      handleWritable: () => this.#turn(() => this.#machine.flush()),
    })
    this.#machine = new ClientMachine(this.#host(tokenOf), {
      inboxPrefix,
      reconnection: options.reconnection ?? true,
      reconnectionDelay: options.reconnectionDelay ?? 500,
      reconnectionDelayMax: options.reconnectionDelayMax ?? 15_000,
      offlineTimeout: options.offlineTimeout ?? 60_000,
    })
    this.socket = {
      connect: (subject, more = {}) => {
        this.#checkOpen()
        checkConnectSubject(subject)
        checkWait('socket.connect', more, SOCKET_SHAPE)
        const context = { machine: this.#machine, answering: (reply: string) => this.#answering(reply) }
        const id = idPrefix(options.inboxPrefix) + randomId()
        return new ClientSocket(context, subject, id, this.#maxMessageBytes, more)
      },
    }
    this.#unwatchPage = watchPage({
      handleWake: () => this.#turn(() => this.#machine.session.wake()),
      handlePutAway: () => this.#turn(() => this.#machine.session.disconnect()),
      handleBack: () => this.#turn(() => this.#machine.session.connect()),
      handleEnd: () => void this.close(),
    })
    if (options.autoConnect !== false) this.#turn(() => this.#machine.session.connect())
  }

  /** What the machine needs of the world. */
  #host(token: (() => unknown) | undefined): ClientHost {
    const link = this.#link
    return {
      // No clock sets it back.
      now: () => performance.now(),
      random: () => Math.random(),
      randomTag,
      randomId,
      dial: () => link.dial(this.#url, this.#WebSocket, token),
      hangUp: () => link.hangUp(),
      send: frame => link.send(frame),
      get isCongested() {
        return link.isCongested
      },
      wake: () => this.#wake(),
      emit: event => this.#tell(event),
    }
  }

  get state(): 'disconnected' | 'connected' | 'closed' {
    return this.#state
  }

  /** Calls `flush` once, when this turn is over. */
  #wake(): void {
    if (this.#isAwake) return
    this.#isAwake = true
    queueMicrotask(() => {
      this.#isAwake = false
      this.#turn(() => this.#machine.flush())
      const { stranded } = this.#machine
      if (stranded !== undefined) this.#settleWaits(stranded)
    })
  }

  #settleWaits(failure: Failure): void {
    for (const waits of [this.#connected, this.#signedIn, this.#ready]) waits.settle(failure)
  }

  /** Lets the machine do something, and looks when it wants to be called again. */
  #turn(action: () => void): void {
    action()
    clearTimeout(this.#timer)
    const at = this.#machine.pollTimeout()
    if (at === Number.POSITIVE_INFINITY || this.#state === 'closed') return
    const delay = Math.min(Math.max(0, Math.ceil(at - performance.now())), MAX_DELAY)
    this.#timer = setTimeout(() => this.#turn(() => this.#machine.handleTimeout()), delay)
  }

  #tell(event: ClientEvent): void {
    switch (event.name) {
      case 'connected':
        this.#state = 'connected'
        this.#connected.settle()
        this.emit('connected')
        break
      case 'info':
        this.info = event.info
        this.#signedIn.settle()
        this.emit('info', event.info)
        break
      case 'inbox':
        this.#ready.settle()
        this.emit('inbox')
        break
      case 'disconnected':
        if (this.#state === 'connected') this.#state = 'disconnected'
        this.emit('disconnected', event.reason && errorFrom(event.reason))
        break
      case 'permission':
        this.emit('permission', { message: event.message, subject: event.subject, type: event.type })
        break
      default: {
        const reason = event.reason as Failure
        if (event.name === 'signInRefused')
          for (const waits of [this.#signedIn, this.#ready]) waits.settle(reason)
        this.emit(event.name, errorFrom(reason))
      }
    }
  }

  // ---- the connection

  connect(): void {
    this.#checkOpen()
    this.#turn(() => this.#machine.session.connect())
  }

  disconnect(): void {
    this.#turn(() => this.#machine.session.disconnect())
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#unwatchPage()
    this.#turn(() => this.#machine.close(closed()))
    this.#settleWaits(closed())
    await Promise.resolve()
    this.emit('closed', undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #checkOpen(): void {
    if (this.#state === 'closed') throw errorFrom(closed())
  }

  waitUntilConnected(options?: WaitOptions): Promise<void> {
    return this.#wait(this.#connected, this.#state === 'connected', 'the client is not connected', options)
  }

  waitUntilSignedIn(options?: WaitOptions): Promise<void> {
    return this.#wait(this.#signedIn, this.#machine.session.isUp, 'the client is not signed in', options)
  }

  waitUntilReady(options?: WaitOptions): Promise<void> {
    return this.#wait(this.#ready, this.#machine.isUp, 'the client is not ready', options)
  }

  async #wait(waits: Waits, isThere: boolean, what: string, options: WaitOptions | undefined): Promise<void> {
    checkWait('wait', options)
    this.#checkOpen()
    this.#wake()
    const failure = isThere ? undefined : await waits.wait(what, options)
    if (failure !== undefined) throw errorFrom(failure)
  }

  // ---- messages

  async subscribe(
    subject: string,
    options: SubscriptionOptions & WaitOptions & { queue?: string } = {},
  ): Promise<Subscription> {
    checkWait('subscribe', options, SUBSCRIBE_SHAPE)
    const subscription = this.subscribeSync(subject, {
      ...options,
      timeout: options.timeout ?? SUBSCRIBE_TIMEOUT,
    })
    const failure = await subscription.confirmed
    if (failure !== undefined) throw errorFrom(failure)
    return subscription
  }

  subscribeSync(
    subject: string,
    options: SubscriptionOptions & WaitOptions & { queue?: string } = {},
  ): Subscription {
    this.#checkOpen()
    checkSubscribeSubject(subject)
    checkWait('subscribe', options, SUBSCRIBE_SHAPE)
    const subscription = new Subscription(subject, options)
    const made = this.#machine.subscribeIn(subject, options.queue, 'plain', {
      handleMessage: message => {
        for (const each of this.#messagesOf(message)) subscription.push(each)
      },
      handleConfirmed: () => subscription.handleConfirmed(),
      handleRefused: failure => subscription.fail(failure),
    })
    if (made instanceof Failure) throw errorFrom(made)
    subscription.begin(made.queue, made.unsubscribe)
    const stop = bound(options, '', failure =>
      subscription.fail(failure.code === 408 ? timeoutOf('subscribe', subject) : failure),
    )
    void subscription.confirmed.then(stop)
    return subscription
  }

  #messagesOf({ subject, reply, items }: Publication): Message[] {
    const answering = reply === undefined ? undefined : this.#answering(reply)
    return items.map(item => new Message(subject, item, reply, answering))
  }

  #answering(reply: string): Answering {
    return { respond: item => this.#publish(reply, item, { waitForInterest: true }) }
  }

  #item(subject: string, data: unknown, options: MessageOptions | undefined): Item {
    this.#checkOpen()
    checkPublishSubject(subject)
    const item = itemOf(data, options, 'subject')
    checkSize(item, Math.min(this.#maxMessageBytes, this.#machine.maxMessage))
    return item
  }

  async publish(
    subject: string,
    data?: unknown,
    options?: PublishOptions,
  ): Promise<{ bytes: number; count: number }> {
    checkWait('publish', options, PUBLISH_SHAPE)
    return this.#publish(subject, this.#item(subject, data, options), options)
  }

  async #publish(
    subject: string,
    item: Item,
    options: PublishOptions | undefined,
  ): Promise<{ bytes: number; count: number }> {
    const count = (await this.#question('publish', subject, item, options)) as number
    return { bytes: item.raw.length, count }
  }

  publishSync(subject: string, data?: unknown, options?: MessageOptions): { bytes: number } {
    const item = this.#item(subject, data, options)
    this.#machine.publish({ subject, items: [item] })
    return { bytes: item.raw.length }
  }

  async request(subject: string, data?: unknown, options?: PublishOptions): Promise<Message> {
    checkWait('request', options, PUBLISH_SHAPE)
    const item = this.#item(subject, data, options)
    const answer = (await this.#question('request', subject, item, options)) as Publication
    return answerOf(answer.subject, answer.items[0] as Item)
  }

  /** The methods of a service, each as a request. */
  call<T>(subject: string, options?: PublishOptions): T {
    checkPublishSubject(subject)
    return new Proxy(Object.create(null), {
      get: (_target, name) => {
        if (typeof name === 'symbol' || name === 'then' || name === 'toJSON' || name in Object.prototype)
          return undefined
        return async (...args: unknown[]) => {
          const answer = await this.request(subject, [name, args], options)
          const { error, code } = answer.headers ?? {}
          if (typeof error !== 'string' || error === '') return answer.data
          const isCode = typeof code === 'string' || typeof code === 'number'
          throw new FabricError(error, isCode ? code : 'ERR_SERVICE')
        }
      },
    })
  }

  async interest(subject: string, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    checkWait('interest', options, INTEREST_SHAPE)
    return this.#interest(subject, 0, options)
  }

  async waitForInterest(subject: string, options: WaitOptions = {}): Promise<boolean> {
    checkWait('waitForInterest', options)
    const { timeout = DEFAULT_TIMEOUT } = options
    if (timeout > MAX_INTEREST) throw outOfRange('timeout', `at most ${MAX_INTEREST}`, timeout)
    const isThere = await this.#interest(subject, timeout, options)
    if (!isThere) throw errorFrom(timeoutOf('waitForInterest', subject))
    return true
  }

  async #interest(subject: string, timeout: number, options: WaitOptions): Promise<boolean> {
    this.#checkOpen()
    checkPublishSubject(subject)
    const item = itemOf(null, undefined, 'subject')
    return (await this.#question('interest', subject, item, { ...options, timeout })) as boolean
  }

  async #question(
    what: 'publish' | 'request' | 'interest',
    subject: string,
    item: Item,
    options: PublishOptions = {},
  ): Promise<Outcome> {
    const { signal, timeout = DEFAULT_TIMEOUT, waitForInterest = false } = options
    let unwatch: (() => void) | undefined
    const outcome = await new Promise<Outcome>(resolve => {
      const message = { subject, items: [item] }
      const forget = this.#machine.question({ what, message, timeout, waitForInterest, done: resolve })
      unwatch =
        signal &&
        onAbort(signal, () => {
          forget()
          resolve(abortFailure(signal))
        })
    })
    unwatch?.()
    if (outcome instanceof Failure) throw errorFrom(outcome)
    return outcome
  }

  message(data: unknown, options?: MessageOptions): MessageData {
    return messageData(data, options)
  }

  numSubscriptions(): number {
    return this.#machine.subscriptions.size
  }

  toJSON(): object {
    return { client: this.#url, id: this.id, state: this.#state }
  }
}

export function connect(options?: ConnectOptions): Client {
  return new Client(options)
}

/** 53 random bits that nobody can guess, not 0. */
function randomTag(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number]
  return (high & 0x1fffff) * 0x1_0000_0000 + low || 1
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), byte => DIGITS[byte & 31]).join('')
}

function urlOf({ address, path = '/conat' }: ConnectOptions): string {
  const base = address ?? (globalThis as { location?: { origin?: string } }).location?.origin
  if (base === undefined) throw invalidValue('address', 'given where there is no page', address)
  let url: URL
  try {
    url = new URL(base)
  } catch {
    throw invalidValue('address', 'http(s):// or ws(s)://host:port', base)
  }
  const protocol = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[url.protocol]
  if (protocol === undefined) throw invalidValue('address', 'http(s):// or ws(s)://host:port', base)
  const below = url.pathname.replace(/\/+$/, '')
  return `${protocol}//${url.host}${below}/${path.replace(/^\/+|\/+$/g, '')}/`
}

function webSocketOf(options: ConnectOptions): WebSocketClass {
  const found = options.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket
  if (typeof found === 'function') return found as WebSocketClass
  throw invalidValue('WebSocket', 'given where there is none', found)
}
