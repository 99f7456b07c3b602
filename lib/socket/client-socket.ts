// The side that connects.
import type { Duplex } from 'node:stream'
import type { SocketConnectOptions, SocketDuplexOptions } from '../../index'
import { checkWait } from '../async/bounds'
import type { WebStreams } from '../async/web-streams'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route } from '../engine/events'
import { CHOOSE_SERVER, SOCKET_BOUND, SOCKET_STATE, SOCKET_UNSERVED } from '../engine/kinds'
import { native } from '../engine/native'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { roomIn } from '../rooms/follow-messages'
import type { RoomView } from '../rooms/room-view'
import { FabricError, shown } from '../values/errors'
import { errorFrom, Failure } from '../values/failure'
import { isString } from '../values/option-checks'
import { checkConnectSubject, checkName, checkRoomForIds, isToken } from '../values/socket-names'
import { ConatSocketBase } from './base'
import { KeptRequests } from './kept-requests'
import { CONNECT_SHAPE } from './options'
import { closingOf } from './own-messages'
import { EXTRA_MESSAGES, Renewal } from './renewal'
import { SocketSettings } from './settings'

export class ConatSocketClient extends ConatSocketBase {
  #sub: { close: () => void } | undefined
  #serverId: string | undefined
  readonly #settings: SocketSettings<SocketConnectOptions>
  #ownSubject: string | undefined
  readonly #renewal: Renewal | undefined
  readonly #kept: KeptRequests | undefined
  #views: Map<string, RoomView> | undefined
  /** The call of the load balancer that counts: the last one. */
  #choosing: symbol | undefined

