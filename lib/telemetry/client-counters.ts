// What one client counts beside its traffic: numbers that are added to, so that counting costs nothing.
import type { MetricFamily } from '../../index'
import { CONNECT_OUTCOMES, REQUEST_OUTCOMES, REQUEST_SECONDS, SOCKET_ENDS } from './definitions'
import type { Families } from './families'
import { Histogram } from './histogram'

type RequestOutcome = (typeof REQUEST_OUTCOMES)[number]
type ConnectOutcome = (typeof CONNECT_OUTCOMES)[number]
type SocketEnd = (typeof SOCKET_ENDS)[number]
export type Role = 'client' | 'server'

/** One request in so many is timed: a look at the clock costs more than all that is counted. */
const TIMED = 16

/** What a socket has counted. */
export interface SocketTally {
  sent: number
  sentBytes: number
  received: number
  receivedBytes: number
  resent: number
  duplicates: number
  volatileDropped: number
  expired: number
  foreign: number
  pending: number
  pendingBytes: number
}

const SOCKET_COUNTERS = {
  sent: 'selvedge_socket_sent_messages_total',
  sentBytes: 'selvedge_socket_sent_bytes_total',
  received: 'selvedge_socket_received_messages_total',
  receivedBytes: 'selvedge_socket_received_bytes_total',
  resent: 'selvedge_socket_resent_messages_total',
  duplicates: 'selvedge_socket_duplicate_messages_total',
  volatileDropped: 'selvedge_socket_volatile_dropped_messages_total',
  expired: 'selvedge_socket_expired_messages_total',
  foreign: 'selvedge_socket_foreign_messages_total',
} as const
type SocketCounter = keyof typeof SOCKET_COUNTERS
const SOCKET_COUNTER_NAMES = Object.keys(SOCKET_COUNTERS) as SocketCounter[]

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map(name => [name, 0])) as Record<Name, number>
}

export class ClientCounters {
  readonly #connects = zeros(CONNECT_OUTCOMES)
  readonly #requests = zeros(REQUEST_OUTCOMES)
  readonly #requestSeconds = new Histogram(REQUEST_SECONDS)
  readonly #roundtripSeconds = new Histogram(REQUEST_SECONDS)
  readonly #opened = zeros<Role>(['client', 'server'])
  readonly #closed = { client: zeros(SOCKET_ENDS), server: zeros(SOCKET_ENDS) }
  /** Of sockets that have ended. */
  readonly #ofEnded = zeros(SOCKET_COUNTER_NAMES)
  #undelivered = 0
  #undeliveredBroadcasts = 0
  #dropped = 0
  #begun = 0

  countConnect(outcome: ConnectOutcome): void {
    this.#connects[outcome] += 1
  }

  /** Counts an attempt to connect that has failed with this code. */
  countConnectFailed(code: string | number): void {
    if (code === 'ERR_SIGN_IN' || code === 401) this.countConnect('sign_in')
    else if (String(code).startsWith('ERR_TLS')) this.countConnect('tls')
    else this.countConnect(REFUSED.has(code) ? 'refused' : 'network')
  }

  /** Returns when a request has begun: 0 where it is not timed. */
  beginRequest(): number {
    this.#begun += 1
    return this.#begun % TIMED === 1 ? performance.now() : 0
  }

  /** Counts a request that was answered, or failed with a code. */
  endRequest(begun: number, code?: string | number): void {
    if (code === undefined) {
      this.#requests.ok += 1
      if (begun > 0) this.#requestSeconds.observe((performance.now() - begun) / 1000)
    } else this.#requests[REQUEST_FAILURES.get(code) ?? 'error'] += 1
  }

  /** Counts a message of a socket that was handled by the other side after so many ms. */
  observeRoundtrip(ms: number): void {
    this.#roundtripSeconds.observe(ms / 1000)
  }

  countDropped(messages: number): void {
    this.#dropped += messages
  }

  socketOpened(role: Role): void {
    this.#opened[role] += 1
  }

  countUndeliveredBroadcasts(broadcasts: number): void {
    this.#undeliveredBroadcasts += broadcasts
  }

