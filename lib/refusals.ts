// What the server has refused a moment ago, so that it is not asked again.
import { FabricError } from './errors'

const LIFETIME_MS = 60_000
const MAX_REMEMBERED = 1000

interface Refused {
  message: string
  until: number
}

/** Refusals by type and subject. At the bound the oldest is forgotten. */
export class Refusals {
  readonly #refused = new Map<string, Refused>()

  remember(type: 'pub' | 'sub', subject: string, message: string): void {
    const key = `${type} ${subject}`
    this.#refused.delete(key)
    if (this.#refused.size >= MAX_REMEMBERED) {
      for (const oldest of this.#refused.keys()) {
        this.#refused.delete(oldest)
        break
      }
    }
    this.#refused.set(key, { message, until: performance.now() + LIFETIME_MS })
  }

  /** @throws {FabricError} 403 */
  check(type: 'pub' | 'sub', subject: string): void {
    if (this.#refused.size === 0) return
    const key = `${type} ${subject}`
    const refused = this.#refused.get(key)
    if (refused === undefined) return
    if (performance.now() < refused.until) throw new FabricError(refused.message, 403)
    this.#refused.delete(key)
  }

  clear(): void {
    this.#refused.clear()
  }
}
