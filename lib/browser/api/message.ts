// A message as the application sees it; its data is decoded on first access.
import type { Headers } from '../../../index'
import { checkEncoding, DataEncoding, decodeBytes, encode } from '../../values/codec'
import { MESSAGE_DATA } from '../../values/encodable'
import { checkObject, FabricError, invalidType } from '../../values/errors'
import { errorFrom, Failure } from '../../values/failure'
import {
  headersText,
  parseHeaders,
  passedHeadersText,
  passedSocketHeadersText,
  REPLY_HEADER,
  replyHeadersText,
} from '../../values/headers'
import { isBytes, isEncoding, isHeaders } from '../../values/option-checks'
import { Buffer, isUint8Array } from '../../values/platform'
import { jsonIn } from '../socket/greeting'
import { textOf, utf8 } from '../wire/bytes'
import { bytesOf, type Item } from '../wire/publication'

export interface MessageOptions {
  encoding?: DataEncoding
  raw?: Uint8Array
  headers?: unknown
}

export const MESSAGE_SHAPE = { encoding: isEncoding, raw: isBytes, headers: isHeaders }

/** A payload with its headers, not yet sent or already received. */
export class MessageData {
  readonly #item: Item
  #headers: unknown
  #isParsed: boolean
  #data: unknown
  #isDecoded = false

  constructor(options: { encoding?: DataEncoding; raw: Uint8Array; headers?: unknown }) {
    checkObject('a message', options)
    const { encoding = 0, raw, headers } = options
    if (!isUint8Array(raw)) throw invalidType('raw', 'a Uint8Array', raw)
    // One that was received may bear any encoding.
    const json = (options as Partial<Item>).json
    if (json === undefined) checkEncoding(encoding)
    this.#item = { encoding, raw, json: json ?? null }
    this.#headers = headers
    this.#isParsed = json === undefined
  }

  /** Marks it for other copies of the package, and for the encoder. @internal */
  get [MESSAGE_DATA](): true {
    return true
  }

  get encoding(): DataEncoding {
    return this.#item.encoding
  }

  get raw(): Uint8Array {
    return this.#item.raw
  }

  get length(): number {
    return this.#item.raw.length
  }

  /** What it counts where what waits to be read is bounded: with what it takes of the heap beside its bytes. @internal */
  get cost(): number {
    return bytesOf(this.#item) + 256
  }

  get headers(): Headers | null | undefined {
    if (!this.#isParsed) {
      this.#isParsed = true
      this.#headers = headersOf(this.#item.json)
    }
    return this.#headers as Headers | null | undefined
  }

  /** @throws {FabricError} `"ERR_DECODE"` */
  get data(): unknown {
    if (!this.#isDecoded) {
      this.#data = decoded(this.#item)
      this.#isDecoded = true
    }
    return this.#data
  }

  toJSON(): { encoding: DataEncoding; raw: Uint8Array; headers?: Headers | null } {
    return { encoding: this.encoding, raw: this.raw, headers: this.headers }
  }
}

/** How a request is answered, and what became of it. */
export interface Answering {
  readonly signal?: AbortSignal
  readonly timeout?: number
  /** Sends the answer. Returns whether its sender waits for it. */
  respond(item: Item): Promise<{ bytes: number; count: number }>
}

/** A message that was received. */
export class Message extends MessageData {
  readonly subject: string
  readonly #reply: string | undefined
  readonly #answering: Answering | undefined

  constructor(subject: string, item: Item, reply?: string, answering?: Answering) {
    super(item as { raw: Uint8Array })
    this.subject = subject
    this.#reply = reply
    this.#answering = answering
  }

  override get cost(): number {
    return super.cost + this.subject.length
  }

  override get headers(): Headers | null | undefined {
    const headers = super.headers
    return this.#reply === undefined ? headers : { ...headers, [REPLY_HEADER]: this.#reply }
  }

  isRequest(): boolean {
    return this.#answering !== undefined
  }

  get signal(): AbortSignal {
    return this.#answering?.signal ?? NEVER_ABORTED
  }

  get timeout(): number | undefined {
    return this.#answering?.timeout
  }

  async respond(data?: unknown, options?: MessageOptions): Promise<{ bytes: number; count: number }> {
    return this.#respond(data, options)
  }

