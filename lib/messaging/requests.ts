// Publishing and asking: what a client and its sockets send, and the one answer that comes back.
import type {
  Headers,
  MessageOptions,
  Published,
  PublishOptions,
  RequestManyOptions,
  RequestOptions,
} from '../../index'
import type { InFlight } from '../async/in-flight'

import * as commands from '../engine/commands'
import { defaults } from '../engine/defaults'
import type { EventReader } from '../engine/event-reader'
import { DONE, FAILED, forget, PUBLISHED, REPLY, route, STRINGS, type Target } from '../engine/events'
import { outgoing } from '../engine/outgoing'
import { release, retain } from '../engine/process-ref'
import { abortFailure, closedFailure, Failure } from '../values/errors'
import { headersText, socketHeadersText } from '../values/headers'
import { isBoolean, isCount, isDuration, isSignal, isTimeout, type ShapeOf } from '../values/option-checks'
import type { ClientContext } from './client-context'
import { MESSAGE_SHAPE, Message, MessageData, type Responder } from './message'

/** How something ended, before it is a value or an error of the caller. */
export type Outcome = Message | Published | number | string[] | Failure

export const PUBLISH_SHAPE: ShapeOf<PublishOptions> = {
  ...MESSAGE_SHAPE,
  timeout: isTimeout,
  waitForInterest: isBoolean,
  noThrow: isBoolean,
}

export const REQUEST_SHAPE: ShapeOf<RequestOptions> = { ...PUBLISH_SHAPE, signal: isSignal }

export const REQUEST_MANY_SHAPE: ShapeOf<RequestManyOptions> = {
  ...REQUEST_SHAPE,
  maxMessages: isCount,
  maxWait: isTimeout,
}

export const INTEREST_SHAPE = { timeout: isDuration, signal: isSignal }

/** Encodes what is sent next and returns its headers' text. Nothing that runs code of the user may come between. */
export function prepare(data: unknown, options: MessageOptions | undefined, toSocket = false): string | null {
  const text = toSocket ? socketHeadersText : headersText
  if (MessageData.is(data)) {
    const headers = options?.headers === undefined ? socketHeadersText(data.headers) : text(options.headers)
    outgoing.prepare(undefined, data.encoding, options?.raw ?? data.raw)
    return headers
  }
  const headers = options === undefined ? null : text(options.headers as Headers | null | undefined)
  outgoing.prepare(data, options?.encoding ?? 0, options?.raw)
  return headers
}

/** One pending answer. Keeps the process alive until it is there. */
export class Ticket implements Target {
  readonly client: number
  readonly handle: number = commands.nextHandle()
  /** Never rejects: the error is made where the caller's frames are. */
  readonly outcome: Promise<Outcome>
  readonly #context: ClientContext
  readonly #responder: Responder
  /** Of the socket that asks. */
  readonly #inFlight: InFlight | undefined
  #settle: ((outcome: Outcome) => void) | undefined
  #signal: AbortSignal | undefined
  #abort: (() => void) | undefined

  constructor(context: ClientContext, responder: Responder, signal?: AbortSignal, inFlight?: InFlight) {
    this.client = context.handle
    this.#context = context
    this.#responder = responder
    this.outcome = new Promise(resolve => {
      this.#settle = resolve
    })
    route(this.handle, this)
    this.#inFlight = inFlight
    inFlight?.begin()
    context.awaited.begin()
    retain()
    if (signal !== undefined) this.#watch(signal)
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === REPLY) this.#end(readMessage(this.#context, this.#responder, event, false))
    else if (kind === PUBLISHED) this.#end({ bytes: event.f64(), count: event.u32() })
    else if (kind === DONE) this.#end(event.u32())
    else if (kind === STRINGS) this.#end(readStrings(event))
    else if (kind === FAILED) this.#end(readFailed(event))
  }

  handleClientClosed(): void {
    this.#end(closedFailure('the client'))
  }

  /** Settles it from this side; what the engine still says is dropped. */
  #end(outcome: Outcome): void {
    if (this.#settle === undefined) return
    this.#settle(outcome)
    this.#settle = undefined
    forget(this.handle)
    this.#inFlight?.end()
    this.#context.awaited.end()
    release()
    if (this.#abort !== undefined) this.#signal?.removeEventListener('abort', this.#abort)
  }

  #watch(signal: AbortSignal): void {
    this.#signal = signal
    this.#abort = () => {
      commands.cancel(this.client, this.handle)
      this.#end(abortFailure(signal))
    }
    signal.addEventListener('abort', this.#abort, { once: true })
  }
}

