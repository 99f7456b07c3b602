// What `selvedge reply` has begun to answer, and how that ends when the command is stopped.
import type { Client, Message } from '../index'
import { textOf } from './failure'
import { onStop } from './stopping'
import type { Terminal } from './terminal'

interface Settings {
  /** How long what was begun may take when the command is stopped, in ms. */
  drainDeadline: number
  json?: boolean
}

/** Answers a request, until `end` is aborted. */
export type Answer = (request: Message, end: AbortSignal) => Promise<void>

interface Begun {
  readonly request: Message
  readonly end: AbortController
}

export class Answers {
  readonly #client: Client
  readonly #terminal: Terminal
  readonly #settings: Settings
  readonly #begun = new Map<Promise<void>, Begun>()
  readonly #forget: () => void
  #deadline: NodeJS.Timeout | undefined
  #isOver = false

  constructor(client: Client, terminal: Terminal, settings: Settings) {
    this.#client = client
    this.#terminal = terminal
    this.#settings = settings
    this.#forget = onStop(() => this.#drain())
  }

  get size(): number {
    return this.#begun.size
  }

  begin(request: Message, answer: Answer): void {
    const end = new AbortController()
    if (this.#isOver) end.abort(Error(STOPPED))
    const one = answer(request, end.signal)
      .catch(error => {
        const { aborted, reason } = end.signal
        this.#terminal.say(`could not answer on ${request.subject}: ${textOf(aborted ? reason : error)}`)
      })
      .finally(() => this.#begun.delete(one))
    this.#begun.set(one, { request, end })
  }

  /** Resolves when one of them has ended. */
  async next(): Promise<void> {
    await Promise.race(this.#begun.keys())
  }

  /** Resolves when all have ended. */
  async all(): Promise<void> {
    await Promise.all(this.#begun.keys())
    this.#forget()
    clearTimeout(this.#deadline)
  }

  #drain(): void {
    const { drainDeadline, json } = this.#settings
    // Also for what comes until the subscription has ended.
    this.#deadline = setTimeout(() => {
      this.#isOver = true
      for (const { end } of this.#begun.values()) end.abort(Error(STOPPED))
    }, drainDeadline)
    if (this.size === 0) return
    if (json === true) {
      void this.#terminal.json({ event: 'draining', requests: this.size, deadline: drainDeadline })
    }
    const requests = this.size === 1 ? '1 request' : `${this.size} requests`
    this.#terminal.say(`draining: ${requests}, at most ${drainDeadline / 1000} s`)
    for (const begun of this.#begun.values()) void this.#endIfGone(begun)
  }

  /** What nobody waits for any more need not go on. */
  async #endIfGone({ request, end }: Begun): Promise<void> {
    const inbox = (request.headers as Record<string, unknown> | null | undefined)?.['CN-Reply']
    if (typeof inbox !== 'string') return
    const isThere = await this.#client.interest(inbox, { signal: end.signal }).catch(() => true)
    if (!isThere) end.abort(Error(GONE))
  }
}

const STOPPED = 'the command was stopped'
const GONE = 'who asked is gone'
