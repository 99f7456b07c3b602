// A socket that renews itself, by seeds: servers that come, handle some, and go in every way. What was written is handled at
// least once, its first handlings in order; or it is told when the socket ends. LIB_SEEDS says how many.
import { once } from 'node:events'
import type { Client, ConatSocketServer, FabricError } from 'selvedge'
import { type Dice, dice } from '../support/dice'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { listening, numbers } from '../support/sockets'

const SEEDS = Number(process.env.LIB_SEEDS ?? 12)

jest.setTimeout(120_000)

const rest = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** All servers, and what they were given. */
class Servers {
  readonly handled: number[] = []
  readonly asked: string[] = []
  readonly #fabric: Fabric
  readonly #chance: Dice
  #number = 0
  readonly #hosts: Client[] = []
  #present: { host: Client; listener: ConatSocketServer } | undefined

  constructor(fabric: Fabric, chance: Dice) {
    this.#fabric = fabric
    this.#chance = chance
  }

  /** A server that pauses after some, answers some requests, and may go by itself. `isLast`: it does all. */
  async open(isLast: boolean): Promise<void> {
    const host = this.#fabric.client()
    const listener = await listening(host, 'model', { id: `s${++this.#number}` })
    this.#hosts.push(host)
    this.#present = { host, listener }
    // Handlers are called when it happens: they do not share the chance of the rest.
    const answers = dice(this.#chance.below(1000))
    const most = isLast ? Number.POSITIVE_INFINITY : this.#chance.below(12)
    listener.on('connection', socket => {
      let count = 0
      socket.on('data', data => {
        this.handled.push(data as number)
        count += 1
        if (count > most) socket.pause()
      })
      socket.on('request', message => {
        this.asked.push(message.data)
        if (isLast || answers.below(3) > 0) message.respondSync(message.data)
      })
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#hosts.map(host => host.close()))
  }

  async replace(isLast: boolean): Promise<void> {
    const { host, listener } = this.#present!
    const isOverlap = this.#chance.below(2) === 0
    if (isOverlap) await this.open(isLast)
    const ways: (() => unknown)[] = [
      () => listener.close(),
      () => host.close(),
      () => listener.drain({ deadline: 100, spread: 0 }),
      () => listener.end({ timeout: 50 }).catch(() => {}),
      () => host.drain({ deadline: 100, spread: 0 }),
      () => host.disconnect(),
    ]
    await ways[this.#chance.below(ways.length)]!()
    if (!isOverlap) await this.open(isLast)
  }
}

describeFabrics('a renewing socket, whatever its servers do', fabric => {
  test(`${SEEDS} seeds: all is handled in order, at least once, or told`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const chance = dice(seed)
      const servers = new Servers(fabric, chance)
      await servers.open(false)
      const client = fabric.client()
      const socket = client.socket.connect('model', {
        renew: true,
        maxQueueSize: 40,
        keepAlive: 50,
        keepAliveTimeout: 100,
        resumeTimeout: 20,
        ...(chance.below(3) === 0 ? { id: 'chosen' } : {}),
      })
      const settled: number[] = []
      const answers: Promise<void>[] = []
      const answered: string[] = []
      let written = 0
      const gone = once(socket, 'closed')
      for (let round = 2 + chance.below(3); round >= 0; round--) {
        for (let steps = chance.below(15); steps > 0; steps--) {
          const n = written + 1
          try {
            if (chance.below(3) > 0) socket.write(n)
            else {
              const sent = socket.send(n).then(
                () => settled.push(n),
                () => {},
              )
              answers.push(sent.then(() => {}))
              // It throws in its promise.
              if (socket.stats.sent < n) continue
            }
            written = n
          } catch (error) {
            expect((error as FabricError).code).toBe('ENOBUFS')
          }
          if (chance.below(6) === 0) {
            const question = `${seed}/${answers.length}`
            const asked = socket.request(question, { timeout: 10_000 })
            answers.push(
              asked.then(
                ({ data }) => void answered.push(data as string),
                (error: FabricError) => expect(error.code).toBe('EPIPE'),
              ),
            )
          }
          if (chance.below(5) === 0) await rest()
        }
        if (round > 0) await servers.replace(round === 1)
      }
      const how = chance.below(3)
      if (how === 0) await socket.end()
      else if (how === 1) {
        await socket.drain()
        socket.close()
      } else socket.close()
      const [, undelivered] = await gone
      await Promise.all(answers)
      const firsts = [...new Set(servers.handled)]
      const left = socket.undelivered().map(({ data }) => data as number)
      // What was handled is a beginning of what was written, in order; the rest is told (and what was not acknowledged in time).
      expect({ seed, firsts }).toEqual({ seed, firsts: numbers(1, firsts.length) })
      expect({ seed, all: [...new Set([...firsts, ...left])] }).toEqual({ seed, all: numbers(1, written) })
      expect(undelivered).toBe(left.length)
      if (how < 2) expect({ seed, left }).toEqual({ seed, left: [] })
      for (const n of settled) expect(firsts).toContain(n)
      // Never at two servers, and never without having been asked.
      expect(new Set(servers.asked).size).toBe(servers.asked.length)
      for (const answer of answered) expect(servers.asked).toContain(answer)
      await Promise.all([client.close(), servers.close()])
    }
  })
})
