// The application's requests that stand in one line with its data: asked, answered, given up.
import { type Failure, unhandled } from '../../values/failure'
import {
  ABORTED,
  ANSWER,
  ANSWER_END,
  ANSWER_MORE,
  AWAY,
  type CancelReason,
  cancelItem,
  keyOf,
  REFUSAL,
  readAnswer,
  readRefusal,
  requestItem,
  TIMEOUT,
} from '../stream/items'
import type { SendQueue } from '../stream/send-queue'
import { WireError } from '../wire/bytes'
import type { Item } from '../wire/publication'
import { MAX_OPEN, OpenRequests } from './open-requests'
import { requestFailures } from './reasons'

const MAX_WAITING_BYTES = 64 * 1024 * 1024
const NEVER = Number.POSITIVE_INFINITY

export class LineRequests {
  readonly #sender: SendQueue
  readonly #open = new OpenRequests<Item | Failure>()

  constructor(sender: SendQueue) {
    this.#sender = sender
  }

  get open(): number {
    return this.#open.size
  }

  /** Asks. Returns the key, or why not. */
  ask(
    now: number,
    asked: Item,
    timeout: number,
    settle: (outcome: Item | Failure) => void,
  ): number | Failure {
    const waiting = this.#sender.waitingBytes[1] as number
    if (this.#open.size >= MAX_OPEN || waiting > MAX_WAITING_BYTES) return requestFailures.full()
    const key = this.#open.add({ deadline: timeout > 0 ? now + timeout : NEVER, settle })
    this.#sender.write(requestItem(key, timeout, asked))
    return key
  }

  /** The application does not wait for the answer any more. */
  cancel(key: number, failure: Failure): void {
    if (!this.#open.has(key)) return
    this.#open.settle(key, this.#giveUp(key, ABORTED) ? unhandled(failure) : failure)
  }

  /** Takes back a settled request, or cancels it if it has left. Returns whether it had not left. */
  #giveUp(key: number, reason: CancelReason): boolean {
    if (this.#sender.withdraw(other => other === key).length > 0) return true
    this.#sender.write(cancelItem(key, reason))
    return false
  }

  pollTimeout(): number {
    return this.#open.pollTimeout()
  }

  handleTimeout(now: number, isReady: boolean): void {
    for (const key of this.#open.expired(now)) {
      const isUnsent = this.#giveUp(key, TIMEOUT)
      const isNotReady = isUnsent && !isReady
      this.#open.settle(key, isNotReady ? requestFailures.notReady() : requestFailures.timeout(isUnsent))
    }
  }

  /** What came in place of an answer, or is one. @throws {WireError} it was never asked for */
  handleAnswer(item: Item): void {
    const { encoding } = item
    if (encoding === REFUSAL) {
      const { key, isHandled, code, message } = readRefusal(item)
      this.#settle(key, requestFailures.refused(code, message, !isHandled))
    } else if (encoding === ANSWER || encoding === ANSWER_MORE) {
      const { key, answer } = readAnswer(item)
      this.#settle(key, answer)
    } else if (encoding === ANSWER_END) this.#settle(keyOf(item), requestFailures.noAnswer())
  }

  #settle(key: number, outcome: Item | Failure): void {
    if (!this.#open.wasAsked(key)) throw new WireError('an answer to what was never asked')
    this.#open.settle(key, outcome)
  }

  /** The server is away for too long: those that have left may have been handled, the others were not. */
  failOfAbsence(): void {
    const unsent = new Set(this.#sender.withdraw(() => true))
    for (const key of this.#open.keys) {
      const isUnsent = unsent.has(key)
      if (!isUnsent) this.#sender.write(cancelItem(key, AWAY))
      this.#open.settle(key, isUnsent ? requestFailures.away() : requestFailures.awayAfterAll())
    }
  }

  /** The server leaves in order, and has said how many requests it has handled: the others never will be. */
  failUnhandled(): void {
    for (const key of this.#sender.unhandledRequests) this.#open.settle(key, requestFailures.left())
  }

  /** The socket is at its end. */
  failAll(cause: Failure | undefined): void {
    const unsent = new Set(this.#sender.withdraw(() => true))
    for (const key of this.#open.keys) this.#open.settle(key, requestFailures.closed(unsent.has(key), cause))
  }
}
