// A service that somebody floods with requests, at each door: it is not cut off for it, nor are the sockets of its connection, and
// others are answered.
import { Arena } from './arena'
import { DOORS, type Door, Stranger } from './stranger'

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

test.each(DOORS)('at the door %s', async (door: Door) => {
  const fields = { 'X-User': 'stranger' }
  crew = await Promise.all(Array.from({ length: CREW }, () => Stranger.come(door, arena.port, fields)))
  for (const { raw } of crew) raw.ignore()
  const words = { subject: 'honest.service', reply: '_INBOX.nobody.1' }
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
