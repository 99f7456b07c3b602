// Bytes of a received value, apart from the buffer that they came in.
import { Buffer } from './platform'

/** A bin value is copied out when it is smaller than this part of the bytes that it would keep alive. */
const SMALL_PART = 8
/** Small values share copies of this size, as in Node's own pool. */
const CHUNK_SIZE = 8 * 1024

/** Copies what is small against the bytes that a view of it would keep alive. */
export function copyOut(source: Buffer, start: number, end: number): Buffer {
  const size = end - start
  if (size * SMALL_PART >= source.length) return source.subarray(start, end)
  if (size * 2 > CHUNK_SIZE) return Buffer.from(source.subarray(start, end))
  // Each byte is given away once: what is before is in other hands.
  if (source !== chunk.source || start < chunk.start || end > chunk.end) nextChunk(source, start)
  const at = start - chunk.offset
  chunk.start = end
  return Buffer.from(chunk.bytes, at, size)
}

/** A copy of a part of `source`, which is cut into small values. */
const chunk = {
  source: undefined as Buffer | undefined,
  /** What of `source` is there and has not been given away. */
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
  chunk.source = source
  chunk.start = chunk.offset = start
  chunk.end = end
  chunk.bytes = copy.buffer
}

/** Lets go of the bytes of the latest event. */
export function dropChunk(): void {
  chunk.source = undefined
}
