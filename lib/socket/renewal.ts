// A socket that renews itself: when its server is lost or leaves, another socket of the engine takes the place of the
// one below, and gets what that one left behind. The application keeps its object.
import type { Renew } from '../../index'
import { startTimer, type Timer } from '../async/timer'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { SOCKET_COLLECTED, SOCKET_STATE } from '../engine/kinds'
import type { ClientContext } from '../messaging/client-context'
import { MessageData, messageData, type Responder } from '../messaging/message'
import { interest } from '../messaging/requests'
import { FabricError, invalidType } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import type { KeptRequests } from './kept-requests'
import type { Lifecycle } from './lifecycle'
import type { Outbox } from './outbox'
import { type Rewrite, UndeliveredMessage } from './undelivered'

/** The number of a closed state in an event. */
const CLOSED = 3
/** Reasons of a loss: whatever the server did, another one may do better. */
const LOSSES: ReadonlySet<number | string> = new Set(['ERR_SOCKET_LOST', 'ERR_SOCKET_TIMEOUT'])
/** How many servers in a row may be lost with the same message before it is taken for the cause. */
const MAX_SERVERS = 5
/** How long a server that closed one socket has to go away itself, in ms. */
const LEAVING_TIME = 1000
const PROBE_PAUSE = 100
const FIRST_PAUSE = 500
const MAX_PAUSE = 10_000
const PAUSE_GROWTH = 1.3
/** After so many ms at a server the next loss counts as the first one. */
const STABLE_TIME = 1000
/** Messages that `renew` may add to a full window. */
export const EXTRA_MESSAGES = 1000

/** The socket that renews itself. */
export interface RenewalOwner {
  readonly engineHandle: number
  readonly id: string
  readonly subject: string
  readonly state: string
  readonly ended: boolean
  readonly isFinished: boolean
  readonly serverId: string | undefined
  readonly maxQueueSize: number
  readonly maxMessageBytes: number
  readonly outbox: Outbox
  readonly kept: KeptRequests | undefined
  readonly counters: { renewals: number }
  prepareClose(): void
  /** `handleLost` cancels what the other side has asked, and fails what it may have had. */
  openRequests(): { handleLost(reason: Failure): void }
  handleProgress(): void
  /** Opens another socket of the engine in the place of the one that is closed. */
  reopen(): void
}

interface Moved {
  readonly reason: Failure
  readonly undelivered: number
  readonly rewritten: number
}

export class Renewal {
  readonly #owner: RenewalOwner
  readonly #lifecycle: Lifecycle
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #renew: Renew | true
  /** Whether the engine has closed the socket below, and there is no other yet. */
  #isBetween = false
  #timer: Timer | undefined
  /** Collections that the engine has not finished. */
  #collects = 0
  /** Whether the time has come to go on. */
  #isDue = false
  #reason: Failure | undefined
  /** What `renewed` tells when the next server is there. */
  #moved: Moved | undefined
  /** Losses in a row, and servers that were lost with the same first message. */
  #row = 0
  #strikes = 0
  /** Messages in front of the first one of the application, and what was acknowledged before. */
  #added = 0
  #acknowledged = 0
  /** When the socket below was attached, in ms; 0: not yet. */
  #since = 0

  constructor(
    owner: RenewalOwner,
    lifecycle: Lifecycle,
    context: ClientContext,
    responder: Responder,
    renew: Renew | true,
  ) {
    this.#owner = owner
    this.#lifecycle = lifecycle
    this.#context = context
    this.#responder = responder
    this.#renew = renew
  }

  get isBetween(): boolean {
    return this.#isBetween
  }

