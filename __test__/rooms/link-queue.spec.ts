// What waits for the link to another server: in order, up to a bound, and counted where it is lost.
import { MessageData } from '../../lib/messaging/message'
import type { Link } from '../../lib/rooms/host'
import { LinkQueue, MAX_WAITING_BYTES, Said } from '../../lib/rooms/link-queue'
import type { PeerMessage } from '../../lib/rooms/messages'

/** A link with a window in messages and in bytes, which the test empties. */
class Window {
  readonly written: unknown[] = []
  readonly held: { data: unknown; size: number }[] = []
  state: 'ready' | 'closed' = 'ready'
  #writable: (() => void)[] = []
  #drained: (() => void)[] = []

  constructor(
    readonly messages: number,
    readonly bytes = Number.POSITIVE_INFINITY,
  ) {}

  get #used(): number {
    return this.held.reduce((sum, { size }) => sum + size, 0)
  }

  get #isWritable(): boolean {
    return this.held.length * 2 < this.messages && this.#used * 2 < this.bytes
  }

  write(given: unknown): boolean {
    if (this.state === 'closed') throw Object.assign(new Error('closed'), { code: 'EPIPE' })
    const data = given instanceof MessageData ? given.data : given
    const size = ((data as unknown[])[6] as Uint8Array | undefined)?.length ?? 1
    const isFull = this.held.length >= this.messages || this.#used + size > this.bytes
    if (this.held.length > 0 && isFull) throw Object.assign(new Error('full'), { code: 'ENOBUFS' })
    this.held.push({ data, size })
    this.written.push(data)
    return true
  }

  async waitUntilWritable(): Promise<void> {
    if (!this.#isWritable) await new Promise<void>(resolve => this.#writable.push(resolve))
    if (this.state === 'closed') throw new Error('closed')
  }

  async drain(): Promise<void> {
    if (this.held.length > 0) await new Promise<void>(resolve => this.#drained.push(resolve))
  }

  undelivered(): { data: unknown }[] {
    return this.held
  }

  /** The other side has handled so many. */
  async acknowledge(count: number): Promise<void> {
    this.held.splice(0, count)
    this.#tell()
    await new Promise(setImmediate)
  }

  async close(): Promise<void> {
    this.state = 'closed'
    this.#tell()
    await new Promise(setImmediate)
  }

  #tell(): void {
    if (this.#isWritable || this.state === 'closed') for (const resolve of this.#writable.splice(0)) resolve()
    if (this.held.length === 0 || this.state === 'closed')
      for (const resolve of this.#drained.splice(0)) resolve()
  }
}

function broadcast(number: number, bytes = 1, isVolatile = false): Said {
  const raw = new Uint8Array(bytes)
  const to = { rooms: ['a'], except: [], isVolatile, number, encoding: 1, raw, headers: null, ttl: undefined }
  return new Said({ kind: 'write', broadcast: to })
}

function numbers(written: readonly unknown[]): unknown[] {
  return written.map(data => (data as unknown[])[4])
}

/** A queue for such a link, and whether it was given up. */
function queueOf(window: Window, max = 100_000): { queue: LinkQueue; failures: boolean[] } {
  const failures: boolean[] = []
  const queue: LinkQueue = new LinkQueue(window as unknown as Link, max, isFull => {
    failures.push(isFull)
    queue.end()
  })
  return { queue, failures }
}

test('what finds no room waits, and leaves in order; nothing overtakes it', async () => {
  const window = new Window(10)
  const { queue, failures } = queueOf(window)
  for (let n = 0; n < 100; n++) queue.say(broadcast(n))
  expect(numbers(window.written)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const writable = jest.fn()
  void queue.waitUntilWritable().then(writable)
  for (let n = 100; n < 110; n++) {
    await window.acknowledge(7)
    queue.say(broadcast(n))
    queue.say(broadcast(1000 + n, 1, true))
  }
  expect(writable).not.toHaveBeenCalled()
  while (window.held.length > 0) await window.acknowledge(7)
  expect(writable).toHaveBeenCalled()
  expect(numbers(window.written)).toEqual(Array.from({ length: 110 }, (_, n) => n))
  expect([failures, queue.undelivered]).toEqual([[], 0])
})

test('a message waits as it was when it was said', async () => {
  const window = new Window(2)
  const { queue } = queueOf(window)
  const rows: [string, string, string, unknown, number, boolean][] = [['a', 'm', 'm', 'before', 1, false]]
  const table: PeerMessage = { kind: 'table', rows, isLast: true }
  for (let n = 0; n < 2; n++) queue.say(broadcast(n))
  queue.say(new Said(table))
  rows.length = 0
  await window.acknowledge(2)
  expect(window.written[2]).toEqual(['table', [['a', 'm', 'm', 'before', 1, false]], true])
})

test('one that takes more than is left of the window leaves when it has the window alone', async () => {
  const window = new Window(1000, 100)
  const { queue, failures } = queueOf(window)
  queue.say(broadcast(0, 20))
  queue.say(broadcast(1, 90))
  queue.say(broadcast(2, 300))
  queue.say(broadcast(3, 20))
  await new Promise(setImmediate)
  expect(numbers(window.written)).toEqual([0])
  for (const count of [2, 3, 4]) {
    await window.acknowledge(1)
    expect(window.written.length).toBe(count)
  }
  expect([numbers(window.written), failures]).toEqual([[0, 1, 2, 3], []])
})

test('beyond the bound of messages it is given up, and every broadcast that was lost is counted', async () => {
  const window = new Window(10)
  const { queue, failures } = queueOf(window, 50)
  for (let n = 0; n < 60; n++) queue.say(n % 2 === 0 ? broadcast(n) : new Said({ kind: 'unask', number: n }))
  expect(failures).toEqual([])
  queue.say(broadcast(60))
  expect(failures).toEqual([true])
  queue.say(broadcast(61))
  queue.say(broadcast(62, 1, true))
  await window.acknowledge(4)
  await window.close()
  // 0, 2 … 58, 60 and 61, of which two are handled.
  expect(queue.undelivered).toBe(30)
})

test('beyond the bound of bytes, too; a single one that has more waits', async () => {
  const window = new Window(1)
  const { queue, failures } = queueOf(window)
  const half = MAX_WAITING_BYTES / 2
  queue.say(broadcast(0))
  queue.say(broadcast(1, MAX_WAITING_BYTES + 1))
  expect(failures).toEqual([])
  await window.acknowledge(1)
  queue.say(broadcast(2, half - 1000))
  queue.say(broadcast(3, half - 1000))
  expect(failures).toEqual([])
  queue.say(broadcast(4, 3000))
  expect(failures).toEqual([true])
  await window.close()
  expect(queue.undelivered).toBe(4)
})

test('what waits for a link that ends is counted once', async () => {
  for (const isTold of [true, false]) {
    const window = new Window(10)
    const { queue, failures } = queueOf(window)
    for (let n = 0; n < 30; n++) queue.say(broadcast(n))
    await window.acknowledge(6)
    // The queue hears of it, or finds out.
    if (isTold) await window.close()
    else window.state = 'closed'
    queue.say(broadcast(30))
    queue.end()
    expect([queue.undelivered, failures]).toEqual([25, []])
  }
})
