// Servers with rooms, and sockets to them.
import { once } from 'node:events'
import type { ConatSocketClient, ConatSocketServer, RoomsOptions, ServerSocket } from 'selvedge'
import type { Fabric } from '../support/fabrics'

export async function listen(
  fabric: Fabric,
  rooms: RoomsOptions = {},
  options: object = {},
): Promise<ConatSocketServer> {
  const listener = fabric.client().socket.listen('chat', { rooms, ...options })
  await listener.waitUntilReady()
  return listener
}

/** A socket to this server, on both sides. */
export async function enter(
  fabric: Fabric,
  listener: ConatSocketServer,
): Promise<[ServerSocket, ConatSocketClient]> {
  const connection = once(listener, 'connection') as Promise<[ServerSocket]>
  const socket = fabric.client().socket.connect('chat', { loadBalancer: () => listener.id })
  const [accepted] = await connection
  return [accepted, socket]
}
