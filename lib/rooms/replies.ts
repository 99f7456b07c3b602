// The answers to one request to the members of rooms, as they come: what each has answered, or why it has not.
import { onAbort } from '../async/aborts'
import { AsyncQueue } from '../async/async-queue'
import type { Message } from '../messaging/message'
import { FabricError } from '../values/errors'
import { abortFailure, Failure } from '../values/failure'
import type { RoomHost } from './host'

/** How long is waited, and for how many. */
export interface Patience {
  readonly timeout: number
  readonly maxMessages?: number | undefined
  readonly maxWait?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Bytes that unread answers may take before the loop fails. */
const MAX_BYTES = 64 * 1024 * 1024
/** What an answer takes that is an error. */
const ERROR_BYTES = 1024
/** What is waited for. */
const ASKED = 'the answers did not come'
/** What the answers of another server's members may take on their way, in ms. */
const TRAVEL = 1000

type Reply = Message | FabricError
type Timer = ReturnType<RoomHost['after']>

export class Replies implements AsyncIterableIterator<Reply, undefined> {
  readonly #unread = new AsyncQueue<Reply>()
  /** The servers whose members have not all answered; why, once that is known to fail. */
  readonly #servers = new Set<string>()
  readonly #patience: Patience
  readonly #host: Pick<RoomHost, 'after'>
  readonly #handleEnd: () => void
  readonly #unwatch: (() => void) | undefined
  readonly #late: Timer
  #quiet: Timer | undefined
  #left: number
  #bytes = 0

  /** `handleEnd` is called once: nobody waits for more. */
  constructor(
    host: Pick<RoomHost, 'after' | 'obstacle'>,
    servers: Iterable<string>,
    patience: Patience,
    handleEnd: () => void,
  ) {
    this.#host = host
    this.#patience = patience
    this.#handleEnd = handleEnd
    this.#left = patience.maxMessages ?? Number.POSITIVE_INFINITY
    for (const server of servers) this.#servers.add(server)
    const { timeout, signal } = patience
    this.#late = host.after(timeout + TRAVEL, () => this.#handleLate())
    this.#unwatch = signal && onAbort(signal, () => this.stop(abortFailure(signal, ASKED, host.obstacle)))
  }

  /** A member has answered, or will not. */
  add(reply: Reply): void {
    if (this.#unread.ended) return
    this.#bytes += sizeOf(reply)
    if (this.#bytes > MAX_BYTES) {
      this.stop(new Failure('ENOBUFS', `request: more than ${MAX_BYTES} bytes of answers were not read`))
      return
    }
    this.#unread.push(reply)
    this.#left -= 1
    if (this.#left <= 0) this.stop()
    else this.#waitForNext()
  }

  /** All members of a server have answered, or it is lost. */
  handleServer(id: string, loss?: FabricError): void {
    if (!this.#servers.delete(id)) return
    if (loss !== undefined) this.add(loss)
    if (this.#servers.size === 0) this.stop()
  }

  stop(failure?: Failure): void {
    if (this.#unread.ended) return
    this.#unread.end(failure)
    this.#late.stop()
    this.#quiet?.stop()
    this.#unwatch?.()
    this.#handleEnd()
  }

  async next(): Promise<IteratorResult<Reply, undefined>> {
    const result = await this.#unread.next()
    if (!result.done) this.#bytes -= sizeOf(result.value)
    return result
  }

  async return(): Promise<IteratorResult<Reply, undefined>> {
    this.stop()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #waitForNext(): void {
    const { maxWait } = this.#patience
    if (maxWait === undefined) return
    this.#quiet?.stop()
    this.#quiet = this.#host.after(maxWait, () => this.stop())
  }

  /** A server that is away answers for none of its members. */
  #handleLate(): void {
    const { timeout } = this.#patience
    for (const id of [...this.#servers]) {
      const text = `timeout: request: server '${id}' has not said what its members answer after ${timeout} ms`
      this.handleServer(id, new FabricError(text, 408, { ids: [id] }))
    }
  }
}

function sizeOf(reply: Reply): number {
  return reply instanceof FabricError ? ERROR_BYTES + reply.message.length : reply.cost
}
