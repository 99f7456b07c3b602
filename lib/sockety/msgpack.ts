// MessagePack as the reference implementation writes and reads it: objects as map16, integers over 32 bits as floats,
// 64-bit integers as BigInt, binary as Buffer.
import { Buffer } from 'node:buffer'
import { isOpaque, isPlain } from '../values/encodable'
import { FabricError } from '../values/errors'
import { isUint8Array } from '../values/platform'

/** Levels of a value. Deeper ones would end the stack. */
const MAX_DEPTH = 512
const FIRST_BYTES = 1024
/** What is kept between two values. */
const KEPT_BYTES = 64 * 1024
/** Up to this length a loop over characters is faster than the native writer. */
const SHORT_TEXT = 32

let out = Buffer.allocUnsafeSlow(FIRST_BYTES)
let pos = 0

/** Returns a value as MessagePack. */
export function encode(value: unknown): Buffer {
  pos = 0
  put(value, 0)
  const encoded = Buffer.from(out.subarray(0, pos))
  if (out.length > KEPT_BYTES) out = Buffer.allocUnsafeSlow(FIRST_BYTES)
  return encoded
}

function put(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw unencodable(`a value of more than ${MAX_DEPTH} levels`)
  if (typeof value === 'string') putText(value)
  else if (typeof value === 'number') putNumber(value)
  else if (typeof value === 'boolean') byte(value ? 0xc3 : 0xc2)
  else if (value === null) byte(0xc0)
  else if (value === undefined) putBytes([0xd4, 0, 0])
  else if (typeof value === 'bigint') putBigInt(value)
  else if (typeof value === 'object') putObject(value, depth)
  else throw unencodable(`a ${typeof value}`)
}

function putObject(value: object, depth: number): void {
  if (isUint8Array(value)) {
    head(value.length, 0, 0, 0xc4, 0xc5, 0xc6)
    reserve(value.length)
    out.set(value, pos)
    pos += value.length
  } else if (Array.isArray(value)) {
    head(value.length, 0x90, 15, undefined, 0xdc, 0xdd)
    for (const item of value) put(item, depth + 1)
  } else if (value instanceof Date) putDate(value)
  else if (value instanceof Map) {
    head(value.size, 0x80, 15, undefined, 0xde, 0xdf)
    for (const [key, item] of value) {
      put(key, depth + 1)
      put(item, depth + 1)
    }
  } else if (value instanceof Set) {
    head(value.size, 0x90, 15, undefined, 0xdc, 0xdd)
    for (const item of value) put(item, depth + 1)
  } else {
    const keys = Object.keys(value)
    if (keys.length === 0 && !isPlain(value) && isOpaque(value)) throw unencodable(described(value))
    head(keys.length, 0, 0, undefined, 0xde, 0xdf)
    for (const key of keys) {
      putText(key)
      put((value as Record<string, unknown>)[key], depth + 1)
    }
  }
}

/** What would arrive as an empty object. */
function described(value: object): string {
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1)
  return `a value of type ${kind}${value instanceof Promise ? ': await it' : ''}`
}

function putNumber(value: number): void {
  if (!Number.isInteger(value) || Object.is(value, -0) || value > 0xffffffff || value < -0x80000000) {
    reserve(9)
    out[pos] = 0xcb
    out.writeDoubleBE(value, pos + 1)
    pos += 9
  } else if (value >= 0) {
    if (value < 0x80) byte(value)
    else if (value < 0x100) putBytes([0xcc, value])
    else if (value < 0x10000) tagged(0xcd, value, 2)
    else tagged(0xce, value, 4)
  } else if (value >= -0x20) byte(value + 0x100)
  else if (value >= -0x80) putBytes([0xd0, value + 0x100])
  else if (value >= -0x8000) tagged(0xd1, value + 0x10000, 2)
  else tagged(0xd2, value + 0x100000000, 4)
}

function putBigInt(value: bigint): void {
  reserve(9)
  if (BigInt.asIntN(64, value) === value) {
    out[pos] = 0xd3
    out.writeBigInt64BE(value, pos + 1)
  } else if (BigInt.asUintN(64, value) === value) {
    out[pos] = 0xcf
    out.writeBigUInt64BE(value, pos + 1)
  } else throw unencodable('a BigInt of more than 64 bits')
  pos += 9
}

/** Extension -1: seconds since 1970 in 32 bits, or with nanoseconds in 64 or 96. */
function putDate(value: Date): void {
  const ms = value.getTime()
  if (Number.isNaN(ms)) throw unencodable('an invalid Date')
  const seconds = Math.floor(ms / 1000)
  const nanoseconds = (ms - seconds * 1000) * 1_000_000
  if (seconds < 0 || seconds >= 2 ** 34) {
    putBytes([0xc7, 12, 0xff])
    reserve(12)
    out.writeUInt32BE(nanoseconds, pos)
    out.writeBigInt64BE(BigInt(seconds), pos + 4)
    pos += 12
  } else if (nanoseconds === 0 && seconds <= 0xffffffff) {
    putBytes([0xd6, 0xff])
    reserve(4)
    out.writeUInt32BE(seconds, pos)
    pos += 4
  } else {
    putBytes([0xd7, 0xff])
    reserve(8)
    out.writeBigUInt64BE((BigInt(nanoseconds) << 34n) | BigInt(seconds), pos)
    pos += 8
  }
}

function putText(text: string): void {
  if (text.length <= SHORT_TEXT && putAscii(text)) return
  const length = Buffer.byteLength(text)
  head(length, 0xa0, 31, 0xd9, 0xda, 0xdb)
  reserve(length)
  pos += out.write(text, pos, 'utf8')
}

