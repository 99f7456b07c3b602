// A service that somebody floods with requests, and a server of sockets that several flood with messages for ends that do not exist,
// at each door: it is not cut off for it, nor are the sockets of its connection, and others are answered.
import { setTimeout as sleep } from 'node:timers/promises'
import { Arena } from './arena'
import { pour } from './attacker'
import { DOORS, Stranger, type Words } from './stranger'

const CREW = 10
const FLOOD_MS = 3000
const REQUESTS = 20

jest.setTimeout(60_000)

let arena: Arena
let crew: Stranger[] = []

beforeAll(async () => {
  arena = await Arena.open({ users: true })
})

afterAll(async () => {
  if (process.env.HOSTILE_TABLE) console.info(arena.table())
  await arena.close()
})

afterEach(() => {
  for (const { raw } of crew) raw.end()
  crew = []
})

const asked = { subject: 'honest.service', reply: '_INBOX.nobody.1' }
const ofOne = (): string => 'stranger'
const ofMany = (k: number): string => `stranger ${k}`
const unheard = (server: string): Words => ({ subject: `victim.server.${server}.nobody`, seq: 1 })

describe.each(DOORS)('at the door %s', door => {
  test.each([
    ['requests of one user', ofOne, () => asked],
    ['messages of many users for an end that does not exist', ofMany, unheard],
    [
      'connects of many users',
      ofMany,
      (server: string) => ({ ...unheard(server), command: 'connect' as const }),
    ],
  ])('%s', async (_, userOf, make) => {
    const words = make(await arena.victim.ask<string>('server'))
    const come = (k: number): Promise<Stranger> => Stranger.come(door, arena.port, { 'X-User': userOf(k) })
    crew = await Promise.all(Array.from({ length: CREW }, (_, k) => come(k)))
    for (const { raw } of crew) raw.ignore()
    const flood = crew.map(one => one.message(words, 2000))
    const id = await arena.victim.ask<string>('open')
    const stops = crew.map(({ raw }, k) => pour(raw, () => flood[k]!))
    const over = sleep(FLOOD_MS)
    // Each while the flood goes on, which does not end before the last one is answered.
    for (let n = 0; n < REQUESTS; n++) {
      expect(await arena.victim.ask('request', { subject: 'honest.service' })).toBe('honest')
    }
    await over
    for (const stop of stops) stop()
    expect(await arena.broker.ask('totals')).toMatchObject({ slowConsumers: 0 })
    expect(await arena.victim.ask('own', { id })).toMatchObject({ closed: null })
    await arena.look(expect.getState().currentTestName!, 600)
  })
})
