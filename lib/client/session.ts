// The connection of one client: its states as the engine reports them, what waits for them, and the process
// reference.

import type { WaitOptions } from '../../index'
import { checkWait } from '../async/bounds'
import { Waiters } from '../async/waiters'
import { ProcessRef } from '../engine/process-ref'
import { errorFrom, Failure } from '../values/failure'

export type ClientState = 'disconnected' | 'connected' | 'closed'

/** The numbers of *client state* in docs/internals/boundary.md. */
const [DISCONNECTED, CONNECTED, SIGNED_IN, READY] = [0, 1, 2, 3]
export const CLOSED = 4
export const REFUSED = 5
const LOST = 6

const NOT_BEGUN = new Failure('ERR_CONNECT', 'connect() was not called, and autoConnect is false')

/** The application's event for a change of state. */
/** What carries a connection. */
export type Wire = 'selvedge' | 'websocket' | 'conat' | 'nats' | 'inprocess'
export type Change = 'disconnected' | 'connected' | 'info' | 'inbox' | undefined

export class Session {
  state: ClientState = 'disconnected'
  /** What the server sent at sign-in. */
  info: Record<string, unknown> | undefined
  connectionId: string | undefined
  wire: Wire | undefined
  readonly ref = new ProcessRef()
  /** Callbacks of those who wait for the end. */
  readonly gone = new Waiters()
  readonly #connected = new Waiters()
  readonly #signedIn = new Waiters()
  readonly #ready = new Waiters()
  /** Whether `connected` was emitted, and not `disconnected` since. */
  #isAnnounced = false
  #isSignedIn = false
  #isReady = false
  #refusal: Failure | undefined
  /** Why it may not have its inbox, until it is ready. */
  #inboxRefusal: Failure | undefined
  /** Why there will be no connection before `connect()`. */
  #stranded: Failure | undefined
  /** Why the last connection ended, until there is another one. */
  #lastEnding: Failure | undefined
  /** When the first of the attempts failed that have failed since there was a connection. */
  #failingSince: number | undefined
  /** Why the last attempt to connect failed, until one succeeds. */
  #lastConnectError: Failure | undefined
  /** Whether it was ever to connect. */
  #isBegun: boolean
  /** Why the connection is about to end, if the engine knows. */
  #ending: Failure | undefined

  constructor(isBegun: boolean) {
    this.#isBegun = isBegun
  }

