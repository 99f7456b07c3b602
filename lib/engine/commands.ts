// Commands to the engine: everything that is written in one tick goes down in one call
// (docs/internals/boundary.md).

import { FabricError } from '../values/errors'
import { nextTick } from '../values/platform'
import { Batch } from './batch'
import * as items from './items'
import * as kinds from './kinds'
import { native } from './native'
import { type Outgoing, varintLength } from './outgoing'

/** A batch over this many bytes is submitted at once, so that the engine can start on it. */
const FLUSH_AT = 256 * 1024
/** Publishing throws `ENOBUFS` while the engine has more bytes than this to send. */
const MAX_PENDING = 64 * 1024 * 1024

/** A socket with data events whose handlers have been called and not yet reported to the engine. */
export interface Consumer {
  readonly client: number
  readonly engineHandle: number
  /** Data, requests and answers that are consumed and not yet reported. */
  uncounted: number
  uncountedRequests: number
  uncountedAnswers: number
}

/** How a reply is waited for. */
export interface Wait {
  timeout: number
  waitForInterest: boolean
  /** 0: one reply. */
  maxMessages: number
  maxWait: number
}

const batch = new Batch()
const consumers: Consumer[] = []
let scheduled = false
let pending = 0
let handles = 0
/**
 * The target of the last record, if more messages may join it: a socket (negative: volatile), sockets, or a
 * subject.
 */
let run: number | readonly number[] | string | undefined
let runClient = 0
let runKind = 0

/** Returns the next handle. Handles count up from 1 and are never reused. */
export function nextHandle(): number {
  handles += 1
  return handles
}

/** Submits what has been written so far. */
export function flush(): void {
  scheduled = false
  putConsumed()
  if (batch.pos > 0) submit()
}

function submit(): void {
  run = undefined
  pending = native.submit(batch.take())
}

/** Reports what has been handled: before a close, whose last ack must include it, or before a socket gets another handle. */
export function putConsumed(): void {
  for (const consumer of consumers) {
    begin(kinds.CONSUMED, consumer.client)
    batch.u32(consumer.engineHandle)
    batch.u32(consumer.uncounted)
    batch.u32(consumer.uncountedRequests)
    batch.u32(consumer.uncountedAnswers)
    consumer.uncounted = consumer.uncountedRequests = consumer.uncountedAnswers = 0
    batch.end()
  }
  consumers.length = 0
}

/** Counts one handled data event; the sum goes down with the next batch. */
export function consumed(consumer: Consumer): void {
  remember(consumer)
  consumer.uncounted += 1
}

/** Counts one request that was given to its handlers, or refused. */
export function consumedRequest(consumer: Consumer): void {
  remember(consumer)
  consumer.uncountedRequests += 1
}

/** Counts one answer, or what belongs to a request, that was taken. */
export function consumedAnswer(consumer: Consumer): void {
  remember(consumer)
  consumer.uncountedAnswers += 1
}

function remember(consumer: Consumer): void {
  if (consumer.uncounted + consumer.uncountedRequests + consumer.uncountedAnswers > 0) return
  consumers.push(consumer)
  schedule()
}

/** Throws if the engine has more to send than it may keep, after asking it again. */
export function checkPending(): void {
  if (pending + batch.pos <= MAX_PENDING) return
  submit()
  if (pending <= MAX_PENDING) return
  throw new FabricError(
    `publish failed: ${pending} bytes are queued, more than ${MAX_PENDING}; wait for the confirmation of publish()`,
    'ENOBUFS',
  )
}

/** Whether the engine has more bytes to send than `limit`, after asking it again. */
export function isPendingOver(limit: number): boolean {
  if (pending + batch.pos <= limit) return false
  submit()
  return pending > limit
}

function schedule(): void {
  if (scheduled) return
  scheduled = true
  nextTick(flush)
}

function begin(kind: number, client: number): void {
  run = undefined
  batch.begin(kind, client)
}

function end(): void {
  batch.end()
  if (batch.pos >= FLUSH_AT) flush()
  else schedule()
}

/** Ends a record with a message. */
function endMessage(message: Outgoing): void {
  try {
    message.writeTo(batch)
  } catch (error) {
    // A typed array may misreport its length, or memory may be exhausted.
    batch.abandon()
    throw error
  }
  end()
}

