// A socket of either side: writes, data and its end. What differs is in client-socket.ts and
// server-socket.ts.
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type {
  Headers,
  RequestManyOptions,
  RequestOptions,
  SocketDuplexOptions,
  SocketSettings as SocketOptions,
  SocketStats,
  State,
  WriteOptions,
} from '../../index'
import type { Drain } from '../async/drain'
import * as commands from '../engine/commands'
import type { EventReader, Incoming } from '../engine/event-reader'
import { ANSWER, CANCEL, LAST_DATA, REFUSAL, REQUEST, REQUEST_MANY } from '../engine/items'
import {
  SOCKET_ACKED,
  SOCKET_COLLECTED,
  SOCKET_COUNTERS,
  SOCKET_DATA,
  SOCKET_DATA_MANY,
  SOCKET_REQUEST_FAILED,
  SOCKET_REQUEST_RECEIVED,
  SOCKET_STATE,
  SOCKET_UNDELIVERED,
} from '../engine/kinds'
import type { Answers } from '../messaging/answers'
import type { ClientContext } from '../messaging/client-context'
import type { Message, Responder } from '../messaging/message'
import { Ticket } from '../messaging/ticket'
import { decodeAt } from '../values/codec'
import { FabricError } from '../values/errors'
import { errorFrom, type Failure, undeliveredFailure } from '../values/failure'
import { parseHeaders } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { isInterrupted, mustWait, throwAsync } from '../values/throw-async'
import { openDuplex } from './duplex'
import { type DataIterator, Inbox, type Sink } from './inbox'
import { Lifecycle, type LifecycleOwner, type StateEvents } from './lifecycle'
import { END_SHAPE, type EndOptions } from './options'
import { OrderlyEnd, type OrderlyEndOwner } from './orderly-end'
import { Outbox } from './outbox'
import { SocketRequests } from './requests'
import type { SocketSettings } from './settings'
import type { UndeliveredMessage } from './undelivered'

/** Reasons of a close after which nothing is missing. */
const ORDERLY: ReadonlySet<number | string> = new Set(['ERR_CLOSED', 'ERR_SOCKET_CLOSED_BY_PEER'])

/** The address of every socket: sockets have no connections of their own. */
const NO_ADDRESS: { readonly ip: string } = Object.freeze({ ip: '' })

interface SocketEvents extends StateEvents {
  data: [data: unknown, headers: Headers]
  request: [message: Message]
  drain: []
}

