// A socket of either side: writes and data; requests are in socket-requests.ts. What differs is in socket-client.ts and server-socket.ts.
import type { Headers, SocketSettings, SocketStats, State, WriteOptions } from '../../index'
import { Deliveries } from '../async/deliveries'
import type { Drain } from '../async/drain'
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import { defaults } from '../engine/defaults'
import type { EventReader, Incoming } from '../engine/event-reader'
import {
  SOCKET_ACKNOWLEDGED,
  SOCKET_COLLECTED,
  SOCKET_COUNTED,
  SOCKET_DATA,
  SOCKET_DATA_MANY,
  SOCKET_REQUEST,
  SOCKET_STATE,
  SOCKET_UNDELIVERED,
} from '../engine/events'
import type { ClientContext } from '../messaging/client-context'
import type { Message, Responder } from '../messaging/message'
import { prepare, readMessage, Ticket } from '../messaging/requests'
import { decodeAt } from '../values/codec'
import { errorFrom, FabricError, type Failure, invalidValue } from '../values/errors'
import { parseHeaders } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { nextTick } from '../values/platform'
import { type DataIterator, Inbox, type Sink } from './inbox'
import type { StateEvents } from './lifecycle'
import { END_SHAPE, type EndOptions, writeOptions } from './options'
import { SocketAsking } from './requests'
import { Undelivered, type UndeliveredMessage } from './undelivered'
import { SendWindow, sizeOf } from './window'

export type { State }

interface SocketEvents extends StateEvents {
  data: [data: unknown, headers: Headers]
  request: [message: Message]
  drain: []
}

export abstract class ConatSocketBase extends SocketAsking<SocketEvents> implements commands.Consumer, Sink {
  /** `end()` or `close()` was called, or the other side closed. */
  ended = false
  /** @internal */
  uncounted = 0
  readonly handle: number
  readonly #window: SendWindow
  // A program has thousands of sockets, most of them idle: what few need is made when it is needed.
  #drained: Waiters | undefined
  #deliveries: Deliveries | undefined
  #writable: Waiters | undefined
  #data: Inbox | undefined
  #undelivered: Undelivered | undefined
  #requests: Message[] | undefined
  /** What had been written when the socket was last ready. */
  #writtenReady = 0
  #received = 0
  #receivedBytes = 0
  #volatileDropped = 0
  #resent = 0
  #duplicates = 0
  /** What is to be done when the engine has said everything about a socket that it closed. */
  #collected: (() => void) | undefined
  #lastSeen = Date.now()

  constructor(
    context: ClientContext,
    responder: Responder,
    handle: number,
    subject: string,
    id: string,
    settings: SocketSettings,
  ) {
    super(context, responder, subject, id, settings)
    this.handle = handle
    this.#window = new SendWindow(this.maxQueueSize, this.maxQueueBytes)
    this.emitter.on('newListener', handleListener)
  }

  abstract get role(): 'client' | 'server'