function readStrings(event: EventReader): string[] {
  return Array.from({ length: event.u32() }, () => event.str())
}

export function readFailed(event: EventReader): Failure {
  return new Failure(event.str(), event.str())
}

/** Reads *delivered*, *reply* and *socket request*. The reply subject of an answer is stale and not acted on. */
export function readMessage(
  context: ClientContext,
  responder: Responder,
  event: EventReader,
  isRequest: boolean,
): Message {
  const subject = event.str()
  const headers = event.optStr()
  const reply = event.optStr()
  const incoming = event.payload()
  context.countReceived(incoming.end - incoming.start)
  return new Message(responder, subject, headers, isRequest ? reply : null, incoming)
}

function milliseconds(value: number): number {
  return value <= 0 ? 0 : Math.ceil(value)
}

export function waitOf(options: RequestManyOptions | undefined, many: boolean): commands.Wait {
  return {
    timeout: milliseconds(options?.timeout ?? defaults.request),
    waitForInterest: options?.waitForInterest ?? false,
    maxMessages: many ? (options?.maxMessages ?? 0xffffffff) : 0,
    maxWait: milliseconds(options?.maxWait ?? 0),
  }
}

/** Publishes with confirmation. Subject and options have been checked. */
export function publish(
  context: ClientContext,
  responder: Responder,
  subject: string,
  data: unknown,
  options: PublishOptions | undefined,
  waitForInterest: boolean,
): Promise<Outcome> {
  context.checkSend()
  const timeout = milliseconds(options?.timeout ?? defaults.publish)
  const headers = prepare(data, options)
  const ticket = new Ticket(context, responder)
  context.countSent(
    commands.publish(context.handle, ticket.handle, timeout, waitForInterest, subject, headers),
  )
  return ticket.outcome
}

/** Publishes and forgets. */
export function publishSync(
  context: ClientContext,
  subject: string,
  data: unknown,
  options: MessageOptions | undefined,
): { bytes: number } {
  context.checkSend()
  const headers = prepare(data, options)
  const bytes = commands.publish(context.handle, 0, 0, false, subject, headers)
  context.countSent(bytes)
  return { bytes }
}

/** Asks for one answer. */
export function request(
  context: ClientContext,
  responder: Responder,
  subject: string,
  data: unknown,
  options: RequestOptions | undefined,
): Promise<Outcome> | Failure {
  context.checkSend()
  if (options?.signal?.aborted) return abortFailure(options.signal)
  const wait = waitOf(options, false)
  const headers = prepare(data, options)
  const ticket = new Ticket(context, responder, options?.signal)
  context.countSent(commands.request(context.handle, ticket.handle, wait, subject, headers))
  return ticket.outcome
}

/** Whether anybody listens: 0 or 1. */
export function interest(
  context: ClientContext,
  responder: Responder,
  subject: string,
  options: { timeout?: number; signal?: AbortSignal },
): Promise<Outcome> | Failure {
  context.checkOpen()
  if (options.signal?.aborted) return abortFailure(options.signal)
  const ticket = new Ticket(context, responder, options.signal)
  const timeout = milliseconds(options.timeout ?? defaults.interest)
  commands.waitForInterest(context.handle, ticket.handle, timeout, subject)
  return ticket.outcome
}

export const LIST_SHAPE = { timeout: isTimeout }

/** Has the broker's list of subscriptions compared with this client's (0 when they agree), or asks for its servers. */
export function list(
  context: ClientContext,
  responder: Responder,
  kind: 'subscriptions' | 'cluster',
  options: { timeout?: number } | undefined,
): Promise<Outcome> {
  context.checkOpen()
  const ticket = new Ticket(context, responder)
  const timeout = milliseconds(options?.timeout ?? defaults.request)
  const ask = kind === 'cluster' ? commands.cluster : commands.syncSubscriptions
  ask(context.handle, ticket.handle, timeout)
  return ticket.outcome
}
