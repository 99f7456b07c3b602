// A socket as a stream of Node.js: what it reads is acknowledged as it is read, what it writes waits for room.
import { Duplex, type DuplexOptions as NodeOptions } from 'node:stream'
import type { Headers, SocketDuplexOptions } from '../../index'
import type { WrittenStream } from '../async/web-streams'
import { FabricError, invalidType, invalidValue } from '../values/errors'
import { checkOptions, isBoolean, isCount, type ShapeOf } from '../values/option-checks'
import { type Buffer, isUint8Array } from '../values/platform'

/** The longest message of a stream of bytes. */
const MAX_CHUNK_BYTES = 64 * 1024

export const DUPLEX_SHAPE = {
  objectMode: { check: isBoolean, default: true },
  headers: { check: isBoolean, default: false },
  highWaterMark: isCount,
} as const satisfies ShapeOf<SocketDuplexOptions>

/** The socket below. */
export interface DuplexSocket {
  readonly state: string
  on(name: 'data', handle: (data: unknown, headers: Headers) => void): unknown
  on(name: 'closed', handle: (reason: FabricError | undefined) => void): unknown
  pause(): unknown
  resume(): unknown
  write(data: unknown, options?: { headers: Headers } | null): boolean
  waitUntilWritable(): Promise<void>
  end(): Promise<void>
  destroy(reason: unknown): void
}

/** What had arrived at the socket, and was not handed over, when that was closed. */
export interface Leftovers {
  readonly hasLeft: boolean
  /** Returns the next of it. Throws what can not be decoded. */
  takeLeft(): [data: unknown, headers: Headers] | undefined
}

/** `isOrderly` returns whether nothing is missing after a close for this reason. */
export function openDuplex(
  socket: DuplexSocket,
  leftovers: Leftovers,
  options: SocketDuplexOptions | undefined,
  isOrderly: (reason: FabricError) => boolean,
): Duplex & WrittenStream {
  checkOptions('toDuplex', options, DUPLEX_SHAPE)
  if (options?.headers === true && options.objectMode === false) {
    throw invalidValue('headers', 'false where `objectMode` is false: bytes have no headers', true)
  }
  return new SocketDuplex(socket, leftovers, options ?? {}, isOrderly)
}

/** `pipe` adds a listener of `unpipe` before anything else. A pipeline into a socket would never settle. */
export function pipeError(): FabricError {
  const text =
    'a socket is no stream, and nothing can be piped into it: use socket.toDuplex(), or for await (const chunk ' +
    'of readable) if (!socket.write(chunk)) await socket.waitUntilWritable()'
  return new FabricError(text, 'ERR_INVALID_ARG_TYPE')
}

/** Whether it is a chunk of a stream with headers, and nothing that is written wrong. */
function isChunk(chunk: unknown): chunk is { data: unknown; headers?: Headers } {
  if (typeof chunk !== 'object' || chunk === null || !('data' in chunk)) return false
  return Object.keys(chunk).every(key => key === 'data' || key === 'headers')
}

class SocketDuplex extends Duplex implements WrittenStream {
  readonly #socket: DuplexSocket
  readonly #leftovers: Leftovers
  readonly #hasHeaders: boolean
  readonly #isOrderly: (reason: FabricError) => boolean
  /** Whether anything was written or piped to it. */
  #isWriting = false
  /** Whether what comes next is asked for. */
  #isWanted = false
  /** The socket is closed: how the stream ends behind what is left, `null` in order. */
  #outcome: FabricError | null | undefined
  /** The last message is not a value of a stream: nothing after it is delivered. */
  #isRefused = false
  /** The socket below has been told. */
  #isOver = false