  /** Reads an event if it is about a socket that ends while this one goes on. Returns whether. */
  handleEvent(kind: number, event: EventReader): boolean {
    if (kind === SOCKET_COLLECTED && this.#collects > 0) {
      this.#collects -= 1
      this.#goOn()
      return true
    }
    if (kind !== SOCKET_STATE || this.#owner.state === 'closed') return false
    const { pos } = event
    if (event.u8() === CLOSED) {
      const code = event.optCode()
      const message = event.str()
      event.u32()
      const isLeaving = event.u8() === 1
      if (code !== null && this.#begin(code, message, isLeaving)) return true
    }
    event.pos = pos
    return false
  }

  /** The socket has become ready. */
  handleReady(now: number): void {
    this.#since = now
    const moved = this.#moved
    if (moved === undefined) return
    this.#moved = undefined
    this.#reason = undefined
    this.#owner.counters.renewals += 1
    const { reason, undelivered, rewritten } = moved
    const server = this.#owner.serverId
    this.#lifecycle.announce('renewed', { reason: errorFrom(reason), undelivered, rewritten, server })
  }

  /** Closes it while there is no socket below: for this reason, unless that is done here. */
  close(reason?: Failure): void {
    this.#owner.prepareClose()
    this.#end(reason)
  }

  #begin(code: number | string, message: string, isLeaving: boolean): boolean {
    const isLoss = LOSSES.has(code)
    if (!isLoss && !isLeaving && code !== 'ERR_SOCKET_CLOSED_BY_PEER') return false
    if (this.#owner.ended && this.#owner.isFinished) return false
    const reason = new Failure(code, message, this.#lifecycle.peerLoss, { draining: isLeaving })
    this.#isBetween = true
    this.#reason ??= reason
    this.#isDue = false
    this.#owner.outbox.hold()
    // What was written before this was known here comes back.
    this.#collects += 1
    commands.collect(this.#context.handle, this.#owner.engineHandle)
    const isPoisoned = isLoss && this.#isPoisoned()
    const isStable = this.#since > 0 && Date.now() - this.#since >= STABLE_TIME
    const isFirst = isStable || this.#hasProgress
    const row = isFirst ? 0 : this.#row
    this.#row = isFirst ? 1 : this.#row + 1
    this.#since = 0
    this.#owner.kept?.holdAll()
    this.#owner.openRequests().handleLost(reason)
    if (isPoisoned) this.#end(this.#poisoned(reason))
    else {
      this.#lifecycle.enter('disconnected', reason)
      // A handler may have closed it.
      if (this.#isBetween) {
        if (isLoss || isLeaving) this.#schedule(row)
        else void this.#probe(reason, row)
      }
    }
    return true
  }

  /** Whether the other side has handled anything that was not added by `renew`. */
  get #hasProgress(): boolean {
    return this.#owner.outbox.acknowledged - this.#acknowledged > this.#added
  }

  /** Counts the servers that were lost with the same first message. Returns whether those are too many. */
  #isPoisoned(): boolean {
    if (this.#since === 0 || this.#owner.outbox.left.length === 0) return false
    this.#strikes = this.#hasProgress ? 1 : this.#strikes + 1
    return this.#strikes >= MAX_SERVERS
  }

  #poisoned(reason: Failure): Failure {
    const text = `the same message has been written to ${MAX_SERVERS} servers, and each was lost before it had handled it`
    return new Failure('ERR_SOCKET_LOST', text, reason)
  }

  /** Goes on at once, or after a pause if the last socket did not last. */
  #schedule(row: number): void {
    const pause = row === 0 ? 0 : Math.min(MAX_PAUSE, FIRST_PAUSE * PAUSE_GROWTH ** (row - 1))
    const goOn = (): void => {
      this.#isDue = true
      this.#goOn()
    }
    // Not all of a crowd at one moment.
    if (pause > 0) this.#timer = startTimer(pause / 2 + (Math.random() * pause) / 2, goOn)
    else goOn()
  }

  /** A server closed this socket and did not say why: is it gone? */
  async #probe(reason: Failure, row: number): Promise<void> {
    const { subject, serverId, id } = this.#owner
    const until = Date.now() + LEAVING_TIME
    while (this.#isBetween) {
      let outcome: unknown
      try {
        outcome = await interest(
          this.#context,
          this.#responder,
          'waitForInterest',
          `${subject}.server.${serverId}.${id}`,
          {
            timeout: 1,
          },
        )
      } catch {
        // There is no connection, and will be none: whoever ends the client ends this.
      }
      if (!this.#isBetween) return
      if (outcome === 0) return this.#schedule(row)
      if (Date.now() >= until) return this.#end(reason)
      await new Promise<void>(resolve => {
        this.#timer = startTimer(PROBE_PAUSE, resolve)
      })
    }
  }

  /** Opens the next socket and writes to it, when the time has come and everything is known. */
  #goOn(): void {
    if (!this.#isBetween || !this.#isDue || this.#collects > 0) return
    let given: readonly Rewrite[]
    try {
      given = this.#chosen()
    } catch (error) {
      const { code, message } = this.#reason as Failure
      this.#end(new Failure(code, `${message}; and renew threw: ${(error as Error)?.message}`, error))
      return
    }
    // The application may have closed it.
    if (this.#isBetween) this.#replace(given)
  }

  #chosen(): Rewrite[] {
    const { left } = this.#owner.outbox
    if (typeof this.#renew !== 'function') return left.map(message => ({ message, seq: message.seq }))
    const given: unknown = this.#renew([...left])
    if (!Array.isArray(given)) throw invalidType('what renew returns', 'an array of messages', given)
    return given.map((value: unknown) => {
      if (value instanceof UndeliveredMessage && left.includes(value))
        return { message: value, seq: value.seq }
      const message = MessageData.of(value) ?? messageData(value)
      const limit = this.#owner.maxMessageBytes
      if (message.length > limit) {
        const text = `renew gave a message of ${message.length} bytes, more than ${limit} (maxMessageBytes)`
        throw new FabricError(text, 'ERR_TOO_LARGE', { size: message.length, limit })
      }
      return { message }
    })
  }

  #replace(given: readonly Rewrite[]): void {
    const { outbox } = this.#owner
    const undelivered = outbox.left.length
    const later = outbox.held.map(message => ({ message, seq: message.seq }))
    if (given.length + later.length > this.#owner.maxQueueSize + EXTRA_MESSAGES) {
      const text = `renew gave ${given.length} messages, more than the window has room for`
      this.#end(new Failure('ENOBUFS', text, this.#reason))
      return
    }
    const rewritten = given.filter(({ seq }) => seq !== undefined).length
    const reason = this.#reason as Failure
    this.#moved = { reason, undelivered, rewritten }
    const first = given.findIndex(({ seq }) => seq !== undefined)
    this.#added = first < 0 ? given.length : first
    this.#acknowledged = outbox.acknowledged
    this.#isBetween = false
    this.#owner.reopen()
    outbox.rewrite([...given, ...later], reason, before => this.#owner.kept?.askAgain(before))
    this.#owner.kept?.askAgain(Number.POSITIVE_INFINITY)
    this.#owner.handleProgress()
  }

  #end(reason: Failure | undefined): void {
    this.#isBetween = false
    this.#timer?.stop()
    this.#lifecycle.finishHere(reason)
  }
}
