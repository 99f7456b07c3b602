// Data that has arrived at a socket: passed to listeners or iterators, or held until there is one.
// A message is consumed when a listener was called with it, or an iterator has moved past it.
import type { Headers } from '../../index'
import { AsyncQueue } from '../async/async-queue'
import { InFlight } from '../async/in-flight'
import type { Failure } from '../values/failure'
import { nextTick } from '../values/platform'

type Item = [data: unknown, headers: Headers]

/** A message for iterators; the last one to move past it consumes it. */
interface Cell {
  readonly item: Item
  /** The number of iterators that have not moved past it. */
  waiting: number
  /** Whether a listener was called with it, or an iterator has moved past it. */
  isTaken: boolean
}

/** What the inbox needs of its socket. */
export interface Sink {
  /** Calls the listeners. Returns whether there were any. */
  emitData(data: unknown, headers: Headers): boolean
  /** Counts one more consumed message. */
  handleConsumed(): void
}

/** Shared by all empty lists, which most sockets have. */
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
  /** Messages that loops are working on. */
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

  /** Settles when an iterator should check again whether it may continue. Does not keep the process alive. */
  whenResumed(): Promise<void> {
    return new Promise(resolve => {
      this.#resumed ??= []
      this.#resumed.push(resolve)
    })
  }

  /** The messages that loops are working on. */
  get inHand(): InFlight {
    this.#inHand ??= new InFlight()
    return this.#inHand
  }

  push(data: unknown, headers: Headers): void {
    if (this.#isPaused || this.#held.length > 0) this.#hold([data, headers])
    else this.#give(data, headers)
  }

  /** Delivers what is held to a new listener, but not inside its registration. */
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
    // If there are other iterators, what is held is for all of them, and about to be delivered.
    if (this.#isPaused || this.#iterators.length > 1) return iterator
    const held = this.#held
    this.#held = NONE
    for (const item of held) iterator.push({ item, waiting: 1, isTaken: false })
    return iterator
  }

  /** Ends the inbox: what is held for listeners that never came is dropped. */
  end(failure?: Failure): void {
    this.#ended = true
    this.#failure = failure
    this.#held = NONE
    // Paused: nothing more may be delivered, and the other side learns that it was not handled.
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

  /** Delivers a message. A listener that throws does not stop the rest; the caller reports it. */
  #give(data: unknown, headers: Headers): void {
    if (this.#iterators.length > 0) {
      // The listeners count as one more reader: one of them may end an iterator.
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
    // If a listener pauses or is removed, the rest stays where it is: `push` holds it again.
    for (const [data, headers] of held) {
      if (this.#ended) return
      this.push(data, headers)
    }
  }

  /** Notes that an iterator has moved past a message. */
  pass(cell: Cell): void {
    cell.isTaken = true
    this.#drop(cell)
  }

  /** Releases a message for one iterator. Returns whether no other one has it, and none has taken it. */
  #drop(cell: Cell): boolean {
    cell.waiting -= 1
    if (cell.waiting > 0 || this.#ended) return false
    if (cell.isTaken) this.#sink.handleConsumed()
    return !cell.isTaken
  }

  /**
   * Ends an iterator. Messages that it has not delivered wait for the next reader, unless another reader has
   * received, or is to receive, something newer (which is then in `rest`, too): they would arrive out of
   * order.
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

/** An iterator over the messages of a socket. */
export class DataIterator implements AsyncIterableIterator<Item, undefined> {
  readonly #unread: AsyncQueue<Cell> = new AsyncQueue()
  readonly #data: Inbox
  /** Messages returned since the last call; several if calls do not wait for each other. */
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
