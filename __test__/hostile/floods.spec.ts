// A service that somebody floods with requests, and a server of sockets that several flood with messages for ends that do not exist,
// at each door: it is not cut off for it, nor are the sockets of its connection, and others are answered.
import { Arena } from './arena'
import { DOORS, Stranger, type Words } from './stranger'

const CREW = 10
const FLOOD_MS = 3000

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
    const answers: Promise<unknown>[] = []
    for (const end = Date.now() + FLOOD_MS; Date.now() < end; ) {
      for (const [k, { raw }] of crew.entries()) {
        if (raw.socket.writableLength < 2 ** 20) raw.say(flood[k]!)
      }
      if (answers.length < 20) answers.push(arena.victim.ask('request', { subject: 'honest.service' }))
      await new Promise(setImmediate)
    }
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['honest']))
    expect(await arena.broker.ask('totals')).toMatchObject({ slowConsumers: 0 })
    expect(await arena.victim.ask('own', { id })).toMatchObject({ closed: null })
    await arena.look(expect.getState().currentTestName!, 600)
  })
})
