// One end of a Sockety connection.
import type { Buffer } from 'node:buffer'
import { captureRejectionSymbol, EventEmitter } from 'node:events'
import type { WaitOptions } from '../../index'
import type { Producer } from '../../types/sockety'
import { checkWait } from '../async/bounds'
import { Waiters } from '../async/waiters'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import {
  SOCKETY_CLOSED,
  SOCKETY_DATA,
  SOCKETY_FINISHED,
  SOCKETY_OPENED,
  SOCKETY_RECORDS,
} from '../engine/kinds'
import { ProcessRef } from '../engine/process-ref'
import { FabricError } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { throwAsync } from '../values/throw-async'
import { Body } from './body'
import * as commands from './commands'
import { departure, excused, isDeparture, isFault } from './departures'
import { hasBeenClosed, invalidCode, isClosed, notEstablished, queueFull } from './errors'
import { isFastReply } from './fast-reply'
import type { MessageContext } from './message-context'
import type { ConnectionSettings } from './options'
import { HEARTBEAT, isPlan, type Plan, planIn, preparedIn } from './producer'
import { Message, Response } from './received'
import { type BodySizes, type RecordSink, readRecords } from './records'
import { Request, UNAWAITED } from './request'
import { Requests } from './requests'
import { Sender } from './sender'
import { freshId, type UUID } from './uuid'

export interface ConnectionEvents {
  connect: []
  message: [message: Message]
  response: [response: Response]
  fastReply: [uuid: UUID, code: number]
  goAway: []
  timeout: []
  error: [error: Error]
  close: []
}

type State = 'connecting' | 'open' | 'closing' | 'closed'

