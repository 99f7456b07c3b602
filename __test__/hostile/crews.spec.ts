// Many connections of one user, or of nobody at one address, which keep the broker as busy as they can with each other, beside a
// neighbour who is somebody else: together they have one share of its time.
import { setTimeout as sleep } from 'node:timers/promises'
import { Arena } from './arena'
import { pour } from './attacker'
import { many } from './siege'
import { DOORS, type Door, Stranger } from './stranger'

const CREW = 90
/** Long enough for many answers of the neighbour's. */
const SIEGE_MS = 1500
/** What the broker may hold for all, and what the process may grow by then (docs/reference/limits.md). */
const MAX_MEMORY_BYTES = 2 ** 30
const MAX_GROWTH_MIB = 2600

jest.setTimeout(120_000)

/** All patterns of so many tokens that match `a.a.…`. */
const patterns = (prefix: string, tokens: number): string[] =>
  many(2 ** tokens, n => [prefix, ...many(tokens, bit => ((n >> bit) & 1 ? '*' : 'a'))].join('.'))

interface Attack {
  /** What each does at first. */
  prepare(one: Stranger, k: number): Promise<unknown>
  /** What each says again and again. */
  words(one: Stranger, k: number): Buffer
}

const publish = (one: Stranger, subject: string, times: number): Buffer => one.message({ subject }, times)

const ATTACKS: readonly (readonly [string, Attack])[] = [
  [
    'publishes that fan out to the wildcards of each',
    {
      prepare: (one, k) => one.subscribe(patterns(`fan${k}`, 7), `q${k}`),
      words: (one, k) => publish(one, `fan${k}${'.a'.repeat(7)}`, 200),
    },
  ],
  [
    'publishes that fan out to all of them',
    {
      prepare: (one, k) => one.subscribe(patterns('all', 4), `q${k}`),
      words: one => publish(one, `all${'.a'.repeat(4)}`, 20),
    },
  ],
  [
    'subscriptions that come and go',
    {
      prepare: async () => {},
      words: (one, k) => one.churn(many(200, n => `churn${k}.*.${n}.>`)),
    },
  ],
  [
    'requests to each other',
    {
      prepare: (one, k) => one.subscribe([`asked${k}`, `inbox${k}.>`], `q${k}`),
      words: (one, k) => one.message({ subject: `asked${(k + 1) % CREW}`, reply: `inbox${k}.1` }, 2000),
    },
  ],
]

async function besiege(
  arena: Arena,
  door: Door,
  attack: Attack,
  fields: Record<string, string>,
  from?: string,
): Promise<void> {
  const crew = await Promise.all(many(CREW, () => Stranger.come(door, arena.port, fields, from)))
  try {
    await Promise.all(crew.map((one, k) => attack.prepare(one, k)))
    for (const { raw } of crew) raw.ignore()
    const words = crew.map((one, k) => attack.words(one, k))
    await arena.neighbour.ask('latency')
    for (const [k, { raw }] of crew.entries()) pour(raw, () => words[k]!, 2 ** 18)
    await sleep(SIEGE_MS)
    await arena.look(expect.getState().currentTestName!, MAX_GROWTH_MIB)
  } finally {
    for (const { raw } of crew) raw.end()
  }
}

describe.each([
  ['one user', { users: true }, { 'X-User': 'stranger' }, undefined, ATTACKS],
  [
    'one user, where isAllowed is asked',
    { users: true, asks: true },
    { 'X-User': 'stranger' },
    undefined,
    ATTACKS,
  ],
  ['nobody at another address', {}, {}, '127.0.0.2', ATTACKS.slice(1, 3)],
] as const)('%s', (_, options, fields, from, attacks) => {
  let arena: Arena

  beforeAll(async () => {
    arena = await Arena.open({ maxMemoryBytes: MAX_MEMORY_BYTES, ...options })
  })

  afterAll(async () => {
    if (process.env.HOSTILE_TABLE) console.info(arena.table())
    await arena.close()
  })

  describe.each(DOORS)('with 90 connections at the door %s', door => {
    test.each(attacks)('%s', (_, attack) => besiege(arena, door, attack, fields, from))
  })
})
