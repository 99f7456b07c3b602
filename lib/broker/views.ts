// Views of a broker's state, fetched from the engine on access.
import type {
  BrokerEvent,
  ConatServer,
  ConnectionPage,
  ConnectionRow,
  ConnectionStats,
  ConnectionView,
  LimitChanges,
  SocketPage,
  SubjectPage,
  Traffic,
  Usage,
} from '../../index'
import { native } from '../engine/native'
import { invalidType } from '../values/errors'

export type BrokerTotals = NonNullable<ConatServer['totals']>

/** As the engine reports it. */
interface Connection {
  id: string
  user: unknown
  address: string
  subscriptions: string[]
  recv: Traffic
  send: Traffic
}

/** Returns the answer to `query`, or `undefined` if the broker is closed. */
function ask<T>(broker: number, query: object): T | undefined {
  const answer = native.brokerQuery(broker, JSON.stringify(query))
  return answer === null ? undefined : (JSON.parse(answer) as T)
}

export function totals(broker: number): BrokerTotals | undefined {
  return ask(broker, { op: 'totals' })
}

/** Counts by name, as metrics call them. */
type Counts = Record<string, number>

export interface EngineMetrics {
  handshakes: number
  open: Counts
  opened: Counts
  closed: Counts
  refused: Counts
  refusedOperations: Record<string, Counts>
  unheard: number
  /** In bytes, of what the broker keeps for connections. */
  memory: { patterns: number; chunks: number; waits: number }
}

export function metrics(broker: number): EngineMetrics | undefined {
  return ask(broker, { op: 'metrics' })
}

export interface Find {
  sort: string
  descending: boolean
  filter: string
  offset: number
  limit: number
}

export function find(broker: number, wanted: Find): ConnectionPage | undefined {
  return ask(broker, { op: 'find', ...wanted })
}

/** One connection with its patterns and their queue groups; `null` if there is none of this id. */
export function connection(
  broker: number,
  id: string,
): { row: ConnectionRow; patterns: [string, string][] } | null {
  return ask(broker, { op: 'connection', id }) ?? null
}

interface Listed {
  filter: string
  subject: string | null
  offset: number
  limit: number
}

export function findPatterns(broker: number, wanted: Listed): SubjectPage | undefined {
  return ask(broker, { op: 'findPatterns', ...wanted })
}

export function findSockets(broker: number, wanted: Listed): SocketPage | undefined {
  return ask(broker, { op: 'findSockets', ...wanted })
}

/** What happened, as the engine notes it: with what only channels tell. */
export interface JournalEntry extends Omit<BrokerEvent, 'time' | 'kind'> {
  kind: BrokerEvent['kind'] | 'subscribed'
  address: string
  wire: string
}

/** What happened since this was asked the last time; nothing unless the broker is watched. */
export function journal(broker: number): JournalEntry[] {
  return ask(broker, { op: 'journal' }) ?? []
}

export function usage(broker: number): Usage {
  return ask(broker, { op: 'usage' }) ?? { total: 0, perUser: {} }
}

function connections(broker: number): Connection[] {
  return ask(broker, { op: 'connections' }) ?? []
}

export function sockets(broker: number): Record<string, ConnectionView> {
  const views = connections(broker).map(({ id, user, address, subscriptions, recv, send }) => {
    return [id, { id, user, address, subscriptions, stats: { recv, send } }] as const
  })
  return Object.fromEntries(views)
}

export function stats(broker: number): Record<string, ConnectionStats> {
  const all = connections(broker).map(({ id, user, address, subscriptions, recv, send }) => {
    return [id, { user, address, recv, send, subs: subscriptions.length }] as const
  })
  return Object.fromEntries(all)
}

/** The subscribed patterns, in the form of Conat's servers. */
export class Interest {
  readonly #broker: number

  constructor(broker: number) {
    this.#broker = broker
  }

  /** Returns every pattern with the number of its subscriptions. */
  serialize(): { patterns: Record<string, number> } {
    return { patterns: ask(this.#broker, { op: 'patterns' }) ?? {} }
  }

  /** Returns the patterns that `subject` matches. */
  matches(subject: string): string[] {
    checkString('subject', subject)
    return ask(this.#broker, { op: 'matches', subject }) ?? []
  }

  /** Returns whether there is a subscriber for `subject`, other than to `>`. */
  hasMatch(subject: string): boolean {
    checkString('subject', subject)
    return ask(this.#broker, { op: 'hasMatch', subject }) ?? false
  }
}

export function disconnect(broker: number, ids: string | readonly string[]): number {
  return ask(broker, { op: 'disconnect', ids: idList(ids) }) ?? 0
}

export function revalidate(broker: number, ids: string | readonly string[] | undefined): number {
  return ask(broker, { op: 'revalidate', ids: ids === undefined ? null : idList(ids) }) ?? 0
}

export function changeLimits(broker: number, limits: LimitChanges): void {
  ask(broker, { op: 'changeLimits', limits })
}

/** A drain has begun, with the clients in this process. */
export function leave(broker: number): void {
  ask(broker, { op: 'leave' })
}

export function noteAction(broker: number, action: string, text: string): void {
  ask(broker, { op: 'noteAction', action, text })
}

function idList(ids: unknown): string[] {
  const list: unknown[] = Array.isArray(ids) ? ids : [ids]
  for (const id of list) checkString('id', id)
  return list as string[]
}

function checkString(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value)
}
