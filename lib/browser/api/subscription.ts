// The messages to one pattern, to be iterated, or as events of `emitter`.
import { AsyncQueue } from '../../async/async-queue'
import { errorFrom, type Failure } from '../../values/failure'
import { Emitter } from './emitter'
import type { Message } from './message'

const MAX_QUEUE_BYTES = 64 * 1024 * 1024

export interface SubscriptionOptions {
  maxMessages?: number
  maxQueueBytes?: number
}

class MessageEmitter extends Emitter<{ message: [message: Message] }> {
  onListener: () => void = () => {}

  protected override handleListener(): void {
    queueMicrotask(() => this.onListener())
  }
}

export class Subscription implements AsyncIterableIterator<Message, undefined> {
  readonly subject: string
  queue = ''
  dropped = 0
  readonly emitter: MessageEmitter = new MessageEmitter()
  readonly #unread = new AsyncQueue<Message>()
  readonly #maxQueueBytes: number
  #left: number
  #bytes = 0
  #isIterated = false
  #leave: (() => void) | undefined
  /** Settles when the broker has answered. */
  readonly confirmed: Promise<Failure | undefined>
  #confirm: (failure: Failure | undefined) => void = () => {}

  constructor(subject: string, options: SubscriptionOptions) {
    this.subject = subject
    this.#maxQueueBytes = options.maxQueueBytes ?? MAX_QUEUE_BYTES
    this.#left = options.maxMessages ?? Number.POSITIVE_INFINITY
    this.confirmed = new Promise(resolve => {
      this.#confirm = resolve
    })
    this.emitter.onListener = () => {
      while (this.emitter.listenerCount('message') > 0 && !this.#isIterated) {
        const message = this.#unread.take()
        if (message === undefined) return
        this.#bytes -= message.cost
        this.emitter.emit('message', message)
      }
    }
  }

  get ended(): boolean {
    return this.#unread.ended
  }

  /** It is made. @internal */
  begin(queue: string, leave: () => void): void {
    this.queue = queue
    this.#leave = leave
  }

  /** @internal */
  handleConfirmed(): void {
    this.#confirm(undefined)
  }

  /** Ends it: the broker refuses, or the client is closed. @internal */
  fail(failure: Failure): void {
    this.#confirm(failure)
    this.#unread.end(failure)
    this.#leave?.()
  }

  /** @internal */
  push(message: Message): void {
    if (this.ended) return
    this.#left -= 1
    const isEmitted = this.emitter.emit('message', message)
    if (this.#isIterated || !isEmitted) {
      if (this.#bytes && this.#bytes + message.cost > this.#maxQueueBytes) this.dropped += 1
      else if (!this.#unread.push(message)) this.#bytes += message.cost
    }
    if (this.#left <= 0) this.#finish()
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    this.#isIterated = true
    const message = this.#unread.take()
    if (message === undefined) return await this.#unread.next()
    this.#bytes -= message.cost
    return { value: message, done: false }
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    this.close()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    this.#isIterated = true
    return this
  }

  close(): void {
    this.#finish()
    while (this.#unread.take() !== undefined) this.#bytes = 0
  }

  #finish(): void {
    this.#unread.end()
    this.#confirm(undefined)
    this.#leave?.()
    this.#leave = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  /** @internal */
  async checkConfirmed(): Promise<this> {
    const failure = await this.confirmed
    if (failure !== undefined) throw errorFrom(failure)
    return this
  }
}
