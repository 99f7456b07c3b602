// Accepted sockets that no listener of `connection` has received yet.
import type { EventEmitter } from 'node:events'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted } from '../values/throw-async'
import type { ServerSocket } from './server-socket'

/** Sockets that wait for a listener; a program that never listens must not collect them for ever. */
const MAX_HELD = 10_000

export class HeldConnections {
  readonly #server: EventEmitter<any>
  readonly #announce: (socket: ServerSocket) => void
  #held: ServerSocket[] = []

  /** `announce` emits a socket to the listeners of `server`. */
  constructor(server: EventEmitter<any>, announce: (socket: ServerSocket) => void) {
    this.#server = server
    this.#announce = announce
  }

  /** Emits a socket, or holds it until there is a listener. */
  push(socket: ServerSocket): void {
    if (this.#held.length === 0 && this.#isHeard) this.#announce(socket)
    else if (this.#held.length < MAX_HELD) this.#held.push(socket)
    else socket.close()
  }

  /** Emits what is held to a new listener, but not inside its registration. */
  flow(): void {
    if (this.#held.length > 0) nextTick(this.#release)
  }

  get #isHeard(): boolean {
    return this.#server.listenerCount('connection') > 0
  }

  #release = (): void => {
    clearInterruption()
    while (this.#isHeard) {
      const socket = this.#held.shift()
      if (socket === undefined) return
      if (socket.state !== 'closed') this.#announce(socket)
      if (!isInterrupted()) continue
      nextTurn(this.#release)
      return
    }
  }
}
