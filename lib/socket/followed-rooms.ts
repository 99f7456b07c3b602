// The rooms that the client of a server's socket follows, and who wants to know of it.
import { MAX_ROOMS } from '../rooms/options'

type Listener = (isOn: boolean) => void

export class FollowedRooms {
  readonly #rooms = new Set<string>()
  readonly #listeners = new Map<string, Set<Listener>>()

  /** The client follows a room, or does not any more. */
  handleFollow(room: string, isOn: boolean): void {
    if (isOn && this.#rooms.size >= MAX_ROOMS) return
    if (isOn) this.#rooms.add(room)
    else this.#rooms.delete(room)
    for (const listener of this.#listeners.get(room) ?? []) listener(isOn)
  }

  on(room: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(room)
    if (listeners === undefined) {
      listeners = new Set()
      this.#listeners.set(room, listeners)
    }
    listeners.add(listener)
    if (this.#rooms.has(room)) listener(true)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(room)
    }
  }

  /** The socket is closed. */
  close(): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener(false)
    this.#listeners.clear()
    this.#rooms.clear()
  }
}
