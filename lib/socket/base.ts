// A socket of either side: writes, data and its end. What differs is in client-socket.ts and
// server-socket.ts.
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type {
  Headers,
  RequestManyOptions,
  RequestOptions,
  SendOptions,
  SocketDuplexOptions,
  SocketSettings as SocketOptions,
  SocketRenewal,
  SocketStats,
  State,
  WaitOptions,
  WriteOptions,
} from '../../index'
import { abortText } from '../async/abort-text'
import { type Drain, doneBefore } from '../async/drain'
import { Emitter, HEARD, type Heard, SOCKET_HEARD } from '../async/emitter'
import { openWebStreams, type WebStreams, type WrittenStream } from '../async/web-streams'
import * as commands from '../engine/commands'
import type { EventReader, Incoming } from '../engine/event-reader'
import {
  SOCKET_ACKED,
  SOCKET_COLLECTED,
  SOCKET_COUNTERS,
  SOCKET_DATA,
  SOCKET_DATA_MANY,
  SOCKET_REQUEST_DONE,
  SOCKET_REQUEST_FAILED,
  SOCKET_REQUEST_RECEIVED,
  SOCKET_STALE,
  SOCKET_STATE,
  SOCKET_TIMED,
  SOCKET_UNDELIVERED,
  SOCKET_UNWELCOME,
} from '../engine/kinds'
import type { Answers } from '../messaging/answers'
import type { ClientContext } from '../messaging/client-context'
import type { Message, Responder } from '../messaging/message'
import { watchConnecting, watchHandling } from '../messaging/watching'
import { CHANNELS } from '../telemetry/channels'
import { type SocketTally, socketEnd } from '../telemetry/client-counters'
import type { FabricError } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { NO_COUNTERS, type SocketCounters } from './counters'
import { openDuplex, pipeError } from './duplex'
import { excuses, leaveUnanswered } from './handler-failures'
import { type Answer, handleRequests } from './handling'
import type { DataIterator } from './inbox'
import type { KeptRequests } from './kept-requests'
import { isOrderly, Lifecycle, type LifecycleOwner, type StateEvents } from './lifecycle'
import type { EndOptions } from './options'
import { OrderlyEnd, type OrderlyEndOwner } from './orderly-end'
import { Outbox } from './outbox'
import { Receiver } from './receiver'
import { SocketRequests } from './requests'
import type { SocketSettings } from './settings'
import type { UndeliveredMessage } from './undelivered'

const NO_TALLY: SocketTally = {
  sent: 0,
  sentBytes: 0,
  received: 0,
  receivedBytes: 0,
  resent: 0,
  duplicates: 0,
  volatileDropped: 0,
  expired: 0,
  foreign: 0,
  pending: 0,
  pendingBytes: 0,
}

/** The address of every socket: sockets have no connections of their own. */
const NO_ADDRESS: { readonly ip: string } = Object.freeze({ ip: '' })

interface SocketEvents extends StateEvents {
  data: [data: unknown, headers: Headers]
  request: [message: Message]
  drain: []
  renewed: [renewal: SocketRenewal]
}

