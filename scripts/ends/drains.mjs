// Drains at random moments, of servers in other processes that pause and resume by themselves: what was written is handled, or
// undelivered, and never both.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { below, sleep } from './host.mjs'

const require = createRequire(import.meta.url)
const { connect } = require(fileURLToPath(new URL('../..', import.meta.url)))

/** Servers of one process. The last two end with it, by a SIGTERM. */
const SERVERS = 10

/** The clients of one server, which write until its drain is over. */
class Guests {
  #client
  #sockets
  #written
  #gone
  #writing

  constructor(address, subject) {
    this.#client = connect({ address, noCache: true })
    this.#sockets = Array.from({ length: 1 + below(4) }, () => this.#client.socket.connect(subject))
    this.#written = this.#sockets.map(() => 0)
    this.#gone = this.#sockets.map(socket => once(socket, 'closed'))
  }

  async ready() {
    await Promise.all(this.#sockets.map(socket => socket.waitUntilReady()))
    this.#writing = this.#sockets.map((socket, at) => this.#write(socket, at))
  }

  async #write(socket, at) {
    while (socket.state !== 'closed') {
      for (let burst = below(30); burst > 0 && socket.state !== 'closed'; burst--) {
        try {
          socket.write(this.#written[at] + 1)
          this.#written[at] += 1
        } catch (error) {
          if (error.code !== 'ENOBUFS' && error.code !== 'EPIPE') throw error
        }
      }
      await sleep(below(3))
    }
  }

  /** Waits until all are closed. Returns those of which something is missing, or there twice. */
  async judge(handled) {
    await Promise.all(this.#gone)
    await Promise.all(this.#writing)
    const wrong = this.#sockets.flatMap((socket, at) => {
      const written = this.#written[at]
      const all = [...(handled[socket.id] ?? []), ...socket.undelivered().map(({ data }) => data)]
      return all.length === written && all.every((data, i) => data === i + 1) ? [] : [{ written, all }]
    })
    await this.#client.close()
    return { wrong, written: this.#written.reduce((sum, count) => sum + count, 0) }
  }
}

async function drainAll(address, start, name, count) {
  const host = await start('drained', { address, name, count })
  const drain = async (numbers, begin) => {
    const guests = numbers.map(n => new Guests(address, `${name}.${n}`))
    await Promise.all(guests.map(each => each.ready()))
    await sleep(below(60))
    begin()
    const judge = async (n, at) => {
      const { handled } = await host.hear('drained', message => message.n === n)
      return guests[at].judge(handled)
    }
    return Promise.all(numbers.map(judge))
  }
  const numbers = Array.from({ length: count }, (_, n) => n)
  const results = []
  for (const n of numbers.slice(0, -2)) results.push(...(await drain([n], () => host.process.send(n))))
  results.push(...(await drain(numbers.slice(-2), () => host.process.kill('SIGTERM'))))
  await host.exited
  return results
}

export async function drains(address, start, count, check) {
  const results = []
  for (let begun = 0; begun < count; begun += SERVERS) {
    const servers = Math.min(SERVERS, count - begun)
    results.push(...(await drainAll(address, start, `drain.${begun}`, servers)))
  }
  const wrong = results.flatMap(result => result.wrong)
  const written = results.reduce((sum, result) => sum + result.written, 0)
  check(
    wrong.length === 0 && results.length === count,
    `${results.length} drains, ${written} messages: ${wrong.length} not exact ${JSON.stringify(wrong.slice(0, 1)).slice(0, 300)}`,
  )
}
