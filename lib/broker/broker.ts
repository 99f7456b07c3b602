// The embedded broker.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  ConnectionStats,
  ConnectionView,
  ConnectOptions,
  DrainOptions,
  ForeignConnect,
  ForeignInit,
  LimitChanges,
  MetricFamily,
  ServerEvents,
  ServerOptions,
  Usage,
  WaitOptions,
} from '../../index'
import { waitOptions } from '../async/bounds'
import { type Drain, DrainOnce } from '../async/drain'
import { BROKER_HEARD, Emitter, HEARD, type Heard } from '../async/emitter'
import { Waiters } from '../async/waiters'
import { Client } from '../client/client'
import { FOREIGN_INIT, ownOptions } from '../compat/foreign-options'
import { ServerAddress } from '../compat/server-address'
import { IoView, subscriptionsOf } from '../compat/server-views'
import { flush, nextHandle } from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route } from '../engine/events'
import { BROKER_STATE, PAGE_REQUEST } from '../engine/kinds'
import { native } from '../engine/native'
import { ProcessRef } from '../engine/process-ref'
import { type SecureContextOptions, secureContextSettings } from '../engine/tls'
import { INTEREST_SHAPE } from '../messaging/options'
import { CHANNELS } from '../telemetry/channels'
import { processMetrics, register, retire } from '../telemetry/process'
import { FabricError } from '../values/errors'
import { closedFailure, errorFrom, Failure } from '../values/failure'
import { checkOptions } from '../values/option-checks'
import { aboutOf } from './about'
import { Authorizer, textOf } from './authorizer'
import { Doors } from './doors'
import { Attachment } from './http-server'
import { BrokerMetrics } from './metrics'
import { type AddressParts, hasAuthorizer, LIMITS_SHAPE, prepareOptions, SERVER_SHAPE } from './options'
import { SystemService } from './system-service'
import * as views from './views'

const [READY, DRAINED, CLOSED, FAILED, UPSTREAM_READY, UPSTREAM_AWAY] = [1, 2, 4, 5, 6, 7]

/** Starts a broker in this process. */
export function init(options: ServerOptions & ForeignInit = {}): ConatServer {
  return new ConatServer(options)
}

