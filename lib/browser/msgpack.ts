// MessagePack for pages: what values/codec.ts takes from its library, in a fifth of the bytes. scripts/bundle.mjs puts this file
// in the place of `@msgpack/msgpack`, and of values/msgpack-scan.ts and byte-order-mark.ts: this decoder takes no memory for
// what is only claimed, and drops nothing.
// Values and bytes are the same; __test__/browser/values.spec.ts compares both.
import { MAX_DEPTH } from '../values/json-depth'
import { looseTextOf, Reader, utf8, Writer } from './wire/bytes'

/** What stands for an object that is no plain data, or nothing. */
type Extension = { readonly type: number; readonly data: Uint8Array } | null | undefined

const TIMESTAMP = 0xff

/** Knows timestamps, for dates. */
export class ExtensionCodec {
  static readonly defaultCodec: ExtensionCodec = new ExtensionCodec()

  tryToEncode(object: unknown, _context?: unknown): Extension {
    return object instanceof Date ? { type: TIMESTAMP, data: timestamp(object) } : null
  }
}

/** What is no timestamp: passed on as it came. */
export class ExtData {
  readonly type: number
  readonly data: Uint8Array

  constructor(type: number, data: Uint8Array) {
    this.type = type
    this.data = data
  }
}

export class Encoder {
  readonly #extensions: ExtensionCodec

  constructor({ extensionCodec }: { extensionCodec: ExtensionCodec }) {
    this.#extensions = extensionCodec
  }

  encodeSharedRef(value: unknown): Uint8Array {
    const writer = new Writer()
    this.#write(writer, value, 1)
    return writer.finish()
  }

  #write(writer: Writer, value: unknown, depth: number): void {
    if (value === undefined || value === null) writer.u8(0xc0)
    else if (typeof value === 'boolean') writer.u8(value ? 0xc3 : 0xc2)
    else if (typeof value === 'number') writeNumber(writer, value)
    else if (typeof value === 'string') {
      const bytes = utf8(value)
      writeHead(writer, bytes.length, bytes.length < 32 ? 0xa0 : undefined, 0xd9)
      writer.raw(bytes)
    } else if (typeof value === 'object') this.#writeObject(writer, value, depth)
    else throw Error(`cannot encode ${Object.prototype.toString.apply(value)}`)
  }

  #writeObject(writer: Writer, value: object, depth: number): void {
    if (depth > MAX_DEPTH) throw Error(`nested deeper than ${MAX_DEPTH} levels`)
    const extension = this.#extensions.tryToEncode(value)
    if (extension != null) writeExtension(writer, extension)
    else if (value instanceof ExtData) writeExtension(writer, value)
    else if (Array.isArray(value)) {
      writeHead(writer, value.length, value.length < 16 ? 0x90 : undefined, 0xdb)
      for (const item of value) this.#write(writer, item, depth + 1)
    } else if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      writeHead(writer, bytes.length, undefined, 0xc4)
      writer.raw(bytes)
    } else {
      const entries = Object.entries(value).filter(([, item]) => item !== undefined)
      writeHead(writer, entries.length, entries.length < 16 ? 0x80 : undefined, 0xdd)
      for (const [key, item] of entries) {
        this.#write(writer, key, depth + 1)
        this.#write(writer, item, depth + 1)
      }
    }
  }
}

/** A length: in the first byte, or behind it. Arrays and maps have none of one byte. */
function writeHead(writer: Writer, length: number, small: number | undefined, first: number): void {
  if (small !== undefined) writer.u8(small | length)
  else if (length < 0x100 && (first === 0xd9 || first === 0xc4)) writer.u8(first).u8(length)
  else if (length < 0x10000) writer.u8(first + 1).raw(bigEndian(length, 2))
  else writer.u8(first + 2).raw(bigEndian(length, 4))
}

function writeNumber(writer: Writer, value: number): void {
  if (!Number.isSafeInteger(value)) writer.u8(0xcb).raw(float(value))
  else if (value >= 0) {
    if (value < 0x80) writer.u8(value)
    else if (value < 0x100) writer.u8(0xcc).u8(value)
    else if (value < 0x10000) writer.u8(0xcd).raw(bigEndian(value, 2))
    else if (value < 0x1_0000_0000) writer.u8(0xce).raw(bigEndian(value, 4))
    else writer.u8(0xcf).raw(bigEndian(value, 8))
  } else if (value >= -0x20) writer.u8(value & 0xff)
  else if (value >= -0x80) writer.u8(0xd0).u8(value & 0xff)
  else if (value >= -0x8000) writer.u8(0xd1).raw(bigEndian(value, 2))
  else if (value >= -0x8000_0000) writer.u8(0xd2).raw(bigEndian(value, 4))
  else writer.u8(0xd3).raw(bigEndian(value, 8))
}

function writeExtension(writer: Writer, { type, data }: { type: number; data: Uint8Array }): void {
  const fixed = [1, 2, 4, 8, 16].indexOf(data.length)
  if (fixed >= 0) writer.u8(0xd4 + fixed)
  else if (data.length < 0x100) writer.u8(0xc7).u8(data.length)
  else writeHead(writer, data.length, undefined, 0xc7)
  writer.u8(type & 0xff).raw(data)
}

