// The streams of messages: Node.js streams with back-pressure to the peer and from it.
import { Buffer } from 'node:buffer'
import { Readable, Writable } from 'node:stream'
import { nextTick } from '../values/platform'
import type { Body } from './body'
import type { Marked } from './flush'

/** Bytes of a part that may be on their way from the engine to its reader. */
const WINDOW_BYTES = 256 * 1024
const BUFFER_BYTES = 64 * 1024

type Callback = (error?: Error | null) => void

/** A part of a received message. */
export class MessageStream extends Readable {
  /** Bytes that have come. */
  receivedSize = 0
  readonly #body: Body | undefined
  readonly #part: number
  /** Bytes that were asked for and have not come. */
  #wanted = 0
  #hasEnded = false

  /** @internal */
  constructor(body: Body | undefined, part: number) {
    super({ highWaterMark: BUFFER_BYTES })
    this.on('error', ignore)
    this.#body = body
    this.#part = part
  }

  /** Whether somebody reads, or is about to: a look at it is no reading. @internal */
  get isReading(): boolean {
    return this.readableFlowing !== null || this.readableDidRead || this.#wanted > 0
  }

  /** Whether all of it has come. */
  get loaded(): boolean {
    return this.#hasEnded
  }

  override _read(): void {
    const room = WINDOW_BYTES - this.#wanted
    if (this.#hasEnded || this.#body === undefined || room < WINDOW_BYTES / 2) return
    this.#wanted += room
    this.#body.read(this.#part, room)
  }

  /** @internal */
  handleBytes(bytes: Buffer): void {
    this.#wanted -= bytes.length
    this.receivedSize += bytes.length
    if (!this.destroyed) this.push(bytes)
  }

  /** @internal */
  handleEnd(): void {
    this.#hasEnded = true
    if (!this.destroyed) this.push(null)
  }

  /** @internal */
  handleFailure(error: Error): void {
    this.destroy(error)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    if (!this.#hasEnded) this.#body?.drop(this.#part)
    callback(error)
  }
}

/** The data of a message. */
export class MessageDataStream extends MessageStream {
  /** Of all of it, in bytes. */
  readonly size: number

  /** @internal */
  constructor(body: Body | undefined, part: number, size: number) {
    super(body, part)
    this.size = size
  }

  get bytesLeft(): number {
    return Math.max(0, this.size - this.receivedSize)
  }
}

/** A file of a message. */
export class MessageFileStream extends MessageDataStream {
  readonly name: string

  /** @internal */
  constructor(body: Body | undefined, part: number, size: number, name: string) {
    super(body, part, size)
    this.name = name
  }
}

/** What an outgoing stream needs of its message. */
export interface Target {
  write(bytes: Uint8Array, marked: Marked): void
  end(marked: Marked): void
  abort(): void
}

/** The stream of a sent message. What is written to it in one tick goes in one packet. */
export class OutgoingStream extends Writable {
  readonly #target: Target
  #isCorked = false
  #isOver = false

  /** @internal */
  constructor(target: Target) {
    super({ highWaterMark: BUFFER_BYTES })
    this.on('error', ignore)
    this.#target = target
  }

  override write(...args: unknown[]): boolean {
    if (!this.#isCorked) {
      this.#isCorked = true
      this.cork()
      nextTick(() => {
        this.#isCorked = false
        this.uncork()
      })
    }
    return super.write(...(args as [unknown]))
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#put(chunk, callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#put(Buffer.concat(chunks.map(({ chunk }) => chunk)), callback)
  }

  override _final(callback: Callback): void {
    this.#isOver = true
    this.#target.end(told(callback))
  }

  override _destroy(error: Error | null, callback: Callback): void {
    if (!this.#isOver) this.#target.abort()
    this.#isOver = true
    callback(error)
  }

  #put(bytes: Buffer, callback: Callback): void {
    if (bytes.length === 0) callback()
    else this.#target.write(bytes, told(callback))
  }
}

function told(callback: Callback): Marked {
  return { done: () => callback(), fail: callback }
}

/** A peer that goes away must not end the process: as in node:http, an error is for those who listen. `pipe` would throw it. */
function ignore(): void {}
