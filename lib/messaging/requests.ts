// Publishes and requests, of clients and of sockets.
import type {
  MessageOptions,
  PublishOptions,
  RequestManyOptions,
  RequestOptions,
  WaitOptions,
} from '../../index'
import * as commands from '../engine/commands'
import { abortFailure, Failure } from '../values/failure'
import { headersText } from '../values/headers'
import type { ClientContext } from './client-context'
import type { Responder } from './message'
import { INTEREST_SHAPE, timeouts } from './options'
import { prepare } from './prepare'
import { type Outcome, Ticket } from './ticket'
import { isPublishWatched, isRequestWatched, watchSending } from './watching'

function milliseconds(value: number): number {
  return value <= 0 ? 0 : Math.ceil(value)
}

export function waitOf(options: RequestManyOptions | undefined, many: boolean): commands.Wait {
  return {
    timeout: milliseconds(options?.timeout ?? timeouts.request),
    waitForInterest: options?.waitForInterest ?? false,
    maxMessages: many ? (options?.maxMessages ?? 0xffffffff) : 0,
    maxWait: milliseconds(options?.maxWait ?? 0),
  }
}

/** An answer belongs to its request, and is not watched by itself: its headers may be any JSON. */
function isWatched(text: typeof headersText): boolean {
  return text === headersText && isPublishWatched()
}

/** Publishes with confirmation. Subject and options have been checked. */
export function publish(
  context: ClientContext,
  responder: Responder,
  subject: string,
  data: unknown,
  options: PublishOptions | undefined,
  waitForInterest: boolean,
  text = headersText,
): Promise<Outcome> | Failure {
  context.checkSend()
  if (options?.signal?.aborted) return abortFailure(options.signal)
  const timeout = milliseconds(options?.timeout ?? timeouts.publish)
  const sent = isWatched(text) ? watchSending(context, 'publish', subject, data, options) : undefined
  const message = prepare(data, sent?.options ?? options, context.maxMessageBytes, text)
  const ticket = new Ticket(context, responder, text === headersText ? context.awaited : context.answering)
  if (options?.signal !== undefined) ticket.limit({ signal: options.signal }, `publish '${subject}'`)
  const write = message.ttl === undefined ? commands.publish : commands.publishTimed
  if (message.ttl !== undefined) void ticket.outcome.then(outcome => countStale(context, outcome))
  write(context.handle, ticket.handle, timeout, waitForInterest, subject, message)
  context.countSent(message.length)
  if (sent !== undefined) void ticket.outcome.then(sent.end)
  return ticket.outcome
}

/** Publishes without confirmation. */
export function publishSync(
  context: ClientContext,
  responder: Responder,
  subject: string,
  data: unknown,
  options: MessageOptions | undefined,
  text = headersText,
): { bytes: number } {
  context.checkSend()
  const sent = isWatched(text) ? watchSending(context, 'publish', subject, data, options) : undefined
  const message = prepare(data, sent?.options ?? options, context.maxMessageBytes, text)
  if (message.ttl === undefined) commands.publish(context.handle, 0, 0, false, subject, message)
  else {
    const ticket = new Ticket(context, responder)
    void ticket.outcome.then(outcome => countStale(context, outcome))
    commands.publishTimed(context.handle, ticket.handle, timeouts.publish, false, subject, message)
  }
  context.countSent(message.length)
  sent?.end()
  return { bytes: message.length }
}

/** Counts a publish that was not sent, since its time was over. */
function countStale(context: ClientContext, outcome: Outcome): void {
  if (outcome instanceof Failure && outcome.code === 408 && outcome.message.includes('its ttl was over')) {
    context.stats.expired += 1
  }
}

/** Sends a request for one reply. */
export function request(
  context: ClientContext,
  responder: Responder,
  subject: string,
  data: unknown,
  options: RequestOptions | undefined,
  method?: string,
): Promise<Outcome> | Failure {
  context.checkSend()
  if (options?.signal?.aborted) return abortFailure(options.signal)
  const wait = waitOf(options, false)
  const sent = isRequestWatched(false)
    ? watchSending(context, 'request', subject, data, options, { method })
    : undefined
  const message = prepare(data, sent?.options ?? options, context.maxMessageBytes)
  const ticket = new Ticket(context, responder).asRequest()
  if (options?.signal !== undefined) ticket.limit({ signal: options.signal }, `request '${subject}'`)
  commands.request(context.handle, ticket.handle, wait, subject, message)
  context.countSent(message.length)
  if (sent !== undefined) void ticket.outcome.then(sent.end)
  return ticket.outcome
}

/** Asks whether anybody listens: 0 or 1. */
export function interest(
  context: ClientContext,
  responder: Responder,
  where: 'interest' | 'waitForInterest',
  subject: string,
  options: { timeout?: number; signal?: AbortSignal },
): Promise<Outcome> | Failure {
  context.checkAsk()
  if (options.signal?.aborted) return abortFailure(options.signal)
  const ticket = new Ticket(context, responder)
  if (options.signal !== undefined) ticket.limit({ signal: options.signal }, `${where} '${subject}'`)
  const timeout = milliseconds(options.timeout ?? INTEREST_SHAPE.timeout.default)
  commands.waitForInterest(context.handle, ticket.handle, timeout, subject)
  return where === 'interest' ? renamed(ticket.outcome, 'waitForInterest', where) : ticket.outcome
}

/** Has a failure name the call that the program has made, in the place of the one that the engine knows. */
export async function renamed(
  outcome: Promise<Outcome> | Failure,
  from: string,
  to: string,
): Promise<Outcome> {
  const settled = await outcome
  if (!(settled instanceof Failure)) return settled
  const { code, message, cause, details } = settled
  return new Failure(code, message.replace(`${from} '`, `${to} '`), cause, details)
}

/**
 * Synchronises the broker's list of subscriptions with this client's, or requests the list of servers. A timeout runs from
 * the call.
 */
export function list(
  context: ClientContext,
  responder: Responder,
  kind: 'subscriptions' | 'cluster',
  options: WaitOptions | undefined,
): Promise<Outcome> {
  context.checkAsk()
  const ticket = new Ticket(context, responder)
  if (options !== undefined)
    ticket.limit(options, `the list of ${kind === 'cluster' ? 'servers' : kind} did not come`)
  const timeout = milliseconds(options?.timeout ?? timeouts.request)
  const ask = kind === 'cluster' ? commands.cluster : commands.syncSubscriptions
  ask(context.handle, ticket.handle, timeout)
  return ticket.outcome
}
