// Connections before they are one: what `accept` decides, how many may wait for it, and their numbers.
import type { ServerOptions } from '../../types/net'
import { startTimer } from '../async/timer'
import { ACCEPT_TIMEOUT, BACKLOG } from './options'
import { rowOf } from './row'
import { list, unlist } from './table'
import type { Transport } from './transport'

const MAX_PORT = 65_535
/** What netstat shows of a connection that is none yet. */
const UNDECIDED = {
  proto: 'stream',
  server: null,
  localPort: 0,
  remotePort: 0,
  readableLength: 0,
  bytesWritten: 0,
  writableLength: 0,
  writableEnded: false,
} as const

export class Accepting {
  /** Connections that may wait: for their turn, and for the answer of `accept`. */
  backlog = BACKLOG
  readonly #options: ServerOptions
  readonly #undecided = new Map<Transport, () => void>()
  #port = 0
  readonly #ports = new Set<number>()

  readonly #handleUndecided: (id: string) => void

  /** `handleUndecided` is called for a connection that was gone before `accept` has decided. */
  constructor(options: ServerOptions, handleUndecided: (id: string) => void) {
    this.#options = options
    this.#handleUndecided = handleUndecided
  }

  get waiting(): number {
    return this.#undecided.size
  }

  /** Returns whether one more may wait beside so many that are not its turn yet. */
  hasRoom(others: number): boolean {
    return this.#undecided.size + others < this.backlog
  }

  /** Asks the application, if it wants to be asked, and calls `take`, or refuses. */
  decide(
    transport: Transport,
    info: { subject: string; id: string; remoteAddress: string },
    take: () => void,
  ): void {
    const { accept } = this.#options
    const acceptTimeout = this.#options.acceptTimeout ?? ACCEPT_TIMEOUT
    if (accept == null) {
      take()
      return
    }
    if (!this.hasRoom(0)) {
      transport.reset('ECONNREFUSED')
      return
    }
    // What comes early waits, unacknowledged.
    transport.session.pause()
    const refuse = (code: string): void => {
      if (!this.#settle(transport)) return
      transport.reset(code)
    }
    const timer = acceptTimeout > 0 ? startTimer(acceptTimeout, () => refuse('ETIMEDOUT')) : undefined
    const listed = {
      row: () => rowOf({ ...UNDECIDED, localAddress: info.subject, remoteAddress: info.id }, transport),
    }
    list(listed)
    this.#undecided.set(transport, () => {
      timer?.stop()
      unlist(listed)
    })
    transport.onGone(() => this.#settle(transport))
    void (async () => {
      try {
        await accept(info)
      } catch (error) {
        const { code } = (error ?? {}) as { code?: unknown }
        refuse(typeof code === 'string' ? code : 'ECONNREFUSED')
        return
      }
      if (this.#settle(transport)) take()
      else this.#handleUndecided(info.id)
    })()
  }

  /** Refuses all that are undecided: nobody accepts any more. */
  refuseAll(): void {
    for (const transport of [...this.#undecided.keys()]) {
      this.#settle(transport)
      transport.reset('ECONNREFUSED')
    }
  }

  /** Returns the next number that no open socket has. */
  takePort(): number {
    do this.#port = (this.#port % MAX_PORT) + 1
    while (this.#ports.has(this.#port) && this.#ports.size < MAX_PORT)
    this.#ports.add(this.#port)
    return this.#port
  }

  /** A socket is closed: another one may have its number. */
  freePort(port: number): void {
    this.#ports.delete(port)
  }

  #settle(transport: Transport): boolean {
    const stop = this.#undecided.get(transport)
    stop?.()
    return this.#undecided.delete(transport)
  }
}
