// The side that connects.
import type { SocketConnectOptions } from '../../index'

import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { route } from '../engine/events'
import { CHOOSE_SERVER, SOCKET_BOUND } from '../engine/kinds'
import { native } from '../engine/native'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { checkOptions, isString } from '../values/option-checks'
import { checkConnectSubject, checkId } from '../values/subjects'
import { ConatSocketBase } from './base'
import { CONNECT_SHAPE } from './options'
import { SocketSettings } from './settings'

export class ConatSocketClient extends ConatSocketBase {
  #sub: { close: () => void } | undefined
  #serverId: string | undefined
  readonly #settings: SocketSettings<SocketConnectOptions>
  #ownSubject: string | undefined

  /** @internal */
  constructor(
    context: ClientContext,
    responder: Responder,
    subject: string,
    options: SocketConnectOptions = {},
  ) {
    context.checkOpen()
    checkConnectSubject(subject)
    checkOptions('socket.connect', options, CONNECT_SHAPE)
    const id = options.id ?? context.socketIdPrefix + native.randomId()
    checkId(id)
    const settings = new SocketSettings(options)
    super(context, responder, commands.nextHandle(), subject, id, settings)
    this.#settings = settings
    route(this.handle, this)
    commands.socketConnect(context.handle, this.handle, subject, this.#forEngine())
  }

  get role(): 'client' {
    return 'client'
  }

  /** @internal */
  get ownSubject(): string {
    return (this.#ownSubject ??= `${this.subject}.client.${this.id}`)
  }

  get reconnection(): boolean {
    return this.#settings.options.reconnection ?? true
  }

  /** The id of the server that it belongs to. */
  get serverId(): string | undefined {
    return this.#serverId
  }

  /** Its subscription. Closing it causes a reconnect, for tests. */
  get sub(): { close: () => void } {
    return (this.#sub ??= { close: () => this.disconnect() })
  }

  connect(): void {
    this.lifecycle.checkOpen()
    commands.socketReconnect(this.client, this.handle)
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.handle)
    this.lifecycle.leave()
    if (this.reconnection) commands.socketReconnect(this.client, this.handle)
  }

  /** Returns another socket with the same options, on a subject one token longer. */
  channel(name: string): ConatSocketClient {
    isString('name', name)
    const { id: _own, ...options } = this.#settings.options
    return new ConatSocketClient(this.context, this.responder, `${this.subject}.${name}`, options)
  }

  override handleEvent(kind: number, event: EventReader): void {
    if (kind === SOCKET_BOUND) this.#serverId = event.str()
    else if (kind !== CHOOSE_SERVER) super.handleEvent(kind, event)
    else if (this.state !== 'closed') void this.#chooseServer()
  }

  /** @internal */
  describe(): string {
    return `socket client '${this.subject}' (id '${this.id}')`
  }

  /** Calls the load balancer. If it throws or names no server, the engine retries. */
  async #chooseServer(): Promise<void> {
    let id: string | null = null
    try {
      id = (await this.#settings.options.loadBalancer?.(this.subject)) ?? null
    } catch {
      // Answered with `null`.
    }
    if (this.state !== 'closed') {
      commands.serverChosen(this.client, this.handle, typeof id === 'string' ? id : null)
    }
  }

  #forEngine(): string {
    const { options } = this.#settings
    return JSON.stringify({
      ...this.#settings.forEngine(this.id, CONNECT_SHAPE),
      // Other sockets may have a chosen id, but not a random one.
      epoch: options.id === undefined ? undefined : newEpoch(),
      loadBalancer: options.loadBalancer !== undefined,
    })
  }
}

/**
 * Returns what tells the incarnations of a socket apart: later ones are greater. Milliseconds, and 11 random
 * bits.
 */
function newEpoch(): number {
  return Date.now() * 2048 + (Number.parseInt(native.randomId().slice(0, 4), 16) % 2048)
}
