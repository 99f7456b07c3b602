// What the servers of a listener say to each other. It comes over the fabric, so every shape is checked.
import type { Headers } from '../../index'
import { MAX_NAME } from './options'
import type { Entry } from './table'

/** An entry of a room as it travels: room, socket, key, data, since, stale. */
export type Row = [room: string, id: string, key: string, data: unknown, since: number, stale: boolean]
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

export type PeerMessage =
  | { kind: 'hello'; id: string }
  | { kind: 'table'; rows: Row[]; isLast: boolean }
  | { kind: 'changes'; changes: Change[] }
  | { kind: 'write'; broadcast: Forwarded }
  | { kind: 'wrote'; number: number; delivered: number; lost: { id: string; code: string | number }[] }
  | { kind: 'close'; rooms: string[]; except: string[] }

export function rowOf(room: string, { id, key, data, since, stale }: Entry): Row {
  return [room, id, key, data, since, stale]
}

export function entryOf([, id, key, data, since, stale]: Row): Entry {
  return { id, key, data, since, stale }
}

export function isRow(change: Change): change is Row {
  return change.length === 6
}

/** As it travels. */
export function encodePeer(message: PeerMessage): unknown[] {
  switch (message.kind) {
    case 'hello':
      return ['hello', message.id]
    case 'table':
      return ['table', message.rows, message.isLast]
    case 'changes':
      return ['changes', message.changes]
    case 'write': {
      const { rooms, except, isVolatile, number, encoding, raw, headers, ttl } = message.broadcast
      const write = ['write', rooms, except, isVolatile, number, encoding, raw, headers]
      return ttl === undefined ? write : [...write, ttl]
    }
    case 'wrote':
      return ['wrote', message.number, message.delivered, message.lost]
    case 'close':
      return ['close', message.rooms, message.except]
  }
}

/** Returns a message, or nothing for what is none. */
export function decodePeer(data: unknown): PeerMessage | undefined {
  if (!Array.isArray(data)) return undefined
  const [kind, first, second, isVolatile, number, encoding, raw, headers, ttl] = data as unknown[]
  if (kind === 'hello' && typeof first === 'string') return { kind, id: first }
  if (kind === 'table' && areRows(first)) return { kind, rows: first, isLast: second === true }
  if (kind === 'changes' && areChanges(first)) return { kind, changes: first }
  if (kind === 'close' && areTexts(first) && areTexts(second)) return { kind, rooms: first, except: second }
  if (kind === 'wrote' && typeof first === 'number' && typeof second === 'number') {
    return { kind, number: first, delivered: second, lost: lostOf(isVolatile) }
  }
  const isWrite = kind === 'write' && areTexts(first) && areTexts(second) && raw instanceof Uint8Array
  if (!isWrite || (encoding !== 0 && encoding !== 1)) return undefined
  const broadcast: Forwarded = {
    rooms: first,
    except: second,
    isVolatile: isVolatile === true,
    number: typeof number === 'number' ? number : 0,
    encoding,
    raw,
    headers: typeof headers === 'object' ? (headers as Headers | null) : null,
    ttl: typeof ttl === 'number' && ttl > 0 ? ttl : undefined,
  }
  return { kind, broadcast }
}

function lostOf(list: unknown): { id: string; code: string | number }[] {
  if (!Array.isArray(list)) return []
  return list.filter(
    (one): one is { id: string; code: string } => typeof one?.id === 'string' && one.code !== undefined,
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
  if (!Array.isArray(row) || row.length !== 6) return false
  const [room, id, key, , since, stale] = row
  return [room, id, key].every(isName) && typeof since === 'number' && typeof stale === 'boolean'
}
