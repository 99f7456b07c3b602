// Prepares a message: encodes a value by its options.
import type { DataOptions, Headers } from '../../index'
import { Outgoing } from '../engine/outgoing'
import { unencodable } from '../values/encodable'
import { FabricError } from '../values/errors'
import { headersText, passedHeadersText, passedSocketHeadersText, replyHeadersText } from '../values/headers'
import { MessageData } from './message'

/** Converts headers: those of a message, of a socket, or of a reply. */
type HeadersText = (headers: Headers | null | undefined) => string | null

/** Shared: a message is written before the next one is prepared. */
const outgoing = new Outgoing()

/** The longest headers, as `values/headers.ts` checks them. */
const MAX_HEADERS_BYTES = 896 * 1024

/**
 * Encodes the next message, which has at most `maxBytes` with its headers. The result is valid until the next
 * call, which user code may make: it must be written before any user code runs.
 */
export function prepare(
  data: unknown,
  options: DataOptions | undefined,
  maxBytes: number,
  text: HeadersText = headersText,
): Outgoing {
  const message = encode(data, options, text)
  // Headers have a bound of their own: their bytes are counted only where that matters.
  if (message.length + MAX_HEADERS_BYTES > maxBytes && message.size > maxBytes) {
    const { size } = message
    const text = `payload and headers have ${size} bytes, more than ${maxBytes} (maxMessageBytes)`
    throw new FabricError(text, 'ERR_TOO_LARGE', { size, limit: maxBytes })
  }
  return message
}

function encode(data: unknown, options: DataOptions | undefined, text: HeadersText): Outgoing {
  const message = contentOf(data)
  if (message !== undefined) {
    const headers = options?.headers === undefined ? passed(message.headers, text) : text(options.headers)
    outgoing.prepare(headers, undefined, message.encoding, options?.raw ?? message.raw)
    outgoing.ttl = options?.ttl ?? message.ttl
    return outgoing
  }
  const headers = options === undefined ? null : text(options.headers as Headers | null | undefined)
  outgoing.prepare(headers, data, options?.encoding ?? 0, options?.raw)
  outgoing.ttl = options?.ttl
  return outgoing
}

/** What is in a value that is a message. It may be a Proxy, or have members of its own, that throw. */
function contentOf(data: unknown): Content | undefined {
  try {
    const message = MessageData.of(data)
    return (
      message && { encoding: message.encoding, raw: message.raw, headers: message.headers, ttl: message.ttl }
    )
  } catch (cause) {
    throw unencodable(cause)
  }
}

interface Content {
  readonly encoding: number
  readonly raw: Uint8Array
  readonly headers: unknown
  readonly ttl: number | undefined
}

/** The headers that a message has, where they can go. */
function passed(headers: unknown, text: HeadersText): string | null {
  const isPlain = text === headersText || text === replyHeadersText
  return isPlain ? passedHeadersText(headers) : passedSocketHeadersText(headers)
}
