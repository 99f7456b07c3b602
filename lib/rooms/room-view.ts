// A room as a client follows it: what its server tells of who is in.
import type { RoomMember, RoomViewEvents } from '../../index'
import { Emitter, HEARD, type Heard, VIEW_HEARD } from '../async/emitter'
import { throwAsync } from '../values/throw-async'
import { newsIn } from './follow-messages'
import { MAX_ENTRIES } from './options'
import type { LeaveReason } from './table'

/** The socket that it comes over. */
export interface ViewOwner {
  /** It is not followed any more. */
  endView(view: RoomView): void
  /** The server has more members than there can be. */
  handleFlood(): void
}

export class RoomView extends Emitter<RoomViewEvents> {
  static readonly [HEARD]: Heard = VIEW_HEARD
  readonly name: string
  readonly #owner: ViewOwner
  readonly #members = new Map<string, RoomMember>()
  /** Those that were told since everything began to be told; nothing when it is all told. */
  #told: Set<string> | undefined

  /** @internal */
  constructor(owner: ViewOwner, name: string) {
    super()
    this.#owner = owner
    this.name = name
  }

  get members(): ReadonlyMap<string, RoomMember> {
    return this.#members
  }

  close(): void {
    this.#owner.endView(this)
  }

  /** Takes what the server tells. @internal */
  handleNews(data: unknown): void {
    const news = newsIn(data)
    if (news === undefined) return
    if (news[0] === 'leave') this.#remove(news[1], news[2])
    else if (news[0] !== 'members') this.#put(news[1])
    else {
      const [, members, isFirst, isLast] = news
      if (isFirst) this.#told = new Set()
      for (const member of members) this.#put(member)
      if (isLast) this.#handleAll()
    }
    if (this.#members.size > MAX_ENTRIES) this.#owner.handleFlood()
  }

  /** The socket is closed: nobody can be reached over it. @internal */
  handleEnd(): void {
    for (const member of [...this.#members.values()]) {
      try {
        this.#put({ ...member, stale: true })
      } catch (error) {
        throwAsync(error)
      }
    }
  }

  #handleAll(): void {
    const told = this.#told
    this.#told = undefined
    for (const key of [...this.#members.keys()]) if (!told?.has(key)) this.#remove(key, 'left')
    this.emit('sync')
  }

  #put(member: RoomMember): void {
    const { key } = member
    const before = this.#members.get(key)
    this.#told?.add(key)
    this.#members.set(key, member)
    if (before === undefined) this.emit('join', member)
    else if (JSON.stringify(before) !== JSON.stringify(member)) this.emit('update', member)
  }

  #remove(key: string, reason: LeaveReason): void {
    const member = this.#members.get(key)
    this.#told?.delete(key)
    if (this.#members.delete(key)) this.emit('leave', member!, reason)
  }
}
