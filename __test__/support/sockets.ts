// Two sides of a socket, and what arrives at one.
import { type EventEmitter, once } from 'node:events'
import {
  Client,
  type ConatSocketClient,
  type ConatSocketServer,
  type FabricError,
  type ServerSocket,
  type SocketConnectOptions,
  type SocketListenOptions,
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

/**
 * Waits for the loss of a connection that is there. Throws if it is not: what is not connected yet loses nothing, and a test
 * would wait for an event that comes only if it was slow.
 */
export function disconnection(
  one: EventEmitter<any> & { readonly state: string },
): Promise<[reason?: FabricError | undefined]> {
  const needed = one instanceof Client ? 'connected' : 'ready'
  if (one.state !== needed) throw Error(`it cannot lose its connection: it is ${one.state}, not ${needed}`)
  return once(one, 'disconnected') as Promise<[reason?: FabricError | undefined]>
}

/** Waits for the loss of the next connection of a client that has none yet: it is let in, and then sent away. */
export function nextDisconnection(client: Client): Promise<[reason?: FabricError | undefined]> {
  return new Promise(resolve => {
    // Not by two promises: both events may come in one turn.
    client.once('connected', () => client.once('disconnected', (...reason) => resolve(reason)))
  })
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