  /** @internal */
  constructor(
    context: ClientContext,
    responder: Responder,
    subject: string,
    options: SocketConnectOptions = {},
  ) {
    context.checkOpen()
    checkConnectSubject(subject)
    checkWait('socket.connect', options, CONNECT_SHAPE)
    if (options.id !== undefined) checkName('id', options.id)
    const id = options.id ?? context.socketIdPrefix + native.randomId()
    checkRoomForIds(subject, id)
    const settings = new SocketSettings(options)
    super(context, responder, commands.nextHandle(), subject, id, settings)
    this.#settings = settings
    const { renew } = options
    if (renew) {
      this.#renewal = new Renewal(this, this.lifecycle, context, responder, renew)
      this.#kept = new KeptRequests(this, context)
    }
    route(this.engineHandle, this)
    this.beginConnect()
    commands.socketConnect(context.handle, this.engineHandle, subject, this.#forEngine(options.wait))
    this.lifecycle.limitFirst(options, failure => this.closeFor(errorFrom(failure)))
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

  get renews(): boolean {
    return this.#renewal !== undefined
  }

  /** @internal */
  override get kept(): KeptRequests | undefined {
    return this.#kept
  }

  /** Whether there is no socket of the engine below. @internal */
  get isBetween(): boolean {
    return this.#renewal?.isBetween ?? false
  }

  /** @internal */
  get written(): number {
    return this.outbox.written
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
    commands.socketReconnect(this.client, this.engineHandle)
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.engineHandle)
    this.lifecycle.leave()
    if (this.reconnection) commands.socketReconnect(this.client, this.engineHandle)
  }

  /** Returns another socket with the same options, on a subject one token longer. */
  channel(name: string): ConatSocketClient {
    isString('name', name)
    const { id: _own, ...options } = this.#settings.options
    return new ConatSocketClient(this.context, this.responder, `${this.subject}.${name}`, options)
  }

  override toDuplex(options?: SocketDuplexOptions): Duplex {
    this.#checkStreams()
    return super.toDuplex(options)
  }

  override toWeb(): WebStreams {
    this.#checkStreams()
    return super.toWeb()
  }

  #checkStreams(): void {
    if (this.#renewal === undefined) return
    const text = `${this.describe()} renews itself: what it writes again, a stream would have twice`
    throw new FabricError(text, 'ERR_UNSUPPORTED')
  }

  override close(): void {
    if (this.isBetween) this.#renewal?.close()
    else super.close()
  }

  override destroy(reason?: unknown): void {
    if (this.isBetween) this.#renewal?.close()
    else super.destroy(reason)
  }

  override handleClientClosing(reason: Failure | undefined): void {
    if (this.isBetween) this.#renewal?.close(reason)
    else super.handleClientClosing(reason)
  }

  override handleEvent(kind: number, event: EventReader): void {
    if (kind === SOCKET_BOUND) this.#serverId = event.str()
    else if (kind === SOCKET_UNSERVED) this.lifecycle.handleUnserved(event)
    else if (kind === CHOOSE_SERVER) {
      if (this.state !== 'closed') void this.#chooseServer()
    } else if (this.#renewal === undefined) super.handleEvent(kind, event)
    else if (!this.#renewal.handleEvent(kind, event)) {
      super.handleEvent(kind, event)
      if (kind === SOCKET_STATE && this.state === 'ready') this.#renewal.handleReady(event.now)
    }
  }

  /** The rooms that it follows, by name. @internal */
  get views(): Map<string, RoomView> {
    return (this.#views ??= new Map())
  }

  /** @internal */
  override handleGone(reason: FabricError | undefined, undelivered: number): void {
    super.handleGone(reason, undelivered)
    for (const view of this.#views?.values() ?? []) view.handleEnd()
  }

  /** The server may say why it is about to close it, and who is in a room. @internal */
  takesOwn(headers: string, read: () => unknown): boolean {
    const room = roomIn(headers)
    if (room !== undefined) {
      this.#views?.get(room)?.handleNews(read())
      return true
    }
    const closing = closingOf(headers)
    if (closing === undefined) return false
    if (closing.isUnasked) this.openRequests().noteUnasked()
    this.closeFor(closing.reason)
    return true
  }

  /** Writes a message of the socket's own, unless its window is full. @internal */
  tellOwn(headers: string, data: unknown): boolean {
    return this.outbox.tryWriteOwn(headers, data)
  }

  /** Opens another socket of the engine in the place of the one that is closed. @internal */
  reopen(): void {
    // What was handed over belongs to the one before; what is still to be handed over has nobody to be told of it.
    commands.putConsumed()
    this.counters.carryOver()
    forget(this.engineHandle)
    this.engineHandle = commands.nextHandle()
    if (this.#settings.options.id === undefined) this.id = this.context.socketIdPrefix + native.randomId()
    this.#ownSubject = undefined
    this.#serverId = undefined
    route(this.engineHandle, this)
    commands.socketConnect(this.client, this.engineHandle, this.subject, this.#forEngine())
  }

  /** @internal */
  describe(): string {
    return `socket client '${this.subject}' (id '${this.id}')`
  }

  /** Calls the load balancer. If it throws or names no server, the engine retries. */
  async #chooseServer(): Promise<void> {
    const call = Symbol('call')
    this.#choosing = call
    const tell = (what: string, cause?: unknown): void => {
      if (this.#choosing === call)
        this.lifecycle.unchosen = new Failure(503, `its loadBalancer ${what}`, cause)
    }
    // What the call before has come to counts until this one has.
    if (this.lifecycle.unchosen === undefined) tell('has not answered')
    let id: unknown
    try {
      id = await this.#settings.options.loadBalancer?.(this.subject)
      if (typeof id !== 'string') tell('has returned no id')
      else if (!isToken(id)) {
        tell(`has returned '${shown(id)}', and an id is one token of a subject`)
        id = null
      } else if (this.#choosing === call) this.lifecycle.unchosen = undefined
    } catch (cause) {
      tell('has failed', cause)
    }
    if (this.state !== 'closed') {
      commands.serverChosen(this.client, this.engineHandle, typeof id === 'string' ? id : null)
    }
  }

  /** A socket that renews itself waits for the next server in any case. */
  #forEngine(wait: boolean | number = true): string {
    const { options } = this.#settings
    const engine = this.#settings.forEngine(this.id, CONNECT_SHAPE)
    // A function may add to a full window.
    if (typeof options.renew === 'function') engine.maxQueueSize = this.maxQueueSize + EXTRA_MESSAGES
    if (wait !== true) engine.wait = Number(wait)
    if (options.renew !== undefined && options.renew !== false) engine.renew = true
    // Other sockets may have a chosen id, but not a random one.
    if (options.id !== undefined) engine.epoch = newEpoch()
    if (options.loadBalancer !== undefined) engine.loadBalancer = true
    return JSON.stringify(engine)
  }
}

/**
 * Returns what tells the incarnations of a socket apart: later ones are greater. Milliseconds, and 11 random
 * bits.
 */
function newEpoch(): number {
  return Date.now() * 2048 + (Number.parseInt(native.randomId().slice(0, 4), 16) % 2048)
}
