// What a broker tells in metrics.
import type { MetricFamily } from '../../index'
import { addBuild } from '../telemetry/build'
import { isCounter } from '../telemetry/client-counters'
import { CALLBACK_SECONDS } from '../telemetry/definitions'
import { Families } from '../telemetry/families'
import { Histogram } from '../telemetry/histogram'
import { reloadFailures } from '../telemetry/reloads'
import * as views from './views'

export type Callback = 'getUser' | 'isAllowed'

/** The broker's own limits and state. */
interface Seen {
  readonly draining: boolean
  readonly maxConnections: number
  readonly maxMemoryBytes: number
}

export class BrokerMetrics {
  readonly #broker: number
  readonly #see: () => Seen
  readonly #seconds = { getUser: new Histogram(CALLBACK_SECONDS), isAllowed: new Histogram(CALLBACK_SECONDS) }
  readonly #failures = { getUser: 0, isAllowed: 0 }
  #startedAt: number | undefined
  /** What it has counted, once it is closed. */
  #last: MetricFamily[] | undefined

  constructor(broker: number, see: () => Seen) {
    this.#broker = broker
    this.#see = see
  }

  /** In ms. */
  get startedAt(): number | undefined {
    return this.#startedAt === undefined ? undefined : Math.round(this.#startedAt * 1000)
  }

  start(): void {
    this.#startedAt ??= Date.now() / 1000
  }

  /** Notes how long a callback took. */
  observe(callback: Callback, seconds: number): void {
    this.#seconds[callback].observe(seconds)
  }

  countFailure(callback: Callback): void {
    this.#failures[callback] += 1
  }

  /** Keeps the counters: the engine is about to forget them. */
  freeze(): void {
    this.#last ??= this.#collect().filter(isCounter)
  }

  list(): MetricFamily[] {
    return this.#last ?? this.#collect()
  }

  #collect(): MetricFamily[] {
    const families = addBuild(new Families())
    const { draining, maxConnections, maxMemoryBytes } = this.#see()
    if (this.#startedAt !== undefined) families.add('selvedge_broker_start_time_seconds', this.#startedAt)
    families
      .add('selvedge_broker_draining', Number(draining))
      .add('selvedge_broker_connections_limit', maxConnections)
      .add('selvedge_broker_memory_limit_bytes', maxMemoryBytes)
      .add('selvedge_broker_config_reload_failures_total', reloadFailures())
      .addEach('selvedge_broker_callback_failures_total', 'callback', this.#failures)
    for (const callback of ['getUser', 'isAllowed'] as const) {
      const labels = { callback }
      families.addHistogram('selvedge_broker_callback_duration_seconds', this.#seconds[callback], labels)
    }
    this.#addEngine(families)
    return families.list()
  }

  #addEngine(families: Families): void {
    const [totals, more] = [views.totals(this.#broker), views.metrics(this.#broker)]
    if (totals === undefined || more === undefined) return
    const { memory } = more
    const { outbox, memoryBytes, published, delivered, upstream } = totals
    families
      .addEach('selvedge_broker_connections', 'wire', more.open)
      .add('selvedge_broker_handshakes', more.handshakes)
      .addEach('selvedge_broker_connections_opened_total', 'wire', more.opened)
      .addEach('selvedge_broker_connections_closed_total', 'reason', more.closed)
      .addEach('selvedge_broker_connections_refused_total', 'reason', more.refused)
      .add('selvedge_broker_subscriptions', totals.subscriptions)
      .add('selvedge_broker_patterns', totals.patterns)
      .add('selvedge_broker_interest_waits', totals.waits)
      .add('selvedge_broker_published_messages_total', published.messages)
      .add('selvedge_broker_published_bytes_total', published.bytes)
      .add('selvedge_broker_delivered_messages_total', delivered.messages)
      .add('selvedge_broker_delivered_bytes_total', delivered.bytes)
      .add('selvedge_broker_unheard_requests_total', more.unheard)
      .add('selvedge_broker_slow_consumers_total', totals.slowConsumers)
      .add('selvedge_broker_outbox_messages', outbox.messages)
      .add('selvedge_broker_outbox_bytes', outbox.bytes)
      .addEach('selvedge_broker_memory_bytes', 'kind', {
        outbox: outbox.bytes,
        ...memory,
        // Payloads that several wait for are in each one's outbox, and held once.
        other: Math.max(0, memoryBytes - outbox.bytes - memory.patterns - memory.chunks - memory.waits),
      })
    for (const [operation, counts] of Object.entries(more.refusedOperations)) {
      families.addEach('selvedge_broker_refused_operations_total', 'reason', counts, { operation })
    }
    if (upstream !== undefined) families.add('selvedge_broker_upstream_connected', Number(upstream.ready))
  }
}
