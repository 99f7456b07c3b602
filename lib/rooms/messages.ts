// What the servers of a listener say to each other. It comes over the fabric, so every shape is checked.
import type { Headers } from '../../index'
import { readCode } from '../messaging/error-headers'
import { parseHeaders } from '../values/headers'
import { type Hello, readInstance } from './hellos'
import { MAX_NAME } from './options'
import type { Entry } from './table'

/** An entry of a room as it travels. */
export type Row = [
  room: string,
  id: string,
  key: string,
  data: unknown,
  since: number,
  stale: boolean,
  user?: unknown,
]
/** A change: a row, or the room and the socket of one that has left, and why. */
export type Change = Row | [room: string, id: string, reason: 'left' | 'closed']

export interface Forwarded {
  readonly rooms: readonly string[]
  readonly except: readonly string[]
  readonly isVolatile: boolean
  /** Of a broadcast whose sender wants to know who has got it; else 0. */
  readonly number: number
  readonly encoding: number
  readonly raw: Uint8Array
  readonly headers: Headers | null
  /** How long it is worth reading, in ms. */
  readonly ttl: number | undefined
}

/** A request to members. */
export interface ForwardedAsk {
  readonly rooms: readonly string[]
  readonly except: readonly string[]
  readonly number: number
  readonly timeout: number
  readonly encoding: number
  readonly raw: Uint8Array
  readonly headers: Headers | null
}

/** What a member has answered; or, with an encoding that is none, why it has not. */
export type MemberAnswer = [from: string, raw: Uint8Array, encoding: number, headers: Headers | null]

export type PeerMessage =
  | ({ kind: 'hello' } & Hello)
  | { kind: 'table'; rows: Row[]; isLast: boolean }
  | { kind: 'changes'; changes: Change[] }
  | { kind: 'write'; broadcast: Forwarded }
  | { kind: 'wrote'; number: number; delivered: number; lost: { id: string; code: string | number }[] }
  | { kind: 'close'; rooms: string[]; except: string[]; reason?: CloseReason | undefined }
  | { kind: 'ask'; ask: ForwardedAsk }
  | { kind: 'unask'; number: number }
  | { kind: 'answers'; number: number; answers: MemberAnswer[]; isLast: boolean }

/** Why members are closed. */
export interface CloseReason {
  readonly message: string
  readonly code: string | number
}

export function rowOf(room: string, { id, key, data, since, stale, user }: Entry): Row {
  const row: Row = [room, id, key, data, since, stale]
  if (user !== undefined) row.push(user)
  return row
}

export function entryOf([room, id, key, data, since, stale, user]: Row): Entry {
  return { id, key, data, since, stale, user, size: sizeOf(room, id, key, data, user) }
}

/** Bytes of a broadcast, or of a request, to other servers, beside its payload: at most, and of one without names. */
export const MAX_ENVELOPE = 4 * 1024 * 1024
const ENVELOPE = 256

/** The same, of one with these names, and headers of so many bytes as JSON: as MessagePack a number has up to 9. */
export function envelopeOf(
  { rooms, except }: { readonly rooms: readonly string[]; readonly except: readonly string[] },
  headers: number,
): number {
  const names = [...rooms, ...except].reduce((sum, name) => sum + 3 * name.length + 5, 0)
  return ENVELOPE + names + 3 * headers
}

/** Returns what an entry takes, in characters of its parts: about what it takes in memory. */
export function sizeOf(room: string, id: string, key: string, data: unknown, user: unknown): number {
  return ENTRY_SIZE + room.length + id.length + key.length + jsonLength(data) + jsonLength(user)
}

/** Of an entry without any of it. */
const ENTRY_SIZE = 100