  /** Views that programs of the original look at. */
  get queuedWrites(): { readonly length: number } {
    if (this.state === 'ready') return { length: 0 }
    return { length: this.#window.written - Math.max(this.#window.acknowledged, this.#writtenReady) }
  }

  get tcp(): { readonly send: { readonly unsent: number } } {
    return { send: { unsent: this.#window.messages } }
  }

  get stats(): SocketStats {
    return {
      sent: this.#window.written,
      sentBytes: this.#window.writtenBytes,
      acknowledged: this.#window.acknowledged,
      received: this.#received,
      receivedBytes: this.#receivedBytes,
      resent: this.#resent,
      duplicates: this.#duplicates,
      volatileDropped: this.#volatileDropped,
      pending: this.#window.messages,
      pendingBytes: this.#window.bytes,
    }
  }

  get alive(): { readonly last: number } {
    return { last: this.#lastSeen }
  }

  /** `true` while more than half of the window is free. */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean {
    const options = writeOptions(second)
    this.#checkWritable()
    const isVolatile = options?.volatile === true
    if (isVolatile && this.state !== 'ready') return this.#drop()
    // A writer that tries again and again does not pay for the encoding.
    const full = isVolatile ? undefined : this.#window.refusal(0)
    if (full !== undefined) throw full
    const headers = prepare(data, options, true)
    const size = sizeOf(headers)
    // Encoding may have run code of the user, which may have written to this socket or closed it.
    this.#checkWritable()
    const refusal = this.#window.refusal(size)
    if (refusal !== undefined) {
      if (isVolatile) return this.#drop()
      throw refusal
    }
    this.context.countSent(commands.socketWrite(this.client, this.handle, headers, isVolatile))
    return this.#window.put(size, isVolatile)
  }

  /** Writes, and resolves when the other side has handled it. */
  async send(data: unknown, second?: Headers | WriteOptions | null): Promise<void> {
    if (writeOptions(second)?.volatile === true) throw invalidValue('volatile', 'absent in send()', true)
    this.write(data, second)
    const failure = await (this.#deliveries ??= new Deliveries()).wait(this.#window.written)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Messages that the other side is not known to have handled, in the order of their writing. Empty before `closed`. */
  undelivered(): UndeliveredMessage[] {
    return this.#undelivered?.list() ?? []
  }

  /** Gives the application nothing more until `resume()`: the other side's window fills. */
  pause(): this {
    this.#incoming.pause()
    return this
  }

  resume(): this {
    this.#data?.resume()
    return this
  }

  isPaused(): boolean {
    return this.#data?.isPaused ?? false
  }

  /** All data as `[data, headers]`; a message is consumed when the next one is asked for. */
  iter(): DataIterator {
    return this.#incoming.iterate()
  }

  [Symbol.asyncIterator](): DataIterator {
    return this.iter()
  }

  /** Resolves when everything that was written is acknowledged. */
  async drain(): Promise<void> {
    if (this.#window.messages === 0) return
    if (this.state === 'closed') throw this.closedError()
    const failure = await (this.#drained ??= new Waiters()).wait(`${this.describe()} has not drained`)
    if (failure !== undefined) throw errorFrom(failure)
  }

  async waitUntilDrain(): Promise<void> {
    await this.drain()
  }

  /** Resolves when more than half of the window is free: the pipe to the other side does not run dry, as it does by `drain`. */
  async waitUntilWritable(): Promise<void> {
    if (this.state === 'closed') throw this.closedError()
    while (!this.#window.isWritable) {
      const failure = await (this.#writable ??= new Waiters()).wait(`${this.describe()} is not writable`)
      if (failure !== undefined) throw errorFrom(failure)
    }
  }

  close(): void {
    if (this.state === 'closed') return
    commands.socketClose(this.client, this.handle)
    this.beginClose()
  }

  destroy(): void {
    this.close()
  }

  /** Sends what is queued, tells the other side, and resolves when it has answered or the time is over. */
  async end(options?: EndOptions): Promise<void> {
    checkOptions('end', options, END_SHAPE)
    if (this.state !== 'closed' && !this.ended) {
      this.ended = true
      const ticket = new Ticket(this.context, this.responder)
      const timeout = Math.ceil(options?.timeout ?? defaults.end)
      commands.socketEnd(this.client, ticket.handle, this.handle, timeout)
      await ticket.outcome
      this.close()
    }
    await this.whenGone()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  override removeAllListeners(name?: unknown): this {
    super.removeAllListeners(name)
    if (this.emitter.listenerCount('newListener') === 0) {
      this.emitter.on('newListener', handleListener)
    }
    return this
  }

  /** Why a message of this size cannot be written now. @internal */
  refusal(size: number): FabricError | undefined {
    return this.#window.refusal(size)
  }

  /** Counts a write that the engine has been given. @internal */
  countWrite(size: number, isVolatile: boolean): boolean {
    return this.#window.put(size, isVolatile)
  }

  /** Counts a volatile message that was not written. @internal */
  countDropped(): void {
    this.#volatileDropped += 1
  }

  async finishWith(drain: Drain): Promise<void> {
    // Somebody may ask and ask: there must be time left for the end.
    await this.whenQuiet(drain.left / 2)
    await this.end({ timeout: drain.left })
  }

  /** Waits until loops have come back for more, at most so many ms. @internal */
  async whenHandled(timeout: number): Promise<void> {
    await this.#data?.inHand.whenNone(timeout)
  }

  handleEvent(kind: number, event: EventReader): void {
    this.#lastSeen = event.now
    if (kind === SOCKET_STATE) this.handleState(event)
    else if (kind === SOCKET_UNDELIVERED) (this.#undelivered ??= new Undelivered()).read(event, this.#window)
    else if (kind === SOCKET_COLLECTED) this.#collected?.()
    else if (this.state === 'closed') return
    else if (kind === SOCKET_DATA_MANY) this.#receiveMany(event)
    else if (kind === SOCKET_DATA) this.#receive(event.optStr(), event.payload())
    else if (kind === SOCKET_ACKNOWLEDGED) this.#acknowledge(event.f64(), event.f64())
    else if (kind === SOCKET_REQUEST) this.#receiveRequest(event)
    else if (kind === SOCKET_COUNTED) {
      this.#resent = event.f64()
      this.#duplicates = event.f64()
    }
  }

  override handleClientClosed(): void {
    if (this.#collected !== undefined) this.#collected()
    else super.handleClientClosed()
  }

  protected override handleClosing(failure: Failure, reason: Failure): void {
    this.ended = true
    this.#requests = undefined
    this.forgetRequests()
    this.#data?.end()
    this.#deliveries?.fail(reason)
    this.#drained?.settle(failure)
    this.#writable?.settle(failure)
  }

  /** What was written after the engine had closed the socket, and before this was known here, is told by the engine as well. */
  protected override beforeGone(wasOpen: boolean, finish: (undelivered: number) => void): void {
    const done = (): void => {
      this.#collected = undefined
      finish(this.#undelivered?.length ?? 0)
    }
    if (!wasOpen || (this.#undelivered?.length ?? 0) >= this.#window.messages) done()
    else {
      this.#collected = done
      commands.collect(this.client, this.handle)
    }
  }

  protected override enter(state: State): void {
    if (state === 'ready' || this.state === 'ready') this.#writtenReady = this.#window.written
    super.enter(state)
  }

  /** The state at once; its event comes when the engine has done it. */
  protected leaveReady(): void {
    if (this.state === 'ready') this.#writtenReady = this.#window.written
    this.state = 'disconnected'
  }

  /** A handler may close the socket: then the rest is dropped. */
  #receiveMany(event: EventReader): void {
    while (event.more && this.state !== 'closed') {
      const incoming = event.part()
      this.#receive(event.partHeaders, incoming)
    }
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
      // The other side broke the rules; its stream has a hole here, so it cannot go on.
      this.closeReason = error as FabricError
      this.close()
      return
    }
    this.#incoming.push(data, headers)
  }

  #receiveRequest(event: EventReader): void {
    const message = readMessage(this.context, this.responder, event, true)
    if (this.#requests === undefined && this.#giveRequest(message)) return
    // Nobody has registered yet. More than a window of requests is more than any peer may have under way.
    const requests = (this.#requests ??= [])
    if (requests.length < this.maxQueueSize) requests.push(message)
  }

  /** Whether somebody took it. It is under way until it is answered. */
  #giveRequest(message: Message): boolean {
    if (this.listenerCount('request') === 0) return false
    this.inFlight.begin()
    message.onAnswer(this.inFlight.end)
    return this.announce('request', message)
  }

  get #incoming(): Inbox {
    if (this.#data === undefined) {
      this.#data = new Inbox(this)
      // As `handleClosing` has left it.
      if (this.state === 'closed') this.#data.end()
    }
    return this.#data
  }

  /** Calls the listeners, and says whether there were any. @internal */
  emitData(data: unknown, headers: Headers): boolean {
    return this.announce('data', data, headers)
  }

  /** One more message is consumed. @internal */
  handleConsumed(): void {
    commands.consumed(this)
  }

  #acknowledge(messages: number, bytes: number): void {
    if (!this.#window.acknowledge(messages, bytes)) return
    this.#deliveries?.settle(messages)
    if (this.#window.isWritable) this.#writable?.settle()
    if (this.#window.messages > 0) return
    this.#drained?.settle()
    this.announce('drain')
  }

  #checkWritable(): void {
    if (this.ended || this.context.closed) throw new FabricError(`closed: ${this.describe()}`, 'EPIPE')
  }

  #drop(): false {
    this.#volatileDropped += 1
    return false
  }

  /** What is held for the first listener comes after its registration, not inside. @internal */
  handleListener(name: string | symbol): void {
    if (name === 'data') this.#data?.flow()
    else if (name === 'request' && this.#requests !== undefined) nextTick(() => this.#releaseRequests())
  }

  #releaseRequests(): void {
    while (this.#requests !== undefined && this.listenerCount('request') > 0) {
      const message = this.#requests.shift()
      if (this.#requests.length === 0) this.#requests = undefined
      if (message !== undefined) this.#giveRequest(message)
    }
  }
}

/** The same for all sockets. */
function handleListener(this: ConatSocketBase, name: string | symbol): void {
  this.handleListener(name)
}
