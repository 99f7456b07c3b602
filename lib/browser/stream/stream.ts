// A socket between two ends that both speak the stream (docs/protocols/socket.md). A pure machine: what comes, what is written
// and the time go in, publications come out of the host. Both ends are the same.
import { WireError } from '../wire/bytes'
import {
  bytesOf,
  type Fields,
  type Item,
  MAX_BUNDLE,
  MAX_BUNDLE_BYTES,
  PART_BYTES,
} from '../wire/publication'
import {
  CLOSE,
  type Class,
  type Close,
  closeItem,
  isControl,
  readClose,
  readStatus,
  STATUS,
  type Status,
  statusItem,
} from './items'
import { ReceiveQueue } from './receive-queue'
import type { SendQueue } from './send-queue'
import { type Standing, StatusSchedule } from './status-schedule'
import { ownWindows, type Window } from './windows'

export interface StreamSettings {
  readonly maxQueueSize: number
  readonly maxQueueBytes: number
  readonly keepAlive: number
  readonly keepAliveTimeout: number
}

/** What is around a stream. */
export interface StreamHost {
  /** Sends to the other end; a `probe` is reported when nobody gets it. */
  transmit(fields: Fields, items: Item[], isProbe: boolean): void
  /** Hands over an item. Returns whether the application will say that it has handled it; else it counts at once. */
  deliver(item: Item): boolean
  /** More of what was written is handled. */
  handleAcked(): void
}

/** A status rides with what leaves up to so many bytes: a copy is cheaper than a frame. */
const MAX_JOINED_BYTES = 8 * 1024
/** An end that says more often that it was away is not sent everything again. */
const RETURN_PAUSE = 500
const NEVER = Number.POSITIVE_INFINITY

export class Stream {
  /** What proves that a frame is for us, chosen by us; and what the other end has chosen. */
  readonly ownTag: number
  readonly peerTag: number
  readonly #host: StreamHost
  readonly #sender: SendQueue
  readonly #receiver: ReceiveQueue
  readonly #schedule: StatusSchedule
  readonly #settings: StreamSettings
  #isAttached = false
  #asks = false
  #wasAway = false
  #heardAt = 0
  /** It was asked for a sign of life, and is silent if none has come by then: that is told once. */
  #silentAt = NEVER
  #isAskedForLife = false
  #returnedAt = Number.NEGATIVE_INFINITY
  /** Frames that bore another tag. */
  foreign = 0
  /** Whether anything came that bore our tag. */
  isProven = false

  constructor(
    host: StreamHost,
    sender: SendQueue,
    settings: StreamSettings,
    tags: { own: number; peer: number },
  ) {
    this.#host = host
    this.#sender = sender
    this.#settings = settings
    this.ownTag = tags.own
    this.peerTag = tags.peer
    const { maxQueueSize, maxQueueBytes } = settings
    const windows = ownWindows(maxQueueSize, maxQueueBytes)
    const own: Window = { messages: maxQueueSize, bytes: maxQueueBytes }
    this.#receiver = new ReceiveQueue(windows, { messages: maxQueueSize, bytes: windows[0].bytes })
    this.#schedule = new StatusSchedule(own)
  }

  get isAttached(): boolean {
    return this.#isAttached
  }

  /** Messages of data that were handed over. */
  get received(): number {
    return this.#receiver.received
  }

  get duplicates(): number {
    return this.#receiver.duplicates
  }

  attach(now: number): void {
    this.#isAttached = true
    this.#sender.attach(now)
    this.#schedule.attach()
    this.#heardAt = now
    this.#silentAt = NEVER
    this.#isAskedForLife = false
  }

  detach(): void {
    this.#isAttached = false
    this.#sender.detach()
    this.#silentAt = NEVER
    this.#isAskedForLife = false
  }

  /** We were away, and the other end may not know: it is told, and tells where it is. */
  handleReturn(): void {
    this.#wasAway = this.#asks = true
  }

