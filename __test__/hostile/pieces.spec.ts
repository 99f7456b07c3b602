// Large messages to a listener that somebody does not finish: who writes others gets them through at once.
import { STALL_MS, stopwatch } from '../support/stall'
import { HandMadeSocket } from './hand-made-socket'
import { arena, besiege, come } from './siege'
import { DOORS, type Door } from './stranger'

const ROOM = 256 * 1024 * 1024

jest.setTimeout(60_000)

let timer: ReturnType<typeof setInterval> | undefined
let ids = 0

besiege()

afterEach(() => clearInterval(timer))

async function attach(door: Door, count: number): Promise<HandMadeSocket[]> {
  const stranger = await come(door)
  const names = Array.from({ length: count }, () => `hand-made-${++ids}`)
  return await HandMadeSocket.attach(stranger, 'victim', await arena.victim.ask('server'), names)
}

/** The longest that a large message of somebody else takes, of some in a row. */
async function slowest(bytes: number): Promise<number> {
  let worst = 0
  for (let n = 0; n < 8; n++) {
    const id = await arena.victim.ask<string>('open')
    const waited = stopwatch(arena.broker.pid, arena.victim.pid)
    await arena.victim.ask('sayLarge', { id, bytes })
    expect((await arena.victim.ask('drained', { id })).data[0]).toEqual({ bytes })
    worst = Math.max(worst, waited())
  }
  return worst
}

const open = async (sockets: HandMadeSocket[]): Promise<unknown[]> =>
  (await Promise.all(sockets.map(({ id }) => arena.victim.ask('seen', { id })))).map(({ closed }) => closed)

describe.each(DOORS)('at the door %s', door => {
  test.each([
    ['bytes come now and then', (socket: HandMadeSocket) => socket.go(1)],
    ['nothing but statuses comes', (socket: HandMadeSocket) => socket.want(ROOM)],
    ['nothing comes', () => {}],
  ])('a message of 256 MiB of which %s holds up no other', async (_, drip) => {
    const [socket] = await attach(door, 1)
    await socket!.begin(ROOM)
    timer = setInterval(() => drip(socket!), 100)
    expect(await slowest(1_000_000)).toBeLessThan(STALL_MS)
    expect(await open([socket!])).toEqual([null])
  })

  test('400 sockets that begin, ask for credit and do not use it hold up no other', async () => {
    const sockets = await attach(door, 400)
    for (const socket of sockets) await socket.begin(600_000, false)
    timer = setInterval(() => {
      for (const socket of sockets) socket.want(600_000)
    }, 300)
    expect(await slowest(1_000_000)).toBeLessThan(STALL_MS)
    expect(new Set(await open(sockets))).toEqual(new Set([null]))
  })
})
