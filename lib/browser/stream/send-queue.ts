// The sending direction of a stream. What is written waits, is in flight until it has arrived, and data is kept until it was
// handled.
import { WireError } from '../wire/bytes'
import { bytesOf, type Item } from '../wire/publication'
import { Fifo } from './fifo'
import { ASK, type Class, type Counts, classOf, DATA, keyOf, type Range, REPLY } from './items'
import {
  ledgers,
  MAX_IN_FLIGHT_BYTES,
  MAX_RESEND,
  Pause,
  RESEND_OVERHEAD,
  type Window,
  type Windows,
} from './windows'

/** An item of ours, with what is known of it. */
interface Outgoing {
  readonly item: Item
  readonly class: Class
  readonly bytes: number
  readonly volatile: boolean
}

/** Data that is not known to have been handled. */
export interface Left {
  /** 1 for the first message that was written. */
  readonly seq: number
  readonly item: Item
}

/** What a probe waits for each byte of the largest item in flight, in ms: a link of 1 MB/s. */
const TIME_PER_BYTE = 0.001
/** Bytes that may go again without progress, beside so many a ms. */
const RESEND_BUDGET = 64 * 1024 * 1024
const REFILL = 8000

export class SendQueue {
  /** The application's own bound. */
  readonly #window: Window
  /** What the other end takes; nothing is known before it has accepted. */
  windows: Windows | undefined
  #waiting = new Fifo<Outgoing>()
  /** Answers that were made while what stood before them could not leave. */
  #passing = new Fifo<Outgoing>()
  readonly #flight = new Fifo<Outgoing>()
  #flightBytes = 0
  readonly #kept = new Fifo<Outgoing>()
  /** Numbers that go again. */
  #again: number[] = []
  /** The number of the next item. */
  next = 1
  readonly #sent = [0, 0, 0]
  readonly #handled = [0, 0, 0]
  readonly #waitingCounts = [0, 0, 0]
  readonly waitingBytes = [0, 0, 0]
  readonly #unhandled = ledgers()
  /** Bytes of data that are not known to have been handled. */
  unackedBytes = 0
  /** Keys of requests that have left and are not known to have been handled. */
  readonly #asked = new Fifo<number>()
  resent = 0
  #spent = 0
  #refilledAt = 0
  isAttached = false
  /** When the other end is asked where it is, and when it last said something new. Looked at when it fires. */
  #probeAt = Number.POSITIVE_INFINITY
  #progressedAt: number | undefined
  readonly #pause = new Pause()

  constructor(window: Window) {
    this.#window = window
  }

  get acked(): number {
    return this.#handled[DATA] as number
  }

  /** How many messages of data were accepted in all. */
  get written(): number {
    return (this.#sent[DATA] as number) + (this.#waitingCounts[DATA] as number)
  }

  get unacked(): number {
    return this.written - this.acked
  }

  get isUnderWay(): boolean {
    return this.#flight.length > 0 || this.#kept.length > 0
  }

  hasRoom(bytes: number): boolean {
    const { messages, bytes: most } = this.#window
    return this.unacked < messages && (this.unacked === 0 || this.unackedBytes + bytes <= most)
  }

  /** Whether half of the window is free. */
  get isWritable(): boolean {
    const { messages, bytes } = this.#window
    return this.unacked * 2 < messages && this.unackedBytes < Math.min(bytes / 2, MAX_IN_FLIGHT_BYTES)
  }

  write(item: Item, volatile = false): void {
    const kind = classOf(item.encoding) as Class
    const bytes = bytesOf(item)
    this.#waiting.push({ item, class: kind, bytes, volatile })
    this.#countWaiting(kind, 1, bytes)
    if (kind === DATA) this.unackedBytes += bytes
  }

  /** Takes out requests that have not left. Returns their keys. */
  withdraw(isWanted: (key: number) => boolean): number[] {
    if (this.#waitingCounts[ASK] === 0) return []
    const keys: number[] = []
    const left = this.#waiting.toArray().filter(({ item, class: kind, bytes }) => {
      if (kind !== ASK || !isWanted(keyOf(item))) return true
      keys.push(keyOf(item))
      this.#countWaiting(ASK, -1, -bytes)
      return false
    })
    this.#waiting.replace(left)
    return keys
  }