export abstract class ConatSocketBase
  extends EventEmitter<SocketEvents>
  implements LifecycleOwner, commands.Consumer, Sink, OrderlyEndOwner
{
  readonly id: string
  readonly subject: string
  /** Whether `end()` or `close()` was called, or the other side closed. */
  ended = false
  /** @internal */
  uncounted = 0
  /** @internal */
  uncountedRequests = 0
  /** @internal */
  uncountedAnswers = 0
  readonly handle: number
  /** Called after each acknowledgement. @internal */
  onProgress: (() => void) | undefined
  protected readonly context: ClientContext
  protected readonly responder: Responder
  protected readonly lifecycle: Lifecycle
  readonly #settings: SocketSettings<SocketOptions>
  // A program may have thousands of sockets, most of them idle: what few need is created on demand.
  #outbox: Outbox | undefined
  #inbox: Inbox | undefined
  #requests: SocketRequests | undefined
  #ending: OrderlyEnd | undefined
  /** The end, which all callers of `end` wait for. */
  #end: Promise<Failure | undefined> | undefined
  #conn: { readonly id: string } | undefined
  #received = 0
  #receivedBytes = 0
  #resent = 0
  #duplicates = 0
  #lastSeen = Date.now()
  /** Whether a stream has the data. */
  #isTaken = false

  /** `settings` may be shared. */
  constructor(
    context: ClientContext,
    responder: Responder,
    handle: number,
    subject: string,
    id: string,
    settings: SocketSettings<SocketOptions>,
  ) {
    super()
    this.context = context
    this.responder = responder
    this.subject = subject
    this.id = id
    this.handle = handle
    this.#settings = settings
    this.lifecycle = new Lifecycle(this, context)
    this.#emitter.on('newListener', handleListener)
  }

  abstract get role(): 'client' | 'server'

  /** Whether it has data that nobody was handed. @internal */
  get isHolding(): boolean {
    return this.#inbox?.isHolding ?? false
  }

  /** Why there is no connection, as far as that is known. @internal */
  get obstacle(): FabricError | undefined {
    return this.context.obstacle && errorFrom(this.context.obstacle)
  }

  /** The subject on which it is asked and answered. @internal */
  abstract get ownSubject(): string

  /** @internal */
  get client(): number {
    return this.context.handle
  }

  get state(): State {
    return this.lifecycle.state
  }

  get desc(): string | undefined {
    return this.#settings.options.desc
  }

  get maxQueueSize(): number {
    return this.#settings.maxQueueSize
  }

  /** @internal */
  get maxMessageBytes(): number {
    return this.#settings.maxMessageBytes(this.context)
  }

  get maxQueueBytes(): number {
    return this.#settings.maxQueueBytes
  }

  get keepAlive(): number {
    return this.#settings.keepAlive
  }

  get keepAliveTimeout(): number {
    return this.#settings.keepAliveTimeout
  }

  get conn(): { readonly id: string } {
    return (this.#conn ??= { id: this.id })
  }

  get address(): { readonly ip: string } {
    return NO_ADDRESS
  }

  /** Views that programs for Conat use. */
  get queuedWrites(): { readonly length: number } {
    return { length: this.#outbox?.queued ?? 0 }
  }

  get tcp(): { readonly send: { readonly unsent: number } } {
    return { send: { unsent: this.#outbox?.pending ?? 0 } }
  }

  get stats(): SocketStats {
    return {
      ...this.#openOutbox().stats,
      received: this.#received,
      receivedBytes: this.#receivedBytes,
      resent: this.#resent,
      duplicates: this.#duplicates,
    }
  }

  get alive(): { readonly last: number } {
    // Where only pings are answered, which the engine does by itself: the other side was heard from in this time, or
    // the socket would not be ready.
    const { keepAlive, keepAliveTimeout } = this
    const pinged = this.state === 'ready' && keepAlive > 0 ? Date.now() - keepAlive - keepAliveTimeout : 0
    return { last: Math.max(this.#lastSeen, pinged) }
  }

  ref(): this {
    this.lifecycle.processRef.ref()
    return this
  }

  unref(): this {
    this.lifecycle.processRef.unref()
    return this
  }

  waitUntilReady(timeout?: number): Promise<void> {
    return this.lifecycle.waitUntilReady(timeout)
  }

  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined> {
    return this.#openRequests().request(data, options)
  }

  requestMany(data?: unknown, options?: RequestManyOptions): Answers {
    return this.#openRequests().requestMany(data, options)
  }

  write(data: unknown, second?: Headers | WriteOptions | null): boolean {
    return (this.#outbox ?? this.#openOutbox()).write(data, second)
  }

  send(data: unknown, second?: Headers | WriteOptions | null): Promise<void> {
    return this.#openOutbox().send(data, second)
  }

  undelivered(): UndeliveredMessage[] {
    return this.#outbox?.undelivered() ?? []
  }

  /** Holds data back until `resume()`, so that the other side's window fills up. */
  pause(): this {
    this.#openInbox().pause()
    return this
  }

  resume(): this {
    this.#inbox?.resume()
    return this
  }

  isPaused(): boolean {
    return this.#inbox?.isPaused ?? false
  }

  /** Hands the data over to a stream, for good. */
  toDuplex(options?: SocketDuplexOptions): Duplex {
    this.#checkTaken()
    const duplex = openDuplex(this, options, ({ code }) => ORDERLY.has(code))
    this.#isTaken = true
    return duplex
  }

  /** Iterates over the data as `[data, headers]`; a message is consumed when it is handed out. */
  iter(): DataIterator {
    this.#checkTaken()
    return this.#openInbox().iterate(true)
  }

  /** The same; a message is consumed when the next one is requested. */
  [Symbol.asyncIterator](): DataIterator {
    this.#checkTaken()
    return this.#openInbox().iterate(false)
  }

  drain(): Promise<void> {
    return this.#openOutbox().drain()
  }

  waitUntilDrain(): Promise<void> {
    return this.#openOutbox().drain()
  }

  /** Resolves when the other side has handled what was written so far; with why not, if it will not. @internal */
  whenHandled(): Promise<Failure | undefined> {
    return this.#openOutbox().whenHandled()
  }

  waitUntilWritable(): Promise<void> {
    return this.#openOutbox().waitUntilWritable()
  }

  close(): void {
    if (this.state === 'closed') return
    this.prepareClose()
    commands.socketClose(this.client, this.handle)
    this.lifecycle.beginClose()
  }

  destroy(): void {
    this.close()
  }

  /**
   * Called before it is closed from this side: what was handed over counts as handled, and what was not is the
   * other side's again. @internal
   */
  prepareClose(): void {
    this.#inbox?.beginEnd()
    this.#inbox?.shut()
  }

  /** Waits until the other side has handled everything, tells it, and closes. Rejects if messages are left. */
  end(options?: EndOptions): Promise<void> {
    // Often nobody awaits it: a failure counts as handled, once it has happened (as in `resolveReply`).
    const ended: Promise<void> = this.#endOr(options, () => void ended.catch(() => {}))
    return ended
  }

  /** Whether the other side has handled everything, and no request is open. @internal */
  get isFinished(): boolean {
    return (this.#outbox?.pending ?? 0) === 0 && (this.#requests?.isFinished ?? true)
  }

  /** @internal */
  get isPeerAway(): boolean {
    return this.lifecycle.wasReady && this.state !== 'ready' && this.context.connected
  }

  /** @internal */
  handleProgress(): void {
    this.#ending?.handleProgress()
  }

  /** Hands nothing more to the application: what arrives is the other side's again. @internal */
  shut(): void {
    this.#openInbox().shut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  override removeAllListeners(name?: unknown): this {
    super.removeAllListeners(name)
    if (this.#emitter.listenerCount('newListener') === 0) {
      this.#emitter.on('newListener', handleListener)
    }
    return this
  }

  /** Returns why a message of this size cannot be written now, if it cannot. @internal */
  refusal(size: number): FabricError | undefined {
    return this.#openOutbox().refusal(size)
  }

  /** Counts a message of a broadcast. @internal */
  countWrite(size: number, isVolatile: boolean): boolean {
    return this.#openOutbox().countWrite(size, isVolatile)
  }

  /** Counts a volatile message of a broadcast that was not written. @internal */
  countDropped(): void {
    this.#openOutbox().countDropped()
  }

  async finishWith(drain: Drain): Promise<void> {
    // Requests may never stop: some time must be left for the end.
    await this.#requests?.whenNone(drain.left / 2)
    // `closed` tells what is left.
    await this.end({ timeout: drain.left }).catch(() => {})
  }

  /** Waits until no request is in flight and loops have asked for more, at most so many ms. @internal */
  async whenQuiet(timeout: number): Promise<void> {
    await Promise.all([this.#requests?.whenNone(timeout), this.#inbox?.inHand.whenNone(timeout)])
  }

  handleEvent(kind: number, event: EventReader): void {
    this.#lastSeen = event.now
    if (kind === SOCKET_STATE) this.lifecycle.handleState(event)
    else if (kind === SOCKET_UNDELIVERED) this.#openOutbox().readUndelivered(event)
    else if (kind === SOCKET_COLLECTED) this.#outbox?.finishCollect()
    else if (this.state === 'closed') return
    else if (kind === SOCKET_DATA_MANY) this.#receiveMany(event)
    else if (kind === SOCKET_DATA) this.#receivePart(event.optStr(), event.payload(), event.now)
    else if (kind === SOCKET_ACKED) {
      this.#outbox?.acknowledge(event.f64(), event.f64())
      this.#ending?.handleProgress()
      this.onProgress?.()
    } else if (kind === SOCKET_REQUEST_RECEIVED) this.#openRequests().receive(event)
    else if (kind === SOCKET_REQUEST_FAILED) this.#requests?.receiveFailed(event)
    else if (kind === SOCKET_COUNTERS) {
      this.#resent = event.f64()
      this.#duplicates = event.f64()
    }
  }

  handleClientClosing(): void {
    this.lifecycle.beginClose()
  }

  handleStranded(failure: Failure, isFinal: boolean): void {
    if (isFinal && this.state !== 'closed') {
      const text = `the connection was lost, and there will be no other: ${failure.message}`
      this.lifecycle.closeReason = new FabricError(text, 'ERR_SOCKET_LOST', { cause: errorFrom(failure) })
    }
    this.lifecycle.handleStranded(failure)
    this.#requests?.strand(failure)
    if (isFinal) this.close()
  }

  handleClientClosed(): void {
    if (!this.#outbox?.finishCollect()) this.lifecycle.handleClientClosed()
  }

  /** @internal */
  abstract describe(): string

  /** @internal */
  handleClosing(failure: Failure, reason: Failure): void {
    this.ended = true
    this.#requests?.end(reason === failure ? undefined : reason)
    this.#inbox?.end(loopFailure(reason))
    this.#outbox?.end(failure, reason)
    this.#ending?.handleClosing(reason)
  }

  /** @internal */
  handleEngineClosed(wasOpen: boolean, finish: (undelivered: number) => void): void {
    if (this.#outbox === undefined) finish(0)
    else this.#outbox.collect(wasOpen, finish)
  }

  /** @internal */
  handleEnter(state: State): void {
    this.#outbox?.handleEnter(state)
  }

  /** @internal */
  handleGone(): void {}

  /** The emitter itself, without the types of its events. */
  get #emitter(): EventEmitter {
    return this as unknown as EventEmitter
  }

  /**
   * Delivers several messages. If a handler closes the socket, the rest is dropped; what an earlier one settled
   * goes on before a handler is called.
   */
  #receiveMany(event: EventReader): void {
    while (event.more && this.state !== 'closed' && !isInterrupted()) {
      const start = event.pos
      const incoming = event.part()
      if (this.#calls(incoming.encoding) && mustWait()) {
        event.pos = start
        return
      }
      this.#receivePart(event.partHeaders, incoming, event.now)
    }
  }

  /** Whether handlers are called at once with a message. */
  #calls(encoding: number): boolean {
    if (encoding <= LAST_DATA) return this.hasListeners()
    return encoding === REQUEST || encoding === REQUEST_MANY || encoding === CANCEL
  }

  #receivePart(headers: string | null, incoming: Incoming, now: number): void {
    const { encoding } = incoming
    if (encoding <= LAST_DATA) {
      if (!this.#inbox?.isShut) this.#receive(headers, incoming)
    } else if (encoding === ANSWER) this.#openRequests().receiveAnswer(headers, incoming)
    else if (encoding === REQUEST) this.#openRequests().receiveRequest(headers, incoming, false, now)
    else if (encoding === REQUEST_MANY) this.#openRequests().receiveRequest(headers, incoming, true, now)
    else if (encoding === REFUSAL) this.#openRequests().receiveRefusal(incoming)
    else if (encoding === CANCEL) this.#openRequests().receiveCancel(incoming)
  }

  #receive(text: string | null, incoming: Incoming): void {
    const { source, start, end, encoding } = incoming
    this.context.countReceived(end - start)
    this.#received += 1
    this.#receivedBytes += end - start
    let data: unknown
    let headers: Headers
    try {
      data = decodeAt(source, start, end, encoding)
      headers = text === null ? {} : (parseHeaders(text) ?? {})
    } catch (error) {
      // The other side broke the rules, and its stream has a gap, so the socket cannot continue.
      this.lifecycle.closeReason = error as FabricError
      this.close()
      return
    }
    this.#openInbox().push(data, headers)
  }

  #checkTaken(): void {
    if (!this.#isTaken) return
    throw new FabricError(
      `the data of ${this.describe()} belongs to the stream of toDuplex()`,
      'ERR_SOCKET_TAKEN',
    )
  }

  #openRequests(): SocketRequests {
    if (this.#requests === undefined) {
      this.#requests = new SocketRequests(this, this.lifecycle, this.context, this.responder)
    }
    return this.#requests
  }

  #openOutbox(): Outbox {
    return (this.#outbox ??= new Outbox(this, this.lifecycle, this.context, this.#settings))
  }

  #openInbox(): Inbox {
    if (this.#inbox === undefined) {
      this.#inbox = new Inbox(this)
      // With what `handleClosing` has left.
      if (this.state === 'closed') this.#inbox.end(loopFailure(this.lifecycle.reason))
    }
    return this.#inbox
  }

  async #endOr(options: EndOptions | undefined, handleFailure: () => void): Promise<void> {
    checkOptions('end', options, END_SHAPE)
    this.#end ??= this.#finish(options)
    const failure = await this.#end
    if (failure === undefined) return
    handleFailure()
    throw errorFrom(failure)
  }

  /** Ends it. Returns why messages are left, if any are. */
  async #finish(options: EndOptions | undefined): Promise<Failure | undefined> {
    let cause: Failure | undefined
    if (this.state !== 'closed') {
      const begun = Date.now()
      this.ended = true
      this.#requests?.beginEnd()
      this.#ending = new OrderlyEnd(this, options)
      cause = await this.#ending.whenFinished()
      if (cause === undefined) await this.#tellEnd(options, begun)
      this.close()
    }
    await this.lifecycle.whenGone()
    const { length } = this.undelivered()
    // What is left after a close from this side is what that close wanted.
    const why = this.lifecycle.reason ?? cause
    return length === 0 || why === undefined ? undefined : undeliveredFailure(this.describe(), length, why)
  }

  /**
   * Tells the other side, which has handled everything, how much was handled here, and waits for its answer.
   * Nothing is handed to the application from now on, so that the number is exact.
   */
  async #tellEnd(options: EndOptions | undefined, begun: number): Promise<void> {
    this.prepareClose()
    this.shut()
    const ticket = new Ticket(this.context, this.responder)
    const timeout = options?.timeout ?? options?.idle ?? END_SHAPE.idle.default
    const left = options?.timeout === undefined ? timeout : timeout - (Date.now() - begun)
    commands.socketEnd(this.client, ticket.handle, this.handle, Math.max(1, Math.ceil(left)))
    await ticket.outcome
  }

  /** @internal */
  hasListeners(): boolean {
    return this.#emitter.listenerCount('data') > 0
  }

  /** Calls the listeners. @internal */
  emitData(data: unknown, headers: Headers): void {
    try {
      this.#emitter.emit('data', data, headers)
    } catch (error) {
      throwAsync(error)
    }
  }

  /** Counts one more consumed message. @internal */
  handleConsumed(): void {
    commands.consumed(this)
  }

  /** Delivers held-back data to a new listener, after its registration and not inside. @internal */
  handleListener(name: string | symbol): void {
    if (name === 'data') {
      this.#checkTaken()
      this.#inbox?.flow()
    } else if (name === 'request') this.#requests?.flow()
    else if (name === 'unpipe') throw pipeError()
  }
}

/** Returns what loops over a socket's data throw when it closes for this reason. */
function loopFailure(reason: Failure | undefined): Failure | undefined {
  return reason === undefined || ORDERLY.has(reason.code) ? undefined : reason
}

/** `pipe` adds such a listener before anything else. A pipeline into a socket would never settle. */
function pipeError(): FabricError {
  const text =
    'a socket is no stream, and nothing can be piped into it: use socket.toDuplex(), or for await (const chunk ' +
    'of readable) if (!socket.write(chunk)) await socket.waitUntilWritable()'
  return new FabricError(text, 'ERR_INVALID_ARG_TYPE')
}

/** Shared by all sockets. */
function handleListener(this: ConatSocketBase, name: string | symbol): void {
  this.handleListener(name)
}
