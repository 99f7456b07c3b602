// A TLS server of Node's whose connections come from a subject.
import nodeTls, { type TLSSocket } from 'node:tls'
import type { ServerOptions } from '../../types/tls'
import { argType } from '../net/errors'
import { Server as NetServer } from '../net/server'
import type { Socket } from '../net/socket'
import { beginHandshake, belowOf, endHandshake } from '../net/tls-turns'
import { complete, endUnsecured } from './securing'

/** What happens to the server below happens to it. */
const EVENTS = ['listening', 'close', 'error', 'drop'] as const

export class Server extends nodeTls.Server {
  readonly #below: NetServer

  constructor(
    options?: ServerOptions | ((socket: TLSSocket) => void),
    listener?: (socket: TLSSocket) => void,
  ) {
    const given = typeof options === 'function' ? {} : (options ?? {})
    if (typeof given !== 'object') throw argType('options', 'of type object', given)
    const { client: _client, resolve: _resolve, ...rest } = given as ServerOptions & { resolve?: unknown }
    super(rest as nodeTls.TlsOptions, typeof options === 'function' ? options : listener)
    const { noDelay: _1, keepAlive: _2, keepAliveInitialDelay: _3, pauseOnConnect: _4, ...below } = given
    this.#below = new NetServer({ ...below, allowHalfOpen: true })
    for (const name of EVENTS) this.#below.on(name, (...args) => void this.emit(name, ...args))
    this.#below.on('connection', (socket: Socket) => {
      socket.on('end', endUnsecured)
      beginHandshake(socket)
      this.emit('connection', socket)
    })
    // As Node's.
    Object.defineProperty(this, '_connections', { get: () => this.#below._connections })
    Object.defineProperty(this, 'maxConnections', {
      get: () => this.#below.maxConnections,
      set: (most: number | undefined) => {
        this.#below.maxConnections = most
      },
    })
    this.prependListener('secureConnection', (secure: TLSSocket) => {
      const below = belowOf(secure)
      if (below === undefined) return
      endHandshake(below)
      complete(secure, below, Boolean(given.allowHalfOpen))
    })
  }

  override listen(...args: unknown[]): this {
    this.#below.listen(...args)
    return this
  }

  override close(callback?: (error?: Error) => void): this {
    this.#below.close(callback)
    return this
  }

  override address(): never {
    return this.#below.address() as never
  }

  override getConnections(callback: (error: Error | null, count: number) => void): this {
    this.#below.getConnections(callback)
    return this
  }

  override ref(): this {
    this.#below.ref()
    return this
  }

  override unref(): this {
    this.#below.unref()
    return this
  }

  static {
    // Accessors, or data, of Node's: of a handle that there is none of here.
    Object.defineProperty(Server.prototype, 'listening', {
      get(this: Server) {
        return this.#below.listening
      },
    })
  }

  get subject(): string | undefined {
    return this.#below.subject
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#below[Symbol.asyncDispose]()
  }
}
