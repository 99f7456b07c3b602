// Writes the frames of one connection to a broker.
import { Writer } from './bytes'
import {
  ACK,
  BUNDLE,
  CHUNK,
  CONTROL,
  HEADERS,
  PING,
  PONG,
  PUBLISH,
  REQUEST,
  SLOTS,
  SUBJECT,
  WATCH,
} from './kinds'
import {
  type Chunk,
  hasHeaders,
  type Item,
  jsonOf,
  MAX_BUNDLE,
  MAX_BUNDLE_BYTES,
  type Publication,
  writeHeaders,
  writeParts,
} from './publication'

/** When a publish is acknowledged: always, or only when nobody got it. */
export interface Confirmation {
  readonly id: number
  readonly isRequest: boolean
}

/** A watch that begins, or ends if it has no subject. */
export interface WatchRequest {
  readonly id: number
  readonly subject?: string
}

export class FrameWriter {
  readonly #slots: (string | undefined)[] = new Array(SLOTS)

  ping(): Uint8Array {
    return finish(new Writer(5).u32(1).u8(PING))
  }

  pong(): Uint8Array {
    return finish(new Writer(5).u32(1).u8(PONG))
  }

  control(operation: object): Uint8Array {
    const writer = new Writer().u32(0).u8(CONTROL)
    return finish(writer.raw(jsonOf(operation)))
  }

  watch(requests: readonly WatchRequest[]): Uint8Array {
    const writer = new Writer().u32(0).u8(WATCH)
    for (const { id, subject } of requests) {
      writer.varint(id * 2 + (subject === undefined ? 0 : 1))
      if (subject !== undefined) writer.name(subject)
    }
    return finish(writer)
  }

  /** The frames of a message, which is cut if it has more than `chunkSize`; `id` then names it. */
  publish(
    publication: Publication,
    confirm: Confirmation | undefined,
    chunkSize: number,
    id: () => string,
  ): Uint8Array[] {
    const { items } = publication
    const [first] = items as [Item]
    if (items.length > 1) return [this.#publish(publication, items, undefined, undefined)]
    const { encoding, raw, json } = first
    if (raw.length <= chunkSize) return [this.#publish(publication, items, confirm, undefined)]
    const name = id()
    const frames: Uint8Array[] = []
    for (let at = 0, seq = 0; at < raw.length; at += chunkSize, seq++) {
      const done = at + chunkSize >= raw.length
      const part = { encoding, raw: raw.subarray(at, at + chunkSize), json: done ? json : null }
      const fields = done ? publication : { subject: publication.subject, items }
      frames.push(this.#publish(fields, [part], done ? confirm : undefined, { id: name, seq, done }))
    }
    return frames
  }

  #publish(
    publication: Publication,
    items: readonly Item[],
    confirm: Confirmation | undefined,
    chunk: Chunk | undefined,
  ): Uint8Array {
    const { subject } = publication
    const [first] = items as [Item]
    const isBundle = items.length > 1
    const json = isBundle ? null : first.json
    const slot = slotOf(subject)
    const isNew = this.#slots[slot] !== subject
    this.#slots[slot] = subject
    const withHeaders = hasHeaders(publication, json)
    const writer = new Writer(first.raw.length + 128).u32(0).u8(PUBLISH)
    writer.u8(
      (confirm === undefined ? 0 : confirm.isRequest ? ACK | REQUEST : ACK) |
        (isNew ? SUBJECT : 0) |
        (chunk === undefined ? 0 : CHUNK) |
        (withHeaders ? HEADERS : 0) |
        (isBundle ? BUNDLE : 0),
    )
    if (confirm !== undefined) writer.varint(confirm.id)
    writer.u8(slot)
    if (isNew) writer.name(subject)
    if (chunk !== undefined)
      writer
        .text(chunk.id)
        .varint(chunk.seq)
        .u8(chunk.done ? 1 : 0)
    if (withHeaders) writeHeaders(writer, publication, json)
    if (isBundle) {
      writer.varint(items.length)
      writeParts(writer, items)
    } else writer.u8(first.encoding).raw(first.raw)
    return finish(writer)
  }
}

/** Puts the length in front. */
function finish(writer: Writer): Uint8Array {
  const bytes = writer.finish()
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - 4, true)
  return bytes
}

/** Cuts a row of messages to what one bundle takes. Calls back with each. */
export function inBundles(
  items: readonly Item[],
  sizeOf: (item: Item) => number,
  send: (items: Item[], at: number) => void,
): void {
  let open: Item[] = []
  let bytes = 0
  for (const [at, item] of items.entries()) {
    const size = sizeOf(item)
    if (open.length === MAX_BUNDLE || (open.length > 0 && bytes + size > MAX_BUNDLE_BYTES)) {
      send(open, at - open.length)
      open = []
      bytes = 0
    }
    open.push(item)
    bytes += size
  }
  if (open.length > 0) send(open, items.length - open.length)
}

function slotOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (SLOTS - 1)
}
