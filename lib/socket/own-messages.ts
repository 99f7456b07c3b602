// Messages of the sockets' own among the data: told apart by a header that no application can write.
import { FabricError } from '../values/errors'

/** The reason of a close that follows. */
const ERROR = 'CN-Error'
const START = `{"${ERROR}":`

/** Why a socket is about to be closed. */
export interface Closing {
  readonly reason: FabricError
  /** Whether no handler has had, or will have, a request of the other side. */
  readonly isUnasked: boolean
}

/** The headers of a message that says it. */
export function closingHeaders({ reason: { message, code }, isUnasked }: Closing): string {
  return `${START}${JSON.stringify(isUnasked ? { message, code, asked: 0 } : { message, code })}}`
}

/** Returns what such headers say; nothing for others. */
export function closingOf(headers: string): Closing | undefined {
  if (!headers.startsWith(START)) return undefined
  try {
    const said = JSON.parse(headers) as Record<string, { message?: unknown; code?: unknown; asked?: unknown }>
    const { message, code, asked } = said[ERROR]!
    if (typeof code !== 'string' && typeof code !== 'number') return undefined
    return { reason: new FabricError(String(message), code), isUnasked: asked === 0 }
  } catch {
    return undefined
  }
}
