// Two sides of a socket, and what arrives at one.
import { once } from 'node:events'
import type {
  Client,
  ConatSocketClient,
  ConatSocketServer,
  ServerSocket,
  SocketConnectOptions,
  SocketListenOptions,
} from 'selvedge'
import type { Fabric } from './fabrics'

export type AnySocket = ConatSocketClient | ServerSocket

export interface Pair {
  readonly host: Client
  readonly guest: Client
  readonly listener: ConatSocketServer
  /** The side that was connected to. */
  readonly server: ServerSocket
  /** The side that connected. */
  readonly socket: ConatSocketClient
}

/** A socket between two clients, ready on both sides. */
export async function pair(
  fabric: Fabric,
  options: { listen?: SocketListenOptions; connect?: SocketConnectOptions } = {},
): Promise<Pair> {
  const host = fabric.client()
  const guest = fabric.client()
  const listener = await listening(host, 'chat', options.listen)
  const [server, socket] = await join(listener, guest, options.connect)
  return { host, guest, listener, server, socket }
}

/** A socket server that is ready. */
export async function listening(
  client: Client,
  subject: string,
  options?: SocketListenOptions,
): Promise<ConatSocketServer> {
  const listener = client.socket.listen(subject, options)
  await listener.waitUntilReady()
  return listener
}

/** One more socket to `listener`, ready on both sides. */
export async function join(
  listener: ConatSocketServer,
  guest: Client,
  options?: SocketConnectOptions,
): Promise<[ServerSocket, ConatSocketClient]> {
  const connection = once(listener, 'connection')
  const socket = guest.socket.connect(listener.subject, options)
  const [server] = await connection
  await socket.waitUntilReady()
  return [server, socket]
}

/** The next `count` data of a socket. */
export function take(socket: AnySocket, count: number): Promise<any[]> {
  return new Promise((resolve, reject) => {
    const taken: unknown[] = []
    const receive = (data: unknown): void => {
      taken.push(data)
      if (taken.length < count) return
      socket.off('data', receive)
      resolve(taken)
    }
    socket.on('data', receive)
    socket.once('closed', reason => reject(reason ?? new Error(`closed after ${taken.length} of ${count}`)))
  })
}

/** Writes `first` to `last`, waiting whenever the window is full. */
export async function writeNumbers(socket: AnySocket, first: number, last: number): Promise<void> {
  for (let n = first; n <= last; n++) if (!socket.write(n)) await socket.drain()
}

/** Fills the window of a socket, and says how many writes that took. */
export function writeUntilFull(socket: AnySocket): number {
  for (let written = 0; written < 100_000; written++) {
    try {
      socket.write(written)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOBUFS') throw error
      return written
    }
  }
  throw new Error('the window has no end')
}

export function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
