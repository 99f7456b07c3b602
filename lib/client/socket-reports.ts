// What a client tells its broker of its sockets, for whoever looks into the broker: only to a broker that asks for it.
import * as commands from '../engine/commands'
import type { ClientContext } from '../messaging/client-context'
import { ConatSocketBase } from '../socket/base'

/** Of one operation: the broker takes no more. */
const MAX_ROWS = 1000
/** Milliseconds between two reports, whatever a broker asks for. */
const [SHORTEST, LONGEST] = [500, 3_600_000]

type Row = readonly (string | number)[]

export class SocketReports {
  readonly #context: ClientContext
  /** What was told last, by end and id. */
  readonly #told = new Map<string, { text: string; end: string; id: string; subject: string }>()
  #timer: NodeJS.Timeout | undefined

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** There is a new connection, to a broker that wants to be told so often; `undefined`: not at all. */
  start(interval: unknown): void {
    this.stop()
    if (typeof interval !== 'number' || !Number.isFinite(interval)) return
    this.#tell()
    const ms = Math.min(LONGEST, Math.max(SHORTEST, interval))
    this.#timer = setInterval(() => this.#tell(), ms).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#told.clear()
  }

  /** Tells of what has changed. */
  #tell(): void {
    const rows: Row[] = []
    const gone = new Map(this.#told)
    for (const socket of this.#context.children) {
      if (!(socket instanceof ConatSocketBase)) continue
      const { id, topic: subject, role, state } = socket
      const { sent, received, pending, pendingBytes, resent } = socket.tally
      const row: Row = [role, id, subject, state, sent, received, pending, pendingBytes, resent]
      const [key, text] = [`${role} ${id}`, row.join(' ')]
      gone.delete(key)
      if (this.#told.get(key)?.text === text) continue
      this.#told.set(key, { text, end: role, id, subject })
      rows.push(row)
    }
    for (const [key, { end, id, subject }] of gone) {
      this.#told.delete(key)
      rows.push([end, id, subject, 'closed', 0, 0, 0, 0, 0])
    }
    for (let at = 0; at < rows.length; at += MAX_ROWS) {
      commands.tellSockets(this.#context.handle, JSON.stringify(rows.slice(at, at + MAX_ROWS)))
    }
  }
}
