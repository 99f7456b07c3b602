// Which sockets of a server are in which rooms.
import { badOption } from '../errors'

/** @throws {PacketError} `"ERR_INVALID_ARG_TYPE"` it is no text: none at all would be everybody on other nodes */
export function checkRoom(room: unknown): void {
  if (typeof room !== 'string') throw badOption('room must be a text', 'ERR_INVALID_ARG_TYPE')
}

export class Rooms<S extends object> {
  readonly #members = new Map<string, Set<S>>()
  readonly #rooms = new Map<S, Set<string>>()

  join(socket: S, room: string): void {
    add(this.#members, room, socket)
    add(this.#rooms, socket, room)
  }

  leave(socket: S, room: string): void {
    remove(this.#members, room, socket)
    remove(this.#rooms, socket, room)
  }

  leaveAll(socket: S): void {
    for (const room of this.of(socket)) this.leave(socket, room)
  }

  of(socket: S): string[] {
    return [...(this.#rooms.get(socket) ?? [])]
  }

  in(room: string): S[] {
    return [...(this.#members.get(room) ?? [])]
  }
}

function add<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key)
  if (set === undefined) sets.set(key, new Set([value]))
  else set.add(value)
}

function remove<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key)
  set?.delete(value)
  if (set?.size === 0) sets.delete(key)
}
