// Data that waits for a reader: it is kept as it came, which is as much as was sent, and decoded when it is read.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'
import type { AnySocket } from '../support/sockets'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
const MANY = 12
/** 50 kB on the wire, and megabytes as values. */
const BIG = Array.from({ length: 50_000 }, () => [])
const MOST_GROWN = 8 * 1024 * 1024

const heap = (): number => {
  gc()
  return process.memoryUsage().heapUsed
}

describeFabric('selvedge wire', 'data that nobody reads yet', fabric => {
  async function pair(): Promise<[here: AnySocket, there: AnySocket]> {
    const listener = fabric.client().socket.listen('held')
    const accepted = new Promise<AnySocket>(resolve => listener.on('connection', resolve))
    const here = fabric.client().socket.connect('held')
    return [here, await accepted]
  }

  /** Writes many, and resolves when all are there. Returns how much the heap has grown by them. */
  async function flood(here: AnySocket, there: AnySocket): Promise<number> {
    const before = heap()
    for (let n = 0; n < MANY; n++) here.write([n, BIG])
    await until(() => there.stats.received >= MANY)
    return heap() - before
  }

  test('of a paused socket takes what was sent, and is whole when it is read', async () => {
    const [here, there] = await pair()
    there.pause()
    const seen: unknown[] = []
    there.on('data', (data: [number, unknown[]]) => seen.push([data[0], data[1].length]))
    expect(await flood(here, there)).toBeLessThan(MOST_GROWN)
    expect(seen).toEqual([])
    there.resume()
    await until(() => seen.length >= MANY)
    expect(seen).toEqual(Array.from({ length: MANY }, (_, n) => [n, BIG.length]))
    here.close()
  })

  test('behind what a loop works on, too', async () => {
    const [here, there] = await pair()
    const loop = there[Symbol.asyncIterator]()
    const first = loop.next()
    expect(await flood(here, there)).toBeLessThan(MOST_GROWN)
    const seen = [(await first).value![0][0]]
    while (seen.length < MANY) seen.push((await loop.next()).value![0][0])
    expect(seen).toEqual(Array.from({ length: MANY }, (_, n) => n))
    await loop.return!()
    here.close()
  })
})
