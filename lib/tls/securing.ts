// What a TLS socket of Node's lacks over a stream that is no TCP socket: addresses, and the sight of a truncation.
import type { TLSSocket } from 'node:tls'
import { systemError } from '../net/errors'
import type { Socket } from '../net/socket'

const ADDRESSES = [
  'localAddress',
  'localPort',
  'localFamily',
  'remoteAddress',
  'remotePort',
  'remoteFamily',
] as const

/** Completes `secure`, which runs over `below`. */
export function complete(secure: TLSSocket, below: Socket): void {
  below.proto = 'tls'
  for (const name of ADDRESSES) {
    Object.defineProperty(secure, name, { get: () => below[name], configurable: true })
  }
  secure.setNoDelay = () => secure
  secure.setKeepAlive = () => secure
  for (const name of ['suspend', 'continue']) below.on(name, () => secure.emit(name))
  // Before Node's own listener, which would show a clean end: whoever ends in order has said so, and the stream above
  // has had its end from that.
  below.prependListener('end', () => {
    const { ended } = (secure as unknown as { _readableState: { ended: boolean } })._readableState
    if (!ended && !secure.writableEnded && !secure.destroyed)
      secure.destroy(systemError('read', 'ECONNRESET'))
  })
}
