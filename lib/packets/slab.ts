// Memory for encoded packets: cut off a slab piece by piece, and never used again.
import { type Coder, NO_ROOM } from './coder'
import { PacketError } from './errors'
import { allocate, MAX_UNIT_BYTES } from './text'

/** Bytes of a slab. What is larger gets memory of its own. */
const SLAB_BYTES = 64 * 1024
/** A coder asks for room for the most that a value may need, which is more than it then takes. */
const SPARE_BYTES = 1024

let slab: Uint8Array = new Uint8Array(0)
let used = 0
/** Whether a value is being written: its getters may encode, too. */
let isBusy = false

/**
 * Returns the bytes of a value: at most `limit` of them.
 * @throws {PacketError} `"ERR_PACKET_TOO_LARGE"` · and as `coder.write`
 */
export function encodeWith(coder: Coder, value: unknown, limit: number): Uint8Array {
  if (isBusy) return encodeAlone(coder, value, limit, SLAB_BYTES)
  isBusy = true
  try {
    const end = coder.write(value, slab, used, slab.length)
    if (end !== NO_ROOM) return take(end, limit)
    slab = allocate(SLAB_BYTES)
    used = 0
    const endNow = coder.write(value, slab, 0, SLAB_BYTES)
    if (endNow !== NO_ROOM) return take(endNow, limit)
  } finally {
    isBusy = false
  }
  return encodeAlone(coder, value, limit, SLAB_BYTES * 4)
}

function take(end: number, limit: number): Uint8Array {
  const start = used
  if (end - start > limit) throw tooLarge(limit)
  used = end
  return new Uint8Array(slab.buffer, slab.byteOffset + start, end - start)
}

function encodeAlone(coder: Coder, value: unknown, limit: number, first: number): Uint8Array {
  const most = limit * MAX_UNIT_BYTES + SPARE_BYTES
  for (let size = Math.min(first, most); ; size = Math.min(size * 4, most)) {
    const bytes = allocate(size)
    const end = coder.write(value, bytes, 0, size)
    if (end > limit || (end === NO_ROOM && size === most)) throw tooLarge(limit)
    // A copy where much would be kept for little.
    if (end !== NO_ROOM) return end * 2 < size ? bytes.slice(0, end) : bytes.subarray(0, end)
  }
}

export function tooLarge(limit: number): PacketError {
  return new PacketError(`more than ${limit} bytes`, 'ERR_PACKET_TOO_LARGE')
}
