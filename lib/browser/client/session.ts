// The connection to the broker as a client sees it: when to dial, how far it has come, whether it still lives. A pure machine:
// bytes and the time are handed in, frames come out.
import { Failure } from '../../values/failure'
import { WireError } from '../wire/bytes'
import { type Frame, FrameReader } from '../wire/frame-reader'
import { FrameWriter } from '../wire/frame-writer'
import { Backoff, type BackoffSettings } from './backoff'
import { cutOff, signInRefused } from './failures'

/** What a session needs of the world. */
export interface SessionHost {
  now(): number
  random(): number
  /** Opens a connection. `handleOpen`, `handleBytes` and `handleDown` follow. */
  dial(): void
  /** Drops the connection. Nothing of it follows. */
  hangUp(): void
  send(frame: Uint8Array): void
  handleConnected(): void
  /** Signed in: what waits for that may leave. */
  handleInfo(info: Record<string, unknown>): void
  handleFrame(frame: Frame): void
  handleDisconnected(reason: Failure | undefined, wasConnected: boolean): void
  handleSignInRefused(reason: Failure): void
}

export interface SessionSettings extends BackoffSettings {
  readonly reconnection: boolean
}

type Phase = 'idle' | 'pausing' | 'dialing' | 'info' | 'up' | 'closed'

/** Milliseconds without a sign of life until we ask for one; and until the connection is given up. */
const PING_AFTER = 30_000
const SILENCE = 50_000
/** A connection has this time to open, and the broker to say who it is. */
const DIAL_TIMEOUT = 20_000
const INFO_TIMEOUT = 30_000
/** What came so much too late was held up: the tab, or the machine, was asleep. */
const ASLEEP = 10_000
/** After a sleep the connection has to give a sign of life within this time. */
const PROBE_TIMEOUT = 3000
/** Who was refused asks again no sooner. */
const REFUSED_PAUSE = 5000
const NEVER = Number.POSITIVE_INFINITY

export class Session {
  readonly #host: SessionHost
  readonly #settings: SessionSettings
  readonly #backoff: Backoff
  #phase: Phase = 'idle'
  /** When the pause, or the patience with a connection that is made, is over. */
  #until = NEVER
  #heardAt = 0
  #pingedAt = NEVER
  /** After a sleep: until when the connection has to answer. */
  #probeUntil = NEVER
  #ending: Failure | undefined
  #refusedCode: number | string | undefined
  reader = new FrameReader()
  writer = new FrameWriter()

  constructor(host: SessionHost, settings: SessionSettings) {
    this.#host = host
    this.#settings = settings
    this.#backoff = new Backoff(settings)
  }

  get isUp(): boolean {
    return this.#phase === 'up'
  }

  get isConnected(): boolean {
    return this.#phase === 'up' || this.#phase === 'info'
  }

  /** Whether it is not known yet whether the connection has outlived a sleep. */
  get isProbing(): boolean {
    return this.#probeUntil !== NEVER
  }

  get isIdle(): boolean {
    return this.#phase === 'idle' || this.#phase === 'closed'
  }

  connect(): void {
    if (this.#phase === 'idle' || this.#phase === 'pausing') this.#dial()
  }

  disconnect(): void {
    if (this.#phase === 'closed') return
    const wasConnected = this.isConnected
    if (!this.isIdle) this.#host.hangUp()
    this.#enter('idle', NEVER)
    if (wasConnected) this.#host.handleDisconnected(undefined, true)
  }

  close(): void {
    this.disconnect()
    this.#phase = 'closed'
  }

  #dial(): void {
    this.#enter('dialing', this.#host.now() + DIAL_TIMEOUT)
    this.#ending = undefined
    this.reader = new FrameReader()
    this.writer = new FrameWriter()
    this.#host.dial()
  }

  #enter(phase: Phase, until: number): void {
    this.#phase = phase
    this.#until = until
    this.#probeUntil = this.#pingedAt = NEVER
  }

