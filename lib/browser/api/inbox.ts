// Data that has arrived at a socket: passed to listeners or iterators, or held until there is one. A message counts as handled
// as soon as a listener is about to be called with it, or when a loop asks for the next one.
import type { Headers } from '../../../index'
import { AsyncQueue } from '../../async/async-queue'
import type { Failure } from '../../values/failure'
import { nextTurn } from '../../values/platform'
import type { Item } from '../wire/publication'

export type Received = [data: unknown, headers: Headers]

/** A message for iterators; the last one to move past it consumes it. */
interface Cell {
  readonly item: Item
  waiting: number
}

export interface Sink {
  hasListeners(): boolean
  emitData(received: Received): void
  /** Decodes; throws what closes the socket. */
  decode(item: Item): Received
  handleConsumed(): void
}

export class Inbox {
  readonly #sink: Sink
  #held: Item[] = []
  readonly #iterators = new Set<DataIterator>()
  #isFlowing = false
  #isShut = false
  #failure: Failure | undefined
  #isEnded = false
  isPaused = false

  constructor(sink: Sink) {
    this.#sink = sink
  }

  push(item: Item): void {
    if (this.#isShut) return
    if (this.isPaused || this.#held.length > 0 || this.#isFlowing) this.#held.push(item)
    else this.#give(item)
  }

  resume(): void {
    this.isPaused = false
    this.flow()
  }

  /** Delivers what is held, but not inside the registration of a listener. */
  flow(): void {
    if (this.isPaused || this.#isFlowing || this.#held.length === 0) return
    this.#isFlowing = true
    queueMicrotask(() => {
      this.#isFlowing = false
      const held = this.#held
      this.#held = []
      for (const item of held) this.push(item)
    })
  }

  /** Other handlers go first: what is pushed from now on waits for the next turn. */
  yieldTurn(): void {
    if (this.#isFlowing) return
    this.#isFlowing = true
    nextTurn(() => {
      this.#isFlowing = false
      this.flow()
    })
  }

  iterate(isEager: boolean): DataIterator {
    const iterator = new DataIterator(this, isEager)
    if (this.#isEnded) iterator.end(this.#failure)
    else {
      this.#iterators.add(iterator)
      this.flow()
    }
    return iterator
  }

  /** Delivers nothing more: what was not handed over is the other side's again. */
  shut(): void {
    this.#isShut = true
    this.#held = []
    for (const iterator of this.#iterators) iterator.drop()
  }

  /** Loops end, or throw the failure, behind what has arrived. */
  end(failure: Failure | undefined): void {
    this.#isEnded = true
    this.#failure = failure
    this.#held = []
    for (const iterator of this.#iterators) iterator.end(failure)
    this.#iterators.clear()
  }

  #give(item: Item): void {
    const hasListeners = this.#sink.hasListeners()
    if (this.#iterators.size === 0 && !hasListeners) {
      this.#held.push(item)
      return
    }
    if (this.#iterators.size > 0) {
      const cell = { item, waiting: this.#iterators.size }
      for (const iterator of [...this.#iterators]) iterator.push(cell)
    } else this.#sink.handleConsumed()
    if (hasListeners) this.#sink.emitData(this.#sink.decode(item))
  }

  decode(item: Item): Received {
    return this.#sink.decode(item)
  }

  /** An iterator has moved past a message. */
  pass(cell: Cell): void {
    cell.waiting -= 1
    if (cell.waiting === 0 && !this.#isEnded) this.#sink.handleConsumed()
  }

  /** What it has not delivered waits for the next reader, unless others have it, too. */
  leave(iterator: DataIterator, rest: readonly Cell[]): void {
    this.#iterators.delete(iterator)
    const left: Item[] = []
    for (const cell of rest) {
      if (cell.waiting === 1) left.push(cell.item)
      else this.pass(cell)
    }
    this.#held = [...left, ...this.#held]
    this.flow()
  }
}

/** An iterator over the messages of a socket. */
export class DataIterator implements AsyncIterableIterator<Received, undefined> {
  readonly #inbox: Inbox
  readonly #isEager: boolean
  readonly #unread = new AsyncQueue<Cell>()
  #given: Cell[] = []

  constructor(inbox: Inbox, isEager: boolean) {
    this.#inbox = inbox
    this.#isEager = isEager
  }

  async next(): Promise<IteratorResult<Received, undefined>> {
    this.#passGiven()
    const result = await this.#unread.next()
    if (result.done) return result
    if (this.#isEager) this.#inbox.pass(result.value)
    else this.#given.push(result.value)
    return { value: this.#inbox.decode(result.value.item), done: false }
  }

  async return(): Promise<IteratorResult<Received, undefined>> {
    this.#unread.end()
    this.#passGiven()
    this.#inbox.leave(this, this.#takeAll())
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(cell: Cell): void {
    this.#unread.push(cell)
  }

  drop(): void {
    this.#takeAll()
  }

  end(failure: Failure | undefined): void {
    this.#unread.end(failure)
  }

  #passGiven(): void {
    for (const cell of this.#given) this.#inbox.pass(cell)
    this.#given = []
  }

  #takeAll(): Cell[] {
    const rest: Cell[] = []
    for (let cell = this.#unread.take(); cell !== undefined; cell = this.#unread.take()) rest.push(cell)
    return rest
  }
}
