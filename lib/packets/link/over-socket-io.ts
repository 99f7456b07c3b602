// Packets over a socket of Socket.IO, of either side: frames as the binary argument of one event;
// a number there says how many bytes were taken.
import type { Foreign } from '../agreed'
import { badOption } from '../errors'
import { Credit } from './credit'
import { End } from './end'
import { randomId } from './ids'
import type { PacketLink } from './link'
import { bytesOf } from './over-websocket'

/** What is used of a socket of Socket.IO. */
export interface SocketIoLike {
  readonly id?: string | undefined
  readonly connected: boolean
  emit(event: Foreign, ...args: Foreign[]): unknown
  on(event: string, listener: (...args: Foreign[]) => void): unknown
  once(event: string, listener: (...args: Foreign[]) => void): unknown
  onAny(listener: (event: Foreign, ...args: Foreign[]) => void): unknown
  disconnect(): unknown
  /** Since Socket.IO 4.4. */
  timeout?(ms: number): { emit(event: Foreign, ...args: Foreign[]): unknown }
}

/** The connection below, which both sides have under another name. */
interface Engine {
  readonly writeBuffer?: readonly unknown[]
  once(event: string, listener: () => void): unknown
}

const EVENT = 'packets'
/** Messages that wait in the connection until it counts as full. */
const MAX_BUFFERED = 64

export function overSocketIo(socket: SocketIoLike): PacketLink {
  checkSocketIo(socket)
  return new SocketIoLink(socket)
}

export function checkSocketIo(socket: SocketIoLike): void {
  if (typeof socket?.emit !== 'function' || typeof socket.onAny !== 'function') {
    throw badOption('socket must be a socket of Socket.IO', 'ERR_INVALID_ARG_TYPE')
  }
}

/** What every link over Socket.IO has: its end, its room, its readiness. */
export class SocketIoConnection {
  readonly id: string
  readonly end = new End()

  constructor(readonly socket: SocketIoLike) {
    this.id = socket.id ?? randomId()
    // A client connects again by itself; that is another connection.
    socket.once('disconnect', (reason: string) => this.end.reach(`the connection (${reason})`))
  }

  get hasRoom(): boolean {
    return (this.#engine?.writeBuffer?.length ?? 0) <= MAX_BUFFERED
  }

  writable(): Promise<void> {
    const engine = this.#engine
    if (engine === undefined || this.hasRoom) return Promise.resolve()
    return new Promise(resolve => engine.once('drain', resolve))
  }

  ready(go: () => void): void {
    if (this.socket.connected) go()
    else this.socket.once('connect', go)
  }

  close(): void {
    const wasConnected = this.socket.connected
    this.end.begin(() => undefined)
    this.socket.disconnect()
    // One that never connected has no event for it.
    if (!wasConnected) queueMicrotask(() => this.end.reach('the connection'))
  }

  get #engine(): Engine | undefined {
    const { conn, io } = this.socket as { conn?: Engine; io?: { engine?: Engine } }
    return conn ?? io?.engine
  }
}

class SocketIoLink implements PacketLink {
  readonly kind = 'frames'
  readonly #connection: SocketIoConnection
  readonly #credit: Credit
  #message: (bytes: Uint8Array | null) => void = () => undefined

  constructor(socket: SocketIoLike) {
    this.#connection = new SocketIoConnection(socket)
    this.#credit = new Credit(
      taken => socket.emit(EVENT, taken),
      message => this.#message(message),
    )
  }

  get id(): string {
    return this.#connection.id
  }

  send(message: Uint8Array): boolean {
    if (this.#connection.end.isEnded) return true
    this.#connection.socket.emit(EVENT, message)
    return this.#credit.spend(message.length)
  }

  writable(): Promise<void> {
    return this.#credit.writable()
  }

  pause(): void {
    this.#credit.pause()
  }

  resume(): void {
    this.#credit.resume()
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#message = message
    this.#connection.end.listen(reason => {
      this.#credit.end()
      closed(reason)
    })
    this.#connection.socket.on(EVENT, (data: unknown) => {
      if (!this.#connection.end.isEnded) this.#credit.handle(typeof data === 'number' ? data : bytesOf(data))
    })
  }

  ready(go: () => void): void {
    this.#connection.ready(go)
  }

  close(): void {
    this.#connection.close()
  }
}
