// Writes MessagePack, in the bytes of msgpack-lite, which flecks has, wherever its reader could tell. Refuses what would arrive as
// something else.
import { isBytes, isList } from './coder'
import { EXT_DATE } from './packed-reader'
import { allocate, MAX_UNIT_BYTES, writeUtf8 } from './text'

const FIRST_BYTES = 2048
/** Memory that has grown past this is let go of. */
const MAX_KEPT_BYTES = 1024 * 1024

/** Objects that would arrive empty. */
const LOSES = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer, DataView]

export class PackedWriter {
  #bytes = allocate(FIRST_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #at = 0
  #isBusy = false

  /**
   * Returns the bytes of a value, which are valid until the next call.
   * @throws {Error} it cannot be packed: undefined, a BigInt, a function, a Map, a cycle, deeper than `depth`, a key `__proto__`
   */
  pack(value: unknown, depth: number): Uint8Array {
    if (value === undefined) throw Error('undefined cannot be packed')
    // A getter of a value that is being packed.
    if (this.#isBusy) return new PackedWriter().pack(value, depth)
    this.#isBusy = true
    this.#at = 0
    try {
      this.#value(value, depth)
      const packed = this.#bytes.subarray(0, this.#at)
      if (packed.length > MAX_KEPT_BYTES) this.#renew(FIRST_BYTES)
      return packed
    } finally {
      this.#isBusy = false
    }
  }

  /** `depth`: the levels that are left, this one included. */
  #value(value: unknown, depth: number): void {
    if (depth === 0) throw Error('nested too deep')
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number') this.#number(value)
    else if (value === null || value === undefined) this.#byte(0xc0)
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2)
    else if (typeof value === 'object') this.#object(value, depth)
    else throw Error(`a ${typeof value} cannot be packed`)
  }

  #object(value: object, depth: number): void {
    if (isBytes(value)) this.#blob(value)
    else if (isList(value)) this.#list(value, depth)
    else if (value instanceof Date) this.#date(value)
    else if (LOSES.some(type => value instanceof type)) {
      throw Error(`a ${value.constructor.name} cannot be packed`)
    } else this.#map(value as Record<string, unknown>, depth)
  }

  #list(list: ArrayLike<unknown>, depth: number): void {
    const { length } = list
    this.#head(length, 16, 0x90, 0, 0xdc, 0xdd)
    for (let i = 0; i < length; i++) this.#value(list[i], depth - 1)
  }

  #map(map: Record<string, unknown>, depth: number): void {
    // Read once: a getter may say something else the next time.
    const entries = Object.entries(map).filter(([, value]) => value !== undefined)
    this.#head(entries.length, 16, 0x80, 0, 0xde, 0xdf)
    for (const [key, value] of entries) {
      // No reader takes it, and JSON of strangers may have it.
      if (key === '__proto__') throw Error('the key __proto__ cannot be packed')
      if (depth === 1) throw Error('nested too deep')
      this.#text(key)
      this.#value(value, depth - 1)
    }
  }

  #text(text: string): void {
    const { length } = text
    this.#need(5 + length * MAX_UNIT_BYTES)
    // Most are ASCII: their bytes are where this guess says.
    const start = this.#at + textHeadSize(length)
    const size = writeUtf8(this.#bytes, start, this.#bytes.length, text)
    const moved = this.#at + textHeadSize(size)
    if (moved !== start) this.#bytes.copyWithin(moved, start, start + size)
    this.#head(size, 32, 0xa0, 0xd9, 0xda, 0xdb)
    this.#at += size
  }

  #blob(bytes: Uint8Array): void {
    this.#head(bytes.length, 0, 0, 0xc4, 0xc5, 0xc6)
    this.#need(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** The milliseconds as MessagePack, as a float64: msgpack-lite writes integers so that take more than 32 bits. */
  #date(date: Date): void {
    this.#need(12)
    for (const byte of [0xc7, 9, EXT_DATE, 0xcb]) this.#byte(byte)
    this.#view.setFloat64(this.#at, date.getTime())
    this.#at += 8
  }

  #number(value: number): void {
    this.#need(9)
    if (!Number.isSafeInteger(value)) {
      this.#byte(0xcb)
      this.#view.setFloat64(this.#at, value)
      this.#at += 8
    } else if (value >= 0) this.#unsigned(value)
    else this.#negative(value)
  }

  #unsigned(value: number): void {
    if (value < 0x80) this.#byte(value)
    else if (value < 0x100) this.#sized(0xcc, value, 1)
    else if (value < 0x10000) this.#sized(0xcd, value, 2)
    else if (value < 0x100000000) this.#sized(0xce, value, 4)
    else this.#big(0xcf, value)
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#byte(value)
    else if (value >= -0x80) this.#sized(0xd0, value, 1)
    else if (value >= -0x8000) this.#sized(0xd1, value, 2)
    else if (value >= -0x80000000) this.#sized(0xd2, value, 4)
    else this.#big(0xd3, value)
  }

  #big(first: number, value: number): void {
    this.#byte(first)
    this.#view.setBigInt64(this.#at, BigInt(value))
    this.#at += 8
  }

  /** A length: in the first byte below `most`, else behind one that says how many bytes it takes; 0: there is none such. */
  #head(length: number, most: number, short: number, first8: number, first16: number, first32: number): void {
    this.#need(5)
    if (length < most) this.#byte(short | length)
    else if (first8 !== 0 && length < 0x100) this.#sized(first8, length, 1)
    else if (length < 0x10000) this.#sized(first16, length, 2)
    else this.#sized(first32, length, 4)
  }

  #sized(first: number, value: number, size: 1 | 2 | 4): void {
    this.#byte(first)
    if (size === 4) this.#view.setUint32(this.#at, value)
    else if (size === 2) this.#view.setUint16(this.#at, value)
    else this.#view.setUint8(this.#at, value)
    this.#at += size
  }

  #byte(value: number): void {
    this.#need(1)
    this.#bytes[this.#at++] = value
  }

  #need(count: number): void {
    if (count <= this.#bytes.length - this.#at) return
    const before = this.#bytes
    this.#renew((this.#at + count) * 2)
    this.#bytes.set(before.subarray(0, this.#at))
  }

  #renew(size: number): void {
    this.#bytes = allocate(size)
    this.#view = new DataView(this.#bytes.buffer)
  }
}

function textHeadSize(length: number): number {
  return length < 32 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 5
}
