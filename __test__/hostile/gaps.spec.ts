// Sockets of a stranger of which the first message never comes, and all that their windows take behind it: the listener keeps
// little of that, and others lose nothing.
import { HandMadeSocket } from './hand-made-socket'
import { arena, besiege, come } from './siege'
import { DOORS, packed } from './stranger'

const MIB = 1024 ** 2
const SOCKETS = 12
const BYTES = 100_000
/** For each socket. */
const MESSAGES = 140

jest.setTimeout(60_000)

besiege()

const rss = async (): Promise<number> => (await arena.victim.ask('report')).rss

test.each(DOORS)('sockets that begin with their second message, at the door %s', async door => {
  const stranger = await come(door)
  const ids = Array.from({ length: SOCKETS }, (_, n) => `gap-${DOORS.indexOf(door)}-${n}`)
  const server = await arena.victim.ask('server')
  const sockets = await HandMadeSocket.attach(stranger, 'victim', server, ids)
  const [before, payload] = [await rss(), packed(BYTES)]
  for (let seq = 2; seq < MESSAGES + 2; seq++) {
    for (const socket of sockets) socket.say(0, payload, seq)
    await stranger.settles()
  }
  await stranger.say(stranger.message({ subject: 'plain.last', payload: Buffer.from([7]) }))
  while ((await arena.victim.ask<unknown[]>('plain')).length === 0);
  // Half of 64 MiB, and what V8 and the allocator take beside it; 160 MiB were said.
  expect((await rss()) - before).toBeLessThan(80 * MIB)
  const honest = await arena.victim.ask<string>('open')
  await arena.victim.ask('sayLarge', { id: honest, bytes: 10 * MIB })
  expect((await arena.victim.ask('drained', { id: honest })).data[0]).toEqual({ bytes: 10 * MIB })
  // What was missing comes: all of it is asked for again, and nothing was lost but time.
  for (const { id } of sockets) expect((await arena.victim.ask('seen', { id })).closed).toBe(null)
  const [socket] = sockets
  for (let seq = 1; seq < MESSAGES + 2; seq++) socket!.say(0, payload, seq)
  for (;;) {
    const { data } = await arena.victim.ask('seen', { id: socket!.id })
    if (data.length < 2 * (MESSAGES + 1)) continue
    const whole = data.filter((_: unknown, n: number) => n % 2 === 0)
    expect(whole).toEqual(Array(MESSAGES + 1).fill({ bytes: BYTES - 5 }))
    break
  }
})
