// What a socket and its server say to each other before the stream: the search, `connect`, and its answer.
import { DATA } from '../stream/items'
import { isNumber, type Windows, windowsOf } from '../stream/windows'
import type { Item, Publication } from '../wire/publication'

/** An empty message, as MessagePack has it. */
export const NIL: Item = { encoding: DATA, raw: new Uint8Array([0xc0]), json: null }

export function empty(subject: string): Publication {
  return { subject, items: [NIL] }
}

/** The object in the headers of a message. */
export function jsonIn(item: Item | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(item?.json ?? undefined))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** The id in a server's answer to the search: MessagePack `{id: text}`, read without a decoder. */
export function serverIdOf({ items }: Publication): string | undefined {
  const raw = items[0]?.raw ?? new Uint8Array(0)
  // A map of one, the text "id", and a text with its length in one byte, or behind it.
  if (![0x81, 0xa2, 0x69, 0x64].every((byte, at) => raw[at] === byte)) return undefined
  const first = raw[4] ?? 0
  const at = first >= 0xa0 && first <= 0xbf ? 5 : first === 0xd9 ? 6 : first === 0xda ? 7 : raw.length
  const id = new TextDecoder().decode(raw.subarray(at))
  return id !== '' && !/[.\s*>]/.test(id) ? id : undefined
}

/** What a server says of itself. */
export interface Offer {
  readonly tag: number
  /** The tag of the client whose `connect` it answers. */
  readonly for: unknown
  readonly windows: Windows
}

/** Reads it; `undefined`: the server does not speak the stream. */
export function offerOf(item: Item | undefined): Offer | undefined {
  const { stream } = jsonIn(item)
  if (typeof stream !== 'object' || stream === null) return undefined
  const { v, tag, window, for: answers } = stream as Record<string, unknown>
  const windows = windowsOf(window)
  if (!isNumber(v) || v < 1 || !isNumber(tag) || tag === 0 || windows === undefined) return undefined
  return { tag, for: answers, windows }
}
