// Joins messages that come in chunks, within bounds.
import { concat } from '../wire/bytes'
import type { Chunk, Item, Publication } from '../wire/publication'

/** Bytes of messages that are not whole, and the time that one has, in ms. */
const MAX_BYTES = 128 * 1024 * 1024
const LIFETIME = 60_000

interface Partial {
  readonly begun: number
  readonly parts: Uint8Array[]
  bytes: number
}

export class Reassembly {
  readonly #partials = new Map<string, Partial>()
  #bytes = 0
  /** Messages that were given up: a gap, too old, or no room. */
  dropped = 0

  /** Takes a chunk to one pattern. Returns the message if it was the last one. */
  push(now: number, pattern: string, message: Publication, chunk: Chunk): Publication | undefined {
    this.#dropOld(now)
    const key = `${pattern}\n${message.subject}\n${chunk.id}`
    if (chunk.seq === 0) {
      this.#drop(key)
      this.#partials.set(key, { begun: now, parts: [], bytes: 0 })
    }
    const partial = this.#partials.get(key)
    const [item] = message.items as [Item]
    if (partial === undefined) return undefined
    if (partial.parts.length !== chunk.seq || !this.#makeRoom(key, item.raw.length)) {
      this.#give(key)
      return undefined
    }
    // A copy: the part is a view of a frame.
    partial.parts.push(item.raw.slice())
    partial.bytes += item.raw.length
    this.#bytes += item.raw.length
    if (!chunk.done) return undefined
    const raw = concat(partial.parts)
    this.#drop(key)
    return { ...message, items: [{ ...item, raw }] }
  }

  clear(): void {
    this.#partials.clear()
    this.#bytes = 0
  }

  /** The oldest go first. */
  #makeRoom(key: string, more: number): boolean {
    for (const other of this.#partials.keys()) {
      if (this.#bytes + more <= MAX_BYTES) return true
      if (other !== key) this.#give(other)
    }
    return this.#bytes + more <= MAX_BYTES
  }

  #dropOld(now: number): void {
    for (const [key, { begun }] of this.#partials) {
      if (now - begun < LIFETIME) return
      this.#give(key)
    }
  }

  #give(key: string): void {
    this.#drop(key)
    this.dropped += 1
  }

  #drop(key: string): void {
    this.#bytes -= this.#partials.get(key)?.bytes ?? 0
    this.#partials.delete(key)
  }
}
