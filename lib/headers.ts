// Headers to JSON text and back.
import { FabricError, invalidType } from './errors'

export type Headers = Record<string, unknown>

export const SOCKET_HEADER_CMD = 'CN-SocketCmd'
export const SOCKET_HEADER_SEQ = 'CN-SocketSeq'
export const REPLY_HEADER = 'CN-Reply'

const RESERVED = 'CN-'

/** The text of some headers; `undefined` is none. */
export function headersText(headers: Headers | null | undefined): string | null {
  if (headers === undefined) return null
  let text: string | undefined
  try {
    text = JSON.stringify(headers)
  } catch (cause) {
    throw new FabricError(cause instanceof Error ? cause.message : String(cause), 'ERR_ENCODE', { cause })
  }
  if (text === undefined) throw invalidType('headers', 'an object', headers)
  return text
}

/** The same for a socket, whose own headers an application must not set: it may pass on what it received. */
export function socketHeadersText(headers: Headers | null | undefined): string | null {
  if (headers === undefined || headers === null) return null
  const text = headersText(headers) as string
  if (!text.includes(`"${RESERVED}`)) return text
  const parsed = JSON.parse(text) as unknown
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) return text
  return JSON.stringify(
    Object.fromEntries(Object.entries(parsed).filter(([key]) => !key.startsWith(RESERVED))),
  )
}

/** What a message carries; text that is no JSON is the engine's mistake and counts as none. */
export function parseHeaders(text: string): Headers | null {
  return JSON.parse(text) as Headers | null
}