  handleOpen(): void {
    if (this.#phase !== 'dialing') return
    const now = this.#host.now()
    this.#enter('info', now + INFO_TIMEOUT)
    this.#heardAt = now
    this.#host.handleConnected()
  }

  handleBytes(bytes: Uint8Array): void {
    if (!this.isConnected) return
    const now = this.#host.now()
    this.#heardAt = now
    this.#pingedAt = NEVER
    // What was held up by the sleep comes first; the answer to our question behind it.
    if (this.isProbing) this.#probeUntil = now + PROBE_TIMEOUT
    try {
      this.reader.push(bytes, frame => {
        if (this.isConnected) this.#handleFrame(frame)
      })
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#lose(new Failure('ERR_REFUSED', `the server breaks the protocol: ${error.message}`))
    }
  }

  /** The connection has ended, or could not be made. */
  handleDown(reason: Failure | undefined): void {
    if (this.#phase === 'dialing' || this.isConnected) this.#fall(this.#ending ?? reason)
  }

  /** The page is awake again, or the network is back. */
  wake(): void {
    const now = this.#host.now()
    if (this.#phase === 'pausing') this.#dial()
    else if (this.isConnected && !this.isProbing) {
      this.#probeUntil = now + PROBE_TIMEOUT
      this.#host.send(this.writer.ping())
    }
  }

  pollTimeout(): number {
    if (!this.isConnected) return this.#until
    if (this.isProbing) return this.#probeUntil
    return Math.min(
      this.#until,
      this.#pingedAt === NEVER ? this.#heardAt + PING_AFTER : this.#heardAt + SILENCE,
    )
  }

  /** `late`: by how much a timer came too late. */
  handleTimeout(late: number): void {
    if (late >= ASLEEP) {
      this.wake()
      return
    }
    const now = this.#host.now()
    if (this.#phase === 'pausing' && this.#until <= now) this.#dial()
    else if (this.#phase === 'dialing' && this.#until <= now) this.#lose(silent('it did not open in time'))
    else if (!this.isConnected) return
    else if (this.isProbing) {
      if (this.#probeUntil <= now) this.#lose(silent('it did not outlive a sleep'))
    } else if (this.#until <= now) this.#lose(silent('the server did not say who it is'))
    else if (this.#pingedAt !== NEVER && this.#heardAt + SILENCE <= now) this.#lose(silent('it fell silent'))
    else if (this.#pingedAt === NEVER && this.#heardAt + PING_AFTER <= now) {
      this.#pingedAt = now
      this.#host.send(this.writer.ping())
    }
  }

  #handleFrame(frame: Frame): void {
    if (frame.kind === 'ping') this.#host.send(this.writer.pong())
    else if (frame.kind === 'pong') this.#probeUntil = NEVER
    else if (frame.kind !== 'control') {
      if (this.#phase !== 'up') throw new WireError('something before the greeting')
      this.#host.handleFrame(frame)
    } else if (frame.operation.op === 'info') this.#handleInfo(frame.operation)
    else if (frame.operation.op === 'closing') this.#ending = cutOff(frame.operation)
    else if (this.#phase === 'up') this.#host.handleFrame(frame)
  }

  #handleInfo(info: Record<string, unknown>): void {
    // One that comes again says nothing new.
    if (this.#phase !== 'info') return
    if (info.refused !== undefined) {
      const failure = signInRefused(info.refused)
      this.#refusedCode = (failure.cause as Failure).code
      this.#host.handleSignInRefused(failure)
      this.#lose(failure)
      return
    }
    const { maxPayload } = info
    if (!Number.isSafeInteger(maxPayload) || (maxPayload as number) < 1) {
      throw new WireError('a greeting without the size of a payload')
    }
    this.reader.setMaxPayload(maxPayload as number)
    this.#refusedCode = undefined
    this.#enter('up', NEVER)
    this.#host.handleInfo(info)
  }

  /** Everything is in place. */
  handleReady(): void {
    this.#backoff.handleReady(this.#host.now())
  }

  /** Gives the connection up. */
  lose(reason: Failure): void {
    if (!this.isIdle && this.#phase !== 'pausing') this.#lose(reason)
  }

  #lose(reason: Failure): void {
    this.#host.hangUp()
    this.#fall(reason)
  }

  #fall(reason: Failure | undefined): void {
    const now = this.#host.now()
    const wasConnected = this.isConnected
    const wasAsleep = this.isProbing
    const pause = this.#backoff.next(now, this.#host.random())
    const least = this.#refusedCode === 401 || this.#refusedCode === 403 ? REFUSED_PAUSE : 0
    if (this.#settings.reconnection) this.#enter('pausing', now + (wasAsleep ? 0 : Math.max(pause, least)))
    else this.#enter('idle', NEVER)
    this.#host.handleDisconnected(reason, wasConnected)
  }
}

function silent(why: string): Failure {
  return new Failure('ETIMEDOUT', `the connection was given up: ${why}`)
}
