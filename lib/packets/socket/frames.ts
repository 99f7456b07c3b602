// The frames of docs/protocols/packets.md: what they begin with, and reading them. No I/O.
import { readText, readVaruint, varuintSize } from '../codec/text'
import { PacketError } from '../errors'
import { envelopeKey, FINGERPRINT_BYTES } from '../registry/envelope'

export const HELLO = 0
export const POST = 1
export const CALL = 2
export const RESULT = 3
export const ERROR = 4
export const CANCEL = 5
export const SCHEMA = 6

export const VERSION = 1
/** The last number of a call; after it comes 1 again. */
export const MAX_CALL = 2 ** 31 - 1
/** What a frame has beside the body of its packet. */
export const MAX_HEAD_BYTES = 32

/** Returns the error that closes a socket. */
export function broken(problem: string): PacketError {
  return new PacketError(`the other side broke the protocol: ${problem}`, 'ERR_PACKET_PROTOCOL')
}

/** Puts whole frames together of a stream that is cut anywhere. */
export class FrameAssembler {
  /** The beginning of a frame, in memory that may be larger: pieces of one byte must not cost more than their bytes. */
  #rest: Uint8Array = NOTHING
  #length = 0
  /** Bytes until the next whole frame can be there. */
  #wanted = 1

  constructor(readonly maxBytes: number) {}

  /** Returns the frames that are whole now; `undefined` for none. */
  push(piece: Uint8Array): Uint8Array | undefined {
    const bytes = this.#length === 0 ? piece : this.#joined(piece)
    const end = bytes.length < this.#wanted ? 0 : this.#wholeUntil(bytes)
    if (end > 0 || this.#length === 0) this.#keep(bytes.subarray(end))
    return end === 0 ? undefined : bytes.subarray(0, end)
  }

  /** Adds a piece to what is there. */
  #joined(piece: Uint8Array): Uint8Array {
    const length = this.#length + piece.length
    if (length > this.#rest.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(this.#wanted, 2 * length)))
      grown.set(this.#rest.subarray(0, this.#length))
      this.#rest = grown
    }
    this.#rest.set(piece, this.#length)
    this.#length = length
    return this.#rest.subarray(0, length)
  }

  /** A copy: the piece may be a part of something large, and what was given away is not ours any more. */
  #keep(rest: Uint8Array): void {
    this.#rest = rest.length === 0 ? NOTHING : rest.slice()
    this.#length = rest.length
  }

  #wholeUntil(bytes: Uint8Array): number {
    for (let at = 0; ; ) {
      const length = readVaruint(bytes, at, bytes.length)
      // The length itself may be cut.
      this.#wanted = bytes.length - at + 1
      if (length === -1) return at
      if (length <= 0 || length > this.maxBytes) throw broken(`a frame of ${length} bytes`)
      const end = at + varuintSize(length) + length
      this.#wanted = end - at
      if (end > bytes.length) return at
      at = end
    }
  }
}

const NOTHING = new Uint8Array(0)

/** Reads a message piece by piece. Whatever is not there is a break of the protocol. */
export class FrameReader {
  at = 0
  /** Where the frame that is being read ends. */
  end = 0

  constructor(readonly bytes: Uint8Array) {}

  /** Goes to the next frame, and returns whether there is one. */
  next(maxBytes: number): boolean {
    this.at = this.end
    if (this.at === this.bytes.length) return false
    this.end = this.bytes.length
    const length = this.varuint()
    if (length === 0) throw broken('an empty frame')
    if (length > maxBytes) throw broken(`a frame of ${length} bytes`)
    if (length > this.bytes.length - this.at) throw broken('a frame that is cut off')
    this.end = this.at + length
    return true
  }

  /** Whether another frame follows. */
  get hasMore(): boolean {
    return this.end < this.bytes.length
  }

  byte(): number {
    if (this.at >= this.end) throw broken('a frame that is too short')
    return this.bytes[this.at++] as number
  }

  varuint(): number {
    const value = readVaruint(this.bytes, this.at, this.end)
    if (value < 0) throw broken('a number that is none')
    this.at += varuintSize(value)
    return value
  }

  text(): string {
    const length = this.varuint()
    if (length > this.end - this.at) throw broken('a text that is cut off')
    const text = readText(this.bytes, this.at, this.at + length)
    if (text === undefined) throw broken('a text that is no UTF-8')
    this.at += length
    return text
  }

  fingerprint(): string {
    if (this.end - this.at < FINGERPRINT_BYTES) throw broken('a fingerprint that is cut off')
    this.at += FINGERPRINT_BYTES
    return envelopeKey(this.bytes, this.at - FINGERPRINT_BYTES)
  }

  /** Says that nothing may follow in this frame. */
  finish(): void {
    if (this.at < this.end) throw broken('a frame that is too long')
  }
}