/** Appends a message to a record of several. */
function endPart(to: number | readonly number[] | string, message: Outgoing): void {
  try {
    message.writePart(batch)
  } catch (error) {
    // As in `endMessage`.
    batch.abandon()
    throw error
  }
  run = to
  end()
}

function wait(options: Wait): void {
  batch.u32(options.timeout)
  batch.u8(options.waitForInterest ? 1 : 0)
  batch.u32(options.maxMessages)
  batch.u32(options.maxWait)
}

/** Writes a record of numbers only. */
function plain(kind: number, client: number, ...numbers: number[]): void {
  begin(kind, client)
  for (const number of numbers) batch.u32(number)
  end()
}

function closing(kind: number, client: number, ...numbers: number[]): void {
  putConsumed()
  plain(kind, client, ...numbers)
}

export function publish(
  client: number,
  ticket: number,
  timeout: number,
  waitForInterest: boolean,
  subject: string,
  message: Outgoing,
): void {
  // Headers may have reserved names, which a record of several messages cannot carry.
  if (ticket === 0 && !waitForInterest && message.headers === null) {
    publishMany(client, subject, message)
    return
  }
  begin(kinds.PUBLISH, client)
  batch.u32(ticket)
  batch.u32(timeout)
  batch.u8(waitForInterest ? 1 : 0)
  batch.str(subject)
  endMessage(message)
}

/** Publishes what is not to be delivered late. */
export function publishTimed(
  client: number,
  ticket: number,
  timeout: number,
  waitForInterest: boolean,
  subject: string,
  message: Outgoing,
): void {
  begin(kinds.PUBLISH_TIMED, client)
  batch.u32(ticket)
  batch.u32(timeout)
  batch.u8(waitForInterest ? 1 : 0)
  batch.u32(milliseconds(message.ttl))
  batch.str(subject)
  endMessage(message)
}

function milliseconds(ttl: number | undefined): number {
  return Math.max(0, Math.floor(ttl ?? 0))
}

/** Publishes. Consecutive messages to one subject share a record. */
function publishMany(client: number, subject: string, message: Outgoing): void {
  if (run === subject && runClient === client) batch.resume()
  else {
    begin(kinds.PUBLISH_MANY, client)
    batch.str(subject)
    runClient = client
  }
  endPart(subject, message)
}

export function request(
  client: number,
  ticket: number,
  options: Wait,
  subject: string,
  message: Outgoing,
): void {
  begin(kinds.REQUEST, client)
  batch.u32(ticket)
  wait(options)
  batch.str(subject)
  endMessage(message)
}

export const cancel = (client: number, ticket: number): void => plain(kinds.CANCEL, client, ticket)

/** Without a queue the engine draws one, and fabrics know that nobody else is in it. */
export function subscribe(
  client: number,
  subscription: number,
  ticket: number,
  pattern: string,
  queue: string | null,
): void {
  begin(kinds.SUBSCRIBE, client)
  batch.u32(subscription)
  batch.u32(ticket)
  batch.str(pattern)
  batch.optStr(queue)
  end()
}

export const unsubscribe = (client: number, subscription: number): void =>
  plain(kinds.UNSUBSCRIBE, client, subscription)

export const drain = (client: number, ticket: number, subscription: number): void =>
  plain(kinds.DRAIN, client, ticket, subscription)

/** Has what comes dropped, and told, while more than so many bytes wait for this thread. No bound with 0. */
export const boundUnread = (client: number, subscription: number, bytes: number): void =>
  plain(kinds.BOUND_UNREAD, client, subscription, bytes)

export function waitForInterest(client: number, ticket: number, timeout: number, subject: string): void {
  begin(kinds.WAIT_FOR_INTEREST, client)
  batch.u32(ticket)
  batch.u32(timeout)
  batch.str(subject)
  end()
}

/** `options` is JSON. */
function open(kind: number, client: number, handle: number, subject: string, options: string): void {
  begin(kind, client)
  batch.u32(handle)
  batch.str(subject)
  batch.text(options)
  end()
}

export function listen(client: number, listener: number, subject: string, options: string): void {
  open(kinds.LISTEN, client, listener, subject, options)
}

export function socketConnect(client: number, socket: number, subject: string, options: string): void {
  open(kinds.SOCKET_CONNECT, client, socket, subject, options)
}

