// Values to MessagePack or JSON bytes and back. Same bytes as `encode(value, {ignoreUndefined: true})` of
// @msgpack/msgpack; bin and short strings take a short cut.
import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { Decoder, Encoder } from '@msgpack/msgpack'
import type { Batch } from './batch'
import { FabricError, invalidType, invalidValue } from './errors'
import { findLie, isTooDeep, MAX_DEPTH } from './msgpack-scan'

export enum DataEncoding {
  MsgPack = 0,
  JsonCodec = 1,
}

/** The longest string of MessagePack's one-byte header. */
const FIXSTR = 31
const NIL = 0xc0
const BIN8 = 0xc4
/** An encoder that has grown past this is dropped: it would keep its buffer for ever. */
const KEPT_SIZE = 1024 * 1024
/** A bin value is copied out when it is smaller than this part of the bytes that it would keep alive. */
const SMALL_PART = 8
/** Small values share copies of this size, as in Node's own pool. */
const CHUNK_SIZE = 8 * 1024
/** Up to here a loop over bytes beats the native copy. */
const SHORT_BYTES = 32
/** Up to here a loop over bytes beats the native search. */
const SHORT_SEARCH = 128

/** The true one: a subclass of the user may say another. */
const byteLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length')
  ?.get as (this: Uint8Array) => number

/** Of any bytes. */
const indexOf = Buffer.prototype.indexOf as (this: Uint8Array, text: string) => number

let encoder = new Encoder({ ignoreUndefined: true })
const decoder = new Decoder()

function packed(value: unknown): Uint8Array {
  try {
    const bytes = encoder.encodeSharedRef(value)
    if (bytes.byteLength > KEPT_SIZE) encoder = new Encoder({ ignoreUndefined: true })
    // Somebody else's JSON may have such a key, and no reader takes it: it would cost the socket.
    if (mayHoldProto(bytes)) decoder.decode(bytes)
    return bytes
  } catch (cause) {
    throw unencodable(cause)
  }
}

/** As a key, or in a text. */
function mayHoldProto(bytes: Uint8Array): boolean {
  if (bytes.length > SHORT_SEARCH) return indexOf.call(bytes, '__proto__') >= 0
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0xa9 && bytes[i + 1] === 0x5f) return true
  return false
}

function unencodable(cause: unknown): FabricError {
  if (cause instanceof FabricError) return cause
  return new FabricError(cause instanceof Error ? cause.message : String(cause), 'ERR_ENCODE', { cause })
}

function json(value: unknown): Uint8Array {
  try {
    const text = JSON.stringify(value) ?? 'null'
    // No reader takes it.
    if (isTooDeep(text)) throw Error(`nested deeper than ${MAX_DEPTH} levels`)
    return Buffer.from(text)
  } catch (cause) {
    throw unencodable(cause)
  }
}

function isShortAscii(text: string): boolean {
  if (text.length > FIXSTR) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}

/**
 * One payload between encoding and writing. There is one of these: encoding may run getters of the user, which may
 * write too, so all of it happens in `prepare`; from there to `writeTo` no code of the user runs.
 */
class Outgoing {
  /** Of the encoded payload. */
  length = 0
  #encoding = 0
  /** Of the text, or the bytes, alone. */
  #size = 0
  #bytes: Uint8Array | undefined
  #text: string | undefined
  #isBin = false

  /** The bytes are valid until the next `prepare`, which code of the user may cause. */
  prepare(value: unknown, encoding: number, raw: Uint8Array | undefined): void {
    let bytes: Uint8Array | undefined
    let text: string | undefined
    let isBin = false
    if (raw !== undefined) bytes = raw
    else if (encoding !== DataEncoding.MsgPack) bytes = json(value)
    // Asked of the engine and not by `instanceof`, which a Proxy answers with code of the user.
    else if (types.isUint8Array(value)) {
      bytes = value
      isBin = true
    } else if (typeof value === 'string' && isShortAscii(value)) text = value
    else bytes = packed(value)
    if (bytes !== undefined) checkAttached(bytes)
    this.#encoding = encoding
    this.#bytes = bytes
    this.#text = text
    this.#isBin = isBin
    const size = bytes === undefined ? (text as string).length + 1 : byteLength.call(bytes)
    this.#size = size
    this.length = isBin ? size + binHeader(size) : size
  }

