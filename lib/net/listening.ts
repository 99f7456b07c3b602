// A socket server of the fabric under a `Server`: takes the subject, and lets go of it while its sockets live on.
import type { ListenOptions, ServerOptions } from '../../types/net'
import type { Client } from '../client/client'
import { native } from '../engine/native'
import type { ConatSocketServer } from '../socket/server'
import type { ServerSocket } from '../socket/server-socket'
import { FabricError } from '../values/errors'
import { nextTick } from '../values/platform'
import { Farewell } from './farewell'
import { sessionOptions, TAKEN_TIMEOUT } from './options'
import { type Refusal, watchRefusals } from './refusals'
import { stays } from './second-look'

export type ListenSettings = ServerOptions & ListenOptions & { subject: string; isChosen?: boolean }

export interface ListeningOwner {
  handleReady(): void
  handleConnection(session: ServerSocket): void
  handleFailure(code: string, cause?: unknown): void
  /** It listened, and the client was closed. */
  handleClientClosed(): void
}

export class Listening {
  readonly id: string = native.randomId()
  readonly #client: Client
  readonly #owner: ListeningOwner
  readonly #options: ListenSettings
  #server: ConatSocketServer | undefined
  #isClosed = false
  #isRefd = true
  #wasReady = false
  #farewell: Farewell | undefined
  #hadSockets = false

  constructor(client: Client, options: ListenSettings, owner: ListeningOwner) {
    this.#client = client
    this.#owner = owner
    this.#options = options
    void this.#start()
  }

  get isSuspended(): boolean {
    return this.#server?.state === 'disconnected'
  }

  /** The concrete subject that a socket was connected to. */
  subjectOf({ subject, id }: ServerSocket): string {
    return subject.slice(0, subject.length - `.server.${this.id}.${id}`.length)
  }

  ref(): void {
    this.#isRefd = true
    this.#server?.ref()
  }

  unref(): void {
    this.#isRefd = false
    this.#server?.unref()
  }

  /** Nobody new; what is open lives on, and the last one to go takes the server of the fabric with it. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const server = this.#server
    if (server === undefined || server.state === 'closed') return
    server.retire()
    this.#closeIfEmpty(server)
  }

  async #start(): Promise<void> {
    const { subject, reusePort = false, isChosen = true } = this.#options
    // Never inside the call of `listen`.
    await Promise.resolve()
    if (this.#isClosed) return
    try {
      if (
        isChosen &&
        !reusePort &&
        !/(^|\.)\*(\.|$)/.test(subject) &&
        (await stays(() => this.#isTaken(subject)))
      ) {
        if (!this.#isClosed) this.#owner.handleFailure('EADDRINUSE')
        return
      }
      if (!this.#isClosed) this.#listen(subject)
    } catch (error) {
      if (!this.#isClosed) this.#owner.handleFailure(codeOfListen(error as FabricError), error)
    }
  }

  /** Whether somebody who listens answers. */
  async #isTaken(subject: string): Promise<boolean> {
    if (this.#isClosed) return false
    try {
      const options = { timeout: TAKEN_TIMEOUT, waitForInterest: false }
      await this.#client.request(`${subject}.server.status`, undefined, options)
      return true
    } catch (error) {
      const { code } = error as FabricError
      // Refused: whether it may listen is another question.
      if (code === 503 || code === 408 || code === 403) return false
      throw error
    }
  }

  #listen(subject: string): void {
    const { maxSockets, maxSocketsPerUser } = this.#options
    const server = this.#client.socket.listen(subject, {
      ...sessionOptions(this.#options),
      ...(maxSockets == null ? {} : { maxSockets }),
      ...(maxSocketsPerUser == null ? {} : { maxSocketsPerUser }),
      id: this.id,
    })
    this.#server = server
    const unwatch = watchRefusals(this.#client, this.#handleRefusal)
    if (!this.#isRefd) server.unref()
    const farewell = (this.#farewell = this.#farewellOf(server, subject))
    server.once('ready', () => {
      this.#wasReady = true
      if (!this.#isClosed) this.#owner.handleReady()
    })
    server.on('connection', session => {
      session.once('closed', () => {
        this.#hadSockets = true
        farewell.handleClosed()
        nextTick(() => this.#closeIfEmpty(server))
      })
      this.#owner.handleConnection(session)
    })
    server.on('closed', reason => {
      farewell.stop()
      unwatch()
      if (this.#isClosed) return
      this.#isClosed = true
      const isWithClient = reason === undefined || reason.code === 'ERR_BROKER_CLOSED'
      if (isWithClient && this.#wasReady) this.#owner.handleClientClosed()
      else this.#owner.handleFailure(reason === undefined ? 'ENETDOWN' : codeOfListen(reason), reason)
    })
  }

  /** The engine would go on trying; a server that nobody can reach says so, and is over. */
  #handleRefusal = ({ subject, type, message }: Refusal): void => {
    const of = `${this.#options.subject}.server.`
    const isOfSockets = subject === `${of}${this.id}.*`
    if (type !== 'sub' || !this.#wasReady || (!isOfSockets && subject !== `${of}status`)) return
    // What its sockets are sent does not arrive any more.
    const isOver = this.#isClosed
    this.close()
    if (isOfSockets) this.#server?.close()
    if (isOver) return
    this.#owner.handleFailure('EACCES', new FabricError(message, 403))
  }

  #closeIfEmpty(server: ConatSocketServer): void {
    if (!this.#isClosed || server.state === 'closed' || Object.keys(server.sockets).length > 0) return
    if (this.#hadSockets) void this.#farewell?.begin()
    else server.close()
  }

  #farewellOf(server: ConatSocketServer, subject: string): Farewell {
    const farewell = new Farewell({
      get isAway() {
        return server.state === 'disconnected'
      },
      ask: () => this.#client.interest(`${subject}.server.status`),
      handleUntold: () => server.unref(),
      handleTold: () => server.close(),
    })
    server.on('disconnected', () => farewell.handleAway())
    server.on('ready', () => farewell.handleBack())
    return farewell
  }
}

function codeOfListen({ code }: FabricError): string {
  if (code === 403) return 'EACCES'
  if (code === 429) return 'EMFILE'
  if (code === 'ERR_ALREADY_LISTENING') return 'EADDRINUSE'
  return 'ENETDOWN'
}
