// A message as the application sees it; its data is decoded on first access.
import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import type { DataOptions, Headers, MessageOptions, Published, PublishOptions } from '../../index'
import { Incoming } from '../engine/event-reader'
import type { Tracing } from '../telemetry/tracing'
import { checkAttached, checkEncoding, DataEncoding, decodeAt, encode } from '../values/codec'
import { copyOut } from '../values/copy-out'
import { MESSAGE_DATA } from '../values/encodable'
import { checkObject, FabricError, invalidType } from '../values/errors'
import { headersText, parseHeaders, REPLY_HEADER } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { DATA_SHAPE } from './options'

/** What a message needs of its client to be replied to. */
export interface Responder {
  /** A question in JSON gets an answer in JSON: on NATS its sender may be a program that knows nothing else. */
  readonly answersInKind: boolean
  /** How spans of its messages are made. */
  readonly tracing?: Tracing
  respond(subject: string, data: unknown, options: PublishOptions | undefined): Promise<Published>
  respondSync(subject: string, data: unknown, options: PublishOptions | undefined): { bytes: number }
}

/** A request that came in the stream of a socket, and is answered there. */
export interface Asked {
  readonly signal: AbortSignal
  readonly timeout: number | undefined
  /** Whether it waits for an answer. */
  readonly isOpen: boolean
  respond(data: unknown, options: PublishOptions | undefined): Promise<Published>
  respondSync(data: unknown, options: MessageOptions | undefined): { bytes: number }
  /** Says that no more answers follow, if it takes several. */
  end(): void
}

/** What sender and receiver have agreed on: `any`, because the contract has it as a type parameter and this does not. */
// biome-ignore lint/suspicious/noExplicitAny: as said
type Agreed = any

/** A payload with its headers, not yet sent or already received. */
export class MessageData {
  readonly encoding: DataEncoding
  #bytes: Buffer
  #start: number
  #end: number
  #headers: Headers | null | undefined
  #data: unknown
  #decoded = false
  #ttl: number | undefined

  constructor(
    options:
      | Incoming
      | { encoding?: DataEncoding; raw: Uint8Array; headers?: Headers | null; ttl?: number | undefined },
  ) {
    if (options instanceof Incoming) {
      // A view of the event's bytes, not a copy.
      this.encoding = options.encoding
      this.#bytes = options.source
      this.#start = options.start
      this.#end = options.end
      return
    }
    checkObject('a message', options)
    const { encoding = 0, raw } = options
    if (!types.isUint8Array(raw)) throw invalidType('raw', 'a Uint8Array', raw)
    checkEncoding(encoding)
    if (!Buffer.isBuffer(raw)) checkAttached(raw)
    this.encoding = encoding
    this.#bytes = Buffer.isBuffer(raw) ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
    this.#start = 0
    this.#end = raw.byteLength
    this.#headers = options.headers
    this.#ttl = options.ttl
  }

  /** Returns a value as what it is, if it is one: without `instanceof`, which runs user code. @internal */
  static of(value: unknown): MessageData | undefined {
    if (typeof value !== 'object' || value === null) return undefined
    if (#bytes in value) return value
    // Another copy of the package has made it.
    return MESSAGE_DATA in value ? new MessageData(value as MessageData) : undefined
  }

  /** Marks it for other copies of the package, and for the encoder. @internal */
  get [MESSAGE_DATA](): true {
    return true
  }

  /** As it is encoded inside a value. */
  toJSON(): { encoding: DataEncoding; raw: Buffer; headers?: Headers | null } {
    return { encoding: this.encoding, raw: this.raw, headers: this.headers }
  }

  /** The encoded payload. */
  get raw(): Buffer {
    if (this.#end - this.#start !== this.#bytes.length) {
      this.#bytes = copyOut(this.#bytes, this.#start, this.#end)
      this.#start = 0
      this.#end = this.#bytes.length
    }
    return this.#bytes
  }

  get headers(): Headers | null | undefined {
    return this.#headers
  }

  get length(): number {
    return this.#end - this.#start
  }

  /** How long it is worth reading, in ms. */
  get ttl(): number | undefined {
    return this.#ttl
  }

  /** The decoded payload. */
  get data(): Agreed {
    if (!this.#decoded) {
      this.#data = decodeAt(this.#bytes, this.#start, this.#end, this.encoding)
      this.#decoded = true
    }
    return this.#data
  }
}

/** About what a message that waits takes of the heap beside its bytes, so that empty ones have a bound, too. */
const MESSAGE_BYTES = 256

/** A message that was received. */
export class Message extends MessageData {
  readonly subject: string
  readonly #reply: string | null
  readonly #responder: Responder
  readonly #asked: Asked | undefined
  #never: AbortSignal | undefined
  #isAnswered = false
  #onAnswer: (() => void) | undefined
  #headersText: string | null
  readonly #headersLength: number
  #parsed: Headers | null | undefined
  /** Until when it is to be read, by the clock of `performance`. @internal */
  until: number | undefined

