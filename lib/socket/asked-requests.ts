// The requests of the other side of a socket: they wait for the first listener, and what a handler throws is the
// answer.
import type { EventEmitter } from 'node:events'
import { types } from 'node:util'
import type { Headers, MessageOptions } from '../../index'
import type { InFlight } from '../async/in-flight'
import { startTimer, type Timer } from '../async/timer'
import * as commands from '../engine/commands'
import type { EventReader, Incoming } from '../engine/event-reader'
import type { Outgoing } from '../engine/outgoing'
import type { ClientContext } from '../messaging/client-context'
import { errorAnswerHeaders } from '../messaging/error-headers'
import { Message, type Responder } from '../messaging/message'
import { prepare } from '../messaging/prepare'
import { readMessage } from '../messaging/ticket'
import { isHandlingWatched } from '../messaging/watching'
import { CHANNELS } from '../telemetry/channels'
import { passedSocketHeadersText } from '../values/headers'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted, throwAsync } from '../values/throw-async'
import { leaveUnanswered } from './handler-failures'
import type { Lifecycle } from './lifecycle'
import { StreamRequest } from './stream-request'

/** The socket: an emitter of `request`. */
export interface AskedOwner extends commands.Consumer {
  /** Returns its name in texts. */
  describe(): string
  /** The subject on which it is asked and answered. */
  readonly ownSubject: string
  /** What spans call it. */
  readonly topic: string
  /** Calls a handler, for those who watch it. */
  watch<T>(isRequest: boolean, headers: Headers | null | undefined, handle: () => T, size: () => number): T
  /** Whether it takes nothing more. */
  readonly ended: boolean
  readonly maxQueueSize: number
  readonly maxMessageBytes: number
}

/** Requests that are held for the first listener: half of what the other side may send ahead. */
const MAX_HELD = 500
/** How long they are held, in ms. */
const HELD_TIME = 10_000
const NOBODY = 'nobody answers requests here'
const ENDING = 'the other side is ending'

const { isNativeError, isPromise } = types

export class AskedRequests {
  readonly #owner: AskedOwner & EventEmitter
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #responder: Responder
  /** Returns what counts the requests in flight. */
  readonly #inFlight: () => InFlight
  /** Whether any request was given to a handler. */
  hasGiven = false
  /** Requests of a peer of Conat that no listener has received yet, oldest first. */
  #held: Message[] | undefined
  /** Those that came in the stream. */
  #heldInStream: Map<StreamRequest, Message> | undefined
  #holding: Timer | undefined
  /** Those that came in the stream and wait for their answers, by key. */
  #asked: Map<number, StreamRequest> | undefined

