// What the server has lately refused: for a while it is not asked again.
import { Failure } from '../values/failure'

export interface Refusal {
  message: string
  subject: string
  type: 'pub' | 'sub'
}

/** How long a refusal is believed, ms: Conat's. */
const REFUSAL_LIFETIME = 60_000
/** A client that tries more forbidden subjects than this within that time asks about the oldest of them again. */
const MAX_REFUSALS = 1000

export class Permissions {
  readonly #refusals: Map<string, { message: string; until: number }> = new Map()

  remember(refusal: Refusal, now: number = Date.now()): void {
    const key = keyOf(refusal.type, refusal.subject)
    this.#refusals.delete(key)
    this.#refusals.set(key, { message: refusal.message, until: now + REFUSAL_LIFETIME })
    if (this.#refusals.size <= MAX_REFUSALS) return
    const [oldest] = this.#refusals.keys()
    this.#refusals.delete(oldest as string)
  }

  /** Who signs in anew may be somebody else. */
  clear(): void {
    this.#refusals.clear()
  }

  /** Why it is refused without asking, if it is. */
  refused(type: Refusal['type'], subject: string, now: number = Date.now()): Failure | undefined {
    if (this.#refusals.size === 0) return undefined
    const key = keyOf(type, subject)
    const refusal = this.#refusals.get(key)
    if (refusal === undefined) return undefined
    if (refusal.until > now) return new Failure('403', refusal.message)
    this.#refusals.delete(key)
    return undefined
  }
}

function keyOf(type: string, subject: string): string {
  return `${type} ${subject}`
}
