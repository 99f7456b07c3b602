// What is said to another server: at once while its link has room, else in order when it has.
import { MessageData } from '../messaging/message'
import { prepare } from '../messaging/prepare'
import { socketHeadersText } from '../values/headers'
import type { Link } from './host'
import { decodePeer, encodePeer, type PeerMessage } from './messages'

/** Messages that wait for a link whose window is full, and their bytes. */
export const MAX_WAITING = 100_000
export const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** What a waiting message takes beside its bytes. */
const WAITING_SIZE = 200

/** The codes of a link whose window is full, and of one that is closed or ending. */
const FULL = 'ENOBUFS'
const ENDED = 'EPIPE'

/** A message to other servers, encoded once for all that have it wait. */
export class Said {
  /** What is written. */
  content: unknown
  readonly isBroadcast: boolean
  /** Whether it is not worth waiting for. */
  readonly isVolatile: boolean
  #size: number | undefined

  constructor(message: PeerMessage) {
    this.content = encodePeer(message)
    this.isBroadcast = message.kind === 'write'
    this.isVolatile = message.kind === 'write' && message.broadcast.isVolatile
  }

  /** Keeps it as it was when it was said. Returns what that takes. Whatever was prepared is so no more. */
  keep(): number {
    if (this.#size === undefined) {
      const { encoding, raw } = prepare(this.content, undefined, Infinity, socketHeadersText).copy()
      this.content = new MessageData({ encoding, raw })
      this.#size = raw.length + WAITING_SIZE
    }
    return this.#size
  }
}

export class LinkQueue {
  readonly link: Link
  readonly #maxWaiting: number
  readonly #handleFailure: (isFull: boolean) => void
  #waiting: Said[] = []
  #bytes = 0
  #flowing: Promise<void> | undefined
  /** Broadcasts that were never written. */
  #lost = 0
  #isEnded = false

  /** `handleFailure` ends this: the link does not take something, or more waits than may. */
  constructor(link: Link, maxWaiting: number, handleFailure: (isFull: boolean) => void) {
    this.link = link
    this.#maxWaiting = maxWaiting
    this.#handleFailure = handleFailure
  }

  say(said: Said): void {
    if (this.#isEnded) this.#lose(said)
    else if (this.#flowing !== undefined) this.#wait(said)
    else {
      const failure = this.#write(said)
      if (failure === FULL) this.#wait(said)
      else if (failure !== undefined) {
        this.#lose(said)
        this.#handleFailed(failure)
      }
    }
  }

  /** Resolves when what is said next does not wait. Rejects when the link is closed. */
  async waitUntilWritable(): Promise<void> {
    do {
      await this.#flowing
      await this.link.waitUntilWritable()
    } while (this.#flowing !== undefined)
  }

  /** Resolves when the other side has handled what was said, or is not there to do so. Never rejects. */
  async whenHandled(): Promise<void> {
    await this.#flowing
    await this.link.drain().catch(() => {})
  }

  /** Writes nothing any more. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const said of this.#waiting) this.#lose(said)
    this.#waiting = []
    this.#bytes = 0
  }

  /** The broadcasts that have not arrived as far as is known. The link is closed. */
  get undelivered(): number {
    const isBroadcast = ({ data }: { data: unknown }): boolean => {
      const message = decodePeer(data)
      return message?.kind === 'write' && !message.broadcast.isVolatile
    }
    return this.#lost + this.link.undelivered().filter(isBroadcast).length
  }

  /** Returns the code of why it is not written, if it is not. */
  #write(said: Said): unknown {
    try {
      this.link.write(said.content)
      return undefined
    } catch (error) {
      return (error as { code?: unknown }).code ?? 'unknown'
    }
  }

  #handleFailed(code: unknown): void {
    // One that is ending by itself is not given up.
    if (code === ENDED) this.end()
    else this.#handleFailure(false)
  }

  #wait(said: Said): void {
    if (said.isVolatile) return
    const size = said.keep()
    const count = this.#waiting.length
    if (count >= this.#maxWaiting || (count > 0 && this.#bytes + size > MAX_WAITING_BYTES)) {
      this.#lose(said)
      this.#handleFailure(true)
      return
    }
    this.#waiting.push(said)
    this.#bytes += size
    this.#flowing ??= this.#flow()
  }

  /** Writes what waits as there is room for it. Never rejects. */
  async #flow(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        await this.link.waitUntilWritable()
        // One that takes more than is left of the window has it alone.
        if (!this.#flush()) await this.link.drain()
      }
    } catch {
      if (this.link.state === 'closed') this.end()
      else this.#handleFailure(false)
    }
    this.#flowing = undefined
  }

  /** Returns whether any has left. */
  #flush(): boolean {
    let left = 0
    let failure: unknown
    for (const said of this.#waiting) {
      failure = this.#write(said)
      if (failure !== undefined) break
      left += 1
      this.#bytes -= said.keep()
    }
    this.#waiting.splice(0, left)
    if (failure === undefined || failure === FULL) return left > 0
    this.#handleFailed(failure)
    return true
  }

  #lose({ isBroadcast, isVolatile }: Said): void {
    if (isBroadcast && !isVolatile) this.#lost += 1
  }
}