export class Connection
  extends EventEmitter<ConnectionEvents>
  implements Target, RecordSink<Body>, MessageContext
{
  /** @internal */
  readonly client: number
  /** @internal */
  readonly maxDataBufferBytes: number
  /** Why it closed, if not because it was to. */
  closeReason: Error | null = null
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  #state: State = 'connecting'
  readonly #handle: number
  /** Where it goes, for errors; absent at a server. */
  readonly #place: string | undefined
  readonly #ref = new ProcessRef()
  readonly #ready = new Waiters()
  readonly #closed = new Waiters()
  readonly #requests: Requests
  readonly #bodies = new Map<number, Body>()
  readonly #sender: Sender
  /** Why not all has left before the close. */
  #untaken: Failure | undefined

  /** @internal */
  constructor(
    handle: number,
    settings: ConnectionSettings,
    remote?: { readonly address?: string; readonly port?: number },
    place?: string,
  ) {
    super({ captureRejections: true })
    this.#handle = this.client = handle
    this.remoteAddress = remote?.address
    this.remotePort = remote?.port
    this.#place = place
    this.maxDataBufferBytes = settings.maxDataBufferBytes
    this.#requests = new Requests(id => commands.forget(handle, id))
    this.#sender = new Sender(handle, settings.allowFilesSizeMismatch)
    route(handle, this)
    this.#ref.set(true)
  }

  /** @internal */
  get connection(): this {
    return this
  }

  /** Resolves when messages can be sent. */
  async ready(options?: WaitOptions): Promise<this> {
    checkWait('ready', options)
    if (this.#state === 'closed') throw new FabricError('The connection is already closed', 'ERR_CLOSED')
    if (this.#state === 'connecting') {
      const failure = await this.#ready.wait('the connection is not ready', options)
      if (failure !== undefined) throw errorFrom(failure)
    }
    return this
  }

  send(producer: Producer): Request {
    const plan = planIn(producer)
    this.#checkOpen()
    this.#checkRoom()
    const number = this.#requests.reserve()
    try {
      return this.#requests.set(number, this.#start(plan, number))
    } catch (error) {
      this.#requests.release(number)
      throw error
    }
  }

  pass(producer: Producer): Promise<void> {
    const prepared = preparedIn(producer)
    this.#checkOpen()
    this.#checkRoom()
    if (isPlan(prepared)) return this.#sender.start(prepared, freshId(), 0, false).sent.promise()
    if (prepared === HEARTBEAT) {
      commands.heartbeat(this.#handle)
      return this.#sender.flush.promise()
    }
    return excused(this.#passAll(prepared))
  }

  /** @internal */
  sendResponse(plan: Plan): Request {
    this.#checkOpen()
    this.#checkReader()
    return this.#requests.remember(this.#start(plan, UNAWAITED))
  }

  /** Sends an answer of a number. @internal */
  sendFastReply(id: UUID, code: number): Promise<void> {
    this.#checkOpen()
    this.#checkReader()
    commands.fastReply(this.#handle, id, code)
    return this.#sender.flush.promise()
  }

  /** The same for nobody who waits. @internal */
  answer(id: UUID, code: number): void {
    if (!isFastReply(code)) throw invalidCode()
    if (this.#state !== 'open') return
    this.#checkReader()
    commands.fastReply(this.#handle, id, code)
  }

  /** Closes when everything that was sent has left, or with `true` at once. */
  async close(force = false): Promise<void> {
    if (this.#state === 'closed') return
    const closed = this.#closed.wait('close')
    if (force || this.#state === 'connecting') {
      this.#state = 'closing'
      commands.close(this.#handle, true)
      this.#handleClosed(undefined)
    } else if (this.#state === 'open') {
      this.#state = 'closing'
      // Behind the close it would not be seen any more.
      this.#sender.putMark()
      commands.close(this.#handle, false)
    }
    await closed
  }

  /** The same of listeners that return a promise. @internal */
  override [captureRejectionSymbol](error: Error, ..._args: unknown[]): void {
    if (!this.excuses(error)) void Promise.reject(error)
  }

  /** Returns whether what has failed in a listener is the peer's matter, and not the process's. @internal */
  excuses(error: unknown): boolean {
    if (isDeparture(error, this.#handle)) return true
    if (!isFault(error, this.#handle)) return false
    this.#fail(new Failure(error.code, error.message))
    return true
  }

  ref(): this {
    this.#ref.ref()
    return this
  }

  unref(): this {
    this.#ref.unref()
    return this
  }

  /** Forgets a connection that could not begin. @internal */
  abandon(): void {
    this.#state = 'closed'
    this.#ref.set(false)
    forget(this.#handle)
  }

  /** @internal */
  handleEvent(kind: number, event: EventReader): void {
    switch (kind) {
      case SOCKETY_RECORDS:
        readRecords(event, this)
        break
      case SOCKETY_DATA: {
        const number = event.u32()
        const part = event.u32()
        this.handleBytes(number, part, event.bytes())
        break
      }
      case SOCKETY_OPENED:
        this.#handleOpened()
        break
      case SOCKETY_CLOSED:
        this.#handleEnding(failureOf(event))
        break
      case SOCKETY_FINISHED:
        this.#handleFinished(failureOf(event) ?? this.#untaken)
        break
      default:
    }
  }

  /** @internal */
  handleClientClosed(): void {}

  /** @internal */
  idAt(request: number, bytes: Uint8Array, at: number): UUID {
    return this.#requests.idAt(request, bytes, at)
  }

  /** @internal */
  openBody(number: number, sizes: BodySizes): Body {
    const body = new Body(this.#handle, number, sizes, done => this.#bodies.delete(done))
    this.#bodies.set(number, body)
    return body
  }

  /** @internal */
  addFile(number: number, name: string, size: number): void {
    this.#bodies.get(number)?.files.push({ name, size })
  }

  /** @internal */
  handleMessage(
    id: UUID,
    action: string,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ): void {
    const message = new Message(this, id, action, expectsResponse, inline, body)
    let isHeard = true
    try {
      isHeard = this.emit('message', message)
    } catch (error) {
      this.#handleThrown(error)
    }
    if (!isHeard) body?.dropAll()
  }

  /** @internal */
  handleResponse(
    request: number,
    parent: UUID,
    id: UUID,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ): void {
    const response = new Response(this, id, parent, expectsResponse, inline, body)
    const waiting = this.#requests.take(request, parent)
    const isHeard = this.listenerCount('response') > 0 && this.#tell('response', response)
    waiting?.handleAnswer(response)
    if (!isHeard && waiting === undefined) body?.dropAll()
  }

  /** @internal */
  handleFastReply(request: number, id: UUID, code: number): void {
    const waiting = this.#requests.take(request, id)
    if (this.listenerCount('fastReply') > 0) this.#tell('fastReply', id, code)
    waiting?.handleAnswer(code)
  }

  /** @internal */
  handleFlushed(first: number, count: number): void {
    this.#sender.marks.pass(first, count)
  }

  /** @internal */
  handleBytes(number: number, part: number, bytes: Buffer): void {
    this.#bodies.get(number)?.handleBytes(part, bytes)
  }

  /** @internal */
  handleEnd(number: number, part: number): void {
    this.#bodies.get(number)?.handleEnd(part)
  }

  /** @internal */
  handleAborted(number: number, byPeer: boolean, whole: readonly number[]): void {
    this.#bodies.get(number)?.handleAborted(byPeer, whole)
  }

  /** @internal */
  handleGoAway(): void {
    this.#tell('goAway')
  }

  #handleOpened(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#ready.settle()
    this.#tell('connect')
  }

  #handleEnding(failure: Failure | undefined): void {
    if (this.#state !== 'closing') this.#handleClosed(failure)
    // What was sent is still leaving, or never will.
    else if (failure?.code === 'ERR_SLOW_CONSUMER') this.#untaken = failure
  }

  #handleClosed(cause: Failure | undefined): void {
    if (this.#state === 'closed') return
    const failure = this.#state === 'connecting' ? this.#placed(cause) : cause
    this.#state = 'closed'
    const error = failure === undefined ? undefined : errorFrom(failure)
    this.closeReason = error ?? null
    // Whoever still reads wants the rest of it.
    this.#ref.set([...this.#bodies.values()].some(body => body.isBeingRead))
    const closed = departure(hasBeenClosed(error), this.#handle)
    this.#sender.close(error)
    this.#requests.close(closed)
    this.#ready.settle(failure ?? new Failure('ERR_CLOSED', 'The connection has been closed'))
    if (failure?.code === 'ETIMEDOUT') this.#tell('timeout')
    // Without a listener it would end the process: whoever does not listen has `closeReason`.
    if (error !== undefined && this.listenerCount('error') > 0) this.#tell('error', error)
    this.#tell('close')
    this.#closed.settle()
  }

  /** Says where it could not connect. */
  #placed(failure: Failure | undefined): Failure | undefined {
    if (this.#place === undefined) return failure
    if (failure === undefined) {
      const text =
        'the other end closed it before its connection header: perhaps it speaks TLS, or no Sockety'
      return new Failure('ECONNRESET', `cannot connect to ${this.#place}: ${text}`)
    }
    return new Failure(failure.code, `cannot connect to ${this.#place}: ${failure.message}`, failure.cause)
  }

  /** Nothing more comes: what was not read is lost. */
  #handleFinished(failure: Failure | undefined): void {
    this.#handleClosed(failure)
    this.#ref.set(false)
    forget(this.#handle)
    for (const body of [...this.#bodies.values()]) body.handleGone()
    this.#bodies.clear()
  }

  #tell<Name extends keyof ConnectionEvents>(name: Name, ...args: ConnectionEvents[Name]): boolean {
    try {
      return this.emit(name, ...(args as never))
    } catch (error) {
      this.#handleThrown(error)
      return true
    }
  }

  /** A listener has failed: as in any program, unless that is the peer's matter. */
  #handleThrown(error: unknown): void {
    if (!this.excuses(error)) throwAsync(error)
  }

  /** Closes it at once: its peer is to blame. */
  #fail(failure: Failure): void {
    if (this.#state === 'closed') return
    commands.close(this.#handle, true)
    this.#handleClosed(failure)
  }

  #checkRoom(): void {
    const { excess } = this.#sender.backlog
    if (excess > 0) throw queueFull(excess)
  }

  /** The same before an answer: whoever does not read its answers is no peer to keep them for. */
  #checkReader(): void {
    const { excess } = this.#sender.backlog
    if (excess === 0) return
    this.#fail(new Failure('ERR_SLOW_CONSUMER', `the other end does not read: ${excess} bytes wait for it`))
    throw departure(isClosed(), this.#handle)
  }

  #start(plan: Plan, number: number): Request {
    const id = freshId()
    // Most messages are this: nothing is to be made for what they do not have.
    if (plan.files === undefined && !plan.hasStream) {
      return new Request(this, this.#requests, number, id, null, this.#sender.sendWhole(plan, id, number))
    }
    // Nobody answers what was given up.
    const giveUp = (error: Error): void => this.#requests.fail(request, error)
    const { sent, stream } = this.#sender.start(plan, id, number, plan.hasStream, giveUp)
    const request = new Request(this, this.#requests, number, id, stream, sent)
    return request
  }

  /** Each one starts when the one before has been handed over. */
  async #passAll(producers: readonly Producer[]): Promise<void> {
    let last: Promise<void> | undefined
    for (const producer of producers) {
      last = this.pass(producer)
      const prepared = preparedIn(producer)
      if (isPlan(prepared) ? prepared.files?.some(file => 'claim' in file.source) : Array.isArray(prepared)) {
        await last
      }
    }
    await last
  }

  #checkOpen(): void {
    if (this.#state === 'open') return
    throw this.#state === 'connecting' ? notEstablished() : departure(isClosed(), this.#handle)
  }
}

/** Reads a failure, if there is one. */
function failureOf(event: EventReader): Failure | undefined {
  const code = event.optCode()
  const message = event.str()
  return code === null ? undefined : new Failure(code, message)
}
