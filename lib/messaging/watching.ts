// What is sent and handled, for those who watch it: channels of `node:diagnostics_channel`, and spans.
import type { Headers, MessageOptions } from '../../index'
import { CHANNELS, TRACES } from '../telemetry/channels'
import { beginSending, handling, type Operation, type Sending, tracingIsOn } from '../telemetry/tracing'
import { invalidType } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { isFunction } from '../values/option-checks'
import type { ClientContext } from './client-context'
import { Message, MessageData } from './message'
import { prepare } from './prepare'

const { request: REQUEST, handle: HANDLE, send: SEND } = TRACES

/** Whether somebody watches what is published. */
export function isPublishWatched(): boolean {
  return tracingIsOn() || CHANNELS.publish.hasSubscribers
}

/** Whether somebody watches what is written to sockets. */
export function isWriteWatched(): boolean {
  return tracingIsOn() || CHANNELS.socketWrite.hasSubscribers
}

/** Whether somebody watches requests, in the place of what carries them. */
export function isRequestWatched(socket: boolean): boolean {
  return (socket ? isWriteWatched() : isPublishWatched()) || isHeard(REQUEST)
}

/** Whether somebody watches what is handled. */
export function isHandlingWatched(): boolean {
  return tracingIsOn() || isHeard(HANDLE)
}

/** Whether somebody watches what is sent until it is handled. */
export function isSendWatched(): boolean {
  return isHeard(SEND)
}

/** Whoever hears of a trace hears of its begin, its end or its failure. */
function isHeard({ start, end, asyncEnd, error }: typeof REQUEST): boolean {
  return start.hasSubscribers || end.hasSubscribers || asyncEnd.hasSubscribers || error.hasSubscribers
}

/** Something that is about to be sent. */
export interface Sent<O> {
  /** Those of the program, with what is added to the headers. */
  readonly options: O | undefined
  /** Ends it: with the failure, if it failed. */
  end(outcome?: unknown): void
}

/** What is sent beside a message of a client's: to a socket, or to a method of a service. */
interface Beside {
  readonly socket?: { readonly id: string }
  /** The number that the socket gives it. */
  readonly seq?: number
  readonly method?: string | undefined
}

/** `subject` may be a socket's. */
export function watchSending<O extends MessageOptions>(
  context: ClientContext,
  name: 'publish' | 'send' | 'request',
  subject: string,
  data: unknown,
  options: O | undefined,
  { socket, seq, method }: Beside = {},
): Sent<O> {
  const headers: Headers = { ...(options?.headers ?? ownHeaders(MessageData.of(data)?.headers)) }
  const size = (): number => prepare(data, options, Number.POSITIVE_INFINITY).length
  const operation: Operation = { name, subject, client: context, socketId: socket?.id, seq, method, size }
  const sending = beginSending(operation, context.tracing, headers)
  const channel = socket === undefined ? CHANNELS.publish : CHANNELS.socketWrite
  if (channel.hasSubscribers) {
    const bytes = size()
    channel.publish(
      socket === undefined ? { client: context.owner, subject, headers, bytes } : { socket, headers, bytes },
    )
  }
  const hasAny = Object.keys(headers).length > 0
  const trace =
    name === 'request' && isHeard(REQUEST) ? beginTrace(REQUEST, context, subject, socket) : undefined
  return {
    options: hasAny ? ({ ...options, headers } as O) : options,
    end: outcome => {
      const failure = outcome instanceof Failure ? outcome : undefined
      endSending(sending, failure)
      trace?.(failure && errorFrom(failure))
    },
  }
}

/** Tells of a socket that connects. Returns what tells of the end: that it is ready, or why it will not be. */
export function watchConnecting(
  context: ClientContext,
  subject: string,
  id: string,
): ((failure?: { code: string | number; message: string }) => void) | undefined {
  if (!tracingIsOn()) return undefined
  const operation: Operation = { name: 'connect', subject, client: context, socketId: id }
  const sending = beginSending(operation, context.tracing, {})
  return sending && (failure => sending.end(failure))
}

/** Without those that the fabric itself had put there. */
function ownHeaders(headers: Headers | null | undefined): Headers {
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !name.startsWith('CN-')))
}

function endSending(sending: Sending | undefined, failure: Failure | undefined): void {
  sending?.end(failure)
}

/** Tells of a message that the other side is to handle. Returns what tells of its end: with the error, if it failed. */
export function watchDelivery(
  context: ClientContext,
  subject: string,
  socket: object,
): (error: unknown) => void {
  return beginTrace(SEND, context, subject, socket)
}

/** Tells of something that takes its time. Returns what tells of its end. */
function beginTrace(
  channel: typeof REQUEST,
  context: ClientContext,
  subject: string,
  socket: object | undefined,
): (error: unknown) => void {
  const told: Record<string, unknown> = { client: context.owner, subject, ...(socket && { socket }) }
  channel.start.publish(told)
  channel.end.publish(told)
  return error => {
    if (error !== undefined) {
      told.error = error
      channel.error.publish(told)
    }
    channel.asyncStart.publish(told)
    channel.asyncEnd.publish(told)
  }
}

/** Calls a handler, inside a span where there is one. */
export function watchHandling<T>(
  context: ClientContext,
  where: Omit<Operation, 'name' | 'client'>,
  isRequest: boolean,
  headers: Headers | null | undefined,
  told: object,
  handle: () => T,
): T {
  const operation: Operation = { name: 'process', ...where, client: context }
  const run = (): T => handling(operation, context.tracing, isRequest, headers, handle)
  if (!isHeard(HANDLE)) return run()
  const { subject, template } = where
  return HANDLE.traceSync(run, { client: context.owner, subject, template, ...told })
}

/** Runs a function inside a span of a message that is handled by it; by itself where the message has no context. */
export function traceMessage<T>(message: object, run: () => T): T {
  if (!(message instanceof Message)) throw invalidType('message', 'a message', message)
  isFunction('the function', run)
  const { subject, tracing, length } = message
  const operation: Operation = { name: 'process', subject, size: () => length }
  return handling(operation, { ...tracing, mode: 'active' }, message.isRequest(), message.headers, run, true)
}
