// Data that has arrived at a socket: passed to listeners or iterators, or held until there is one. A message counts as handled
// as soon as a listener is about to be called with it, or when a loop asks for the next one.
import type { Headers } from '../../../index'
import { AsyncQueue } from '../../async/async-queue'
import type { Failure } from '../../values/failure'
import { nextTurn } from '../../values/platform'
import { closedByPeer } from '../socket/reasons'
import type { Item } from '../wire/publication'

export type Received = [data: unknown, headers: Headers]

/** A message for iterators; the last one to move past it consumes it. */
interface Cell {
  readonly item: Item
  /** The number of iterators that have not moved past it. */
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
  /** What iterators hold and nobody was handed, in order: each begins with all of that. */
  readonly #unheard = new Set<Cell>()
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

  /** Delivers to a new listener what is held, or waits in iterators, but not inside its registration. */
  flow(): void {
    if (this.isPaused || this.#isFlowing) return
    this.#isFlowing = true
    queueMicrotask(() => this.#release())
  }

  #release(): void {
    if (this.#isEnded) return
    this.#isFlowing = false
    const held = this.#held
    this.#held = []
    for (const cell of this.#unheard) {
      if (this.isPaused || !this.#sink.hasListeners()) break
      this.hand(cell)
      this.#sink.emitData(this.decode(cell.item))
    }
    for (const item of held) this.push(item)
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

  /** Iterates, from what nobody was handed yet. */
  iterate(isEager: boolean): DataIterator {
    const iterator = new DataIterator(this, isEager)
    if (this.#isEnded) iterator.end(this.#failure ?? unread(this.#held.length + this.#unheard.size))
    else {
      for (const cell of this.#unheard) {
        cell.waiting += 1
        iterator.push(cell)
      }
      this.#iterators.add(iterator)
      this.flow()
    }
    return iterator
  }

  /** Delivers nothing more: what was not handed over is the other side's again. */
  shut(): void {
    this.#isShut = true
    this.#held = []
    for (const iterator of this.#iterators) for (const cell of iterator.drop()) this.drop(cell)
  }

  /** Loops end, or throw the failure, behind what has arrived; or throw that there was more, which nobody reads any more. */
  end(failure: Failure | undefined): void {
    this.#release()
    this.#isEnded = true
    this.#failure = failure
    for (const iterator of this.#iterators) iterator.end(failure ?? unread(this.#held.length))
  }

  #give(item: Item): void {
    const isTaken = this.#sink.hasListeners()
    const waiting = this.#iterators.size
    if (waiting > 0) {
      const cell = { item, waiting }
      if (!isTaken) this.#unheard.add(cell)
      for (const iterator of this.#iterators) iterator.push(cell)
    } else if (isTaken) this.#sink.handleConsumed()
    else this.#held.push(item)
    if (isTaken) this.#sink.emitData(this.decode(item))
  }

  decode(item: Item): Received {
    return this.#sink.decode(item)
  }

  /** Somebody is handed a message. */
  hand(cell: Cell): void {
    this.#unheard.delete(cell)
  }

  /** Releases a message for one iterator. Returns whether no other one has it, and nobody was handed it. */
  drop(cell: Cell): boolean {
    cell.waiting -= 1
    if (cell.waiting > 0 || this.#isEnded) return false
    const isUnheard = this.#unheard.delete(cell)
    if (!isUnheard) this.#sink.handleConsumed()
    return isUnheard
  }

  /** What it has not delivered waits for the next reader, unless others have it, too. */
  leave(iterator: DataIterator): void {
    this.#iterators.delete(iterator)
    const left = iterator.drop().filter(cell => this.drop(cell))
    this.#held = [...left.map(({ item }) => item), ...this.#held]
    this.flow()
  }
}

/** Why loops do not end quietly if the other side has closed before so much was read. */
function unread(missing: number): Failure | undefined {
  return missing > 0 ? closedByPeer(false, missing) : undefined
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
    const cell = this.#unread.take()
    if (cell) this.#inbox.hand(cell)
    const result = cell ? { value: cell } : await this.#unread.next()
    if (result.done) return result
    if (this.#isEager) this.#inbox.drop(result.value)
    else this.#given.push(result.value)
    return { value: this.#inbox.decode(result.value.item), done: false }
  }

  async return(): Promise<IteratorResult<Received, undefined>> {
    this.#unread.end()
    this.#passGiven()
    this.#inbox.leave(this)
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(cell: Cell): void {
    if (this.#unread.push(cell)) this.#inbox.hand(cell)
  }

  /** Drops what has not been requested, and returns it. */
  drop(): Cell[] {
    const rest: Cell[] = []
    for (let cell = this.#unread.take(); cell; cell = this.#unread.take()) rest.push(cell)
    return rest
  }

  end(failure: Failure | undefined): void {
    this.#unread.end(failure)
  }

  #passGiven(): void {
    for (const cell of this.#given) this.#inbox.drop(cell)
    this.#given = []
  }
}
