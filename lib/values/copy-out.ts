// Copies the bytes of a received value out of the buffer that they arrived in.
import { Buffer, keepInPlace } from './platform'

/** A bin value is copied out when it is smaller than this part of the bytes that it would keep alive. */
const SMALL_PART = 8
/** Small values share allocations of this size, as in Node's own pool. */
const CHUNK_SIZE = 8 * 1024

/** Copies a range if it is small compared with the bytes that a view of it would keep alive. */
export function copyOut(source: Buffer, start: number, end: number): Buffer {
  const size = end - start
  if (size * SMALL_PART >= source.length) {
    // Somebody else has a view of the same bytes, or will have.
    if (source === shared.source || source === shared.viewed) share(source)
    shared.viewed = source
    return source.subarray(start, end)
  }
  if (size * 2 > CHUNK_SIZE) return Buffer.from(source.subarray(start, end))
  // Each byte is given out once; those before are in use.
  if (source !== chunk.source || start < chunk.start || end > chunk.end) nextChunk(source, start)
  const at = start - chunk.offset
  chunk.start = end
  return Buffer.from(chunk.bytes, at, size)
}

const shared = {
  /** The buffer that events came in: values of many messages look at it. */
  source: undefined as Buffer | undefined,
  /** The buffer that the latest view is of. */
  viewed: undefined as Buffer | undefined,
  /** The buffer that stays in place already. */
  kept: undefined as Buffer | undefined,
}

/** Tells which buffer has the values of many messages. */
export function setShared(source: Buffer): void {
  shared.source = source
}

function share(source: Buffer): void {
  if (shared.kept === source) return
  shared.kept = source
  keepInPlace(source.buffer)
}

/** A copy of a part of `source` that small values are cut from. */
const chunk = {
  source: undefined as Buffer | undefined,
  /** The bytes of the copy that have not been given out. */
  start: 0,
  end: 0,
  /** Where in `source` it begins. */
  offset: 0,
  bytes: new ArrayBuffer(0) as ArrayBufferLike,
}

function nextChunk(source: Buffer, start: number): void {
  const end = Math.min(source.length, start + CHUNK_SIZE)
  const copy = Buffer.allocUnsafeSlow(end - start)
  source.copy(copy, 0, start, end)
  keepInPlace(copy.buffer)
  chunk.source = source
  chunk.start = chunk.offset = start
  chunk.end = end
  chunk.bytes = copy.buffer
}

/** Releases the bytes of the latest event. */
export function dropChunk(): void {
  chunk.source = shared.source = shared.viewed = shared.kept = undefined
}
