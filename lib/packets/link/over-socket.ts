// Packets over a socket of the fabric: its messages are frames as bytes. Survives reconnects, as the socket does.
import type { ConatSocketClient, ServerSocket } from '../../../index'
import { isBytes } from '../codec/coder'
import { badOption } from '../errors'
import type { PacketLink } from './link'

type FabricSocket = ConatSocketClient | ServerSocket

export function overSocket(socket: FabricSocket, options: { channel?: string } = {}): PacketLink {
  if (!isFabricSocket(socket))
    throw badOption('socket must be a socket of the fabric', 'ERR_INVALID_ARG_TYPE')
  if (socket.role === 'client' && socket.renews) {
    throw badOption(
      'the socket renews itself, and another server knows nothing of its packets: connect it without `renew`',
      'ERR_INVALID_ARG_VALUE',
    )
  }
  const { channel } = options
  if (channel === undefined) return new SocketLink(socket)
  if (socket.role === 'client') return new SocketLink(socket.channel(channel))
  throw badOption(
    'the socket of a server has no channels: use the server of the channel',
    'ERR_INVALID_ARG_VALUE',
  )
}

/** Whether a value is a socket of the fabric, whichever copy of the package made it. */
export function isFabricSocket(value: unknown): value is FabricSocket {
  const { write, waitUntilWritable, role } = (value ?? {}) as Partial<FabricSocket>
  const isOne = typeof write === 'function' && typeof waitUntilWritable === 'function'
  return isOne && (role === 'client' || role === 'server')
}

/** Sockets that have a link: two would talk at once to a peer that hears one. */
const linked = new WeakSet<FabricSocket>()

class SocketLink implements PacketLink {
  readonly kind = 'frames'
  readonly #socket: FabricSocket
  /** Messages that the window had no room for. */
  #refused: Uint8Array[] = []

  constructor(socket: FabricSocket) {
    if (linked.has(socket)) {
      throw badOption('the socket has packets already: use a channel', 'ERR_INVALID_ARG_VALUE')
    }
    linked.add(socket)
    this.#socket = socket
  }

  get id(): string {
    return this.#socket.id
  }

  send(message: Uint8Array): boolean {
    if (this.#refused.length === 0 && this.#tryWrite(message)) return this.#hasRoom
    this.#refused.push(message)
    return false
  }

  async writable(): Promise<void> {
    do {
      await this.#socket.waitUntilWritable()
      while (this.#refused.length > 0 && this.#tryWrite(this.#refused[0] as Uint8Array)) this.#refused.shift()
    } while (this.#refused.length > 0)
  }

  #hasRoom = true

  /** Returns whether the socket took it. What a closed one does not take, its event `closed` tells of. */
  #tryWrite(message: Uint8Array): boolean {
    try {
      this.#hasRoom = this.#socket.write(message)
      return true
    } catch (error) {
      return (error as { code?: unknown }).code !== 'ENOBUFS'
    }
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#socket.on('closed', reason => closed(reason))
    this.#socket.on('data', (data: unknown) => message(isBytes(data) ? data : null))
  }

  ready(go: () => void): void {
    if (this.#socket.state === 'ready') go()
    else this.#socket.once('ready', go)
  }

  close(): void {
    void this.#socket.end()
  }

  abort(): void {
    this.#socket.close()
  }
}
