// The connection of one client: its states as the engine reports them, what waits for them, and the process
// reference.

import { Waiters } from '../async/waiters'
import { ProcessRef } from '../engine/process-ref'
import { closedFailure, errorFrom, Failure } from '../values/failure'
import { checkOptions, isTimeout } from '../values/option-checks'

export type ClientState = 'disconnected' | 'connected' | 'closed'

export interface WaitOptions {
  timeout?: number
}

/** The numbers of *client state* in docs/internals/boundary.md. */
const [DISCONNECTED, CONNECTED, SIGNED_IN, READY, REFUSED] = [0, 1, 2, 3, 5]
export const CLOSED = 4

/** The application's event for a change of state. */
export type Change = 'disconnected' | 'connected' | 'info' | 'inbox' | undefined

export class Session {
  state: ClientState = 'disconnected'
  /** What the server sent at sign-in. */
  info: Record<string, unknown> | undefined
  connectionId: string | undefined
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
  /** Why the last attempt to connect failed, until one succeeds. */
  #lastConnectError: Failure | undefined
  /** Why the connection is about to end, if the engine knows. */
  #ending: Failure | undefined

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
      case CONNECTED:
        this.state = 'connected'
        this.#isAnnounced = true
        this.#lastConnectError = undefined
        this.#ending = undefined
        this.connectionId = text || undefined
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
    if (isInbox) this.#ready.settle(failure)
  }

  /** Returns why the last connection ended, if that is known; once. */
  takeEnding(): Failure | undefined {
    const ending = this.#ending
    this.#ending = undefined
    return ending
  }

  handleConnectFailed(failure: Failure): void {
    this.#lastConnectError = failure
  }

  leave(): void {
    this.state = 'disconnected'
    this.#isSignedIn = false
    this.#isReady = false
    this.connectionId = undefined
  }

  close(): void {
    this.leave()
    this.state = 'closed'
    // Until `closed` was emitted.
    this.ref.set(true)
    const failure = closedFailure('the client')
    for (const waiters of [this.#connected, this.#signedIn, this.#ready]) waiters.settle(failure)
  }

  async untilConnected(options?: WaitOptions): Promise<void> {
    await this.#wait(this.state === 'connected', this.#connected, 'the client is not connected', options)
  }

  async untilSignedIn(options?: WaitOptions): Promise<void> {
    if (this.#refusal !== undefined) throw errorFrom(this.#refusal)
    await this.#wait(this.#isSignedIn, this.#signedIn, 'the client is not signed in', options)
  }

  async untilReady(options?: WaitOptions): Promise<void> {
    if (this.#refusal !== undefined) throw errorFrom(this.#refusal)
    await this.#wait(this.#isReady, this.#ready, 'the client is not ready', options)
  }

  #refuse(text: string): void {
    const message = text.includes('failed to sign in') ? text : `failed to sign in - ${text}`
    this.#refusal = new Failure('ERR_SIGN_IN', message)
    this.#signedIn.settle(this.#refusal)
    this.#ready.settle(this.#refusal)
  }

  async #wait(isThere: boolean, waiters: Waiters, what: string, options?: WaitOptions): Promise<void> {
    checkOptions('wait', options, { timeout: isTimeout })
    if (isThere) return
    const failure = await waiters.wait(what, options?.timeout)
    if (failure === undefined) return
    const obstacle = failure.code === 408 ? this.#lastConnectError : undefined
    if (obstacle === undefined) throw errorFrom(failure)
    throw errorFrom(new Failure(failure.code, `${failure.message}: ${obstacle.message}`, errorFrom(obstacle)))
  }
}