function bigEndian(value: number, size: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8))
  bytes.setBigInt64(0, BigInt(value))
  return new Uint8Array(bytes.buffer, 8 - size)
}

function float(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8))
  bytes.setFloat64(0, value)
  return new Uint8Array(bytes.buffer)
}

function timestamp(date: Date): Uint8Array {
  const ms = date.getTime()
  const seconds = Math.floor(ms / 1000)
  const nanoseconds = (ms - seconds * 1000) * 1e6
  if (seconds >= 0 && nanoseconds >= 0 && seconds <= 0x3_ffff_ffff) {
    if (nanoseconds === 0 && seconds <= 0xffff_ffff) return bigEndian(seconds, 4)
    const high = (BigInt(nanoseconds) << 34n) | BigInt(seconds)
    const bytes = new DataView(new ArrayBuffer(8))
    bytes.setBigUint64(0, high)
    return new Uint8Array(bytes.buffer)
  }
  const bytes = new DataView(new ArrayBuffer(12))
  bytes.setUint32(0, nanoseconds)
  bytes.setBigInt64(4, BigInt(seconds))
  return new Uint8Array(bytes.buffer)
}

export class Decoder {
  /** Decodes one value that takes all of the bytes. */
  decode(bytes: Uint8Array): unknown {
    const reader = new Reader(bytes)
    const value = read(reader, 1)
    if (reader.left > 0) throw Error(`${reader.left} bytes too many`)
    return value
  }
}

/** Of values/msgpack-scan.ts: nothing has to be looked for before. */
export function findBadLength(): undefined {}

/** Of values/byte-order-mark.ts. */
export function keepMarks(decoder: Decoder): Decoder {
  return decoder
}

function read(reader: Reader, depth: number): unknown {
  const first = reader.u8()
  if (first < 0x80) return first
  if (first < 0x90) return readMap(reader, first & 15, depth)
  if (first < 0xa0) return readArray(reader, first & 15, depth)
  if (first < 0xc0) return readText(reader, first & 31)
  if (first >= 0xe0) return first - 0x100
  switch (first) {
    case 0xc0:
      return null
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return reader.take(unsigned(reader, 1 << (first - 0xc4)))
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return readExtension(reader, unsigned(reader, 1 << (first - 0xc7)))
    case 0xca:
      return view(reader, 4).getFloat32(0)
    case 0xcb:
      return view(reader, 8).getFloat64(0)
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return unsigned(reader, 1 << (first - 0xcc))
    case 0xd0:
      return view(reader, 1).getInt8(0)
    case 0xd1:
      return view(reader, 2).getInt16(0)
    case 0xd2:
      return view(reader, 4).getInt32(0)
    case 0xd3:
      return Number(view(reader, 8).getBigInt64(0))
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readText(reader, unsigned(reader, 1 << (first - 0xd9)))
    case 0xdc:
    case 0xdd:
      return readArray(reader, unsigned(reader, 2 << (first - 0xdc)), depth)
    case 0xde:
    case 0xdf:
      return readMap(reader, unsigned(reader, 2 << (first - 0xde)), depth)
    case 0xc1:
      throw Error('Unrecognized type byte: 0xc1')
    default:
      return readExtension(reader, 1 << (first - 0xd4))
  }
}

function unsigned(reader: Reader, size: number): number {
  let value = 0
  for (let i = 0; i < size; i++) value = value * 0x100 + reader.u8()
  return value
}

function view(reader: Reader, size: number): DataView {
  const bytes = reader.take(size)
  return new DataView(bytes.buffer, bytes.byteOffset, size)
}

function readText(reader: Reader, length: number): string {
  return looseTextOf(reader.take(length))
}

function readArray(reader: Reader, count: number, depth: number): unknown[] {
  checkDepth(depth, count)
  const list: unknown[] = []
  for (let i = 0; i < count; i++) list.push(read(reader, depth + 1))
  return list
}

function checkDepth(depth: number, count: number): void {
  if (depth > MAX_DEPTH && count > 0) throw Error(`nested deeper than ${MAX_DEPTH} levels`)
}

function readMap(reader: Reader, count: number, depth: number): object {
  checkDepth(depth, count)
  const map: Record<string, unknown> = {}
  for (let i = 0; i < count; i++) {
    const key = read(reader, depth + 1)
    if (typeof key !== 'string' && typeof key !== 'number') {
      throw Error(`The type of key must be string or number but ${typeof key}`)
    }
    if (key === '__proto__') throw Error('The key __proto__ is not allowed')
    map[key] = read(reader, depth + 1)
  }
  return map
}

function readExtension(reader: Reader, size: number): unknown {
  const type = view(reader, 1).getInt8(0)
  const data = reader.take(size)
  if (type !== -1) return new ExtData(type, data)
  const bytes = new DataView(data.buffer, data.byteOffset, data.length)
  if (size === 4) return new Date(bytes.getUint32(0) * 1000)
  if (size === 8) {
    const both = bytes.getBigUint64(0)
    return new Date(Number(both & 0x3_ffff_ffffn) * 1000 + Number(both >> 34n) / 1e6)
  }
  if (size === 12) return new Date(Number(bytes.getBigInt64(4)) * 1000 + bytes.getUint32(0) / 1e6)
  throw Error(`a timestamp of ${size} bytes`)
}
