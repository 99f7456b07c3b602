// Prepares a message: encodes a value by its options.
import type { Headers, MessageOptions } from '../../index'
import { Outgoing } from '../engine/outgoing'
import { headersText, socketHeadersText } from '../values/headers'
import { MessageData } from './message'

/** Converts headers: those of a message, of a socket, or of a reply. */
type HeadersText = (headers: Headers | null | undefined) => string | null

/** Shared: a message is written before the next one is prepared. */
const outgoing = new Outgoing()

/**
 * Encodes the next message. The result is valid until the next call, which user code may make: it must be
 * written before any user code runs.
 */
export function prepare(
  data: unknown,
  options: MessageOptions | undefined,
  text: HeadersText = headersText,
): Outgoing {
  const message = MessageData.of(data)
  if (message !== undefined) {
    const headers =
      options?.headers === undefined ? socketHeadersText(message.headers) : text(options.headers)
    return outgoing.prepare(headers, undefined, message.encoding, options?.raw ?? message.raw)
  }
  const headers = options === undefined ? null : text(options.headers as Headers | null | undefined)
  return outgoing.prepare(headers, data, options?.encoding ?? 0, options?.raw)
}
