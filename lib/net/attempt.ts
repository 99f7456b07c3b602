// One attempt to connect: finds the subject, makes the session, and says why it cannot.
import type { ConnectOptions } from '../../types/net'
import { startTimer, type Timer } from '../async/timer'
import type { Client } from '../client/client'
import type { ConatSocketClient } from '../socket/client-socket'
import type { FabricError } from '../values/errors'
import { nextTick } from '../values/platform'
import { type SystemError, systemError } from './errors'
import { watchForNobody } from './nobody-there'
import { CONNECT_TIMEOUT, checkSubject, clientOf, sessionOptions, type Target } from './options'
import { listenUnderWay } from './places'

/** Who connects. */
export interface AttemptOwner {
  handleLookup(error: Error | null, subject: string, host: string | undefined): void
  handleSession(subject: string, session: ConatSocketClient): void
  handleFailure(error: SystemError): void
}

export class Attempt {
  readonly #owner: AttemptOwner
  readonly #options: ConnectOptions
  readonly #client: Client | undefined
  #subject: string | undefined
  #session: ConatSocketClient | undefined
  #timer: Timer | undefined
  #waiting: Timer | undefined
  #stopAsking: (() => void) | undefined
  #isOver = false

  constructor(owner: AttemptOwner, target: Target, options: ConnectOptions) {
    this.#owner = owner
    this.#options = options
    this.#client = clientOf(options)
    const timeout = options.connectTimeout ?? CONNECT_TIMEOUT
    if (timeout > 0) this.#timer = startTimer(timeout, () => this.#fail('ETIMEDOUT', this.#session?.obstacle))
    if ('subject' in target) this.#find(target.subject)
    else void this.#resolve(target)
  }

  /** It is over: connected, or given up. */
  finish(): void {
    this.#isOver = true
    this.#timer?.stop()
    this.#waiting?.stop()
    this.#stopAsking?.()
  }

  async #resolve({ resolve, given }: Exclude<Target, { readonly subject: string }>): Promise<void> {
    let subject: string
    // Nothing is emitted inside the call.
    await Promise.resolve()
    try {
      subject = await resolve(given)
      checkSubject('subject', subject)
    } catch (cause) {
      if (this.#isOver) return
      const named = (cause as { code?: unknown } | null)?.code
      const error = systemError(
        'resolve',
        typeof named === 'string' ? named : 'ENOTFOUND',
        given.host ?? given.path,
        cause,
      )
      this.#owner.handleLookup(error, '', given.host)
      if (!this.#isOver) this.#owner.handleFailure(error)
      return
    }
    if (this.#isOver) return
    this.#owner.handleLookup(null, subject, given.host)
    if (!this.#isOver) this.#find(subject)
  }

  /** Waits for a listen of this process that is under way, as Node's binds inside the call. */
  #find(subject: string): void {
    this.#subject = subject
    const underWay = listenUnderWay(subject)
    if (underWay === undefined) this.#open(subject)
    else {
      void underWay.then(() => {
        if (!this.#isOver) this.#open(subject)
      })
    }
  }

  #open(subject: string): void {
    const { wait = false, loadBalancer } = this.#options
    const client = this.#client as Client
    let session: ConatSocketClient
    try {
      session = client.socket.connect(subject, {
        ...sessionOptions(this.#options),
        ...(loadBalancer == null ? {} : { loadBalancer }),
      })
    } catch (error) {
      nextTick(() => this.#fail('ENETDOWN', error))
      return
    }
    this.#session = session
    this.#owner.handleSession(subject, session)
    const ask = (): void => this.#ask(client, subject)
    if (typeof wait === 'number') this.#waiting = startTimer(wait, ask)
    else if (!wait) ask()
  }

  /** Asks whether anybody listens, beside the connect: the answer of a listener comes first or not at all. */
  #ask(client: Client, subject: string): void {
    this.#stopAsking = watchForNobody(client, subject, {
      handleNobody: () => this.#fail('ECONNREFUSED'),
      handleFailure: error => {
        // The client has closed, which the session says, or is away, for which there is a timeout.
        if ((error as FabricError).code === 403) this.#fail('EACCES', error)
      },
    })
  }

  #fail(code: string, cause?: unknown): void {
    if (this.#isOver) return
    this.finish()
    this.#owner.handleFailure(systemError('connect', code, this.#subject, cause))
  }
}
