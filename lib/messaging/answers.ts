// The replies to a requestMany: an async iterator, and a promise of one that rejects if nobody listens.
import type { RequestManyOptions, Results } from '../../index'
import { onAbort } from '../async/aborts'
import { AsyncQueue } from '../async/async-queue'
import type { Why } from '../async/bounds'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import { DONE, FAILED, REPLY } from '../engine/kinds'
import { release, retain } from '../engine/process-ref'
import { abortFailure, errorFrom, Failure } from '../values/failure'
import { noteSettled } from '../values/throw-async'
import type { ClientContext } from './client-context'
import type { Message, Responder } from './message'
import { readFailed, readMessage } from './ticket'

/** Bytes that unread replies may take before the iteration fails. */
const MAX_BYTES = 64 * 1024 * 1024
/** What is waited for. */
const ASKED = 'the answers did not come'

/** Where the replies come from. */
interface Source {
  /** Called when nobody waits for more of them; with why, if that is a failure. */
  cancel(failure: Failure | undefined): void
  /** Called once, at the end. */
  handleEnd(): void
  /** Why no answer comes, as far as that is known. */
  readonly why: Why
}

/** Receives the replies. Keeps the process alive until the end. */
export class Receiver {
  readonly unread: AsyncQueue<Message> = new AsyncQueue()
  /** Settles with the first reply or the end. */
  readonly first: Promise<Failure | undefined>
  readonly #source: Source
  #started: (failure: Failure | undefined) => void = () => {}
  readonly #isQuiet: boolean
  #read: (() => void) | undefined
  #bytes = 0
  readonly #unwatch: (() => void) | undefined

  constructor(source: Source, options: RequestManyOptions | undefined) {
    this.#source = source
    this.first = new Promise(resolve => {
      this.#started = resolve
    })
    retain()
    this.#isQuiet = options?.noThrow === true
    const signal = options?.signal
    this.#unwatch = signal && onAbort(signal, () => this.stop(abortFailure(signal, ASKED, source.why())))
  }

  receive(message: Message): void {
    this.#bytes += message.cost
    if (this.#bytes > MAX_BYTES) {
      this.stop(new Failure('ENOBUFS', `requestMany: more than ${MAX_BYTES} bytes of answers were not read`))
      return
    }
    this.unread.push(message)
    noteSettled()
    this.#started(undefined)
  }

  pulled(message: Message): void {
    this.#bytes -= message.cost
    if (this.unread.length === 0) this.#read?.()
  }

  /** Resolves when what has come was read. */
  async whenRead(): Promise<void> {
    if (this.unread.length === 0) return
    await new Promise<void>(resolve => {
      this.#read = resolve
    })
  }

  stop(failure?: Failure): void {
    if (this.unread.ended) return
    this.#source.cancel(failure)
    this.end(failure)
  }

  end(failure?: Failure): void {
    if (this.unread.ended) return
    const reported = this.#isQuiet ? undefined : failure
    this.unread.end(reported)
    noteSettled()
    this.#started(reported)
    this.#source.handleEnd()
    release()
    this.#unwatch?.()
  }
}

/** The replies that come to the inbox of a client. */
class InboxReplies implements Target {
  readonly client: number
  readonly handle: number = commands.nextHandle()
  readonly receiver: Receiver
  readonly #context: ClientContext
  readonly #responder: Responder