  /** What a `connect` and its answer say when a socket goes on. */
  attachStatus(): { seq: number; item: Item } {
    const missing = this.#receiver.hasGap ? this.#receiver.missing().ranges : []
    const item = statusItem({ ...this.#receiver.counts, asks: true, wasAway: true, missing })
    return { seq: this.#sender.next, item }
  }

  /** The status in a `connect`, or in its answer. @throws {WireError} */
  handleAttachStatus(now: number, seq: number | undefined, item: Item): void {
    if (seq === undefined || item.encoding !== STATUS) return
    const status = readStatus(item.raw)
    this.#receiver.handleNext(seq)
    this.#returnedAt = Number.NEGATIVE_INFINITY
    this.#handleStatus(now, { ...status, asks: false })
  }

  /** Says that our end closes, behind all that was written. */
  sayClosed(now: number, code: string, message = '', isDraining = false): void {
    this.pump(now)
    const { counts } = this.#receiver
    const item = closeItem({ ...counts, written: this.#sender.written, isDraining, code, message })
    this.#host.transmit(this.#fields(this.#sender.next), [item], false)
  }

  /**
   * Takes what came to us, the first of it with the number `seq`. Returns what the other end says when it closes.
   *
   * @throws {WireError} the other end breaks a rule
   */
  handleItems(now: number, { seq, attempt }: Fields, items: readonly Item[]): Close | 'foreign' | undefined {
    if (attempt !== this.ownTag) {
      this.foreign += 1
      return 'foreign'
    }
    this.#heardAt = now
    if (this.#silentAt !== NEVER) {
      this.#silentAt = NEVER
      this.#isAskedForLife = false
    }
    this.isProven = true
    if (seq === undefined) throw new WireError('a message of a socket without a number')
    for (const [at, item] of items.entries()) {
      const number = seq + at
      if (item.encoding === CLOSE) {
        const close = readClose(item.raw)
        if (this.#sender.handleCounts(now, close)) this.#host.handleAcked()
        return close
      }
      if (!isControl(item.encoding)) {
        this.#receiver.handleItem(number, item)
        // At once: what is in its turn takes no room of what is not.
        this.#handOver()
        continue
      }
      this.#receiver.handleNext(number)
      if (item.encoding === STATUS) this.#handleStatus(now, readStatus(item.raw))
    }
    return undefined
  }

  #handleStatus(now: number, status: Status): void {
    if (this.#sender.handleCounts(now, status)) this.#host.handleAcked()
    if (status.asks) this.#schedule.handleQuestion()
    const { arrived, missing = [], wasAway } = status
    if (wasAway && now >= this.#returnedAt + RETURN_PAUSE) {
      this.#returnedAt = now
      this.#sender.handleMissing(now, arrived, missing, true)
    } else if (missing.length > 0) this.#sender.handleMissing(now, arrived, missing, false)
  }

  #handOver(): void {
    for (let item = this.#receiver.poll(); item !== undefined; item = this.#receiver.poll()) {
      if (!this.#host.deliver(item)) this.#receiver.handleConsumed(classAsserted(item))
    }
  }

  handleConsumed(kind: Class, count = 1): void {
    this.#receiver.handleConsumed(kind, count)
  }

  /** Lets leave what may leave, and says what has to be said. Called when a batch is done with. */
  pump(now: number): void {
    // What was held up by the windows may be handed over now.
    this.#handOver()
    if (this.#receiver.takeDuplicate()) this.#schedule.handleDuplicate()
    if (!this.#isAttached) return
    let last: { first: number; items: Item[] } | undefined
    for (;;) {
      const next = this.#sender.poll(
        now,
        MAX_BUNDLE - 1,
        MAX_BUNDLE_BYTES - (MAX_BUNDLE + 1) * PART_BYTES - 64,
      )
      if (next === undefined) break
      if (last !== undefined) this.#transmit(last.first, last.items)
      last = next
    }
    const standing = this.#standing()
    this.#schedule.handleStanding(standing)
    const isDue =
      last === undefined ? this.#schedule.checkDue(now, standing) : this.#schedule.checkRide(now, standing)
    if (!isDue && !this.#asks) {
      if (last !== undefined) this.#transmit(last.first, last.items)
      return
    }
    const asks = this.#asks
    const status = this.#status(now, standing)
    if (last === undefined) {
      this.#host.transmit(this.#fields(this.#sender.next), [status], asks)
      return
    }
    const isLast = last.first + last.items.length === this.#sender.next
    const bytes = last.items.reduce((sum, item) => sum + bytesOf(item), status.raw.length)
    if (isLast && bytes <= MAX_JOINED_BYTES) this.#transmit(last.first, [...last.items, status])
    else {
      this.#transmit(last.first, last.items)
      this.#transmit(this.#sender.next, [status])
    }
  }

  #standing(): Standing {
    const { counts, arrivedBytes, handledBytes, unconsumed, hasGap } = this.#receiver
    return { counts, arrivedBytes, handledBytes, isCaughtUp: unconsumed === 0, hasGap }
  }

  #status(now: number, standing: Standing): Item {
    const wants = this.#schedule.wantsMissing(standing)
    const { ranges, upto } = wants ? this.#receiver.missing() : { ranges: [], upto: 0 }
    this.#schedule.handleSaid(now, standing, wants ? upto : undefined)
    const item = statusItem({
      ...standing.counts,
      asks: this.#asks,
      wasAway: this.#wasAway,
      missing: ranges,
    })
    this.#asks = this.#wasAway = false
    return item
  }

  #transmit(first: number, items: Item[]): void {
    this.#host.transmit(this.#fields(first), items, false)
  }

  #fields(seq: number): Fields {
    return { seq, attempt: this.peerTag }
  }

  pollTimeout(): number {
    if (!this.#isAttached) return NEVER
    return Math.min(
      this.#schedule.pollTimeout(),
      this.#sender.pollTimeout(),
      this.#silentAt,
      this.#keepAliveAt,
    )
  }

  get #keepAliveAt(): number {
    const { keepAlive } = this.#settings
    return keepAlive > 0 && !this.#isAskedForLife ? this.#heardAt + keepAlive : NEVER
  }

  /** Returns whether the other end is silent. */
  handleTimeout(now: number): boolean {
    this.#schedule.handleTimeout(now)
    if (!this.#isAttached) return false
    if (this.#sender.handleTimeout(now)) this.#asks = true
    if (this.#keepAliveAt <= now) {
      this.#asks = this.#isAskedForLife = true
      this.#silentAt = now + this.#settings.keepAliveTimeout
    }
    const isSilent = this.#silentAt <= now
    if (isSilent) this.#silentAt = NEVER
    return isSilent
  }
}

function classAsserted(item: Item): Class {
  return item.encoding < 0x80 ? 0 : item.encoding <= 0x82 ? 1 : 2
}