/** Writes to a socket. Consecutive writes to one socket share a record. */
export function socketWrite(client: number, socket: number, message: Outgoing, isVolatile: boolean): void {
  const to = isVolatile ? -socket : socket
  if (run === to) batch.resume()
  else {
    begin(isVolatile ? kinds.SOCKET_WRITE_VOLATILE : kinds.SOCKET_WRITE, client)
    batch.u32(socket)
  }
  endPart(to, message)
}

/** Writes data to sockets that is not to be handed out late. */
export function socketWriteTimed(
  client: number,
  sockets: readonly number[],
  message: Outgoing,
  isVolatile: boolean,
): void {
  begin(kinds.SOCKET_WRITE_TIMED, client)
  batch.u8(isVolatile ? 1 : 0)
  batch.u32(milliseconds(message.ttl))
  batch.u32(sockets.length)
  for (const socket of sockets) batch.u32(socket)
  try {
    message.writePart(batch)
  } catch (error) {
    // As in `endMessage`.
    batch.abandon()
    throw error
  }
  end()
}

/** Tells the other side that this message of its data was not handed out: before it counts as handled. */
export function socketDropped(client: number, socket: number, number: number): void {
  begin(kinds.SOCKET_DROPPED, client)
  batch.u32(socket)
  batch.f64(number)
  end()
}

/** Reopens the record of what is written to a socket, or begins one. */
function resumeWrites(client: number, socket: number): void {
  if (run === socket) batch.resume()
  else {
    begin(kinds.SOCKET_WRITE, client)
    batch.u32(socket)
  }
}

/** Appends a request or an answer. Without a socket nothing may join its record. */
function endItem(
  socket: number | undefined,
  kind: number,
  key: number,
  timeout: number | undefined,
  message: Outgoing,
): void {
  try {
    message.writeItem(batch, kind, key, timeout)
  } catch (error) {
    // As in `endMessage`.
    batch.abandon()
    throw error
  }
  run = socket
  end()
}

/** Writes a request to a socket, in the line of its data. */
export function socketAsk(
  client: number,
  socket: number,
  key: number,
  options: Wait,
  message: Outgoing,
): void {
  const timeout = Math.max(1, options.timeout)
  if (options.maxMessages === 0 && !options.waitForInterest) {
    resumeWrites(client, socket)
    endItem(socket, items.REQUEST, key, timeout, message)
    return
  }
  begin(kinds.SOCKET_ASK, client)
  batch.u32(socket)
  batch.u8(options.waitForInterest ? 1 : 0)
  batch.u32(options.maxMessages)
  batch.u32(options.maxWait)
  endItem(undefined, options.maxMessages === 0 ? items.REQUEST : items.REQUEST_MANY, key, timeout, message)
}

/** Writes an answer to a socket, in the line of its data. */
export function socketAnswer(
  client: number,
  socket: number,
  key: number,
  isLast: boolean,
  message: Outgoing,
): void {
  resumeWrites(client, socket)
  endItem(socket, isLast ? items.ANSWER : items.ANSWER_MORE, key, undefined, message)
}

/** Writes that no more answers follow. */
export function socketAnswerEnd(client: number, socket: number, key: number): void {
  resumeWrites(client, socket)
  batch.varint(varintLength(key) * 2)
  batch.u8(items.ANSWER_END)
  batch.varint(key)
  run = socket
  end()
}

/** Refuses a request: nobody has had it. Code and text are short ASCII. */
export function socketRefuse(client: number, socket: number, key: number, code: string, text: string): void {
  resumeWrites(client, socket)
  const length = varintLength(key) + 1 + 1 + code.length + 1 + text.length
  batch.varint(length * 2)
  batch.u8(items.REFUSAL)
  batch.varint(key)
  batch.u8(0)
  batch.u8(code.length)
  batch.text(code)
  batch.u8(text.length)
  batch.text(text)
  run = socket
  end()
}

/** Nobody waits for the answer to a request any more. */
export function socketCancel(client: number, socket: number, key: number, reason: number): void {
  begin(kinds.SOCKET_CANCEL, client)
  batch.u32(socket)
  batch.f64(key)
  batch.u8(reason)
  end()
}

