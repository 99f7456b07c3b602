// Reads MessagePack. Ours and not the library's, because here every byte is a stranger's: in one pass it bounds
// the depth, makes no room for what a header only claims, refuses text that is no UTF-8, and hands out no views of its input.
import { copyBytes, readText } from './text'

/** Types of extensions: msgpack-lite's, and MessagePack's own for times. */
export const EXT_DATE = 0x0d
const [EXT_UINT8_ARRAY, EXT_TIMESTAMP] = [0x12, -1]

/**
 * Returns the value that takes exactly the bytes from `start` to `end`.
 * @throws {Error} they are not one value, or nested deeper than `depth`
 */
export function readPacked(bytes: Uint8Array, start: number, end: number, depth: number): unknown {
  const reader = new PackedReader(bytes, start, end)
  const value = reader.value(depth)
  if (reader.at < end) throw Error(`${end - reader.at} bytes behind the value`)
  return value
}

class PackedReader {
  readonly #view: DataView

  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, end)
  }

  /** `depth`: the levels that are left, this one included. */
  value(depth: number): unknown {
    if (depth === 0) throw Error('nested too deep')
    const first = this.#uint(1)
    if (first < 0x80) return first
    if (first < 0x90) return this.#map(first & 15, depth)
    if (first < 0xa0) return this.#array(first & 15, depth)
    if (first < 0xc0) return this.#text(first & 31)
    if (first >= 0xe0) return first - 0x100
    return this.#long(first, depth)
  }

  #long(first: number, depth: number): unknown {
    if (first >= 0xc4 && first <= 0xc6) return this.#bytes(this.#uint(1 << (first - 0xc4)))
    if (first >= 0xc7 && first <= 0xc9) return this.#extension(this.#uint(1 << (first - 0xc7)))
    if (first >= 0xcc && first <= 0xcf) return this.#uint(1 << (first - 0xcc))
    if (first >= 0xd0 && first <= 0xd3) return this.#int(1 << (first - 0xd0))
    if (first >= 0xd4 && first <= 0xd8) return this.#extension(1 << (first - 0xd4))
    if (first >= 0xd9 && first <= 0xdb) return this.#text(this.#uint(1 << (first - 0xd9)))
    if (first === 0xdc || first === 0xdd) return this.#array(this.#uint(first === 0xdc ? 2 : 4), depth)
    if (first === 0xde || first === 0xdf) return this.#map(this.#uint(first === 0xde ? 2 : 4), depth)
    if (first === 0xca) return this.#view.getFloat32(this.#take(4))
    if (first === 0xcb) return this.#view.getFloat64(this.#take(8))
    if (first === 0xc0) return null
    if (first === 0xc1) throw Error('the byte c1')
    return first === 0xc3
  }

  #array(length: number, depth: number): unknown[] {
    if (length > this.end - this.at) throw Error('more elements claimed than there are bytes')
    const list: unknown[] = []
    for (let i = 0; i < length; i++) list.push(this.value(depth - 1))
    return list
  }

  #map(length: number, depth: number): Record<string, unknown> {
    if (length * 2 > this.end - this.at) throw Error('more elements claimed than there are bytes')
    const map: Record<string, unknown> = {}
    for (let i = 0; i < length; i++) {
      const key = this.value(depth - 1)
      if (typeof key !== 'string' && typeof key !== 'number') throw Error('a key that is no text')
      if (key === '__proto__') throw Error('the key __proto__')
      map[key] = this.value(depth - 1)
    }
    return map
  }

  #text(length: number): string {
    const at = this.#take(length)
    const text = readText(this.bytes, at, this.at)
    if (text === undefined) throw Error('a text that is no UTF-8')
    return text
  }

  #bytes(length: number): Uint8Array {
    const at = this.#take(length)
    return copyBytes(this.bytes, at, this.at)
  }

  #extension(length: number): unknown {
    const type = this.#int(1)
    const at = this.#take(length)
    if (type === EXT_UINT8_ARRAY) return copyBytes(this.bytes, at, this.at)
    if (type === EXT_DATE) return dateOf(readPacked(this.bytes, at, this.at, 1))
    if (type === EXT_TIMESTAMP) return this.#timestamp(at, length)
    throw Error(`an extension of type ${type}`)
  }

  /** Seconds since 1970; or nanoseconds in 30 bits and seconds in 34; or nanoseconds, and seconds with a sign. */
  #timestamp(at: number, length: number): Date {
    const view = this.#view
    if (length === 4) return dateOf(view.getUint32(at) * 1000)
    if (length === 8) {
      const high = view.getUint32(at)
      return dateOf(((high & 3) * 2 ** 32 + view.getUint32(at + 4)) * 1000 + (high >>> 2) / 1e6)
    }
    if (length === 12) return dateOf(Number(view.getBigInt64(at + 4)) * 1000 + view.getUint32(at) / 1e6)
    throw Error(`a time of ${length} bytes`)
  }

  #uint(size: number): number {
    const at = this.#take(size)
    if (size === 1) return this.bytes[at] as number
    if (size === 2) return this.#view.getUint16(at)
    if (size === 4) return this.#view.getUint32(at)
    return Number(this.#view.getBigUint64(at))
  }

  #int(size: number): number {
    const at = this.#take(size)
    if (size === 1) return this.#view.getInt8(at)
    if (size === 2) return this.#view.getInt16(at)
    if (size === 4) return this.#view.getInt32(at)
    return Number(this.#view.getBigInt64(at))
  }

  /** Returns where these bytes begin, and goes behind them. */
  #take(count: number): number {
    const { at } = this
    if (count > this.end - at) throw Error('truncated')
    this.at += count
    return at
  }
}

function dateOf(time: unknown): Date {
  if (typeof time !== 'number') throw Error('a date that is no number')
  return new Date(time)
}
