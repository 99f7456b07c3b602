// The requests of a socket: those it sends, and those of the other side, which wait for the first listener.
import type { EventEmitter } from 'node:events'
import type { RequestManyOptions, RequestOptions } from '../../index'
import { InFlight } from '../async/in-flight'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import type { Outgoing } from '../engine/outgoing'
import { type Answers, ask } from '../messaging/answers'
import type { ClientContext } from '../messaging/client-context'
import type { Message, Responder } from '../messaging/message'
import { REQUEST_MANY_SHAPE, REQUEST_SHAPE } from '../messaging/options'
import { prepare } from '../messaging/prepare'
import { waitOf } from '../messaging/requests'
import { readMessage, Ticket } from '../messaging/ticket'
import { abortFailure, errorFrom, Failure } from '../values/failure'
import { socketHeadersText } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted } from '../values/throw-async'
import type { Lifecycle } from './lifecycle'

/** The socket: an emitter of `request`. */
interface RequestsOwner {
  readonly handle: number
  readonly maxQueueSize: number
  readonly maxMessageBytes: number
  /** Called when a request was answered, or its answer is not waited for any more. */
  handleProgress(): void
}

export class SocketRequests {
  readonly #owner: RequestsOwner & EventEmitter
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #responder: Responder
  /** Requests in flight, of either side. */
  #inFlight: InFlight
  /** Requests that were in flight when the socket began to end. */
  #last: InFlight | undefined
  /** Requests of the other side that no listener has received yet, oldest first. */
  #held: Message[] | undefined

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
    const outcome = await this.#send(data, options)
    if (!(outcome instanceof Failure)) return outcome as Message
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(data: unknown, options: RequestManyOptions | undefined): Answers {
    return ask(this.#context, this.#responder, options, this.#owner.handle, () => {
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

  /** Delivers held requests to a new listener, after its registration and not inside. */
  flow(): void {
    if (this.#held !== undefined) nextTick(() => this.#release())
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
  end(): void {
    this.#held = undefined
    this.#last?.forget()
    this.#inFlight.forget()
  }

  #send(data: unknown, options: RequestOptions | undefined): Promise<unknown> | Failure {
    if (options?.signal?.aborted) return abortFailure(options.signal)
    const wait = waitOf(options, false)
    const message = prepare(data, options, this.#owner.maxMessageBytes, socketHeadersText)
    const ticket = new Ticket(
      this.#context,
      this.#responder,
      options?.signal,
      this.#inFlight,
      this.#owner.handle,
    )
    this.#write(ticket.handle, wait, message)
    return ticket.outcome
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
    while (this.#held !== undefined && this.#owner.listenerCount('request') > 0) {
      if (isInterrupted()) {
        nextTurn(() => this.#release())
        return
      }
      const message = this.#held.shift()
      if (this.#held.length === 0) this.#held = undefined
      if (message !== undefined) this.#give(message)
    }
  }
}
