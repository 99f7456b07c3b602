// The receiving direction of a stream: puts items in order, each once, and hands over what its class has room for.
import { WireError } from '../wire/bytes'
import { bytesOf, type Item } from '../wire/publication'
import { type Class, type Counts, checkItem, classOf, DATA, type Range } from './items'
import { ledgers, MAX_RESEND, RESEND_OVERHEAD, type Window, type Windows } from './windows'

/** No window is that wide: a number further ahead is no number of this stream. */
const MAX_JUMP = 1 << 24
const MAX_RANGES = 256
const MAX_NUMBERS = 1000

export class ReceiveQueue {
  readonly #windows: Windows
  /** What may come before its turn. */
  readonly #keeps: Window
  readonly #outOfOrder = new Map<number, Item>()
  #outOfOrderBytes = 0
  #next = 1
  /** The highest number that is known to exist. */
  #highest = 0
  #largest = 1
  readonly #unhandled = ledgers()
  readonly #handled: [number, number, number] = [0, 0, 0]
  arrivedBytes = 0
  handledBytes = 0
  duplicates = 0
  #hasDuplicate = false

  constructor(windows: Windows, keeps: Window) {
    this.#windows = windows
    this.#keeps = keeps
  }

  /** @throws {WireError} it should never have come */
  handleItem(seq: number, item: Item): void {
    this.#checkNumber(seq)
    checkItem(item)
    this.#highest = Math.max(this.#highest, seq)
    if (seq < this.#next || this.#outOfOrder.has(seq)) {
      this.duplicates += 1
      this.#hasDuplicate = true
      return
    }
    const bytes = bytesOf(item)
    this.#largest = Math.max(this.#largest, bytes)
    // What does not fit is not lost: it has not arrived, so its sender keeps it.
    const fits =
      this.#outOfOrder.size < this.#keeps.messages && this.#outOfOrderBytes + bytes <= this.#keeps.bytes
    if (seq !== this.#next && !fits) return
    this.#outOfOrder.set(seq, item)
    this.#outOfOrderBytes += bytes
  }

  /** The sender will use this number next. @throws {WireError} */
  handleNext(next: number): void {
    this.#checkNumber(next)
    this.#highest = Math.max(this.#highest, next - 1)
  }

  #checkNumber(seq: number): void {
    if (seq === 0 || seq >= this.#next + MAX_JUMP) throw new WireError(`the number ${seq}, far ahead`)
  }

  /** The next item for the application, in order. */
  poll(): Item | undefined {
    const item = this.#outOfOrder.get(this.#next)
    if (item === undefined) return undefined
    const kind = classOf(item.encoding) as Class
    if (this.#unhandled[kind].isFull(this.#windows[kind])) return undefined
    const bytes = bytesOf(item)
    this.#outOfOrder.delete(this.#next)
    this.#outOfOrderBytes -= bytes
    this.arrivedBytes += bytes
    this.#next += 1
    this.#unhandled[kind].push(bytes)
    return item
  }

  handleConsumed(kind: Class, count = 1): void {
    const unhandled = this.#unhandled[kind]
    this.#handled[kind] += Math.min(count, unhandled.count)
    const bytes = unhandled.remove(count)
    if (kind === DATA) this.handledBytes += bytes
  }

  get counts(): Counts {
    return { arrived: this.#next - 1, handled: [...this.#handled] }
  }

  /** How many messages of data were handed over. */
  get received(): number {
    return this.#handled[DATA] + this.unconsumed
  }

  /** How many messages of data were handed over and not handled. */
  get unconsumed(): number {
    return this.#unhandled[DATA].count
  }

  /** Whether the next item is known to exist, has not come, and has room. */
  get hasGap(): boolean {
    const isFull = this.#unhandled[DATA].isFull(this.#windows[DATA])
    return this.#highest >= this.#next && !this.#outOfOrder.has(this.#next) && !isFull
  }

  /** What it lacks, as a status says it, and the last number of that. */
  missing(): { ranges: Range[]; upto: number } {
    // No more than can be kept, or than the other end sends at once.
    const bytes = Math.min(this.#keeps.bytes, MAX_RESEND)
    let left = Math.min(MAX_NUMBERS, Math.max(1, Math.floor(bytes / (this.#largest + RESEND_OVERHEAD))))
    const ranges: Range[] = []
    let upto = this.#next - 1
    let present = 0
    let cursor = this.#next
    const lack = (to: number): void => {
      const length = Math.min(to - cursor, left)
      if (length > 0 && ranges.length < MAX_RANGES) {
        ranges.push([present, length])
        left -= length
        upto = cursor + length - 1
      } else left = 0
    }
    for (const seq of [...this.#outOfOrder.keys()].sort((a, b) => a - b)) {
      if (seq > cursor) {
        lack(seq)
        present = 0
      }
      if (left === 0) return { ranges, upto }
      present += 1
      cursor = seq + 1
    }
    if (this.#highest >= cursor) lack(this.#highest + 1)
    return { ranges, upto }
  }

  /** Whether something came since the last call that was here already. */
  takeDuplicate(): boolean {
    const had = this.#hasDuplicate
    this.#hasDuplicate = false
    return had
  }
}
