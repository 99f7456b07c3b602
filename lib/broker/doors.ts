// What a broker answers over HTTP beside connections: metrics, and the monitor.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ConatServer, MetricFamily, MetricsOptions, MonitorOptions } from '../../index'
import type { EventReader } from '../engine/event-reader'
import { native } from '../engine/native'
import type { Failure } from '../values/failure'
import { actionsOf } from './actions'
import { MetricsDoor, MetricsPort } from './metrics-door'
import { Monitor, type Monitored } from './monitor'
import { METRICS_SHAPE, MONITOR_SHAPE } from './options'
import { COMMON, headerPairs, type PageRequest, type PageResponse, plain, responseBytes } from './pages'
import { MONITOR_PATH } from './paths'
import { isToldOfConnections, tellConnections } from './told'
import * as views from './views'
import { BrokerWatch } from './watch'

/** The most that may be sent with a request: a form with a password. */
const MAX_BODY_BYTES = 1024

interface Inside {
  readonly broker: ConatServer
  readonly handle: number
  /** Whether the broker's own port speaks TLS. */
  readonly isEncrypted: boolean
  readonly about: Monitored
  metrics(): MetricFamily[]
  isHealthy(): boolean
}

export class Doors {
  readonly #inside: Inside
  readonly #metrics: MetricsDoor | undefined
  readonly #metricsPort: MetricsPort | undefined
  readonly #metricsOptions: MetricsOptions | undefined
  readonly #monitor: Monitor | undefined
  readonly #watch: BrokerWatch | undefined

  constructor(inside: Inside, metrics: MetricsOptions | undefined, monitor: MonitorOptions | undefined) {
    this.#inside = inside
    this.#metricsOptions = metrics
    if (metrics !== undefined) {
      this.#metrics = new MetricsDoor(metrics.token, () => inside.metrics())
      if (metrics.port != null) this.#metricsPort = new MetricsPort(this.#metrics, () => inside.isHealthy())
    }
    if (monitor === undefined && !isToldOfConnections()) return
    const seen = {
      totals: () => views.totals(inside.handle),
      journal: () => {
        const entries = views.journal(inside.handle)
        tellConnections(inside.broker, entries)
        return entries
      },
    }
    const history = monitor === undefined ? 0 : (monitor.history ?? MONITOR_SHAPE.history.default)
    this.#watch = new BrokerWatch(seen, history / 1000)
    if (monitor !== undefined) {
      const actions = actionsOf(inside.broker, inside.handle)
      this.#monitor = new Monitor(inside.about, this.#watch, actions, monitor)
    }
  }

  get hasPort(): boolean {
    return this.#metricsPort !== undefined
  }

  /** Listens at the port for metrics. */
  listen(done: (failure?: Failure) => void): void {
    const { port, host = METRICS_SHAPE.host.default } = this.#metricsOptions ?? {}
    if (port != null) this.#metricsPort?.listen(port, host, done)
  }

  address(): AddressInfo | null {
    return this.#metricsPort?.address() ?? null
  }

  /** The broker is ready. */
  start(): void {
    this.#watch?.start()
  }

  close(): void {
    this.#metricsPort?.close()
    this.#watch?.stop()
  }

  /** Answers a request at the broker's own port. */
  handleRequest(event: EventReader): void {
    const number = event.f64()
    const request = JSON.parse(event.str()) as PageRequest
    const { handle, isEncrypted } = this.#inside
    const answer = this.#answer(request, isEncrypted)
    native.brokerAnswer(handle, number, responseBytes(answer, request.method === 'HEAD'))
  }

  #answer(request: PageRequest, isEncrypted: boolean): PageResponse {
    const isMonitor = request.target.startsWith(MONITOR_PATH)
    const answer = isMonitor ? this.#monitor?.answer(request, isEncrypted) : this.#metrics?.answer(request)
    return answer ?? plain(404, 'not found')
  }

  /** Answers a request of an HTTP server of the application's, if it is for the monitor. */
  handleHttp(request: IncomingMessage, response: ServerResponse): boolean {
    const { method = '', url: target = '', rawHeaders, socket } = request
    const monitor = this.#monitor
    const [path] = target.split('?', 1)
    if (monitor === undefined || (path !== MONITOR_PATH && !path!.startsWith(`${MONITOR_PATH}/`))) {
      return false
    }
    const address = socket.remoteAddress ?? ''
    const isEncrypted = (socket as TLSSocket).encrypted === true
    const parts: Buffer[] = []
    let size = 0
    const respond = ({ status, headers, body }: PageResponse): void => {
      response.writeHead(status, { ...COMMON, ...headers, 'Content-Length': Buffer.byteLength(body) })
      response.end(method === 'HEAD' ? undefined : body)
    }
    request.on('data', (part: Buffer) => {
      size += part.length
      if (size <= MAX_BODY_BYTES) parts.push(part)
    })
    request.on('end', () => {
      if (size > MAX_BODY_BYTES) return respond(plain(413, 'at most 1 KiB'))
      const body = Buffer.concat(parts).toString()
      const page = { method, target, headers: headerPairs(rawHeaders), address, body }
      respond(monitor.answer(page, isEncrypted))
    })
    return true
  }
}