/** Returns the characters that a value takes as JSON; of what has none, more than any may have. */
export function jsonLength(value: unknown): number {
  if (value === undefined || value === null) return 0
  try {
    return JSON.stringify(value)?.length ?? Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

export function isRow(change: Change): change is Row {
  return change.length > 3
}

/** As it travels. */
export function encodePeer(message: PeerMessage): unknown[] {
  switch (message.kind) {
    case 'hello':
      return ['hello', message.id, message.instance]
    case 'table':
      return ['table', message.rows, message.isLast]
    case 'changes':
      return ['changes', message.changes]
    case 'write': {
      const { rooms, except, isVolatile, number, encoding, raw, headers, ttl } = message.broadcast
      const write = ['write', rooms, except, isVolatile, number, encoding, raw, textOf(headers)]
      return ttl === undefined ? write : [...write, ttl]
    }
    case 'wrote':
      return ['wrote', message.number, message.delivered, message.lost]
    case 'close': {
      const { rooms, except, reason } = message
      const close = ['close', rooms, except]
      return reason === undefined ? close : [...close, reason.message, reason.code]
    }
    case 'ask': {
      const { rooms, except, number, timeout, encoding, raw, headers } = message.ask
      return ['ask', rooms, except, timeout, number, encoding, raw, textOf(headers)]
    }
    case 'unask':
      return ['unask', message.number]
    case 'answers':
      return [
        'answers',
        message.number,
        message.answers.map(([from, bytes, encoding, headers]) => [from, bytes, encoding, textOf(headers)]),
        message.isLast,
      ]
  }
}

/** Returns a message, or nothing for what is none. */
export function decodePeer(data: unknown): PeerMessage | undefined {
  if (!Array.isArray(data)) return undefined
  const [kind, first, second, isVolatile, number, encoding, raw, headers, ttl] = data as unknown[]
  if (kind === 'hello' && typeof first === 'string')
    return { kind, id: first, instance: readInstance(second) }
  if (kind === 'table' && areRows(first)) return { kind, rows: first, isLast: second === true }
  if (kind === 'changes' && areChanges(first)) return { kind, changes: first }
  if (kind === 'close' && areTexts(first) && areTexts(second)) {
    const [message, code] = [isVolatile, readCode(number)]
    const reason = typeof message === 'string' && code !== undefined ? { message, code } : undefined
    return { kind, rooms: first, except: second, reason }
  }
  if (kind === 'unask' && typeof first === 'number') return { kind, number: first }
  if (kind === 'answers' && typeof first === 'number' && areAnswers(second)) {
    const answers = second.map(
      ([from, raw, encoding, headers]): MemberAnswer => [from, raw, encoding, headersOf(headers)],
    )
    return { kind, number: first, answers, isLast: isVolatile === true }
  }
  if (kind === 'wrote' && typeof first === 'number' && typeof second === 'number') {
    return { kind, number: first, delivered: second, lost: lostOf(isVolatile) }
  }
  if (!areTexts(first) || !areTexts(second) || !(raw instanceof Uint8Array)) return undefined
  if (encoding !== 0 && encoding !== 1) return undefined
  if (kind === 'ask') {
    const timeout = isVolatile
    if (typeof number !== 'number' || typeof timeout !== 'number' || !(timeout > 0)) return undefined
    const ask = { rooms: first, except: second, number, timeout: Math.min(timeout, MAX_TIMEOUT) }
    return { kind, ask: { ...ask, encoding, raw, headers: headersOf(headers) } }
  }
  if (kind !== 'write') return undefined
  const broadcast: Forwarded = {
    rooms: first,
    except: second,
    isVolatile: isVolatile === true,
    number: typeof number === 'number' ? number : 0,
    encoding,
    raw,
    headers: headersOf(headers),
    ttl: typeof ttl === 'number' && ttl > 0 ? ttl : undefined,
  }
  return { kind, broadcast }
}

/** Headers travel as JSON: MessagePack does not carry every key that a peer may have given them. */
function textOf(headers: Headers | null): string | null {
  return headers === null ? null : JSON.stringify(headers)
}

function headersOf(text: unknown): Headers | null {
  if (typeof text !== 'string') return null
  try {
    return parseHeaders(text)
  } catch {
    return null
  }
}

function lostOf(list: unknown): { id: string; code: string | number }[] {
  if (!Array.isArray(list)) return []
  return list.filter(
    (one): one is { id: string; code: string } => typeof one?.id === 'string' && one.code !== undefined,
  )
}

/** The longest delay of a timer, in ms. */
const MAX_TIMEOUT = 0x7fffffff

function areAnswers(list: unknown): list is [string, Uint8Array, number, unknown][] {
  return Array.isArray(list) && list.every(isAnswer)
}

function isAnswer(answer: unknown): boolean {
  if (!Array.isArray(answer) || answer.length !== 4) return false
  const [from, raw, encoding, headers] = answer
  return (
    typeof from === 'string' &&
    raw instanceof Uint8Array &&
    (encoding === 0 || encoding === 1 || encoding === 255) &&
    (headers === null || typeof headers === 'string')
  )
}

function areTexts(list: unknown): list is string[] {
  return Array.isArray(list) && list.every(text => typeof text === 'string')
}

function areRows(list: unknown): list is Row[] {
  return Array.isArray(list) && list.every(isRowShaped)
}

function areChanges(list: unknown): list is Change[] {
  return (
    Array.isArray(list) &&
    list.every(change =>
      Array.isArray(change) && change.length === 3 ? areTexts(change) : isRowShaped(change),
    )
  )
}

function isName(text: unknown): boolean {
  return typeof text === 'string' && text.length <= MAX_NAME
}

function isRowShaped(row: unknown): boolean {
  if (!Array.isArray(row) || row.length < 6) return false
  const [room, id, key, , since, stale] = row
  return [room, id, key].every(isName) && typeof since === 'number' && typeof stale === 'boolean'
}
