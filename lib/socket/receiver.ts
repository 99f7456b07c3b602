// The receiving half of a socket: decodes and counts what arrives, and passes data to the inbox, and requests
// and answers to those who keep these.
import type { EventEmitter } from 'node:events'
import type { Headers } from '../../index'
import * as commands from '../engine/commands'
import type { EventReader, Incoming } from '../engine/event-reader'
import {
  ANSWER,
  ANSWER_END,
  ANSWER_MORE,
  CANCEL,
  LAST_DATA,
  REFUSAL,
  REQUEST,
  REQUEST_MANY,
} from '../engine/items'
import type { ClientContext } from '../messaging/client-context'
import { isHandlingWatched } from '../messaging/watching'
import { decodeAt } from '../values/codec'
import type { FabricError } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { parseHeaders } from '../values/headers'
import { isInterrupted, mustWait, throwAsync } from '../values/throw-async'
import { type Arrived, isSmall, Timed, Undecoded } from './arrived'
import { SocketCounters } from './counters'
import { excuses } from './handler-failures'
import { type DataIterator, Inbox, type Sink } from './inbox'
import { isOrderly } from './lifecycle'
import type { SocketRequests } from './requests'

/** The socket: an emitter of `data`. */
interface ReceiverOwner extends commands.Consumer {
  readonly state: string
  readonly ended: boolean
  /** Returns its name in error texts. */
  describe(): string
  /** Calls a handler, for those who watch it. */
  watch<T>(isRequest: boolean, headers: Headers | null | undefined, handle: () => T): T
  /** Returns its requests, which are created on demand. */
  openRequests(): SocketRequests
  /** Closes it, and tells the other side, whose message cannot be decoded. */
  abortFor(error: FabricError): void
  /** Takes a message of the socket's own among the data. Returns whether it was one. */
  takesOwn?(headers: string, read: () => unknown): boolean
  /** Whether data may be decoded, where that is not for all; it is given without headers then. */
  readonly admits: ((incoming: Incoming) => boolean) | undefined
}

export class Receiver implements Sink {
  readonly inbox: Inbox
  readonly counters = new SocketCounters()
  readonly #owner: ReceiverOwner & EventEmitter
  readonly #context: ClientContext
  undecoded: FabricError | undefined
  /** Whether a stream has the data. */
  #isTaken = false

  // biome-ignore lint/suspicious/noExplicitAny: whatever events it has
  constructor(owner: ReceiverOwner & EventEmitter<any>, context: ClientContext) {
    this.#owner = owner
    this.#context = context
    this.inbox = new Inbox(this)
  }

  /**
   * Reads an event *socket data, many*. If a handler closes the socket, the rest is dropped; what an earlier
   * message settled goes on before a handler is called.
   */
  receiveMany(event: EventReader): void {
    while (event.more && this.#owner.state !== 'closed' && !isInterrupted()) {
      const start = event.pos
      const incoming = event.part()
      if (this.#calls(incoming.encoding) && mustWait()) {
        event.pos = start
        return
      }
      this.receive(event.partHeaders, incoming, event.now)
    }
  }

  /** Reads an event *socket timed*. */
  receiveTimed(event: EventReader): void {
    const hasTime = event.u8() === 1
    const left = event.f64()
    const number = event.f64()
    const headers = event.optStr()
    const incoming = event.payload()
    if (this.inbox.isShut) return
    this.#receiveData(headers, incoming, { until: hasTime ? performance.now() + left : undefined, number })
  }

  receive(headers: string | null, incoming: Incoming, now: number): void {
    const { encoding } = incoming
    if (encoding <= LAST_DATA) {
      if (!this.inbox.isShut) this.#receiveData(headers, incoming)
      return
    }
    const requests = this.#owner.openRequests()
    if (encoding === ANSWER) requests.receiveAnswer(headers, incoming)
    else if (encoding === REQUEST) requests.asked.receiveRequest(headers, incoming, false, now)
    else if (encoding === REQUEST_MANY) requests.asked.receiveRequest(headers, incoming, true, now)
    else if (encoding === ANSWER_MORE) requests.receiveOneOfMany(headers, incoming)
    else if (encoding === ANSWER_END) requests.receiveAnswerEnd(incoming)
    else if (encoding === REFUSAL) requests.receiveRefusal(incoming)
    else if (encoding === CANCEL) requests.asked.receiveCancel(incoming)
  }

