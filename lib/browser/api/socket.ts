// A socket that connects, as the application has it.
import type { Headers } from '../../../index'
import type { SocketStats } from '../../../types/browser'
import { onAbort } from '../../async/aborts'
import { FabricError } from '../../values/errors'
import {
  abortFailure,
  closedFailure,
  errorFrom,
  Failure,
  timeoutFailure,
  undeliveredFailure,
  unhandled,
  withUndelivered,
} from '../../values/failure'
import { checkOptions, checkSendOptions } from '../../values/option-checks'
import { nextTurn } from '../../values/platform'
import type { ClientMachine } from '../client/machine'
import type { SocketSink } from '../socket/fabric'
import { jsonIn } from '../socket/greeting'
import type { SocketMachine } from '../socket/machine'
import { ASK, answerItem, DATA, readRequest, refusalItem } from '../stream/items'
import type { Left } from '../stream/send-queue'
import { bytesOf, type Item, jsonOf, type Publication } from '../wire/publication'
import { Emitter } from './emitter'
import { type DataIterator, Inbox, type Received, type Sink } from './inbox'
import {
  type AnsweredError,
  type Answering,
  answerOf,
  checkSize,
  decoded,
  ERROR,
  failureOf,
  headersOf,
  itemOf,
  Message,
  MessageData,
  type MessageOptions,
} from './message'
import {
  DEFAULT_TIMEOUT,
  END_SHAPE,
  PUBLISH_SHAPE,
  SEND_SHAPE,
  type WriteOptions,
  writeOptions,
} from './options'
import { bound, checkWait, type WaitOptions, Waits } from './waits'

export type State = 'disconnected' | 'connecting' | 'ready' | 'closed'

interface Events {
  data: Received
  request: [message: Message]
  drain: []
  disconnected: [reason?: FabricError]
  connecting: []
  ready: []
  closed: [reason: FabricError | undefined, undelivered: number]
}

/** A room that is followed. */
interface View {
  handleNews(news: unknown): void
}

export interface SocketContext {
  readonly machine: ClientMachine
  /** How a request beside the stream is answered. */
  answering(reply: string): Answering
}

export interface SocketOptions extends WaitOptions {
  maxQueueSize?: number
  maxQueueBytes?: number
  maxMessageBytes?: number
  keepAlive?: number
  keepAliveTimeout?: number
  resumeTimeout?: number
  reconnection?: boolean
}

interface RequestOptions extends WaitOptions {
  headers?: unknown
}

interface EndOptions extends WaitOptions {
  idle?: number
}

/**
 * The headers of what a server tells beside its data: of a room, and why it closes. Before the rest of it is read: where the
 * letter after `CN-` stands in the JSON.
 */
const ROOM = 'CN-Room'
const [LETTER_AT, R, E] = [5, 82, 69]
/** Requests of the other side that wait for a listener, and how long. */
const MAX_HELD = 500
const HOLD_TIME = 10_000
const END_IDLE = 10_000
/** How often an end looks whether something has moved, in its idle time. */
const LOOKS = 4

/** A message that the other side is not known to have handled. */
export class UndeliveredMessage extends MessageData {
  readonly seq: number

  constructor({ seq, item }: Left) {
    super({ ...item, headers: headersOf(item.json) } as { raw: Uint8Array })
    this.seq = seq
  }
}

export class ClientSocket extends Emitter<Events> implements SocketSink, Sink {
  readonly id: string
  readonly subject: string
  readonly role = 'client'
  readonly #context: SocketContext
  readonly #machine: SocketMachine
  readonly #inbox = new Inbox(this)
  #state: State = 'disconnected'
  #reason: Failure | undefined
  #isEnding = false
  #ended: Promise<Failure | undefined> | undefined
  /** What calls of `end` have said: the one that is over first counts. */
  readonly #limits: (EndOptions & { from: number })[] = []
  /** Called when there is another one. */
  #hastened: () => void = () => {}
  #left: UndeliveredMessage[] = []
  readonly #ready = new Waits()
  readonly #writable = new Waits()
  readonly #drained = new Waits()
  readonly #gone = new Waits()
  /** Sends that wait until so many are handled, in order. */
  #sends: { readonly seq: number; readonly settle: (failure: Failure | undefined) => void }[] = []
  readonly #asked = new Map<number, AbortController>()
  #held: { readonly item: Item; readonly until: number }[] = []
  #hasSettled = false
  /** Ends the bounds of the first `ready`. */
  readonly #stopLimit: () => void
  /** The rooms that it follows, by name. @internal */
  readonly views = new Map<string, View>()
  readonly #tally = { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, volatileDropped: 0 }

