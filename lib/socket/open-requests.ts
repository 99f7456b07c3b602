// The requests over a socket that wait for their answers, by key.
import { onAbort } from '../async/aborts'
import type { InFlight } from '../async/in-flight'
import { release, retain } from '../engine/process-ref'
import type { ClientContext } from '../messaging/client-context'
import type { Message } from '../messaging/message'
import { Failure } from '../values/failure'
import { noteSettled } from '../values/throw-async'

interface Open {
  readonly settle: (outcome: Message | Failure) => void
  readonly inFlight: InFlight
  readonly unwatch: (() => void) | undefined
  readonly begun: number
}

export class OpenRequests {
  readonly #context: ClientContext
  readonly #open: Map<number, Open> = new Map()

  constructor(context: ClientContext) {
    this.#context = context
  }

  get size(): number {
    return this.#open.size
  }

  /** Adds a request, which keeps the process alive. Never rejects. Calls `abort` when the signal is aborted. */
  add(
    key: number,
    inFlight: InFlight,
    signal: AbortSignal | undefined,
    abort: (key: number, signal: AbortSignal) => void,
  ): Promise<Message | Failure> {
    inFlight.begin()
    this.#context.awaited.begin()
    retain()
    const begun = this.#context.counters.beginRequest()
    return new Promise(settle => {
      const unwatch = signal && onAbort(signal, () => abort(key, signal))
      this.#open.set(key, { settle, inFlight, unwatch, begun })
    })
  }

  /** Settles a request, which may be answered with an error. Returns whether it was open. */
  settle(key: number, outcome: Message | Failure, isAnswered = !(outcome instanceof Failure)): boolean {
    const open = this.#open.get(key)
    if (open === undefined) return false
    this.#open.delete(key)
    open.settle(outcome)
    this.#context.counters.endRequest(open.begun, isAnswered ? undefined : (outcome as Failure).code)
    noteSettled()
    open.inFlight.end()
    this.#context.awaited.end()
    release()
    open.unwatch?.()
    return true
  }

  keys(): number[] {
    return [...this.#open.keys()]
  }
}
