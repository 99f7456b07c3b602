// The embedded broker.
import { EventEmitter } from 'node:events'
import type {
  ConnectionStats,
  ConnectionView,
  ConnectOptions,
  DrainOptions,
  ForeignConnect,
  ForeignInit,
  ServerEvents,
  ServerOptions,
  Usage,
} from '../../index'
import { type Drain, DrainOnce } from '../async/drain'
import { Waiters } from '../async/waiters'
import { Client } from '../client/client'
import { FOREIGN_INIT, ownOptions } from '../compat/foreign-options'
import { ServerAddress } from '../compat/server-address'
import { IoView, subscriptionsOf } from '../compat/server-views'
import { flush, nextHandle } from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route } from '../engine/events'
import { BROKER_STATE } from '../engine/kinds'
import { native } from '../engine/native'
import { ProcessRef } from '../engine/process-ref'
import { type SecureContextOptions, secureContextSettings } from '../engine/tls'
import { INTEREST_SHAPE } from '../messaging/options'
import { FabricError } from '../values/errors'
import { closedFailure, errorFrom, Failure } from '../values/failure'
import { checkOptions, isTimeout } from '../values/option-checks'
import { Authorizer, textOf } from './authorizer'
import { Attachment } from './http-server'
import {
  type AddressParts,
  brokerSettings,
  checkSystemNames,
  hasAuthorizer,
  SERVER_SHAPE,
  visibleOptions,
} from './options'
import { SystemService } from './system-service'
import * as views from './views'

const [READY, DRAINED, CLOSED, FAILED] = [1, 2, 4, 5]

/** Starts a broker in this process. */
export function init(options: ServerOptions & ForeignInit = {}): ConatServer {
  return new ConatServer(options)
}

export class ConatServer extends EventEmitter<ServerEvents> {
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
  /** The HTTP server listens, or has failed. */
  #isListening = false
  #isGone = false
  #isWarned = false

  constructor(given: ServerOptions & ForeignInit = {}) {
    const options = ownOptions('init', given, FOREIGN_INIT)
    super()
    checkOptions('init', options, SERVER_SHAPE)
    checkSystemNames(options)
    this.options = visibleOptions(options)
    this.id = this.options.id as string
    this.interest = new views.Interest(this.#handle)
    if (hasAuthorizer(options)) this.#authorizer = this.#makeAuthority(options)
    route(this.#handle, {
      client: this.#handle,
      handleEvent: (kind, event) => {
        if (kind === BROKER_STATE) this.#handleState(event)
        else this.#authorizer?.handleEvent(kind, event)
      },
      handleClientClosed: () => {},
    })
    const failure = native.brokerOpen(
      this.#handle,
      brokerSettings({ ...options, ...this.options, ssl: options.ssl }),
    )
    if (failure !== null) {
      forget(this.#handle)
      throw errorFrom(failure)
    }
    const { httpServer, socketPath } = options
    if (httpServer) {
      this.#attachment = new Attachment(httpServer, this.options.path as string, this.#handle)
      this.#attachment.whenListening(failure => this.#handleListening(failure))
    }
    this.#ref.set(this.options.port !== null || socketPath !== undefined)
    if (options.systemAccountPassword !== undefined) this.#system = new SystemService(this.#ownClient(), this)
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

  getUsage(): Usage {
    return views.usage(this.#handle)
  }

  async isHealthy(): Promise<boolean> {
    return this.state === 'ready' && views.totals(this.#handle) !== undefined
  }

  disconnect(ids: string | readonly string[]): number {
    return views.disconnect(this.#handle, ids)
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

  async waitUntilReady(timeout?: number): Promise<void> {
    if (timeout !== undefined) isTimeout('timeout', timeout)
    if (this.state === 'ready') return await this.#system?.confirmed()
    const closed = closedFailure(`server '${this.id}'`)
    const failure =
      this.state === 'closed' ? closed : await this.#ready.wait('the server is not ready', timeout)
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
      flush()
      native.brokerDrain(this.#handle, drain.spread)
      await this.#drained.wait('the server has not drained', drain.left)
    }
    await this.close()
  }

  #makeAuthority(options: ServerOptions): Authorizer {
    const times = {
      signInTimeout: SERVER_SHAPE.signInTimeout.default,
      permissionTimeout: SERVER_SHAPE.permissionTimeout.default,
    }
    return new Authorizer(this.#handle, { ...times, ...defined(options) }, (error, callback) => {
      if (!this.emit('callbackFailed', error, callback)) this.#warnOf(callback, error)
    })
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
    else if (state === FAILED) this.#finish(new Failure(code ?? 'ERR_BROKER', message))
  }

  #begin(text: string): void {
    this.#address = text === '' ? null : (JSON.parse(text) as AddressParts | null)
    this.#isOpen = true
    this.#startIfReady()
  }

  /** Of the HTTP server. */
  #handleListening(failure: Failure | undefined): void {
    this.#isListening = true
    if (failure === undefined) this.#startIfReady()
    else if (this.state === 'starting') {
      native.brokerClose(this.#handle)
      this.#finish(failure)
    }
  }

  #startIfReady(): void {
    if (this.state !== 'starting' || !this.#isOpen) return
    if (this.#attachment !== undefined && !this.#isListening) return
    this.state = 'ready'
    this.#ready.settle()
    this.emit('ready')
  }

  #beginClose(failure: Failure): void {
    this.state = 'closed'
    void this.#attachment?.detach()
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
    this.#ref.set(false)
    this.#closed.settle()
    const reason: FabricError | undefined = failure && errorFrom(failure)
    // As Node's servers do: if nothing listens, a broker that cannot start must not fail silently.
    if (!this.emit('closed', reason) && reason !== undefined && !isNoticed) throw reason
  }
}

/** `undefined` counts as left out. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
