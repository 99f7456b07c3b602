// Memory for encoded packets: cut off a slab piece by piece, and never used again.

import { PacketError } from '../errors'
import { type Coder, NO_ROOM } from './coder'
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

/** Returns memory that nothing else will touch; what of it was not used can be given back. */
export function cut(size: number): Uint8Array {
  if (isBusy || size > SLAB_BYTES / 4) return allocate(size)
  if (slab.length - used < size) {
    slab = allocate(SLAB_BYTES)
    used = 0
  }
  used += size
  return new Uint8Array(slab.buffer, slab.byteOffset + used - size, size)
}

/** Takes the end of what was cut last back: only `length` bytes of it were used. */
export function giveBack(bytes: Uint8Array, length: number): void {
  const end = bytes.byteOffset + bytes.length - slab.byteOffset
  if (!isBusy && bytes.buffer === slab.buffer && end === used) used -= bytes.length - length
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
