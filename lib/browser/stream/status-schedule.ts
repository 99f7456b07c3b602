// When a status has to leave although nothing else does. Mostly none has: what one end knows rides on what goes the other way.
import type { Counts } from './items'
import { MAX_IN_FLIGHT_BYTES, Pause, type Window } from './windows'

/** How far one end is. */
export interface Standing {
  readonly counts: Counts
  /** Bytes that have arrived, and bytes of data that were handled. */
  readonly arrivedBytes: number
  readonly handledBytes: number
  /** The data that has arrived is handled. */
  readonly isCaughtUp: boolean
  /** Something is missing. */
  readonly hasGap: boolean
}

/** Data that was handled is said after so many ms, while there is more; anything after so many. */
const LATEST_HANDLED = 20
const LATEST = 100
/** What nobody waits for rides on the first message that leaves after so long. */
const RIDES_AFTER = 10
/** Gaps and duplicates are not told more often. */
const MIN_REPAIR_PAUSE = 20
const NEVER = Number.POSITIVE_INFINITY
/** A window of which this part was handled: the writer should know, or it runs out of room. */
const EARLY_PART = 8

export class StatusSchedule {
  readonly #window: Window
  #said: Counts = { arrived: 0, handled: [0, 0, 0] }
  #saidArrived = 0
  #saidHandled = 0
  #isAsked = false
  /** Something is missing, or came twice. */
  #repairs = false
  #repairedAt = Number.NEGATIVE_INFINITY
  /** The number up to which the latest status said what is missing, how much had arrived by then, and when that is said again. */
  #askedUpto = 0
  #askedFrom = 0
  #askAgainAt = NEVER
  readonly #pause = new Pause()
  #deadline = NEVER
  #isOverdue = false
  /** Since when there is something new that was not said. */
  #newsSince: number | undefined

  /** `window`: the bounds of this end's own data. */
  constructor(window: Window) {
    this.#window = window
  }

  handleQuestion(): void {
    this.#isAsked = true
  }

  handleDuplicate(): void {
    this.#repairs = true
  }

  /** Nothing that was said before counts: what was under way may be lost. */
  attach(): void {
    this.#forgetGap()
  }

  handleStanding({ hasGap }: Standing): void {
    if (!hasGap) this.#forgetGap()
  }

  #forgetGap(): void {
    this.#askAgainAt = NEVER
    this.#askedUpto = 0
    this.#pause.reset()
  }

  /**
   * Whether a status rides on what leaves now: at once where the other end may wait for what it says; else when it has been
   * new for a while, since it costs both ends as much as a message.
   */
  checkRide(now: number, standing: Standing): boolean {
    if (!this.#hasNews(standing)) return false
    this.#newsSince ??= now
    return (
      this.#isAsked ||
      this.#repairs ||
      this.#isOverdue ||
      standing.counts.handled[0] > this.#said.handled[0] ||
      now >= this.#newsSince + RIDES_AFTER ||
      this.wantsMissing(standing) ||
      this.#isEarly(standing)
    )
  }

  /** Whether a status would say anything new. */
  #hasNews(standing: Standing): boolean {
    const { arrived, handled } = standing.counts
    return (
      this.#isAsked ||
      this.#repairs ||
      arrived !== this.#said.arrived ||
      handled.some((count, kind) => count !== this.#said.handled[kind]) ||
      this.wantsMissing(standing)
    )
  }

  /** Whether what is missing is to be said (again). */
  wantsMissing({ hasGap, counts }: Standing): boolean {
    return hasGap && (this.#askAgainAt === NEVER || counts.arrived >= this.#askedUpto)
  }

  /** Whether a status has to leave by itself, now. If not, it will when the time has come. */
  checkDue(now: number, standing: Standing): boolean {
    const isOverdue = this.#isOverdue
    this.#isOverdue = false
    if (!this.#hasNews(standing)) return false
    this.#newsSince ??= now
    if (this.#isAsked || isOverdue || this.#isEarly(standing)) return true
    let latest = now + LATEST
    if (this.#repairs || this.wantsMissing(standing)) {
      if (this.#repairedAt + MIN_REPAIR_PAUSE <= now) return true
      latest = this.#repairedAt + MIN_REPAIR_PAUSE
    } else if (standing.counts.handled[0] > this.#said.handled[0]) latest = now + LATEST_HANDLED
    this.#deadline = Math.min(this.#deadline, latest)
    return false
  }

  #isEarly({ counts, arrivedBytes, handledBytes, isCaughtUp }: Standing): boolean {
    const [data, requests, answers] = counts.handled.map(
      (count, kind) => count - (this.#said.handled[kind] as number),
    ) as [number, number, number]
    const bytes = Math.min(this.#window.bytes, MAX_IN_FLIGHT_BYTES) / EARLY_PART
    return (
      (data > 0 && (isCaughtUp || data * EARLY_PART >= this.#window.messages)) ||
      handledBytes - this.#saidHandled >= bytes ||
      arrivedBytes - this.#saidArrived >= MAX_IN_FLIGHT_BYTES / EARLY_PART ||
      requests >= 500 ||
      answers >= 5000
    )
  }

  /** A status with this standing leaves; with what is missing up to a number, if it says that. */
  handleSaid(now: number, standing: Standing, missingUpto: number | undefined): void {
    this.#said = standing.counts
    this.#saidArrived = standing.arrivedBytes
    this.#saidHandled = standing.handledBytes
    this.#isAsked = this.#isOverdue = false
    this.#newsSince = undefined
    if (this.#repairs || missingUpto !== undefined) this.#repairedAt = now
    this.#repairs = false
    if (missingUpto === undefined) return
    // An end that keeps little of what comes before its turn gets through a long gap bit by bit.
    if (standing.counts.arrived > this.#askedFrom) this.#pause.reset()
    this.#askedFrom = standing.counts.arrived
    this.#askedUpto = missingUpto
    this.#askAgainAt = now + this.#pause.take()
  }

  pollTimeout(): number {
    return Math.min(this.#deadline, this.#askAgainAt)
  }

  handleTimeout(now: number): void {
    if (this.#deadline <= now) {
      this.#deadline = NEVER
      this.#isOverdue = true
    }
    if (this.#askAgainAt <= now) this.#askAgainAt = NEVER
  }
}
