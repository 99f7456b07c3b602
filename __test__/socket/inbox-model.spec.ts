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
  beginEnd(): void
  shut(): void
  end(failure?: object): void
}

const { Inbox } = require('../../dist/socket/inbox.js') as {
  Inbox: new (sink: {
    hasListeners(): boolean
    emitData(data: number): void
    handleConsumed(): void
  }) => TestedInbox
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
  #isEager = false
  #inHand = 0
  #open = 0
  readonly #inbox = new Inbox({
    hasListeners: () => this.#isListening,
    emitData: data => {
      // Counted before it is called.
      expect(this.#consumed).toBeGreaterThanOrEqual(data)
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
    switch (this.#dice.below(10)) {
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
    expect(this.#consumed).toBe(this.#handed.length - this.#inHand)
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

/** Lets everything run that is deferred, and no timers: those take long on a busy machine. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise<void>(resolve => process.nextTick(resolve))
}

test(`${SEEDS} seeds: in order, each once, and what counts as handled is what was handed over`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await new Run(seed).play()
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
})