  constructor(
    socket: DuplexSocket,
    leftovers: Leftovers,
    options: SocketDuplexOptions,
    isOrderly: (reason: FabricError) => boolean,
  ) {
    const { objectMode = DUPLEX_SHAPE.objectMode.default, highWaterMark } = options
    const settings: NodeOptions = { objectMode, allowHalfOpen: false }
    if (highWaterMark !== undefined) settings.highWaterMark = highWaterMark
    super(settings)
    this.#socket = socket
    this.#leftovers = leftovers
    this.#hasHeaders = options.headers ?? DUPLEX_SHAPE.headers.default
    this.#isOrderly = isOrderly
    if (socket.state === 'closed') {
      this.destroy(new FabricError('the socket is closed', 'EPIPE'))
      return
    }
    this.once('pipe', () => {
      this.#isWriting = true
    })
    socket.pause()
    socket.on('data', (data, headers) => this.#receive(data, headers))
    socket.on('closed', reason => this.#handleClosed(reason))
  }

  get isBeingWritten(): boolean {
    return this.#isWriting && !this.writableEnded && !this.#isOver
  }

  override _read(): void {
    this.#isWanted = true
    if (this.#outcome === undefined) this.#socket.resume()
    else this.#readLeft()
  }

  override read(size?: number): unknown {
    const chunk = super.read(size)
    // An error drops what the stream holds: it comes when that is read, or is less than is asked for.
    if (this.#outcome && size !== 0 && (chunk === null || this.readableLength === 0)) this.#checkCutOff()
    return chunk
  }

  override _write(chunk: unknown, _encoding: string, done: (error?: Error | null) => void): void {
    this.#isWriting = true
    if (this.#outcome) done(this.#outcome)
    else if (!this.writableObjectMode) this.#writeBytes(chunk as Buffer, 0, done)
    else if (!this.#hasHeaders) this.#writeOne(chunk, null, done)
    else if (!isChunk(chunk)) done(invalidType('a chunk', 'an object { data, headers }', chunk))
    else this.#writeOne(chunk.data, chunk.headers === undefined ? null : { headers: chunk.headers }, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end().then(() => done(), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Without a reason, in the middle of what is written: the socket finds that it is cut off.
    this.#isOver = error !== null
    if (this.#socket.state !== 'closed') this.#socket.destroy(this.#isLeft(error) ? null : error)
    this.#isOver = true
    done(error)
  }

  /** Whether it is only a reader that has had enough: Node.js destroys with an AbortError what a loop leaves. */
  #isLeft(error: Error | null): boolean {
    // What a pipeline writes of a generator, it waits to write.
    const isWriting = this.#isWriting || this.listenerCount('drain') > 0
    return (error as { code?: unknown } | null)?.code === 'ABORT_ERR' && !isWriting
  }

  #receive(data: unknown, headers: Headers): void {
    if (this.destroyed || this.#isRefused) return
    let chunk: unknown = data
    if (!this.readableObjectMode) {
      if (!isUint8Array(data)) {
        this.#refuse(invalidType('a message to a stream of bytes', 'bytes', data))
        return
      }
    } else if (this.#hasHeaders) chunk = { data, headers }
    else if (data === null) {
      // Pushed, it would be the end.
      this.#refuse(
        new FabricError('null is no value of a stream: read with `headers: true`', 'ERR_STREAM_NULL_VALUES'),
      )
      return
    }
    if (this.push(chunk)) return
    this.#isWanted = false
    this.#socket.pause()
  }

  /** Closes the socket for what has come, and fails behind what stands before it. */
  #refuse(error: FabricError): void {
    this.#isRefused = true
    this.#outcome = error
    if (this.#socket.state !== 'closed') this.#socket.destroy(error)
    if (this.readableLength === 0) this.#checkCutOff()
  }

  #handleClosed(reason: FabricError | undefined): void {
    if (this.#isRefused) return
    // Who leaves lets go of what it is in the middle of: that is no end of a stream, which its own end is.
    const isLeft = reason?.draining && !this.writableEnded
    if (reason !== undefined && (isLeft || !this.#isOrderly(reason))) {
      // A writer is told at once.
      if (this.#isRead) this.#endBehindRest(reason)
      else this.destroy(reason)
    }
    // Closed here, and not by the stream: as a file that is closed while it is read, which is no end either.
    else if (reason?.code !== 'ERR_SOCKET_CLOSED_BY_PEER' && !this.writableEnded) this.destroy()
    else this.#endBehindRest(null)
  }

  /** Whether somebody has begun to read. */
  get #isRead(): boolean {
    return this.readableDidRead || this.readableFlowing !== null || this.listenerCount('readable') > 0
  }

  #endBehindRest(outcome: FabricError | null): void {
    this.#outcome = outcome
    if (this.#isWanted || !this.#hasLeft) this.#readLeft()
  }

  /** Hands out what is left, as much as is asked for, and ends behind it. */
  #readLeft(): void {
    try {
      do {
        const item = this.#isRefused ? undefined : this.#leftovers.takeLeft()
        if (item === undefined) {
          if (this.#outcome === null) this.push(null)
          else if (this.readableLength === 0) this.#checkCutOff()
          return
        }
        this.#receive(...item)
      } while (this.#isWanted && !this.destroyed)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  get #hasLeft(): boolean {
    return !this.#isRefused && this.#leftovers.hasLeft
  }

  /** Fails it, unless something is left. */
  #checkCutOff(): void {
    if (this.#outcome && !this.#hasLeft) process.nextTick(() => this.destroy(this.#outcome!))
  }

  #writeBytes(bytes: Buffer, from: number, done: (error?: Error | null) => void): void {
    const next = Math.min(bytes.length, from + MAX_CHUNK_BYTES)
    const rest = next === bytes.length ? done : (): void => this.#writeBytes(bytes, next, done)
    if (bytes.length === 0) done()
    else this.#writeOne(bytes.subarray(from, next), null, error => (error ? done(error) : rest()))
  }

  /** Writes one message. `done` is called when there is room for more. */
  #writeOne(data: unknown, options: { headers: Headers } | null, done: (error?: Error | null) => void): void {
    try {
      if (this.#socket.write(data, options)) done()
      else this.#socket.waitUntilWritable().then(() => done(), done)
    } catch (error) {
      // Others write to the socket, too.
      if ((error as FabricError).code !== 'ENOBUFS') done(error as Error)
      else this.#socket.waitUntilWritable().then(() => this.#writeOne(data, options, done), done)
    }
  }
}
