// A fabric client of the original's kind on the official Socket.IO client: inbox, requests, subscriptions, chunks.
import { EventEmitter, once } from 'node:events'
import { io, type Socket } from 'socket.io-client'
import {
  type Chunk,
  type Delivery,
  decode,
  encode,
  type Headers,
  REPLY,
  type Refusal,
  randomId,
} from './wire'

export interface SendOptions {
  headers?: Headers | null
  /** Sent as they are, in place of the value. */
  raw?: Uint8Array
  encoding?: number
  timeout?: number
  waitForInterest?: boolean
}

type Handler = (message: Message) => void

/** A message that arrived. */
export class Message {
  constructor(
    readonly client: Client,
    readonly subject: string,
    readonly encoding: number,
    readonly raw: Uint8Array,
    readonly headers: Headers | undefined,
  ) {}

  get data(): any {
    return decode(this.encoding, this.raw)
  }

  get reply(): string | undefined {
    return this.headers?.[REPLY] as string | undefined
  }

  async respond(data: unknown, options: SendOptions = {}): Promise<unknown> {
    return this.client.publish(this.reply!, data, { waitForInterest: true, ...options })
  }
}

export class FabricFailure extends Error {
  constructor(
    message: string,
    readonly code: number | string | undefined,
  ) {
    super(message)
  }
}

/** Emits `ready` whenever everything is subscribed (again), `down` when the connection is lost, `refused`, `permission`. */
export class Client extends EventEmitter {
  readonly id = randomId()
  readonly io: Socket
  isReady = false
  isSignedIn = false
  /** Parts of a message are at most so long. */
  chunkSize = 900_000
  readonly #subscriptions = new Map<string, { queue: string; handlers: Set<Handler> }>()
  readonly #inbox = `_INBOX.${randomId()}`
  readonly #answers = new Map<
    string,
    { resolve: Handler; reject(reason: Error): void; timer: NodeJS.Timeout }
  >()
  #wasReady = false
  #isClosed = false

