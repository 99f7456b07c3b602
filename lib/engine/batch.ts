// A growable byte buffer in the layout of docs/internals/boundary.md. Writes fields; does not know commands.
import { Buffer } from 'node:buffer'

/** Below this length a loop over characters is faster than the native string writer. */
const SHORT = 64
const ABSENT = 0xffffffff
const FIRST_SIZE = 64 * 1024
/** Largest buffer to keep between batches: fresh memory for each message of 1 MiB costs an eighth of sending it. */
const KEPT_SIZE = 4 * 1024 * 1024

export class Batch {
  buf: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE)
  pos = 0
  #start = 0
  /** The position that `abandon` returns to. */
  #mark = 0

  /** Starts a record. No user code may run before `end`. */
  begin(kind: number, handle: number): void {
    this.reserve(10)
    this.#start = this.#mark = this.pos
    this.buf[this.pos + 4] = kind >>> 8
    this.buf[this.pos + 5] = kind
    this.pos += 6
    this.u32(handle)
  }

  end(): void {
    const pos = this.pos
    this.pos = this.#start
    this.u32(pos - this.#start - 4)
    this.pos = pos
  }

  /** Reopens the last record, which has been ended. */
  resume(): void {
    this.#mark = this.pos
  }

  /** Discards what was written since `begin` or `resume`, so that it does not run into the next record. */
  abandon(): void {
    this.pos = this.#mark
  }

  reserve(bytes: number): void {
    const needed = this.pos + bytes
    if (needed <= this.buf.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buf.length * 2))
    this.buf.copy(grown, 0, 0, this.pos)
    this.buf = grown
  }

  u8(value: number): void {
    this.reserve(1)
    this.buf[this.pos++] = value
  }

  u32(value: number): void {
    this.reserve(4)
    const { buf, pos } = this
    buf[pos] = value
    buf[pos + 1] = value >>> 8
    buf[pos + 2] = value >>> 16
    buf[pos + 3] = value >>> 24
    this.pos = pos + 4
  }

  f64(value: number): void {
    this.reserve(8)
    this.pos = this.buf.writeDoubleLE(value, this.pos)
  }

  /** Writes a varint: seven bits a byte, the lowest first. */
  varint(value: number): void {
    this.reserve(8)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.buf[this.pos++] = (rest % 0x80) | 0x80
    this.buf[this.pos++] = rest
  }

  bytes(value: Uint8Array, length: number): void {
    this.reserve(length)
    this.buf.set(value, this.pos)
    this.pos += length
  }

  /** Writes a few bytes with a loop. */
  shortBytes(value: Uint8Array, length: number): void {
    this.reserve(length)
    const { buf, pos } = this
    for (let i = 0; i < length; i++) buf[pos + i] = value[i] as number
    this.pos = pos + length
  }

  /** Writes the UTF-8 bytes of `text`, without a length. */
  text(text: string): void {
    this.reserve(text.length * 3)
    this.pos = this.#ascii(text) ?? this.pos + this.buf.write(text, this.pos, 'utf8')
  }

  str(text: string): void {
    const at = this.pos
    this.u32(0)
    this.text(text)
    const end = this.pos
    this.pos = at
    this.u32(end - at - 4)
    this.pos = end
  }

  optStr(text: string | null): void {
    if (text === null) this.u32(ABSENT)
    else this.str(text)
  }

  /** Returns the finished batch, valid until the next write. */
  take(): Buffer {
    const taken = this.buf.subarray(0, this.pos)
    this.pos = 0
    if (this.buf.length > KEPT_SIZE) this.buf = Buffer.allocUnsafeSlow(FIRST_SIZE)
    return taken
  }

  #ascii(text: string): number | undefined {
    if (text.length > SHORT) return undefined
    const { buf, pos } = this
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) return undefined
      buf[pos + i] = unit
    }
    return pos + text.length
  }
}
