// The requests of a socket to the other side, in the line of its data. Those of the other side: asked-requests.ts.
import type { EventEmitter } from 'node:events'
import type { RequestManyOptions, RequestOptions } from '../../index'
import { InFlight } from '../async/in-flight'
import * as commands from '../engine/commands'
import type { EventReader, Incoming } from '../engine/event-reader'
import { CANCELLED, CANCELLED_BY_SIGNAL } from '../engine/items'
import type { Outgoing } from '../engine/outgoing'
import { type Answers, answersOf, Receiver } from '../messaging/answers'
import type { ClientContext } from '../messaging/client-context'
import { answeredError } from '../messaging/error-headers'
import { Message, type Responder } from '../messaging/message'
import { REQUEST_MANY_SHAPE, REQUEST_SHAPE } from '../messaging/options'
import { prepare } from '../messaging/prepare'
import { waitOf } from '../messaging/requests'
import { isRequestWatched, type Sent, watchSending } from '../messaging/watching'
import { abortFailure, errorFrom, Failure, unhandled, withCause } from '../values/failure'
import { socketHeadersText } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { type AskedOwner, AskedRequests } from './asked-requests'
import type { KeptRequests } from './kept-requests'
import type { Lifecycle } from './lifecycle'
import { OpenRequests } from './open-requests'

/** The socket: an emitter of `request`. */
interface RequestsOwner extends AskedOwner {
  readonly id: string
  /** What is kept of the requests of a socket that renews itself. */
  readonly kept: KeptRequests | undefined
  /** Returns its name in error texts. */
  describe(): string
  /** Called when a request was answered, or its answer is not waited for any more. */
  handleProgress(): void
}

/** What the engine calls it that a request is open when the socket closes. */
const CLOSED = 'closed'
/** What is waited for. */
const ASKED = 'the answer of the other side did not come'
/** Requests of one socket that may wait for their answers. */
const MAX_OPEN = 10_000
export class SocketRequests {
  readonly #owner: RequestsOwner & EventEmitter
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #responder: Responder
  /** Requests in flight, of either side. */
  #inFlight: InFlight
  /** Requests that were in flight when the socket began to end. */
  #last: InFlight | undefined
  /** Requests of this side that wait for their answers. */
  #open: OpenRequests | undefined
  /** Those that take any number of answers. */
  #many: Map<number, Receiver> | undefined
  /** Those that the engine ended because the socket is at its end, and whether a handler has had them. */
  #closed: Map<number, false | undefined> | undefined
  /** Whether the other side has said that no handler has had a request. */
  #isUnasked = false
  #lastKey = 0
  #asked: AskedRequests | undefined

