// Requests of a socket that renews itself, with what they say: those that no server has had are asked again, at the
// next one, in the order of the calls and in line with what was written.
import { startTimer, type Timer } from '../async/timer'
import * as commands from '../engine/commands'
import type { Outgoing } from '../engine/outgoing'
import type { ClientContext } from '../messaging/client-context'
import { MessageData } from '../messaging/message'
import { prepare } from '../messaging/prepare'
import { Failure } from '../values/failure'
import { socketHeadersText } from '../values/headers'

interface Kept {
  readonly key: number
  readonly message: MessageData
  readonly wait: commands.Wait
  /** In ms since 1970. */
  readonly deadline: number
  /** The number of the message of data that it stands behind. */
  behind: number
  /** Why the server that had it in its line did not take it. */
  failure?: Failure
  timer?: Timer
}

/** The socket. */
interface KeptOwner {
  readonly engineHandle: number
  /** How many messages of data have been written. */
  readonly written: number
  /** Whether there is no socket of the engine below it. */
  readonly isBetween: boolean
  openRequests(): { settle(key: number, failure: Failure): boolean }
}

/** Failures of requests that another server may take: the socket has closed, or its server is leaving. */
const RETRIED: ReadonlySet<number | string> = new Set(['EPIPE', 'ERR_DRAINING'])

export class KeptRequests {
  readonly #owner: KeptOwner
  readonly #context: ClientContext
  /** In the order of the calls. */
  readonly #kept: Map<number, Kept> = new Map()

  constructor(owner: KeptOwner, context: ClientContext) {
    this.#owner = owner
    this.#context = context
  }

  /** Keeps a request that is about to leave. Returns whether it has to wait for the next server. */
  keep(key: number, wait: commands.Wait, outgoing: Outgoing): boolean {
    const kept: Kept = {
      key,
      message: new MessageData(outgoing.copy()),
      wait,
      deadline: Date.now() + wait.timeout,
      behind: this.#owner.written,
    }
    this.#kept.set(key, kept)
    if (!this.#owner.isBetween) return false
    this.#hold(kept)
    return true
  }

  /** Drops a request that is settled. */
  drop(key: number): void {
    this.#kept.get(key)?.timer?.stop()
    this.#kept.delete(key)
  }

  /** Holds one that failed, if another server may take it. Returns whether. */
  hold(key: number, failure: Failure): boolean {
    const kept = this.#kept.get(key)
    if (kept === undefined || failure.details?.handled !== false || !RETRIED.has(failure.code)) return false
    kept.failure = failure
    this.#hold(kept)
    return true
  }

  /** Holds all: the engine knows nothing of them any more. */
  holdAll(): void {
    for (const kept of this.#kept.values()) this.#hold(kept)
  }

  /** Whether a request waits for the next server: no one before has taken it. */
  isWaiting(key: number): boolean {
    return this.#kept.get(key)?.timer !== undefined
  }

  /** Returns why a request was not taken by the last server, if it waits for another one and that is known. */
  failureOf(key: number): Failure | undefined {
    return this.#kept.get(key)?.failure
  }

  /** Asks those again that stand before this message of data. */
  askAgain(before: number): void {
    const { engineHandle: handle } = this.#owner
    for (const kept of this.#kept.values()) {
      if (kept.behind >= before || kept.timer === undefined) continue
      kept.timer.stop()
      kept.timer = undefined
      kept.failure = undefined
      kept.behind = this.#owner.written
      const timeout = Math.ceil(kept.deadline - Date.now())
      const message = prepare(kept.message, undefined, Number.POSITIVE_INFINITY, socketHeadersText)
      commands.socketAsk(this.#context.handle, handle, kept.key, { ...kept.wait, timeout }, message)
    }
  }

  #hold(kept: Kept): void {
    kept.timer ??= startTimer(Math.max(1, kept.deadline - Date.now()), () => {
      const text = 'timeout: no server has taken the request, which waited for the next one'
      this.#owner.openRequests().settle(kept.key, new Failure(408, text, kept.failure, { handled: false }))
    })
  }
}
