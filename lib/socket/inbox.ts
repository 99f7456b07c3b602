// Data that has arrived at a socket: passed to listeners or iterators, or held until there is one.
// A message is consumed as soon as a listener is about to be called with it, or an iterator has moved past it.
import type { Headers } from '../../index'
import { AsyncQueue } from '../async/async-queue'
import { InFlight } from '../async/in-flight'
import type { FabricError } from '../values/errors'
import { type Failure, unreadFailure } from '../values/failure'
import { nextTick, nextTurn } from '../values/platform'
import { clearInterruption, isInterrupted, noteSettled } from '../values/throw-async'
import { type Arrived, Decoded, type Item } from './arrived'

/** A message for iterators; the last one to move past it consumes it. */
interface Cell {
  readonly arrived: Arrived
  /** The number of iterators that have not moved past it. */
  waiting: number
  /** Whether a listener was called with it, or an iterator has moved past it. */
  isTaken: boolean
  /** Whether the other side is told that it was handled. */
  isCounted?: boolean
}

/** What the inbox needs of its socket. */
export interface Sink {
  /** Returns whether there are listeners. */
  hasListeners(): boolean
  /** Calls the listeners. */
  emitData(data: unknown, headers: Headers): void
  /** Counts one more consumed message. */
  handleConsumed(): void
  /** The same, of one that was not handed over, since nobody wants it any more. */
  handleStale(arrived: Arrived): void
  /** What could not be decoded when its socket was closed already. */
  readonly undecoded: FabricError | undefined
}

/** Shared by all empty lists, which most sockets have. */
const NONE: readonly never[] = Object.freeze([])

export class Inbox {
  readonly #sink: Sink
  #held: readonly Arrived[] = NONE
  /** Whether what is held at the end is a stream's, which goes on reading. */
  isStreamed = false
  /** That, from its last to its first. */
  #left: Arrived[] | undefined
  #iterators: readonly DataIterator[] = NONE
  /** Those that were there at the end: what they have, they still hand out. */
  #past: readonly DataIterator[] = NONE
  #isFlowing = false
  #isPaused = false
  /** Whether it delivers nothing more, and what it has is the other side's again. */
  #isShut = false
  /** Whether what a loop works on counts as handled. */
  #isEnding = false
  #failure: Failure | undefined
  #ended = false
  /** Iterators that wait while it is paused. */
  #resumed: (() => void)[] | undefined
  /** Messages that loops are working on. */
  #inHand: InFlight | undefined

  constructor(sink: Sink) {
    this.#sink = sink
  }