export abstract class ConatSocketBase
  extends Emitter<SocketEvents>
  implements LifecycleOwner, commands.Consumer, OrderlyEndOwner
{
  static readonly [HEARD]: Heard = SOCKET_HEARD
  id: string
  readonly subject: string
  /** Whether `end()` or `close()` was called, or the other side closed. */
  ended = false
  /** @internal */
  uncounted = 0
  /** @internal */
  uncountedRequests = 0
  /** @internal */
  uncountedAnswers = 0
  engineHandle: number
  /** Called after each acknowledgement. @internal */
  onProgress: (() => void) | undefined
  /** Whether a drain of the client leaves it alone: whoever has opened it closes it. @internal */
  isOwned = false
  /** Returns whether data may be decoded, and kept until somebody reads it; else it is dropped. @internal */
  admits: ((incoming: Incoming) => boolean) | undefined
  protected readonly context: ClientContext
  protected readonly responder: Responder
  protected readonly lifecycle: Lifecycle
  readonly #settings: SocketSettings<SocketOptions>
  // A program may have thousands of sockets, most of them idle: what few need is created on demand.
  #outbox: Outbox | undefined
  #receiver: Receiver | undefined
  #requests: SocketRequests | undefined
  #ending: OrderlyEnd | undefined
  #stream: WrittenStream | undefined
  #isCutOff = false
  #isCutOffTold = false
  #conn: { readonly id: string } | undefined
  /** Ends the span of its connect. */
  #connected: ReturnType<typeof watchConnecting>
  #lastSeen = Date.now()

  /** `settings` may be shared. */
  constructor(
    context: ClientContext,
    responder: Responder,
    handle: number,
    subject: string,
    id: string,
    settings: SocketSettings<SocketOptions>,
  ) {
    super({ captureRejections: true })
    this.context = context
    this.responder = responder
    this.subject = subject
    this.id = id
    this.engineHandle = handle
    this.#settings = settings
    this.lifecycle = new Lifecycle(this, context)
    if (CHANNELS.socketOpen.hasSubscribers) CHANNELS.socketOpen.publish(this.#told)
    this.#emitter.on('newListener', handleListener)
  }

  /** A handler that returned a promise has failed. @internal */
  override [EventEmitter.captureRejectionSymbol](error: Error, ...[event]: unknown[]): void {
    if (event === 'request') leaveUnanswered(this, error)
    else if (event !== 'data' || !excuses(this, event, error)) void Promise.reject(error)
  }

  abstract get role(): 'client' | 'server'

  /** Whether it has such data, that nobody was handed. @internal */
  holds(matches: (data: unknown) => boolean): boolean {
    return this.#receiver?.inbox.holds(matches) ?? false
  }

  /** Why it is not ready, as far as that is known. @internal */
  get obstacle(): FabricError | undefined {
    const why = this.lifecycle.why()
    return why && errorFrom(why)
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
    const [sent, received] = [this.outbox.stats, this.#receiver?.counters ?? NO_COUNTERS]
    return { ...sent, ...received, expired: sent.expired + received.expired }
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

  waitUntilReady(given?: number | WaitOptions): Promise<void> {
    return this.lifecycle.waitUntilReady(given)
  }

  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined> {
    return this.openRequests().request(data, options)
  }

  requestMany(data?: unknown, options?: RequestManyOptions): Answers {
    return this.openRequests().requestMany(data, options)
  }

  write(data: unknown, second?: Headers | WriteOptions | null): boolean {
    return this.outbox.write(data, second)
  }

  send(data: unknown, options?: SendOptions): Promise<void> {
    return this.outbox.send(data, options)
  }

  undelivered(): UndeliveredMessage[] {
    return this.#outbox?.undelivered() ?? []
  }

  /** Requests that another server may take. @internal */
  get kept(): KeptRequests | undefined {
    return undefined
  }

  /** Holds data back until `resume()`, so that the other side's window fills up. */
  pause(): this {
    this.#openReceiver().inbox.pause()
    return this
  }

  resume(): this {
    this.#receiver?.inbox.resume()
    return this
  }

  isPaused(): boolean {
    return this.#receiver?.inbox.isPaused ?? false
  }

  /** Hands the data over to a stream, for good. */
  toDuplex(options?: SocketDuplexOptions): Duplex {
    const receiver = this.#openReceiver()
    receiver.checkFree()
    const duplex = openDuplex(this, receiver.inbox, options, isOrderly)
    receiver.take()
    receiver.inbox.isStreamed = true
    this.#stream = duplex
    return duplex
  }

  /** The same as streams of the platform. */
  toWeb(): WebStreams {
    const receiver = this.#openReceiver()
    receiver.checkFree()
    receiver.take()
    const { streams, written } = openWebStreams(this, receiver.inbox.iterate(false))
    this.#stream = written
    return streams
  }

  /** Has a function answer requests: with what it returns, or throws. */
  handle(answer: Answer): this {
    handleRequests(this, answer)
    return this
  }

  /** Iterates over the data as `[data, headers]`; a message is consumed when it is returned. */
  iter(): DataIterator {
    return this.#openReceiver().iterate(true)
  }

  /** The same; a message is consumed when the next one is requested. */
  [Symbol.asyncIterator](): DataIterator {
    return this.#openReceiver().iterate(false)
  }

  drain(options?: WaitOptions): Promise<void> {
    return this.outbox.drain(options)
  }

  waitUntilDrain(options?: WaitOptions): Promise<void> {
    return this.outbox.drain(options, 'waitUntilDrain')
  }

  /** Resolves when the other side has handled what was written so far; with why not, if it will not. @internal */
  whenHandled(): Promise<Failure | undefined> {
    return this.outbox.whenHandled()
  }

  waitUntilWritable(options?: WaitOptions): Promise<void> {
    return this.outbox.waitUntilWritable(options)
  }

  close(): void {
    this.#close()
  }

  /** Closes; with a reason, unless it has been ended, what was written is incomplete, and the other side is told so. */
  destroy(reason?: unknown): void {
    if (reason === undefined || reason === null || this.ended) this.close()
    else this.#close((client, socket) => commands.socketClose(client, socket, abortText(reason)))
  }

  #close(by: (client: number, socket: number) => void = commands.socketClose): void {
    if (this.state === 'closed') return
    this.prepareClose()
    if (!this.#isCutOffTold) by(this.client, this.engineHandle)
    this.lifecycle.beginClose()
  }

  /** Whether it ends in the middle of what a stream writes. @internal */
  get isCutOff(): boolean {
    return this.#isCutOff || this.#stream?.isBeingWritten === true
  }

  /**
   * Called before it is closed from this side: what was handed over counts as handled, and what was not is the
   * other side's again. @internal
   */
  prepareClose(): void {
    this.#receiver?.inbox.beginEnd()
    this.#receiver?.inbox.shut()
    if (!this.isCutOff || this.#isCutOffTold || this.state === 'closed') return
    this.#isCutOffTold = true
    commands.socketClose(this.client, this.engineHandle, CUT_OFF)
  }

  /** Waits until the other side has handled everything, tells it, and closes. Rejects if messages are left. */
  end(options?: EndOptions): Promise<void> {
    this.#ending ??= new OrderlyEnd(this, this.lifecycle, this.context, this.responder)
    return this.#ending.end(options)
  }

  /** Whether the other side has handled everything, and no request is open. @internal */
  get isFinished(): boolean {
    return (this.#outbox?.pending ?? 0) === 0 && (this.#requests?.isFinished ?? true)
  }

  /** Writes and asks nothing more. @internal */
  beginEnd(): void {
    this.#isCutOff = this.isCutOff
    this.ended = true
    this.#requests?.beginEnd()
  }

  /** @internal */
  handleProgress(): void {
    this.#ending?.handleProgress()
  }

  /** @internal */
  get counters(): SocketCounters {
    return this.#openReceiver().counters
  }

  /** Hands nothing more to the application: what arrives is the other side's again. @internal */
  shut(): void {
    this.#openReceiver().inbox.shut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  override removeAllListeners(name?: string | symbol): this {
    super.removeAllListeners(name)
    if (this.#emitter.listenerCount('newListener') === 0) {
      this.#emitter.on('newListener', handleListener)
    }
    return this
  }

  async finishWith(drain: Drain): Promise<void> {
    if (this.isOwned) return
    await this.#requests?.whenNone(drain.halfOver)
    await this.endWith(drain)
  }

  /** Ends by the deadline: `closed` tells what is left. @internal */
  async endWith(drain: Drain): Promise<void> {
    const ended = this.end({ timeout: drain.left }).catch(() => {})
    await doneBefore(drain.over, ended, () => this.#ending?.cutShort())
  }

  /** Waits until no request is in flight and loops have asked for more, or until then. @internal */
  async whenQuiet(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#requests?.whenNone(signal), this.#receiver?.inbox.inHand.whenNone(signal)])
  }

  handleEvent(kind: number, event: EventReader): void {
    this.#lastSeen = event.now
    if (kind === SOCKET_STATE) this.lifecycle.handleState(event)
    else if (kind === SOCKET_UNDELIVERED) this.outbox.readUndelivered(event)
    else if (kind === SOCKET_COLLECTED) this.#outbox?.finishCollect()
    else if (this.state === 'closed') return
    else if (kind === SOCKET_DATA_MANY) this.#openReceiver().receiveMany(event)
    else if (kind === SOCKET_DATA) this.#openReceiver().receive(event.optStr(), event.payload(), event.now)
    else if (kind === SOCKET_ACKED) {
      this.#outbox?.acknowledge(event.f64(), event.f64())
      this.#ending?.handleProgress()
      this.onProgress?.()
    } else if (kind === SOCKET_REQUEST_RECEIVED) this.openRequests().asked.receive(event)
    else if (kind === SOCKET_REQUEST_FAILED) this.#requests?.receiveFailed(event)
    else if (kind === SOCKET_REQUEST_DONE) this.#requests?.receiveDone(event)
    else if (kind === SOCKET_COUNTERS) this.#openReceiver().counters.read(event)
    else if (kind === SOCKET_TIMED) this.#openReceiver().receiveTimed(event)
    else if (kind === SOCKET_STALE) {
      this.outbox.readStale(event)
      this.#ending?.handleProgress()
      this.onProgress?.()
    } else if (kind === SOCKET_UNWELCOME) this.closeFor(errorFrom(new Failure(event.code(), event.str())))
  }

  handleClientClosing(reason: Failure | undefined): void {
    this.lifecycle.beginCloseFromAbove(reason)
  }

  handleStranded(failure: Failure, isFinal: boolean): void {
    this.lifecycle.handleStranded(failure, isFinal)
    this.#requests?.strand(failure)
    if (isFinal) this.close()
    else {
      this.#outbox?.strand(failure)
      // What was attached once goes on when it is back, as a subscription does that stood.
      if (!this.lifecycle.wasReady) this.#receiver?.inbox.strand(failure)
    }
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
    this.#receiver?.end(reason)
    this.#outbox?.end(reason)
    this.#ending?.handleClosing(reason)
  }

  /** @internal */
  handleEngineClosed(wasOpen: boolean, finish: (undelivered: number) => void): void {
    if (this.#outbox === undefined) finish(0)
    else this.#outbox.collect(wasOpen, finish)
  }

  /** @internal */
  handleEnter(state: State): void {
    if (state === 'ready') this.#endConnect()
    if (state === 'ready' && !this.lifecycle.wasReady) this.context.counters.socketOpened(this.role)
    if (state === 'ready' && CHANNELS.socketReady.hasSubscribers) CHANNELS.socketReady.publish(this.#told)
    if (state === 'disconnected' && CHANNELS.socketDisconnect.hasSubscribers) {
      CHANNELS.socketDisconnect.publish(this.#told)
    }
    this.context.onSocketState?.(this)
    this.#outbox?.handleEnter(state)
  }

  /** @internal */
  handleGone(reason: FabricError | undefined, undelivered: number): void {
    this.#endConnect(reason ?? { code: 'ERR_CLOSED', message: `closed: ${this.describe()}` })
    this.context.onSocketState?.(this)
    this.context.counters.socketClosed(this.role, socketEnd(reason), this.tally, undelivered)
    if (CHANNELS.socketClose.hasSubscribers) {
      CHANNELS.socketClose.publish({ ...this.#told, reason, undelivered })
    }
  }

  /** Tells those who trace that it connects, until it is ready or gone. */
  protected beginConnect(): void {
    this.#connected = watchConnecting(this.context, this.topic, this.id)
  }

  #endConnect(failure?: { code: string | number; message: string }): void {
    this.#connected?.(failure)
    this.#connected = undefined
  }

  /** What spans call it: the subject that it was connected to. @internal */
  get topic(): string {
    return this.subject
  }

  /** Calls a handler, for those who watch it. @internal */
  watch<T>(isRequest: boolean, headers: Headers | null | undefined, handle: () => T, size?: () => number): T {
    const where = { subject: this.topic, template: this.topic, socketId: this.id, size }
    return watchHandling(this.context, where, isRequest, headers, { socket: this }, handle)
  }

  /** What it has counted, without halves that are created on demand. @internal */
  get tally(): SocketTally {
    const expired = (this.#outbox?.stats.expired ?? 0) + (this.#receiver?.counters.expired ?? 0)
    return { ...NO_TALLY, ...this.#outbox?.stats, ...this.#receiver?.counters, expired }
  }

  /** What channels tell of it. */
  get #told(): { socket: ConatSocketBase; subject: string; role: 'client' | 'server' } {
    return { socket: this, subject: this.subject, role: this.role }
  }

  /** The emitter itself, without the types of its events. */
  get #emitter(): EventEmitter {
    return this as unknown as EventEmitter
  }

  /** @internal */
  openRequests(): SocketRequests {
    if (this.#requests === undefined) {
      this.#requests = new SocketRequests(this, this.lifecycle, this.context, this.responder)
    }
    return this.#requests
  }

  /** Its sending half, which is created on demand. @internal */
  get outbox(): Outbox {
    return (this.#outbox ??= new Outbox(this, this.lifecycle, this.context, this.#settings))
  }

  #openReceiver(): Receiver {
    if (this.#receiver === undefined) {
      this.#receiver = new Receiver(this, this.context)
      // With what `handleClosing` has left.
      if (this.state === 'closed') this.#receiver.end(this.lifecycle.reason)
    }
    return this.#receiver
  }

  /** @internal */
  closeFor(error: FabricError): void {
    this.lifecycle.closeReason = error
    this.close()
  }

  /** The same, and tells the other side. @internal */
  abortFor(error: FabricError): void {
    this.lifecycle.closeReason = error
    this.#close((client, socket) => commands.socketClose(client, socket, abortText(error)))
  }

  /** Closes, and tells the other side that it does not keep up. @internal */
  giveUp(error: FabricError): void {
    this.lifecycle.closeReason = error
    this.#close(commands.socketGiveUp)
  }

  /** Delivers held-back data to a new listener, after its registration and not inside. @internal */
  handleListener(name: string | symbol): void {
    if (name === 'data') {
      this.#receiver?.checkFree()
      this.#receiver?.inbox.flow()
    } else if (name === 'request') this.#requests?.flow()
    else if (name === 'unpipe') throw pipeError()
  }
}

/** What the other side is told when this one is closed, or drains, before what is piped to it has come to its end. */
const CUT_OFF = 'the other side was closed before its stream had come to its end'

/** Shared by all sockets. */
function handleListener(this: ConatSocketBase, name: string | symbol): void {
  this.handleListener(name)
}
