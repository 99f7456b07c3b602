// The side that connects.
import type { SocketConnectOptions } from '../index'

import commands = require('./commands')

import type { Core } from './core'
import { invalidValue } from './errors'
import { CHOOSE_SERVER, route } from './events'
import type { Responder } from './message'
import { native } from './native'
import {
  checkOptions,
  defaults,
  isBoolean,
  isFunction,
  isString,
  isTimeout,
  pick,
  type ShapeOf,
} from './options'
import type { Slab } from './slab'
import { ConatSocketBase } from './socket-base'
import { SETTINGS_SHAPE, windowSettings } from './socket-options'
import { checkConnectSubject, checkId } from './subjects'

const SHAPE: ShapeOf<SocketConnectOptions> = {
  ...SETTINGS_SHAPE,
  reconnection: isBoolean,
  loadBalancer: isFunction,
  loadBalancerTimeout: isTimeout,
  dialect: isDialect,
}

function isDialect(name: string, value: unknown): void {
  isString(name, value)
  if (value === 'classic' || value === 'attempt') return
  throw invalidValue(name, "'classic' or 'attempt'", value)
}

const PASSED_ON = ['reconnection', 'loadBalancerTimeout', 'dialect'] as const

export class ConatSocketClient extends ConatSocketBase {
  #sub: { close: () => void } | undefined
  readonly #options: SocketConnectOptions

  /** @internal */
  constructor(core: Core, responder: Responder, subject: string, options: SocketConnectOptions = {}) {
    core.checkOpen()
    checkConnectSubject(subject)
    checkOptions('socket.connect', options, SHAPE)
    const id = options.id ?? native.randomId()
    checkId(id)
    const kept = { ...options }
    super(core, responder, commands.nextHandle(), subject, id, kept)
    this.#options = kept
    route(this.handle, this)
    commands.socketConnect(core.handle, this.handle, subject, this.#settings())
  }

  get role(): 'client' {
    return 'client'
  }

  get reconnection(): boolean {
    return this.#options.reconnection ?? true
  }

  /** Its way to the server. Closing it is a reconnect, as a test of one. */
  get sub(): { close: () => void } {
    return (this.#sub ??= { close: () => this.disconnect() })
  }

  connect(): void {
    this.checkOpen()
    commands.socketReconnect(this.client, this.handle)
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.handle)
    this.leaveReady()
    if (this.reconnection) commands.socketReconnect(this.client, this.handle)
  }

  /** Another socket to the same server, on a subject one token longer. */
  channel(name: string): ConatSocketClient {
    isString('name', name)
    const { id: _own, ...options } = this.#options
    return new ConatSocketClient(this.core, this.responder, `${this.subject}.${name}`, options)
  }

  override handleEvent(kind: number, slab: Slab): void {
    if (kind !== CHOOSE_SERVER) super.handleEvent(kind, slab)
    else if (this.state !== 'closed') void this.#chooseServer()
  }

  protected describe(): string {
    return `socket client '${this.subject}' (id '${this.id}')`
  }

  /** A load balancer that throws or names no server has failed: the engine tries again. */
  async #chooseServer(): Promise<void> {
    let id: string | null = null
    try {
      id = (await this.#options.loadBalancer?.(this.subject)) ?? null
    } catch {
      // Answered with `null`.
    }
    if (this.state !== 'closed') {
      commands.serverChosen(this.client, this.handle, typeof id === 'string' ? id : null)
    }
  }

  #settings(): string {
    return JSON.stringify({
      ...pick(this.#options, PASSED_ON),
      ...windowSettings(this.#options),
      id: this.id,
      // Others may choose the same id; a random one nobody else has.
      epoch: this.#options.id === undefined ? undefined : newEpoch(),
      keepAlive: this.keepAlive,
      keepAliveTimeout: this.keepAliveTimeout,
      commandTimeout: defaults.command,
      loadBalancer: this.#options.loadBalancer !== undefined,
    })
  }
}

/** Tells one making of a socket from another: later ones are greater. Milliseconds, and 11 random bits for those of the same one. */
function newEpoch(): number {
  return Date.now() * 2048 + (Number.parseInt(native.randomId().slice(0, 4), 16) % 2048)
}
