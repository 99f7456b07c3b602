// Whether anybody listens on a subject, asked for all who connect to it: ten thousand of them cost what one does.
import { startTimer, type Timer } from '../async/timer'
import type { Client } from '../client/client'

/** From one answer to the next question, in ms. */
const ASK_AGAIN = 500

/** Who connects. */
export interface Asker {
  /** Nobody listens there. Called at most once. */
  handleNobody(): void
  /** It may not be asked, or there is nobody to answer. */
  handleFailure(error: unknown): void
}

const questions = new WeakMap<Client, Map<string, Question>>()

/**
 * Asks at once, and again and again, until `stop` is called: who was there may have left before it heard of the connect.
 * Returns `stop`.
 */
export function watchForNobody(client: Client, subject: string, asker: Asker): () => void {
  let bySubject = questions.get(client)
  if (bySubject === undefined) questions.set(client, (bySubject = new Map()))
  const found = bySubject.get(subject)
  const question = found ?? new Question(client, subject, () => bySubject.delete(subject))
  if (found === undefined) bySubject.set(subject, question)
  question.join(asker)
  return () => question.leave(asker)
}

class Question {
  readonly #client: Client
  readonly #subject: string
  readonly #handleUnused: () => void
  /** Those whom the next answer is for. */
  #next = new Set<Asker>()
  /** Those whom an answer was for, or the one that is on its way. */
  readonly #asked = new Set<Asker>()
  #isAsking = false
  #timer: Timer | undefined

  constructor(client: Client, subject: string, handleUnused: () => void) {
    this.#client = client
    this.#subject = subject
    this.#handleUnused = handleUnused
  }

  join(asker: Asker): void {
    this.#next.add(asker)
    if (!this.#isAsking) void this.#ask()
  }

  leave(asker: Asker): void {
    this.#next.delete(asker)
    this.#asked.delete(asker)
    if (this.#next.size + this.#asked.size > 0 || this.#isAsking) return
    this.#timer?.stop()
    this.#handleUnused()
  }

  async #ask(): Promise<void> {
    this.#timer?.stop()
    this.#isAsking = true
    for (const asker of this.#next) this.#asked.add(asker)
    this.#next.clear()
    try {
      const isThere = await this.#client.interest(`${this.#subject}.server.status`)
      if (!isThere) for (const asker of [...this.#asked]) this.#tell(asker)
    } catch (error) {
      for (const asker of [...this.#asked]) if (this.#asked.has(asker)) asker.handleFailure(error)
    }
    this.#isAsking = false
    if (this.#next.size > 0) void this.#ask()
    else if (this.#asked.size > 0) this.#timer = startTimer(ASK_AGAIN, () => void this.#ask())
    else this.#handleUnused()
  }

  #tell(asker: Asker): void {
    // One may have left inside of what another one was told.
    if (this.#asked.delete(asker)) asker.handleNobody()
  }
}