  constructor(
    responder: Responder,
    subject: string,
    headers: string | null,
    reply: string | null,
    incoming: Incoming,
    asked?: Asked,
  ) {
    super(incoming)
    this.#asked = asked
    this.subject = subject
    this.#responder = responder
    this.#headersText = headers
    this.#headersLength = headers === null ? 0 : headers.length
    this.#reply = reply
  }

  override get headers(): Headers | null | undefined {
    if (this.#headersText !== null) {
      this.#parsed = parseHeaders(this.#headersText)
      this.#headersText = null
    }
    if (this.#reply === null || this.#parsed?.[REPLY_HEADER] !== undefined) return this.#parsed
    this.#parsed = { ...this.#parsed, [REPLY_HEADER]: this.#reply }
    return this.#parsed
  }

  isRequest(): boolean {
    return this.#reply !== null || this.#asked !== undefined
  }

  get signal(): AbortSignal {
    return this.#asked?.signal ?? (this.#never ??= new AbortController().signal)
  }

  get timeout(): number | undefined {
    return this.#asked?.timeout
  }

  respond(data?: unknown, options?: PublishOptions): Promise<Published> {
    try {
      const sent =
        this.#asked === undefined
          ? this.#responder.respond(this.#replySubject(), data, this.#inKind(data, options))
          : this.#asked.respond(data, this.#inKind(data, options))
      this.#handleAnswer()
      return sent
    } catch (error) {
      return Promise.reject(error)
    }
  }

  respondSync(data?: unknown, options?: PublishOptions): { bytes: number } {
    const sent =
      this.#asked === undefined
        ? this.#responder.respondSync(this.#replySubject(), data, this.#inKind(data, options))
        : this.#asked.respondSync(data, this.#inKind(data, options))
    this.#handleAnswer()
    return sent
  }

  end(): void {
    this.#asked?.end()
  }

  #inKind(data: unknown, options: PublishOptions | undefined): PublishOptions | undefined {
    const isJson = this.#responder.answersInKind && this.encoding === DataEncoding.JsonCodec
    const isChosen = options?.encoding !== undefined || options?.raw !== undefined
    // Bytes stay bytes, and what is encoded already stays as it is.
    if (!isJson || isChosen || data instanceof MessageData || types.isUint8Array(data)) return options
    return { ...options, encoding: DataEncoding.JsonCodec }
  }

  /** What it counts where what waits to be read is bounded: the same whether it was looked at or not. @internal */
  get cost(): number {
    const names = this.subject.length + (this.#reply?.length ?? 0)
    return MESSAGE_BYTES + names + this.#headersLength + this.length
  }

  /** Whether its headers may have this name, which is known before they are parsed. @internal */
  mayHave(header: string): boolean {
    return this.#headersText?.includes(`"${header}"`) ?? this.#parsed?.[header] !== undefined
  }

  /** Whether nobody wants it any more. @internal */
  get isStale(): boolean {
    return this.until !== undefined && performance.now() >= this.until
  }

  /** Whether a reply was sent. @internal */
  get isAnswered(): boolean {
    return this.#isAnswered
  }

  /** Whether it came in the stream of a socket. @internal */
  get isInStream(): boolean {
    return this.#asked !== undefined
  }

  /** Whether its sender waits for a reply that has not been sent. @internal */
  get awaitsAnswer(): boolean {
    return this.#asked === undefined ? this.#reply !== null && !this.#isAnswered : this.#asked.isOpen
  }

  /** Calls back when the first reply is sent. Several subscriptions may share a message. @internal */
  onAnswer(call: () => void): void {
    const before = this.#onAnswer
    this.#onAnswer =
      before === undefined
        ? call
        : () => {
            before()
            call()
          }
  }

  /** How its client makes spans. @internal */
  get tracing(): Tracing | undefined {
    return this.#responder.tracing
  }

  #handleAnswer(): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#onAnswer?.()
    this.#onAnswer = undefined
  }

  #replySubject(): string {
    if (this.#reply !== null) return this.#reply
    throw new FabricError(
      `message to '${this.subject}' is not a request: its sender does not wait for a reply`,
      'ERR_NOT_A_REQUEST',
    )
  }
}

/** Encodes a value once, to send it later or many times. */
export function messageData(data: unknown, options?: DataOptions): MessageData {
  checkOptions('messageData', options, DATA_SHAPE)
  const encoding = options?.encoding ?? DataEncoding.MsgPack
  headersText(options?.headers)
  const raw = options?.raw ?? encode({ encoding, mesg: data })
  return new MessageData({ encoding, raw, headers: options?.headers, ttl: options?.ttl })
}
