// What travels in the stream of a socket (docs/protocols/socket.md): kinds of items, and what is in those that are no data.
import { Reader, WireError, Writer } from '../wire/bytes'
import type { Item } from '../wire/publication'

/** Encoding bytes that say what an item is. */
export const REQUEST = 0x81
export const REQUEST_MANY = 0x82
export const ANSWER = 0x83
export const ANSWER_MORE = 0x84
export const ANSWER_END = 0x85
export const REFUSAL = 0x86
export const CANCEL = 0x87
const END = 0x88
export const STATUS = 0xc0
export const CLOSE = 0xc1

/** Classes, each with a window of its own. */
export const DATA = 0
export const ASK = 1
export const REPLY = 2
export type Class = 0 | 1 | 2

const MAX_CODE = 64
const MAX_TEXT = 1024
const MAX_RANGES = 256
const MAX_NUMBERS = 1000
const [ASKS, WAS_AWAY, MISSING, WANTS, CREDIT] = [1, 2, 4, 16, 32]

/** The class of a numbered item; `undefined`: none that may come. Pieces of large messages do not: they are not offered. */
export function classOf(encoding: number): Class | undefined {
  if (encoding < 0x80) return DATA
  if (encoding === REQUEST || encoding === REQUEST_MANY) return ASK
  if ((encoding >= ANSWER && encoding <= END) || (encoding >= 0xa0 && encoding < 0xc0)) return REPLY
  return undefined
}

export function isControl(encoding: number): boolean {
  return encoding >= STATUS && encoding < 0xe0
}

/** How far one end is: numbers in line, and messages of each class that were handled. */
export interface Counts {
  readonly arrived: number
  readonly handled: readonly [data: number, requests: number, answers: number]
}

/** So many numbers that are there, then so many that are not. */
export type Range = readonly [present: number, missing: number]

export interface Status extends Counts {
  readonly asks?: boolean
  readonly wasAway?: boolean
  readonly missing?: readonly Range[]
}

export interface Close extends Counts {
  readonly written: number
  readonly isDraining: boolean
  readonly code: string
  readonly message: string
}

export function statusItem({ arrived, handled, asks, wasAway, missing = [] }: Status): Item {
  const flags = (asks ? ASKS : 0) | (wasAway ? WAS_AWAY : 0) | (missing.length > 0 ? MISSING : 0)
  const writer = new Writer(32).varint(flags)
  for (const count of [arrived, ...handled]) writer.varint(count)
  if (missing.length > 0) {
    writer.varint(missing.length)
    for (const [present, lacking] of missing) writer.varint(present).varint(lacking)
  }
  return { encoding: STATUS, raw: writer.finish(), json: null }
}

export function readStatus(raw: Uint8Array): Status {
  const reader = new Reader(raw)
  const flags = reader.varint()
  const counts = readCounts(reader)
  const missing: Range[] = []
  if (flags & MISSING) {
    const ranges = reader.varint()
    if (ranges > MAX_RANGES) throw new WireError('too many ranges in a status')
    let numbers = 0
    for (let i = 0; i < ranges; i++) {
      const range: Range = [reader.varint(), reader.varint()]
      numbers += range[1]
      if (range[1] === 0 || numbers > MAX_NUMBERS) throw new WireError('a status that lacks too much')
      missing.push(range)
    }
  }
  if (flags & WANTS) reader.varint()
  if (flags & CREDIT) reader.varint()
  return { ...counts, asks: (flags & (ASKS | WAS_AWAY)) > 0, wasAway: (flags & WAS_AWAY) > 0, missing }
}

export function closeItem({ arrived, handled, written, isDraining, code, message }: Close): Item {
  const writer = new Writer(32)
  for (const count of [arrived, ...handled, written, isDraining ? 1 : 0]) writer.varint(count)
  return { encoding: CLOSE, raw: writer.text(code).text(message).finish(), json: null }
}

export function readClose(raw: Uint8Array): Close {
  const reader = new Reader(raw)
  const counts = readCounts(reader)
  const written = reader.varint()
  const isDraining = reader.varint() % 2 === 1
  return { ...counts, written, isDraining, code: reader.text(MAX_CODE), message: reader.text(MAX_TEXT) }
}

function readCounts(reader: Reader): Counts {
  return { arrived: reader.varint(), handled: [reader.varint(), reader.varint(), reader.varint()] }
}

/** A request: its key, how long its sender waits in ms (0: for ever), and what is asked. */
export function requestItem(key: number, timeout: number, asked: Item, isMany = false): Item {
  const writer = new Writer(asked.raw.length + 24).varint(key).varint(timeout)
  const raw = writer.u8(asked.encoding).raw(asked.raw).finish()
  return { encoding: isMany ? REQUEST_MANY : REQUEST, raw, json: asked.json }
}

export function answerItem(key: number, answer: Item): Item {
  const raw = new Writer(answer.raw.length + 16).varint(key).u8(answer.encoding).raw(answer.raw).finish()
  return { encoding: ANSWER, raw, json: answer.json }
}

export function refusalItem(key: number, isHandled: boolean, code: string, message: string): Item {
  const writer = new Writer().varint(key).u8(isHandled ? 1 : 0)
  return { encoding: REFUSAL, raw: writer.text(code).text(message).finish(), json: null }
}

/** Why nobody waits for an answer any more. */
export type CancelReason = 0 | 1 | 2 | 3
export const [DROPPED, TIMEOUT, ABORTED, AWAY] = [0, 1, 2, 3] as const

export function cancelItem(key: number, reason: CancelReason): Item {
  return { encoding: CANCEL, raw: new Writer(16).varint(key).u8(reason).finish(), json: null }
}

/** The key that a request, or what belongs to one, begins with. */
export function keyOf(item: Item): number {
  return readKey(new Reader(item.raw))
}

export function readRequest({ raw, json }: Item): { key: number; timeout: number; asked: Item } {
  const reader = new Reader(raw)
  const key = readKey(reader)
  const timeout = reader.varint()
  return { key, timeout, asked: { encoding: reader.u8(), raw: reader.rest(), json } }
}

export function readAnswer({ raw, json }: Item): { key: number; answer: Item } {
  const reader = new Reader(raw)
  const key = readKey(reader)
  return { key, answer: { encoding: reader.u8(), raw: reader.rest(), json } }
}

export function readRefusal({ raw }: Item): {
  key: number
  isHandled: boolean
  code: string
  message: string
} {
  const reader = new Reader(raw)
  return {
    key: readKey(reader),
    isHandled: reader.u8() !== 0,
    code: reader.text(MAX_CODE),
    message: reader.text(MAX_TEXT),
  }
}

function readKey(reader: Reader): number {
  const key = reader.varint()
  if (key === 0) throw new WireError('a request with the key 0')
  return key
}

/** @throws {WireError} what the item begins with is not what its kind needs */
export function checkItem(item: Item): void {
  const { encoding } = item
  if (classOf(encoding) === undefined) throw new WireError(`an item of the unknown kind ${encoding}`)
  if (encoding === REQUEST || encoding === REQUEST_MANY) readRequest(item)
  else if (encoding === ANSWER || encoding === ANSWER_MORE) readAnswer(item)
  else if (encoding === REFUSAL) readRefusal(item)
  else if (encoding === ANSWER_END || encoding === CANCEL) keyOf(item)
}
