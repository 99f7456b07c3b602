// Looks into a broker through its monitor or its system service: what `netstat` and `top` ask, and how their rows are
// printed.
import { type Command, Option } from 'commander'
import type {
  BrokerOverview,
  ConnectionPage,
  ConnectionQuery,
  ConnectionRow,
  ConnectionSort,
  SocketPage,
} from '../../index'
import { CONNECTION_SORTS, sysApi } from '../index'
import { connecting, withClient } from './command'
import { CommandError, codeOf, EXIT } from './failure'
import { type Eye, type EyeOptions, monitorOf } from './monitor-eye'
import { escaped, Terminal } from './terminal'

export interface LookingOptions extends EyeOptions {
  filter?: string
  sort?: ConnectionSort
  order?: 'asc' | 'desc'
}

/** The options of whatever shows connections. */
export function looking(command: Command): Command {
  return connecting(command)
    .option('--system-password-file <file>', 'password of the system account of the broker')
    .option('--monitor-password-file <file>', 'password of its monitor, in place of that')
    .option('--filter <text>', 'only connections with this in their id, address or user')
    .addOption(new Option('--sort <key>', 'key to sort by').choices(CONNECTION_SORTS))
    .addOption(
      new Option('--order <order>', 'numbers begin with the largest, the rest with the smallest').choices([
        'asc',
        'desc',
      ]),
    )
}

/** Runs `work` with what shows the broker: the monitor, if that answers; else its system account. */
export async function withEye(
  options: LookingOptions,
  work: (eye: Eye, terminal: Terminal) => Promise<void>,
): Promise<void> {
  const monitor = options.systemPasswordFile === undefined ? await monitorOf(options) : undefined
  if (monitor !== undefined) return await work(monitor, new Terminal(options))
  const { timeout } = options
  await withClient(options, (client, terminal) => work(sysApi(client, { timeout }), terminal))
}

/** Some connections, as the broker chose them. */
export async function connections(
  eye: Eye,
  { filter, sort, order }: LookingOptions,
  limit: number,
): Promise<ConnectionPage> {
  const query: ConnectionQuery = { limit }
  if (filter !== undefined) query.filter = filter
  if (sort !== undefined) query.sort = sort
  if (order !== undefined) query.order = order
  return await asking(() => eye.connections(query))
}

/** Some sockets, sorted by subject. */
export async function sockets(eye: Eye, { filter }: LookingOptions, limit: number): Promise<SocketPage> {
  const query = filter === undefined ? { limit } : { limit, filter }
  return await asking(() => eye.sockets(query))
}

export async function overview(eye: Eye): Promise<BrokerOverview> {
  return await asking(() => eye.overview())
}

async function asking<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof CommandError) throw error
    const code = codeOf(error)
    if (code === 503) {
      throw new CommandError(error, {
        exit: EXIT.nobody,
        hint: 'a broker answers that is started with --monitor, or with --system-password-file (systemAccountPassword)',
      })
    }
    if (code !== 403) throw error
    throw new CommandError(error, {
      exit: EXIT.permission,
      hint: '--system-password-file FILE, or --monitor-password-file FILE',
    })
  }
}

/** A column of rows: its head, its text, and whether it stands at the right. */
type Column<Row> = readonly [head: string, text: (row: Row) => string, isNumber?: true]

const COLUMNS: readonly Column<ConnectionRow>[] = [
  ['ID', row => short(row.id, 12)],
  ['USER', row => short(row.user, 24)],
  ['ADDRESS', row => short(row.address === '' ? '-' : row.address, 22)],
  ['WIRE', row => row.wire],
  ['AGE', row => age(row.age), true],
  ['SUBS', row => amount(row.subscriptions), true],
  ['MSGS-IN', row => amount(row.msgsIn), true],
  ['MSGS-OUT', row => amount(row.msgsOut), true],
  ['BYTES-IN', row => amount(row.bytesIn), true],
  ['BYTES-OUT', row => amount(row.bytesOut), true],
  ['OUTBOX', row => amount(row.outbox), true],
]

/** A table, its head first. */
export function table(rows: readonly ConnectionRow[]): string[] {
  return linesOf(COLUMNS, rows)
}

type SocketRow = SocketPage['rows'][number]

const SOCKET_COLUMNS: readonly Column<SocketRow>[] = [
  ['SUBJECT', row => short(row.subject, 48)],
  ['SOCKET', row => short(row.id, 32)],
  ['CONNECTION', row => short(row.connection, 32)],
  ['STATE', row => row.client?.state ?? row.server?.state ?? '-'],
  ['SENT', row => told(row.client?.sent), true],
  ['RECEIVED', row => told(row.client?.received), true],
  ['PENDING', row => windowOf(row.client), true],
  ['SERVER', row => (row.server === null ? '-' : short(row.server.connection, 32))],
  ['S-PENDING', row => windowOf(row.server), true],
  ['LISTENERS', row => amount(row.listeners), true],
]

/** What an end does not tell is not 0. */
function told(value: number | undefined): string {
  return value === undefined ? '-' : amount(value)
}

/** What an end has written and is not acknowledged: messages and bytes. */
function windowOf(end: SocketRow['client']): string {
  if (end === null) return '-'
  return end.pending === 0 ? '0' : `${amount(end.pending)} ${amount(end.pendingBytes)}B`
}

/** The same of sockets. */
export function socketTable(rows: readonly SocketRow[]): string[] {
  return linesOf(SOCKET_COLUMNS, rows)
}

function linesOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = [columns.map(([head]) => head), ...rows.map(row => columns.map(([, text]) => text(row)))]
  const widths = columns.map((_, at) => Math.max(...cells.map(line => line[at]!.length)))
  return cells.map(line =>
    line
      .map((cell, at) => (columns[at]![2] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd(),
  )
}

/** Names come from strangers: no line of a table may be moved by them. */
function short(text: string, most: number): string {
  const safe = escaped(text).replace(/[\n\t]/g, ' ')
  return safe.length > most ? `${safe.slice(0, most - 1)}…` : safe
}

const UNITS = ['', 'k', 'M', 'G', 'T', 'P']

/** `999`, `1.2k`, `34M`. */
export function amount(value: number): string {
  let [left, unit] = [value, 0]
  while (left >= 999.5 && unit < UNITS.length - 1) {
    left /= 1000
    unit += 1
  }
  return `${unit > 0 && left < 9.95 ? left.toFixed(1) : Math.round(left)}${UNITS[unit]}`
}

/** `5s`, `12m`, `3h`, `9d`. */
export function age(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
