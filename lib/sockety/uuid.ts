// Ids of messages: version 4 UUIDs, as four numbers.
import { Buffer } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { FabricError } from '../values/errors'

/** Ids made at once: a call for each would cost more than all the rest of it. */
const POOL_IDS = 2048
const pool = Buffer.alloc(POOL_IDS * 16)
let next = POOL_IDS

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export class UUID {
  /** The bytes, four a number, the first one lowest. @internal */
  readonly a: number
  /** @internal */
  readonly b: number
  /** @internal */
  readonly c: number
  /** @internal */
  readonly d: number

  constructor(bytes: Uint8Array, offset = 0) {
    if (bytes.length < offset + 16) {
      throw new FabricError('Out of bounds: can not read UUID.', 'ERR_OUT_OF_RANGE')
    }
    this.a = int32(bytes, offset)
    this.b = int32(bytes, offset + 4)
    this.c = int32(bytes, offset + 8)
    this.d = int32(bytes, offset + 12)
  }

  equals(other: UUID): boolean {
    return this.a === other.a && this.b === other.b && this.c === other.c && this.d === other.d
  }

  write(buffer: Uint8Array, offset = 0): void {
    if (buffer.length < offset + 16) {
      throw new FabricError('Out of bounds: can not write UUID.', 'ERR_OUT_OF_RANGE')
    }
    putId(buffer, offset, this)
  }

  toBuffer(): Buffer {
    const buffer = Buffer.allocUnsafe(16)
    putId(buffer, 0, this)
    return buffer
  }

  toString(): string {
    const { a, b, c, d } = this
    return `${hex(a)}-${hex(b).slice(0, 4)}-${hex(b).slice(4)}-${hex(c).slice(0, 4)}-${hex(c).slice(4)}${hex(d)}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** Returns a random id. */
export function freshId(): UUID {
  if (next === POOL_IDS) {
    randomFillSync(pool)
    next = 0
  }
  const at = next * 16
  next += 1
  pool[at + 6] = ((pool[at + 6] as number) & 0x0f) | 0x40
  pool[at + 8] = ((pool[at + 8] as number) & 0x3f) | 0x80
  return new UUID(pool, at)
}

/** Returns whether these bytes are this id. */
export function isIdAt(bytes: Uint8Array, at: number, { a, b, c, d }: UUID): boolean {
  return (
    int32(bytes, at) === a &&
    int32(bytes, at + 4) === b &&
    int32(bytes, at + 8) === c &&
    int32(bytes, at + 12) === d
  )
}

/** Writes an id where there is room for it. */
export function putId(buffer: Uint8Array, at: number, { a, b, c, d }: UUID): void {
  putInt32(buffer, at, a)
  putInt32(buffer, at + 4, b)
  putInt32(buffer, at + 8, c)
  putInt32(buffer, at + 12, d)
}

function putInt32(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value
  buffer[at + 1] = value >>> 8
  buffer[at + 2] = value >>> 16
  buffer[at + 3] = value >>> 24
}

function int32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function hex(value: number): string {
  const byte = (shift: number): string => HEX[(value >>> shift) & 0xff] as string
  return byte(0) + byte(8) + byte(16) + byte(24)
}
