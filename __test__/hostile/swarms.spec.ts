// Floods of watches, of connects and of connections that come and go, by many connections, each within what one may: of one user,
// and each of another, beside a watched neighbour.
import { setTimeout as sleep } from 'node:timers/promises'
import { Arena } from './arena'
import { ownFrame, pour } from './attacker'
import { many } from './siege'
import { DOORS, type Door, name, Stranger, varint } from './stranger'

const CREW = 60
const SIEGE_MS = 1500
const MAX_GROWTH_MIB = 2600

jest.setTimeout(120_000)

/** A frame of watches of so many ends that nobody has. */
const watches = (k: number): Buffer =>
  ownFrame(
    7,
    Buffer.concat(many(500, n => Buffer.concat([varint(n * 2 + 1), name(`swarm.${k}.client.${n}`)]))),
  )

let arena: Arena
let server: string

beforeAll(async () => {
  arena = await Arena.open({ users: true, maxMemoryBytes: 2 ** 30 })
  server = await arena.victim.ask('server')
})

afterAll(async () => {
  if (process.env.HOSTILE_TABLE) console.info(arena.table())
  await arena.close()
})

describe.each([
  ['of one user', () => 'stranger'],
  ['of as many users', (k: number) => `stranger ${k}`],
] as const)('60 connections %s', (_, userOf) => {
  async function besiege(
    door: Door,
    words: (one: Stranger, k: number, round: number) => Buffer,
  ): Promise<void> {
    const come = (k: number): Promise<Stranger> => Stranger.come(door, arena.port, { 'X-User': userOf(k) })
    const crew = await Promise.all(many(CREW, come))
    try {
      for (const { raw } of crew) raw.ignore()
      await arena.neighbour.ask('latency')
      for (const [k, one] of crew.entries()) {
        let round = 0
        pour(one.raw, () => words(one, k, round++), 2 ** 18)
      }
      await sleep(SIEGE_MS)
      await arena.look(expect.getState().currentTestName!, MAX_GROWTH_MIB)
    } finally {
      for (const { raw } of crew) raw.end()
    }
  }

  test.each(['selvedge', 'selvedge in a WebSocket'] as const)('that watch ends, at the door %s', door =>
    besiege(door, (one, k) => one.framed(watches(k))),
  )

  test.each(DOORS)('that connect to a server, again and again under other ids, at the door %s', door =>
    besiege(door, (one, k, round) => {
      const connects = many(20, n => {
        const id = `swarm${k}x${round}x${n}`
        const subject = `victim.server.${server}.${id}`
        return one.message({ subject, command: 'connect', attempt: 1, headers: { id } })
      })
      return Buffer.concat(connects)
    }),
  )

  test.each(DOORS)('that come and go, at the door %s', async door => {
    await arena.neighbour.ask('latency')
    const end = Date.now() + SIEGE_MS
    const comeAndGo = async (k: number): Promise<void> => {
      while (Date.now() < end) {
        const one = await Stranger.come(door, arena.port, { 'X-User': userOf(k) })
        one.raw.end()
        await one.raw.gone
      }
    }
    await Promise.all(many(CREW, comeAndGo))
    await arena.look(expect.getState().currentTestName!, MAX_GROWTH_MIB)
  })
})
