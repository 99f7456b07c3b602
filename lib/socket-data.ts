// Data that has arrived at a socket: to listeners, to iterators, or held until there is one.
// A message counts as consumed when a listener was called, or when an iterator has gone past it.
import type { Headers } from '../index'
import type { Failed } from './errors'
import { nextTick } from './later'
import { Pulls } from './pulls'
import { Waiters } from './waiters'

export type Item = [data: unknown, headers: Headers]

/** A message in the hands of iterators; the last one to go past it consumes it. */
interface Cell {
  readonly item: Item
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

export class SocketData {
  readonly #sink: Sink
  #held: readonly Item[] = NONE
  #iterators: readonly DataIterator[] = NONE
  #isFlowing = false
  #isPaused = false
  #failure: Failed | undefined
  #ended = false
  #resumed: Waiters | undefined

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
    this.#resumed?.settle()
    this.flow()
  }

  /** Settles when an iterator is to look again whether it may go on. */
  async whenResumed(): Promise<void> {
    await (this.#resumed ??= new Waiters()).wait('the socket is paused')
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
    if (this.#ended) iterator.end(this.#failure)
    else this.#iterators = [...this.#iterators, iterator]
    if (this.#isPaused) return iterator
    const held = this.#held
    this.#held = NONE
    for (const item of held) iterator.push({ item, waiting: 1, isTaken: false })
    return iterator
  }

  /** Nothing comes any more: what is held for listeners that never came is dropped. */
  end(failure?: Failed): void {
    this.#ended = true
    this.#failure = failure
    this.#held = NONE
    for (const iterator of this.#iterators) iterator.end(failure)
    this.#iterators = NONE
    this.#resumed?.settle()
  }

  /** Listeners that throw do not keep the rest from coming: the caller reports it. */
  #give(data: unknown, headers: Headers): void {
    if (this.#iterators.length > 0) {
      const cell: Cell = { item: [data, headers], waiting: this.#iterators.length, isTaken: false }
      for (const iterator of this.#iterators) iterator.push(cell)
      if (this.#sink.emitData(data, headers)) cell.isTaken = true
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

  /** An iterator is not used any more. What it has not given to anybody, and nobody else has had, is for those who come next. */
  leave(iterator: DataIterator, rest: readonly Cell[]): void {
    this.#iterators = this.#iterators.filter(other => other !== iterator)
    const left = rest.filter(cell => this.#drop(cell)).map(({ item }) => item)
    if (left.length > 0) this.#held = [...left, ...this.#held]
    this.#resumed?.settle()
    this.flow()
  }
}

/** The messages of a socket, pulled. */
export class DataIterator implements AsyncIterableIterator<Item, undefined> {
  readonly #pulls: Pulls<Cell> = new Pulls()
  readonly #data: SocketData
  #current: Cell | undefined

  /** @internal */
  constructor(data: SocketData) {
    this.#data = data
  }

  async next(): Promise<IteratorResult<Item, undefined>> {
    this.#passCurrent()
    while (this.#data.isPaused && !this.#pulls.ended) await this.#data.whenResumed()
    const result = await this.#pulls.next()
    if (result.done) return result
    this.#current = result.value
    return { value: result.value.item, done: false }
  }

  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#pulls.end()
    this.#passCurrent()
    const rest: Cell[] = []
    for (let cell = this.#pulls.take(); cell !== undefined; cell = this.#pulls.take()) rest.push(cell)
    this.#data.leave(this, rest)
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(cell: Cell): void {
    this.#pulls.push(cell)
  }

  end(failure?: Failed): void {
    this.#pulls.end(failure)
  }

  #passCurrent(): void {
    if (this.#current === undefined) return
    this.#data.pass(this.#current)
    this.#current = undefined
  }
}
