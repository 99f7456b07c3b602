// The requests of a socket: those it sends, and those of the other side, which wait for the first listener.
import type { EventEmitter } from 'node:events'
import type { Headers, MessageOptions, RequestManyOptions, RequestOptions } from '../../index'
import { InFlight } from '../async/in-flight'
import { startTimer, type Timer } from '../async/timer'
import * as commands from '../engine/commands'
import type { EventReader, Incoming } from '../engine/event-reader'
import { CANCELLED, CANCELLED_BY_SIGNAL } from '../engine/items'
import type { Outgoing } from '../engine/outgoing'
import { type Answers, ask } from '../messaging/answers'
import type { ClientContext } from '../messaging/client-context'
import { Message, type Responder } from '../messaging/message'
import { REQUEST_MANY_SHAPE, REQUEST_SHAPE } from '../messaging/options'
import { prepare } from '../messaging/prepare'
import { waitOf } from '../messaging/requests'
import { readMessage, Ticket } from '../messaging/ticket'
import { abortFailure, errorFrom, Failure, withCause } from '../values/failure'
import { replyHeadersText, socketHeadersText } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted } from '../values/throw-async'
import type { Lifecycle } from './lifecycle'
import { OpenRequests } from './open-requests'
import { StreamRequest } from './stream-request'

/** The socket: an emitter of `request`. */
interface RequestsOwner extends commands.Consumer {
  /** The subject on which it is asked and answered. */
  readonly ownSubject: string
  /** Whether it takes nothing more. */
  readonly ended: boolean
  readonly maxQueueSize: number
  readonly maxMessageBytes: number
  /** Called when a request was answered, or its answer is not waited for any more. */
  handleProgress(): void
}

/** Requests of one socket that may wait for their answers. */
const MAX_OPEN = 10_000
/** Requests that are held for the first listener: half of what the other side may send ahead. */
const MAX_HELD = 500
/** How long they are held, in ms. */
const HELD_TIME = 10_000
const NOBODY = 'nobody answers requests here'
/** The rest of a failure whose request no handler has had. */
const NOT_HANDLED = [undefined, undefined, undefined, false] as const

/** Headers of an answer may be anything; those that are no object have no place in a stream. */
function answerHeadersText(headers: Headers | null | undefined): string | null {
  const text = replyHeadersText(headers)
  return text?.charCodeAt(0) === OPEN_OBJECT ? socketHeadersText(headers) : null
}

const OPEN_OBJECT = 123

export class SocketRequests {
  readonly #owner: RequestsOwner & EventEmitter
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #responder: Responder
  /** Requests in flight, of either side. */
  #inFlight: InFlight
  /** Requests that were in flight when the socket began to end. */
  #last: InFlight | undefined
  /** Requests of a peer of Conat that no listener has received yet, oldest first. */
  #held: Message[] | undefined
  /** Those that came in the stream. */
  #heldInStream: Map<StreamRequest, Message> | undefined
  #holding: Timer | undefined
  /** Requests that wait for their answers, of this side and of the other one. */
  #open: OpenRequests | undefined
  #asked: Map<number, StreamRequest> | undefined
  #lastKey = 0

  constructor(
    owner: RequestsOwner & EventEmitter<any>,
    lifecycle: Lifecycle,
    context: ClientContext,
    responder: Responder,
  ) {
    this.#owner = owner
    this.#inFlight = new InFlight(() => owner.handleProgress())
    this.#lifecycle = lifecycle
    this.#context = context
    this.#responder = responder
  }

