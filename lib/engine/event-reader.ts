// Reads the fields of a buffer of events, in the layout of docs/internals/boundary.md. Does not know events.

import { Buffer } from 'node:buffer'
import { dropChunk, setShared } from '../values/copy-out'

const ABSENT = 0xffffffff
/** In place of the number of a code: its name follows. */
const NAMED = 0
/** In place of the number of a code: there is none. */
const NO_CODE = 0xffff
const EMPTY = Buffer.alloc(0)

/** Where the bytes of a payload are. Must be read at once: every event uses the same object. */
export class Incoming {
  encoding = 0
  source: Buffer = EMPTY
  start = 0
  end = 0

  /** Takes a byte from the front. */
  u8(): number {
    return this.source[this.start++] as number
  }

  /** Takes a varint from the front. */
  varint(): number {
    let byte = this.u8()
    let value = byte & 0x7f
    for (let factor = 0x80; byte >= 0x80; factor *= 0x80) {
      byte = this.u8()
      value += (byte & 0x7f) * factor
    }
    return value
  }

  /** Takes a text behind its length from the front. */
  str(): string {
    const length = this.varint()
    const { source, start } = this
    this.start += length
    return source.toString('utf8', start, start + length)
  }
}

export class EventReader {
  /** When the buffer was fetched, in ms since 1970. */
  now = 0
  buf: Buffer = EMPTY
  pos = 0
  /** The end of the current record. */
  end = 0
  /** Whether the current record was read in part, and goes on. */
  isResumed = false
  readonly incoming: Incoming = new Incoming()
  /** The headers of the latest `part`, as JSON. */
  partHeaders: string | null = null
  #big: readonly Buffer[] = []

  take(parts: readonly Buffer[]): void {
    this.buf = parts[0] as Buffer
    this.#big = parts
    setShared(this.buf)
    this.pos = 0
    this.end = 0
    this.now = Date.now()
  }

  /** Releases the bytes, so that an idle process does not keep them. */
  drop(): void {
    this.buf = this.incoming.source = EMPTY
    dropChunk()
    this.#big = []
  }

  /** Reads the kind of a record. */
  kind(): number {
    const { buf, pos } = this
    this.pos = pos + 2
    return ((buf[pos] as number) << 8) | (buf[pos + 1] as number)
  }

  u8(): number {
    return this.buf[this.pos++] as number
  }

  u32(): number {
    const { buf, pos } = this
    this.pos = pos + 4
    return buf.readUInt32LE(pos)
  }

  /** Reads a varint: seven bits a byte, the lowest first. */
  varint(): number {
    const { buf } = this
    let byte = buf[this.pos++] as number
    let value = byte & 0x7f
    for (let factor = 0x80; byte >= 0x80; factor *= 0x80) {
      byte = buf[this.pos++] as number
      value += (byte & 0x7f) * factor
    }
    return value
  }

  f64(): number {
    const { buf, pos } = this
    this.pos = pos + 8
    return buf.readDoubleLE(pos)
  }

  /** Reads the code of an error: a number or a name. */
  code(): number | string {
    return this.optCode() ?? 0
  }

  optCode(): number | string | null {
    const { buf, pos } = this
    this.pos = pos + 2
    const number = buf.readUInt16LE(pos)
    if (number === NAMED) return this.str()
    return number === NO_CODE ? null : number
  }

  str(): string {
    return this.#text(this.u32())
  }

  optStr(): string | null {
    const length = this.u32()
    return length === ABSENT ? null : this.#text(length)
  }

  /** Reads a payload, which is the last field of a record. */
  payload(): Incoming {
    const incoming = this.incoming
    incoming.encoding = this.u8()
    const big = this.u32()
    incoming.source = big === 0 ? this.buf : (this.#big[big] as Buffer)
    incoming.start = big === 0 ? this.pos : 0
    incoming.end = big === 0 ? this.end : incoming.source.length
    return incoming
  }

  /** Reads a payload that is bytes, as a buffer that keeps nothing else. */
  bytes(): Buffer {
    const { source, start, end } = this.payload()
    return source === this.buf ? Buffer.from(source.subarray(start, end)) : source
  }

  /** Returns whether the current record has another message. */
  get more(): boolean {
    return this.pos < this.end
  }

  /** Reads the next message of a record: returns its payload, and leaves its headers in `partHeaders`. */
  part(): Incoming {
    const incoming = this.incoming
    const head = this.varint()
    this.partHeaders = head % 2 === 0 ? null : this.#text(this.varint())
    incoming.encoding = this.u8()
    incoming.source = this.buf
    incoming.start = this.pos
    incoming.end = this.pos += Math.floor(head / 2)
    return incoming
  }

  #text(length: number): string {
    const start = this.pos
    const end = start + length
    this.pos = end
    return this.buf.toString('utf8', start, end)
  }
}
