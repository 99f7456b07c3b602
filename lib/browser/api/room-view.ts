// A room as a page follows it, by what its server tells over a socket: as lib/rooms/room-view.ts.
import type { RoomMember, RoomViewEvents } from '../../../index'
import { FabricError, invalidValue } from '../../values/errors'
import { Emitter } from './emitter'
import { ClientSocket } from './socket'

const MAX_MEMBERS = 100_000

export class RoomView extends Emitter<RoomViewEvents> {
  readonly name: string
  readonly members = new Map<string, RoomMember>()
  readonly #socket: ClientSocket
  /** Those that were told since everything began to be told. */
  #told = new Set<string>()

  constructor(socket: ClientSocket, name: string) {
    super()
    this.#socket = socket
    this.name = name
  }

  close(): void {
    const { name } = this
    const socket = this.#socket
    if (socket.views.get(name) !== this) return
    socket.views.delete(name)
    try {
      socket.sayFollows(name, false)
    } catch {
      // It is closed, or has no room: what is told of the room is passed over.
    }
  }

  /** @internal */
  handleNews(news: unknown): void {
    const [kind, what, second, isLast] = news as [string, never, never, boolean]
    if (kind === 'leave') this.#remove(what, second)
    else if (kind !== 'members') this.#put(what)
    else {
      if (second) this.#told.clear()
      for (const member of what as RoomMember[]) this.#put(member)
      if (isLast) {
        for (const key of this.members.keys()) if (!this.#told.has(key)) this.#remove(key, 'left')
        this.emit('sync')
      }
    }
    if (this.members.size > MAX_MEMBERS) this.#socket.close()
  }

  #put(member: RoomMember): void {
    const { key } = member
    const before = this.members.get(key)
    this.#told.add(key)
    this.members.set(key, member)
    if (before === undefined) this.emit('join', member)
    else if (JSON.stringify(before) !== JSON.stringify(member)) this.emit('update', member)
  }

  #remove(key: string, reason: RoomViewEvents['leave'][1]): void {
    const member = this.members.get(key)
    this.#told.delete(key)
    if (member === undefined) return
    this.members.delete(key)
    this.emit('leave', member, reason)
  }
}

export function watchRoom(socket: object, room: string): RoomView {
  if (!(socket instanceof ClientSocket) || typeof room !== 'string' || room === '') {
    throw invalidValue('room', 'a socket and the name of a room', room)
  }
  let view = socket.views.get(room) as RoomView | undefined
  if (view === undefined) {
    if (socket.ended) throw new FabricError('the socket is closed', 'ERR_CLOSED')
    socket.sayFollows(room, true)
    view = new RoomView(socket, room)
    socket.views.set(room, view)
  }
  return view
}
