// Who has signed in to the monitor of a broker, and who guesses at its password.
import { randomBytes } from 'node:crypto'
import { isSame, networkOf } from './pages'

/** Milliseconds for which a session lasts. */
export const SESSION_TIME = 12 * 3600 * 1000
/** Failures of one address, of IPv6 of one /64, within a minute after which nobody is asked there. */
const MAX_FAILURES = 5
const MINUTE = 60_000
const MAX_SESSIONS = 1000
const MAX_ADDRESSES = 10_000

export class Sessions {
  readonly #password: string
  /** Until when each is good. */
  readonly #open = new Map<string, number>()
  /** When the failures of a network were. */
  readonly #failures = new Map<string, number[]>()

  constructor(password: string) {
    this.#password = password
  }

  /** Returns a new session; `wrong` is the password, or `wait` for a minute. */
  signIn(password: string, address: string): { session: string } | 'wrong' | 'wait' {
    const verdict = this.check(password, address)
    if (verdict !== 'right') return verdict
    const session = randomBytes(32).toString('base64url')
    keepNewest(this.#open, MAX_SESSIONS)
    this.#open.set(session, performance.now() + SESSION_TIME)
    return { session }
  }

  /** Returns whether it is the password, of whoever may still guess. */
  check(password: string, address: string): 'right' | 'wrong' | 'wait' {
    const now = performance.now()
    const network = networkOf(address)
    const recent = (this.#failures.get(network) ?? []).filter(at => now - at < MINUTE)
    if (recent.length >= MAX_FAILURES) return 'wait'
    if (isSame(password, this.#password)) return 'right'
    this.#failures.delete(network)
    keepNewest(this.#failures, MAX_ADDRESSES)
    this.#failures.set(network, [...recent, now])
    return 'wrong'
  }

  has(session: string): boolean {
    const until = this.#open.get(session)
    if (until === undefined) return false
    if (performance.now() < until) return true
    this.#open.delete(session)
    return false
  }

  signOut(session: string): void {
    this.#open.delete(session)
  }
}

/** Makes room for one more. */
function keepNewest(map: Map<string, unknown>, most: number): void {
  const [oldest] = map.keys()
  if (map.size >= most && oldest !== undefined) map.delete(oldest)
}
