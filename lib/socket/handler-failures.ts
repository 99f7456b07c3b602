// Handlers that fail with an error of selvedge's own. A peer can cause most of these: it leaves, does not answer, does not read, or
// sends what cannot be passed on. So they end the socket whose event was being handled, and not the process.
import { errorHeaders } from '../messaging/error-headers'
import { FabricError } from '../values/errors'
import { escaped } from '../values/escaped'

/** The socket whose event was being handled. */
interface Handled {
  readonly state: string
  readonly ended: boolean
  describe(): string
  /** Closes it for this reason, and tells the other side. */
  abortFor(error: FabricError): void
}

/** What the process has been warned of. */
const warned = new Set<unknown>()

/** Ends the socket if `error`, which a handler of `event` has thrown, is one of selvedge's own. Returns whether it is. */
export function excuses(socket: Handled, event: string, error: unknown): boolean {
  if (!(error instanceof FabricError)) return false
  if (socket.state === 'closed' || socket.ended) return true
  warn(socket, event, error)
  socket.abortFor(error)
  return true
}

/**
 * A handler of a request over Conat's protocol has failed, which has no answers that are errors. Whether a peer speaks that is the
 * peer's choice, and what a handler fails with is an answer otherwise: the process goes on, and the request has no answer.
 */
export function leaveUnanswered(socket: { describe(): string }, error: unknown): void {
  const { error: message, code } = errorHeaders(error)
  const what = `a handler of 'request' failed, so a request of ${socket.describe()} has no answer`
  warnOnce(`request ${code}`, `${what}: ${message}`)
}

function warn(socket: Handled, event: string, { code, message }: FabricError): void {
  warnOnce(code, `a handler of '${event}' failed, so ${socket.describe()} was closed: ${message} (${code})`)
}

/** It may be a mistake of the program. */
function warnOnce(key: unknown, text: string): void {
  if (warned.has(key) || warned.size >= MAX_WARNINGS) return
  warned.add(key)
  // It may have the words of a peer.
  process.emitWarning(escaped(text).replaceAll('\n', ' '), { code: 'SELVEDGE_HANDLER_FAILED' })
}

/** A peer may choose the code of its answers. */
const MAX_WARNINGS = 20
