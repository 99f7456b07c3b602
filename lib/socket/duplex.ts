// A socket as a stream of Node.js: what it reads is acknowledged as it is read, what it writes waits for room.
import { Duplex, type DuplexOptions as NodeOptions } from 'node:stream'
import type { Headers, SocketDuplexOptions } from '../../index'
import type { WrittenStream } from '../async/web-streams'
import { FabricError, invalidType } from '../values/errors'
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

/** `isOrderly` returns whether nothing is missing after a close for this reason. */
export function openDuplex(
  socket: DuplexSocket,
  options: SocketDuplexOptions | undefined,
  isOrderly: (reason: FabricError) => boolean,
): Duplex & WrittenStream {
  checkOptions('toDuplex', options, DUPLEX_SHAPE)
  return new SocketDuplex(socket, options ?? {}, isOrderly)
}

/** `pipe` adds a listener of `unpipe` before anything else. A pipeline into a socket would never settle. */
export function pipeError(): FabricError {
  const text =
    'a socket is no stream, and nothing can be piped into it: use socket.toDuplex(), or for await (const chunk ' +
    'of readable) if (!socket.write(chunk)) await socket.waitUntilWritable()'
  return new FabricError(text, 'ERR_INVALID_ARG_TYPE')
}

class SocketDuplex extends Duplex implements WrittenStream {
  readonly #socket: DuplexSocket
  readonly #hasHeaders: boolean
  readonly #isOrderly: (reason: FabricError) => boolean
  /** Whether anything was written or piped to it. */
  #isWriting = false

  constructor(
    socket: DuplexSocket,
    options: SocketDuplexOptions,
    isOrderly: (reason: FabricError) => boolean,
  ) {
    const { objectMode = DUPLEX_SHAPE.objectMode.default, highWaterMark } = options
    const settings: NodeOptions = { objectMode, allowHalfOpen: false }
    if (highWaterMark !== undefined) settings.highWaterMark = highWaterMark
    super(settings)
    this.#socket = socket
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
    return this.#isWriting && !this.writableEnded && !this.destroyed
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: unknown, _encoding: string, done: (error?: Error | null) => void): void {
    this.#isWriting = true
    if (!this.writableObjectMode) this.#writeBytes(chunk as Buffer, 0, done)
    else if (this.#hasHeaders) {
      const { data, headers } = (chunk ?? {}) as { data?: unknown; headers?: Headers }
      this.#writeOne(data, headers === undefined ? null : { headers }, done)
    } else this.#writeOne(chunk, null, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end().then(() => done(), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#socket.state !== 'closed') this.#socket.destroy(this.#isLeft(error) ? null : error)
    done(error)
  }

  /** Whether it is only a reader that has had enough: Node.js destroys with an AbortError what a loop leaves. */
  #isLeft(error: Error | null): boolean {
    // What a pipeline writes of a generator, it waits to write.
    const isWriting = this.#isWriting || this.listenerCount('drain') > 0
    return (error as { code?: unknown } | null)?.code === 'ABORT_ERR' && !isWriting
  }

  #receive(data: unknown, headers: Headers): void {
    if (this.destroyed) return
    let chunk: unknown = data
    if (!this.readableObjectMode) {
      if (!isUint8Array(data)) {
        this.destroy(invalidType('a message to a stream of bytes', 'bytes', data))
        return
      }
    } else if (this.#hasHeaders) chunk = { data, headers }
    else if (data === null) {
      // Pushed, it would be the end.
      this.destroy(
        new FabricError('null is no value of a stream: read with `headers: true`', 'ERR_STREAM_NULL_VALUES'),
      )
      return
    }
    if (!this.push(chunk)) this.#socket.pause()
  }

  #handleClosed(reason: FabricError | undefined): void {
    // Who leaves lets go of what it is in the middle of: that is no end of a stream, which its own end is.
    if (reason?.draining && !this.writableEnded) this.destroy(reason)
    else if (reason !== undefined && !this.#isOrderly(reason)) this.destroy(reason)
    // Closed here, and not by the stream: as a file that is closed while it is read, which is no end either.
    else if (reason?.code !== 'ERR_SOCKET_CLOSED_BY_PEER' && !this.writableEnded) this.destroy()
    else this.push(null)
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
