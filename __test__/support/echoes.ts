// Sockets to a server that echoes, while what is between them is killed and started again.
import type { Client, ConatSocketClient } from 'selvedge'
import { numbers } from './sockets'

/** Options of a client that finds a server again at once. */
export const EAGER = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 } as const

/** Listens on `echo`, and writes back what comes. */
export function echo(host: Client): void {
  const listener = host.socket.listen('echo')
  listener.on('connection', socket => socket.on('data', data => socket.write(data)))
}

/** Sockets that all write the same, and what comes back. */
export class Echoes {
  readonly expected: unknown[] = []
  readonly #closed: unknown[] = []
  readonly #sockets: readonly ConatSocketClient[]
  readonly #got: unknown[][]
  #wake = (): void => {}

  constructor(sockets: readonly ConatSocketClient[]) {
    this.#sockets = sockets
    this.#got = sockets.map(socket => {
      socket.on('closed', reason => this.#closed.push(reason))
      const got: unknown[] = []
      socket.on('data', data => {
        got.push(data)
        this.#wake()
      })
      return got
    })
  }

  async ready(): Promise<void> {
    await Promise.all(this.#sockets.map(socket => socket.waitUntilReady()))
  }

  /** Writes what is to be echoed. */
  write(...data: unknown[]): void {
    for (const socket of this.#sockets) for (const one of data) socket.write(one)
    this.expected.push(...data)
  }

  /** Writes a batch of numbers; the first of it have come back, and the rest is under way. */
  async begin(round: number, size: number): Promise<void> {
    const before = this.expected.length
    this.write(...numbers(round * size, (round + 1) * size - 1))
    await this.#reach(before + 1)
  }

  /** Waits until every socket has at least as much as was written. */
  whole(): Promise<void> {
    return this.#reach(this.expected.length)
  }

  /** Nothing is lost, nothing has come twice, in order, and none has closed. */
  check(): void {
    for (const got of this.#got) expect(got).toEqual(this.expected)
    expect(this.#closed).toEqual([])
    expect(this.#sockets.map(socket => socket.state)).toEqual(this.#sockets.map(() => 'ready'))
  }

  #reach(count: number): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        if (this.#got.every(got => got.length >= count)) resolve()
      }
      this.#wake()
    })
  }
}
