// Our end and the other one, joined in both roles.
import { once } from 'node:events'
import {
  type Connection,
  connect,
  createSecureServer,
  createServer,
  type Server,
  type ServerOptions,
  type SocketyOptions,
  secureConnect,
} from 'selvedge/sockety'
import { CA, material } from '../support/certificates'
import { type Peer, type PeerServer, peerServer, peerTo } from './peer'

export const HOST = '127.0.0.1'

/** Where our end is, and what the connection goes over. */
export interface Way {
  readonly role: 'client' | 'server'
  readonly isSecure: boolean
}

export const WAYS: readonly [string, Way][] = [
  ['our client, clear', { role: 'client', isSecure: false }],
  ['our server, clear', { role: 'server', isSecure: false }],
  ['our client, TLS', { role: 'client', isSecure: true }],
  ['our server, TLS', { role: 'server', isSecure: true }],
]

export interface Pair {
  readonly ours: Connection
  readonly peer: Peer
}

const closers: (() => Promise<unknown>)[] = []

/** Ends everything that `pair` and `listen` have made. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close()
}

export async function listen(options: ServerOptions = {}, isSecure = false): Promise<Server> {
  const server = isSecure ? createSecureServer({ ...options, ...material('server') }) : createServer(options)
  await server.listen(0, HOST)
  closers.push(async () => {
    if (!server.listening) return
    const closed = server.close()
    for (const client of server.clients) await client.close(true)
    await closed
  })
  return server
}

export function portOf(server: Server): number {
  return (server.address() as { port: number }).port
}

export async function dial(
  port: number,
  options: SocketyOptions = {},
  isSecure = false,
): Promise<Connection> {
  const connection = isSecure
    ? secureConnect(port, HOST, { ...options, ca: CA, servername: 'localhost' })
    : connect(port, HOST, options)
  closers.push(() => connection.close(true))
  return connection.ready()
}

/** Our end with these options, and the other end with this header. */
export async function pair(way: Way, options: SocketyOptions = {}, announced?: string): Promise<Pair> {
  if (way.role === 'client') {
    const server: PeerServer = await peerServer(way.isSecure, announced)
    closers.push(() => server.close())
    const ours = await dial(server.port, options, way.isSecure)
    return { ours, peer: await server.next() }
  }
  const server = await listen(options, way.isSecure)
  const accepted = once(server, 'connection') as Promise<[Connection]>
  const peer = await peerTo(portOf(server), way.isSecure, announced)
  closers.push(async () => peer.socket.destroy())
  const [ours] = await accepted
  return { ours, peer: await peer.ready() }
}

/** Resolves with the arguments of the next event. */
export async function next<T>(emitter: Connection | Server, name: string): Promise<T> {
  const [value] = await once(emitter as Connection, name as 'message')
  return value as T
}

/** Resolves when it is closed, whether after an error or not. */
export function closed(connection: Connection): Promise<void> {
  return new Promise(resolve => connection.once('close', () => resolve()))
}
