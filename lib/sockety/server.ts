// Servers: they accept connections, and know those that are there.
import { captureRejectionSymbol, EventEmitter } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Producer, SecureServerOptions, ServerOptions } from '../../types/sockety'
import { Waiters } from '../async/waiters'
import { nextHandle } from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import { SOCKETY_ACCEPTED, SOCKETY_LISTENING, SOCKETY_SERVER_CLOSED } from '../engine/kinds'
import { native } from '../engine/native'
import { ProcessRef } from '../engine/process-ref'
import { FabricError, invalidType } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { throwAsync } from '../values/throw-async'
import { Connection } from './connection'
import { excused } from './departures'
import { listenArguments } from './listen-arguments'
import { connectionSettings, listenSettings } from './options'
import { withFixedData } from './producer'

/** Connections that have not said their header: there may be as many in TLS's handshake. */
const MAX_SILENT = 1000

export interface ServerEvents {
  connection: [connection: Connection]
  listening: []
  error: [error: Error]
  close: []
}

type ConnectionListener = (connection: Connection) => void

export function createServer(
  options: ServerOptions | ConnectionListener = {},
  listener?: ConnectionListener,
): Server {
  return typeof options === 'function' ? new Server({}, false, options) : new Server(options, false, listener)
}

export function createSecureServer(options: SecureServerOptions, listener?: ConnectionListener): Server {
  if (typeof options !== 'object' || options === null) {
    throw invalidType('createSecureServer options', 'an object', options)
  }
  return new Server(options, true, listener)
}

export class Server extends EventEmitter<ServerEvents> implements Target {
  /** @internal */
  readonly client = 0
  /** Connections beyond it are closed at once. */
  maxConnections: number | undefined
  readonly #options: ServerOptions | SecureServerOptions
  readonly #settings: Record<string, unknown>
  readonly #clients = new Set<Connection>()
  /** Those that have not said their header. */
  readonly #pending = new Set<Connection>()
  readonly #ref = new ProcessRef()
  readonly #listening = new Waiters()
  readonly #closed = new Waiters()
  #handle = 0
  #state: 'idle' | 'starting' | 'listening' | 'closing' = 'idle'
  #address: AddressInfo | string | null = null

  /** @internal */
  constructor(
    options: ServerOptions | SecureServerOptions,
    isSecure: boolean,
    listener?: ConnectionListener,
  ) {
    super({ captureRejections: true })
    if (listener !== undefined && typeof listener !== 'function') {
      throw invalidType('connectionListener', 'a function', listener)
    }
    this.#settings = listenSettings(options, isSecure)
    this.#options = options
    if (listener !== undefined) this.on('connection', listener)
  }

