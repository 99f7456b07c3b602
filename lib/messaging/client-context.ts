// What the objects of one client share: its handle, its counters, and what must be closed with it.
import type { Traffic } from '../../index'
import type { Drain } from '../async/drain'
import { InFlight } from '../async/in-flight'
import { checkPending, nextHandle } from '../engine/commands'
import { ClientCounters } from '../telemetry/client-counters'
import { type Server, serverOf, type Tracing } from '../telemetry/tracing'
import { closedFailure, errorFrom, type Failure } from '../values/failure'
import { MAX_MESSAGE_BYTES } from './options'

/** A socket or a listener: closed together with its client. */
export interface Child {
  /** Ends it in order, with its client. */
  finishWith(drain: Drain): Promise<void>
  /** Called before its client is closed from this side. */
  prepareClose(): void
  /** Its client closes: for this reason, unless that is done here. */
  handleClientClosing(reason: Failure | undefined): void
}

/** Counters; `send` and `recv0` are the names that programs for Conat use. */
export interface ClientStats {
  readonly sent: Traffic
  readonly recv: Traffic
  readonly send: Traffic
  readonly recv0: Traffic
  /** The number of patterns that are subscribed. */
  subs: number
  /** Messages that were dropped, since their `ttl` was over. */
  expired: number
}

function newStats(): ClientStats {
  const [sent, recv] = [
    { messages: 0, bytes: 0 },
    { messages: 0, bytes: 0 },
  ]
  return { sent, recv, send: sent, recv0: recv, subs: 0, expired: 0 }
}

export class ClientContext {
  readonly handle: number = nextHandle()
  readonly id: string
  readonly stats: ClientStats = newStats()
  /** The client, for those who watch it. */
  owner: object | undefined
  tracing: Tracing = { mode: 'active' }
  readonly counters: ClientCounters = new ClientCounters()
  /** Whether `close()` was called, or the engine gave up. */
  closed = false
  /** Why it is closed, unless that was done here. */
  closeReason: Failure | undefined
  /** Whether it is connected to a broker. */
  connected = false
  /** Whether it ever was. */
  wasConnected = false
  /** Why there is no connection, as far as that is known. */
  obstacle: Failure | undefined
  /** Why there will be none, before `connect()`. */
  stranded: Failure | undefined
  readonly children: Set<Child> = new Set()
  /** Called when a socket enters a state or has ended, where a broker wants to know. */
  onSocketState: ((socket: object) => void) | undefined
  /** Subjects with a socket server. */
  readonly listening: Set<string> = new Set()

  /** Pending replies. */
  readonly awaited: InFlight = new InFlight()
  /** Answers that wait for those who have asked. */
  readonly answering: InFlight = new InFlight()

  /** Bytes of one message, payload and headers: the least of what the client and its broker take. */
  maxMessageBytes: number = MAX_MESSAGE_BYTES.default
  #ownMaxMessageBytes: number = MAX_MESSAGE_BYTES.default

  /** What the ids of its sockets begin with, if they are not chosen. */
  socketIdPrefix = ''

  /** Where it connects to; nothing within the process. */
  address: string | null = null
  #server: Server | undefined

  constructor(id: string) {
    this.id = id
  }

  /** The same for spans. */
  get server(): Server | undefined {
    if (this.address === null) return undefined
    return (this.#server ??= serverOf(this.address))
  }

  /** Sets the client's own bound. */
  limitMessages(bytes: number): void {
    this.#ownMaxMessageBytes = bytes
    this.maxMessageBytes = bytes
  }

  /** Takes what the broker has said at the sign-in. */
  handleInfo({ max_message }: Record<string, unknown>): void {
    const theirs = typeof max_message === 'number' ? max_message : Number.POSITIVE_INFINITY
    this.maxMessageBytes = Math.min(this.#ownMaxMessageBytes, theirs)
  }

  checkOpen(): void {
    if (this.closed) throw errorFrom(this.closedFailure())
  }

  /** Called before something is asked of the broker. */
  checkAsk(): void {
    this.checkOpen()
    if (this.stranded !== undefined) throw errorFrom(this.stranded)
  }

  /** Called before a message is encoded. */
  checkSend(): void {
    this.checkAsk()
    checkPending()
  }

  /** What whoever waits for something gets when it is closed. */
  closedFailure(): Failure {
    return closedFailure('the client', this.closeReason)
  }

  countSent(bytes: number): void {
    this.stats.sent.messages += 1
    this.stats.sent.bytes += bytes
  }

  countReceived(bytes: number): void {
    this.stats.recv.messages += 1
    this.stats.recv.bytes += bytes
  }
}
