// The sockets of this process, for netstat.
import type { SocketRow } from '../../types/net'

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

/** The same as a table. */
export function netstat(filter?: ((row: SocketRow) => boolean) | Partial<SocketRow>): string {
  const lines = ['Proto  Recv-Q  Send-Q  Local Address           Foreign Address          State']
  for (const { proto, recvQ, sendQ, local, foreign, state } of sockets(filter)) {
    const numbers = `${String(recvQ).padStart(6)}  ${String(sendQ).padStart(6)}`
    const line = `${proto.padEnd(6)} ${numbers}  ${local.padEnd(23)} ${foreign.padEnd(24)} ${state}`
    lines.push(line.trimEnd())
  }
  return lines.join('\n')
}

function passes(
  row: SocketRow,
  filter: ((row: SocketRow) => boolean) | Partial<SocketRow> | undefined,
): boolean {
  if (filter === undefined) return true
  if (typeof filter === 'function') return filter(row)
  return Object.entries(filter).every(([name, value]) => row[name as keyof SocketRow] === value)
}
