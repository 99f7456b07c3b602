// Packed values: any value as MessagePack, in the bytes of msgpack-lite, which flecks has, wherever its reader could tell.
import { Encoder, ExtData } from '@msgpack/msgpack'
import { EXT_DATE, readPacked } from './packed-reader'

export { readPacked as unpack } from './packed-reader'

const FLOAT64 = 0xcb

const extensionCodec = {
  tryToEncode(value: unknown): ExtData | null {
    if (value instanceof Date) return new ExtData(EXT_DATE, dateBytes(value))
    if (LOSES.some(type => value instanceof type)) {
      throw Error(`a ${(value as object).constructor.name} cannot be packed`)
    }
    return null
  },
  decode: () => undefined,
}

/** Objects that would arrive empty. */
const LOSES = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer]

/** The milliseconds as MessagePack, as a float64: msgpack-lite writes integers so that take more than 32 bits. */
function dateBytes(date: Date): Uint8Array {
  const bytes = new Uint8Array(9)
  bytes[0] = FLOAT64
  new DataView(bytes.buffer).setFloat64(1, date.getTime())
  return bytes
}

const encoders = new Map<number, Encoder>()

/** An encoder that has grown past this is dropped: it would keep its buffer for ever. */
const MAX_KEPT_BYTES = 1024 * 1024

/**
 * Returns the bytes of a value. They are valid until the next call.
 * @throws {Error} it cannot be packed: undefined, a BigInt, a function, a Map, a cycle, deeper than `depth`, a key `__proto__`
 */
export function pack(value: unknown, depth: number): Uint8Array {
  if (value === undefined) throw Error('undefined cannot be packed')
  let encoder = encoders.get(depth)
  if (encoder === undefined) {
    encoder = new Encoder({ extensionCodec, ignoreUndefined: true, maxDepth: depth })
    encoders.set(depth, encoder)
  }
  const bytes = encoder.encodeSharedRef(value)
  if (bytes.length > MAX_KEPT_BYTES) encoders.delete(depth)
  // No reader takes such a key, and JSON of strangers may have one.
  if (mayHoldProto(bytes)) readPacked(bytes, 0, bytes.length, depth)
  return bytes
}

/** As a key, or in a text. */
function mayHoldProto(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(FIXSTR9); at >= 0; at = bytes.indexOf(FIXSTR9, at + 1)) {
    if (bytes[at + 1] === UNDERSCORE && bytes[at + 2] === UNDERSCORE) return true
  }
  return false
}

const [FIXSTR9, UNDERSCORE] = [0xa9, 0x5f]
