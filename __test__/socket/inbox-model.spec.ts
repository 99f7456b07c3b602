// What arrives at a socket, against a model: readers that come and go, pause, and ends, by seeds. LIB_SEEDS says how many.
import { type Dice, dice } from '../support/dice'

type Pair = [data: number, headers: object]

interface Iterator {
  next(): Promise<IteratorResult<Pair, undefined>>
  return(): Promise<unknown>
}

interface TestedInbox {
  push(data: number, headers: object): void
  pause(): void
  resume(): void
  flow(): void
  iterate(isEager: boolean): Iterator
  retire(failure: object): void
  beginEnd(): void
  shut(): void
  end(failure?: object): void
}

interface Sink {
  hasListeners(): boolean
  emitData(data: number): void
  handleConsumed(): void
}

const { Inbox } = require('../../dist/socket/inbox.js') as { Inbox: new (sink: Sink) => TestedInbox }
/** What pages have: a message is an item that is decoded. */
const browser = require('../../dist/browser/api/inbox.js') as { Inbox: new (sink: object) => object }

type Make = (sink: Sink) => Pick<TestedInbox, 'push' | 'pause' | 'resume' | 'flow' | 'iterate' | 'end'>

const MAKERS: Readonly<Record<string, Make>> = {
  'of Node.js': sink => new Inbox(sink),
  'of pages': sink => {
    const inbox = new browser.Inbox({
      ...sink,
      decode: (item: number) => [item, {}],
      emitData: ([data]: Pair) => sink.emitData(data),
    }) as TestedInbox & { isPaused: boolean }
    return Object.assign(inbox, { pause: () => void (inbox.isPaused = true) })
  },
}
const { Failure } = require('../../dist/values/failure.js') as {
  Failure: new (code: string, message: string) => object
}

const SEEDS = Number(process.env.LIB_SEEDS ?? 200)
const STEPS = 60

