// Bytes that can be checked cheaply wherever a chunk was cut: the place of a byte, modulo 64.
const period = 64

/** `size`: a multiple of 64, so that chunks follow each other seamlessly. */
export function chunkOf(size) {
  return Buffer.alloc(size, Buffer.from(Array.from({ length: period }, (_, n) => n)))
}

export class Pattern {
  count = 0
  isDamaged = false

  check(chunk) {
    if (chunk.length === 0) return
    if (chunk[0] !== this.count % period) this.isDamaged = true
    this.count += chunk.length
    if (chunk[chunk.length - 1] !== (this.count - 1) % period) this.isDamaged = true
  }
}
