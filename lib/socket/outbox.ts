// The sending half of a socket: what is written, what of it is acknowledged, and what is left when the socket
// closes.
import type { Headers, SocketStats, State, WriteOptions } from '../../index'
import { Deliveries } from '../async/deliveries'
import { Waiters } from '../async/waiters'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import type { ClientContext } from '../messaging/client-context'
import { prepare } from '../messaging/prepare'
import { FabricError, invalidValue } from '../values/errors'
import { closedFailure, errorFrom, type Failure } from '../values/failure'
import { socketHeadersText } from '../values/headers'
import type { Lifecycle } from './lifecycle'
import { writeOptions } from './options'
import type { SocketSettings } from './settings'
import { Undelivered, type UndeliveredMessage } from './undelivered'
import { SendWindow } from './window'

/** The socket that sends. */
interface OutboxOwner {
  readonly handle: number
  /** Whether nothing may be written any more. */
  readonly ended: boolean
  /** Returns its name in error texts. */
  describe(): string
}

export class Outbox {
  readonly #owner: OutboxOwner
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #settings: SocketSettings
  readonly #window: SendWindow
  // A program may have thousands of sockets, most of them idle: what few need is created on demand.
  #drained: Waiters | undefined
  #writable: Waiters | undefined
  #deliveries: Deliveries | undefined
  #undelivered: Undelivered | undefined
  /** Called when the engine has reported everything about a socket that it closed. */
  #collected: (() => void) | undefined
  /** The number of messages written when the socket was last ready. */
  #writtenReady = 0
  #volatileDropped = 0

  constructor(owner: OutboxOwner, lifecycle: Lifecycle, context: ClientContext, settings: SocketSettings) {
    this.#owner = owner
    this.#lifecycle = lifecycle
    this.#context = context
    this.#settings = settings
    this.#window = new SendWindow(settings.maxQueueSize, settings.maxQueueBytes)
  }

  /** The number of unacknowledged messages. */
  get pending(): number {
    return this.#window.messages
  }