  /** As one message of many: lengths, headers, encoding and payload. */
  writePart(batch: Batch, headers: string | null): void {
    if (headers === null) batch.varint(this.length * 2)
    else {
      batch.varint(this.length * 2 + 1)
      batch.varint(Buffer.byteLength(headers))
      batch.text(headers)
    }
    batch.u8(this.#encoding)
    this.#write(batch)
  }

  /** Encoding and payload. */
  writeTo(batch: Batch): void {
    batch.u8(this.#encoding)
    this.#write(batch)
  }

  #write(batch: Batch): void {
    if (this.#text !== undefined) {
      batch.u8(0xa0 | this.#text.length)
      batch.text(this.#text)
      return
    }
    const bytes = this.#bytes as Uint8Array
    const size = this.#size
    if (this.#isBin) writeBinHeader(batch, size)
    if (size <= SHORT_BYTES) batch.shortBytes(bytes, size)
    else batch.bytes(bytes, size)
    this.#bytes = undefined
  }
}

/** A buffer that was transferred away looks as if it were empty. */
export function checkAttached(bytes: Uint8Array): void {
  if (byteLength.call(bytes) > 0) return
  try {
    new Uint8Array(bytes.buffer)
  } catch (cause) {
    throw unencodable(cause)
  }
}

export const outgoing = new Outgoing()

function binHeader(length: number): number {
  return length < 0x100 ? 2 : length < 0x10000 ? 3 : 5
}

function writeBinHeader(batch: Batch, length: number): void {
  const size = binHeader(length) - 1
  batch.u8(BIN8 + (size >> 1))
  for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) batch.u8(length >>> shift)
}

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

/** Lets go of the bytes of the latest slab. */
export function dropChunk(): void {
  chunk.source = undefined
}

/** The value in `source[start..end]`. An empty payload is `undefined`. */
export function decodeAt(source: Buffer, start: number, end: number, encoding: number): unknown {
  if (start === end) return undefined
  if (encoding === DataEncoding.MsgPack) {
    const first = source[start] as number
    if (first >= BIN8 && first <= BIN8 + 2) {
      const size = 1 << (first - BIN8)
      if (start + 1 + size <= end && end - start - 1 - size === source.readUIntBE(start + 1, size)) {
        return copyOut(source, start + 1 + size, end)
      }
    } else if (first >= 0xa0 && first <= 0xbf && end - start - 1 === (first & 31)) {
      if (isAscii(source, start + 1, end)) return source.toString('latin1', start + 1, end)
    } else if (first === NIL && end - start === 1) return null
  }
  return decodeBytes(copyOut(source, start, end), encoding)
}

function isAscii(source: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((source[i] as number) > 127) return false
  return true
}

function decodeBytes(bytes: Buffer, encoding: number): unknown {
  try {
    if (encoding === DataEncoding.MsgPack) {
      const lie = findLie(bytes)
      if (lie !== undefined) throw Error(lie)
      return decoder.decode(bytes)
    }
    if (encoding === DataEncoding.JsonCodec) {
      const text = bytes.toString()
      if (isTooDeep(text)) throw Error(`nested deeper than ${MAX_DEPTH} levels`)
      return JSON.parse(text)
    }
  } catch (cause) {
    throw new FabricError(cause instanceof Error ? cause.message : String(cause), 'ERR_DECODE', { cause })
  }
  throw new FabricError(`unknown encoding ${encoding}`, 'ERR_DECODE')
}

/** The bytes of a value, the caller's to keep. */
export function encode({ encoding = 0, mesg }: { encoding?: DataEncoding; mesg: unknown }): Buffer {
  checkEncoding(encoding)
  if (types.isUint8Array(mesg)) checkAttached(mesg)
  return Buffer.from(encoding === DataEncoding.MsgPack ? packed(mesg) : json(mesg))
}

/** The value of some bytes. */
export function decode({ encoding = 0, data }: { encoding?: DataEncoding; data: Uint8Array }): unknown {
  checkEncoding(encoding)
  if (!(data instanceof Uint8Array)) throw invalidType('data', 'a Uint8Array', data)
  if (data.byteLength === 0) return undefined
  return decodeBytes(Buffer.from(data.buffer, data.byteOffset, data.byteLength), encoding)
}

export function checkEncoding(encoding: unknown): asserts encoding is DataEncoding {
  if (encoding !== DataEncoding.MsgPack && encoding !== DataEncoding.JsonCodec) {
    throw invalidValue('encoding', 'a DataEncoding (0 or 1)', encoding)
  }
}