  async request(data: unknown, options: RequestOptions | undefined): Promise<Message | undefined> {
    this.#lifecycle.checkOpen()
    checkOptions('request', options, REQUEST_SHAPE)
    // Whoever wants to wait for a listener of the fabric asks it.
    const outcome = await (options?.waitForInterest ? this.#send(data, options) : this.#ask(data, options))
    if (!(outcome instanceof Failure)) return outcome as Message
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(data: unknown, options: RequestManyOptions | undefined): Answers {
    return ask(this.#context, this.#responder, options, () => {
      this.#lifecycle.checkOpen()
      checkOptions('requestMany', options, REQUEST_MANY_SHAPE)
      const wait = waitOf(options, true)
      const message = prepare(data, options, this.#owner.maxMessageBytes, socketHeadersText)
      return ticket => this.#write(ticket, wait, message)
    })
  }

  /** Reads an event *socket request*. Held until there is a listener. */
  receive(event: EventReader): void {
    const message = readMessage(this.#context, this.#responder, event, true)
    if (this.#held === undefined && this.#give(message)) return
    // No peer may have more than a window of requests in flight.
    const held = (this.#held ??= [])
    if (held.length < this.#owner.maxQueueSize) held.push(message)
  }

  /** Reads a request that came in the stream. Held until there is a listener. */
  receiveRequest(headers: string | null, incoming: Incoming, isMany: boolean, now: number): void {
    const request = new StreamRequest(this, incoming.varint(), isMany, incoming.varint(), now)
    const message = this.#read(headers, incoming, request)
    if (this.#owner.ended) this.#refuse(request, 'ERR_DRAINING', 'the other side is ending')
    else if (this.#heldInStream === undefined && this.#owner.listenerCount('request') > 0) {
      this.#giveAsked(message, request)
    } else this.#hold(message, request)
  }

  /** Reads an answer that came in the stream. */
  receiveAnswer(headers: string | null, incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const key = incoming.varint()
    const message = this.#read(headers, incoming)
    this.#open?.settle(key, message)
  }

  /** Reads a refusal. */
  receiveRefusal(incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const key = incoming.varint()
    const handled = incoming.u8() === 0 ? false : undefined
    const code = incoming.str()
    const failure = new Failure(
      /^\d+$/.test(code) ? Number(code) : code,
      incoming.str(),
      undefined,
      undefined,
      undefined,
      handled,
    )
    this.#open?.settle(key, failure)
  }

  /** Reads that nobody waits for an answer any more. */
  receiveCancel(incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const request = this.#asked?.get(incoming.varint())
    if (request === undefined) return
    this.#asked?.delete(request.key)
    if (this.#heldInStream?.delete(request)) commands.consumedRequest(this.#owner)
    request.cancel()
  }

  /** Reads an event *socket request failed*. */
  receiveFailed(event: EventReader): void {
    const key = event.f64()
    const code = event.code()
    const text = event.str()
    const handled = event.u8() === 1 ? false : undefined
    const failure = new Failure(code, text, undefined, undefined, undefined, handled)
    this.#open?.settle(key, code === 408 ? withCause(failure, this.#context.obstacle) : failure)
  }

  /** Writes an answer. Returns the length of its payload. */
  answer(request: StreamRequest, data: unknown, options: MessageOptions | undefined): number {
    const message = prepare(data, options, this.#owner.maxMessageBytes, answerHeadersText)
    const { length } = message
    // Encoding may have run user code.
    if (!request.isOpen || this.#lifecycle.state === 'closed') return length
    commands.socketAnswer(this.#context.handle, this.#owner.handle, request.key, !request.isMany, message)
    this.#context.countSent(length)
    if (!request.isMany) {
      this.#asked?.delete(request.key)
      request.finish()
    }
    return length
  }

  /** Ends what waits for an answer: there is no connection, and none will come. */
  strand(failure: Failure): void {
    for (const key of this.#open?.keys() ?? []) {
      commands.socketCancel(this.#context.handle, this.#owner.handle, key, CANCELLED)
      this.#open?.settle(key, failure)
    }
  }

  /** Delivers held requests to a new listener, after its registration and not inside. */
  flow(): void {
    if (this.#held !== undefined || this.#heldInStream !== undefined) nextTick(() => this.#release())
  }

  /** Waits until no request is in flight, at most so many ms. */
  async whenNone(timeout: number): Promise<void> {
    await this.#inFlight.whenNone(timeout)
  }

  /** Notes that the socket begins to end: requests that come later are not waited for. */
  beginEnd(): void {
    this.#last = this.#inFlight
    this.#inFlight = new InFlight()
  }

  /** Whether no request is open that was in flight when the socket began to end. */
  get isFinished(): boolean {
    return this.#last?.isNone ?? true
  }

  /** Ends the requests of either side. */
  end(reason: Failure | undefined): void {
    this.#held = undefined
    this.#heldInStream = undefined
    this.#holding?.stop()
    const failure = new Failure('EPIPE', 'closed', reason)
    for (const key of this.#open?.keys() ?? []) this.#open?.settle(key, failure)
    for (const request of this.#asked?.values() ?? []) request.cancel()
    this.#asked = undefined
    this.#last?.forget()
    this.#inFlight.forget()
  }

  #send(data: unknown, options: RequestOptions | undefined): Promise<unknown> | Failure {
    if (options?.signal?.aborted) return abortFailure(options.signal)
    const wait = waitOf(options, false)
    const message = prepare(data, options, this.#owner.maxMessageBytes, socketHeadersText)
    const ticket = new Ticket(this.#context, this.#responder, options?.signal, this.#inFlight)
    this.#write(ticket.handle, wait, message)
    return ticket.outcome
  }

  /** Asks in the line of the data that is written. */
  #ask(data: unknown, options: RequestOptions | undefined): Promise<Message | Failure> | Failure {
    const signal = options?.signal
    if (signal?.aborted) return abortFailure(signal)
    const open = (this.#open ??= new OpenRequests(this.#context))
    if (open.size >= MAX_OPEN) {
      return new Failure('ENOBUFS', `${open.size} requests wait for their answers`, ...NOT_HANDLED)
    }
    const { timeout } = waitOf(options, false)
    const message = prepare(data, options, this.#owner.maxMessageBytes, socketHeadersText)
    const key = (this.#lastKey += 1)
    commands.socketAsk(this.#context.handle, this.#owner.handle, key, Math.max(1, timeout), message)
    this.#context.countSent(message.length)
    return open.add(key, this.#inFlight, signal, this.#abort)
  }

  #abort = (key: number, signal: AbortSignal): void => {
    if (!this.#open?.settle(key, abortFailure(signal))) return
    commands.socketCancel(this.#context.handle, this.#owner.handle, key, CANCELLED_BY_SIGNAL)
  }

  #read(headers: string | null, incoming: Incoming, request?: StreamRequest): Message {
    incoming.encoding = incoming.u8()
    this.#context.countReceived(incoming.end - incoming.start)
    return new Message(this.#responder, this.#owner.ownSubject, headers, null, incoming, request)
  }

  /** Emits a request that came in the stream. */
  #giveAsked(message: Message, request: StreamRequest): void {
    // Before the handler runs: a close inside it must count this request.
    commands.consumedRequest(this.#owner)
    this.#asked ??= new Map()
    this.#asked.set(request.key, request)
    this.#inFlight.begin()
    request.onOver = this.#inFlight.end
    this.#lifecycle.announce('request', message)
  }

  /** Holds a request for the first listener, as many as may wait, and not for long. */
  #hold(message: Message, request: StreamRequest): void {
    const held = (this.#heldInStream ??= new Map())
    if (held.size >= MAX_HELD) {
      this.#refuse(request, '503', NOBODY)
      return
    }
    held.set(request, message)
    this.#asked ??= new Map()
    this.#asked.set(request.key, request)
    this.#holding ??= startTimer(HELD_TIME, () => this.#refuseHeld())
  }

  #refuse(request: StreamRequest, code: string, text: string): void {
    commands.socketRefuse(this.#context.handle, this.#owner.handle, request.key, code, text)
    commands.consumedRequest(this.#owner)
    this.#asked?.delete(request.key)
    request.finish()
  }

  #refuseHeld(): void {
    this.#holding = undefined
    const held = this.#heldInStream
    if (held === undefined) return
    const now = Date.now()
    for (const request of held.keys()) {
      const left = request.since + HELD_TIME - now
      if (left > 0) {
        this.#holding = startTimer(left, () => this.#refuseHeld())
        return
      }
      held.delete(request)
      this.#refuse(request, '503', NOBODY)
    }
    this.#heldInStream = undefined
  }

  #write(ticket: number, wait: commands.Wait, message: Outgoing): void {
    commands.socketRequest(this.#context.handle, ticket, this.#owner.handle, wait, message)
    this.#context.countSent(message.length)
  }

  /** Emits a request, which is in flight until it is replied to. Returns whether there was a listener. */
  #give(message: Message): boolean {
    if (this.#owner.listenerCount('request') === 0) return false
    this.#inFlight.begin()
    message.onAnswer(this.#inFlight.end)
    return this.#lifecycle.announce('request', message)
  }

  #release(): void {
    clearInterruption()
    while (this.#owner.listenerCount('request') > 0) {
      if (isInterrupted()) {
        nextTurn(() => this.#release())
        return
      }
      if (!this.#giveHeld()) return
    }
  }

  /** Emits the oldest held request. Returns whether there was one. */
  #giveHeld(): boolean {
    const next = this.#heldInStream?.entries().next()
    if (next !== undefined && !next.done) {
      const [request, message] = next.value
      this.#heldInStream?.delete(request)
      if (this.#heldInStream?.size === 0) this.#heldInStream = undefined
      this.#giveAsked(message, request)
      return true
    }
    const message = this.#held?.shift()
    if (this.#held?.length === 0) this.#held = undefined
    if (message !== undefined) this.#give(message)
    return message !== undefined
  }
}