/** One run. The model is a list: what was handed over, in order, and how much of it counts as handled. */
class Run {
  readonly #dice: Dice
  readonly #handed: number[] = []
  #pushed = 0
  #consumed = 0
  #isListening = false
  #isPaused = false
  #isShut = false
  /** The handed number at the time of the shut: nothing follows. */
  #last = 0
  #iterator: Iterator | undefined
  /** Iterators that nobody reads any more, and nobody has left. */
  #forgotten = 0
  #isEager = false
  #inHand = 0
  #open = 0
  readonly #inbox = new Inbox({
    hasListeners: () => this.#isListening,
    emitData: data => {
      // Counted before it is called, unless a forgotten iterator has it.
      if (this.#forgotten === 0) expect(this.#consumed).toBeGreaterThanOrEqual(data)
      this.#hand(data)
    },
    handleConsumed: () => {
      this.#consumed += 1
    },
  })

  constructor(seed: number) {
    this.#dice = dice(seed)
  }

  async play(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      await this.#step()
      if (this.#dice.below(3) === 0) await settle()
      this.#check()
    }
    await this.#finish()
  }

  async #step(): Promise<void> {
    switch (this.#dice.below(12)) {
      case 0:
        this.#inbox.pause()
        this.#isPaused = true
        break
      case 1:
        this.#isPaused = false
        this.#inbox.resume()
        break
      case 2:
        if (this.#iterator !== undefined) break
        this.#isListening = !this.#isListening
        if (this.#isListening) this.#inbox.flow()
        break
      case 3:
        if (this.#iterator !== undefined || this.#isListening) break
        this.#isEager = this.#dice.below(2) === 0
        this.#iterator = this.#inbox.iterate(this.#isEager)
        break
      case 4:
        if (this.#iterator === undefined || this.#open > 0) break
        await this.#iterator.return()
        this.#iterator = undefined
        this.#inHand = 0
        break
      case 5:
      case 6:
        this.#pull()
        break
      case 7:
        if (this.#iterator === undefined || this.#open > 0 || this.#dice.below(2) === 0) break
        this.#forgotten += 1
        this.#iterator = undefined
        break
      case 8:
        // A stream takes over.
        if (this.#open > 0 || this.#dice.below(2) === 0) break
        this.#inbox.retire(new Failure('ERR_SOCKET_TAKEN', 'taken'))
        this.#iterator = undefined
        this.#inHand = this.#forgotten = 0
        expect(this.#consumed).toBe(this.#handed.length)
        break
      default:
        this.#inbox.push(++this.#pushed, {})
    }
  }

  #pull(): void {
    if (this.#iterator === undefined || this.#open > 0) return
    this.#open += 1
    this.#inHand = 0
    void this.#iterator.next().then(
      ({ value }) => {
        this.#open -= 1
        if (value === undefined) return
        this.#hand(value[0])
        if (!this.#isEager) this.#inHand = 1
      },
      () => {
        this.#open -= 1
      },
    )
  }

  #hand(data: number): void {
    expect(this.#isShut).toBe(false)
    this.#handed.push(data)
    // In order, each once, none left out.
    expect(data).toBe(this.#handed.length)
  }

  /** What counts as handled was handed over, and all of it but what a loop is at. */
  #check(): void {
    expect(this.#consumed).toBeLessThanOrEqual(this.#pushed)
    expect(this.#handed.length).toBeLessThanOrEqual(this.#pushed)
  }

  async #finish(): Promise<void> {
    await settle()
    if (this.#forgotten > 0) expect(this.#consumed).toBeLessThanOrEqual(this.#handed.length)
    else expect(this.#consumed).toBe(this.#handed.length - this.#inHand)
    if (!this.#isPaused && this.#isListening) expect(this.#handed.length).toBe(this.#pushed)
    const isDrain = this.#dice.below(2) === 0
    if (isDrain) this.#inbox.shut()
    this.#inbox.beginEnd()
    if (!isDrain) this.#inbox.shut()
    this.#isShut = true
    this.#last = this.#handed.length
    // The close says this number: everything that was handed over.
    expect(this.#consumed).toBe(this.#last)
    this.#inbox.push(++this.#pushed, {})
    this.#inbox.resume()
    this.#inbox.flow()
    await settle()
    const isLost = this.#dice.below(2) === 0
    this.#inbox.end(isLost ? new Failure('ERR_SOCKET_LOST', 'lost') : undefined)
    await settle()
    expect([this.#consumed, this.#handed.length]).toEqual([this.#last, this.#last])
    expect(this.#open).toBe(0)
    const later = this.#inbox.iterate(false).next()
    if (isLost) await expect(later).rejects.toMatchObject({ code: 'ERR_SOCKET_LOST' })
    else expect(await later).toEqual({ value: undefined, done: true })
  }
}

interface Reader {
  readonly iterator: Iterator
  /** What it is handed next. */
  next: number
  isOpen: boolean
}

/** Several readers, each at its own pace. Each gets all from what nobody had been handed when it came. */
class Crowd {
  readonly #dice: Dice
  readonly #readers: Reader[] = []
  #pushed = 0
  /** What somebody was handed. */
  #known = 0
  #isListening = false
  #heard: number | undefined
  readonly #inbox: ReturnType<Make>

  constructor(seed: number, make: Make) {
    this.#dice = dice(seed)
    this.#inbox = make({
      hasListeners: () => this.#isListening,
      emitData: data => {
        expect(data).toBe(this.#heard ?? data)
        this.#note(data)
        this.#heard = data + 1
      },
      handleConsumed: () => {},
    })
  }

  async play(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      await this.#step()
      // What a loop is handed, it notes a moment later.
      if (this.#readers.some(reader => reader.isOpen) || this.#dice.below(2) === 0) await settle()
    }
    this.#inbox.resume()
    await settle()
    const missing = this.#pushed - this.#known
    this.#inbox.end()
    const late = this.#inbox.iterate(true).next()
    if (missing > 0) await expect(late).rejects.toMatchObject({ missing })
    else expect(await late).toEqual({ value: undefined, done: true })
    await this.#leaveOne()
    for (const reader of this.#readers) {
      while (reader.isOpen) await settle()
      while (await this.#read(reader));
      expect(reader.next).toBe(this.#pushed + 1)
    }
  }

  /** What the last one that has something leaves behind the end, whoever comes next is told of. */
  async #leaveOne(): Promise<void> {
    const last = this.#readers.length === 1 ? this.#readers[0] : undefined
    if (last === undefined || last.isOpen) return
    this.#readers.length = 0
    await last.iterator.return()
    const next = this.#inbox.iterate(false).next()
    const missing = this.#pushed - this.#known
    if (missing > 0) await expect(next).rejects.toMatchObject({ missing })
    else expect(await next).toEqual({ value: undefined, done: true })
  }

  async #step(): Promise<void> {
    const reader = this.#readers[this.#dice.below(this.#readers.length + 1)]
    switch (this.#dice.below(9)) {
      case 0:
        this.#inbox.pause()
        break
      case 1:
        this.#inbox.resume()
        break
      case 2:
        this.#isListening = !this.#isListening
        this.#heard = undefined
        if (this.#isListening) this.#inbox.flow()
        break
      case 3:
        if (this.#readers.length > 2) break
        // What it is handed first is what nobody has: it may wait for a listener that comes in this turn.
        await settle()
        this.#readers.push({
          iterator: this.#inbox.iterate(this.#dice.below(2) === 0),
          next: this.#known + 1,
          isOpen: false,
        })
        break
      case 4:
        if (reader === undefined || reader.isOpen) break
        this.#readers.splice(this.#readers.indexOf(reader), 1)
        await reader.iterator.return()
        break
      case 5:
      case 6:
        if (reader !== undefined && !reader.isOpen) void this.#read(reader)
        await settle()
        break
      default:
        this.#inbox.push(++this.#pushed, {})
    }
  }

  async #read(reader: Reader): Promise<boolean> {
    reader.isOpen = true
    const { value } = await reader.iterator.next()
    reader.isOpen = false
    if (value === undefined) return false
    expect(value[0]).toBe(reader.next)
    reader.next = value[0] + 1
    this.#note(value[0])
    return true
  }

  #note(data: number): void {
    // Nobody is handed something that has a hole before it.
    expect(data).toBeLessThanOrEqual(this.#known + 1)
    this.#known = Math.max(this.#known, data)
  }
}

/** Lets everything run that is deferred, and no timers: those take long on a busy machine. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise<void>(resolve => process.nextTick(resolve))
}

async function everySeed(play: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await play(seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
}

test(`${SEEDS} seeds: in order, each once, and what counts as handled is what was handed over`, () =>
  everySeed(seed => new Run(seed).play()))

test.each(Object.entries(MAKERS))(
  `${SEEDS} seeds: each of several readers %s has all from what nobody had been handed when it came`,
  (_, make) => everySeed(seed => new Crowd(seed, make).play()),
)
