// Converts headers to JSON text and back.
import type { Headers } from '../../index'
import { checkCarried, unencodable } from './encodable'
import { FabricError, invalidType } from './errors'
import { depthOf } from './json-depth'
import { Buffer } from './platform'

export const SOCKET_HEADER_CMD = 'CN-SocketCmd'
export const SOCKET_HEADER_SEQ = 'CN-SocketSeq'
export const REPLY_HEADER = 'CN-Reply'

const RESERVED = 'CN-'
/**
 * What a server of this wire takes of a publish: `MAX_HEADERS_BYTES` and `MAX_HEADERS_DEPTH` of
 * src/wire/socketio.
 */
const MAX_BYTES = 896 * 1024
const MAX_DEPTH = 62
const OPEN_OBJECT = 123

/** Returns headers as JSON text, or `null` if there are none. */
export function headersText(headers: Headers | null | undefined): string | null {
  if (headers === undefined) return null
  const text = anyHeadersText(headers)
  if (text.charCodeAt(0) === OPEN_OBJECT || text === 'null') return text
  throw invalidType('headers', 'an object', headers)
}

/**
 * The same of a reply, whose headers may be any JSON, without reserved ones: a service that passes on what it was
 * sent would ask in turn, in a circle if the question named the service's own subject for replies.
 */
export function replyHeadersText(headers: unknown): string | null {
  return headers === undefined ? null : withoutReserved(anyHeadersText(headers))
}

/** The same of headers that are made here, reserved ones included. */
export function anyHeadersText(headers: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(headers)
    if (text !== undefined) checkCarried(headers, text, 'the headers')
  } catch (cause) {
    throw unencodable(cause, 'the headers', headers)
  }
  if (text === undefined) throw invalidType('headers', 'JSON', headers)
  checkFits(text)
  return text
}

/** Throws for headers that no server accepts. The engine would drop them, and the caller would not know. */
function checkFits(text: string): void {
  // Each level takes two brackets, so short headers need no check.
  if (text.length > 2 * MAX_DEPTH && depthOf(text) > MAX_DEPTH) {
    throw new FabricError(`headers are nested deeper than ${MAX_DEPTH} levels`, 'ERR_ENCODE')
  }
  // A UTF-16 unit takes at most three bytes of UTF-8.
  const bytes = text.length * 3 <= MAX_BYTES ? 0 : Buffer.byteLength(text)
  if (bytes <= MAX_BYTES) return
  throw new FabricError(`headers take ${bytes} bytes as JSON, more than ${MAX_BYTES}`, 'ERR_ENCODE')
}

/**
 * As `headersText` for a socket: leaves out reserved headers, which an application may have received and
 * passed on.
 */
export function socketHeadersText(headers: Headers | null | undefined): string | null {
  if (headers === undefined || headers === null) return null
  return withoutReserved(headersText(headers) as string)
}

function withoutReserved(text: string): string {
  if (text.charCodeAt(0) !== OPEN_OBJECT || !text.includes(`"${RESERVED}`)) return text
  const parsed = JSON.parse(text) as Headers
  return JSON.stringify(
    Object.fromEntries(Object.entries(parsed).filter(([key]) => !key.startsWith(RESERVED))),
  )
}

/** As `replyHeadersText` for the headers of a message that is sent as it is: a peer may have chosen them. */
export function passedHeadersText(headers: unknown): string | null {
  return headers === null ? null : replyHeadersText(headers)
}

/** The same in a stream, where headers that are no object have no place. */
export function passedSocketHeadersText(headers: unknown): string | null {
  const text = passedHeadersText(headers)
  return text?.charCodeAt(0) === OPEN_OBJECT ? text : null
}

/** Parses the headers of a message. Invalid JSON would be a bug of the engine, and counts as no headers. */
export function parseHeaders(text: string): Headers | null {
  const headers = JSON.parse(text) as Headers | null
  if (typeof headers === 'object' && headers !== null) received.add(headers)
  return headers
}

/** Returns whether these headers came from a peer, who chose the names of all fields. */
export function areReceived(headers: object): boolean {
  return received.has(headers)
}

const received = new WeakSet<object>()
