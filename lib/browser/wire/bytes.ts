// Writes and reads the numbers and texts of the wire (docs/protocols/fabric.md). Little-endian.

/** Bytes that break a rule of the wire. */
export class WireError extends Error {}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const loose = new TextDecoder('utf-8', { ignoreBOM: true })

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** @throws {WireError} it is not UTF-8 */
export function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new WireError('text that is not UTF-8')
  }
}

/** The text of a value, in which U+FFFD stands for what is not UTF-8. */
export function looseTextOf(bytes: Uint8Array): string {
  return loose.decode(bytes)
}

/** Returns one array with the bytes of all. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export class Writer {
  #bytes: Uint8Array
  #length = 0

  constructor(size = 256) {
    this.#bytes = new Uint8Array(size)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
    return this
  }

  u16(value: number): this {
    return this.u8(value & 0xff).u8(value >>> 8)
  }

  u32(value: number): this {
    return this.u16(value & 0xffff).u16(value >>> 16)
  }

  varint(value: number): this {
    let rest = value
    while (rest > 0x7f) {
      this.u8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    return this.u8(rest)
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** A name: u16 length, UTF-8. */
  name(text: string): this {
    const bytes = utf8(text)
    return this.u16(bytes.length).raw(bytes)
  }

  /** A text: varint length, UTF-8. */
  text(text: string): this {
    const bytes = utf8(text)
    return this.varint(bytes.length).raw(bytes)
  }

  /** Returns what was written, which is the caller's. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

export class Reader {
  readonly bytes: Uint8Array
  at: number
  readonly end: number

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    if (this.at >= this.end) throw new WireError('a frame that is too short')
    return this.bytes[this.at++] as number
  }

  u16(): number {
    return this.u8() | (this.u8() << 8)
  }

  u32(): number {
    return this.u16() + this.u16() * 0x10000
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) throw new WireError('a number that is too large')
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  take(length: number): Uint8Array {
    if (length > this.left) throw new WireError('a frame that is too short')
    const start = this.at
    this.at += length
    return this.bytes.subarray(start, this.at)
  }

  name(): string {
    return textOf(this.take(this.u16()))
  }

  text(longest: number = Number.POSITIVE_INFINITY): string {
    const length = this.varint()
    if (length > longest) throw new WireError('a text that is too long')
    return textOf(this.take(length))
  }

  rest(): Uint8Array {
    return this.take(this.left)
  }
}