  constructor(
    address: string,
    readonly options: { chunkSize?: number; isHasty?: boolean } = {},
  ) {
    super()
    this.setMaxListeners(0)
    this.io = io(address, {
      path: '/conat',
      transports: ['websocket'],
      multiplex: false,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
    })
    this.#add(`${this.#inbox}.*`, randomId(), message => this.#answers.get(message.subject)?.resolve(message))
    this.io.on('info', (info: any, ack?: () => void) => ack && this.#handleInfo(info, ack))
    this.io.on('permission', (refusal: any) => refusal.type && this.emit('permission', refusal))
    this.io.on('disconnect', () => {
      this.isSignedIn = this.isReady = false
      this.emit('down')
    })
  }

  /** Cuts the transport. */
  cut(): void {
    this.io.io.engine.close()
  }

  close(): void {
    this.#isClosed = true
    // What is still buffered would keep its timer.
    this.io.sendBuffer.length = 0
    this.io.close()
    for (const { reject, timer } of this.#answers.values()) {
      clearTimeout(timer)
      reject(new FabricFailure('closed', undefined))
    }
    this.removeAllListeners()
  }

  async untilReady(): Promise<void> {
    if (!this.isReady) await once(this, 'ready')
  }

  /** Receives what matches until the result is called; `confirmed` when the broker has said so. */
  subscribe(
    pattern: string,
    handler: Handler,
    queue = randomId(),
  ): { close(): void; confirmed: Promise<void> } {
    const isNew = this.#add(pattern, queue, handler)
    return {
      close: () => this.#remove(pattern, handler),
      confirmed: isNew ? this.#confirm(pattern, queue) : Promise.resolve(),
    }
  }

  /** Publishes and forgets; lost without a connection. */
  publishSync(subject: string, data: unknown, options: SendOptions = {}): void {
    if (this.io.connected)
      for (const parts of this.#chunks(subject, data, options)) this.io.emit('publish', parts)
  }

  async publish(subject: string, data: unknown, options: SendOptions = {}): Promise<{ count: number }> {
    const timeout = options.timeout ?? 10_000
    await this.#untilSignedIn()
    let count = await this.#send(subject, data, options)
    if (count === 0 && options.waitForInterest) {
      const answer = await this.ask('wait-for-interest', { subject, timeout }, timeout)
      if (answer === true) count = await this.#send(subject, data, options)
    }
    return { count }
  }

  async request(subject: string, data: unknown, options: SendOptions = {}): Promise<Message> {
    if (!this.options.isHasty) await this.untilReady()
    if (this.#isClosed) throw new FabricFailure('closed', undefined)
    const reply = `${this.#inbox}.${randomId()}`
    const timeout = options.timeout ?? 10_000
    const answer = new Promise<Message>((resolve, reject) => {
      const timer = setTimeout(() => reject(new FabricFailure('timeout', 408)), timeout)
      this.#answers.set(reply, { resolve, reject, timer })
    })
    answer.catch(() => {})
    try {
      const headers = { ...options.headers, [REPLY]: reply }
      const { count } = await this.publish(subject, data, { ...options, timeout, headers })
      if (count === 0) throw new FabricFailure(`request -- no subscribers matching '${subject}'`, 503)
      return await answer
    } finally {
      clearTimeout(this.#answers.get(reply)?.timer)
      this.#answers.delete(reply)
    }
  }

  /** Emits an event and takes its acknowledgement. */
  async ask(event: string, argument: unknown, timeout = 10_000): Promise<any> {
    // Socket.IO would keep it, with its timer, for a connection that never comes.
    if (!this.io.connected) throw new FabricFailure('not connected', undefined)
    const answer = await this.io.timeout(timeout + 1500).emitWithAck(event, argument)
    if (answer?.error) throw new FabricFailure(answer.error, (answer as Refusal).code)
    return answer
  }

  async #send(subject: string, data: unknown, options: SendOptions): Promise<number> {
    const acks = [...this.#chunks(subject, data, options)].map(parts =>
      this.ask('publish', parts, options.timeout),
    )
    return (await Promise.all(acks)).at(-1).count
  }

  *#chunks(subject: string, data: unknown, options: SendOptions): Generator<unknown[]> {
    const raw = options.raw ?? encode(data)
    const id = randomId()
    const size = this.options.chunkSize ?? this.chunkSize
    for (let seq = 0; seq * size < raw.length; seq++) {
      const isLast = (seq + 1) * size >= raw.length
      const bytes = raw.subarray(seq * size, (seq + 1) * size)
      const parts: unknown[] = [subject, id, seq, isLast ? 1 : 0, options.encoding ?? 0, bytes]
      if (isLast && options.headers !== undefined) parts.push(options.headers)
      yield parts
    }
  }

  #handleInfo(info: any, ack: () => void): void {
    ack()
    if (info.user?.error) {
      this.emit('refused', info.user)
      return
    }
    this.chunkSize = Math.max(1000, info.max_payload - 100_000)
    this.isSignedIn = true
    this.emit('signed-in')
    this.#repair().catch(() => {})
  }

  /** Compares what should be subscribed with what the broker says, and repairs both ways. */
  async #repair(): Promise<void> {
    const has = new Set<string>(this.#wasReady ? await this.ask('subscriptions', null) : [])
    const wanted = [...this.#subscriptions].map(([subject, { queue }]) => ({ subject, queue }))
    const lacking = wanted.filter(({ subject }) => !has.has(subject))
    if (lacking.length === 1) await this.ask('subscribe', lacking[0])
    else if (lacking.length > 1) await this.ask('subscribe', lacking)
    const extra = [...has].filter(subject => !this.#subscriptions.has(subject))
    if (extra.length > 0) {
      this.io.emit(
        'unsubscribe',
        extra.map(subject => ({ subject })),
      )
    }
    this.isReady = this.#wasReady = true
    this.emit('ready')
  }

  async #confirm(subject: string, queue: string): Promise<void> {
    if (!this.isSignedIn) await this.untilReady()
    else await this.ask('subscribe', { subject, queue })
  }

  #add(pattern: string, queue: string, handler: Handler): boolean {
    const existing = this.#subscriptions.get(pattern)
    if (existing) {
      existing.handlers.add(handler)
      return false
    }
    const handlers = new Set([handler])
    this.#subscriptions.set(pattern, { queue, handlers })
    const partial = new Map<string, Chunk[]>()
    this.io.on(pattern, (delivery: Delivery) => this.#handle(delivery, partial, handlers))
    return true
  }

  #handle({ subject, data }: Delivery, partial: Map<string, Chunk[]>, handlers: Set<Handler>): void {
    if (!Array.isArray(data)) return
    const [id, seq, done, encoding, , headers] = data
    const parts = partial.get(id) ?? []
    partial.delete(id)
    if (seq !== parts.length) return
    parts.push(data)
    if (!done) {
      partial.set(id, parts)
      return
    }
    const raw = parts.length === 1 ? data[4] : Buffer.concat(parts.map(part => part[4]))
    for (const handler of handlers) handler(new Message(this, subject, encoding, raw, headers))
  }

  #remove(pattern: string, handler: Handler): void {
    const subscription = this.#subscriptions.get(pattern)
    subscription?.handlers.delete(handler)
    if (!subscription || subscription.handlers.size > 0) return
    this.#subscriptions.delete(pattern)
    this.io.removeAllListeners(pattern)
    this.io.emit('unsubscribe', { subject: pattern })
  }

  async #untilSignedIn(): Promise<void> {
    if (!this.isSignedIn) await once(this, 'signed-in')
  }
}
