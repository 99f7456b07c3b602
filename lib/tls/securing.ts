// What a TLS socket of Node's lacks over a stream that is no TCP socket: addresses, and the sight of a truncation.
import type { TLSSocket } from 'node:tls'
import { systemError } from '../net/errors'
import type { Socket } from '../net/socket'
import { nextTick, nextTurn } from '../values/platform'

const ADDRESSES = [
  'localAddress',
  'localPort',
  'localFamily',
  'remoteAddress',
  'remotePort',
  'remoteFamily',
] as const

/** Ends a stream that was ended by the other side before TLS stood: until then there is nobody else to. */
export function endUnsecured(this: Socket): void {
  this.end()
}

/**
 * Completes `secure`, which runs over `below`. That stays open behind the end of the other side, until TLS has said
 * its last words: `allowHalfOpen` is whether the application writes on behind it.
 */
export function complete(secure: TLSSocket, below: Socket, allowHalfOpen = below.allowHalfOpen): void {
  below.proto = 'tls'
  below.off('end', endUnsecured)
  secure.allowHalfOpen = allowHalfOpen
  for (const name of ADDRESSES) {
    Object.defineProperty(secure, name, { get: () => below[name], configurable: true })
  }
  secure.address = (() => below.address()) as TLSSocket['address']
  secure.setNoDelay = () => secure
  secure.setKeepAlive = () => secure
  dropWordsAfterEnd(below)
  for (const name of ['suspend', 'continue']) below.on(name, () => secure.emit(name))
  // Node's own event before `error`, a listener of which would hide that there is no other. An alert says why it ends.
  let isTold = false
  secure.on('_tlsError', () => {
    isTold = true
  })
  // After an alert Node's waits for the end of the stream below, and would emit its failure as a second error.
  const inner = secure as unknown as { _emitTLSError(error: Error): void }
  const tell = inner._emitTLSError
  inner._emitTLSError = (error: Error): void => {
    if (!isTold && !secure.destroyed) tell.call(inner, error)
  }
  // Before Node's own listener, which would emit it, and then close as if there had been none.
  below.prependListener('error', (error: Error) => {
    if (isTold || secure.destroyed) return
    isTold = true
    secure.destroy(error)
  })
  // Before Node's own listener, which would show a clean end: whoever ends in order has said so, and the stream above
  // has had its end from that.
  below.prependListener('end', () => {
    // What was to be written when the alert came would be waited for.
    if (isTold) nextTurn(() => void (secure.writableLength > 0 && secure.destroy()))
    // Node's own words for an end before that.
    if ((secure as unknown as { secureConnecting?: boolean }).secureConnecting) return
    const { ended } = (secure as unknown as { _readableState: { ended: boolean } })._readableState
    if (!ended && !isTold && !secure.writableEnded && !secure.destroyed)
      secure.destroy(systemError('read', 'ECONNRESET'))
  })
}

/**
 * An application that ends the stream before the handshake is over leaves TLS with words that nobody hears any more. TCP
 * refuses them, which Node's TLS does not mind; as a write after the end they would be an error of the stream.
 */
function dropWordsAfterEnd(below: Socket): void {
  const { write } = below
  below.write = function (this: Socket, ...args: unknown[]): boolean {
    if (!below.writableEnded) return (write as (...args: unknown[]) => boolean).apply(below, args)
    const done = args.find(arg => typeof arg === 'function') as (() => void) | undefined
    if (done !== undefined) nextTick(done)
    return true
  } as typeof write
}
