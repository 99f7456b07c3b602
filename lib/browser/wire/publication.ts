// Messages as they travel: one, or several in a row as a bundle.
import { type Reader, utf8, WireError, type Writer } from './bytes'

/** A payload with its encoding byte, and the application's headers as JSON text. */
export interface Item {
  readonly encoding: number
  readonly raw: Uint8Array
  readonly json: Uint8Array | null
}

/** Headers of a message beside those of the application. */
export interface Fields {
  readonly reply?: string | undefined
  /** A socket's command. */
  readonly command?: string | undefined
  readonly seq?: number | undefined
  readonly attempt?: number | undefined
}

/** A message, or those of a bundle, of which the first has the number `seq`. */
export interface Publication extends Fields {
  readonly subject: string
  readonly items: readonly Item[]
}

/** Part of a message that is too large for one frame. */
export interface Chunk {
  readonly id: string
  readonly seq: number
  readonly done: boolean
}

export const MAX_BUNDLE = 256
export const MAX_BUNDLE_BYTES = 64 * 1024
/** What a message in a bundle takes beside its bytes, at most. */
export const PART_BYTES = 9
const COMMANDS = ['', 'connect', 'connected', 'close', 'ping', 'socket']
const REPLY = 1
const COMMAND = 2
const SEQ = 4
const ATTEMPT = 8
const JSON_TEXT = 16
const MALFORMED = 32

/** Bytes of payload and headers: what windows count. */
export function bytesOf({ raw, json }: Item): number {
  return raw.length + (json?.length ?? 0)
}

export function jsonOf(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value))
}

export function hasHeaders(fields: Fields, json: Uint8Array | null): boolean {
  const { reply, command, seq, attempt } = fields
  return (reply ?? command ?? seq ?? attempt ?? json) != null
}

export function writeHeaders(writer: Writer, fields: Fields, json: Uint8Array | null): void {
  const { reply, command, seq, attempt } = fields
  const flag = (value: unknown, bit: number) => (value == null ? 0 : bit)
  writer.u8(
    flag(reply, REPLY) |
      flag(command, COMMAND) |
      flag(seq, SEQ) |
      flag(attempt, ATTEMPT) |
      flag(json, JSON_TEXT),
  )
  if (reply !== undefined) writer.name(reply)
  if (command !== undefined) {
    const known = COMMANDS.indexOf(command, 1)
    if (known > 0) writer.u8(known)
    else writer.u8(0).text(command)
  }
  if (seq !== undefined) writer.varint(seq)
  if (attempt !== undefined) writer.varint(attempt)
  if (json !== null) writer.u32(json.length).raw(json)
}

export function readHeaders(reader: Reader): { fields: Fields; json: Uint8Array | null } {
  const flags = reader.u8()
  if (flags >= MALFORMED * 2) throw new WireError('unknown flags of headers')
  const reply = flags & REPLY ? reader.name() : undefined
  const number = flags & COMMAND ? reader.u8() : undefined
  const command =
    number === undefined ? undefined : number === 0 ? reader.text() : (COMMANDS[number] ?? `#${number}`)
  const seq = flags & SEQ ? reader.varint() : undefined
  const attempt = flags & ATTEMPT ? reader.varint() : undefined
  const json = flags & JSON_TEXT ? reader.take(reader.u32()) : null
  return { fields: { reply, command, seq, attempt }, json }
}

export function writeParts(writer: Writer, items: readonly Item[]): void {
  for (const { encoding, raw, json } of items) {
    writer.varint(raw.length * 2 + (json === null ? 0 : 1))
    if (json !== null) writer.varint(json.length).raw(json)
    writer.u8(encoding).raw(raw)
  }
}

export function readParts(reader: Reader, count: number): Item[] {
  if (count < 1 || count > MAX_BUNDLE) throw new WireError('a bundle of too many messages')
  const items: Item[] = []
  for (let i = 0; i < count; i++) {
    const head = reader.varint()
    const json = head % 2 === 1 ? reader.take(reader.varint()) : null
    const encoding = reader.u8()
    items.push({ encoding, raw: reader.take(Math.floor(head / 2)), json })
  }
  if (reader.left > 0) throw new WireError('a bundle with more than its messages')
  return items
}
