// The embedded broker.
import { EventEmitter } from 'node:events'
import { Client } from './client'
import { flush, nextHandle } from './commands'
import type { ConnectOptions } from './connect-options'
import { Drain, type DrainOptions } from './drain'
import { closedFailure, errorFrom, type FabricError, Failed, invalidValue } from './errors'
import { BROKER_STATE, forget, route } from './events'
import { Hold } from './lifetime'
import { native } from './native'
import { checkOptions, defaults, isCount, isNumber, isString, isTimeout, pick, type Shape } from './options'
import type { Slab } from './slab'
import { Waiters } from './waiters'

export interface ServerOptions {
  port?: number | null
  host?: string
  id?: string
  path?: string
  maxSubscriptionsPerClient?: number
  maxSubscriptionsPerHub?: number
  clusterName?: string
}

export interface ServerAddress {
  address: string
  family: string
  port: number
}

export type ServerState = 'starting' | 'ready' | 'closed'

const [READY, DRAINED, CLOSED, FAILED] = [1, 2, 4, 5]

const SHAPE: Shape = {
  port: isPort,
  host: isString,
  id: isString,
  path: isString,
  maxSubscriptionsPerClient: isCount,
  maxSubscriptionsPerHub: isCount,
  clusterName: isString,
}

function isPort(name: string, value: unknown): void {
  if (value === null) return
  isNumber(name, value)
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff) return
  throw invalidValue(name, 'an integer from 0 to 65535, or null', value)
}

/** Starts a broker in this process. */
export function init(options: ServerOptions = {}): ConatServer {
  return new ConatServer(options)
}

export interface ServerEvents {
  ready: []
  closed: [reason: FabricError | undefined]
}

export class ConatServer extends EventEmitter<ServerEvents> {
  readonly #handle: number = nextHandle()
  readonly id: string
  readonly options: Readonly<ServerOptions>
  state: ServerState = 'starting'
  readonly #hold = new Hold()
  readonly #ready = new Waiters()
  readonly #drained = new Waiters()
  readonly #closed = new Waiters()
  #draining: Promise<void> | undefined
  #address: ServerAddress | null = null
  #isGone = false

  /** @internal */
  constructor(options: ServerOptions) {
    super()
    checkOptions('init', options, SHAPE)
    this.id = options.id ?? '0'
    const port = options.port === undefined ? defaults.port : options.port
    this.options = { ...options, id: this.id, port, path: options.path ?? defaults.path }
    route(this.#handle, {
      client: this.#handle,
      handleEvent: (kind, slab) => {
        if (kind === BROKER_STATE) this.#handleState(slab)
      },
      handleClientClosed: () => {},
    })
    const failure = native.brokerOpen(this.#handle, JSON.stringify(pick(this.options, Object.keys(SHAPE))))
    if (failure !== null) {
      forget(this.#handle)
      throw errorFrom(failure)
    }
    this.#hold.set(port !== null)
  }

  /** Where it listens; `null` before `ready` and without a port. */
  address(): ServerAddress | null {
    return this.#address
  }

  /** A new client of this broker, inside the process. */
  client(options: ConnectOptions = {}): Client {
    return new Client(options, this.#handle)
  }

  async waitUntilReady(timeout?: number): Promise<void> {
    if (timeout !== undefined) isTimeout('timeout', timeout)
    if (this.state === 'ready') return
    const closed = closedFailure(`server '${this.id}'`)
    const failure =
      this.state === 'closed' ? closed : await this.#ready.wait('the server is not ready', timeout)
    if (failure !== undefined) throw errorFrom(failure)
  }

  /** `drain()` was called. */
  get draining(): boolean {
    return this.#draining !== undefined
  }

  /** Lets nobody in any more, sends everybody to another broker, and closes when all have gone or the time is over. */
  async drain(options?: DrainOptions): Promise<void> {
    const drain = new Drain(options)
    this.#draining ??= this.#drain(drain)
    await this.#draining
  }

  async close(): Promise<void> {
    if (this.state !== 'closed') {
      // What was written before goes out before.
      flush()
      native.brokerClose(this.#handle)
      this.#beginClose(closedFailure(`server '${this.id}'`))
    }
    if (!this.#isGone) await this.#closed.wait('the server')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  ref(): this {
    this.#hold.want(true)
    return this
  }

  unref(): this {
    this.#hold.want(false)
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

  #handleState(slab: Slab): void {
    const state = slab.u8()
    const code = slab.optStr()
    const text = slab.str()
    if (state === READY && this.state === 'starting') this.#start(text)
    else if (state === DRAINED) this.#drained.settle()
    else if (state === CLOSED) this.#finish(undefined)
    else if (state === FAILED) this.#finish(new Failed(code ?? 'ERR_BROKER', text))
  }

  #start(text: string): void {
    this.state = 'ready'
    this.#address = text === '' ? null : (JSON.parse(text) as ServerAddress | null)
    this.#ready.settle()
    this.emit('ready')
  }

  #beginClose(failure: Failed): void {
    this.state = 'closed'
    this.#hold.set(true)
    this.#ready.settle(failure)
    this.#drained.settle(failure)
  }

  #finish(failure: Failed | undefined): void {
    if (this.#isGone) return
    this.#isGone = true
    const isNoticed = this.#ready.size > 0
    if (this.state !== 'closed') this.#beginClose(failure ?? closedFailure(`server '${this.id}'`))
    forget(this.#handle)
    this.#hold.set(false)
    this.#closed.settle()
    const reason: FabricError | undefined = failure && errorFrom(failure)
    // As Node's servers do: a broker that could not start and that nobody watches must not fail in silence.
    if (!this.emit('closed', reason) && reason !== undefined && !isNoticed) throw reason
  }
}
