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
  #rest: Uint8Array = new Uint8Array(0)
  /** Pieces behind `#rest` that are not enough for a frame. */
  #pieces: Uint8Array[] = []
  #length = 0
  /** Bytes until the next whole frame can be there. */
  #wanted = 1

  constructor(readonly maxBytes: number) {}

  /** Returns the frames that are whole now; `undefined` for none. */
  push(piece: Uint8Array): Uint8Array | undefined {
    this.#pieces.push(piece)
    this.#length += piece.length
    if (this.#length < this.#wanted) return undefined
    const bytes = this.#joined()
    const end = this.#wholeUntil(bytes)
    this.#rest = bytes.subarray(end)
    this.#pieces = []
    this.#length = this.#rest.length
    return end === 0 ? undefined : bytes.subarray(0, end)
  }

  #joined(): Uint8Array {
    if (this.#rest.length === 0 && this.#pieces.length === 1) return this.#pieces[0] as Uint8Array
    const bytes = new Uint8Array(this.#length)
    let at = 0
    for (const piece of [this.#rest, ...this.#pieces]) {
      bytes.set(piece, at)
      at += piece.length
    }
    return bytes
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
