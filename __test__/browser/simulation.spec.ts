// Two ends of a stream over a network that loses, doubles, delays and reorders, and is cut and comes back; on virtual time, from
// a seed. Whatever happens, each message arrives once and in order, and nothing is left when it is calm again.
// LIB_SEEDS says how many seeds, LIB_SEED which first.
import { NIL } from '../../lib/browser/socket/greeting'
import { SendQueue } from '../../lib/browser/stream/send-queue'
import { Stream, type StreamHost } from '../../lib/browser/stream/stream'
import { ownWindows } from '../../lib/browser/stream/windows'
import { Writer } from '../../lib/browser/wire/bytes'
import type { Fields, Item } from '../../lib/browser/wire/publication'

/** An end keeps less out of order than the other one sends at once. */
const SETTINGS = { maxQueueSize: 4, maxQueueBytes: 100_000, keepAlive: 45_000, keepAliveTimeout: 30_000 }
const WINDOW = { messages: 40, bytes: 100_000 }
const [WRITES, CALM_AT, END] = [150, 60_000, 200_000]

/** A generator that is the same for the same seed. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const dataOf = (n: number): Item => ({ ...NIL, raw: new Writer(8).u32(n).finish() })
const numberOf = ({ raw }: Item): number => new DataView(raw.buffer, raw.byteOffset).getUint32(0, true)

class World {
  now = 0
  readonly random: () => number
  #events: { at: number; order: number; run: () => void }[] = []
  #order = 0
  /** Delays, losses and doubles happen before this time. */
  get isCalm(): boolean {
    return this.now >= CALM_AT
  }

  constructor(seed: number) {
    this.random = dice(seed)
  }

  after(ms: number, run: () => void): void {
    this.#events.push({ at: this.now + ms, order: this.#order++, run })
  }

  run(until: number, looked: () => number, handle: () => void): void {
    for (;;) {
      this.#events.sort((a, b) => a.at - b.at || a.order - b.order)
      const next = Math.min(this.#events[0]?.at ?? Number.POSITIVE_INFINITY, looked())
      if (next > until) return
      this.now = Math.max(this.now, next)
      const due = this.#events[0]
      if (due !== undefined && due.at <= this.now) {
        this.#events.shift()
        due.run()
      }
      handle()
    }
  }
}

class End implements StreamHost {
  readonly sender = new SendQueue(WINDOW)
  readonly stream: Stream
  readonly got: number[] = []
  written = 0
  peer!: End
  isCut = false

  constructor(
    readonly world: World,
    tags: { own: number; peer: number },
  ) {
    this.sender.windows = ownWindows(SETTINGS.maxQueueSize, SETTINGS.maxQueueBytes)
    this.stream = new Stream(this, this.sender, SETTINGS, tags)
  }

  transmit(fields: Fields, items: Item[]): void {
    const { world, peer } = this
    const isLost = this.isCut || peer.isCut || (!world.isCalm && world.random() < 0.1)
    const copies = isLost ? 0 : !world.isCalm && world.random() < 0.1 ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const delay = world.isCalm ? 5 : world.random() < 0.1 ? world.random() * 3000 : world.random() * 50
      world.after(delay, () => {
        if (peer.isCut) return
        peer.stream.handleItems(world.now, fields, items)
      })
    }
  }

  deliver(item: Item): boolean {
    // Some handlers are slow.
    const handle = (): void => {
      this.got.push(numberOf(item))
      this.stream.handleConsumed(0)
    }
    if (this.#waiting === 0 && this.world.random() < 0.7) handle()
    else {
      this.#waiting += 1
      this.#later.push(handle)
      this.world.after(this.world.random() * 200, () => {
        this.#waiting -= 1
        this.#later.shift()?.()
      })
    }
    return true
  }
  #waiting = 0
  readonly #later: (() => void)[] = []

  handleAcked(): void {}

  write(): void {
    if (this.written >= WRITES || !this.sender.hasRoom(4)) return
    this.sender.write(dataOf(this.written++))
  }
}

const [SEEDS, FIRST] = [Number(process.env.LIB_SEEDS ?? 15), Number(process.env.LIB_SEED ?? 1)]

test(`everything arrives once and in order, ${SEEDS} seeds`, () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new World(seed)
    const [a, b] = [new End(world, { own: 1, peer: 2 }), new End(world, { own: 2, peer: 1 })]
    a.peer = b
    b.peer = a
    for (const end of [a, b]) end.stream.attach(0)
    const write = (): void => {
      for (const end of [a, b]) for (let n = world.random() * 30; n > 0; n--) end.write()
      if (a.written < WRITES || b.written < WRITES) world.after(world.random() * 400, write)
    }
    write()
    const cut = (): void => {
      if (world.isCalm) return
      a.isCut = true
      a.stream.detach()
      b.stream.detach()
      world.after(world.random() * 3000, () => {
        a.isCut = false
        // As a `connect` that resumes and its answer do: each says what it has.
        const [ours, theirs] = [a.stream.attachStatus(), b.stream.attachStatus()]
        for (const end of [a, b]) end.stream.attach(world.now)
        b.stream.handleAttachStatus(world.now, ours.seq, ours.item)
        a.stream.handleAttachStatus(world.now, theirs.seq, theirs.item)
        world.after(world.random() * 20_000, cut)
      })
    }
    world.after(world.random() * 5000, cut)
    const ends = [a, b]
    world.run(
      END,
      () => Math.min(...ends.map(({ stream }) => stream.pollTimeout())),
      () => {
        for (const { stream } of ends) {
          if (stream.pollTimeout() <= world.now) stream.handleTimeout(world.now)
          stream.pump(world.now)
        }
      },
    )
    const all = Array.from({ length: WRITES }, (_, n) => n)
    expect([seed, a.got, b.got]).toEqual([seed, all, all])
    expect(
      ends.map(({ sender }) => [sender.unacked, sender.isUnderWay, sender.takeUndelivered().length]),
    ).toEqual([
      [0, false, 0],
      [0, false, 0],
    ])
  }
})

test('silence is told once: a socket that closes waits for something else, and is not woken by it again and again', () => {
  const end = new End(new World(1), { own: 1, peer: 2 })
  end.isCut = true
  end.peer = end
  end.stream.attach(0)
  let told = 0
  for (let turn = 0; turn < 100; turn++) {
    const at = end.stream.pollTimeout()
    if (at === Number.POSITIVE_INFINITY) break
    if (end.stream.handleTimeout(at)) told += 1
    end.stream.pump(at)
  }
  expect([told, end.stream.pollTimeout()]).toEqual([1, Number.POSITIVE_INFINITY])
})
