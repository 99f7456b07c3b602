// What a system account, or whoever sees the monitor, is told of a broker: some of its connections, subjects and
// sockets, chosen and sorted where they are.
import type {
  ConnectionDetail,
  ConnectionPage,
  ConnectionQuery,
  ConnectionRow,
  ConnectionSort,
  SocketPage,
  SocketQuery,
  SubjectPage,
  SubjectQuery,
} from '../../index'
import { FabricError, invalidValue, outOfRange } from '../values/errors'
import { checkOptions, isNumber, isString, type Shape } from '../values/option-checks'
import * as views from './views'

/** What connections can be sorted by. */
export const CONNECTION_SORTS: readonly ConnectionSort[] = [
  'since',
  'id',
  'user',
  'address',
  'wire',
  'subscriptions',
  'msgsIn',
  'msgsOut',
  'bytesIn',
  'bytesOut',
  'outbox',
]
const MAX_LIMIT = 500
const MAX_TEXT = 200
const HIDDEN = /pass|secret|token|key|cookie|auth/i

const PAGE = {
  filter: isString,
  offset: within(0, Number.MAX_SAFE_INTEGER),
  limit: within(1, MAX_LIMIT),
}
const CONNECTIONS_SHAPE: Shape = {
  ...PAGE,
  sort: oneOf(CONNECTION_SORTS),
  order: oneOf(['asc', 'desc']),
}
const SUBJECTS_SHAPE: Shape = { ...PAGE, match: isString }
const SOCKETS_SHAPE: Shape = { ...PAGE, subject: isString }

function oneOf(choices: readonly string[]) {
  return (name: string, value: unknown): void => {
    if (!choices.includes(value as string)) throw invalidValue(name, choices.join(', '), value)
  }
}

function within(least: number, most: number) {
  return (name: string, value: unknown): void => {
    isNumber(name, value)
    const isInside = Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    if (!isInside) throw outOfRange(name, `an integer from ${least} to ${most}`, value as number)
  }
}

/** Returns some of the connections. Texts are cut, and what looks like a secret is hidden. */
export function connectionsOf(broker: number, query: ConnectionQuery = {}): ConnectionPage {
  checkOptions('connections', query, CONNECTIONS_SHAPE)
  const { sort = 'since', order, filter = '', offset = 0, limit = 100 } = query
  // What is large comes first; names and times in their order.
  const isNamed = ['since', 'id', 'user', 'address', 'wire'].includes(sort)
  const descending = (order ?? (isNamed ? 'asc' : 'desc')) === 'desc'
  const found = open(views.find(broker, { sort, descending, filter, offset, limit }))
  return { ...found, rows: found.rows.map(shownRow) }
}

/** Returns one connection; `null` if there is none of this id. */
export function connectionOf(broker: number, id: string): ConnectionDetail | null {
  isString('id', id)
  const found = views.connection(broker, id)
  if (found === null) return null
  const subscriptions = found.patterns.map(([pattern, queue]) => ({ pattern, queue: cut(queue) }))
  return { ...shownRow(found.row), patterns: subscriptions }
}

/** Returns some of the patterns that are subscribed, the most subscribed first. */
export function subjectsOf(broker: number, query: SubjectQuery = {}): SubjectPage {
  checkOptions('subjects', query, SUBJECTS_SHAPE)
  const { filter = '', match = null, offset = 0, limit = 100 } = query
  const found = open(views.findPatterns(broker, { filter, subject: match, offset, limit }))
  return { ...found, rows: found.rows.map(row => ({ ...row, queues: row.queues.map(cut) })) }
}

/** Returns some of the sockets, sorted by subject. */
export function socketsOf(broker: number, query: SocketQuery = {}): SocketPage {
  checkOptions('sockets', query, SOCKETS_SHAPE)
  const { filter = '', subject = null, offset = 0, limit = 100 } = query
  const found = open(views.findSockets(broker, { filter, subject, offset, limit }))
  return { ...found, rows: found.rows.map(shownSocket) }
}

function shownSocket(row: SocketPage['rows'][number]): SocketPage['rows'][number] {
  const { connection, server } = row
  return {
    ...row,
    connection: cut(connection),
    server: server && { ...server, connection: cut(server.connection) },
  }
}

function open<T>(found: T | undefined): T {
  if (found === undefined) throw new FabricError('the broker is closed', 'ERR_CLOSED')
  return found
}

function shownRow(row: ConnectionRow): ConnectionRow {
  return { ...row, id: cut(row.id), user: userText(row.user as unknown) }
}

/** Returns a user as others may see them. */
export function userText(user: unknown): string {
  return cut(JSON.stringify(hidden(user, 0)) ?? 'null')
}

export function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}

/** Without what looks like a secret, at any depth. */
function hidden(value: unknown, depth: number): unknown {
  if (value === null || typeof value !== 'object') return value
  if (depth > 10) return '…'
  if (Array.isArray(value)) return value.map(item => hidden(item, depth + 1))
  const entries = Object.entries(value).map(([name, inner]) => [
    name,
    HIDDEN.test(name) ? '•••' : hidden(inner, depth + 1),
  ])
  return Object.fromEntries(entries)
}
