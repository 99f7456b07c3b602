// UTF-8 both ways. Uses what Node's Buffer has where there is one; else what every browser has.

/** What is used of Node's Buffer. */
interface Buffers {
  allocUnsafe(size: number): Uint8Array
  allocUnsafeSlow(size: number): Uint8Array
  byteLength(text: string): number
  from(memory: ArrayBufferLike, offset: number, length: number): Uint8Array
  prototype: {
    utf8Write?(this: Uint8Array, text: string, offset: number, length: number): number
    utf8Slice?(this: Uint8Array, start: number, end: number): string
  }
}

// By its name as text, as it is no global in browsers.
const buffers = (globalThis as unknown as Record<string, Buffers | undefined>).Buffer
const native = buffers?.prototype
const utf8Write = native?.utf8Write
const utf8Slice = native?.utf8Slice
const encoder = new TextEncoder()
// The mark of byte order is a character like all others here.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The most bytes of UTF-8 that a unit of UTF-16 takes. */
export const MAX_UNIT_BYTES = 3

/** Returns how many bytes a varuint takes. */
export function varuintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5
}

/** Writes a varuint up to 2^31 - 1, and returns where it ends. */
export function writeVaruint(bytes: Uint8Array, at: number, value: number): number {
  let left = value
  let next = at
  while (left > 0x7f) {
    bytes[next++] = left | 0x80
    left >>>= 7
  }
  bytes[next++] = left
  return next
}

/**
 * Returns the varuint at `at`, or what is wrong with it: -1 it is cut off, -2 too long or above 2^31 - 1, -3 not the
 * shortest form. `varuintSize` tells where it ends.
 */
export function readVaruint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= end) return -1
    const byte = bytes[at++] as number
    if (shift === 28 && byte > 7) return -2
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return byte === 0 && shift > 0 ? -3 : value
  }
  return -2
}

/** Writes a text with its length before it. Returns where it ends, or -1 when there is no room before `end`. */
export function writeText(bytes: Uint8Array, at: number, end: number, text: string): number {
  // Most texts are ASCII: their length is where this guess says.
  const head = varuintSize(text.length)
  const start = at + head
  if (end - start < text.length * MAX_UNIT_BYTES + 5) {
    if (end - at < byteLength(text) + 5) return -1
  }
  const size = writeUtf8(bytes, start, end, text)
  const headNow = varuintSize(size)
  if (headNow !== head) bytes.copyWithin(at + headNow, start, start + size)
  writeVaruint(bytes, at, size)
  return at + headNow + size
}

/** Writes a text, and returns how many bytes that took. There is room for the most that it can take. */
export function writeUtf8(bytes: Uint8Array, at: number, end: number, text: string): number {
  if (utf8Write !== undefined) return utf8Write.call(bytes, text, at, end - at)
  return encoder.encodeInto(text, bytes.subarray(at, end)).written
}

/** Returns how many bytes of UTF-8 a text takes. */
export function byteLength(text: string): number {
  if (buffers !== undefined) return buffers.byteLength(text)
  return encoder.encode(text).length
}

/** Returns the bytes of a text. */
export function textBytes(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Returns the text of these bytes; `undefined` when they are no UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string | undefined {
  const text =
    utf8Slice === undefined ? decoder.decode(bytes.subarray(start, end)) : utf8Slice.call(bytes, start, end)
  // What is wrong becomes this character, which may also be in the text itself.
  return text.includes(REPLACEMENT) && !isUtf8(bytes, start, end) ? undefined : text
}

const REPLACEMENT = '\ufffd'

/** Whether these bytes are UTF-8: shortest forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const first = bytes[at] as number
    if (first < 0x80) {
      at += 1
      continue
    }
    const size =
      first >= 0xc2 && first <= 0xdf
        ? 2
        : first >= 0xe0 && first <= 0xef
          ? 3
          : first >= 0xf0 && first <= 0xf4
            ? 4
            : 0
    if (size === 0 || at + size > end) return false
    const second = bytes[at + 1] as number
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    if (second < least || second > most) return false
    for (let i = 2; i < size; i++) if (((bytes[at + i] as number) & 0xc0) !== 0x80) return false
    at += size
  }
  return true
}

/** Returns a copy of these bytes: a Buffer where there are Buffers. */
export function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (buffers === undefined) return bytes.slice(start, end)
  const copy = buffers.allocUnsafe(end - start)
  copy.set(bytes.subarray(start, end))
  return copy
}

/** Returns a view of these bytes: a Buffer where there are Buffers. */
export function viewBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (buffers === undefined) return bytes.subarray(start, end)
  return buffers.from(bytes.buffer, bytes.byteOffset + start, end - start)
}

/** Returns memory that is not zeroed where that can be had: to be written before anybody sees it. */
export function allocate(size: number): Uint8Array {
  if (buffers === undefined) return new Uint8Array(size)
  // Not from the pool, which is shared with everybody; and no Buffer, whose `slice` makes no copy.
  return new Uint8Array(buffers.allocUnsafeSlow(size).buffer)
}
