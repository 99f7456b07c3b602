// New connections, so many in a turn of the event loop: the sockets that there are do not wait behind a flood of them.
import { nextTurn } from '../values/platform'
import type { Transport } from './transport'

/** What is behind these in the queue of events waits no longer than they take. */
const MAX_ARRIVALS_A_TURN = 64

export class Arrivals {
  readonly #take: (transport: Transport) => void
  #later: Transport[] = []
  #left = MAX_ARRIVALS_A_TURN
  #isScheduled = false

  /** `take` is called with each of them that has not gone meanwhile, in order. */
  constructor(take: (transport: Transport) => void) {
    this.#take = take
  }

  /** Takes it now, or in a later turn. */
  add(transport: Transport): void {
    if (this.#left > 0 && this.#later.length === 0) {
      this.#left -= 1
      this.#take(transport)
    } else {
      // What comes early waits, unacknowledged.
      transport.session.pause()
      this.#later.push(transport)
    }
    if (this.#isScheduled) return
    this.#isScheduled = true
    nextTurn(this.#goOn)
  }

  /** Connections that wait for their turn. */
  get waiting(): number {
    return this.#later.length
  }

  /** Takes none of those that wait. Returns them. */
  drop(): Transport[] {
    const dropped = this.#later
    this.#later = []
    return dropped
  }

  #goOn = (): void => {
    this.#isScheduled = false
    this.#left = MAX_ARRIVALS_A_TURN
    let at = 0
    while (at < this.#later.length && this.#left > 0) {
      const transport = this.#later[at++] as Transport
      // Whoever connects and resets has cost no more than that.
      if (transport.isReleased || transport.session.state === 'closed') continue
      this.#left -= 1
      this.#take(transport)
    }
    // A listener may have closed the server: then nothing is left.
    this.#later = this.#later.slice(at)
    if (this.#later.length === 0) return
    this.#isScheduled = true
    nextTurn(this.#goOn)
  }
}
