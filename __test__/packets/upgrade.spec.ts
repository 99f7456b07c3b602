// A system of servers and clients is upgraded process by process while it works: from packets of an old version to those of a
// new one, its broker is replaced, and one server is killed. Whatever is lost, its sender was told.
import { describeFabric, type Fabric, type Kind } from '../support/fabrics'
import { Child } from './child'

/** What a client wrote down of one socket: numbers it posted, `sure` were accepted, the code that it was closed with. */
interface SocketJournal {
  first: number
  next: number
  sure: number
  by?: string
  closed?: string
}

interface Journal {
  sockets: SocketJournal[]
  answers: Record<string, number>
  told: Record<string, number>
  wrong: unknown[]
  broken: unknown[]
}

interface ServerReport {
  ticks: Record<number, number[]>
  rejected: Record<string, number>
  asked: Record<string, number>
  broken: unknown[]
}

type Age = 'old' | 'new'

/** The processes of a system, and what those that have left wrote down. */
class System {
  readonly #running = new Map<string, Child>()
  readonly servers: Record<string, ServerReport> = {}
  readonly clients: Record<number, Journal> = {}
  readonly killed: string[] = []

  constructor(readonly fabric: Fabric) {}

  async startServer(name: string, age: Age): Promise<void> {
    await this.#start(name, { age, name })
  }

  async startClient(number: number, age: Age): Promise<void> {
    await this.#start(String(number), { age, name: String(number), number })
  }

  async #start(name: string, options: object): Promise<void> {
    const child = await Child.start('upgrade.cjs')
    this.#running.set(name, child)
    await child.ask('start', { remote: this.fabric.remote, ...options })
  }

  /** Waits until each of these clients has had more answers of one of these servers. */
  async progress(clients: readonly number[], ...by: string[]): Promise<void> {
    await Promise.all(clients.map(number => this.#of(number).ask('progress', { answers: 30, by })))
  }

  async leave(name: string | number): Promise<void> {
    const child = this.#of(name)
    const told = await child.ask('leave')
    if (typeof name === 'number') this.clients[name] = told
    else this.servers[name] = told
    await child.stop()
    this.#running.delete(String(name))
  }

  async kill(name: string): Promise<void> {
    const child = this.#of(name)
    this.servers[name] = await child.ask('report')
    this.killed.push(name)
    child.signal('SIGKILL')
    await child.exited
    this.#running.delete(name)
  }

  /** Ends what a test that failed has left. */
  async close(): Promise<void> {
    for (const child of this.#running.values()) {
      child.signal('SIGKILL')
      await child.exited
    }
  }

  #of(name: string | number): Child {
    return this.#running.get(String(name))!
  }
}

function checkNothingIsLostUntold({ servers, clients, killed }: System): void {
  for (const [number, { sockets }] of Object.entries(clients)) {
    const seen = new Map<number, number>()
    for (const { ticks } of Object.values(servers)) {
      for (const n of ticks[Number(number)] ?? []) seen.set(n, (seen.get(n) ?? 0) + 1)
    }
    expect([...seen.values()].filter(times => times > 1)).toEqual([])
    for (const { first, next, sure, by, closed } of sockets) {
      const missing = Array.from({ length: next - first }, (_, i) => first + i).filter(n => !seen.has(n))
      // What a killed process had accepted is known to nobody.
      if (killed.includes(by!)) continue
      expect(missing.filter(n => n < sure)).toEqual([])
      if (closed === undefined) expect(missing).toEqual([])
    }
  }
}

const KINDS: readonly Kind[] = ['conat wire', 'selvedge wire', 'nats', 'gateways']

for (const kind of KINDS) {
  describeFabric(kind, 'old and new processes', fabric => {
    let system: System
    beforeEach(() => {
      system = new System(fabric)
    })
    afterEach(() => system.close())

    test('are upgraded one after the other while they work: nothing is lost that nobody is told of', async () => {
      await system.startServer('a', 'old')
      await system.startServer('b', 'old')
      await system.startClient(1, 'old')
      await system.startClient(2, 'old')
      await system.progress([1, 2], 'a', 'b')

      // A new client is served by old servers.
      await system.startClient(3, 'new')
      await system.leave(1)
      await system.progress([2, 3], 'a', 'b')
      // One server leaves, the other is killed: an old client is served by new ones.
      await system.startServer('c', 'new')
      await system.leave('a')
      await system.progress([2, 3], 'b', 'c')
      await system.startServer('d', 'new')
      await system.kill('b')
      await system.progress([2, 3], 'c', 'd')
      await fabric.replaceBroker()
      await system.progress([2, 3], 'c', 'd')
      await system.startClient(4, 'new')
      await system.leave(2)
      await system.progress([3, 4], 'c', 'd')
      for (const name of [3, 4, 'c', 'd']) await system.leave(name)

      checkNothingIsLostUntold(system)
      const { clients, servers } = system
      for (const { told, wrong, broken, sockets } of Object.values(clients)) {
        expect([wrong, broken]).toEqual([[], []])
        // Besides the ends of their servers clients were told of nothing, but for what old servers do not have.
        const { ERR_PACKET_CLOSED: _, ERR_PACKET_UNSUPPORTED: __, ...others } = told
        expect(others).toEqual({})
        for (const { closed } of sockets.slice(0, -1)) expect(closed).toMatch(/^ERR_SOCKET_/)
        // Who leaves by itself leaves nothing behind.
        expect(sockets.at(-1)!.closed).toBeUndefined()
      }
      for (const { broken, asked } of Object.values(servers)) {
        const { answered: _, ERR_PACKET_CLOSED: __, ...others } = asked
        expect([broken, others]).toEqual([[], {}])
      }
      // Both have met the other version: a new key is seen only where both know it, other names shift the ids of all.
      expect(Object.keys(clients[3]!.answers)).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^[ab], undefined$/),
          expect.stringMatching(/^[cd], north$/),
          'extra',
        ]),
      )
      expect(clients[3]!.told).toHaveProperty('ERR_PACKET_UNSUPPORTED')
      expect(Object.keys(clients[2]!.answers)).toContainEqual(expect.stringMatching(/^[cd], undefined$/))
      expect({ ...servers.c!.rejected, ...servers.d!.rejected }).toEqual({
        'ERR_PACKET_UNSUPPORTED Gone': expect.any(Number),
      })
    }, 240_000)
  })
}
