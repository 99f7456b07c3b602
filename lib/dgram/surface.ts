// The module's functions, bound to a client or to the one of the process.
import type { Dgram, SocketOptions } from '../../types/dgram'
import { type Binding, bindingOf, bound, callable } from '../net/surface'
import { Socket } from './socket'

export function over(client: unknown): Dgram {
  return surfaceOf(bindingOf(client))
}

function surfaceOf(binding: Binding): Dgram {
  const prepare = ([type, listener]: unknown[]): unknown[] => [
    typeof type === 'string' ? { ...binding, type } : bound(binding, type),
    listener,
  ]
  const createSocket = (type: string | SocketOptions, listener?: () => void): Socket =>
    new Socket(...(prepare([type, listener]) as [SocketOptions, () => void]))
  return { createSocket, Socket: callable(Socket, prepare), over } as unknown as Dgram
}

const { createSocket, Socket: DatagramSocket } = surfaceOf({})

export { createSocket, DatagramSocket as Socket }
