// One budget for the memory of a broker, at each door: who holds more than a share is refused or cut off, and a
// watched neighbour is neither. The broker's bounds are small here, so that little traffic reaches them.
import { frameHead, PATIENCE_MS, type Raw, text } from './attacker'
import { arena, besiege, comeAll } from './siege'
import { DOORS, type Door, type Stranger } from './stranger'

const MIB = 1024 ** 2
const MAX_OF_ALL = 48 * MIB

jest.setTimeout(120_000)

// Growth: what is counted, what V8 and the allocator take beside it, and what they do not give back.
besiege(
  { maxMemoryBytes: MAX_OF_ALL, maxMemoryBytesPerConnection: 12 * MIB, maxSubscriptionsPerClient: 10_000 },
  200,
)

afterEach(async () => {
  expect(await settled()).toBeLessThan(4 * MIB)
})

/** What the broker counts once those who have gone are gone. */
async function settled(): Promise<number> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const { memoryBytes } = await arena.broker.ask('totals')
    if (memoryBytes < 4 * MIB || Date.now() > end) return memoryBytes
  }
}

/** Waits until as many as this were cut off. */
async function cutOff(raws: readonly Raw[], most: number): Promise<number> {
  const count = (): number => raws.filter(raw => raw.isGone).length
  for (const end = Date.now() + PATIENCE_MS; count() < most && Date.now() < end; ) {
    const open = raws.filter(raw => !raw.isGone)
    await Promise.race(open.map(raw => raw.isCutOff(2000)))
  }
  return count()
}

/** MessagePack of so many bytes. */
function bin(bytes: number): Buffer {
  const head = Buffer.from([0xc6, 0, 0, 0, 0])
  head.writeUInt32BE(bytes, 1)
  return Buffer.concat([head, Buffer.alloc(bytes)])
}

const held = async (): Promise<number> => (await arena.broker.ask('totals')).memoryBytes

describe.each(DOORS)('at the door %s', door => {
  test('connections that begin a large message and do not go on', async () => {
    const visitors = await comeAll(door, 16)
    for (const { raw } of visitors) {
      // What it has to drop is not heard; the connection's end is.
      raw.say(...begun(door, 7_000_000))
    }
    const gone = await cutOff(
      visitors.map(({ raw }) => raw),
      9,
    )
    expect(gone).toBeGreaterThanOrEqual(9)
    expect(gone).toBeLessThan(16)
    expect(await held()).toBeLessThanOrEqual(MAX_OF_ALL)
  })

  test('connections that subscribe and do not read', async () => {
    const [speaker, ...readers] = (await comeAll(door, 9)) as [Stranger, ...Stranger[]]
    for (const [n, reader] of readers.entries()) {
      await reader.subscribe([`unread.${door.length}.${n}`])
      reader.raw.socket.pause()
    }
    const payload = bin(500_000)
    for (let n = 0; n < 40; n++) {
      for (const [k] of readers.entries()) {
        await speaker.say(speaker.message({ subject: `unread.${door.length}.${k}`, payload }))
      }
    }
    expect(speaker.raw.isGone).toBe(false)
    expect(await held()).toBeLessThanOrEqual(MAX_OF_ALL)
    expect((await arena.broker.ask('totals')).slowConsumers).toBeGreaterThan(0)
  })

  test('those who wait for what others have read count for all of it', async () => {
    const [speaker, reader, ...holders] = (await comeAll(door, 12)) as [Stranger, Stranger, ...Stranger[]]
    const subjects = holders.map((_, n) => `shared.${door.length}.${n}`)
    await reader.subscribe(subjects)
    reader.raw.socket.removeAllListeners('data').resume()
    for (const [n, holder] of holders.entries()) {
      await holder.subscribe([subjects[n]!], 'holder')
      holder.raw.socket.pause()
    }
    for (const subject of subjects) {
      for (let n = 0; n < 18; n++) await speaker.say(speaker.message({ subject, payload: bin(500_000) }))
    }
    // Each 9 MB, of which half would be the reader's if it had not read.
    const { outbox } = await arena.broker.ask('totals')
    expect(outbox.bytes).toBeLessThanOrEqual(MAX_OF_ALL)
    expect(speaker.raw.isGone).toBe(false)
  })

  test('a broadcast for which many wait counts once', async () => {
    const [speaker, ...readers] = (await comeAll(door, 31)) as [Stranger, ...Stranger[]]
    const subject = `all.${door.length}`
    for (const [n, reader] of readers.entries()) {
      await reader.subscribe([subject], `queue-${n}`)
      reader.raw.socket.pause()
    }
    // Some of it is in the buffers of the kernel and of links.
    for (let n = 0; n < 500; n++) await speaker.say(speaker.message({ subject, payload: bin(20_000) }))
    const { memoryBytes, outbox } = await arena.broker.ask('totals')
    expect(outbox.bytes).toBeGreaterThan(MAX_OF_ALL)
    expect(memoryBytes).toBeLessThan(MAX_OF_ALL)
    expect(readers.filter(({ raw }) => raw.isGone)).toEqual([])
  })

  test('subscriptions, waits and begun messages are refused together, with 429', async () => {
    const visitors = await comeAll(door, 5)
    for (const [n, visitor] of visitors.entries()) {
      const names = (kind: string, count: number, bytes: number): string[] =>
        Array.from({ length: count }, (_, k) => `${kind}${n}.${k}.${'x'.repeat(bytes)}`)
      for (const part of chunked(names('sub', 6000, 1200), 100)) await visitor.subscribe(part)
      visitor.wait(names('wait', 500, 1500))
      await visitor.settles()
      const begin = (k: number) =>
        visitor.message({ subject: `nobody.${n}`, chunk: [`${'i'.repeat(900)}${k}`, 0, false] })
      await visitor.say(Buffer.concat(Array.from({ length: 900 }, (_, k) => begin(k))))
      expect(visitor.raw.isGone || visitor.raw.heard.includes('429')).toBe(true)
    }
    expect(await held()).toBeLessThanOrEqual(MAX_OF_ALL)
  })
})

test('half of a frame inside a WebSocket counts as well', async () => {
  const visitors = await comeAll('selvedge in a WebSocket', 4)
  const before = await held()
  for (const { raw } of visitors) raw.say(frameHead(2, 900_000), Buffer.alloc(800_000))
  const end = Date.now() + PATIENCE_MS
  while ((await held()) - before < 4 * 600_000 && Date.now() < end);
  expect((await held()) - before).toBeGreaterThan(4 * 600_000)
})

/** Most of a message of so many bytes. */
function begun(door: Door, bytes: number): Buffer[] {
  const most = Buffer.alloc(bytes - 100_000)
  if (door === 'conat') {
    const head = text('451-["publish",["a","m1",0,1,0,{"_placeholder":true,"num":0}]]')
    return [head, frameHead(2, bytes), most]
  }
  const length = Buffer.alloc(5)
  length.writeUInt32LE(bytes)
  length[4] = 1
  const all = Buffer.concat([length, most])
  if (door === 'selvedge') return [all]
  return chunks(all, 512 * 1024).flatMap(part => [frameHead(2, part.length), part])
}

const chunks = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size))

const chunked = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size))
