// A server that is going to be drained: it pauses and resumes by itself, and notes what it has handled.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { connect } = require(fileURLToPath(new URL('../..', import.meta.url)))

export const below = bound => Math.floor(Math.random() * bound)
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

export class Host {
  #client
  #listener
  #handled = new Map()

  constructor(address, subject) {
    this.#client = connect({ address, noCache: true })
    this.#listener = this.#client.socket.listen(subject)
    this.#listener.on('connection', socket => {
      const mine = []
      this.#handled.set(socket.id, mine)
      if (below(3) > 0) this.#handle(socket, mine)
      else void this.#loop(socket, mine)
    })
  }

  async ready() {
    await this.#listener.waitUntilReady()
  }

  #handle(socket, mine) {
    socket.on('data', data => {
      mine.push(data)
      if (below(20) > 0) return
      socket.pause()
      setTimeout(() => socket.resume(), below(10))
    })
  }

  async #loop(socket, mine) {
    try {
      for await (const [data] of socket) {
        mine.push(data)
        if (below(10) === 0) await sleep(below(5))
      }
    } catch {
      // Told by `closed`.
    }
  }

  /** By its listener, or its client. Resolves with what was handled, by socket. */
  async drain() {
    const ways = [
      () => this.#listener.drain({ deadline: 400, spread: below(50) }),
      () => this.#client.drain({ deadline: 400, spread: 0 }),
    ]
    await ways[below(2)]()
    await this.#client.close()
    return Object.fromEntries(this.#handled)
  }
}
