// Accepted sockets on their way to the program: to listeners of `connection`, to loops, or held until there is one.
import type { EventEmitter } from 'node:events'
import type { Failure } from '../values/failure'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted } from '../values/throw-async'
import { ConnectionIterator } from './connection-iterator'
import { isOrderly } from './lifecycle'
import type { ServerSocket } from './server-socket'

/** Sockets that wait for a listener or a loop; a program that never listens must not collect them for ever. */
const MAX_HELD = 10_000

/** The server that they are of. */
// biome-ignore lint/suspicious/noExplicitAny: whatever events it has
interface Owner extends EventEmitter<any> {
  /** Emits a socket to the listeners of `connection`. */
  announce(socket: ServerSocket): void
  /** Called when the last loop was left, and nobody listens otherwise. */
  handleLeft(): void
}

export class HeldConnections {
  readonly #owner: Owner
  #held: ServerSocket[] = []
  readonly #loops = new Set<ConnectionIterator>()
  /** Nobody takes any more. */
  #isOver = false

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** Hands a socket out, or holds it. */
  push(socket: ServerSocket): void {
    if (this.#isOver) {
      socket.close()
      return
    }
    let isTaken = false
    for (const loop of this.#loops) if (loop.push(socket, MAX_HELD)) isTaken = true
    if (this.#held.length === 0 && this.#isHeard) this.#owner.announce(socket)
    else if (!isTaken) this.#hold(socket)
  }

  /** Emits what is held to a new listener, but not inside its registration. */
  flow(): void {
    if (this.#held.length > 0) nextTick(this.#release)
  }

  /** Takes back the sockets that wait for a listener or a loop. */
  recall(): ServerSocket[] {
    return this.#held.splice(0)
  }

  /** Starts a loop, which gets what is held and what comes. */
  iterate(): ConnectionIterator {
    const loop = new ConnectionIterator(() => this.#leave(loop))
    for (const socket of this.#held.splice(0)) loop.push(socket, MAX_HELD)
    this.#loops.add(loop)
    return loop
  }

  /** Ends the loops behind what they have not taken, and fails them if the server has not ended in order. */
  end(reason: Failure | undefined): void {
    const failure = reason === undefined || isOrderly(reason) ? undefined : reason
    for (const loop of this.#loops) loop.end(failure)
    this.#loops.clear()
  }

  /** Fails the loops that wait. The server stays, and holds what comes for the next one. */
  strand(failure: Failure): void {
    for (const loop of this.#loops) {
      if (!loop.isWaiting) continue
      this.#loops.delete(loop)
      loop.end(failure)
    }
  }

  get #isHeard(): boolean {
    return this.#owner.listenerCount('connection') > 0
  }

  #hold(socket: ServerSocket): void {
    if (this.#held.length < MAX_HELD) this.#held.push(socket)
    else socket.close()
  }

  #leave(loop: ConnectionIterator): void {
    if (!this.#loops.delete(loop) || this.#loops.size > 0 || this.#isHeard) return
    this.#isOver = true
    for (const socket of loop.takeAll()) socket.close()
    this.#owner.handleLeft()
  }

  #release = (): void => {
    clearInterruption()
    while (this.#isHeard) {
      const socket = this.#held.shift()
      if (socket === undefined) return
      if (socket.state !== 'closed') this.#owner.announce(socket)
      if (!isInterrupted()) continue
      nextTurn(this.#release)
      return
    }
  }
}
