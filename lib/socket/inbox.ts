// Data that has arrived at a socket: to listeners, to iterators, or held until there is one.
// A message counts as consumed when a listener was called, or when an iterator has gone past it.
import type { Headers } from '../../index'
import { AsyncQueue } from '../async/async-queue'
import { InFlight } from '../async/in-flight'
import type { Failure } from '../values/failure'
import { nextTick } from '../values/platform'

type Item = [data: unknown, headers: Headers]

/** A message for iterators; the last one to go past it consumes it. */
interface Cell {
  readonly item: Item
  /** How many have it before them. */
  waiting: number
  /** A listener was called with it, or an iterator has gone past it. */
  isTaken: boolean
}

/** What the data needs of its socket. */
export interface Sink {
  /** Calls the listeners, and says whether there were any. */
  emitData(data: unknown, headers: Headers): boolean
  /** One more message is consumed. */
  handleConsumed(): void
}

/** What most sockets have of everything here. */
const NONE: readonly never[] = Object.freeze([])

export class Inbox {
  readonly #sink: Sink
  #held: readonly Item[] = NONE
  #iterators: readonly DataIterator[] = NONE
  #isFlowing = false
  #isPaused = false
  #failure: Failure | undefined
  #ended = false
  /** Iterators that wait while it is paused. */
  #resumed: (() => void)[] | undefined
  /** Messages in the hands of loops. */
  #inHand: InFlight | undefined

  constructor(sink: Sink) {
    this.#sink = sink
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#wakeIterators()
    this.flow()
  }

  /** Settles when an iterator is to look again whether it may go on. Keeps no process alive, as other pulls do not. */
  whenResumed(): Promise<void> {
    return new Promise(resolve => {
      this.#resumed ??= []
      this.#resumed.push(resolve)
    })
  }

  /** Messages that loops have been given and have not come back for. */
  get inHand(): InFlight {
    this.#inHand ??= new InFlight()
    return this.#inHand
  }

  push(data: unknown, headers: Headers): void {
    if (this.#isPaused || this.#held.length > 0) this.#hold([data, headers])
    else this.#give(data, headers)
  }

  /** A listener has come: gives it what is held, but not inside its own registration. */
  flow(): void {
    if (this.#isPaused || this.#isFlowing || this.#held.length === 0) return
    this.#isFlowing = true
    nextTick(() => {
      this.#isFlowing = false
      this.#release()
    })
  }

  iterate(): DataIterator {
    const iterator = new DataIterator(this)
    if (this.#ended) iterator.end(this.#failure, false)
    else this.#iterators = [...this.#iterators, iterator]
    // With others there, what is held is for all of them, and about to come.
    if (this.#isPaused || this.#iterators.length > 1) return iterator
    const held = this.#held
    this.#held = NONE
    for (const item of held) iterator.push({ item, waiting: 1, isTaken: false })
    return iterator
  }

  /** Nothing comes any more: what is held for listeners that never came is dropped. */
  end(failure?: Failure): void {
    this.#ended = true
    this.#failure = failure
    this.#held = NONE
    // While it was paused nobody was to get more: the other side hears that it was not handled.
    for (const iterator of this.#iterators) iterator.end(failure, this.#isPaused)
    this.#iterators = NONE
    this.#wakeIterators()
    this.#inHand?.forget()
  }

  #wakeIterators(): void {
    const resumed = this.#resumed
    this.#resumed = undefined
    if (resumed !== undefined) for (const resume of resumed) resume()
  }

  /** Listeners that throw do not keep the rest from coming: the caller reports it. */
  #give(data: unknown, headers: Headers): void {
    if (this.#iterators.length > 0) {
      // The listeners are one more who have it before them: one of them may end an iterator.
      const cell: Cell = { item: [data, headers], waiting: this.#iterators.length + 1, isTaken: false }
      for (const iterator of this.#iterators) iterator.push(cell)
      if (this.#sink.emitData(data, headers)) cell.isTaken = true
      this.#drop(cell)
    } else if (this.#sink.emitData(data, headers)) this.#sink.handleConsumed()
    else if (!this.#ended) this.#hold([data, headers])
  }

  #hold(item: Item): void {
    if (this.#held === NONE) this.#held = [item]
    else (this.#held as Item[]).push(item)
  }

  #release(): void {
    const held = this.#held
    this.#held = NONE
    // A listener that pauses, or that goes away, leaves the rest where it was: `push` holds it again.
    for (const [data, headers] of held) {
      if (this.#ended) return
      this.push(data, headers)
    }
  }

  /** An iterator has gone past a message. */
  pass(cell: Cell): void {
    cell.isTaken = true
    this.#drop(cell)
  }

  /** One that has a cell no more; whether nobody has it any more, nor ever took it. */
  #drop(cell: Cell): boolean {
    cell.waiting -= 1
    if (cell.waiting > 0 || this.#ended) return false
    if (cell.isTaken) this.#sink.handleConsumed()
    return !cell.isTaken
  }

  /**
   * An iterator is not used any more. What it has not given to anybody is for those who come next, unless somebody has had, or is to get, something
   * newer (then that is in `rest`, too): to them it would come out of order.
   */
  leave(iterator: DataIterator, rest: readonly Cell[]): void {
    this.#iterators = this.#iterators.filter(other => other !== iterator)
    const isElsewhere = rest.map(cell => cell.isTaken || cell.waiting > 1)
    const first = isElsewhere.lastIndexOf(true) + 1
    for (const cell of rest.slice(0, first)) {
      if (cell.waiting === 1) cell.isTaken = true
      this.#drop(cell)
    }
    const left = rest.slice(first).filter(cell => this.#drop(cell))
    if (left.length > 0) this.#held = [...left.map(({ item }) => item), ...this.#held]
    this.#wakeIterators()
    this.flow()
  }
}

/** The messages of a socket, pulled. */
export class DataIterator implements AsyncIterableIterator<Item, undefined> {
  readonly #unread: AsyncQueue<Cell> = new AsyncQueue()
  readonly #data: Inbox
  /** What was given since the last call. More than one where calls do not wait for each other. */
  #given: Cell[] = []
  #isLeft = false

  /** @internal */
  constructor(data: Inbox) {
    this.#data = data
  }

  async next(): Promise<IteratorResult<Item, undefined>> {
    this.#passGiven()
    while (this.#data.isPaused && !this.#unread.ended) await this.#data.whenResumed()
    const result = await this.#unread.next()
    if (result.done) return result
    if (this.#isLeft) this.#data.pass(result.value)
    else {
      this.#given.push(result.value)
      this.#data.inHand.begin()
    }
    return { value: result.value.item, done: false }
  }

  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#isLeft = true
    this.#unread.end()
    this.#passGiven()
    this.#data.leave(this, this.#takeAll())
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(cell: Cell): void {
    this.#unread.push(cell)
  }

  end(failure: Failure | undefined, dropsRest: boolean): void {
    if (dropsRest) this.#takeAll()
    this.#unread.end(failure)
  }

  #takeAll(): Cell[] {
    const rest: Cell[] = []
    for (let cell = this.#unread.take(); cell !== undefined; cell = this.#unread.take()) rest.push(cell)
    return rest
  }

  #passGiven(): void {
    for (const cell of this.#given) {
      this.#data.pass(cell)
      this.#data.inHand.end()
    }
    this.#given.length = 0
  }
}