function putAscii(text: string): boolean {
  const { length } = text
  reserve(length + 2)
  const start = length < 32 ? pos + 1 : pos + 2
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return false
    out[start + i] = unit
  }
  if (length < 32) out[pos] = 0xa0 | length
  else {
    out[pos] = 0xd9
    out[pos + 1] = length
  }
  pos = start + length
  return true
}

/** Writes a length: with the tag in one byte up to `small`, or behind a tag of 8, 16 or 32 bits. */
function head(
  length: number,
  fixed: number,
  small: number,
  tag8: number | undefined,
  tag16: number,
  tag32: number,
): void {
  if (fixed !== 0 && length <= small) byte(fixed | length)
  else if (tag8 !== undefined && length < 0x100) putBytes([tag8, length])
  else if (length < 0x10000) tagged(tag16, length, 2)
  else tagged(tag32, length, 4)
}

function tagged(tag: number, value: number, width: number): void {
  reserve(1 + width)
  out[pos] = tag
  out.writeUIntBE(value, pos + 1, width)
  pos += 1 + width
}

function byte(value: number): void {
  reserve(1)
  out[pos++] = value
}

function putBytes(bytes: readonly number[]): void {
  reserve(bytes.length)
  for (const value of bytes) out[pos++] = value
}

function reserve(bytes: number): void {
  if (pos + bytes <= out.length) return
  const grown = Buffer.allocUnsafeSlow(Math.max(pos + bytes, out.length * 2))
  out.copy(grown, 0, 0, pos)
  out = grown
}

function unencodable(what: string): FabricError {
  return new FabricError(`MessagePack cannot hold ${what}`, 'ERR_ENCODE')
}

/** Returns the value in `bytes`, which must hold one and nothing else. */
export function decode(bytes: Buffer): unknown {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  if (reader.pos !== bytes.length) throw damaged(`${bytes.length - reader.pos} bytes behind the value`)
  return value
}

class Reader {
  pos = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw damaged(`more than ${MAX_DEPTH} levels`)
    const tag = this.#uint(1)
    if (tag < 0x80) return tag
    if (tag < 0x90) return this.#map(tag & 15, depth)
    if (tag < 0xa0) return this.#array(tag & 15, depth)
    if (tag < 0xc0) return this.#text(tag & 31)
    if (tag >= 0xe0) return tag - 0x100
    switch (tag) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return Buffer.from(this.#take(this.#uint(1 << (tag - 0xc4))))
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#uint(1 << (tag - 0xc7)))
      case 0xca:
        return this.#take(4).readFloatBE(0)
      case 0xcb:
        return this.#take(8).readDoubleBE(0)
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(1 << (tag - 0xcc))
      case 0xcf:
        return this.#take(8).readBigUInt64BE(0)
      case 0xd0:
      case 0xd1:
      case 0xd2: {
        const width = 1 << (tag - 0xd0)
        return this.#take(width).readIntBE(0, width)
      }
      case 0xd3:
        return this.#take(8).readBigInt64BE(0)
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (tag - 0xd4))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(1 << (tag - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(2 << (tag - 0xdc)), depth)
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (tag - 0xde)), depth)
      default:
        throw damaged(`the byte 0x${tag.toString(16)}`)
    }
  }

  #array(count: number, depth: number): unknown[] {
    this.#checkCount(count)
    const items: unknown[] = []
    for (let i = 0; i < count; i++) items.push(this.value(depth + 1))
    return items
  }

  #map(count: number, depth: number): Record<string, unknown> {
    this.#checkCount(count * 2)
    const map: Record<string, unknown> = {}
    for (let i = 0; i < count; i++) {
      const key = this.value(depth + 1)
      if (typeof key === 'object' && key !== null) throw damaged('a key that is no text')
      const name = String(key)
      if (name === '__proto__') throw damaged("the key '__proto__'")
      map[name] = this.value(depth + 1)
    }
    return map
  }

  #text(length: number): string {
    return this.#take(length).toString('utf8')
  }

  #extension(length: number): unknown {
    const type = this.#uint(1)
    const bytes = this.#take(length)
    // The reference's undefined.
    if (type === 0 && length === 1 && bytes[0] === 0) return undefined
    if (type !== 0xff) throw damaged(`the unknown extension ${type > 0x7f ? type - 0x100 : type}`)
    if (length === 4) return new Date(bytes.readUInt32BE(0) * 1000)
    if (length === 8) {
      const both = bytes.readBigUInt64BE(0)
      return dateOf(both & 0x3_ffff_ffffn, Number(both >> 34n))
    }
    if (length === 12) return dateOf(bytes.readBigInt64BE(4), bytes.readUInt32BE(0))
    throw damaged(`a time of ${length} bytes`)
  }

  /** Every element takes a byte at least: nothing is made for those that cannot be there. */
  #checkCount(count: number): void {
    if (count > this.#bytes.length - this.pos) throw damaged('more elements announced than there are bytes')
  }

  #uint(width: number): number {
    return this.#take(width).readUIntBE(0, width)
  }

  #take(length: number): Buffer {
    const start = this.pos
    if (length > this.#bytes.length - start) throw damaged('an early end')
    this.pos = start + length
    return this.#bytes.subarray(start, this.pos)
  }
}

function dateOf(seconds: bigint, nanoseconds: number): Date {
  return new Date(Number(seconds) * 1000 + Math.floor(nanoseconds / 1_000_000))
}

function damaged(what: string): FabricError {
  return new FabricError(`no MessagePack: ${what}`, 'ERR_DECODE')
}
