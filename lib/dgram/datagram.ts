// What a datagram is on the fabric: one publish of `[from, bytes]`, or of bytes alone.
import type { Message } from '../messaging/message'
import { isPlace } from '../net/options'
import { isUint8Array } from '../values/platform'

/** As UDP over IPv4. */
export const MAX_DATAGRAM_BYTES = 65_507

/** The last sender whose subject was found to be one. */
let known = ''

/** Returns what came, if it is a datagram: an answer to it can be sent. */
export function datagramOf(message: Message): { from: string; bytes: Uint8Array } | undefined {
  let data: unknown
  try {
    data = message.data
  } catch {
    return undefined
  }
  const [from, bytes] = Array.isArray(data) ? (data as unknown[]) : [undefined, data]
  if (!isUint8Array(bytes) || bytes.length > MAX_DATAGRAM_BYTES) return undefined
  if (!Array.isArray(data)) return { from: '', bytes }
  if (typeof from !== 'string' || (from !== known && !isPlace(from))) return undefined
  known = from
  return { from, bytes }
}
