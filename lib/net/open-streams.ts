// The streams of a bridge that have not closed yet, of both its sides: one may have bytes to pass on when the other is gone.
import { Socket as TcpSocket } from 'node:net'
import type { Duplex } from 'node:stream'
import { cutOff } from './joining'
import { Socket } from './socket'

export class OpenStreams {
  readonly #streams = new Set<Duplex>()
  #waiting: (() => void)[] = []

  add(stream: Duplex): void {
    if (stream.closed) return
    this.#streams.add(stream)
    stream.once('close', () => this.#delete(stream))
  }

  cutOff(): void {
    for (const stream of [...this.#streams]) {
      cutOff(stream)
      // A stream of the program may tell nobody that it has closed.
      if (!(stream instanceof TcpSocket) && !(stream instanceof Socket)) this.#delete(stream)
    }
  }

  /** Resolves when there is none. */
  async whenEmpty(): Promise<void> {
    if (this.#streams.size > 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  #delete(stream: Duplex): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
