// Who is in which room, of the sockets of one server.

/** One socket in one room. */
export interface Entry {
  /** The socket's id. */
  readonly id: string
  /** Sockets with one key are one member. */
  readonly key: string
  readonly data: unknown
  /** When it joined, in ms since 1970. */
  readonly since: number
  /** Whether the socket is away. */
  readonly stale: boolean
  /** Who connected it, by the word of the broker; nothing if nobody vouches, or it is long. */
  readonly user: unknown
  /** What it takes, about, in bytes. */
  readonly size: number
}

/** Why a member is not in any more. */
export type LeaveReason = 'left' | 'closed' | 'server-left' | 'server-lost'

const NOBODY: ReadonlyMap<string, never> = new Map<string, never>()
const NOWHERE: ReadonlySet<string> = new Set()

export class Table<E extends Entry = Entry> {
  readonly #rooms = new Map<string, Map<string, E>>()
  readonly #bySocket = new Map<string, Set<string>>()
  #size = 0
  #bytes = 0

  /** The number of entries. */
  get size(): number {
    return this.#size
  }

  /** What the entries take, about. */
  get bytes(): number {
    return this.#bytes
  }

  get rooms(): Iterable<string> {
    return this.#rooms.keys()
  }

  get roomCount(): number {
    return this.#rooms.size
  }

  /** The entries of a room, by the id of the socket. */
  of(room: string): ReadonlyMap<string, E> {
    return this.#rooms.get(room) ?? NOBODY
  }

  /** The rooms of a socket. */
  roomsOf(id: string): ReadonlySet<string> {
    return this.#bySocket.get(id) ?? NOWHERE
  }

  /** Adds or replaces an entry. Returns the one before. */
  set(room: string, entry: E): E | undefined {
    let entries = this.#rooms.get(room)
    if (entries === undefined) {
      entries = new Map()
      this.#rooms.set(room, entries)
    }
    const before = entries.get(entry.id)
    entries.set(entry.id, entry)
    this.#bytes += entry.size - (before?.size ?? 0)
    if (before !== undefined) return before
    this.#size += 1
    const rooms = this.#bySocket.get(entry.id)
    if (rooms === undefined) this.#bySocket.set(entry.id, new Set([room]))
    else rooms.add(room)
    return undefined
  }

  /** Removes an entry, and returns it. */
  delete(room: string, id: string): E | undefined {
    const entries = this.#rooms.get(room)
    const entry = entries?.get(id)
    if (entries === undefined || entry === undefined) return undefined
    entries.delete(id)
    if (entries.size === 0) this.#rooms.delete(room)
    this.#size -= 1
    this.#bytes -= entry.size
    const rooms = this.#bySocket.get(id)
    rooms?.delete(room)
    if (rooms?.size === 0) this.#bySocket.delete(id)
    return entry
  }

  *[Symbol.iterator](): Iterator<[room: string, entry: E]> {
    for (const [room, entries] of this.#rooms) for (const entry of entries.values()) yield [room, entry]
  }
}