  constructor(
    // biome-ignore lint/suspicious/noExplicitAny: whatever events it has
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

  /** Those of the other side. */
  get asked(): AskedRequests {
    if (this.#asked === undefined) {
      const inFlight = (): InFlight => this.#inFlight
      this.#asked = new AskedRequests(this.#owner, this.#lifecycle, this.#context, this.#responder, inFlight)
    }
    return this.#asked
  }

  async request(data: unknown, options: RequestOptions | undefined): Promise<Message | undefined> {
    this.#checkOpen()
    checkOptions('request', options, REQUEST_SHAPE)
    const outcome = await this.#ask(data, options)
    if (!(outcome instanceof Failure)) return outcome
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(data: unknown, options: RequestManyOptions | undefined): Answers {
    return answersOf(options, () => {
      this.#checkOpen()
      checkOptions('requestMany', options, REQUEST_MANY_SHAPE)
      const full = this.#full
      if (full !== undefined) throw errorFrom(full)
      const message = prepare(data, options, this.#owner.maxMessageBytes, socketHeadersText)
      return () => this.#receiveMany(this.#write(waitOf(options, true), message), options)
    })
  }

  /** Reads an answer that came in the stream. */
  receiveAnswer(headers: string | null, incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const key = incoming.varint()
    const message = this.#read(headers, incoming)
    if (this.#many?.has(key)) {
      this.#many.get(key)?.receive(message)
      this.#endMany(key)
    } else {
      this.#owner.kept?.drop(key)
      this.#open?.settle(key, answeredError(message) ?? message, true)
    }
  }

  /** Reads one of several answers. */
  receiveOneOfMany(headers: string | null, incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const key = incoming.varint()
    const message = this.#read(headers, incoming)
    this.#many?.get(key)?.receive(message)
  }

  /** Reads that no more answers follow. */
  receiveAnswerEnd(incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    this.#endMany(incoming.varint())
  }

  /** Reads an event *socket request done*. */
  receiveDone(event: EventReader): void {
    this.#endMany(event.f64())
  }

  /** Reads a refusal. */
  receiveRefusal(incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const key = incoming.varint()
    const handled = incoming.u8() === 0 ? false : undefined
    const code = incoming.str()
    const failure = new Failure(/^\d+$/.test(code) ? Number(code) : code, incoming.str(), undefined, {
      handled,
    })
    this.#fail(key, failure)
  }

  /** Reads an event *socket request failed*. */
  receiveFailed(event: EventReader): void {
    const key = event.f64()
    const code = event.code()
    const text = event.str()
    const handled = event.u8() === 1 ? false : undefined
    const failure = new Failure(code, text, undefined, { handled })
    if (code === 'EPIPE' && text === CLOSED) {
      // Unless the next server may take it: the end follows, or the renewal, which knows the reason.
      this.#closed ??= new Map()
      if (!this.#owner.kept?.hold(key, failure)) this.#closed.set(key, handled)
      return
    }
    if (code !== 408) this.#fail(key, failure)
    else {
      const late = new Failure(code, `${text}: ${this.#owner.describe()}`, undefined, failure.details)
      this.#fail(key, withCause(late, this.#lifecycle.why()))
    }
  }

  /** Notes that the other side, which closes it, has given no request to a handler. */
  noteUnasked(): void {
    this.#isUnasked = true
  }

  /** Settles a request of this side. Returns whether it was open. */
  settle(key: number, outcome: Message | Failure): boolean {
    this.#owner.kept?.drop(key)
    const many = this.#many?.get(key)
    if (many === undefined) return this.#open?.settle(key, outcome) ?? false
    if (outcome instanceof Failure) many.end(outcome)
    return true
  }

  /** Ends what waits for an answer: there is no connection, and none will come. */
  strand(failure: Failure): void {
    for (const key of this.#keys) {
      commands.socketCancel(this.#context.handle, this.#owner.engineHandle, key, CANCELLED)
      this.settle(key, this.#withHandled(failure))
    }
  }

  /** Says that no handler has had what was asked before there was another side. */
  #withHandled(failure: Failure): Failure {
    return this.#lifecycle.wasReady ? failure : unhandled(failure)
  }

  /** Waits until no request is in flight, or until the signal is aborted: then no end waits for those either. */
  async whenNone(signal: AbortSignal): Promise<void> {
    await this.#inFlight.whenNone(signal)
    this.#inFlight.forget()
    this.#last?.forget()
  }

  /** Notes that the socket begins to end: requests that come later are not waited for. */
  beginEnd(): void {
    this.#last = this.#inFlight
    this.#inFlight = new InFlight()
    this.#asked?.beginEnd()
  }

  /** Whether no request is open that was in flight when the socket began to end. */
  get isFinished(): boolean {
    return this.#last?.isNone ?? true
  }

  /** The other side is lost, and another one takes its place: ends what it has asked, and what it alone may have had. */
  handleLost(reason: Failure): void {
    this.#asked?.handleLost()
    const closed = this.#closed ?? []
    this.#closed = undefined
    for (const [key, handled] of closed) this.settle(key, this.#closedFailure(reason, handled))
  }

  /** Delivers held requests to a new listener, after its registration and not inside. */
  flow(): void {
    this.#asked?.flow()
  }

  /** Ends the requests of either side. */
  end(reason: Failure | undefined): void {
    this.#asked?.handleLost()
    const { kept } = this.#owner
    const { wasReady, isClosedBelow } = this.#lifecycle
    for (const key of this.#keys) {
      // The engine tells of each that it has: the others have not left.
      const isUntold = isClosedBelow && this.#closed?.has(key) !== true
      // One that waits for the next server was not taken by the last one.
      const isUnhandled = kept?.isWaiting(key) || this.#isUnasked || !wasReady || isUntold
      const handled = isUnhandled ? false : this.#closed?.get(key)
      this.settle(key, this.#closedFailure(reason ?? kept?.failureOf(key), handled))
    }
    this.#last?.forget()
    this.#inFlight.forget()
  }

  #closedFailure(reason: Failure | undefined, handled: false | undefined): Failure {
    return new Failure('EPIPE', `closed: ${this.#owner.describe()}`, reason, { handled })
  }

  /** The requests of this side that are open, in the order of the calls. */
  get #keys(): number[] {
    const [one, many] = [this.#open?.keys() ?? [], [...(this.#many?.keys() ?? [])]]
    return many.length === 0 ? one : [...one, ...many].sort((a, b) => a - b)
  }

  /** Throws if it is closed: what is asked then is not done. */
  #checkOpen(): void {
    if (this.#lifecycle.state === 'closed') throw errorFrom(unhandled(this.#lifecycle.closedFailure()))
    if (this.#context.closed) throw errorFrom(unhandled(this.#context.closedFailure()))
  }

  /** Why no more may be asked, if that is so. */
  get #full(): Failure | undefined {
    const open = (this.#open?.size ?? 0) + (this.#many?.size ?? 0)
    if (open < MAX_OPEN) return undefined
    return new Failure('ENOBUFS', `${open} requests wait for their answers`, undefined, { handled: false })
  }

  #ask(data: unknown, options: RequestOptions | undefined): Promise<Message | Failure> | Failure {
    const signal = options?.signal
    if (signal?.aborted) return unhandled(abortFailure(signal))
    const full = this.#full
    if (full !== undefined) return full
    const wait = waitOf(options, false)
    const sent = this.#watch(data, options)
    const message = prepare(data, sent?.options ?? options, this.#owner.maxMessageBytes, socketHeadersText)
    const key = this.#write(wait, message)
    const open = (this.#open ??= new OpenRequests(this.#context))
    const outcome = open.add(key, this.#inFlight, signal, this.#abort)
    if (sent !== undefined) void outcome.then(sent.end)
    return outcome
  }

  /** Writes a request in the line of the data. Returns its key. */
  #write(wait: commands.Wait, message: Outgoing): number {
    const key = (this.#lastKey += 1)
    this.#context.countSent(message.length)
    if (!this.#owner.kept?.keep(key, wait, message)) {
      commands.socketAsk(this.#context.handle, this.#owner.engineHandle, key, wait, message)
    }
    return key
  }

  #receiveMany(key: number, options: RequestManyOptions | undefined): Receiver {
    const source = {
      cancel: (failure: Failure | undefined) => {
        const reason = failure?.code === 'ABORT_ERR' ? CANCELLED_BY_SIGNAL : CANCELLED
        commands.socketCancel(this.#context.handle, this.#owner.engineHandle, key, reason)
      },
      handleEnd: () => {
        this.#many?.delete(key)
        this.#owner.kept?.drop(key)
      },
      why: this.#lifecycle.why,
    }
    const receiver = new Receiver(source, options)
    this.#many ??= new Map()
    this.#many.set(key, receiver)
    return receiver
  }

  #endMany(key: number): void {
    this.#many?.get(key)?.end()
  }

  #watch(data: unknown, options: RequestOptions | undefined): Sent<RequestOptions> | undefined {
    if (!isRequestWatched(true)) return undefined
    return watchSending(this.#context, 'request', this.#owner.topic, data, options, { socket: this.#owner })
  }

  #abort = (key: number, signal: AbortSignal): void => {
    const failure = this.#withHandled(abortFailure(signal, ASKED, this.#lifecycle.why()))
    if (!this.settle(key, failure)) return
    commands.socketCancel(this.#context.handle, this.#owner.engineHandle, key, CANCELLED_BY_SIGNAL)
  }

  #read(headers: string | null, incoming: Incoming): Message {
    incoming.encoding = incoming.u8()
    this.#context.countReceived(incoming.end - incoming.start)
    return new Message(this.#responder, this.#owner.ownSubject, headers, null, incoming)
  }

  /** Fails a request, unless another server may take it. */
  #fail(key: number, failure: Failure): void {
    if (!this.#owner.kept?.hold(key, failure)) this.settle(key, failure)
  }
}
