// Why a socket closed, in the words of the engine (src/socket/error.rs), and why requests over it failed.
import { Failure } from '../../values/failure'
import type { Loss } from './absence'

export function lost(why: string): Failure {
  return new Failure('ERR_SOCKET_LOST', `the socket cannot be resumed: ${why}`)
}

/** `missing`: so many of its messages did not come. */
export function closedByPeer(isLeaving = false, missing = 0): Failure {
  const text = isLeaving ? 'closed by the peer, which is leaving' : 'closed by the peer'
  return new Failure('ERR_SOCKET_CLOSED_BY_PEER', text, undefined, { draining: isLeaving, missing })
}

export function misbehaved(error: Error): Failure {
  return new Failure('ERR_SOCKET_PROTOCOL', `the peer broke a rule: ${error.message}`)
}

/** Of a server that does not speak the stream. */
export function unsupported(): Failure {
  return new Failure('ERR_SOCKET_PROTOCOL', 'the server listens with `stream: false`')
}

/** Of a message that is larger than the broker, or one end, takes. */
export function tooLarge(size: number, limit: number): Failure {
  return new Failure('ERR_TOO_LARGE', `${size} bytes, more than ${limit}, were written`)
}

/** The reason of a peer that closes with this code, in these words. */
export function reasonOf(code: string, message = '', missing = 0, isLeaving = false): Failure {
  if (code !== '' && message !== '') {
    return new Failure(numberIn(code), message, undefined, { draining: isLeaving })
  }
  switch (code) {
    case 'ERR_SUPERSEDED':
      return new Failure(code, 'superseded by a newer socket of the same id')
    case 'ERR_SOCKET_LOST':
      return lost('the other end has no such socket any more')
    case '429':
      return new Failure(429, 'the server takes no more sockets')
    case '403':
      return new Failure(403, 'of another user')
    case '':
      return closedByPeer(isLeaving, missing)
    default:
      return new Failure(code, code)
  }
}

export function peerLoss(loss: Loss): Failure {
  return loss === 'ended'
    ? new Failure('ERR_PEER_ENDED', "the other side's connection ended")
    : new Failure('ERR_PEER_SILENT', 'the other side gave no sign of life')
}

/** The same failure with a cause, if it has none. */
export function withReason(failure: Failure | undefined, cause: Failure): Failure | undefined {
  if (failure === undefined || failure.cause !== undefined) return failure
  const { code, message, details } = failure
  return new Failure(code, message, cause, details)
}

function request(code: number | string, text: string, isUnhandled: boolean, cause?: Failure): Failure {
  return new Failure(code, text, cause, isUnhandled ? { handled: false } : {})
}

export const requestFailures = {
  closed: (isUnhandled: boolean, cause?: Failure): Failure => request('EPIPE', 'closed', isUnhandled, cause),
  notReady: (): Failure => request(408, 'timeout - the socket did not get ready in time', true),
  timeout: (isUnhandled: boolean): Failure =>
    request(408, 'timeout - Error: operation has timed out (request over a socket)', isUnhandled),
  noAnswer: (): Failure => request(503, 'the other side has no answer', false),
  away: (): Failure => request(503, 'the other side of the socket is away; nothing was sent', true),
  awayAfterAll: (): Failure =>
    request('EPIPE', 'the other side of the socket went away; the request may have been handled', false),
  left: (): Failure => request('ERR_DRAINING', 'the other side went away; it was not done', true),
  full: (): Failure => request('ENOBUFS', 'too many requests wait for their answers', true),
  refused: (code: string, text: string, isUnhandled: boolean): Failure =>
    request(numberIn(code), text, isUnhandled),
}

function numberIn(code: string): number | string {
  return /^\d+$/.test(code) ? Number(code) : code
}
