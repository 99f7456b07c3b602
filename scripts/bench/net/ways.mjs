// The processes of each way, and how a client comes to a server through them. All of them are workers (worker.mjs).
import { Process } from '../process.mjs'
import { cpuOf, memoryOf } from '../usage.mjs'

/** `middle`: what stands between the server and the client, beginning at the server. */
const ways = {
  net: { api: 'node', middle: [] },
  proxy: { api: 'node', middle: ['proxy'] },
  'selvedge/net': { api: 'selvedge', hasBroker: true, middle: [] },
  'forward + expose': { api: 'node', hasBroker: true, middle: ['expose', 'forward'] },
}

export const wayNames = Object.keys(ways)

/** Runs `use(way)` between the start and the end of the processes. */
export async function withWay(name, options, use) {
  const way = new Way(ways[name])
  try {
    await way.start(options)
    return await use(way)
  } finally {
    await way.end()
  }
}

class Way {
  #kind
  #processes = {}

  constructor(kind) {
    this.#kind = kind
  }

  /** `extra`: where servers of others listen, by name. */
  async start({ extra = {} } = {}) {
    const { api, hasBroker, middle } = this.#kind
    const address = hasBroker ? (await this.#process('broker').do('broker')).address : undefined
    let { places } = await this.#process('server').do('serve', { api, address })
    Object.assign(places, extra)
    for (const role of middle) ({ places } = await this.#process(role).do(role, { places, address }))
    await this.#process('client').do('join', { api, address, places })
  }

  get server() {
    return this.#processes.server
  }

  get client() {
    return this.#processes.client
  }

  /** Milliseconds of CPU that all of its processes have used. */
  cpu() {
    return Object.values(this.#processes).reduce((sum, { pid }) => sum + cpuOf(pid), 0)
  }

  /** Resident bytes by role. */
  memory() {
    return Object.fromEntries(Object.entries(this.#processes).map(([role, { pid }]) => [role, memoryOf(pid)]))
  }

  async end() {
    await Promise.all(Object.values(this.#processes).map(process => process.end()))
  }

  #process(role) {
    const made = new Process('', [], './net/worker.mjs')
    this.#processes[role] = made
    return made
  }
}
