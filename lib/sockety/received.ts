// Messages and responses that have come.
import { Buffer, constants } from 'node:buffer'
import type { Connection, Request } from '../../types/sockety'
import { FabricError, invalidType } from '../values/errors'
import { type Body, Collector, DATA, FIRST_FILE, STREAM } from './body'
import { type DraftInput, plainResponse, type ResponseProducer } from './draft'
import { invalidCode, rawDraft } from './errors'
import { FastReply, isFastReply } from './fast-reply'
import type { MessageContext } from './message-context'
import { decode } from './msgpack'
import { producerOf, RAW } from './producer'
import { MessageDataStream, MessageFileStream, MessageStream } from './streams'
import type { UUID } from './uuid'

const EMPTY = Buffer.alloc(0)

/** The files of a message: an array that can also be called. */
export type Files = MessageFileStream[] & (() => MessageFileStream[])

/** What a message and a response have in common. */
export abstract class Received {
  readonly id: UUID
  /** @internal */
  readonly context: MessageContext
  readonly expectsResponse: boolean
  responded = false
  /** Data that came with the header. */
  readonly #inline: Buffer | undefined
  readonly #body: Body | undefined
  #dataStream: MessageDataStream | undefined
  #stream: MessageStream | undefined
  #files: Files | undefined
  #bytes: Promise<Buffer> | undefined

  /** @internal */
  constructor(
    context: MessageContext,
    id: UUID,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ) {
    this.context = context
    this.id = id
    this.expectsResponse = expectsResponse
    this.#inline = inline
    this.#body = body
  }

  get connection(): Connection {
    return this.context.connection
  }

  get dataSize(): number {
    return this.#body === undefined ? (this.#inline?.length ?? 0) : this.#body.dataSize
  }

  get filesCount(): number {
    return this.#body?.filesCount ?? 0
  }

  get totalFilesSize(): number {
    return this.#body?.filesSize ?? 0
  }

  get data(): MessageDataStream | null {
    if (this.dataSize === 0) return null
    if (this.#dataStream === undefined) {
      const stream = new MessageDataStream(this.#body, DATA, this.dataSize)
      this.#dataStream = stream
      if (this.#body !== undefined) this.#body.attach(DATA, stream)
      else {
        stream.handleBytes(this.#inline as Buffer)
        stream.handleEnd()
      }
    }
    return this.#dataStream
  }

  get stream(): MessageStream | null {
    if (!this.#body?.hasStream) return null
    if (this.#stream === undefined) {
      this.#stream = new MessageStream(this.#body, STREAM)
      this.#body.attach(STREAM, this.#stream)
    }
    return this.#stream
  }

  get files(): Files {
    this.#files ??= callable()
    const body = this.#body
    if (body !== undefined) {
      // Their headers may have come since.
      for (let index = this.#files.length; index < body.files.length; index++) {
        const { name, size } = body.files[index] as { name: string; size: number }
        const file = new MessageFileStream(body, FIRST_FILE + index, size, name)
        this.#files.push(file)
        body.attach(FIRST_FILE + index, file)
      }
    }
    return this.#files
  }

  /** Resolves with the whole data. */
  dataBuffer(): Promise<Buffer> {
    this.#bytes ??= this.#collect()
    return this.#bytes
  }

  /** Resolves with the value in the data. */
  async msgpack(): Promise<unknown> {
    return decode(await this.dataBuffer())
  }

  respond(
    response: ResponseProducer | DraftInput,
    hasStream: boolean | { stream?: boolean } = false,
  ): Request {
    let request: Request
    if (typeof response === 'function') {
      const raw = (response as { [RAW]?: string })[RAW]
      if (raw !== undefined) throw rawDraft(raw)
      request = this.context.sendResponse(response(this.id))
    } else {
      if (response === null || typeof response !== 'object') {
        throw invalidType('response', 'what a called ResponseDraft returns, or { data, files }', response)
      }
      const stream = typeof hasStream === 'boolean' ? hasStream : hasStream.stream === true
      request = this.context.sendResponse(producerOf(plainResponse(this.id, response, stream)))
    }
    this.responded = true
    return request
  }

  fastReply(code: number): Promise<void> {
    if (!isFastReply(code)) return Promise.reject(invalidCode())
    const sent = this.context.sendFastReply(this.id, code)
    this.responded = true
    return sent
  }

  accept(): Promise<void> {
    return this.fastReply(FastReply.Accept)
  }

  reject(): Promise<void> {
    return this.fastReply(FastReply.Reject)
  }

  /** Drops what nobody has begun to read, or with `true` all of it. */
  discard(all = false): void {
    if (this.#body === undefined) return
    if (all) this.#body.dropAll()
    else this.#body.dropUntouched()
  }

  #collect(): Promise<Buffer> {
    const { dataSize } = this
    if (dataSize === 0) return Promise.resolve(EMPTY)
    const limit = Math.min(this.context.maxDataBufferBytes, constants.MAX_LENGTH)
    if (dataSize > limit) {
      const text = `the data has ${dataSize} bytes, more than maxDataBufferBytes (${limit}): read the stream`
      return Promise.reject(new FabricError(text, 'ERR_SOCKETY_LIMIT'))
    }
    if (this.#dataStream?.readableDidRead) {
      const text = 'the data has been read as a stream: read it in one way'
      return Promise.reject(new FabricError(text, 'ERR_SOCKETY_DISCARDED'))
    }
    if (this.#dataStream !== undefined) return collect(this.#dataStream)
    if (this.#body === undefined) return Promise.resolve(this.#inline as Buffer)
    const body = this.#body
    return new Promise((resolve, reject) => {
      body.attach(DATA, new Collector(resolve, reject))
      body.read(DATA, dataSize)
    })
  }
}

export class Message extends Received {
  readonly action: string

  /** @internal */
  constructor(
    context: MessageContext,
    id: UUID,
    action: string,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ) {
    super(context, id, expectsResponse, inline, body)
    this.action = action
  }
}

export class Response extends Received {
  readonly parentId: UUID

  /** @internal */
  constructor(
    context: MessageContext,
    id: UUID,
    parentId: UUID,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ) {
    super(context, id, expectsResponse, inline, body)
    this.parentId = parentId
  }
}

async function collect(stream: MessageDataStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Returns an empty array that returns itself when it is called. */
function callable(): Files {
  const files = (() => files) as unknown as Files
  Object.defineProperty(files, 'length', { value: 0, writable: true })
  Object.defineProperty(files, 'name', { value: 'files' })
  Object.defineProperty(files, Symbol.isConcatSpreadable, { value: true })
  return Object.setPrototypeOf(files, Array.prototype)
}
