// Who asks for metrics over HTTP, and what they get: at the broker's own port, or at one for metrics alone.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { MetricFamily } from '../../index'
import { formatMetrics, OPEN_METRICS_TYPE, PROMETHEUS_TYPE } from '../telemetry/format'
import { Failure } from '../values/failure'
import {
  COMMON,
  headerOf,
  headerPairs,
  isFromHere,
  isSame,
  type PageRequest,
  type PageResponse,
  plain,
} from './pages'
import { METRICS_PATH } from './paths'

/** Milliseconds for which an answer is used again. */
const FRESH = 1000

export class MetricsDoor {
  readonly #token: string | undefined
  readonly #collect: () => MetricFamily[]
  readonly #texts = new Map<boolean, { text: string; at: number }>()

  constructor(token: string | undefined, collect: () => MetricFamily[]) {
    this.#token = token
    this.#collect = collect
  }

  answer(request: PageRequest): PageResponse {
    const refusal = this.#refusal(request)
    if (refusal !== undefined) return refusal
    const isOpen = wantsOpenMetrics(headerOf(request, 'accept') ?? '')
    return {
      status: 200,
      headers: { 'Content-Type': isOpen ? OPEN_METRICS_TYPE : PROMETHEUS_TYPE },
      body: this.#text(isOpen),
    }
  }

  #refusal(request: PageRequest): PageResponse | undefined {
    const { method } = request
    if (method !== 'GET' && method !== 'HEAD') {
      return plain(405, 'method not allowed', { Allow: 'GET, HEAD' })
    }
    if (this.#token !== undefined) {
      const [, given] = /^Bearer (.+)$/i.exec(headerOf(request, 'authorization') ?? '') ?? []
      if (given !== undefined && isSame(given, this.#token)) return undefined
      return plain(401, 'a token is needed', { 'WWW-Authenticate': 'Bearer' })
    }
    return isFromHere(request) ? undefined : plain(403, 'only from this machine, and not through a proxy')
  }

  #text(isOpen: boolean): string {
    const now = performance.now()
    const known = this.#texts.get(isOpen)
    if (known !== undefined && now - known.at < FRESH) return known.text
    const text = formatMetrics(this.#collect(), { openMetrics: isOpen })
    this.#texts.set(isOpen, { text, at: now })
    return text
  }
}

function wantsOpenMetrics(accept: string): boolean {
  return accept.split(',').some(type => {
    const [name = '', ...parameters] = type.split(';').map(part => part.trim().toLowerCase())
    return name === 'application/openmetrics-text' && !parameters.some(part => /^q=0(\.0*)?$/.test(part))
  })
}

/** A port for metrics and health alone. */
export class MetricsPort {
  readonly #server: Server

  constructor(door: MetricsDoor, isHealthy: () => boolean) {
    this.#server = createServer({ maxHeaderSize: 16 * 1024 }, (request, response) => {
      const { method = '', url: target = '', rawHeaders, socket } = request
      const path = target.split('?', 1)[0]
      const page = {
        method,
        target,
        headers: headerPairs(rawHeaders),
        address: socket.remoteAddress ?? '',
        body: '',
      }
      const answer =
        path === METRICS_PATH
          ? door.answer(page)
          : path !== '/healthz'
            ? plain(404, 'not found')
            : isHealthy()
              ? plain(200, 'ok')
              : plain(503, 'not ready, or draining')
      response.writeHead(answer.status, { ...COMMON, ...answer.headers })
      response.end(answer.body)
    })
    this.#server.requestTimeout = 10_000
    this.#server.maxConnections = 64
    this.#server.unref()
  }

  listen(port: number, host: string, done: (failure?: Failure) => void): void {
    this.#server.once('error', (error: NodeJS.ErrnoException) => {
      const text = `the port for metrics cannot listen: ${error.message}`
      done(new Failure(error.code ?? 'ERR_LISTEN', text, error))
    })
    this.#server.listen(port, host, () => done())
  }

  address(): AddressInfo | null {
    const address = this.#server.address()
    return typeof address === 'object' ? address : null
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