  /** Takes a state from the engine. Returns the event for the application, if any. */
  handleState(state: number, text: string): Change {
    switch (state) {
      case DISCONNECTED: {
        // Also reported for a failed attempt, which changes nothing. `disconnect()` may have set the state
        // already.
        const wasConnected = this.#isAnnounced
        this.#isAnnounced = false
        this.leave()
        return wasConnected ? 'disconnected' : undefined
      }
      // Also reported for a failed attempt.
      case LOST:
        if (this.#isAnnounced) this.#lastEnding = this.#ending ?? lost(text)
        return undefined
      case CONNECTED:
        this.state = 'connected'
        this.#isAnnounced = true
        this.#lastConnectError = undefined
        this.#lastEnding = undefined
        this.#failingSince = undefined
        this.#ending = undefined
        this.#handleWire(text)
        this.ref.set(false)
        this.#connected.settle()
        return 'connected'
      case SIGNED_IN:
        this.#isSignedIn = true
        this.#refusal = undefined
        this.info = JSON.parse(text) as Record<string, unknown>
        this.#signedIn.settle()
        return 'info'
      case READY:
        this.#isReady = true
        this.#inboxRefusal = undefined
        this.#ready.settle()
        return 'inbox'
      case REFUSED:
        this.#refuse(text)
        return undefined
      default:
        return undefined
    }
  }

  /** Notes that the connection ends; with `isInbox` it can never become ready. */
  handleEnding(failure: Failure, isInbox: boolean): void {
    this.#ending = failure
    if (!isInbox) return
    this.#inboxRefusal = failure
    this.#ready.settle(failure)
  }

  /** Returns why the last connection ended, if that is known; once. */
  takeEnding(): Failure | undefined {
    const ending = this.#ending
    this.#ending = undefined
    return ending
  }

  /** Notes a failed attempt. Returns for how many ms there has been no connection. */
  handleConnectFailed(failure: Failure): number {
    this.#lastConnectError = failure
    this.#failingSince ??= Date.now()
    return Date.now() - this.#failingSince
  }

  /** Why there is no connection, as far as that is known. */
  get obstacle(): Failure | undefined {
    if (!this.#isBegun) return NOT_BEGUN
    return this.#refusal ?? this.#inboxRefusal ?? this.#lastEnding ?? this.#lastConnectError
  }

  get refusal(): Failure | undefined {
    return this.#refusal
  }

  /** Notes that there will be no connection before `connect()`: whatever waits for one fails. */
  strand(failure: Failure): void {
    this.#stranded = failure
    this.ref.set(false)
    for (const waiters of [this.#connected, this.#signedIn, this.#ready]) waiters.settle(failure)
  }

  /** Notes that it is to connect. */
  connect(): void {
    this.#isBegun = true
    this.#stranded = undefined
    this.ref.set(true)
  }

  /** `text`: what carries the connection, and what the server calls it. */
  #handleWire(text: string): void {
    const at = text.indexOf(' ')
    this.wire = (text.slice(0, at) as Wire) || undefined
    this.connectionId = text.slice(at + 1) || undefined
  }

  leave(): void {
    this.state = 'disconnected'
    this.#isSignedIn = false
    this.#isReady = false
    this.connectionId = undefined
    this.wire = undefined
  }

  /** Whatever waits gets `failure`. */
  close(failure: Failure): void {
    this.leave()
    this.state = 'closed'
    // Until `closed` was emitted.
    this.ref.set(true)
    for (const waiters of [this.#connected, this.#signedIn, this.#ready]) waiters.settle(failure)
  }

  async untilConnected(options?: WaitOptions): Promise<void> {
    await this.#wait(this.state === 'connected', this.#connected, UNTIL_CONNECTED, options)
  }

  async untilSignedIn(options?: WaitOptions): Promise<void> {
    if (this.#refusal !== undefined) throw errorFrom(this.#refusal)
    await this.#wait(this.#isSignedIn, this.#signedIn, UNTIL_SIGNED_IN, options)
  }

  async untilReady(options?: WaitOptions): Promise<void> {
    const refusal = this.#refusal ?? this.#inboxRefusal
    if (refusal !== undefined) throw errorFrom(refusal)
    await this.#wait(this.#isReady, this.#ready, UNTIL_READY, options)
  }

  #refuse(text: string): void {
    const { code, message } = JSON.parse(text) as { code: number | null; message: string }
    const said = message.includes('failed to sign in') ? message : `failed to sign in - ${message}`
    const cause = new Failure(code ?? 'ERR_REFUSED', message)
    this.#refusal = new Failure('ERR_SIGN_IN', said, cause)
    this.#ending = this.#refusal
    this.#signedIn.settle(this.#refusal)
    this.#ready.settle(this.#refusal)
  }

  async #wait(isThere: boolean, waiters: Waiters, [where, what]: Wait, options?: WaitOptions): Promise<void> {
    checkWait(where, options)
    if (isThere) return
    if (this.#stranded !== undefined) throw errorFrom(this.#stranded)
    const failure = await waiters.wait(what, options, () => this.obstacle)
    if (failure !== undefined) throw errorFrom(failure)
  }
}

/** Returns why a connection has ended that broke without a word. */
function lost(text: string): Failure {
  return new Failure('ECONNRESET', `the connection was lost: ${text}`)
}

/** What the program has called, and what it waits for. */
type Wait = readonly [where: string, what: string]
const UNTIL_CONNECTED: Wait = ['waitUntilConnected', 'the client is not connected']
const UNTIL_SIGNED_IN: Wait = ['waitUntilSignedIn', 'the client is not signed in']
const UNTIL_READY: Wait = ['waitUntilReady', 'the client is not ready']
