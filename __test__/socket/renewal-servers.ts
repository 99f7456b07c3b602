// Servers for tests of sockets that renew themselves, and such a socket with what it was told.
import { once } from 'node:events'
import type {
  Client,
  ConatSocketClient,
  ConatSocketServer,
  FabricError,
  ServerSocket,
  SocketConnectOptions,
  SocketListenOptions,
  SocketRenewal,
} from 'selvedge'
import { until } from '../support/events'
import type { Fabric } from '../support/fabrics'
import { listening } from '../support/sockets'

export interface Server {
  readonly host: Client
  readonly listener: ConatSocketServer
  /** What its handlers were called with. */
  readonly got: unknown[]
  readonly sockets: ServerSocket[]
}

/** A server that notes what it gets, and answers requests with its name. */
export async function serve(fabric: Fabric, id: string, options: SocketListenOptions = {}): Promise<Server> {
  const host = fabric.client()
  const listener = await listening(host, 'orders', { id, ...options })
  const server: Server = { host, listener, got: [], sockets: [] }
  listener.on('connection', socket => {
    server.sockets.push(socket)
    socket.on('data', data => server.got.push(data))
    socket.on('request', message => {
      server.got.push(`${message.data}?`)
      message.respondSync(id)
    })
  })
  return server
}

/** The same, which takes nothing: as if it was about to die. */
export async function serveNothing(fabric: Fabric, id: string): Promise<Server> {
  const host = fabric.client()
  const listener = await listening(host, 'orders', { id })
  const server: Server = { host, listener, got: [], sockets: [] }
  listener.on('connection', socket => server.sockets.push(socket.pause()))
  return server
}

export async function connected(
  fabric: Fabric,
  options: SocketConnectOptions = {},
): Promise<{ socket: ConatSocketClient; seen: string[]; renewals: SocketRenewal[] }> {
  const socket = fabric.client().socket.connect('orders', { renew: true, ...options })
  const seen: string[] = []
  const renewals: SocketRenewal[] = []
  socket.on('disconnected', reason => seen.push(`disconnected ${reason?.code}`))
  socket.on('connecting', () => seen.push('connecting'))
  socket.on('ready', () => seen.push('ready'))
  socket.on('renewed', renewal => {
    seen.push('renewed')
    renewals.push(renewal)
  })
  socket.on('data', data => seen.push(`data ${data}`))
  await socket.waitUntilReady()
  seen.length = 0
  return { socket, seen, renewals }
}

/** The first socket that a server has; on its side the event may come later. */
export async function accepted({ sockets }: Server): Promise<ServerSocket> {
  await until(() => sockets.length > 0)
  return sockets[0]!
}

export const closedReason = async (socket: ConatSocketClient): Promise<FabricError | undefined> => {
  const [reason] = await once(socket, 'closed')
  return reason as FabricError | undefined
}
