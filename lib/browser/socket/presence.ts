// What a socket knows of its server's presence: what the broker tells who watches it, and how long it has been away.
import { Absence, type Absent, type Loss, type Step } from './absence'

/** What tells of an end, as long as the connection lasts. */
interface Watcher {
  watch(subject: string, handle: (what: number, crowd: number) => void): () => void
}

export interface PresenceHandlers {
  /** It is there (again). */
  handleHere(): void
  /** It has gone for good. */
  handleGone(): void
  /** It is away, and may come back. */
  handleAway(absent: Absent): void
  /** A newer server has its id. */
  handleReplaced(): void
}

/** What `watch` tells: docs/protocols/fabric.md. */
const ABSENT = 0
const HERE = 1
const HERE_IN_BROKER = 2
// 3: its connection was cut.
const SILENT = 4
const GONE = 5
const LEFT = 6
const REPLACED = 7
const UNKNOWN = 9

export class Presence {
  readonly #watcher: Watcher
  readonly #subject: string
  readonly #handlers: PresenceHandlers
  readonly #absence: Absence
  #unwatch: (() => void) | undefined
  #unwatchOthers: (() => void) | undefined
  /** How long we were away ourselves last. */
  ownAbsence = 0

  constructor(
    watcher: Watcher,
    subject: string,
    handlers: PresenceHandlers,
    settings: { place: number; resumeTimeout: number | undefined },
  ) {
    this.#watcher = watcher
    this.#subject = subject
    this.#handlers = handlers
    this.#absence = new Absence(settings.place, settings.resumeTimeout)
  }

  get loss(): Loss | undefined {
    return this.#absence.loss
  }

  get patience(): number {
    return this.#absence.patience
  }

  get failsRequests(): boolean {
    return this.#absence.failsRequests
  }

  get lostAt(): number {
    return this.#absence.lostAt
  }

  /** Watches the server. */
  watch(server: string): void {
    this.#unwatch ??= this.#watcher.watch(server, (what, crowd) => {
      this.#absence.isUntold = what >= UNKNOWN
      if (what === HERE || what === HERE_IN_BROKER) this.#handlers.handleHere()
      else if (what === LEFT || what === GONE) this.#handlers.handleGone()
      else if (what === REPLACED) this.#handlers.handleReplaced()
      else if (what <= SILENT) {
        const ownAbsence = what === ABSENT ? this.ownAbsence : 0
        const loss = what === SILENT ? 'silent' : 'ended'
        this.#handlers.handleAway({ loss, settles: true, ownAbsence, crowd })
      }
    })
  }

  /** Notes that it is away. While it is there may be another server. */
  begin(since: number, absent: Absent): void {
    if (!this.#absence.begin(since, absent) || absent.loss !== 'ended') return
    this.#unwatchOthers ??= this.#watcher.watch(`${this.#subject}.server.status`, what => {
      this.#absence.hasOthers = what === HERE || what === HERE_IN_BROKER
    })
  }

  /** Ends an absence. Returns whether the application was told of it; `undefined` if there was none. */
  end(): boolean | undefined {
    return this.#absence.end()
  }

  /** The connection is lost, and with it what was watched. */
  forget(): void {
    this.#unwatch = this.#unwatchOthers = undefined
  }

  close(): void {
    this.#unwatch?.()
    this.#unwatchOthers?.()
    this.forget()
  }

  /** It was looked up, and is not there. */
  handleMissed(): void {
    this.#absence.handleMissed()
  }

  pollTimeout(): number {
    return this.#absence.pollTimeout()
  }

  pollStep(now: number): Step | undefined {
    return this.#absence.pollStep(now)
  }
}
