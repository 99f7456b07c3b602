// Node's TLS over our sockets, until it is secure. It writes nothing while it waits to hear of its last write, which it
// does in a turn of its own. Over TCP an answer takes longer than that. Here, where one turn may bring it, an alert
// that refuses it would stay unwritten, and the stream would close without a reason.
import type { TLSSocket, Server as TlsServer } from 'node:tls'
import { Socket } from './socket'

/** Call it before TLS has the socket. */
export function beginHandshake(socket: Socket): void {
  socket.takesTurns = true
}

/** From here on nothing waits. */
export function endHandshake(socket: Socket): void {
  socket.takesTurns = false
}

/** The same for each connection of `server`, once it is secure. Returns how to stop that. */
export function endHandshakesOf(server: TlsServer): () => void {
  const end = (secure: TLSSocket): void => {
    const below = belowOf(secure)
    if (below !== undefined) endHandshake(below)
  }
  server.prependListener('secureConnection', end)
  return () => void server.off('secureConnection', end)
}

/** The socket that a TLS socket of a server runs over. */
export function belowOf(secure: TLSSocket): Socket | undefined {
  const { _handle: handle } = secure as unknown as { _handle?: { _parentWrap?: { stream?: unknown } } }
  const stream = handle?._parentWrap?.stream
  return stream instanceof Socket ? stream : undefined
}
