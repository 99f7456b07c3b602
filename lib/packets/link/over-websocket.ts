// Packets over a WebSocket: a page's own, or one of a library with the same events. Its messages are binary.
import type { Foreign } from '../agreed'
import { badOption } from '../errors'
import { startTimer } from '../timer'
import { End } from './end'
import { randomId } from './ids'
import type { PacketLink } from './link'

/** What is used of a WebSocket; the last three only `ws` has. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  readonly bufferedAmount: number
  send(data: Uint8Array): void
  close(code?: number, reason?: string): void
  addEventListener(type: string, listener: (event: Foreign) => void): void
  pause?(): void
  resume?(): void
  terminate?(): void
}

const OPEN = 1
/** Bytes that wait in the WebSocket until it counts as full. */
const MAX_BUFFERED_BYTES = 1024 * 1024
/** There is no event for room: milliseconds between looks. */
const LOOK_INTERVAL = 10

export function overWebSocket(socket: WebSocketLike): PacketLink {
  if (typeof socket?.addEventListener !== 'function' || typeof socket.send !== 'function') {
    throw badOption('socket must be a WebSocket', 'ERR_INVALID_ARG_TYPE')
  }
  return new WebSocketLink(socket)
}

class WebSocketLink implements PacketLink {
  readonly kind = 'frames'
  readonly id = randomId()
  readonly #socket: WebSocketLike
  readonly #end = new End()
  pause?: () => void
  resume?: () => void

  constructor(socket: WebSocketLike) {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    if (socket.pause !== undefined && socket.resume !== undefined) {
      this.pause = () => socket.pause?.()
      this.resume = () => socket.resume?.()
    }
    socket.addEventListener('error', ({ error, message }) =>
      this.#end.fail(error ?? message ?? 'the WebSocket failed'),
    )
    socket.addEventListener('close', ({ code }) => this.#end.reach(`the WebSocket (${code})`))
  }

  send(message: Uint8Array): boolean {
    if (this.#socket.readyState !== OPEN) return true
    this.#socket.send(message)
    return this.#socket.bufferedAmount <= MAX_BUFFERED_BYTES
  }

  async writable(): Promise<void> {
    while (!this.#end.isEnded && this.#socket.bufferedAmount > MAX_BUFFERED_BYTES / 2) {
      await new Promise<void>(resolve => startTimer(resolve, LOOK_INTERVAL))
    }
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#end.listen(closed)
    this.#socket.addEventListener('message', ({ data }) => {
      if (!this.#end.isEnded) message(bytesOf(data))
    })
  }

  ready(go: () => void): void {
    if (this.#socket.readyState === OPEN) go()
    else this.#socket.addEventListener('open', go)
  }

  close(): void {
    this.#end.begin(() => this.#socket.terminate?.())
    this.#socket.close()
  }

  abort(): void {
    if (this.#socket.terminate === undefined) this.close()
    else this.#socket.terminate()
  }
}

/** Returns bytes, in whatever they came; null for a text. */
export function bytesOf(data: unknown): Uint8Array | null {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  // By name: it may be of another realm.
  return Object.prototype.toString.call(data) === '[object ArrayBuffer]'
    ? new Uint8Array(data as ArrayBuffer)
    : null
}