  constructor(context: ClientContext, responder: Responder, options: RequestManyOptions | undefined) {
    this.client = context.handle
    this.#context = context
    this.#responder = responder
    route(this.handle, this)
    const { client, handle } = this
    const source = {
      cancel: () => commands.cancel(client, handle),
      handleEnd: () => forget(handle),
      why: () => context.obstacle,
    }
    this.receiver = new Receiver(source, options)
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === REPLY) this.receiver.receive(readMessage(this.#context, this.#responder, event, false))
    else if (kind === DONE) this.receiver.end()
    else if (kind === FAILED) this.receiver.end(readFailed(event, this.#context))
  }

  handleStranded(failure: Failure): void {
    this.receiver.stop(failure)
  }

  handleClientClosed(): void {
    this.receiver.end(this.#context.closedFailure())
  }
}

/** What awaiting a requestMany resolves with. */
export interface AnswerIterator extends AsyncIterableIterator<Message, undefined> {
  close(): void
  stop(): void
  end(): void
  drain(): Promise<void>
}

export type Answers = Promise<AnswerIterator> & AnswerIterator

class Iterator implements AnswerIterator {
  readonly #receiver: Receiver
  /** What `drain` waits for. */
  #reading: Promise<void> | undefined

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  /** Waits for no more replies, as leaving the loop does; those that have come can still be read. */
  close(): void {
    this.#receiver.stop()
  }

  stop(): void {
    this.close()
  }

  end(): void {
    this.close()
  }

  async drain(): Promise<void> {
    this.close()
    this.#reading ??= this.#receiver.whenRead()
    await this.#reading
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    const result = await this.#receiver.unread.next()
    if (!result.done) this.#receiver.pulled(result.value)
    return result
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    this.#receiver.stop()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/**
 * Starts a requestMany. `send` checks and encodes, and returns a function that writes the request with a
 * ticket.
 */
export function ask(
  context: ClientContext,
  responder: Responder,
  options: RequestManyOptions | undefined,
  send: () => (ticket: number) => void,
): Answers {
  return answersOf(options, () => {
    const write = send()
    return () => {
      const replies = new InboxReplies(context, responder, options)
      write(replies.handle)
      return replies.receiver
    }
  })
}

/**
 * Starts a requestMany. `send` checks and encodes, and returns a function that writes the request and returns what receives
 * its replies: it is not called if the signal is aborted already.
 */
export function answersOf(options: RequestManyOptions | undefined, send: () => () => Receiver): Answers {
  try {
    const write = send()
    const receiver = options?.signal?.aborted ? abortedReceiver(options, options.signal) : write()
    const results: Promise<AnswerIterator> = opened(receiver, () => void handle(results))
    return closable(both(results, new Iterator(receiver)), new Iterator(receiver))
  } catch (error) {
    return closable(both(handle(Promise.reject(error)), refusing(error)), undefined)
  }
}

function abortedReceiver(options: RequestManyOptions, signal: AbortSignal): Receiver {
  const source = { cancel: () => {}, handleEnd: () => {}, why: () => undefined }
  const receiver = new Receiver(source, options)
  receiver.end(abortFailure(signal))
  return receiver
}

/** `handleFailure` is called when the error is made, which has the frames of whoever awaits. */
async function opened(receiver: Receiver, handleFailure: () => void): Promise<AnswerIterator> {
  const failure = await receiver.first
  if (failure === undefined) return new Iterator(receiver)
  const error = errorFrom(failure)
  handleFailure()
  throw error
}

/** Has a failure be told to whoever awaits or iterates later, without being unhandled until then. */
function handle<T>(results: Promise<T>): Promise<T> {
  results.catch(() => {})
  return results
}

async function* refusing(error: unknown): AsyncGenerator<Message, undefined> {
  yield await Promise.reject(error)
  return undefined
}

/** Adds what a subscription can do. A request that was refused is closed already. */
function closable(results: Results<Message>, iterator: Iterator | undefined): Answers {
  const close = (): void => iterator?.close()
  const drain = async (): Promise<void> => await iterator?.drain()
  return Object.assign(results, { close, stop: close, end: close, drain }) as unknown as Answers
}

/** Returns the replies of a requestMany, each converted by `make`, and what it fails with by `makeError`. */
export function mapAnswers<T>(
  answers: Promise<AnswerIterator>,
  make: (answer: Message) => T,
  makeError: (error: unknown) => unknown,
): Results<T> {
  const opened: Promise<Mapped<T>> = answers.then(
    iterator => new Mapped(iterator, make, makeError),
    (error: unknown) => {
      void handle(opened)
      throw makeError(error)
    },
  )
  // Awaiting gets the promise's rejection, iterating the iterator's.
  return both(opened, 'next' in answers ? new Mapped(answers as Answers, make, makeError) : new Later(opened))
}

class Mapped<T> implements AsyncIterableIterator<T, undefined> {
  readonly #answers: AnswerIterator
  readonly #make: (answer: Message) => T
  readonly #makeError: (error: unknown) => unknown

  constructor(answers: AnswerIterator, make: (answer: Message) => T, makeError: (error: unknown) => unknown) {
    this.#answers = answers
    this.#make = make
    this.#makeError = makeError
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    let result: IteratorResult<Message, undefined>
    try {
      result = await this.#answers.next()
    } catch (error) {
      throw this.#makeError(error)
    }
    return result.done ? result : { value: this.#make(result.value), done: false }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    await this.#answers.return?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** An iterator that forwards to one that is still to come. */
class Later<T> implements AsyncIterableIterator<T, undefined> {
  readonly #iterator: Promise<AsyncIterableIterator<T, undefined>>

  constructor(iterator: Promise<AsyncIterableIterator<T, undefined>>) {
    this.#iterator = iterator
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    return await (await this.#iterator).next()
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    await (await this.#iterator).return?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** Returns a promise with an iterator's methods. A failure is told to whoever awaits or iterates it. */
function both<T>(
  promise: Promise<AsyncIterableIterator<T, undefined>>,
  iterator: AsyncIterableIterator<T, undefined>,
): Results<T> {
  return Object.assign(promise, {
    next: () => iterator.next(),
    return: () => iterator.return?.() ?? Promise.resolve({ value: undefined, done: true as const }),
    [Symbol.asyncIterator]: () => iterator,
  }) as Results<T>
}
