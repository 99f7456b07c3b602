// Why something asked of the fabric failed, in the words of the engine (src/client/error.rs): programs match on them.
import { Failure, withCause } from '../../values/failure'

export const nobody = (what: string, subject: string): Failure =>
  new Failure(503, `${what} -- no subscribers matching '${subject}'`)
export const timeout = (what: string, subject: string, why = ''): Failure =>
  new Failure(408, `timeout - Error: operation has timed out (${what} '${subject}'${why})`)
/** It waited for subscribers, and none came in time: nobody has had it. */
export const nobodyCame = (what: string, subject: string): Failure => {
  const { code, message } = timeout(what, subject, ': nobody subscribed')
  return new Failure(code, message, undefined, { handled: false })
}
export const connectionLost = (subject: string, cause: Failure): Failure =>
  withCause(timeout('publish', subject, ': the connection was lost'), cause)
export const unanswered = (what: string, subject: string): Failure =>
  new Failure('EPIPE', `${what} '${subject}': the responder ended; the request may have been handled`)
export const full = (limit: number): Failure =>
  new Failure('ENOBUFS', `more than ${limit} bytes wait for the connection`)
export const closed = (): Failure => new Failure('ERR_CLOSED', 'closed')
export const queueGroup = (pattern: string): Failure =>
  new Failure('ERR_QUEUE_GROUP', `'${pattern}' has another queue here`)

/** What a broker refuses with: a text, and perhaps a number. */
export function refusal(error: unknown): Failure {
  const { message, code } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >
  const text = typeof message === 'string' ? message.slice(0, MAX_TEXT) : 'refused'
  const known = Number.isInteger(code) ? (code as number) : 'ERR_REFUSED'
  return new Failure(code === TOO_LARGE ? 'ERR_TOO_LARGE' : known, text)
}

export function signInRefused(error: unknown): Failure {
  const cause = refusal(error)
  return new Failure('ERR_SIGN_IN', `failed to sign in: ${cause.message}`, cause)
}

/** Why the broker ends the connection. */
export function cutOff({ code, message }: Record<string, unknown>): Failure {
  const text = `the server ended the connection: ${typeof message === 'string' ? message.slice(0, MAX_TEXT) : ''}`
  return new Failure(code === 'ERR_SLOW_CONSUMER' ? code : 'ERR_REFUSED', text)
}

const MAX_TEXT = 1000
/** The number of a refusal of something that is too large. */
const TOO_LARGE = 413
