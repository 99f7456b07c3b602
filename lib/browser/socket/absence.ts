// The absence of the server: known at once, survived for a while. A server that is back within SETTLE goes on as if nothing
// was; later the socket is `disconnected`, requests over it end, and at last it is lost: where nobody would say that it is back,
// not before it was looked up once more.

/** What is due. */
export type Step = 'settled' | 'requests-over' | 'look' | 'lost'
/** How the server went away. */
export type Loss = 'ended' | 'silent'

/** An absence that is shorter is not reported, in ms. */
const SETTLE = 300
/** How long requests wait for its return. */
const ANSWER_GRACE = 1500
/** How long the server is waited for while there is another one; and otherwise, up to half as long again. */
const GRACE = 2000
const PATIENCE = 30_000
/** Clients that lose one server move to others at this rate, a ms; over at most so many ms. */
const CROWD = 5
const MAX_SPREAD = 5000
/** How long the answer to the last look may take. */
const LAST_LOOK = 2000
/** How much of our own absence counts: others pause before they reconnect for as long as we do. */
const MAX_OWN_ABSENCE = 15_000
/** Of a shorter one: their pauses are shorter than GRACE. */
const SHORT_ABSENCE = 10_000
const NEVER = Number.POSITIVE_INFINITY

export interface Absent {
  readonly loss: Loss
  /** Its return is awaited for a moment before the application is told. */
  readonly settles: boolean
  readonly ownAbsence: number
  readonly crowd: number
}

export class Absence {
  #loss: Loss | undefined
  #settlesAt = NEVER
  #requestsUntil = NEVER
  #lostIfOthersAt = NEVER
  #lostAt = NEVER
  #isTold = false
  #areRequestsOver = false
  /** Until when the answer to the last look is awaited, once there was one. */
  #looksUntil: number | undefined
  hasOthers = false
  /** Nobody says whether the server is there. */
  isUntold = false
  /** `place`: where among all clients this one is, 0 to 1. */
  readonly #place: number
  readonly #resumeTimeout: number | undefined

  constructor(place: number, resumeTimeout: number | undefined) {
    this.#place = place
    this.#resumeTimeout = resumeTimeout
  }

  get loss(): Loss | undefined {
    return this.#loss
  }

  /** How long it waits at most for what it has lost. */
  get patience(): number {
    return this.#resumeTimeout ?? PATIENCE * (1 + this.#place / 2)
  }

  get failsRequests(): boolean {
    return this.#loss !== undefined && this.#areRequestsOver
  }

  /** Begins, unless the server is away already. Returns whether it did. */
  begin(now: number, { loss, settles, ownAbsence, crowd }: Absent): boolean {
    if (this.#loss !== undefined) return false
    const own = Math.min(ownAbsence, MAX_OWN_ABSENCE)
    const spread = Math.min(crowd / CROWD, MAX_SPREAD) * this.#place
    this.#loss = loss
    this.#isTold = !settles
    this.#areRequestsOver = this.hasOthers = false
    this.#settlesAt = settles ? now + SETTLE : NEVER
    this.#requestsUntil = now + ANSWER_GRACE + own
    this.#lostIfOthersAt = now + (this.#resumeTimeout ?? GRACE + spread + (own < SHORT_ABSENCE ? 0 : own))
    this.#lostAt = now + this.patience
    return true
  }

  /** Ends. Returns whether the application was told of it; `undefined` if there was none. */
  end(): boolean | undefined {
    if (this.#loss === undefined) return undefined
    this.#loss = undefined
    this.#settlesAt = this.#requestsUntil = this.#lostIfOthersAt = this.#lostAt = NEVER
    this.#looksUntil = undefined
    return this.#isTold
  }

  get #endsAt(): number {
    return this.hasOthers ? Math.min(this.#lostIfOthersAt, this.#lostAt) : this.#lostAt
  }

  get lostAt(): number {
    return this.#endsAt
  }

  pollTimeout(): number {
    return Math.min(this.#settlesAt, this.#requestsUntil, this.#looksUntil ?? this.#endsAt)
  }

  /** It was looked up, and is not there. */
  handleMissed(): void {
    this.#looksUntil = 0
  }

  /** Returns what is due, each once; the end comes last. */
  pollStep(now: number): Step | undefined {
    const isOver = this.#endsAt <= now
    if (this.#settlesAt !== NEVER && (this.#settlesAt <= now || isOver)) {
      this.#settlesAt = NEVER
      this.#isTold = true
      return 'settled'
    }
    if (this.#requestsUntil !== NEVER && (this.#requestsUntil <= now || isOver)) {
      this.#requestsUntil = NEVER
      this.#areRequestsOver = true
      return 'requests-over'
    }
    if (!isOver || !this.isUntold || this.#loss === 'silent') {
      this.#looksUntil = undefined
      return isOver ? 'lost' : undefined
    }
    if (this.#looksUntil === undefined) {
      this.#looksUntil = now + LAST_LOOK
      return 'look'
    }
    return this.#looksUntil <= now ? 'lost' : undefined
  }
}
