// A loop over the connections of a socket server.
import { AsyncQueue } from '../async/async-queue'
import type { Failure } from '../values/failure'
import type { ServerSocket } from './server-socket'

export class ConnectionIterator implements AsyncIterableIterator<ServerSocket, undefined> {
  readonly #waiting = new AsyncQueue<ServerSocket>()
  readonly #handleLeft: () => void

  /** `handleLeft` is called when the loop is left. */
  constructor(handleLeft: () => void) {
    this.#handleLeft = handleLeft
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Resolves with the next one that is still open. Rejects once if the server has not ended in order. */
  async next(): Promise<IteratorResult<ServerSocket, undefined>> {
    let result = await this.#waiting.next()
    while (!result.done && result.value.state === 'closed') result = await this.#waiting.next()
    return result
  }

  /** Leaves the loop. */
  async return(): Promise<IteratorResult<ServerSocket, undefined>> {
    this.#handleLeft()
    this.#waiting.end()
    // What it has not taken is another's, or closed.
    this.takeAll()
    return { value: undefined, done: true }
  }

  /** Adds one, unless so many wait. Returns whether it did. @internal */
  push(socket: ServerSocket, max: number): boolean {
    if (this.#waiting.length >= max) return false
    this.#waiting.push(socket)
    return true
  }

  /** Whether somebody waits for the next one. @internal */
  get isWaiting(): boolean {
    return this.#waiting.isAwaited
  }

  /** Takes what waits. @internal */
  takeAll(): ServerSocket[] {
    const all: ServerSocket[] = []
    for (let socket = this.#waiting.take(); socket !== undefined; socket = this.#waiting.take())
      all.push(socket)
    return all
  }

  /** @internal */
  end(failure: Failure | undefined): void {
    this.#waiting.end(failure)
  }
}