  /** Ends loops over the data: with this reason, if the end was not orderly. */
  end(reason: Failure | undefined): void {
    this.inbox.end(reason === undefined || isOrderly(reason) ? undefined : reason)
  }

  /** Leaves the data to a stream, for good: loops that were begun before end with that. */
  take(): void {
    this.#isTaken = true
    this.inbox.retire(this.#taken)
  }

  /** Throws if a stream has the data. */
  checkFree(): void {
    if (this.#isTaken) throw errorFrom(this.#taken)
  }

  get #taken(): Failure {
    return new Failure('ERR_SOCKET_TAKEN', `the data of ${this.#owner.describe()} belongs to its stream`)
  }

  iterate(isEager: boolean): DataIterator {
    this.checkFree()
    return this.inbox.iterate(isEager)
  }

  hasListeners(): boolean {
    return this.#owner.listenerCount('data') > 0
  }

  emitData(data: unknown, headers: Headers): void {
    try {
      if (isHandlingWatched())
        this.#owner.watch(false, headers, () => this.#owner.emit('data', data, headers))
      else this.#owner.emit('data', data, headers)
    } catch (error) {
      if (!excuses(this.#owner, 'data', error)) throwAsync(error)
    }
  }

  handleConsumed(): void {
    if (this.counters.consume()) commands.consumed(this.#owner)
  }

  handleStale(arrived: Arrived): void {
    const timed = arrived as Timed
    if (timed.isOwn) this.counters.expired += 1
    if (!this.counters.consume()) return
    if (timed.isOwn) commands.socketDropped(this.#owner.client, this.#owner.engineHandle, timed.number)
    commands.consumed(this.#owner)
  }

  /** Whether handlers are called at once with a message. */
  #calls(encoding: number): boolean {
    if (encoding <= LAST_DATA) return this.hasListeners()
    return encoding === REQUEST || encoding === REQUEST_MANY || encoding === CANCEL
  }

  #receiveData(
    text: string | null,
    incoming: Incoming,
    time?: { until: number | undefined; number: number },
  ): void {
    const { source, start, end, encoding } = incoming
    this.#context.countReceived(end - start)
    this.counters.received += 1
    this.counters.receivedBytes += end - start
    const { admits } = this.#owner
    if (admits !== undefined && !admits(incoming)) return
    if (text !== null && this.#takeOwn(text, incoming)) return
    const read = admits === undefined ? text : null
    if (time !== undefined) {
      const arrived = new Undecoded(incoming, read, error => this.#handleFailure(error))
      this.inbox.put(new Timed(arrived, time.until, time.number))
      return
    }
    if (!this.inbox.isRead && !isSmall(incoming)) {
      this.inbox.put(new Undecoded(incoming, read, error => this.#handleFailure(error)))
      return
    }
    let data: unknown
    let headers: Headers
    try {
      data = decodeAt(source, start, end, encoding)
      headers = read === null ? {} : (parseHeaders(read) ?? {})
    } catch (error) {
      this.#handleFailure(error as FabricError)
      return
    }
    this.inbox.push(data, headers)
  }

  #takeOwn(text: string, { source, start, end, encoding }: Incoming): boolean {
    try {
      if (!this.#owner.takesOwn?.(text, () => decodeAt(source, start, end, encoding))) return false
      if (this.#owner.state !== 'closed') this.handleConsumed()
    } catch (error) {
      this.#handleFailure(error as FabricError)
    }
    return true
  }

  /** Its stream has a gap now, so the socket cannot continue. */
  #handleFailure(error: FabricError): void {
    if (this.#owner.state !== 'closed') this.#owner.abortFor(error)
    else this.undecoded ??= error
  }
}
