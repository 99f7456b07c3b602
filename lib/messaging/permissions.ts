// What the server has recently refused: for a while it is not asked again.
import { Failure } from '../values/failure'

export interface Refusal {
  message: string
  subject: string
  type: 'pub' | 'sub'
}

/** Milliseconds for which a refusal is remembered, as in Conat. */
const REFUSAL_LIFETIME = 60_000
/** Refusals that are remembered; beyond this the oldest is forgotten. */
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

  /** Forgets everything: after a new sign-in it may be another user. */
  clear(): void {
    this.#refusals.clear()
  }

  /** Returns the remembered refusal, if there is one. */
  refused(type: Refusal['type'], subject: string, now: number = Date.now()): Failure | undefined {
    if (this.#refusals.size === 0) return undefined
    const key = keyOf(type, subject)
    const refusal = this.#refusals.get(key)
    if (refusal === undefined) return undefined
    if (refusal.until > now) return new Failure(403, refusal.message)
    this.#refusals.delete(key)
    return undefined
  }
}

function keyOf(type: string, subject: string): string {
  return `${type} ${subject}`
}
