// Publishing and asking: what a client and its sockets send, and the one answer that comes back.
import type {
  Headers,
  MessageOptions,
  Published,
  PublishOptions,
  RequestManyOptions,
  RequestOptions,
} from '../index'
import { outgoing } from './codec'

import commands = require('./commands')

import type { Core } from './core'
import { abortFailure, closedFailure, Failed } from './errors'
import { DONE, FAILED, forget, PUBLISHED, REPLY, route, STRINGS, type Target } from './events'
import { headersText, socketHeadersText } from './headers'
import { release, retain } from './lifetime'
import { Message, MessageData, type Responder } from './message'
import {
  defaults,
  isBoolean,
  isBytes,
  isCount,
  isDuration,
  isEncoding,
  isHeaders,
  isSignal,
  isTimeout,
  type ShapeOf,
} from './options'
import type { Slab } from './slab'
import type { UnderWay } from './under-way'

/** How something ended, before it is a value or an error of the caller. */
export type Outcome = Message | Published | number | string[] | Failed

export const MESSAGE_SHAPE: ShapeOf<MessageOptions> = {
  headers: isHeaders,
  encoding: isEncoding,
  raw: isBytes,
}

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
  readonly #core: Core
  readonly #responder: Responder
  /** Of the socket that asks. */
  readonly #underWay: UnderWay | undefined
  #settle: ((outcome: Outcome) => void) | undefined
  #signal: AbortSignal | undefined
  #abort: (() => void) | undefined

  constructor(core: Core, responder: Responder, signal?: AbortSignal, underWay?: UnderWay) {
    this.client = core.handle
    this.#core = core
    this.#responder = responder
    this.outcome = new Promise(resolve => {
      this.#settle = resolve
    })
    route(this.handle, this)
    this.#underWay = underWay
    underWay?.begin()
    core.awaited.begin()
    retain()
    if (signal !== undefined) this.#watch(signal)
  }

  handleEvent(kind: number, slab: Slab): void {
    if (kind === REPLY) this.#end(readMessage(this.#core, this.#responder, slab, false))
    else if (kind === PUBLISHED) this.#end({ bytes: slab.f64(), count: slab.u32() })
    else if (kind === DONE) this.#end(slab.u32())
    else if (kind === STRINGS) this.#end(readStrings(slab))
    else if (kind === FAILED) this.#end(readFailed(slab))
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
    this.#underWay?.end()
    this.#core.awaited.end()
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

function readStrings(slab: Slab): string[] {
  return Array.from({ length: slab.u32() }, () => slab.str())
}

export function readFailed(slab: Slab): Failed {
  return new Failed(slab.str(), slab.str())
}

/** Reads *delivered*, *reply* and *socket request*. The reply subject of an answer is stale and not acted on. */
export function readMessage(core: Core, responder: Responder, slab: Slab, isRequest: boolean): Message {
  const subject = slab.str()
  const headers = slab.optStr()
  const reply = slab.optStr()
  const incoming = slab.payload()
  core.countReceived(incoming.end - incoming.start)
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
  core: Core,
  responder: Responder,
  subject: string,
  data: unknown,
  options: PublishOptions | undefined,
  waitForInterest: boolean,
): Promise<Outcome> {
  core.checkSend()
  const timeout = milliseconds(options?.timeout ?? defaults.publish)
  const headers = prepare(data, options)
  const ticket = new Ticket(core, responder)
  core.countSent(commands.publish(core.handle, ticket.handle, timeout, waitForInterest, subject, headers))
  return ticket.outcome
}

/** Publishes and forgets. */
export function publishSync(
  core: Core,
  subject: string,
  data: unknown,
  options: MessageOptions | undefined,
): { bytes: number } {
  core.checkSend()
  const headers = prepare(data, options)
  const bytes = commands.publish(core.handle, 0, 0, false, subject, headers)
  core.countSent(bytes)
  return { bytes }
}

/** Asks for one answer. */
export function request(
  core: Core,
  responder: Responder,
  subject: string,
  data: unknown,
  options: RequestOptions | undefined,
): Promise<Outcome> | Failed {
  core.checkSend()
  if (options?.signal?.aborted) return abortFailure(options.signal)
  const wait = waitOf(options, false)
  const headers = prepare(data, options)
  const ticket = new Ticket(core, responder, options?.signal)
  core.countSent(commands.request(core.handle, ticket.handle, wait, subject, headers))
  return ticket.outcome
}

/** Whether anybody listens: 0 or 1. */
export function interest(
  core: Core,
  responder: Responder,
  subject: string,
  options: { timeout?: number; signal?: AbortSignal },
): Promise<Outcome> | Failed {
  core.checkOpen()
  if (options.signal?.aborted) return abortFailure(options.signal)
  const ticket = new Ticket(core, responder, options.signal)
  const timeout = milliseconds(options.timeout ?? defaults.interest)
  commands.waitForInterest(core.handle, ticket.handle, timeout, subject)
  return ticket.outcome
}

export const LIST_SHAPE = { timeout: isTimeout }

/** Has the broker's list of subscriptions compared with this client's (0 when they agree), or asks for its servers. */
export function list(
  core: Core,
  responder: Responder,
  kind: 'subscriptions' | 'cluster',
  options: { timeout?: number } | undefined,
): Promise<Outcome> {
  core.checkOpen()
  const ticket = new Ticket(core, responder)
  const timeout = milliseconds(options?.timeout ?? defaults.request)
  const ask = kind === 'cluster' ? commands.cluster : commands.syncSubscriptions
  ask(core.handle, ticket.handle, timeout)
  return ticket.outcome
}
