// Messages of the sockets' own among the data: told apart by a header that no application can write.
import { FabricError } from '../values/errors'

/** The reason of a close that follows. */
const ERROR = 'CN-Error'
const START = `{"${ERROR}":`

/** The headers of a message that says why its socket is about to be closed. */
export function closingHeaders({ message, code }: FabricError): string {
  return `${START}${JSON.stringify({ message, code })}}`
}

/** Returns what such headers say; nothing for others. */
export function closingReason(headers: string): FabricError | undefined {
  if (!headers.startsWith(START)) return undefined
  try {
    const { message, code } = (JSON.parse(headers) as Record<string, { message?: unknown; code?: unknown }>)[
      ERROR
    ]!
    if (typeof code !== 'string' && typeof code !== 'number') return undefined
    return new FabricError(String(message), code)
  } catch {
    return undefined
  }
}
