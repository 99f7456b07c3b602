// Names of actions: the same few come again and again, and making a string of bytes costs more than comparing them.
import type { Buffer } from 'node:buffer'

/** Longer names are made anew each time. */
const MAX_LENGTH = 64
const SLOTS = 256

interface Known {
  readonly bytes: Uint8Array
  readonly text: string
}

const known: (Known | undefined)[] = new Array(SLOTS).fill(undefined)

/** Returns the text of these bytes. */
export function actionAt(buf: Buffer, start: number, length: number): string {
  const end = start + length
  if (length === 0 || length > MAX_LENGTH) return buf.toString('utf8', start, end)
  const slot = ((buf[start] as number) * 31 + (buf[end - 1] as number) * 7 + length) & (SLOTS - 1)
  const found = known[slot]
  if (found !== undefined && isEqual(found.bytes, buf, start, length)) return found.text
  const bytes = Uint8Array.prototype.slice.call(buf, start, end)
  const text = buf.toString('utf8', start, end)
  known[slot] = { bytes, text }
  return text
}

function isEqual(bytes: Uint8Array, buf: Buffer, start: number, length: number): boolean {
  if (bytes.length !== length) return false
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== buf[start + i]) return false
  }
  return true
}
