// Frames, written one behind the other into memory that grows: what travels as one message.
import { type Coder, NO_ROOM } from '../codec/coder'
import { cut, giveBack, tooLarge } from '../codec/slab'
import { allocate, MAX_UNIT_BYTES, varuintSize, writeVaruint } from '../codec/text'

/** Most messages are one short frame. */
const FIRST_BYTES = 256
/** A coder asks for room for the most that a value may need, which is more than it then takes. */
const SPARE_BYTES = 1024

const NOTHING = new Uint8Array(0)

export class Batch {
  #bytes: Uint8Array = NOTHING
  #at = 0
  #isWriting = false
  /** Frames that were written while another one was: by a getter of its value. */
  #nested: Uint8Array[] = []

  get length(): number {
    return this.#at
  }

  /** Writes a frame, and returns its bytes. When `write` throws, the frame was never there. */
  frame(write: (batch: Batch) => void): number {
    if (this.#isWriting) return this.#frameBeside(write)
    const start = this.#at
    this.#isWriting = true
    try {
      this.#need(1)
      this.#at = start + 1
      write(this)
      this.#finish(start)
    } catch (error) {
      this.#at = start
      throw error
    } finally {
      this.#isWriting = false
      // Those are whole, whatever became of this one.
      for (const bytes of this.#nested.splice(0)) this.bytes(bytes)
    }
    return this.#at - start
  }

  byte(value: number): void {
    this.#need(1)
    this.#bytes[this.#at++] = value
  }

  varuint(value: number): void {
    this.#need(5)
    this.#at = writeVaruint(this.#bytes, this.#at, value)
  }

  bytes(bytes: Uint8Array): void {
    this.#need(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** @throws {PacketError} `"ERR_PACKET_TOO_LARGE"` over `limit` bytes · and as `coder.write` */
  value(coder: Coder, value: unknown, limit: number): void {
    for (;;) {
      const start = this.#at
      const end = coder.write(value, this.#bytes, start, this.#bytes.length)
      if (end > start + limit) throw tooLarge(limit)
      if (end !== NO_ROOM) {
        this.#at = end
        return
      }
      if (this.#bytes.length - start > limit * MAX_UNIT_BYTES + SPARE_BYTES) throw tooLarge(limit)
      this.#grow(this.#bytes.length * 4)
    }
  }

  /** Takes out the first `length` bytes: all, unless said otherwise. */
  take(length = this.#at): Uint8Array {
    const taken = this.#bytes.subarray(0, length)
    if (length === this.#at) {
      giveBack(this.#bytes, length)
      this.#bytes = NOTHING
    } else this.#bytes = this.#bytes.subarray(length)
    this.#at -= length
    return taken
  }

  #finish(start: number): void {
    const length = this.#at - start - 1
    const extra = varuintSize(length) - 1
    if (extra > 0) {
      this.#need(extra)
      this.#bytes.copyWithin(start + 1 + extra, start + 1, this.#at)
      this.#at += extra
    }
    writeVaruint(this.#bytes, start, length)
  }

  #frameBeside(write: (batch: Batch) => void): number {
    const beside = new Batch()
    const size = beside.frame(write)
    this.#nested.push(beside.take())
    return size
  }

  #need(count: number): void {
    if (count > this.#bytes.length - this.#at) this.#grow(Math.max(this.#at + count, this.#bytes.length * 4))
  }

  #grow(size: number): void {
    const wanted = Math.max(size, FIRST_BYTES)
    const grown = this.#bytes === NOTHING ? cut(wanted) : allocate(wanted)
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
  }
}
