// The server's side of following a room: everything is told as soon as the client asks and the program allows it, and each
// change from then on. A client that does not keep up is told everything anew when it does.
import type { RoomMember } from '../../index'
import { type RoomNews, shown } from './follow-messages'

/** Members in one message: at most 256 KiB of their data. */
const MEMBERS = 50

/** The socket of a client. */
export interface Follower {
  /** Tells it something, unless its window is full. */
  tryTell(room: string, news: RoomNews): boolean
  /** Calls back once when everything that it was told is handled. */
  onceDrained(callback: () => void): void
  /** Calls back when its client begins and ends to follow a room, at once if it does. Returns what ends that. */
  onFollow(room: string, listener: (isOn: boolean) => void): () => void
}

/** The room. */
export interface Followed {
  readonly name: string
  readonly members: ReadonlyMap<string, RoomMember>
  readonly followings: Set<Following>
}

export class Following {
  readonly #room: Followed
  readonly #follower: Follower
  readonly #off: () => void
  /** The keys whose members are still to be told, last first. */
  #left: string[] | undefined
  #isFirst = false
  #isWaiting = false
  /** Whether a change could not be told. */
  #isBehind = false

  constructor(room: Followed, follower: Follower) {
    this.#room = room
    this.#follower = follower
    this.#off = follower.onFollow(room.name, isOn => (isOn ? this.#begin() : this.#end()))
  }

  close(): void {
    this.#off()
    this.#end()
  }

  /** Something has happened in the room. */
  handleNews(news: RoomNews): void {
    if (!this.#isBehind) this.#isBehind = !this.#tell(news)
  }

  #begin(): void {
    this.#room.followings.add(this)
    this.#isBehind = false
    // Each member is told as it is when its turn comes: what changes meanwhile may be told before or behind it.
    this.#left = [...this.#room.members.keys()].reverse()
    this.#isFirst = true
    this.#tellRest()
  }

  #end(): void {
    this.#room.followings.delete(this)
    this.#left = undefined
  }

  #tellRest(): void {
    while (this.#left !== undefined) {
      const keys = this.#left.slice(-MEMBERS)
      const members = keys
        .reverse()
        .flatMap(key => this.#room.members.get(key) ?? [])
        .map(shown)
      const isLast = keys.length === this.#left.length
      if (!this.#tell(['members', members, this.#isFirst, isLast])) return
      this.#isFirst = false
      this.#left.length -= keys.length
      if (isLast) this.#left = undefined
    }
  }

  #tell(news: RoomNews): boolean {
    if (this.#follower.tryTell(this.#room.name, news)) return true
    if (!this.#isWaiting) {
      this.#isWaiting = true
      this.#follower.onceDrained(() => this.#handleDrained())
    }
    return false
  }

  #handleDrained(): void {
    this.#isWaiting = false
    if (!this.#room.followings.has(this)) return
    if (this.#isBehind) this.#begin()
    else this.#tellRest()
  }
}

export function isFollower(socket: unknown): socket is Follower {
  return typeof (socket as Partial<Follower> | null)?.onFollow === 'function'
}