  /** Looks for what is larger than `limit` and has not arrived. Calls back for requests that wait; returns the bytes of the rest, or 0. */
  handleLimit(limit: number, onRequest: (key: number, bytes: number) => void): number {
    let rest = 0
    for (const queue of [this.#waiting, this.#flight]) {
      for (const { item, class: kind, bytes } of queue.toArray()) {
        if (bytes <= limit) continue
        if (kind === ASK && queue !== this.#flight) onRequest(keyOf(item), bytes)
        else rest ||= bytes
      }
    }
    return rest
  }

  /** Keys of requests that have left and that no handler of the other end is known to have had. */
  get unhandledRequests(): number[] {
    return this.#asked.toArray()
  }

  attach(now: number): void {
    this.isAttached = true
    this.#pause.reset()
    this.#probeAt = Number.POSITIVE_INFINITY
    this.#watch(now)
  }

  detach(): void {
    this.isAttached = false
    this.#probeAt = Number.POSITIVE_INFINITY
    this.#again = []
  }

  /** What leaves next: items in a row, and the number of the first. At most so many, and so many bytes. */
  poll(now: number, most: number, mostBytes: number): { first: number; items: Item[] } | undefined {
    if (!this.isAttached) return undefined
    const again = this.#again.length > 0 ? this.#takeAgain(most, mostBytes) : undefined
    if (again !== undefined) return again
    const first = this.next
    const items: Item[] = []
    let bytes = 0
    for (let out = this.#nextOut(); out !== undefined; out = this.#nextOut()) {
      if (items.length === most || (items.length > 0 && bytes + out.bytes > mostBytes)) break
      this.#take(now, out)
      items.push(out.item)
      bytes += out.bytes
    }
    return items.length === 0 ? undefined : { first, items }
  }

  /** The item that may leave, where it stands. An answer passes what cannot leave. */
  #nextOut(): Outgoing | undefined {
    const passing = this.#passing.first
    if (passing !== undefined && this.#fits(passing)) return passing
    const waiting = this.#waiting.first
    if (waiting === undefined) return undefined
    if (this.#fits(waiting)) return waiting
    if ((this.#waitingCounts[REPLY] as number) > this.#passing.length) this.#letAnswersPass()
    const passed = this.#passing.first
    return passed !== undefined && this.#fits(passed) ? passed : undefined
  }

  #letAnswersPass(): void {
    const stays: Outgoing[] = []
    for (const out of this.#waiting.toArray()) {
      if (out.class === REPLY) this.#passing.push(out)
      else stays.push(out)
    }
    this.#waiting.replace(stays)
  }

  #fits({ class: kind, bytes }: Outgoing): boolean {
    if (this.#flight.length > 0 && this.#flightBytes + bytes > MAX_IN_FLIGHT_BYTES) return false
    const window = this.windows?.[kind]
    return window !== undefined && this.#unhandled[kind].hasRoom(window, bytes)
  }

  #take(now: number, out: Outgoing): void {
    const queue = this.#passing.first === out ? this.#passing : this.#waiting
    queue.shift()
    const { class: kind, bytes, item } = out
    this.#countWaiting(kind, -1, -bytes)
    this.#sent[kind]! += 1
    this.#unhandled[kind].push(bytes)
    if (kind === ASK) this.#asked.push(keyOf(item))
    this.#flight.push(out)
    this.#flightBytes += bytes
    this.next += 1
    this.#watch(now)
  }

  #countWaiting(kind: Class, count: number, bytes: number): void {
    this.#waitingCounts[kind]! += count
    this.waitingBytes[kind]! += bytes
  }

  #takeAgain(most: number, mostBytes: number): { first: number; items: Item[] } | undefined {
    const base = this.next - this.#flight.length
    this.#again = this.#again.filter(number => number >= base)
    const first = this.#again[0]
    if (first === undefined) return undefined
    const items: Item[] = []
    let bytes = 0
    for (const number of this.#again) {
      const out = this.#flight.at(number - base) as Outgoing
      if (number !== first + items.length || items.length === most) break
      if (items.length > 0 && bytes + out.bytes > mostBytes) break
      items.push(out.item)
      bytes += out.bytes
    }
    this.#again.splice(0, items.length)
    return { first, items }
  }

  /** The other end says how far it is. Returns whether more data was handled than was known. @throws {WireError} */
  handleCounts(now: number, { arrived, handled }: Counts): boolean {
    if (arrived >= this.next || handled.some((count, kind) => count > (this.#sent[kind] as number))) {
      throw new WireError('an acknowledgement of what was never sent')
    }
    let hasArrived = false
    while (this.next - this.#flight.length <= arrived) {
      const out = this.#flight.shift() as Outgoing
      this.#flightBytes -= out.bytes
      if (out.class === DATA) this.#kept.push(out)
      hasArrived = true
    }
    const news = handled[DATA] - this.acked
    if (news > this.#kept.length) throw new WireError('an acknowledgement of what has not arrived')
    for (const kind of [DATA, ASK, REPLY] as const) {
      const more = handled[kind] - (this.#handled[kind] as number)
      if (more <= 0) continue
      this.#unhandled[kind].remove(more)
      this.#handled[kind] = handled[kind]
    }
    const open = (this.#sent[ASK] as number) - (this.#handled[ASK] as number)
    while (this.#asked.length > open) this.#asked.shift()
    for (let left = news; left > 0; left--) {
      const { bytes } = this.#kept.shift() as Outgoing
      this.unackedBytes -= bytes
      this.#spent = Math.max(0, this.#spent - bytes)
    }
    if (hasArrived || news > 0) {
      this.#pause.reset()
      this.#progressedAt = now
    }
    return news > 0
  }

  /** The other end lacks these above `arrived`; with `all` everything that it does not name, too. They leave again. */
  handleMissing(now: number, arrived: number, missing: readonly Range[], all: boolean): void {
    let cursor = arrived + 1
    const ranges: [from: number, to: number][] = []
    for (const [present, lacking] of missing) {
      ranges.push([cursor + present, cursor + present + lacking - 1])
      cursor += present + lacking
    }
    if (all) ranges.push([cursor, this.next - 1])
    this.#spent = Math.max(0, this.#spent - (now - this.#refilledAt) * REFILL)
    this.#refilledAt = now
    if (!this.isAttached || this.#spent >= RESEND_BUDGET) return
    const base = this.next - this.#flight.length
    const numbers = new Set(this.#again)
    let bytes = 0
    for (const [from, to] of ranges) {
      for (let number = Math.max(from, base); number <= to && number < this.next; number++) {
        const more = (this.#flight.at(number - base) as Outgoing).bytes + RESEND_OVERHEAD
        if (bytes > 0 && bytes + more > MAX_RESEND) break
        if (numbers.has(number)) continue
        bytes += more
        numbers.add(number)
        this.resent += 1
      }
    }
    this.#spent += bytes
    this.#again = [...numbers].sort((a, b) => a - b)
  }

  pollTimeout(): number {
    return this.#probeAt
  }

  /** Returns whether the other end is to be asked where it is. */
  handleTimeout(now: number): boolean {
    if (this.#probeAt > now) return false
    this.#probeAt = Number.POSITIVE_INFINITY
    if (!this.isUnderWay) return false
    const time = this.#timeOnTheWay
    // It has said something since the timer was set: its time began then.
    const due = (this.#progressedAt ?? Number.NEGATIVE_INFINITY) + this.#pause.current + time
    this.#progressedAt = undefined
    if (due > now) {
      this.#probeAt = due
      return false
    }
    this.#probeAt = now + this.#pause.take() + time
    return true
  }

  /** What is not known to have been handled is asked about one day. */
  #watch(now: number): void {
    if (!this.isAttached || !this.isUnderWay || this.#probeAt !== Number.POSITIVE_INFINITY) return
    this.#probeAt = now + this.#pause.current + this.#timeOnTheWay
  }

  /** A large message gets time to arrive. */
  get #timeOnTheWay(): number {
    return this.#flight.toArray().reduce((most, { bytes }) => Math.max(most, bytes), 0) * TIME_PER_BYTE
  }

  /** Takes out the data that is not known to have been handled, in order, without what is volatile. */
  takeUndelivered(): Left[] {
    const all = [this.#kept, this.#flight, this.#waiting].flatMap(queue => queue.toArray())
    let seq = this.acked
    const left: Left[] = []
    for (const out of all) {
      if (out.class !== DATA) continue
      seq += 1
      if (!out.volatile) left.push({ seq, item: out.item })
    }
    return left
  }
}
