// The sockets of this process, for netstat.
import type { SocketRow } from '../../types/net'
import { escaped } from '../values/escaped'

/** What is listed: asked for its row only when somebody looks. */
export interface Listed {
  row(): SocketRow | undefined
}

const listed = new Set<Listed>()

export function list(one: Listed): void {
  listed.add(one)
}

export function unlist(one: Listed): void {
  listed.delete(one)
}

/** The rows that pass `filter`, newest last. */
export function sockets(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): SocketRow[] {
  const rows: SocketRow[] = []
  for (const one of listed) {
    const row = one.row()
    if (row !== undefined && passes(row, filter)) rows.push(row)
  }
  return rows
}

/** The same as a table, ids shortened. */
export function netstat(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): string {
  const lines = ['Proto  Recv-Q  Send-Q  Local Address           Foreign Address          State']
  for (const { proto, recvQ, sendQ, local, foreign, state } of sockets(filter)) {
    const numbers = `${String(recvQ).padStart(6)}  ${String(sendQ).padStart(6)}`
    const [here, there] = [shown(local).padEnd(23), shown(foreign).padEnd(24)]
    const line = `${proto.padEnd(6)} ${numbers}  ${here} ${there} ${state}`
    lines.push(line.trimEnd())
  }
  return lines.join('\n')
}

/** An id fits into a column by its ends. Strangers choose some. */
function shown(address: string): string {
  return escaped(address).replace(/^([0-9a-f]{4})[0-9a-f]{26}([0-9a-f]{2})(?=:|$)/, '$1…$2')
}

function passes(
  row: SocketRow,
  filter: ((row: SocketRow) => boolean) | Partial<SocketRow> | undefined,
): boolean {
  if (filter === undefined) return true
  if (typeof filter === 'function') return filter(row)
  return Object.entries(filter).every(([name, value]) => row[name as keyof SocketRow] === value)
}