export class ConatServer extends Emitter<ServerEvents> {
  static readonly [HEARD]: Heard = BROKER_HEARD
  readonly #handle: number = nextHandle()
  readonly id: string
  readonly options: Readonly<ServerOptions>
  state: 'starting' | 'ready' | 'closed' = 'starting'
  readonly #ref = new ProcessRef()
  readonly #ready = new Waiters()
  readonly #drained = new Waiters()
  readonly #closed = new Waiters()
  readonly #drainOnce = new DrainOnce()
  readonly #attachment: Attachment | undefined
  readonly #metrics: BrokerMetrics
  readonly #doors: Doors
  readonly interest: views.Interest
  #authorizer: Authorizer | undefined
  #system: SystemService | undefined
  #own: Client | undefined
  #io: IoView | undefined
  /** Its clients inside the process that are open: they cannot outlive it. */
  readonly #clients: Set<Client> = new Set()
  #address: AddressParts | null = null
  /** The engine accepts connections. */
  #isOpen = false
  /** The fabric above has been reached once. */
  #isJoined = false
  /** Why it is away, if it is. */
  #upstreamFailure: Failure | undefined
  /** The HTTP server, and the port for metrics, that do not listen yet. */
  #unheard = 0
  #isGone = false
  #isWarned = false
  readonly #about = aboutOf(this, this.#handle, () => ({
    started: this.#metrics.startedAt ?? null,
    limits: this.#limits,
  }))

  constructor(given: ServerOptions & ForeignInit = {}) {
    const options = ownOptions('init', given, FOREIGN_INIT)
    super()
    const { visible, metrics, monitor, engine } = prepareOptions(options)
    this.options = visible
    this.#isJoined = options.upstream === undefined
    this.id = this.options.id as string
    this.interest = new views.Interest(this.#handle)
    this.#metrics = new BrokerMetrics(this.#handle, () => this.#limits)
    this.#doors = new Doors(
      {
        broker: this,
        handle: this.#handle,
        isEncrypted: typeof options.ssl === 'object',
        about: this.#about,
        metrics: () => scraped(this),
        isHealthy: () => this.state === 'ready' && !this.draining,
      },
      metrics,
      monitor,
    )
    if (hasAuthorizer(options)) this.#authorizer = this.#makeAuthority(options)
    route(this.#handle, {
      client: this.#handle,
      handleEvent: (kind, event) => {
        if (kind === BROKER_STATE) this.#handleState(event)
        else if (kind === PAGE_REQUEST) this.#doors.handleRequest(event)
        else this.#authorizer?.handleEvent(kind, event)
      },
      handleClientClosed: () => {},
    })
    const failure = native.brokerOpen(this.#handle, engine)
    if (failure !== null) {
      forget(this.#handle)
      throw errorFrom(failure)
    }
    const { httpServer, socketPath } = options
    if (httpServer) {
      this.#attachment = new Attachment(httpServer, this.options.path as string, this.#handle)
      this.#unheard += 1
      this.#attachment.whenListening(failure => this.#handleListening(failure))
    }
    if (this.#doors.hasPort) {
      this.#unheard += 1
      this.#doors.listen(failure => this.#handleListening(failure))
    }
    register(this)
    this.#ref.set(this.options.port !== null || socketPath !== undefined)
    if (options.systemAccountPassword !== undefined)
      this.#system = new SystemService(this.#ownClient(), this, this.#about)
  }

  /** Throws what `init` would throw, and starts nothing. */
  static check(given: ServerOptions & ForeignInit = {}): void {
    const { engine } = prepareOptions(ownOptions('init', given, FOREIGN_INIT))
    const failure = native.brokerCheck(engine)
    if (failure !== null) throw errorFrom(failure)
  }

  get clusterName(): string | undefined {
    return this.options.clusterName
  }

  /** Every connection by its id. */
  get sockets(): Record<string, ConnectionView> {
    return views.sockets(this.#handle)
  }

  /** Views that programs for Conat use. */
  get io(): IoView {
    return (this.#io ??= new IoView(this))
  }

  get subscriptions(): Record<string, Set<string>> {
    return subscriptionsOf(this)
  }

  /** What each connection has sent and received, by its id. */
  get stats(): Record<string, ConnectionStats> {
    return views.stats(this.#handle)
  }

  /** The broker's numbers; `undefined` when it is closed. */
  get totals(): views.BrokerTotals | undefined {
    return views.totals(this.#handle)
  }

  /** What it has counted, and what is there now. */
  metrics(): MetricFamily[] {
    return this.#metrics.list()
  }

  /** Where metrics have a port of their own; `null` before it listens, and where they have none. */
  metricsAddress(): ServerAddress | null {
    const address = this.#doors.address()
    return address === null ? null : new ServerAddress(address, false)
  }

  /** Answers a request of an HTTP server of the application's with the monitor; returns whether it is for that. */
  monitorHandler(): (request: IncomingMessage, response: ServerResponse) => boolean {
    return (request, response) => this.#doors.handleHttp(request, response)
  }

  getUsage(): Usage {
    return views.usage(this.#handle)
  }

  async isHealthy(): Promise<boolean> {
    const totals = this.totals
    return this.state === 'ready' && totals !== undefined && !totals.upstream?.overdue
  }

  disconnect(ids: string | readonly string[]): number {
    return views.disconnect(this.#handle, ids)
  }

  setLimits(limits: LimitChanges): void {
    checkOptions('setLimits', limits, LIMITS_SHAPE)
    views.changeLimits(this.#handle, limits)
    Object.assign(this.options, limits)
  }

  revalidate(ids?: string | readonly string[]): number {
    return views.revalidate(this.#handle, ids)
  }

  /** Resolves with whether there are subscribers, at the latest after `timeout`. */
  async waitForInterest(
    subject: string,
    timeout: number = INTEREST_SHAPE.timeout.default,
    options: { signal?: AbortSignal } = {},
  ): Promise<boolean> {
    if (this.state === 'closed') throw errorFrom(closedFailure(`server '${this.id}'`))
    try {
      return await this.#ownClient().waitForInterest(subject, { timeout, ...options })
    } catch (error) {
      if (error instanceof FabricError && error.code === 408) return false
      throw error
    }
  }

  /** Returns where it listens; `null` before `ready` and without a port. */
  address(): ServerAddress | null {
    const parts = this.#attachment && this.state === 'ready' ? this.#attachment.address() : this.#address
    return parts && new ServerAddress(parts, Boolean(this.options.ssl))
  }

  setSecureContext(options: SecureContextOptions): void {
    const settings = secureContextSettings(options)
    const failure = native.brokerSecure(this.#handle, JSON.stringify(settings))
    if (failure !== null) throw errorFrom(failure)
  }

  /** Returns a new client of this broker, inside the process; with an `address`, one that is connected to that. */
  client(options: ConnectOptions & ForeignConnect = {}): Client {
    if (options.address) return new Client(options)
    const client = new Client(options, this.#handle)
    this.#clients.add(client)
    return client.onGone(() => this.#clients.delete(client))
  }

  async waitUntilReady(given?: number | WaitOptions): Promise<void> {
    const bounds = waitOptions('waitUntilReady', given)
    if (this.state === 'ready') return await this.#system?.confirmed()
    const closed = closedFailure(`server '${this.id}'`)
    // What it waited for says more than that it waited.
    const why = (): Failure | undefined => this.#upstreamFailure
    const failure =
      this.state === 'closed' ? closed : await this.#ready.wait('the server is not ready', bounds, why)
    if (failure !== undefined) throw errorFrom(failure)
    await this.#system?.confirmed()
  }

  /** Whether `drain()` was called. */
  get draining(): boolean {
    return this.#drainOnce.isStarted
  }

  /** Accepts no more connections, disconnects all, and closes when they have gone or at the deadline. */
  async drain(options?: DrainOptions): Promise<void> {
    await this.#drainOnce.run(options, drain => this.#drain(drain))
  }

  async close(): Promise<void> {
    if (this.state !== 'closed') {
      const own = this.#own?.close()
      // What was written before leaves first.
      flush()
      this.#metrics.freeze()
      native.brokerClose(this.#handle)
      this.#beginClose(closedFailure(`server '${this.id}'`))
      await own
    }
    if (!this.#isGone) await this.#closed.wait('the server')
    await this.#attachment?.detach()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  ref(): this {
    this.#ref.ref()
    return this
  }

  unref(): this {
    this.#ref.unref()
    return this
  }

  async #drain(drain: Drain): Promise<void> {
    if (this.state !== 'closed') {
      if (CHANNELS.brokerDrain.hasSubscribers) CHANNELS.brokerDrain.publish({ broker: this })
      views.leave(this.#handle)
      // Whoever lives in this process ends with it: its sockets say so while they can.
      const clients = [...this.#clients].map(client => drain.part(1 / 2, half => client.drain(half)))
      await Promise.allSettled(clients)
    }
    if (this.state !== 'closed') {
      flush()
      native.brokerDrain(this.#handle, drain.spread)
      if (!drain.over.aborted) await this.#drained.wait('the server has not drained', { signal: drain.over })
    }
    await this.close()
  }

  #makeAuthority(options: ServerOptions): Authorizer {
    const times = {
      signInTimeout: SERVER_SHAPE.signInTimeout.default,
      permissionTimeout: SERVER_SHAPE.permissionTimeout.default,
    }
    const failed = (error: unknown, callback: 'getUser' | 'isAllowed'): void => {
      this.#metrics.countFailure(callback)
      if (!this.emit('callbackFailed', error, callback)) this.#warnOf(callback, error)
    }
    return new Authorizer(this.#handle, { ...times, ...defined(options) }, failed, (callback, seconds) =>
      this.#metrics.observe(callback, seconds),
    )
  }

  get #limits(): { draining: boolean; maxConnections: number; maxMemoryBytes: number } {
    const {
      maxConnections = SERVER_SHAPE.maxConnections.default,
      maxMemoryBytes = SERVER_SHAPE.maxMemoryBytes.default,
    } = this.options
    return { draining: this.draining, maxConnections, maxMemoryBytes }
  }

  /** Warns, once, of a failing `isAllowed`: its client does not learn why, as it does of a failing `getUser`. */
  #warnOf(callback: 'getUser' | 'isAllowed', error: unknown): void {
    if (callback === 'getUser' || this.#isWarned) return
    this.#isWarned = true
    const text = `isAllowed failed, which denies: ${textOf(error)}. The broker's event 'callbackFailed' tells of every time.`
    process.emitWarning(text, { code: 'SELVEDGE_CALLBACK_FAILED' })
  }

  /**
   * Returns a client without restrictions, for the broker's own services. It does not keep the process alive.
   */
  #ownClient(): Client {
    this.#own ??= new Client({}, this.#handle, true).unref()
    return this.#own
  }

  #handleState(event: EventReader): void {
    const state = event.u8()
    const code = event.optCode()
    const message = event.str()
    const text = event.str()
    if (state === READY && this.state === 'starting') this.#begin(text)
    else if (state === DRAINED) this.#drained.settle()
    else if (state === CLOSED) this.#finish(undefined)
    else if (state === UPSTREAM_READY || state === UPSTREAM_AWAY) {
      this.#handleUpstream(state === UPSTREAM_READY, code === null ? undefined : new Failure(code, message))
    } else if (state === FAILED) this.#finish(new Failure(code ?? 'ERR_BROKER', message))
  }

  #begin(text: string): void {
    this.#address = text === '' ? null : (JSON.parse(text) as AddressParts | null)
    this.#isOpen = true
    this.#startIfReady()
  }

  #handleUpstream(isReady: boolean, failure: Failure | undefined): void {
    this.#upstreamFailure = failure
    if (this.state === 'closed') return
    if (isReady && !this.#isJoined) {
      this.#isJoined = true
      this.#startIfReady()
    }
    if (isReady) this.emit('upstream', 'ready', undefined)
    else this.emit('upstream', 'away', failure && errorFrom(failure))
  }

  /** Of the HTTP server, or of the port for metrics. */
  #handleListening(failure: Failure | undefined): void {
    this.#unheard -= 1
    if (failure === undefined) this.#startIfReady()
    else if (this.state === 'starting') {
      native.brokerClose(this.#handle)
      this.#finish(failure)
    }
  }

  #startIfReady(): void {
    if (this.state !== 'starting' || !this.#isOpen || !this.#isJoined) return
    if (this.#unheard > 0) return
    this.state = 'ready'
    this.#metrics.start()
    this.#doors.start()
    this.#ready.settle()
    this.emit('ready')
  }

  #beginClose(failure: Failure): void {
    this.state = 'closed'
    void this.#attachment?.detach()
    this.#doors.close()
    this.#metrics.freeze()
    this.#authorizer?.stop()
    this.#ref.set(true)
    this.#ready.settle(failure)
    this.#drained.settle(failure)
  }

  #finish(failure: Failure | undefined): void {
    if (this.#isGone) return
    this.#isGone = true
    const isNoticed = this.#ready.size > 0
    if (this.state !== 'closed') this.#beginClose(failure ?? closedFailure(`server '${this.id}'`))
    void this.#own?.close()
    for (const client of this.#clients) client.handleBrokerClosed()
    forget(this.#handle)
    retire(this)
    this.#ref.set(false)
    this.#closed.settle()
    const reason: FabricError | undefined = failure && errorFrom(failure)
    // As Node's servers do: if nothing listens, a broker that cannot start must not fail silently.
    if (!this.emit('closed', reason) && reason !== undefined && !isNoticed) throw reason
  }
}

/** What a broker tells over HTTP: of itself, and of all clients of the process. */
function scraped(broker: ConatServer): MetricFamily[] {
  const isOthers = ({ name }: MetricFamily): boolean =>
    name.startsWith('selvedge_broker_') || name === 'selvedge_build_info'
  return [...broker.metrics(), ...processMetrics().filter(family => !isOthers(family))]
}

/** `undefined` counts as left out. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
