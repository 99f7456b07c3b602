// Encodes values as MessagePack or JSON, and decodes them. Same bytes as `encode(value, {ignoreUndefined:
// true})` of @msgpack/msgpack, with fast paths for bin and short strings.
import { Decoder, Encoder, ExtensionCodec } from '@msgpack/msgpack'
import { keepMarks } from './byte-order-mark'
import { copyOut } from './copy-out'
import { checkCarried, isMessageData, isOpaque, isPlain, plainCopy, unencodable } from './encodable'
import { FabricError, invalidType, invalidValue } from './errors'
import { isTooDeep, MAX_DEPTH } from './json-depth'
import { quickenTexts } from './long-texts'
import { findBadLength } from './msgpack-scan'
import { Buffer, isDate, isUint8Array, isView, plain } from './platform'

export enum DataEncoding {
  MsgPack = 0,
  JsonCodec = 1,
}

/** The longest string with a one-byte header in MessagePack. */
const FIXSTR = 31
const NIL = 0xc0
export const BIN8 = 0xc4
/** An encoder whose buffer has grown beyond this is dropped, since it never shrinks. */
const KEPT_SIZE = 1024 * 1024
/** Up to this length a loop over bytes is faster than the native search. */
const SHORT_SEARCH = 128

/** The real length; a user's subclass may override it. */
export const byteLengthOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'length',
)?.get as (this: Uint8Array) => number

/** Of any bytes. */
const indexOf = Buffer.prototype.indexOf as (this: Uint8Array, text: string) => number

/** Thrown by the encoder for a value that must be copied to be encoded, or refused. */
const NEEDS_COPY = Symbol('needs a copy')

const library = ExtensionCodec.defaultCodec
/** The library's, which sees every object of a value first; with dates of another realm. */
const extensionCodec: typeof library = Object.assign(new ExtensionCodec(), {
  tryToEncode: (object: unknown) => {
    if (isPlain(object) || isView(object) || typeof object !== 'object') return null
    if (object instanceof Date) return library.tryToEncode(object, undefined)
    if (isDate(object)) return library.tryToEncode(new Date(object as Date), undefined)
    if (isMessageData(object as object) || isOpaque(object as object)) throw NEEDS_COPY
    return library.tryToEncode(object, undefined)
  },
})
/** What can be read can be written, too: an echo fails for no value. The library counts what is innermost as a level. */
const ENCODING = { ignoreUndefined: true, extensionCodec, maxDepth: MAX_DEPTH + 1 } as const
const newEncoder = (): Encoder => quickenTexts(new Encoder(ENCODING))
let encoder = newEncoder()
const decoder = keepMarks(new Decoder())

export function encodeMsgPack(value: unknown): Uint8Array {
  try {
    const bytes = encodeValue(value)
    if (bytes.byteLength > KEPT_SIZE) encoder = newEncoder()
    // JSON from elsewhere may have such a key. Readers refuse it, which would close the socket.
    if (mayHoldProto(bytes)) decoder.decode(bytes)
    return bytes
  } catch (cause) {
    throw unencodable(cause, 'the value', value)
  }
}

function encodeValue(value: unknown): Uint8Array {
  try {
    return encoder.encodeSharedRef(value)
  } catch (cause) {
    if (cause !== NEEDS_COPY) throw cause
    return encoder.encodeSharedRef(plainCopy(value))
  }
}

/** As a key, or in a text. */
function mayHoldProto(bytes: Uint8Array): boolean {
  if (bytes.length > SHORT_SEARCH) return indexOf.call(bytes, '__proto__') >= 0
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0xa9 && bytes[i + 1] === 0x5f) return true
  return false
}

export function encodeJson(value: unknown): Uint8Array {
  try {
    const text = JSON.stringify(value) ?? 'null'
    // Readers refuse it.
    if (isTooDeep(text)) throw Error(`nested deeper than ${MAX_DEPTH} levels`)
    checkCarried(value, text, 'the value')
    return Buffer.from(text)
  } catch (cause) {
    throw unencodable(cause, 'the value', value)
  }
}

export function isShortAscii(text: string): boolean {
  if (text.length > FIXSTR) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}

/** Throws for a buffer that was transferred away, which would look empty. */
export function checkAttached(bytes: Uint8Array): void {
  if (byteLengthOf.call(bytes) > 0) return
  try {
    new Uint8Array(bytes.buffer)
  } catch (cause) {
    throw unencodable(cause)
  }
}

/** Where a payload is, and its encoding. */
interface Encoded {
  readonly source: Buffer
  readonly start: number
  readonly end: number
  readonly encoding: number
}

/** Returns whether this can only be bytes, which take no more room decoded. */
export function isBin({ source, start, end, encoding }: Encoded): boolean {
  if (start === end || encoding !== DataEncoding.MsgPack) return false
  const first = source[start] as number
  return first >= BIN8 && first <= BIN8 + 2
}

/** Decodes `source[start..end]`. An empty payload is `undefined`. */
export function decodeAt(source: Buffer, start: number, end: number, encoding: number): unknown {
  if (start === end) return undefined
  if (encoding === DataEncoding.MsgPack) {
    const first = source[start] as number
    if (first >= BIN8 && first <= BIN8 + 2) {
      const size = 1 << (first - BIN8)
      if (start + 1 + size <= end && end - start - 1 - size === source.readUIntBE(start + 1, size)) {
        return plain(copyOut(source, start + 1 + size, end))
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

/** Decodes bytes of a value's own, at least one; what is bytes in it is a view of them. */
export function decodeBytes(bytes: Buffer, encoding: number): unknown {
  try {
    if (encoding === DataEncoding.MsgPack) {
      const lie = findBadLength(bytes)
      if (lie !== undefined) throw Error(lie)
      return decoder.decode(plain(bytes))
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

/** Encodes a value; the caller may keep the bytes. */
export function encode(options: { encoding?: DataEncoding; mesg: unknown }): Buffer {
  if (typeof options !== 'object' || options === null) throw invalidType('encode', 'given { mesg }', options)
  const { encoding = 0, mesg } = options
  checkEncoding(encoding)
  if (isUint8Array(mesg)) checkAttached(mesg)
  return plain(Buffer.from(encoding === DataEncoding.MsgPack ? encodeMsgPack(mesg) : encodeJson(mesg)))
}

/** Decodes a value. */
export function decode(options: { encoding?: DataEncoding; data: Uint8Array }): unknown {
  if (typeof options !== 'object' || options === null) throw invalidType('decode', 'given { data }', options)
  const { encoding = 0, data } = options
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
