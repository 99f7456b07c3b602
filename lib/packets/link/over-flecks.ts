// The wire of @flecks/socket over a socket of Socket.IO: the event's name is the id of the packet, its argument the bytes.
import type { Foreign } from '../agreed'
import { MAX_TIMEOUT } from '../timer'
import type { PacketLink } from './link'
import { checkSocketIo, SocketIoConnection, type SocketIoLike } from './over-socket-io'
import { bytesOf } from './over-websocket'

export type Ack = (...args: Foreign[]) => void

/** What the protocol of flecks needs beside a link. */
export interface FlecksPackets {
  /** `timeout`: milliseconds for the answer; then it is not waited for any more. */
  emit(id: number, body: Uint8Array, ack?: Ack, timeout?: number): void
  /** `body`: null for what is no attachment. `ack`: where an answer is wanted. */
  onPacket(handle: (id: unknown, body: Uint8Array | null, ack: Ack | undefined) => void): void
  readonly hasRoom: boolean
}

export function overFlecks(socket: SocketIoLike): PacketLink {
  checkSocketIo(socket)
  return new FlecksLink(socket)
}

export class FlecksLink implements PacketLink, FlecksPackets {
  readonly kind = 'flecks'
  readonly #connection: SocketIoConnection

  constructor(socket: SocketIoLike) {
    this.#connection = new SocketIoConnection(socket)
  }

  get id(): string {
    return this.#connection.id
  }

  get hasRoom(): boolean {
    return this.#connection.hasRoom
  }

  emit(id: number, body: Uint8Array, ack?: Ack, timeout?: number): void {
    const { socket, end } = this.#connection
    if (end.isEnded) return
    if (ack === undefined) socket.emit(id, body)
    else if (socket.timeout === undefined || timeout === undefined) socket.emit(id, body, ack)
    else {
      // Or Socket.IO would keep what is never answered as long as the connection lives.
      socket.timeout(Math.min(timeout, MAX_TIMEOUT)).emit(id, body, (late: unknown, ...answer: unknown[]) => {
        if (!late) ack(...answer)
      })
    }
  }

  onPacket(handle: (id: unknown, body: Uint8Array | null, ack: Ack | undefined) => void): void {
    this.#connection.socket.onAny((id, ...args) => {
      if (this.#connection.end.isEnded) return
      const last = args.at(-1)
      handle(id, bytesOf(args[0]), typeof last === 'function' ? last : undefined)
    })
  }

  /** There are no messages: each packet is an event. */
  send(): boolean {
    return true
  }

  writable(): Promise<void> {
    return this.#connection.writable()
  }

  listen(_: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#connection.end.listen(closed)
  }

  ready(go: () => void): void {
    this.#connection.ready(go)
  }

  close(): void {
    this.#connection.close()
  }
}
