// Messages and responses that have come.
import { Buffer, constants } from 'node:buffer'
import type { Connection, Request } from '../../types/sockety'
import { FabricError, invalidType } from '../values/errors'
import { type Body, Collector, DATA, FIRST_FILE, STREAM } from './body'
import { fault } from './departures'
import { type DraftInput, plainResponse, planOf, type ResponseProducer } from './draft'
import { invalidCode } from './errors'
import { FastReply, isFastReply } from './fast-reply'
import type { MessageContext } from './message-context'
import { decode } from './msgpack'
import { MessageDataStream, MessageFileStream, MessageStream } from './streams'
import type { UUID } from './uuid'

const EMPTY = Buffer.alloc(0)

/** The files of a message: an array that can also be called. */
export type Files = MessageFileStream[] & (() => MessageFileStream[])

/** What has been asked for of a message. */
class Parts {
  data: MessageDataStream | undefined
  stream: MessageStream | undefined
  files: Files | undefined
  bytes: Promise<Buffer> | undefined
}

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
  /** What has been asked for of it: nothing, for most. */
  #parts: Parts | undefined

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
    const parts = this.#openParts()
    if (parts.data === undefined) {
      const stream = new MessageDataStream(this.#body, DATA, this.dataSize)
      parts.data = stream
      if (this.#body !== undefined) this.#body.attach(DATA, stream)
      else {
        stream.handleBytes(this.#inline as Buffer)
        stream.handleEnd()
      }
    }
    return parts.data
  }

  get stream(): MessageStream | null {
    if (!this.#body?.hasStream) return null
    const parts = this.#openParts()
    if (parts.stream === undefined) {
      parts.stream = new MessageStream(this.#body, STREAM)
      this.#body.attach(STREAM, parts.stream)
    }
    return parts.stream
  }

  get files(): Files {
    const parts = this.#openParts()
    parts.files ??= callable()
    const { files } = parts
    const body = this.#body
    if (body !== undefined) {
      // Their headers may have come since.
      for (let index = files.length; index < body.files.length; index++) {
        const { name, size } = body.files[index] as { name: string; size: number }
        const file = new MessageFileStream(body, FIRST_FILE + index, size, name)
        files.push(file)
        body.attach(FIRST_FILE + index, file)
      }
    }
    return files
  }

  /** Resolves with the whole data. */
  dataBuffer(): Promise<Buffer> {
    const parts = this.#openParts()
    parts.bytes ??= this.#collect(parts.data)
    return parts.bytes
  }

  /** Resolves with the value in the data. */
  async msgpack<T>(): Promise<T> {
    const bytes = await this.dataBuffer()
    try {
      return decode(bytes) as T
    } catch (error) {
      throw fault(error as FabricError, this.context.client)
    }
  }

  respond(
    response: ResponseProducer | DraftInput,
    hasStream: boolean | { stream?: boolean } = false,
  ): Request {
    let request: Request
    if (typeof response === 'function') {
      request = this.context.sendResponse(planOf(response, this.id))
    } else {
      if (response === null || typeof response !== 'object') {
        throw invalidType('response', 'what a called ResponseDraft returns, or { data, files }', response)
      }
      const stream = typeof hasStream === 'boolean' ? hasStream : hasStream.stream === true
      request = this.context.sendResponse(plainResponse(this.id, response, stream))
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

  #openParts(): Parts {
    return (this.#parts ??= new Parts())
  }

  #collect(dataStream: MessageDataStream | undefined): Promise<Buffer> {
    const { dataSize } = this
    if (dataSize === 0) return Promise.resolve(EMPTY)
    const limit = Math.min(this.context.maxDataBufferBytes, constants.MAX_LENGTH)
    if (dataSize > limit) {
      const text = `the data has ${dataSize} bytes, more than maxDataBufferBytes (${limit}): read the stream`
      return Promise.reject(fault(new FabricError(text, 'ERR_SOCKETY_LIMIT'), this.context.client))
    }
    if (dataStream?.readableDidRead) {
      const text = 'the data has been read as a stream: read it in one way'
      return Promise.reject(new FabricError(text, 'ERR_SOCKETY_DISCARDED'))
    }
    if (dataStream !== undefined) return collect(dataStream)
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
