// Warns the process, once for each client, of a broker that is not there, if nothing else tells of it.
import type { Failure } from '../values/failure'

/** Milliseconds without a connection after which it warns. */
const OFFLINE_WARNING = 5000

export class OfflineWarning {
  #isGiven = false

  /** `offline`: for how many milliseconds there has been no connection. */
  give(offline: number, { message }: Failure): void {
    if (this.#isGiven || offline < OFFLINE_WARNING) return
    this.#isGiven = true
    const text = `no connection to a broker for ${Math.round(offline / 1000)} s: ${message}. The client's event 'connectFailed' tells of every attempt.`
    process.emitWarning(text, { code: 'SELVEDGE_OFFLINE' })
  }
}
