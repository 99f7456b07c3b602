// What an end of ours must manage with an end of theirs that is difficult: one that loses, repeats, is late or falls silent.
import { once } from 'node:events'
import { type Pair, type Socket, until } from './parties'
import type { Channel } from './peers/channel'
import { numbers, type Open } from './scenarios'

/** Who is whose. */
export interface Sides {
  theirs: 'server' | 'client'
  ours: 'server' | 'client'
}

interface Ends {
  pair: Pair
  theirs: Channel
  ours: Socket
}

async function openEnds(open: Open, sides: Sides, theirs: object, ours: object = {}): Promise<Ends> {
  const pair = await open({ [sides.theirs]: theirs, [sides.ours]: ours })
  return { pair, theirs: pair[sides.theirs] as unknown as Channel, ours: pair[sides.ours] }
}

export async function loseMessages(open: Open, sides: Sides): Promise<void> {
  const isLost = (seq: number) => seq % 7 === 3 || seq === 20
  const { pair, theirs, ours } = await openEnds(open, sides, { loses: isLost, misses: isLost })
  for (const i of numbers(1, 61)) {
    ours.write(i, { headers: { i } })
    theirs.write(i, { headers: { i } })
  }
  for (const side of ['server', 'client'] as const) {
    expect(await pair.received[side].until(60)).toEqual(numbers(1, 61))
    expect(pair.received[side].headers).toEqual(numbers(1, 61).map(i => ({ i })))
  }
  const lost = expect.arrayContaining(numbers(1, 61).filter(isLost))
  expect(theirs.seen.asks).toEqual(lost)
  expect(theirs.seen.askedFor).toEqual(lost)
}

export async function loseThousands(open: Open, sides: Sides): Promise<void> {
  const isLost = (seq: number) => seq > 1 && seq < 2500
  const window = { maxQueueSize: 5000 }
  const { pair, theirs } = await openEnds(open, sides, { loses: isLost, ...window }, window)
  for (const i of numbers(1, 2501)) theirs.write(i)
  expect(await pair.received[sides.ours].until(2500)).toEqual(numbers(1, 2501))
  // In numeric order: sorted as strings, 10 would come before 2. A late answer may make it ask for some of them twice.
  expect(theirs.seen.unsortedAsks).toBe(0)
  expect(new Set(theirs.seen.askedFor)).toEqual(new Set(numbers(2, 2500)))
  expect(theirs.seen.longestAsk).toBeLessThanOrEqual(1000)
}

export async function repeatMessages(open: Open, sides: Sides): Promise<void> {
  const { pair, theirs } = await openEnds(open, sides, { repeats: true })
  for (const i of numbers(0, 100)) theirs.write(i)
  await theirs.drain()
  theirs.write('end')
  expect(await pair.received[sides.ours].until(101)).toEqual([...numbers(0, 100), 'end'])
}

export async function reportLate(open: Open, sides: Sides): Promise<void> {
  const { pair, theirs, ours } = await openEnds(open, sides, { holdsReports: true }, { maxQueueSize: 20 })
  for (const i of numbers(0, 20)) ours.write(i)
  expect(() => ours.write('too much')).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
  await pair.received[sides.theirs].until(20)
  expect(() => ours.write('too much')).toThrow('WRITE FAILED: socket buffer size 20 exceeded')
  const drained = once(ours, 'drain')
  theirs.releaseReports()
  await drained
  ours.write('more')
  expect(await pair.received[sides.theirs].until(21)).toEqual([...numbers(0, 20), 'more'])
}

export async function emptyTheirWindow(open: Open, sides: Sides): Promise<void> {
  const { pair, theirs } = await openEnds(open, sides, { maxQueueSize: 20 })
  for (let i = 0; i < 200; i += 20) {
    const drained = once(theirs, 'drain')
    for (const n of numbers(i, i + 20)) theirs.write(n)
    await drained
  }
  expect(pair.received[sides.ours].data).toEqual(numbers(0, 200))
  // Cumulative: at most as many as theirs would be, and never backwards.
  const { reports } = theirs.seen
  expect(reports).toEqual([...reports].sort((a, b) => a - b))
  expect(reports.length).toBeLessThanOrEqual(200)
}

export async function fallSilent(open: Open, sides: Sides): Promise<void> {
  const quick = { keepAlive: 100, keepAliveTimeout: 100 }
  const { pair, theirs, ours } = await openEnds(open, sides, {}, quick)
  theirs.isMute = true
  if (sides.ours === 'server') {
    await until(ours, 'closed')
    theirs.isMute = false
    // Its server has forgotten it, and says so.
    theirs.write('hello?')
    await until(theirs, 'closed')
    return
  }
  await until(ours, 'disconnected')
  ours.write('still here')
  theirs.isMute = false
  await until(ours, 'ready')
  expect(await pair.received[sides.theirs].until(1)).toEqual(['still here'])
}

export async function keepAlive(open: Open, sides: Sides): Promise<void> {
  const { theirs, ours } = await openEnds(
    open,
    sides,
    { keepAlive: 50, keepAliveTimeout: 1000 },
    { keepAlive: 50 },
  )
  const states: string[] = []
  for (const end of [theirs, ours]) {
    for (const state of ['disconnected', 'closed']) end.on(state, () => states.push(state))
  }
  // Quiet but for keep-alive: our pings arrive, theirs are answered.
  for (const _ of numbers(0, 3)) await once(theirs, 'ping')
  expect(states).toEqual([])
}