  constructor(
    context: SocketContext,
    subject: string,
    id: string,
    maxMessageBytes: number,
    options: SocketOptions,
  ) {
    super()
    this.#context = context
    this.subject = subject
    this.id = id
    this.#machine = context.machine.openSocket(this, {
      subject,
      id,
      maxQueueSize: options.maxQueueSize ?? 1000,
      maxQueueBytes: options.maxQueueBytes ?? 256 * 1024 * 1024,
      maxMessageBytes: Math.min(options.maxMessageBytes ?? maxMessageBytes, maxMessageBytes),
      keepAlive: options.keepAlive ?? 45_000,
      keepAliveTimeout: options.keepAliveTimeout ?? 30_000,
      resumeTimeout: options.resumeTimeout,
      reconnection: options.reconnection ?? true,
    })
    this.#stopLimit = bound(options, `${this.#describe()} did not get ready`, failure => {
      this.#machine.close(failure)
      this.#touch()
    })
    this.#touch()
  }

  get state(): State {
    return this.#state
  }

  get ended(): boolean {
    return this.#isEnding || this.#state === 'closed'
  }

  get serverId(): string | undefined {
    return this.#machine.serverId
  }

  get stats(): SocketStats {
    const { sender, stream } = this.#machine
    return {
      ...this.#tally,
      acknowledged: sender.acked,
      resent: sender.resent,
      duplicates: stream?.duplicates ?? 0,
      foreign: stream?.foreign ?? 0,
      pending: sender.unacked,
      pendingBytes: sender.unackedBytes,
    }
  }

  #touch(): void {
    this.#context.machine.touch(this.#machine)
  }

  #describe(): string {
    return `the socket on '${this.subject}'`
  }

  // ---- writing

  write(data: unknown, second?: Headers | object | null): boolean {
    return this.#write(data, writeOptions(second))
  }

  /** `json` are headers of the socket's own. */
  #write(data: unknown, options: WriteOptions | undefined, json?: Uint8Array): boolean {
    this.#checkOpen()
    const item = { ...itemOf(data, options, 'socket'), ...(json && { json }) }
    this.#checkSize(item)
    const { sender, settings } = this.#machine
    const bytes = bytesOf(item)
    const isVolatile = options?.volatile === true
    const hasRoom = sender.hasRoom(bytes)
    if (isVolatile && (!hasRoom || !this.#machine.isReady)) {
      this.#tally.volatileDropped += 1
      return false
    }
    if (!hasRoom) {
      const { maxQueueSize, maxQueueBytes } = settings
      const what = sender.unacked >= maxQueueSize ? maxQueueSize : `${maxQueueBytes} bytes`
      throw new FabricError(`WRITE FAILED: socket buffer size ${what} exceeded`, 'ENOBUFS')
    }
    this.#machine.sender.write(item, isVolatile)
    this.#tally.sent += 1
    this.#tally.sentBytes += bytes
    this.#touch()
    return isVolatile || sender.isWritable
  }

  #checkOpen(): void {
    if (!this.ended) return
    const cause = this.#reason && errorFrom(this.#reason)
    throw new FabricError(`${this.#describe()} is closed or ending`, 'EPIPE', { cause })
  }

  #checkSize(item: Item): void {
    checkSize(item, Math.min(this.#machine.settings.maxMessageBytes, this.#context.machine.maxMessage))
  }

  async send(data: unknown, options: MessageOptions & WaitOptions = {}): Promise<void> {
    checkSendOptions(options, SEND_SHAPE)
    checkWait('send', options, SEND_SHAPE)
    this.#write(data, options)
    const { written } = this.#machine.sender
    let stop: (() => void) | undefined
    const failure = await new Promise<Failure | undefined>(settle => {
      this.#sends.push({ seq: written, settle })
      const what = `a message of ${this.#describe()} may still be handled, and is not known to be`
      stop = bound(options, what, settle)
    })
    stop?.()
    if (failure !== undefined) throw errorFrom(failure)
  }

  async waitUntilWritable(options?: WaitOptions): Promise<void> {
    const { sender } = this.#machine
    do {
      const isDone = this.#state !== 'closed' && sender.isWritable
      await this.#until('waitUntilWritable', isDone, this.#writable, 'is not writable', options)
    } while (!sender.isWritable)
  }

  drain(options?: WaitOptions): Promise<void> {
    return this.#until('drain', this.#machine.sender.unacked === 0, this.#drained, 'has not drained', options)
  }

  waitUntilDrain(options?: WaitOptions): Promise<void> {
    return this.drain(options)
  }

  waitUntilReady(given?: number | WaitOptions): Promise<void> {
    const options = typeof given === 'number' ? { timeout: given } : given
    return this.#until('waitUntilReady', this.#state === 'ready', this.#ready, 'is not ready', options)
  }

  async #until(
    where: string,
    isDone: boolean,
    waits: Waits,
    what: string,
    options: WaitOptions | undefined,
  ): Promise<void> {
    checkWait(where, options)
    if (isDone) return
    if (this.#state === 'closed') throw this.#closedError()
    const failure = await waits.wait(`${this.#describe()} ${what}`, options)
    if (failure !== undefined) throw errorFrom(failure)
  }

  #closedError(): FabricError {
    return errorFrom(this.#reason ?? closedFailure(this.#describe()))
  }

  undelivered(): UndeliveredMessage[] {
    return [...this.#left]
  }

  /** Tells the server whether this end follows a room. @internal */
  sayFollows(room: string, isOn: boolean): void {
    this.#write(isOn, undefined, jsonOf({ [ROOM]: room }))
  }

  // ---- requests

  async request(data?: unknown, options?: RequestOptions): Promise<Message> {
    checkOptions('request', options, PUBLISH_SHAPE)
    const { signal, timeout = DEFAULT_TIMEOUT } = options ?? {}
    const failure = this.#whyNotAsked(signal)
    if (failure !== undefined) throw errorFrom(unhandled(failure))
    const item = itemOf(data, options, 'socket')
    this.#checkSize(item)
    let unwatch: (() => void) | undefined
    const outcome = await new Promise<Item | Failure>(resolve => {
      const asked = this.#machine.ask(item, Math.ceil(timeout), answer => {
        this.#hasSettled = true
        resolve(answer)
      })
      if (asked instanceof Failure) resolve(asked)
      else
        unwatch =
          signal &&
          onAbort(signal, () => {
            this.#machine.requests.cancel(asked, abortFailure(signal))
            this.#touch()
          })
      this.#touch()
    })
    unwatch?.()
    if (outcome instanceof Failure) throw errorFrom(outcome)
    return answerOf(`${this.subject}.client.${this.id}`, outcome)
  }

  #whyNotAsked(signal: AbortSignal | undefined): Failure | undefined {
    if (this.#state === 'closed') return closedFailure(this.#describe(), this.#reason)
    if (this.#isEnding) return new Failure('EPIPE', `${this.#describe()} is ending`)
    return signal?.aborted ? abortFailure(signal) : undefined
  }

  handle(answer: (question: unknown, message: Message) => unknown): this {
    return this.on('request', message => void answerWith(answer, message))
  }

  // ---- reading

  pause(): this {
    this.#inbox.isPaused = true
    return this
  }

  resume(): this {
    this.#inbox.resume()
    return this
  }

  isPaused(): boolean {
    return this.#inbox.isPaused
  }

  iter(): DataIterator {
    return this.#inbox.iterate(true)
  }

  [Symbol.asyncIterator](): DataIterator {
    return this.#inbox.iterate(false)
  }

  /** @internal */
  protected override handleListener(name: keyof Events): void {
    if (name === 'data') this.#inbox.flow()
    if (name === 'request' && this.#held.length > 0) queueMicrotask(() => this.#releaseRequests())
  }

  /** @internal */
  hasListeners(): boolean {
    return this.listenerCount('data') > 0
  }

  /** @internal */
  emitData(received: Received): void {
    this.emit('data', ...received)
  }

  /** @internal */
  decode(item: Item): Received {
    return [decoded(item), headersOf(item.json) ?? {}]
  }

  /** @internal */
  handleConsumed(): void {
    this.#machine.handleConsumed(DATA)
    this.#touch()
  }

  /** @internal */
  handleItem(item: Item): void {
    if (item.encoding >= 0x80) {
      this.#handleRequest(item)
      return
    }
    this.#tally.received += 1
    this.#tally.receivedBytes += item.raw.length
    this.#yieldIfSettled()
    try {
      const letter = item.json?.[LETTER_AT]
      if (letter === R || letter === E) {
        const { [ROOM]: room, [ERROR]: error } = jsonIn(item)
        if (room || error) {
          if (error) this.#machine.close(failureOf(error as AnsweredError))
          else this.views.get(room as string)?.handleNews(decoded(item))
          this.handleConsumed()
          return
        }
      }
      // What cannot be decoded was not written by selvedge.
      this.#inbox.push(item)
    } catch (error) {
      this.#machine.close(new Failure('ERR_DECODE', (error as Error).message, error))
    }
  }

  /** What an answer has settled goes on before a handler is called for what came later. */
  #yieldIfSettled(): void {
    if (!this.#hasSettled) return
    this.#inbox.yieldTurn()
    nextTurn(() => {
      this.#hasSettled = false
    })
  }

  #handleRequest(item: Item): void {
    this.#machine.handleConsumed(ASK)
    const { key, timeout } = readRequest(item)
    if (this.listenerCount('request') > 0) this.#emitRequest(item)
    else if (this.#held.length >= MAX_HELD) this.#refuse(key)
    else {
      this.#held.push({ item, until: Date.now() + Math.min(HOLD_TIME, timeout || HOLD_TIME) })
      setTimeout(() => this.#refuseOld(), HOLD_TIME)
    }
  }

  #releaseRequests(): void {
    this.#refuseOld()
    for (const { item } of this.#held.splice(0)) this.#emitRequest(item)
  }

  #refuseOld(): void {
    const now = Date.now()
    while (this.#held[0] !== undefined && this.#held[0].until <= now) {
      const held = this.#held.shift()
      if (held !== undefined) this.#refuse(readRequest(held.item).key)
    }
  }

  #refuse(key: number): void {
    this.#machine.answer(refusalItem(key, false, '503', 'nobody answers requests here'))
    this.#touch()
  }

  #emitRequest(item: Item): void {
    const { key, timeout, asked } = readRequest(item)
    const controller = new AbortController()
    this.#asked.set(key, controller)
    const answering: Answering = {
      signal: controller.signal,
      timeout: timeout || undefined,
      respond: async answer => {
        const isOpen = this.#asked.delete(key) && this.#state !== 'closed'
        if (isOpen) {
          this.#machine.answer(answerItem(key, answer))
          this.#touch()
        }
        return { bytes: answer.raw.length, count: isOpen ? 1 : 0 }
      },
    }
    this.emit('request', new Message(`${this.subject}.client.${this.id}`, asked, undefined, answering))
  }

  /** @internal */
  handleCancelled(key: number): void {
    this.#asked.get(key)?.abort()
    this.#asked.delete(key)
  }

  /** @internal */
  handleBeside({ subject, reply, items }: Publication): void {
    const answering = this.#context.answering(reply as string)
    for (const item of items) this.emit('request', new Message(subject, item, reply, answering))
  }

  // ---- states

  /** @internal */
  handleState(state: Exclude<State, 'closed'>, reason?: Failure): void {
    const isNew = state !== this.#state || state === 'connecting'
    this.#state = state
    if (state === 'ready') {
      this.#stopLimit()
      this.#ready.settle()
    }
    if (!isNew) return
    if (reason === undefined) this.emit(state)
    else this.emit('disconnected', errorFrom(reason))
  }

  /** @internal */
  handleAcked(): void {
    const { sender } = this.#machine
    while (this.#sends[0] !== undefined && this.#sends[0].seq <= sender.acked) {
      this.#sends.shift()?.settle(undefined)
      this.#hasSettled = true
    }
    if (sender.isWritable) this.#writable.settle()
    if (sender.unacked > 0) return
    this.#drained.settle()
    this.emit('drain')
  }

  /** @internal */
  handleClosed(reason: Failure | undefined, left: Left[]): void {
    this.#state = 'closed'
    this.#stopLimit()
    this.#left = left.map(each => new UndeliveredMessage(each))
    const told = reason && withUndelivered(reason, left.length)
    this.#reason = told
    const failure = told ?? closedFailure(this.#describe())
    for (const { settle } of this.#sends.splice(0)) settle(failure)
    for (const waits of [this.#ready, this.#writable, this.#drained]) waits.settle(failure)
    for (const controller of this.#asked.values()) controller.abort()
    this.#asked.clear()
    const isOrderly = !reason || (reason.code === 'ERR_SOCKET_CLOSED_BY_PEER' && !reason.details?.missing)
    // Not in the caller's turn, and behind what has arrived.
    queueMicrotask(() => {
      this.#inbox.end(isOrderly ? undefined : told)
      this.emit('closed', told && errorFrom(told), left.length)
      this.#gone.settle()
    })
  }

  // ---- the end

  connect(): void {
    if (this.#state === 'closed') throw errorFrom(closedFailure(this.#describe()))
    this.#machine.connect()
    this.#touch()
  }

  disconnect(): void {
    this.#machine.disconnect()
    if (this.#machine.settings.reconnection) this.#machine.connect()
    this.#touch()
  }

  close(): void {
    this.destroy()
  }

  destroy(reason?: unknown): void {
    if (this.#state === 'closed') return
    this.#inbox.shut()
    this.#machine.close(undefined, this.ended || reason == null ? '' : String(reason).slice(0, 300) || '?')
    this.#touch()
  }

  end(options: EndOptions = {}): Promise<void> {
    const ended = this.#endWithin(options)
    // Often nobody awaits it.
    ended.catch(() => {})
    return ended
  }

  async #endWithin(options: EndOptions): Promise<void> {
    checkWait('end', options, END_SHAPE)
    if (this.#ended === undefined || options.timeout !== undefined || options.idle !== undefined) {
      this.#limits.push({ ...options, from: Date.now() })
      this.#hastened()
    }
    this.#ended ??= this.#end()
    let stop: (() => void) | undefined
    const failure = await Promise.race([
      this.#ended,
      new Promise<Failure>(resolve => {
        stop = bound({ signal: options.signal }, '', resolve)
      }),
    ])
    stop?.()
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Resolves with why messages are left, if any are. */
  async #end(): Promise<Failure | undefined> {
    this.#isEnding = true
    let cause: Failure | undefined
    if (this.#state !== 'closed') {
      const gone = this.#gone.wait('')
      cause = await this.#untilHandled()
      if (cause === undefined && (this.#state as State) !== 'closed') {
        this.#inbox.shut()
        await new Promise<void>(resolve => {
          const wait = () => setTimeout(resolve, this.#least)
          const timer = wait()
          this.#hastened = wait
          this.#machine.beginEnd(() => {
            clearTimeout(timer)
            resolve()
          })
          this.#touch()
        })
      }
      this.close()
      await gone
    }
    if (this.#left.length === 0) return undefined
    const why = this.#reason ?? cause ?? closedFailure(this.#describe())
    return undeliveredFailure(this.#describe(), this.#left.length, why)
  }

  /** Waits as long as something moves, or for so long in all. Returns why it was not all handled. */
  async #untilHandled(): Promise<Failure | undefined> {
    const { sender } = this.#machine
    let moved = 0
    let before = ''
    while (sender.unacked > 0 || this.#machine.requests.open > 0) {
      if (this.#state === 'closed') return this.#reason ?? closedFailure(this.#describe())
      const now = Date.now()
      const standing = `${sender.acked} ${this.#machine.requests.open}`
      // Does not run while the other side is away and may come back.
      if (standing !== before || !this.#machine.isReady) moved = now
      before = standing
      for (const { timeout, idle = END_IDLE, from } of this.#limits) {
        const after = timeout ?? idle
        if (now - (timeout === undefined ? Math.max(moved, from) : from) >= after)
          return timeoutFailure(`${this.#describe()} has not handled everything`, after)
      }
      const look = this.#drained.wait('', { timeout: Math.ceil(Math.min(this.#least, END_IDLE) / LOOKS) })
      await Promise.race([look, new Promise<void>(resolve => (this.#hastened = resolve))])
    }
    return undefined
  }

  /** The least time that a call of `end` has given. */
  get #least(): number {
    return Math.min(...this.#limits.map(({ timeout, idle = END_IDLE }) => timeout ?? idle))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end()
  }

  toJSON(): object {
    return { socket: this.subject, id: this.id, state: this.#state, pending: this.#machine.sender.unacked }
  }
}

async function answerWith(
  answer: (question: unknown, message: Message) => unknown,
  message: Message,
): Promise<void> {
  try {
    await message.respond(await answer(message.data, message))
  } catch (error) {
    await message.respond(error instanceof Error ? error : Error(String(error)))
  }
}