  get clients(): Connection[] {
    return [...this.#clients]
  }

  get listening(): boolean {
    return this.#state === 'listening'
  }

  get connections(): number {
    return this.#clients.size
  }

  async getConnections(): Promise<number> {
    return this.#clients.size
  }

  address(): AddressInfo | string | null {
    return this.#address
  }

  /** Resolves when it listens. Takes every form of arguments of `net.Server.listen`. */
  async listen(...args: unknown[]): Promise<this> {
    const { place, callback } = listenArguments(args)
    if (this.#state !== 'idle') {
      throw new FabricError(
        'Listen method has been called more than once without closing.',
        'ERR_SERVER_ALREADY_LISTEN',
      )
    }
    if (callback !== undefined) this.once('listening', callback)
    this.#state = 'starting'
    this.#handle = nextHandle()
    route(this.#handle, this)
    this.#ref.set(true)
    const refused = native.socketyListen(this.#handle, JSON.stringify({ ...this.#settings, ...place }))
    if (refused !== null) this.#handleClosed(new Failure(refused.code, refused.message))
    else {
      const failure = await this.#listening.wait('listen')
      if (failure === undefined) return this
      throw errorFrom(failure)
    }
    throw errorFrom(refused)
  }

  /** Accepts no more connections; resolves when those that are there have gone. */
  async close(): Promise<this> {
    if (this.#state === 'idle' || this.#state === 'closing') {
      throw new FabricError('Server is not running.', 'ERR_SERVER_NOT_RUNNING')
    }
    this.#state = 'closing'
    const closed = this.#closed.wait('close')
    native.socketyCloseServer(this.#handle)
    for (const connection of this.#pending) connection.close(true)
    const failure = await closed
    if (failure !== undefined) throw errorFrom(failure)
    return this
  }

  /** Passes a message to all clients for which `filter` is true. */
  broadcast(producer: Producer, filter: (connection: Connection) => boolean = () => true): Promise<void> {
    return excused(this.#pass(producer, filter))
  }

  /** The same of listeners that return a promise. @internal */
  override [captureRejectionSymbol](error: Error, ...[, connection]: unknown[]): void {
    if (!(connection instanceof Connection && connection.excuses(error))) void Promise.reject(error)
  }

  async #pass(producer: Producer, filter: (connection: Connection) => boolean): Promise<void> {
    if (typeof filter !== 'function') throw invalidType('filter', 'a function', filter)
    const clients = [...this.#clients].filter(filter)
    const shared = clients.length > 1 ? withFixedData(producer) : producer
    await Promise.all(clients.map(async client => client.pass(shared)))
  }

  ref(): this {
    this.#ref.ref()
    return this
  }

  unref(): this {
    this.#ref.unref()
    return this
  }

  /** @internal */
  handleEvent(kind: number, event: EventReader): void {
    switch (kind) {
      case SOCKETY_ACCEPTED: {
        const handle = event.u32()
        const address = event.optStr() ?? undefined
        const port = event.u32()
        this.#handleAccepted(handle, { address, port: port === 0 ? undefined : port })
        break
      }
      case SOCKETY_LISTENING:
        this.#handleListening(JSON.parse(event.str()))
        break
      case SOCKETY_SERVER_CLOSED: {
        const code = event.optCode()
        const message = event.str()
        this.#handleClosed(code === null ? undefined : new Failure(code, message))
        break
      }
      default:
    }
  }

  /** @internal */
  handleClientClosed(): void {}

  #handleListening(address: AddressInfo & { family: string }): void {
    if (this.#state !== 'starting') return
    this.#state = 'listening'
    this.#address = address.family === 'Unix' ? address.address : address
    this.#listening.settle()
    this.#tell('listening')
  }

  #handleAccepted(handle: number, remote: { address?: string; port?: number }): void {
    const connection = new Connection(handle, connectionSettings(this.#options), remote)
    if (this.#state !== 'listening' || this.#isFull()) {
      void connection.close(true)
      return
    }
    if (this.#pending.size >= MAX_SILENT) this.#dropSilent()
    this.#pending.add(connection)
    const gone = (): void => {
      this.#pending.delete(connection)
      this.#clients.delete(connection)
      this.#finishClosing()
    }
    connection.once('close', gone)
    connection.once('connect', () => {
      this.#pending.delete(connection)
      this.#clients.add(connection)
      this.#tell('connection', connection)
    })
  }

  /** Of the address with most that have not said their header, the oldest goes. */
  #dropSilent(): void {
    const counts = new Map<string | undefined, number>()
    for (const { remoteAddress } of this.#pending)
      counts.set(remoteAddress, (counts.get(remoteAddress) ?? 0) + 1)
    const most = Math.max(...counts.values())
    for (const connection of this.#pending) {
      if (counts.get(connection.remoteAddress) !== most) continue
      this.#pending.delete(connection)
      void connection.close(true)
      return
    }
  }

  #isFull(): boolean {
    return this.#clients.size + this.#pending.size >= (this.maxConnections ?? Number.POSITIVE_INFINITY)
  }

  #handleClosed(failure: Failure | undefined): void {
    forget(this.#handle)
    this.#handle = 0
    this.#address = null
    this.#ref.set(false)
    this.#listening.settle(failure ?? new Failure('ERR_CLOSED', 'the server was closed'))
    if (failure !== undefined) {
      const wasListening = this.#state !== 'starting'
      this.#state = 'idle'
      if (wasListening) this.#closed.settle()
      if (this.listenerCount('error') > 0) this.#tell('error', errorFrom(failure))
    } else this.#finishClosing()
  }

  /** It is closed when its port is free and all connections are gone. */
  #finishClosing(): void {
    if (this.#state !== 'closing' || this.#handle !== 0) return
    if (this.#clients.size + this.#pending.size > 0) return
    this.#state = 'idle'
    this.#tell('close')
    this.#closed.settle()
  }

  #tell<Name extends keyof ServerEvents>(name: Name, ...args: ServerEvents[Name]): void {
    try {
      this.emit(name, ...(args as never))
    } catch (error) {
      const [connection] = args as unknown as [Connection?]
      if (!connection?.excuses(error)) throwAsync(error)
    }
  }
}
