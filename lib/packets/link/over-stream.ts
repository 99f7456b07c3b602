// Packets over a stream of bytes: of node:net, node:tls, or any other Duplex. Frames follow one another.
import type { Foreign } from '../agreed'
import { badOption } from '../errors'
import { Drained } from './drained'
import { End } from './end'
import { randomId } from './ids'
import type { PacketLink } from './link'

/** What is used of a Duplex. */
export interface DuplexLike {
  readonly writable: boolean
  readonly connecting?: boolean
  write(bytes: Uint8Array): boolean
  end(): unknown
  destroy(): unknown
  pause(): unknown
  resume(): unknown
  on(event: string, listener: (...args: Foreign[]) => void): unknown
  once(event: string, listener: (...args: Foreign[]) => void): unknown
}

export function overStream(stream: DuplexLike): PacketLink {
  if (typeof stream?.write !== 'function' || typeof stream.on !== 'function') {
    throw badOption('stream must be a Duplex', 'ERR_INVALID_ARG_TYPE')
  }
  return new StreamLink(stream)
}

class StreamLink implements PacketLink {
  readonly kind = 'frames'
  readonly isStream = true
  readonly id = randomId()
  readonly #stream: DuplexLike
  readonly #end = new End()
  readonly #drained: Drained

  constructor(stream: DuplexLike) {
    this.#stream = stream
    this.#drained = new Drained(stream)
    stream.on('error', error => this.#end.fail(error))
    stream.on('close', () => this.#end.reach('the stream'))
    // Nothing more comes, and nothing can be answered.
    stream.on('end', () => stream.end())
  }

  send(message: Uint8Array): boolean {
    return this.#stream.writable ? this.#stream.write(message) : true
  }

  writable(): Promise<void> {
    return this.#drained.wait()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#end.listen(closed)
    this.#stream.on('data', (data: unknown) =>
      message(ArrayBuffer.isView(data) ? (data as Uint8Array) : null),
    )
  }

  ready(go: () => void): void {
    if (this.#stream.connecting === true) this.#stream.once('connect', go)
    else go()
  }

  close(): void {
    this.#end.begin(() => this.#stream.destroy())
    this.#stream.end()
  }

  abort(): void {
    this.#stream.destroy()
  }
}