  /** Keeps what a socket has counted that has ended. */
  socketClosed(role: Role, end: SocketEnd, tally: SocketTally, undelivered: number): void {
    this.#closed[role][end] += 1
    for (const name of SOCKET_COUNTER_NAMES) this.#ofEnded[name] += tally[name]
    this.#undelivered += undelivered
  }

  /** Tells everything, with what the open sockets have counted. */
  addTo(families: Families, open: Iterable<SocketTally>): void {
    const total = { ...this.#ofEnded }
    let [pending, pendingBytes] = [0, 0]
    for (const tally of open) {
      for (const name of SOCKET_COUNTER_NAMES) total[name] += tally[name]
      pending += tally.pending
      pendingBytes += tally.pendingBytes
    }
    families
      .addEach('selvedge_client_connects_total', 'outcome', this.#connects)
      .addEach('selvedge_client_requests_total', 'outcome', this.#requests)
      .addHistogram('selvedge_client_request_duration_seconds', this.#requestSeconds)
      .add('selvedge_client_subscription_dropped_messages_total', this.#dropped)
      .addEach('selvedge_sockets_opened_total', 'role', this.#opened)
    for (const role of ['client', 'server'] as const) {
      families.addEach('selvedge_sockets_closed_total', 'reason', this.#closed[role], { role })
    }
    for (const name of SOCKET_COUNTER_NAMES) families.add(SOCKET_COUNTERS[name], total[name])
    families
      .add('selvedge_socket_undelivered_messages_total', this.#undelivered)
      .add('selvedge_socket_pending_messages', pending)
      .add('selvedge_socket_pending_bytes', pendingBytes)
      .addHistogram('selvedge_socket_roundtrip_seconds', this.#roundtripSeconds)
      .add('selvedge_room_undelivered_broadcasts_total', this.#undeliveredBroadcasts)
  }
}

const REFUSED: ReadonlySet<string | number> = new Set([
  'ERR_REFUSED',
  'ERR_DRAINING',
  'ECONNREFUSED',
  403,
  429,
  503,
])

const REQUEST_FAILURES: ReadonlyMap<string | number, RequestOutcome> = new Map<
  string | number,
  RequestOutcome
>([
  [503, 'unheard'],
  [408, 'timeout'],
  ['ETIMEDOUT', 'timeout'],
  ['ABORT_ERR', 'aborted'],
  [403, 'refused'],
  [429, 'refused'],
  ['ERR_DRAINING', 'refused'],
  ['ENOBUFS', 'refused'],
  ['EPIPE', 'lost'],
  ['ERR_CLOSED', 'lost'],
  ['ERR_CLIENT_CLOSED', 'lost'],
  ['ERR_BROKER_CLOSED', 'lost'],
  ['ERR_SOCKET_LOST', 'lost'],
])

const ENDS: ReadonlyMap<string | number, SocketEnd> = new Map<string | number, SocketEnd>([
  ['ERR_CLOSED', 'local'],
  ['ERR_CLIENT_CLOSED', 'local'],
  ['ERR_SOCKET_CLOSED_BY_PEER', 'peer'],
  ['ERR_SOCKET_LOST', 'lost'],
  ['ERR_SOCKET_TIMEOUT', 'timeout'],
  ['ERR_SLOW_CONSUMER', 'slow_consumer'],
  ['ERR_SUPERSEDED', 'superseded'],
  ['ERR_SOCKET_PROTOCOL', 'protocol'],
  ['ERR_DECODE', 'protocol'],
  ['ERR_TOO_LARGE', 'too_large'],
  [403, 'refused'],
  [429, 'refused'],
  [503, 'refused'],
  ['ERR_REFUSED', 'refused'],
])

/** Returns how a socket has ended, by the reason that `closed` gives. */
export function socketEnd(
  reason: { code: string | number; draining?: boolean | undefined } | undefined,
): SocketEnd {
  if (reason === undefined) return 'local'
  if (reason.draining === true) return 'draining'
  // What is not known ends as something that is told of by nobody.
  return ENDS.get(reason.code) ?? 'lost'
}

/** Whether it only grows. */
export function isCounter({ type }: MetricFamily): boolean {
  return type !== 'gauge'
}
