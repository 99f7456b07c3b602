// One room as a program looks at it: its members over all servers, and what happens to them.
import type { RoomEvents, RoomMember } from '../../index'
import { Emitter, HEARD, type Heard, ROOM_HEARD } from '../async/emitter'
import { invalidType } from '../values/errors'
import { type RoomNews, shown } from './follow-messages'
import { Following, isFollower } from './following'
import type { RoomHost } from './host'
import type { Entry, LeaveReason } from './table'

type After = RoomHost['after']

/** The sockets of a member. */
interface Places {
  readonly entries: Map<string, { readonly server: string; readonly entry: Entry; readonly away: boolean }>
  member: RoomMember
  /** Runs while its last socket has gone and its leave is not told yet. */
  leaving: ReturnType<After> | undefined
}

export class Room extends Emitter<RoomEvents> {
  static readonly [HEARD]: Heard = ROOM_HEARD
  readonly name: string
  readonly #places = new Map<string, Places>()
  readonly #members = new Map<string, RoomMember>()
  readonly #leaveDelay: number
  readonly #after: After

  constructor(name: string, leaveDelay: number, after: After) {
    super()
    this.name = name
    this.#leaveDelay = leaveDelay
    this.#after = after
  }

  /** By key. */
  get members(): ReadonlyMap<string, RoomMember> {
    return this.#members
  }

  /** Those who are told of everything. @internal */
  readonly followings = new Set<Following>()

  /** Tells a client who is in, and what changes, as long as it follows the room. Returns what ends that. */
  watch(socket: object): () => void {
    if (!isFollower(socket)) throw invalidType('socket', 'a socket of a server', socket)
    const following = new Following(this, socket)
    return () => following.close()
  }

  /** Takes over a socket's entry, new or changed. `away`: its server cannot be reached. @internal */
  handleEntry(server: string, entry: Entry, away: boolean): void {
    const at = `${server} ${entry.id}`
    let places = this.#places.get(entry.key)
    const isNew = places === undefined
    if (places === undefined) {
      places = { entries: new Map(), member: undefined as never, leaving: undefined }
      this.#places.set(entry.key, places)
    }
    places.leaving?.stop()
    places.leaving = undefined
    places.entries.set(at, { server, entry, away })
    this.#change(entry.key, places, isNew)
  }

  /** Removes a socket's entry. @internal */
  handleGone(server: string, entry: Entry, reason: LeaveReason): void {
    const places = this.#places.get(entry.key)
    if (!places?.entries.delete(`${server} ${entry.id}`)) return
    if (places.entries.size > 0) {
      this.#change(entry.key, places, false)
      return
    }
    if (this.#leaveDelay === 0) {
      this.#leave(entry.key, places, reason)
      return
    }
    places.member = { ...places.member, sockets: [], stale: true }
    this.#members.set(entry.key, places.member)
    this.#tell('update', places.member)
    places.leaving = this.#after(this.#leaveDelay, () => this.#leave(entry.key, places, reason))
  }

  /** Forgets everybody without a word. @internal */
  close(): void {
    for (const { leaving } of this.#places.values()) leaving?.stop()
    for (const following of this.followings) following.close()
    this.#places.clear()
    this.#members.clear()
  }

  #leave(key: string, places: Places, reason: LeaveReason): void {
    this.#places.delete(key)
    this.#members.delete(key)
    this.#follow(['leave', key, reason])
    this.emit('leave', places.member, reason)
  }

  #change(key: string, places: Places, isNew: boolean): void {
    const entries = [...places.entries.values()].sort((a, b) => a.entry.since - b.entry.since)
    const newest = entries[entries.length - 1]!
    const member: RoomMember = {
      key,
      data: newest.entry.data,
      ...(newest.entry.user !== undefined && { user: newest.entry.user }),
      sockets: entries.map(({ server, entry: { id, since } }) => ({ id, server, since })),
      stale: entries.every(({ entry, away }) => away || entry.stale),
    }
    places.member = member
    this.#members.set(key, member)
    this.#tell(isNew ? 'join' : 'update', member)
  }

  #tell(kind: 'join' | 'update', member: RoomMember): void {
    this.#follow([kind, shown(member)])
    this.emit(kind, member)
  }

  #follow(news: RoomNews): void {
    for (const following of this.followings) following.handleNews(news)
  }
}
