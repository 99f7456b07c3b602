// The options of rooms, and their bounds.
import type { RoomsOptions } from '../../index'
import { decode, encode } from '../values/codec'
import { FabricError, invalidType, invalidValue } from '../values/errors'
import { checkOptions, isBoolean, isCount, isPause, isString, type ShapeOf } from '../values/option-checks'

export const ROOMS_SHAPE = {
  presence: { check: isBoolean, default: true },
  leaveDelay: { check: isPause, unit: 'ms', default: 0 },
  slowMember: { check: isSlowMember, default: 'close' },
  servers: { check: isCount, default: 64, limit: true },
} as const satisfies ShapeOf<RoomsOptions>

/** How a socket joins. */
export const MEMBER_SHAPE = { key: isKey, data: isAnything } as const

/** Bytes of a room's name, and of a member's key. */
export const MAX_NAME = 256
/** Characters of a member's data as JSON. */
const MAX_DATA = 4096
/** Rooms of one socket. */
export const MAX_ROOMS = 1000
/** Entries of a listener: a socket in a room is one. And what they take, about, in bytes. */
export const MAX_ENTRIES = 100_000
export const MAX_TABLE_BYTES = 64 * 1024 * 1024
/** Characters of a user as JSON: a longer one is not told. */
export const MAX_USER = 4096
/** Exceptions of a broadcast. */
export const MAX_EXCEPTIONS = 256

export function isRoomsOptions(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw invalidType(name, 'an object', value)
  checkOptions(name, value, ROOMS_SHAPE)
}

function isSlowMember(name: string, value: unknown): void {
  isString(name, value)
  if (value !== 'close' && value !== 'drop') throw invalidValue(name, "'close' or 'drop'", value)
}

/** Returns the names of rooms in a list, each checked. */
export function roomsIn(names: string | readonly string[]): readonly string[] {
  if (typeof names !== 'string' && !Array.isArray(names))
    throw invalidType('room', 'a string or a list of strings', names)
  const list = typeof names === 'string' ? [names] : names
  for (const name of list) checkRoom(name)
  return list
}

/** Throws unless it can be the name of a room. */
export function checkRoom(name: unknown): void {
  isString('room', name)
  const text = name as string
  const isSound = text !== '' && Buffer.byteLength(text) <= MAX_NAME && !CONTROL.test(text)
  if (!isSound) {
    throw invalidValue('room', `1 to ${MAX_NAME} bytes without control characters`, text.slice(0, 80))
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/

function isKey(name: string, value: unknown): void {
  isString(name, value)
  const bytes = Buffer.byteLength(value as string)
  if (bytes === 0 || bytes > MAX_NAME)
    throw invalidValue(name, `1 to ${MAX_NAME} bytes`, (value as string).slice(0, 80))
}

/** Checked by what keeps it. */
function isAnything(): void {}

/**
 * Returns a member's data as other servers and clients will read it: what cannot be told to them is refused here, and what the
 * program changes in it later is told by `update` alone.
 */
export function memberDataOf(data: unknown): unknown {
  if (data === undefined || data === null) return null
  let length: number | undefined
  try {
    length = JSON.stringify(data)?.length
  } catch {
    // Counted as what has no JSON.
  }
  if (length === undefined) throw invalidType("a member's data", 'JSON', data)
  if (length > MAX_DATA) {
    const text = `a member's data has ${length} characters as JSON, more than ${MAX_DATA}`
    throw new FabricError(text, 'ERR_ROOM_LIMIT')
  }
  const copy = decode({ data: encode({ mesg: data }) })
  // It is told inside lists, whose levels count.
  let nested = copy
  for (let level = 0; level < LEVELS_AROUND; level++) nested = [nested]
  encode({ mesg: nested })
  return copy
}

/** More than stand around a member's data wherever it is told. */
const LEVELS_AROUND = 8
