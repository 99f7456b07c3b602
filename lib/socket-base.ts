// A socket of either side: writes, data, requests. What differs is in socket-client.ts and server-socket.ts.
import { type Answers, ask } from './answers'
import { decodeAt } from './codec'
import * as commands from './commands'
import type { Core } from './core'
import { abortFailure, errorFrom, FabricError, Failed, invalidType } from './errors'
import { SOCKET_ACKNOWLEDGED, SOCKET_DATA, SOCKET_DATA_MANY, SOCKET_REQUEST, SOCKET_STATE } from './events'
import { type Headers, parseHeaders } from './headers'
import type { Message, MessageOptions, Responder } from './message'
import { checkOptions, defaults, isTimeout } from './options'
import {
  MESSAGE_SHAPE,
  prepare,
  REQUEST_MANY_SHAPE,
  REQUEST_SHAPE,
  type RequestManyOptions,
  type RequestOptions,
  readMessage,
  Ticket,
  waitOf,
} from './requests'
import type { Incoming, Slab } from './slab'
import { type DataIterator, SocketData } from './socket-data'
import { type State, type StateEvents, Stateful } from './socket-state'
import { Waiters } from './waiters'

export type { State }
export type WriteOptions = MessageOptions

export interface EndOptions {
  timeout?: number
}

export const END_SHAPE = { timeout: isTimeout }

/** The second argument of `write`: options when all its keys are option names, else the headers themselves. */
export function writeOptions(second: Headers | WriteOptions | null | undefined): WriteOptions | undefined {
  if (second === undefined || second === null) return undefined
  if (typeof second !== 'object') throw invalidType('headers', 'an object', second)
  for (const name of Object.keys(second)) {
    if (!Object.hasOwn(MESSAGE_SHAPE, name)) return { headers: second as Headers }
  }
  checkOptions('write', second, MESSAGE_SHAPE)
  return second
}

export interface SocketEvents extends StateEvents {
  data: [data: unknown, headers: Headers]
  request: [message: Message]
  drain: []
}

export abstract class ConatSocketBase extends Stateful<SocketEvents> implements commands.Consumer {
  readonly id: string
  abstract readonly role: 'client' | 'server'
  readonly desc: string | undefined
  readonly maxQueueSize: number
  readonly keepAlive: number
  readonly keepAliveTimeout: number
  readonly conn: { readonly id: string }
  readonly address: { readonly ip: string } = { ip: '' }
  /** `end()` or `close()` was called, or the other side closed. */
  ended = false
  /** @internal */
  uncounted = 0
  readonly handle: number
  readonly #responder: Responder
  readonly #drained = new Waiters()
  readonly #data: SocketData
  #requests: Message[] = []
  #written = 0
  #acknowledged = 0
  /** `#written` when the socket was last ready. */
  #writtenReady = 0
  #lastSeen = Date.now()

  constructor(
    core: Core,
    responder: Responder,
    handle: number,
    subject: string,
    id: string,
    options: SocketSettings,
  ) {
    super(core, subject)
    this.handle = handle
    this.id = id
    this.conn = { id }
    this.desc = options.desc
    this.maxQueueSize = options.maxQueueSize ?? defaults.maxQueueSize
    this.keepAlive = options.keepAlive ?? defaults.keepAlive
    this.keepAliveTimeout = options.keepAliveTimeout ?? defaults.keepAliveTimeout
    this.#responder = responder
    this.#data = new SocketData({
      emitData: (data, headers) => this.announce('data', data, headers),
      handleConsumed: () => commands.consumed(this),
    })
    this.emitter.on('newListener', this.#handleListener)
  }

  /** Views that programs of the original look at. */
  get queuedWrites(): { readonly length: number } {
    if (this.state === 'ready') return { length: 0 }
    return { length: this.#written - Math.max(this.#acknowledged, this.#writtenReady) }
  }

  get tcp(): { readonly send: { readonly unsent: number } } {
    return { send: { unsent: this.#written - this.#acknowledged } }
  }

  get alive(): { readonly last: number } {
    return { last: this.#lastSeen }
  }

  /** `true` while more than half of the window is free. */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean {
    if (this.ended || this.core.closed) throw new FabricError(`closed: ${this.describe()}`, 'EPIPE')
    if (!this.hasRoom) throw this.fullError()
    const headers = prepare(data, writeOptions(second), true)
    // Encoding may have run code of the user, which may have written to this socket or closed it.
    if (this.ended) throw new FabricError(`closed: ${this.describe()}`, 'EPIPE')
    if (!this.hasRoom) throw this.fullError()
    this.core.countSent(commands.socketWrite(this.client, this.handle, headers))
    return this.countWrite()
  }

  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  async request(data?: unknown, options?: RequestOptions): Promise<Message | undefined> {
    this.checkOpen()
    checkOptions('request', options, REQUEST_SHAPE)
    const outcome = await this.#ask(data, options)
    if (!(outcome instanceof Failed)) return outcome as Message
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(data?: unknown, options?: RequestManyOptions): Answers {
    return ask(this.core, this.#responder, options?.signal, () => {
      this.checkOpen()
      checkOptions('requestMany', options, REQUEST_MANY_SHAPE)
      const wait = waitOf(options, true)
      const headers = prepare(data, options, true)
      return ticket => this.#sendRequest(ticket, wait, headers)
    })
  }

  /** All data as `[data, headers]`; a message is consumed when the next one is asked for. */
  iter(): DataIterator {
    return this.#data.iterate()
  }

  [Symbol.asyncIterator](): DataIterator {
    return this.iter()
  }

  /** Resolves when everything that was written is acknowledged. */
  async drain(): Promise<void> {
    if (this.#written === this.#acknowledged) return
    if (this.state === 'closed') throw this.closedError()
    const failure = await this.#drained.wait(`${this.describe()} has not drained`)
    if (failure !== undefined) throw errorFrom(failure)
  }

  async waitUntilDrain(): Promise<void> {
    await this.drain()
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
      const ticket = new Ticket(this.core, this.#responder)
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
    if (this.emitter.listenerCount('newListener') === 0) this.emitter.on('newListener', this.#handleListener)
    return this
  }

  /** @internal */
  get hasRoom(): boolean {
    return this.#written - this.#acknowledged < this.maxQueueSize
  }

  /** Counts a write that the engine has been given. @internal */
  countWrite(): boolean {
    this.#written += 1
    return (this.#written - this.#acknowledged) * 2 < this.maxQueueSize
  }

  /** @internal */
  fullError(): FabricError {
    return new FabricError(`WRITE FAILED: socket buffer size ${this.maxQueueSize} exceeded`, 'ENOBUFS')
  }

  handleEvent(kind: number, slab: Slab): void {
    this.#lastSeen = slab.now
    if (kind === SOCKET_STATE) this.handleState(slab)
    else if (this.state === 'closed') return
    else if (kind === SOCKET_DATA_MANY) this.#receiveMany(slab)
    else if (kind === SOCKET_DATA) this.#receive(slab.optStr(), slab.payload())
    else if (kind === SOCKET_ACKNOWLEDGED) this.#acknowledge(slab.f64())
    else if (kind === SOCKET_REQUEST) this.#receiveRequest(slab)
  }

  protected override handleClosing(failure: Failed): void {
    this.ended = true
    this.#requests = []
    this.#data.end()
    this.#drained.settle(failure)
  }

  protected override enter(state: State): void {
    if (state === 'ready' || this.state === 'ready') this.#writtenReady = this.#written
    super.enter(state)
  }

  /** The state at once; its event comes when the engine has done it. */
  protected leaveReady(): void {
    if (this.state === 'ready') this.#writtenReady = this.#written
    this.state = 'disconnected'
  }

  /** A handler may close the socket: then the rest is dropped. */
  #receiveMany(slab: Slab): void {
    while (slab.more && this.state !== 'closed') this.#receive(slab.optStr(), slab.part())
  }

  #receive(text: string | null, incoming: Incoming): void {
    const { source, start, end, encoding } = incoming
    this.core.countReceived(end - start)
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
    this.#data.push(data, headers)
  }

  #receiveRequest(slab: Slab): void {
    const message = readMessage(this.core, this.#responder, slab, true)
    if (this.#requests.length === 0 && this.announce('request', message)) return
    // Nobody has registered yet. More than a window of requests is more than any peer may have under way.
    if (this.#requests.length < this.maxQueueSize) this.#requests.push(message)
  }

  #acknowledge(total: number): void {
    if (total <= this.#acknowledged) return
    this.#acknowledged = total
    if (total !== this.#written) return
    this.#drained.settle()
    this.announce('drain')
  }

  /** What is held for the first listener comes after its registration, not inside. */
  #handleListener = (name: string | symbol): void => {
    if (name === 'data') this.#data.flow()
    else if (name === 'request' && this.#requests.length > 0) process.nextTick(() => this.#releaseRequests())
  }

  #releaseRequests(): void {
    while (this.#requests.length > 0 && this.listenerCount('request') > 0) {
      this.announce('request', this.#requests.shift())
    }
  }

  #ask(data: unknown, options: RequestOptions | undefined): Promise<unknown> | Failed {
    if (options?.signal?.aborted) return abortFailure(options.signal)
    const wait = waitOf(options, false)
    const headers = prepare(data, options, true)
    const ticket = new Ticket(this.core, this.#responder, options?.signal)
    this.#sendRequest(ticket.handle, wait, headers)
    return ticket.outcome
  }

  #sendRequest(ticket: number, wait: commands.Wait, headers: string | null): void {
    this.core.countSent(commands.socketRequest(this.client, ticket, this.handle, wait, headers))
  }
}

/** What both sides can set. */
export interface SocketSettings {
  desc?: string
  maxQueueSize?: number
  keepAlive?: number
  keepAliveTimeout?: number
}
