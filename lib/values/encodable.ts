// What an encoder cannot carry by itself: messages inside a value, which become plain objects, and objects that
// would silently become `{}`, which are refused with their place in the value.
import { FabricError } from './errors'
import { MAX_DEPTH } from './json-depth'
import { step } from './path-steps'
import { isDate, isView } from './platform'
import { refusedPlace } from './refused-place'

/**
 * Marks the prototype of `MessageData`: the same symbol in every copy of the package, so that a message that
 * another copy has made is one, too.
 */
export const MESSAGE_DATA: unique symbol = Symbol.for('selvedge.MessageData') as never

/** A message inside a value, as it is encoded. */
interface PlainMessage {
  encoding: unknown
  raw: unknown
  headers: unknown
}

/** Returns whether an object is one of plain data: what nearly all are. */
export function isPlain(object: unknown): boolean {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null
}

export function isMessageData(object: object): object is PlainMessage {
  return MESSAGE_DATA in object
}

/**
 * Returns whether an object would become `{}` although it is more than that: a Map, a Promise, an ArrayBuffer.
 * An instance of a class without fields is no more.
 */
export function isOpaque(object: object): boolean {
  if (isView(object) || isDate(object) || Array.isArray(object)) return false
  return Object.keys(object).length === 0 && tagOf(object) !== 'Object'
}

/** Returns whether an object is one of names and values, as options and headers are: no Map, Promise, Error or Buffer. */
export function isRecord(object: object): boolean {
  if (Array.isArray(object)) return false
  return (
    isPlain(object) || !(isView(object) || isDate(object) || isOpaque(object) || tagOf(object) === 'Error')
  )
}

function tagOf(object: object): string {
  return Object.prototype.toString.call(object).slice('[object '.length, -1)
}

/** Returns a copy in which messages are plain objects. @throws {FabricError} it has something opaque in it */
export function plainCopy(value: unknown, path = 'the value', depth = 1): unknown {
  if (typeof value !== 'object' || value === null) return value
  // It may contain itself.
  if (depth > MAX_DEPTH) throw Error(`nested deeper than ${MAX_DEPTH} levels`)
  if (Array.isArray(value)) return value.map((item, index) => plainCopy(item, `${path}[${index}]`, depth + 1))
  if (isView(value) || isDate(value)) return value
  if (isMessageData(value)) {
    const { encoding, raw, headers } = value
    return { encoding, raw, headers: plainCopy(headers, `${path}.headers`, depth + 1) }
  }
  if (isOpaque(value)) throw refusal(value, path)
  if (isExtension(value)) return value
  const copy: [string, unknown][] = []
  for (const [key, item] of Object.entries(value)) {
    copy.push([key, plainCopy(item, path + step(value, key), depth + 1)])
  }
  return Object.fromEntries(copy)
}

/** `ExtData` of the codec's library, of any copy. */
function isExtension(object: object): boolean {
  return object.constructor?.name === 'ExtData'
}

/** How the codec's library begins to say that. */
const TOO_DEEP = 'Too deep objects'

/** Returns the error for what cannot be encoded, with the place in `value` if it can be found. */
export function unencodable(cause: unknown, what = 'the value', value?: unknown): FabricError {
  if (cause instanceof FabricError) return cause
  const said = textOf(cause)
  const text = said.startsWith(TOO_DEEP) ? `nested deeper than ${MAX_DEPTH} levels` : said
  return new FabricError(`cannot encode ${what}: ${text}${placeIn(value, text)}`, 'ERR_ENCODE', { cause })
}

/** What a getter or a Proxy has thrown can be anything. */
function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } catch {
    return 'it throws something that has no text'
  }
}

/** Returns where the refused part is, as the end of an error text. */
function placeIn(value: unknown, text: string): string {
  try {
    const path = refusedPlace(value, text)
    return path ? ` at ${path.replace(/^\./, '')}` : ''
  } catch {
    // A getter or a Proxy that throws, as it did before.
    return ''
  }
}

/** Throws if JSON text has lost something. Only where it has an empty object can it have. */
export function checkCarried(value: unknown, text: string, what: string): void {
  if (text.includes('{}')) checkAt(value, what, 1)
}

function checkAt(value: unknown, path: string, depth: number): void {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return
  const isLostView = isView(value) && value.byteLength > 0 && Object.keys(value).length === 0
  if (isOpaque(value) || isLostView) throw refusal(value, path)
  for (const [key, item] of Object.entries(value)) {
    checkAt(item, path + step(value, key), depth + 1)
  }
}

function refusal(object: object, path: string): FabricError {
  return new FabricError(`cannot encode ${tagOf(object)}: ${path} would arrive as {}`, 'ERR_ENCODE')
}
