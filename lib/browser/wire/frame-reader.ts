// Reads the frames of one connection from a broker. Whatever breaks a rule throws a WireError, which ends the connection.
import { concat, Reader, textOf, WireError } from './bytes'
import {
  BUNDLE,
  CHUNK,
  CONTROL,
  DELIVER,
  HEADERS,
  LATER,
  PATTERN,
  PING,
  PONG,
  PUBLISHED,
  SLOTS,
  SUBJECT,
  WATCHED,
} from './kinds'
import { type Chunk, type Publication, readHeaders, readParts } from './publication'

/** What a frame says. */
export type Frame =
  | {
      readonly kind: 'deliver'
      readonly pattern: string
      readonly message: Publication
      readonly chunk?: Chunk
    }
  | { readonly kind: 'published'; readonly id: number; readonly count: number }
  | { readonly kind: 'ping' | 'pong' }
  | { readonly kind: 'control'; readonly operation: Record<string, unknown> }
  | { readonly kind: 'watched'; readonly changes: readonly Change[] }

/** What became of an end that is watched. */
export interface Change {
  readonly id: number
  readonly what: number
  /** How many watches are told. */
  readonly crowd: number
}

/** Before the broker has said what it sends: the largest frame that is taken. */
const MIN_FRAME = 8_000_000
const MAX_FRAME = 64 * 1024 * 1024
/** What a frame has beside a payload. */
const OVERHEAD = 2 * 1024 * 1024
const HEAD = 4

export class FrameReader {
  readonly #subjects: (string | undefined)[] = new Array(SLOTS)
  readonly #patterns: (string | undefined)[] = new Array(SLOTS)
  #longest = MIN_FRAME
  /** What has come of a frame that is not complete. */
  #parts: Uint8Array[] = []
  #length = 0
  /** Bytes that are needed to go on. */
  #needed = HEAD

  /** The broker has said how large a payload can be. */
  setMaxPayload(bytes: number): void {
    this.#longest = Math.min(MAX_FRAME, Math.max(MIN_FRAME, bytes + OVERHEAD))
  }

  /** Takes what has come, and calls back with each whole frame. @throws {WireError} */
  push(bytes: Uint8Array, handle: (frame: Frame) => void): void {
    this.#parts.push(bytes)
    this.#length += bytes.length
    while (this.#length >= this.#needed) {
      const all = this.#join()
      const length = new DataView(all.buffer, all.byteOffset).getUint32(0, true)
      if (length < 1 || length > this.#longest) throw new WireError(`a frame of ${length} bytes`)
      this.#needed = HEAD + length
      if (all.length < this.#needed) continue
      this.#drop(all, this.#needed)
      this.#needed = HEAD
      const frame = this.#read(new Reader(all, HEAD, HEAD + length))
      if (frame !== undefined) handle(frame)
    }
  }

  #join(): Uint8Array {
    if (this.#parts.length > 1) this.#parts = [concat(this.#parts)]
    return this.#parts[0] as Uint8Array
  }

  #drop(all: Uint8Array, count: number): void {
    this.#parts = count < all.length ? [all.subarray(count)] : []
    this.#length -= count
  }

  #read(reader: Reader): Frame | undefined {
    const type = reader.u8()
    if (type >= LATER) return undefined
    switch (type) {
      case DELIVER:
        return this.#deliver(reader)
      case PUBLISHED:
        return { kind: 'published', id: reader.varint(), count: reader.varint() }
      case PING:
        return { kind: 'ping' }
      case PONG:
        return { kind: 'pong' }
      case CONTROL:
        return { kind: 'control', operation: operationOf(reader.rest()) }
      case WATCHED:
        return { kind: 'watched', changes: changesOf(reader) }
      default:
        throw new WireError(`a frame of the unknown type ${type}`)
    }
  }

  #deliver(reader: Reader): Frame {
    const flags = reader.u8()
    if (flags & ~(SUBJECT | PATTERN | CHUNK | HEADERS | BUNDLE))
      throw new WireError('unknown flags of DELIVER')
    const subject = nameAt(this.#subjects, reader, flags & SUBJECT)
    const pattern = nameAt(this.#patterns, reader, flags & PATTERN)
    const chunk =
      flags & CHUNK ? { id: reader.text(), seq: reader.varint(), done: reader.u8() === 1 } : undefined
    const { fields, json } = flags & HEADERS ? readHeaders(reader) : { fields: {}, json: null }
    if (flags & BUNDLE) {
      if (chunk !== undefined || json !== null) throw new WireError('a bundle with headers of a message')
      return {
        kind: 'deliver',
        pattern,
        message: { subject, ...fields, items: readParts(reader, reader.varint()) },
      }
    }
    const item = { encoding: reader.u8(), raw: reader.rest(), json }
    return { kind: 'deliver', pattern, message: { subject, ...fields, items: [item] }, chunk }
  }
}

function nameAt(slots: (string | undefined)[], reader: Reader, isGiven: number): string {
  const slot = reader.u8()
  if (isGiven) slots[slot] = reader.name()
  const name = slots[slot]
  if (name === undefined) throw new WireError('a slot without a name')
  return name
}

function operationOf(bytes: Uint8Array): Record<string, unknown> {
  let operation: unknown
  try {
    operation = JSON.parse(textOf(bytes))
  } catch {
    throw new WireError('a control frame that is not JSON')
  }
  if (typeof operation !== 'object' || operation === null)
    throw new WireError('a control frame without an object')
  return operation as Record<string, unknown>
}

function changesOf(reader: Reader): Change[] {
  const changes: Change[] = []
  while (reader.left > 0) {
    const id = reader.varint()
    const what = reader.u8()
    changes.push({ id, what, crowd: what >= 3 && what <= 6 ? reader.varint() : 1 })
  }
  return changes
}