  /** The number of messages that wait for the socket to become ready. */
  get queued(): number {
    if (this.#lifecycle.state === 'ready') return 0
    return this.#window.written - Math.max(this.#window.acknowledged, this.#writtenReady)
  }

  get stats(): Pick<
    SocketStats,
    'sent' | 'sentBytes' | 'acknowledged' | 'volatileDropped' | 'pending' | 'pendingBytes'
  > {
    return {
      sent: this.#window.written,
      sentBytes: this.#window.writtenBytes,
      acknowledged: this.#window.acknowledged,
      volatileDropped: this.#volatileDropped,
      pending: this.#window.messages,
      pendingBytes: this.#window.bytes,
    }
  }

  /** Writes. Returns whether more than half of the window is free. */
  write(data: unknown, second: Headers | WriteOptions | null | undefined): boolean {
    const options = writeOptions(second)
    this.#checkWritable()
    const isVolatile = options?.volatile === true
    if (isVolatile && this.#lifecycle.state !== 'ready') return this.#drop()
    // Checked before the expensive encoding, for writers that retry often.
    const full = isVolatile ? undefined : this.#window.refusal(0)
    if (full !== undefined) throw full
    const message = prepare(data, options, this.#settings.maxMessageBytes(this.#context), socketHeadersText)
    const { size } = message
    // Encoding may have run user code that wrote to this socket or closed it.
    this.#checkWritable()
    const refusal = this.#window.refusal(size)
    if (refusal !== undefined) {
      if (isVolatile) return this.#drop()
      throw refusal
    }
    commands.socketWrite(this.#context.handle, this.#owner.handle, message, isVolatile)
    this.#context.countSent(message.length)
    return this.#window.put(size, isVolatile)
  }

  /** Writes, and resolves when the other side has handled the message. */
  async send(data: unknown, second: Headers | WriteOptions | null | undefined): Promise<void> {
    if (writeOptions(second)?.volatile === true) throw invalidValue('volatile', 'absent in send()', true)
    this.write(data, second)
    const failure = await this.whenHandled()
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Resolves when the other side has handled what was written so far; with why not, if it will not. */
  async whenHandled(): Promise<Failure | undefined> {
    const { written, messages } = this.#window
    if (messages === 0) return undefined
    if (this.#lifecycle.state === 'closed')
      return this.#lifecycle.reason ?? closedFailure(this.#owner.describe())
    return await (this.#deliveries ??= new Deliveries()).wait(written)
  }

  /** Returns why a message of this size cannot be written now, if it cannot. */
  refusal(size: number): FabricError | undefined {
    return this.#window.refusal(size)
  }

  /** Counts a message of a broadcast that was passed to the engine. Returns what `write` does. */
  countWrite(size: number, isVolatile: boolean): boolean {
    return this.#window.put(size, isVolatile)
  }

  /** Counts a volatile message of a broadcast that was not written. */
  countDropped(): void {
    this.#volatileDropped += 1
  }

  /** Resolves when everything that was written is acknowledged. */
  async drain(): Promise<void> {
    if (this.#window.messages === 0) return
    if (this.#lifecycle.state === 'closed') throw this.#lifecycle.closedError()
    const what = `${this.#owner.describe()} has not drained`
    const failure = await (this.#drained ??= new Waiters()).wait(what)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** Resolves when more than half of the window is free. */
  async waitUntilWritable(): Promise<void> {
    if (this.#lifecycle.state === 'closed') throw this.#lifecycle.closedError()
    while (!this.#window.isWritable) {
      const what = `${this.#owner.describe()} is not writable`
      const failure = await (this.#writable ??= new Waiters()).wait(what)
      if (failure !== undefined) throw errorFrom(failure)
    }
  }

  /**
   * Returns the messages that the other side is not known to have handled, oldest first. None before
   * `closed`.
   */
  undelivered(): UndeliveredMessage[] {
    return this.#undelivered?.list() ?? []
  }

  /** Reads an event *undelivered*. */
  readUndelivered(event: EventReader): void {
    this.#undelivered ??= new Undelivered()
    this.#undelivered.read(event, this.#window)
  }

  /** Takes the totals of what the other side has handled. */
  acknowledge(messages: number, bytes: number): void {
    if (!this.#window.acknowledge(messages, bytes)) return
    this.#deliveries?.settle(messages)
    if (this.#window.isWritable) this.#writable?.settle()
    if (this.#window.messages > 0) return
    this.#drained?.settle()
    this.#lifecycle.announce('drain')
  }

  /** Notes that the state is about to change. */
  handleEnter(state: State): void {
    if (state === 'ready' || this.#lifecycle.state === 'ready') this.#writtenReady = this.#window.written
  }

  /** Ends all waiting: nothing will be acknowledged any more. */
  end(failure: Failure, reason: Failure): void {
    this.#deliveries?.fail(reason)
    this.#drained?.settle(failure)
    this.#writable?.settle(failure)
  }

  /**
   * Calls `finish` when everything has been reported that was written after the engine had closed the socket,
   * and before that was known here.
   */
  collect(wasOpen: boolean, finish: (undelivered: number) => void): void {
    const done = (): void => {
      this.#collected = undefined
      finish(this.#undelivered?.length ?? 0)
    }
    if (!wasOpen || (this.#undelivered?.length ?? 0) >= this.#window.messages) done()
    else {
      this.#collected = done
      commands.collect(this.#context.handle, this.#owner.handle)
    }
  }

  /** Finishes a `collect`. Returns whether there was one. */
  finishCollect(): boolean {
    const collected = this.#collected
    collected?.()
    return collected !== undefined
  }

  #checkWritable(): void {
    if (!this.#owner.ended && !this.#context.closed) return
    throw new FabricError(`closed: ${this.#owner.describe()}`, 'EPIPE')
  }

  #drop(): false {
    this.#volatileDropped += 1
    return false
  }
}