  constructor(
    owner: AskedOwner & EventEmitter,
    lifecycle: Lifecycle,
    context: ClientContext,
    responder: Responder,
    inFlight: () => InFlight,
  ) {
    this.#owner = owner
    this.#lifecycle = lifecycle
    this.#context = context
    this.#responder = responder
    this.#inFlight = inFlight
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
    incoming.encoding = incoming.u8()
    this.#context.countReceived(incoming.end - incoming.start)
    const message = new Message(this.#responder, this.#owner.ownSubject, headers, null, incoming, request)
    if (this.#owner.ended) this.#refuse(request, 'ERR_DRAINING', ENDING)
    else if (this.#heldInStream === undefined && this.#owner.listenerCount('request') > 0) {
      this.#giveAsked(message, request)
    } else this.#hold(message, request)
  }

  /** Reads that nobody waits for an answer any more. */
  receiveCancel(incoming: Incoming): void {
    commands.consumedAnswer(this.#owner)
    const request = this.#asked?.get(incoming.varint())
    if (request === undefined) return
    this.#asked?.delete(request.key)
    if (this.#dropHeld(request)) commands.consumedRequest(this.#owner)
    request.cancel()
  }

  /** Notes that the socket begins to end: the close says how many requests were given to a listener, and no more are. */
  beginEnd(): void {
    for (const request of this.#heldInStream?.keys() ?? []) this.#refuse(request, 'ERR_DRAINING', ENDING)
    this.#heldInStream = undefined
  }

  /** Ends what the other side has asked: it is lost, and another one takes its place. */
  handleLost(): void {
    this.#held = undefined
    this.#heldInStream = undefined
    this.#holding?.stop()
    this.#holding = undefined
    for (const request of this.#asked?.values() ?? []) request.cancel()
    this.#asked = undefined
  }

  /** Writes an answer. Returns the length of its payload. */
  answer(request: StreamRequest, data: unknown, options: MessageOptions | undefined): number {
    if (isNativeError(data)) return this.#answerError(request, data, options, !request.isMany)
    const message = prepare(data, options, this.#owner.maxMessageBytes, passedSocketHeadersText)
    return this.#writeAnswer(request, message, !request.isMany)
  }

  /** Writes that no more answers follow. */
  endAnswers(request: StreamRequest): void {
    if (!request.isOpen || this.#lifecycle.state === 'closed') return
    commands.socketAnswerEnd(this.#context.handle, this.#owner.engineHandle, request.key)
    this.#finish(request)
  }

  #answerError(
    request: StreamRequest,
    error: unknown,
    options: MessageOptions | undefined,
    isLast: boolean,
  ): number {
    const headers = errorAnswerHeaders(error, options?.headers)
    return this.#writeAnswer(request, prepare(null, { headers }, Number.POSITIVE_INFINITY), isLast)
  }

  #writeAnswer(request: StreamRequest, message: Outgoing, isLast: boolean): number {
    const { length } = message
    // Encoding may have run user code.
    if (!request.isOpen || this.#lifecycle.state === 'closed') return length
    commands.socketAnswer(this.#context.handle, this.#owner.engineHandle, request.key, isLast, message)
    this.#context.countSent(length)
    if (isLast) this.#finish(request)
    else request.handleAnswer()
    return length
  }

  #finish(request: StreamRequest): void {
    this.#asked?.delete(request.key)
    request.finish()
  }

  /** Delivers held requests to a new listener, after its registration and not inside. */
  flow(): void {
    if (this.#held !== undefined || this.#heldInStream !== undefined) nextTick(() => this.#release())
  }

  /** Emits a request that came in the stream. */
  #giveAsked(message: Message, request: StreamRequest): void {
    this.hasGiven = true
    // Before the handler runs: a close inside it must count this request.
    commands.consumedRequest(this.#owner)
    this.#asked ??= new Map()
    this.#asked.set(request.key, request)
    const inFlight = this.#inFlight()
    inFlight.begin()
    request.onOver = inFlight.end
    const call = (): void => this.#call(message, request)
    try {
      if (isHandlingWatched()) this.#owner.watch(true, message.headers, call, () => message.length)
      else call()
    } catch (error) {
      if (!this.#answerThrown(request, message, error)) throwAsync(error)
    }
  }

  /** Calls the handlers of a request that came in the stream. What one of them throws is the answer. */
  #call(message: Message, request: StreamRequest): void {
    for (const handler of this.#owner.rawListeners('request')) {
      const result: unknown = Reflect.apply(handler, this.#owner, [message])
      if (!isPromise(result)) continue
      result.then(undefined, error => {
        if (!this.#answerThrown(request, message, error)) throw error
      })
    }
  }

  /**
   * Answers with what a handler has thrown. Returns `false` if it has answered before: then the requester
   * does not get it.
   */
  #answerThrown(request: StreamRequest, message: Message, error: unknown): boolean {
    // Whoever asked may have gone: handlers throw then, because their signal was aborted.
    if (!request.isOpen) return request.isAborted
    if (CHANNELS.handlerError.hasSubscribers) {
      CHANNELS.handlerError.publish({ error, message, socket: this.#owner })
    }
    this.#answerError(request, error, undefined, true)
    return true
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

  /** Takes a request from those that are held, if it is one. Without any, the next one goes to a listener at once. */
  #dropHeld(request: StreamRequest): boolean {
    const isHeld = this.#heldInStream?.delete(request) === true
    if (this.#heldInStream?.size === 0) this.#heldInStream = undefined
    return isHeld
  }

  #refuse(request: StreamRequest, code: string, text: string): void {
    commands.socketRefuse(this.#context.handle, this.#owner.engineHandle, request.key, code, text)
    commands.consumedRequest(this.#owner)
    this.#finish(request)
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

  /** Calls the handlers of a request. Returns whether there were any. */
  #announce(message: Message): boolean {
    const call = (): boolean => {
      try {
        return this.#owner.emit('request', message)
      } catch (error) {
        leaveUnanswered(this.#owner, error)
        return true
      }
    }
    if (!isHandlingWatched()) return call()
    return this.#owner.watch(true, message.headers, call, () => message.length)
  }

  /** Emits a request, which is in flight until it is replied to. Returns whether there was a listener. */
  #give(message: Message): boolean {
    if (this.#owner.listenerCount('request') === 0) return false
    this.hasGiven = true
    const inFlight = this.#inFlight()
    inFlight.begin()
    message.onAnswer(inFlight.end)
    return this.#announce(message)
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
    if (next !== undefined && !next.done && !this.#owner.ended) {
      const [request, message] = next.value
      this.#dropHeld(request)
      this.#giveAsked(message, request)
      return true
    }
    const message = this.#held?.shift()
    if (this.#held?.length === 0) this.#held = undefined
    if (message !== undefined) this.#give(message)
    return message !== undefined
  }
}
