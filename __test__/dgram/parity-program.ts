// What programs are made of that run over Node's own `dgram` and over ours.
import type nodeDgram from 'node:dgram'
import { once } from 'node:events'

export type Dgram = Pick<typeof nodeDgram, 'createSocket'>
export type Socket = nodeDgram.Socket
/** The last arguments of `send`, `connect` and `bind` that say where. */
export type Place = readonly unknown[]

/** One way to run a program. */
export interface Way {
  readonly dgram: Dgram
  /** A place that is free: the arguments of `bind`. */
  free(): Place
  /** Where a bound socket is. */
  place(socket: Socket): Place
}

export type Program = (way: Way) => Promise<unknown>
type Calls = Record<string, (...args: unknown[]) => unknown>

export const nothing = (): void => {}
export const turn = (): Promise<void> => new Promise(setImmediate)
/** With any arguments. */
export const any = (socket: Socket): Calls => socket as unknown as Calls
export const closed = (socket: Socket): Promise<void> => new Promise(resolve => void socket.close(resolve))
export const made = (way: Pick<Way, 'dgram'>, options: unknown = 'udp4', listener?: unknown): Socket =>
  way.dgram.createSocket(options as 'udp4', listener as never)

export async function bound(way: Way, options?: unknown): Promise<Socket> {
  const socket = made(way, options)
  any(socket).bind!(...way.free())
  await once(socket, 'listening')
  return socket
}

export function errorOf(error: unknown): string {
  const { name, message, code, syscall } = error as NodeJS.ErrnoException
  return syscall === undefined ? `${name} ${code} ${message}` : `${name} ${code} ${syscall}`
}

/** What is thrown, word for word. */
export function refusal(call: () => unknown): string {
  try {
    return `returned ${typeof call()}`
  } catch (error) {
    return errorOf(error)
  }
}
