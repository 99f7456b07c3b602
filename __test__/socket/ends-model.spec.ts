// Ends of sockets, by seeds: whoever ends it, however it is read, what was written is handled or told, never both and never
// neither. LIB_SEEDS says how many.
import { once } from 'node:events'
import type { FabricError } from 'selvedge'
import { type Dice, dice } from '../support/dice'
import { describeFabrics } from '../support/fabrics'
import { type AnySocket, numbers, pair } from '../support/sockets'

const SEEDS = Number(process.env.LIB_SEEDS ?? 100)

const rest = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Reads in one of the ways, with pauses. Returns what is handled so far, and whether a loop has ended. */
function read(socket: AnySocket, chance: Dice): { handled: unknown[]; over: Promise<void> } {
  const handled: unknown[] = []
  const how = chance.below(4)
  const pauseAt = chance.below(40)
  const note = (data: unknown): void => {
    handled.push(data)
    if (data !== pauseAt) return
    socket.pause()
    setTimeout(() => socket.resume(), chance.below(10))
  }
  if (how === 0) {
    socket.on('data', note)
    return { handled, over: Promise.resolve() }
  }
  const over = (async () => {
    const source = how === 1 ? socket.iter() : socket
    try {
      for await (const [data] of source) {
        note(data)
        if (how === 3) await rest()
      }
    } catch (error) {
      expect((error as FabricError).code).toMatch(/^ERR_/)
    }
  })()
  return { handled, over }
}

describeFabrics('however a socket ends', fabric => {
  test(`${SEEDS} seeds: what was written is handled, or told as undelivered`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const chance = dice(seed)
      const { host, guest, listener, server, socket } = await pair(fabric)
      const { handled, over } = read(server, chance)
      const closed = Promise.all([once(socket, 'closed'), once(server, 'closed')])
      const count = 1 + chance.below(60)
      const settled: unknown[] = []
      for (const n of numbers(1, count)) {
        if (chance.below(4) > 0) socket.write(n)
        else {
          void socket.send(n).then(
            () => settled.push(n),
            () => {},
          )
        }
        if (chance.below(8) === 0) await rest()
      }
      for (let pauses = chance.below(4); pauses > 0; pauses--) await rest()
      const ends: (() => unknown)[] = [
        () => server.close(),
        () => server.end({ timeout: 300 }),
        () => listener.drain({ deadline: 300, spread: 0 }),
        () => listener.end({ timeout: 300 }),
        () => socket.end({ timeout: 2000 }),
        () => host.drain({ deadline: 300, spread: 0 }),
      ]
      await ends[chance.below(ends.length)]!()
      const [[, undelivered]] = await closed
      await over
      const left = socket.undelivered().map(({ data }) => data)
      expect({ seed, all: [...handled, ...left] }).toEqual({ seed, all: numbers(1, count) })
      expect(undelivered).toBe(left.length)
      for (const n of settled) expect(handled).toContain(n)
      await Promise.all([host.close(), guest.close()])
    }
  })
})
