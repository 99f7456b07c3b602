// An arena for the tests of a file: a broker under attack, a victim's server, and a neighbour who is looked at after each test.
import { Arena } from './arena'
import { joined, publish, Raw } from './attacker'
import { type Door, Stranger } from './stranger'

export let arena: Arena
let raws: Raw[] = []

export const many = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n))

/** Ends with the test. */
export const keep = (raw: Raw): Raw => {
  raws.push(raw)
  return raw
}
export const visit = async (kind: (port: number) => Promise<Raw>): Promise<Raw> =>
  keep(await kind(arena.port))
export const knock = (...parts: (string | Buffer)[]): Raw => keep(new Raw(arena.port).say(...parts))

/** A stranger with these fields in its head, who leaves with the test. */
export async function come(door: Door, fields: Record<string, string> = {}): Promise<Stranger> {
  const stranger = await Stranger.come(door, arena.port, fields)
  keep(stranger.raw)
  return stranger
}
export const comeAll = (door: Door, count: number): Promise<Stranger[]> =>
  Promise.all(many(count, () => come(door)))

/** Each is said on a connection of its own, which must be ended. */
export async function allEnd(
  kind: (port: number) => Promise<Raw>,
  inputs: [string, ...Buffer[]][],
): Promise<void> {
  const survivors: string[] = []
  for (const [name, ...parts] of inputs) {
    const raw = await visit(kind)
    raw.say(...parts)
    if (!(await raw.isCutOff())) survivors.push(name)
    raw.end()
  }
  expect(survivors).toEqual([])
}

/** What the victim's subscription to `plain.*` gets of a message that is published with these. */
export async function plain(payload: Buffer, headers = '', encoding = 0): Promise<[unknown, unknown][]> {
  // What an earlier row has left behind.
  await arena.victim.ask('plain')
  const raw = await visit(joined)
  const bytes = publish('plain.x', payload, headers, '5')
  raw.say(
    encoding === 0
      ? bytes
      : Buffer.from(bytes.toString('latin1').replace(',0,1,0,', `,0,1,${encoding},`), 'latin1'),
  )
  expect(await raw.hears('435[{"count":1}]')).toBe(true)
  for (;;) {
    const seen = await arena.victim.ask<[unknown, unknown][]>('plain')
    if (seen.length > 0) return seen
  }
}

/** Opens the arena for a file, with a broker of these options, and sees after each test that nobody in it was hurt. */
export function besiege(options: object = {}, maxGrowthMib?: number): void {
  beforeAll(async () => {
    arena = await Arena.open(options)
  }, 30_000)

  afterEach(async () => {
    try {
      await arena.look(expect.getState().currentTestName!, maxGrowthMib)
    } finally {
      for (const raw of raws) raw.end()
      raws = []
    }
  })

  afterAll(async () => {
    if (process.env.HOSTILE_TABLE) console.info(arena.table())
    const alive = [arena.broker, arena.neighbour, arena.victim].map(one => one.isAlive)
    await arena.close()
    expect(alive).toEqual([true, true, true])
  })
}