  /** Returns whether any of what is held, and decoded, is such data. */
  holds(matches: (data: unknown) => boolean): boolean {
    return this.#held.some(({ known }) => matches(known))
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

  get isShut(): boolean {
    return this.#isShut
  }

  /**
   * Delivers nothing more, whatever the application resumes: what has not been handed over is the other side's
   * again. Loops wait for the end.
   */
  shut(): void {
    this.#isShut = true
    this.#held = NONE
    for (const iterator of this.#iterators) for (const cell of iterator.drop()) this.#drop(cell)
  }

  /** Counts what loops work on, now and from now on, as handled: the close that follows says so. */
  beginEnd(): void {
    this.#isEnding = true
    for (const iterator of this.#iterators) for (const cell of iterator.given) this.#count(cell)
  }

  /** Whether a reader takes what comes next at once. */
  get isRead(): boolean {
    if (this.#isPaused || this.#isFlowing || this.#held.length > 0) return false
    const [iterator] = this.#iterators
    return iterator === undefined ? this.#sink.hasListeners() : iterator.isWaiting
  }

  push(data: unknown, headers: Headers): void {
    if (this.#isShut) return
    if (this.#iterators.length === 0 && this.isRead) {
      // Before the handler runs: a close inside it must count this message.
      this.#sink.handleConsumed()
      this.#sink.emitData(data, headers)
    } else this.put(new Decoded([data, headers]))
  }

  /** The same, of what need not be decoded yet. */
  put(arrived: Arrived): void {
    if (this.#isShut) return
    if (this.#isPaused || this.#isFlowing || this.#held.length > 0) this.#hold(arrived)
    else this.#give(arrived)
  }

  /** Delivers to a new listener what is held, or waits in iterators, but not inside its registration. */
  flow(): void {
    if (this.#isPaused || this.#isFlowing) return
    if (this.#held.length === 0 && unheard(this.#iterators).length === 0) return
    this.#isFlowing = true
    nextTick(this.#flowNow)
  }

  #flowNow = (): void => {
    this.#isFlowing = false
    this.#release()
  }

  /**
   * Iterates, from what nobody was handed yet. A message is consumed when the next one is requested, or at once if
   * `isEager`.
   */
  iterate(isEager: boolean): DataIterator {
    const iterator = new DataIterator(this, isEager)
    if (this.#ended) {
      iterator.end(this.#failure ?? unreadFailure(unheard(this.#past).length))
      return iterator
    }
    for (const cell of unheard(this.#iterators)) {
      cell.waiting += 1
      iterator.push(cell)
    }
    this.#iterators = [...this.#iterators, iterator]
    // If there are other iterators, what is held is for all of them, and about to be delivered.
    if (this.#isPaused || this.#iterators.length > 1) return iterator
    const held = this.#held
    this.#held = NONE
    for (const arrived of held) iterator.push({ arrived, waiting: 1, isTaken: false })
    return iterator
  }

  /** Fails all loops: what nobody was handed is for whoever reads from now on. */
  retire(failure: Failure): void {
    for (const iterator of this.#iterators) iterator.fail(failure)
  }

  /**
   * Ends the inbox: what is held for listeners that never came is dropped. Loops end, or throw `failure`; one that comes
   * later, or was paused, throws that there was more.
   */
  end(failure?: Failure): void {
    if (!this.#isPaused && this.#iterators.length > 0) this.#handOn()
    const paused = this.#isPaused ? unheard(this.#iterators).length : 0
    this.#ended = true
    if (this.isStreamed && this.#held.length > 0) this.#left = [...this.#held].reverse()
    const unread = this.#held.length
    this.#failure = failure ?? unreadFailure(unread + paused)
    this.#held = NONE
    for (const iterator of this.#iterators) {
      // Paused: nothing more may be delivered, and the other side learns that it was not handled.
      const dropped = this.#isPaused ? iterator.drop().length : 0
      iterator.end(failure ?? unreadFailure(unread + dropped))
    }
    this.#past = this.#iterators
    this.#iterators = NONE
    this.#wakeIterators()
    this.#inHand?.forget()
  }

  get hasLeft(): boolean {
    return this.#left !== undefined && this.#left.length > 0
  }

  /** Returns the next of what a stream has to read when it has ended. Throws what can not be decoded. */
  takeLeft(): Item | undefined {
    let arrived = this.#left?.pop()
    while (arrived?.isStale) arrived = this.#left?.pop()
    const item = arrived?.open()
    if (arrived !== undefined && item === undefined) throw this.#sink.undecoded
    return item
  }

  /** Why the data ends where it does, if that is what can not be decoded. */
  get undecoded(): FabricError | undefined {
    return this.#sink.undecoded
  }

  /** Fails the loops that wait. What comes later is for others. */
  strand(failure: Failure): void {
    for (const iterator of this.#iterators.filter(one => one.isWaiting)) iterator.fail(failure)
  }

  #wakeIterators(): void {
    const resumed = this.#resumed
    this.#resumed = undefined
    if (resumed !== undefined) for (const resume of resumed) resume()
  }

  /** Delivers a message. A listener that throws does not stop the rest; the caller reports it. */
  #give(arrived: Arrived): void {
    if (arrived.isStale) {
      if (!this.#ended) this.#sink.handleStale(arrived)
      return
    }
    if (this.#iterators.length > 0) {
      // The listeners count as one more reader: one of them may end an iterator.
      const cell: Cell = { arrived, waiting: this.#iterators.length + 1, isTaken: false }
      for (const iterator of this.#iterators) iterator.push(cell)
      const item = this.#sink.hasListeners() ? arrived.open() : undefined
      if (item !== undefined) {
        cell.isTaken = true
        this.#sink.emitData(...item)
      }
      this.#drop(cell)
    } else if (this.#sink.hasListeners()) {
      const item = arrived.open()
      if (item === undefined) return
      this.#sink.handleConsumed()
      this.#sink.emitData(...item)
    } else if (!this.#ended) this.#hold(arrived)
  }

  /** Gives iterators what is about to be delivered. */
  #handOn(): void {
    for (const arrived of this.#held) {
      const cell: Cell = { arrived, waiting: this.#iterators.length, isTaken: false }
      for (const iterator of this.#iterators) iterator.push(cell)
    }
    this.#held = NONE
  }

  #hold(arrived: Arrived): void {
    if (this.#held === NONE) this.#held = [arrived]
    else (this.#held as Arrived[]).push(arrived)
  }

  #release(): void {
    clearInterruption()
    if (!this.#tell()) return
    const held = this.#held
    this.#held = NONE
    // If a listener pauses or is removed, the rest stays where it is: `push` holds it again.
    for (const [at, arrived] of held.entries()) {
      if (this.#ended) return
      this.put(arrived)
      if (!isInterrupted()) continue
      this.#held = [...this.#held, ...held.slice(at + 1)]
      this.#isFlowing = true
      nextTurn(this.#flowNow)
      return
    }
  }

  /** Calls listeners with what iterators have and nobody was handed. Returns whether that is all, for this turn. */
  #tell(): boolean {
    for (const cell of unheard(this.#iterators)) {
      if (this.#isPaused || this.#ended || !this.#sink.hasListeners()) break
      // A listener may have left an iterator, or have asked it.
      if (cell.isTaken || cell.waiting === 0 || cell.arrived.isStale) continue
      const item = cell.arrived.open()
      if (item === undefined) continue
      cell.isTaken = true
      this.#sink.emitData(...item)
      if (!isInterrupted()) continue
      this.#isFlowing = true
      nextTurn(this.#flowNow)
      return false
    }
    return true
  }

  /** Notes that an iterator has given a message to its loop. */
  handOut(cell: Cell): void {
    if (this.#isEnding) this.#count(cell)
  }

  /** Notes that an iterator has moved past a message. */
  pass(cell: Cell): void {
    cell.isTaken = true
    this.#drop(cell)
  }

  /** Notes that an iterator leaves out a message that nobody wants any more. */
  skip(cell: Cell): void {
    if (this.#drop(cell) && !this.#ended) this.#sink.handleStale(cell.arrived)
  }

  #count(cell: Cell): void {
    if (cell.isCounted || this.#ended) return
    cell.isCounted = true
    this.#sink.handleConsumed()
  }

  /** Releases a message for one iterator. Returns whether no other one has it, and nobody has taken it. */
  #drop(cell: Cell): boolean {
    cell.waiting -= 1
    if (cell.waiting > 0) return false
    if (cell.isTaken) this.#count(cell)
    return !cell.isTaken
  }

  /**
   * Ends an iterator. Messages that it has not delivered wait for the next reader, unless another one has
   * received them, or is to. Behind the end there is none, and whoever comes is told.
   */
  leave(iterator: DataIterator, rest: readonly Cell[]): void {
    this.#iterators = this.#iterators.filter(other => other !== iterator)
    const left = rest.filter(cell => this.#drop(cell))
    if (this.#ended) this.#failure ??= unreadFailure(left.length)
    else if (left.length > 0) this.#held = [...left.map(({ arrived }) => arrived), ...this.#held]
    this.#wakeIterators()
    this.flow()
  }
}

/**
 * Returns what iterators hold and nobody was handed, in order. Each began with all of that, so that what one of them is
 * past was handed out.
 */
function unheard(iterators: readonly DataIterator[]): Cell[] {
  let least: Cell[] | undefined
  for (const { unread } of iterators) if (least === undefined || unread.length < least.length) least = unread
  return least?.filter(cell => !cell.isTaken) ?? []
}

/** An iterator over the messages of a socket. */
export class DataIterator implements AsyncIterableIterator<Item, undefined> {
  /** Messages returned since the last call; several if calls do not wait for each other. */
  given: Cell[] = []
  readonly #unread: AsyncQueue<Cell> = new AsyncQueue()
  readonly #data: Inbox
  readonly #isEager: boolean

  /** @internal */
  constructor(data: Inbox, isEager: boolean) {
    this.#data = data
    this.#isEager = isEager
  }

  async next(): Promise<IteratorResult<Item, undefined>> {
    this.#passGiven()
    while (this.#data.isPaused && !this.#unread.ended) await this.#data.whenResumed()
    let cell = this.#unread.take()
    while (cell?.arrived.isStale) {
      this.#data.skip(cell)
      cell = this.#unread.take()
    }
    if (cell !== undefined) {
      const item = cell.arrived.open()
      if (item === undefined) return await this.#failed()
      this.#handOut(cell)
      return { value: item, done: false }
    }
    const result = await this.#unread.next()
    if (result.done) return result
    const item = result.value.arrived.open()
    return item === undefined ? await this.#failed() : { value: item, done: false }
  }

  /** Its socket has been closed for what can not be decoded: what is behind that is not delivered, and the end says why. */
  async #failed(): Promise<IteratorResult<Item, undefined>> {
    this.drop()
    const result = await this.#unread.next()
    if (!result.done) return await this.#failed()
    if (this.#data.undecoded !== undefined) throw this.#data.undecoded
    return result
  }

  /** Whether somebody waits for what comes next. */
  get isWaiting(): boolean {
    return this.#unread.isAwaited
  }

  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#leave()
    return { value: undefined, done: true }
  }

  /** Ends the loop with a failure; the socket stays open. */
  fail(failure: Failure): void {
    this.#leave(failure)
  }

  #leave(failure?: Failure): void {
    this.#unread.end(failure)
    this.#passGiven()
    this.#data.leave(this, this.drop())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(cell: Cell): void {
    if (!this.#unread.push(cell)) return
    noteSettled()
    this.#handOut(cell)
  }

  /** What has not been requested. */
  get unread(): Cell[] {
    return this.#unread.waiting
  }

  /** Drops it, and returns it. */
  drop(): Cell[] {
    const rest = this.unread
    while (this.#unread.take() !== undefined);
    return rest
  }

  end(failure: Failure | undefined): void {
    this.#unread.end(failure)
  }

  /** Notes that the loop gets a message, in the same turn: a close must know of it. */
  #handOut(cell: Cell): void {
    if (this.#isEager) this.#data.pass(cell)
    else {
      this.given.push(cell)
      this.#data.inHand.begin()
      this.#data.handOut(cell)
    }
  }

  #passGiven(): void {
    for (const cell of this.given) {
      this.#data.pass(cell)
      this.#data.inHand.end()
    }
    this.given.length = 0
  }
}
