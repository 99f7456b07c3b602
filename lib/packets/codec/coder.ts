// What turns values of one schema into bytes and back. There are two: interpreted, and generated, with the same results.
import { PacketError } from '../errors'
import { pathOf } from './path'

/** What a coder needs to know beside its schema. */
export interface CoderOptions {
  /** Levels of a packed value. */
  readonly packDepth: number
  /** Elements of an array whose elements have no bytes. */
  readonly emptyElements: number
  /** Whether decoded buffers are views of the input, and no copies. */
  readonly areViews: boolean
}

export interface Coder {
  /**
   * Writes a value from `at` on, and returns where it ends, or `NO_ROOM` when it may not fit before `end`.
   * @throws {PacketError} `"ERR_PACKET_ENCODE"`
   */
  write(value: unknown, bytes: Uint8Array, at: number, end: number): number
  /**
   * Reads the value that takes exactly the bytes from `at` to `end`.
   * @throws {PacketError} `"ERR_PACKET_MALFORMED"`
   */
  read(bytes: Uint8Array, at: number, end: number): unknown
}

/** What `write` returns when the bytes are too few. */
export const NO_ROOM = -1

type Path = readonly (string | number)[]

export function encodeError(path: Path, problem: string, cause?: unknown): PacketError {
  const where = pathOf(path)
  return new PacketError(where === '' ? problem : `${where}: ${problem}`, 'ERR_PACKET_ENCODE', {
    path: where,
    cause,
  })
}

export function malformed(path: Path, offset: number, problem: string, cause?: unknown): PacketError {
  const where = pathOf(path)
  return new PacketError(problem, 'ERR_PACKET_MALFORMED', { path: where, offset, cause })
}

/** Whether a value is an array or a typed array. */
export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && kindOf.call(value) !== undefined)
}

/** Whether a value is a Uint8Array, a Buffer included, of whatever realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && kindOf.call(value) === 'Uint8Array'
}

/** The name of a typed array's type; `undefined` for all else. No object can pretend. */
const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined
