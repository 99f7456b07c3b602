// Calls that wait for an answer, each with its deadline.
import { PacketError } from '../errors'
import type { Entry } from '../registry/entry'
import { startTimer, stopTimer, type Timer } from '../timer'

export interface OpenCall {
  readonly entry: Entry
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly deadline: number
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly onAbort: (() => void) | undefined
}

export class Calls {
  readonly #open = new Map<number, OpenCall>()
  readonly #handleExpired: (call: number) => void
  /** There is one timer, for what is next; it stays when that was answered meanwhile. */
  #timer: Timer | undefined
  #due = Number.POSITIVE_INFINITY

  /** `handleExpired` is called with each call that got no answer in time, after it was closed. */
  constructor(handleExpired: (call: number) => void) {
    this.#handleExpired = handleExpired
  }

  get size(): number {
    return this.#open.size
  }

  get(call: number): OpenCall | undefined {
    return this.#open.get(call)
  }

  add(number: number, call: OpenCall): void {
    this.#open.set(number, call)
    if (call.deadline < this.#due) this.#arm(call.deadline)
  }

  /** Takes a call out; its promise is the caller's to settle. */
  take(number: number): OpenCall | undefined {
    const call = this.#open.get(number)
    if (call === undefined) return undefined
    this.#open.delete(number)
    if (call.onAbort !== undefined) call.signal?.removeEventListener('abort', call.onAbort)
    return call
  }

  /** Takes all out. */
  takeAll(): OpenCall[] {
    this.#disarm()
    return [...this.#open.keys()].map(number => this.take(number) as OpenCall)
  }

  #arm(deadline: number): void {
    this.#disarm()
    this.#due = deadline
    this.#timer = startTimer(() => this.#expire(), deadline - performance.now())
  }

  #disarm(): void {
    stopTimer(this.#timer)
    this.#timer = undefined
    this.#due = Number.POSITIVE_INFINITY
  }

  #expire(): void {
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const [number, { deadline, entry, timeout }] of this.#open) {
      if (deadline > now) {
        next = Math.min(next, deadline)
        continue
      }
      const problem = `no answer within ${timeout} ms`
      this.take(number)?.reject(
        new PacketError(`${entry.name}: ${problem}`, 'ERR_PACKET_TIMEOUT', {
          packet: entry.name,
          reason: problem,
        }),
      )
      this.#handleExpired(number)
    }
    this.#disarm()
    if (next < Number.POSITIVE_INFINITY) this.#arm(next)
  }
}