  respondSync(data?: unknown, options?: MessageOptions): { bytes: number } {
    const item = answerItemOf(data, options)
    void this.#answer(item).catch(() => {})
    return { bytes: item.raw.length }
  }

  #respond(data: unknown, options: MessageOptions | undefined): Promise<{ bytes: number; count: number }> {
    return this.#answer(answerItemOf(data, options))
  }

  #answer(item: Item): Promise<{ bytes: number; count: number }> {
    if (this.#answering !== undefined) return this.#answering.respond(item)
    const text = `message to '${this.subject}' is not a request: its sender does not wait for a reply`
    throw new FabricError(text, 'ERR_NOT_A_REQUEST')
  }
}

/** An answer that is an error, as its marked headers tell it. */
export interface AnsweredError {
  message: string
  code?: string | number
  data?: unknown
}
export const ERROR = 'CN-Error'

/** @internal */
export function failureOf({ message, code, data }: AnsweredError): Failure {
  return new Failure(code ?? 'ERR_SERVICE', message, undefined, { data })
}

/** Returns an answer, or throws the error that it is. */
export function answerOf(subject: string, item: Item): Message {
  const error = jsonIn(item)[ERROR] as AnsweredError | undefined
  if (error) throw errorFrom(failureOf(error))
  return new Message(subject, item)
}

function answerItemOf(data: unknown, options: MessageOptions | undefined): Item {
  return data instanceof Error ? errorItem(data) : itemOf(data, options, 'answer')
}

function errorItem({ message, code }: AnsweredError): Item {
  const headers = { error: message, code, [ERROR]: { message, code } }
  return { ...itemOf(null, undefined, 'answer'), json: utf8(JSON.stringify(headers)) }
}

const NEVER_ABORTED = new AbortController().signal

/** Where a message goes: that decides which headers it may have. */
export type Destination = 'subject' | 'socket' | 'answer'

/** Encodes a value by its options. @throws {FabricError} `"ERR_ENCODE"` */
export function itemOf(data: unknown, options: MessageOptions | undefined, where: Destination): Item {
  if (data instanceof MessageData) {
    const passed = where === 'socket' ? passedSocketHeadersText : passedHeadersText
    const text = options?.headers === undefined ? passed(data.headers) : textFor(options.headers, where)
    return { encoding: data.encoding, raw: options?.raw ?? data.raw, json: jsonOf(text) }
  }
  const { encoding = DataEncoding.MsgPack, raw, headers } = options ?? {}
  const text = textFor(headers, where)
  return { encoding, raw: raw ?? encode({ encoding, mesg: data }), json: jsonOf(text) }
}

function textFor(headers: unknown, where: Destination): string | null {
  if (headers === undefined || headers === null) return null
  if (where === 'answer') return replyHeadersText(headers)
  if (where === 'subject') return headersText(headers as Headers)
  return passedSocketHeadersText(JSON.parse(headersText(headers as Headers) as string))
}

function jsonOf(text: string | null): Uint8Array | null {
  return text === null ? null : utf8(text)
}

/** Refuses what has more bytes than that. */
export function checkSize(item: Item, limit: number): void {
  const size = bytesOf(item)
  if (size <= limit) return
  const text = `payload and headers have ${size} bytes, more than ${limit} (maxMessageBytes)`
  throw new FabricError(text, 'ERR_TOO_LARGE', { size, limit })
}

export function messageData(data: unknown, options?: MessageOptions): MessageData {
  const { encoding, raw } = itemOf(data, options, 'subject')
  return new MessageData({ encoding, raw, headers: options?.headers })
}

/** The headers of a message that came. Those that are no JSON count as none. */
export function headersOf(json: Uint8Array | null): Headers | null | undefined {
  if (json === null) return undefined
  try {
    return parseHeaders(textOf(json))
  } catch {
    return undefined
  }
}

/** @throws {FabricError} `"ERR_DECODE"` */
export function decoded({ encoding, raw }: Item): unknown {
  if (raw.length === 0) return undefined
  return decodeBytes(Buffer.from(raw.buffer as ArrayBuffer, raw.byteOffset, raw.length), encoding)
}
