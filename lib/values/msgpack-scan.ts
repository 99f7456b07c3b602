// Scans MessagePack before it is decoded, because a decoder allocates what a header claims, and a few bytes
// can claim gigabytes. Also bounds the nesting, for code that recurses into the value. Not a validator: the
// decoder reports other errors.
import { MAX_DEPTH } from './json-depth'
import type { Buffer } from './platform'

/** Returns what is wrong with the bytes, if anything. */
export function findBadLength(bytes: Buffer): string | undefined {
  if (!mayHaveBadLength(bytes)) return undefined
  const missing: number[] = []
  /** Elements that were claimed and have not been seen. Each takes at least one byte. */
  let owed = 0
  let at = 0
  const end = bytes.length
  while (at < end) {
    const first = bytes[at] as number
    const count = elementsOf(bytes, first, at)
    at += sizeOf(bytes, first, at)
    if (owed > 0) {
      owed -= 1
      missing[missing.length - 1]! -= 1
    }
    if (count > 0) {
      owed += count
      missing.push(count)
      if (owed > end - at) return 'more elements claimed than there are bytes'
      if (missing.length > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH} levels`
    }
    while (missing.length > 0 && missing[missing.length - 1] === 0) missing.pop()
    // The decoder reads one value, and so does this.
    if (missing.length === 0) return undefined
  }
  return undefined
}

/** Short headers claim 15 elements at most, and short payloads cannot be deep: no scan is needed. */
function mayHaveBadLength(bytes: Buffer): boolean {
  return bytes.length > MAX_DEPTH || LONG_HEADERS.some(header => bytes.includes(header))
}

/** Returns how many values the one at `at` contains. */
function elementsOf(bytes: Buffer, first: number, at: number): number {
  if (first >= 0x80 && first <= 0x8f) return (first & 15) * 2
  if (first >= 0x90 && first <= 0x9f) return first & 15
  if (first < ARRAY16 || first > MAP32) return 0
  const isMap = first >= MAP16
  const isLong = first === ARRAY32 || first === MAP32
  if (at + (isLong ? 5 : 3) > bytes.length) return 0
  const count = isLong ? bytes.readUInt32BE(at + 1) : bytes.readUInt16BE(at + 1)
  return isMap ? count * 2 : count
}

/** Returns the size of the value at `at` in bytes, without the values in it. */
function sizeOf(bytes: Buffer, first: number, at: number): number {
  if (first >= 0xa0 && first <= 0xbf) return 1 + (first & 31)
  if (first < 0xc0 || first >= 0xe0) return 1
  const { head, length } = SIZES[first - 0xc0] as Size
  if (length === 0 || at + 1 + length > bytes.length) return head
  return head + bytes.readUIntBE(at + 1, length)
}

interface Size {
  /** Bytes of the value without a variable part. */
  head: number
  /** Bytes of the length of the variable part. */
  length: number
}

const fixed = (head: number): Size => ({ head, length: 0 })
const variable = (head: number, length: number): Size => ({ head, length })
const [ARRAY16, ARRAY32, MAP16, MAP32] = [0xdc, 0xdd, 0xde, 0xdf]
const LONG_HEADERS = [ARRAY16, ARRAY32, MAP16, MAP32]

/** From 0xc0 to 0xdf: nil, never used, booleans, bin, ext, floats, integers, fixext, str, array, map. */
const SIZES: readonly Size[] = [
  ...[fixed(1), fixed(1), fixed(1), fixed(1)],
  ...[variable(2, 1), variable(3, 2), variable(5, 4)],
  ...[variable(3, 1), variable(4, 2), variable(6, 4)],
  ...[fixed(5), fixed(9)],
  ...[fixed(2), fixed(3), fixed(5), fixed(9), fixed(2), fixed(3), fixed(5), fixed(9)],
  ...[fixed(3), fixed(4), fixed(6), fixed(10), fixed(18)],
  ...[variable(2, 1), variable(3, 2), variable(5, 4)],
  ...[fixed(3), fixed(5), fixed(3), fixed(5)],
]
