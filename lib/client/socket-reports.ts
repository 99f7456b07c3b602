// What a client tells its broker of its sockets, for whoever looks into the broker: only to a broker that asks for it.
import * as commands from '../engine/commands'
import type { ClientContext } from '../messaging/client-context'
import { ConatSocketBase } from '../socket/base'

/** Of one operation: the broker takes no more. */
const MAX_ROWS = 1000
/** Milliseconds between two reports, whatever a broker asks for. */
const [SHORTEST, LONGEST] = [500, 3_600_000]

/** Milliseconds within which changes of states are told, together. */
const SOON = 250

type Row = readonly (string | number)[]

export class SocketReports {
  readonly #context: ClientContext
  /** What was told last, by end and id. */
  readonly #told = new Map<string, { text: string; end: string; id: string; subject: string }>()
  /** Those with another state than they were told with, perhaps. */
  readonly #changed = new Set<object>()
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** There is a new connection, to a broker that wants to be told so often; `undefined`: not at all. */
  start(interval: unknown): void {
    this.stop()
    if (typeof interval !== 'number' || !Number.isFinite(interval)) return
    this.#tellAll()
    const ms = Math.min(LONGEST, Math.max(SHORTEST, interval))
    this.#timer = setInterval(() => this.#tellAll(), ms).unref()
    this.#context.onSocketState = this.#handleState
  }

  stop(): void {
    this.#context.onSocketState = undefined
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    this.#timer = undefined
    this.#soon = undefined
    this.#told.clear()
    this.#changed.clear()
  }

  /** Those whose state it is soon: many change together, as after a reconnect. */
  readonly #handleState = (socket: object): void => {
    this.#changed.add(socket)
    this.#soon ??= setTimeout(() => this.#tellChanged(), SOON).unref()
  }

  #tellChanged(): void {
    this.#soon = undefined
    const changed = [...this.#changed]
    this.#changed.clear()
    this.#tell(changed)
  }

  /** Tells of what has changed, and of what is gone. */
  #tellAll(): void {
    const gone = new Map(this.#told)
    for (const socket of this.#context.children) {
      if (socket instanceof ConatSocketBase) gone.delete(keyOf(socket))
    }
    for (const key of gone.keys()) this.#told.delete(key)
    const ends = [...gone.values()].map(({ end, id, subject }): Row => closed(end, id, subject))
    this.#tell(this.#context.children, ends)
  }

  #tell(sockets: Iterable<object>, rows: Row[] = []): void {
    for (const socket of sockets) {
      const row = socket instanceof ConatSocketBase ? this.#rowOf(socket) : undefined
      if (row !== undefined) rows.push(row)
    }
    for (let at = 0; at < rows.length; at += MAX_ROWS) {
      commands.tellSockets(this.#context.handle, JSON.stringify(rows.slice(at, at + MAX_ROWS)))
    }
  }

  /** Returns what is new of a socket, and notes that it is told. */
  #rowOf(socket: ConatSocketBase): Row | undefined {
    const { id, topic: subject, role, state } = socket
    const key = keyOf(socket)
    if (state === 'closed') return this.#told.delete(key) ? closed(role, id, subject) : undefined
    const { sent, received, pending, pendingBytes, resent } = socket.tally
    const row: Row = [role, id, subject, state, sent, received, pending, pendingBytes, resent]
    const text = row.join(' ')
    if (this.#told.get(key)?.text === text) return undefined
    this.#told.set(key, { text, end: role, id, subject })
    return row
  }
}

function keyOf({ role, id }: ConatSocketBase): string {
  return `${role} ${id}`
}

function closed(end: string, id: string, subject: string): Row {
  return [end, id, subject, 'closed', 0, 0, 0, 0, 0]
}