/** Writes to several sockets. Consecutive writes to the same sockets share a record. Keeps `sockets`. */
export function broadcast(
  client: number,
  sockets: readonly number[],
  message: Outgoing,
  isVolatile: boolean,
): void {
  if (message.ttl !== undefined) {
    socketWriteTimed(client, sockets, message, isVolatile)
    return
  }
  const kind = isVolatile ? kinds.BROADCAST_VOLATILE : kinds.BROADCAST
  if (isRun(sockets) && runKind === kind) batch.resume()
  else {
    begin(kind, client)
    batch.u32(sockets.length)
    for (const socket of sockets) batch.u32(socket)
    runKind = kind
  }
  endPart(sockets, message)
}

function isRun(sockets: readonly number[]): boolean {
  if (typeof run !== 'object' || run.length !== sockets.length) return false
  for (let i = 0; i < sockets.length; i++) if (run[i] !== sockets[i]) return false
  return true
}

export const socketDisconnect = (client: number, socket: number): void =>
  plain(kinds.SOCKET_DISCONNECT, client, socket)
export const socketReconnect = (client: number, socket: number): void =>
  plain(kinds.SOCKET_RECONNECT, client, socket)
/** `abort`: why what was written is incomplete, if it is. */
export function socketClose(client: number, socket: number, abort: string | null = null): void {
  putConsumed()
  begin(kinds.SOCKET_CLOSE, client)
  batch.u32(socket)
  batch.optStr(abort)
  end()
}

/** Closes it, and tells the peer that it did not keep up. */
export const socketGiveUp = (client: number, socket: number): void =>
  closing(kinds.SOCKET_GIVE_UP, client, socket)

export function socketEnd(client: number, ticket: number, socket: number, timeout: number): void {
  closing(kinds.SOCKET_END, client, ticket, socket, timeout)
}

export function serverChosen(client: number, socket: number, id: string | null): void {
  begin(kinds.SERVER_CHOSEN, client)
  batch.u32(socket)
  batch.optStr(id)
  end()
}

export const listenerClose = (client: number, listener: number): void =>
  closing(kinds.LISTENER_CLOSE, client, listener)

export function listenerEnd(client: number, ticket: number, listener: number, timeout: number): void {
  closing(kinds.LISTENER_END, client, ticket, listener, timeout)
}

export const collect = (client: number, socket: number): void => plain(kinds.COLLECT, client, socket)
export const listenerRetire = (client: number, listener: number): void =>
  plain(kinds.LISTENER_RETIRE, client, listener)

export const clientConnect = (client: number): void => plain(kinds.CLIENT_CONNECT, client)
export const clientDisconnect = (client: number): void => plain(kinds.CLIENT_DISCONNECT, client)
/** What was published before there is a connection has `within` ms to leave. */
export const clientClose = (client: number, within: number): void =>
  closing(kinds.CLIENT_CLOSE, client, within)
export const clientLeave = (client: number): void => closing(kinds.CLIENT_LEAVE, client)
/** `rows` is JSON: what each socket has to tell. */
export function tellSockets(client: number, rows: string): void {
  begin(kinds.TELL_SOCKETS, client)
  batch.str(rows)
  end()
}
export const dropTransport = (client: number): void => plain(kinds.DROP_TRANSPORT, client)

export const syncSubscriptions = (client: number, ticket: number, timeout: number): void =>
  plain(kinds.SYNC_SUBSCRIPTIONS, client, ticket, timeout)
export const cluster = (client: number, ticket: number, timeout: number): void =>
  plain(kinds.CLUSTER, client, ticket, timeout)
/** The id of a broker's question in two halves, which is only passed back. */
export type Question = readonly [low: number, high: number]

function answer(kind: number, broker: number, question: Question, what: number): void {
  begin(kind, broker)
  batch.u32(question[0])
  batch.u32(question[1])
  batch.u8(what)
}

/** `user` is JSON. */
export function userFound(broker: number, question: Question, user: string): void {
  answer(kinds.USER_FOUND, broker, question, 1)
  batch.str(user)
  end()
}

export function userRefused(broker: number, question: Question, message: string, code: number): void {
  answer(kinds.USER_FOUND, broker, question, 0)
  batch.str(message)
  batch.u32(code)
  end()
}

export function permissionDecided(broker: number, question: Question, decision: number): void {
  answer(kinds.PERMISSION_DECIDED, broker, question, decision)
  end()
}
