// The accepting side: one socket for each client of a socket server.

import type { State } from '../../index'
import { settledWithin } from '../async/bounds'
import * as commands from '../engine/commands'
import { route } from '../engine/events'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { Broadcast, type ReadsOptions } from '../rooms/broadcast'
import { type RoomNews, roomHeaders, roomIn } from '../rooms/follow-messages'
import type { Follower } from '../rooms/following'
import type { Rooms } from '../rooms/rooms'
import { CHANNELS } from '../telemetry/channels'
import type { FabricError } from '../values/errors'
import { checkObject } from '../values/errors'
import type { Failure } from '../values/failure'
import { ConatSocketBase } from './base'
import { FollowedRooms } from './followed-rooms'
import { closingHeaders } from './own-messages'
import type { SocketSettings } from './settings'

/** What it needs of its server. */
interface Owner {
  handleSocketGone(socket: ServerSocket): void
  readonly reads: ReadsOptions
  openRooms(): Rooms
}

/** Whom a server was connected by. */
interface Peer {
  subject: string
  id: string
  /** JSON, by the word of the broker. */
  user: string | null
}

/** How long a refused client may take to hear of it, in ms. */
const HEAR_WITHIN = 5000
const NOWHERE: ReadonlySet<string> = new Set()

export class ServerSocket extends ConatSocketBase implements Follower {
  /** Whether a drain of its server leaves it alone until the deadline: nobody goes on with it elsewhere. @internal */
  livesOn = false
  readonly #owner: Owner
  /** Its rooms, once it has joined one. */
  #rooms: Rooms | undefined
  #data: Record<string, unknown> | undefined
  /** The rooms that its client follows, once anybody has to do with one. */
  #followed: FollowedRooms | undefined
  /** JSON. */
  readonly #user: string | undefined

  /** @internal */
  constructor(
    context: ClientContext,
    responder: Responder,
    handle: number,
    { subject, id, user }: Peer,
    settings: SocketSettings,
    owner: Owner,
  ) {
    super(context, responder, handle, subject, id, settings)
    this.#owner = owner
    this.#user = user ?? undefined
    route(handle, this)
    // `connection` emits it ready; nothing could have listened for that event.
    this.lifecycle.enter('ready')
  }

  get role(): 'server' {
    return 'server'
  }

  /** Whatever the program keeps with it. */
  get data(): Record<string, unknown> {
    return (this.#data ??= {})
  }

  /** Who connected it, by the word of the broker. A new object each time. */
  get user(): unknown {
    return this.#user === undefined ? undefined : JSON.parse(this.#user)
  }

  /** Whether the broker has told who connected it. */
  get verified(): boolean {
    return this.#user !== undefined
  }

  get rooms(): ReadonlySet<string> {
    return this.#rooms?.roomsOf(this.id) ?? NOWHERE
  }

  join(room: string | readonly string[], member: { key?: string | undefined; data?: unknown } = {}): void {
    checkObject('the member', member)
    this.#rooms ??= this.#owner.openRooms()
    this.#rooms.join(this, room, member)
  }

  leave(room: string): void {
    this.#rooms?.leave(this, room)
  }

  update(room: string, data: unknown): void {
    this.#rooms ??= this.#owner.openRooms()
    this.#rooms.update(this, room, data)
  }

  /** The members of rooms, without itself. */
  to(room: string | readonly string[]): Broadcast {
    const audience = { rooms: [], except: [this.id], isLocal: false }
    return new Broadcast(this.#owner.openRooms(), this.#owner.reads, audience).to(room)
  }

  /** Tells the client of a room that it follows. @internal */
  tryTell(room: string, news: RoomNews): boolean {
    return this.outbox.tryWriteOwn(roomHeaders(room), news)
  }

  /** @internal */
  onceDrained(callback: () => void): void {
    this.once('drain', callback)
  }

  /** @internal */
  onFollow(room: string, listener: (isOn: boolean) => void): () => void {
    this.#followed ??= new FollowedRooms()
    return this.#followed.on(room, listener)
  }

  /** The client may say which rooms it follows. @internal */
  takesOwn(headers: string, read: () => unknown): boolean {
    const room = roomIn(headers)
    if (room === undefined) return false
    this.#followed ??= new FollowedRooms()
    this.#followed.handleFollow(room, read() === true)
    return true
  }

  /** Tells the client why it is not let in, and closes when it has heard that. @internal */
  refuse(error: FabricError): void {
    if (this.state === 'closed') return
    if (CHANNELS.listenerRefused.hasSubscribers) {
      CHANNELS.listenerRefused.publish({ listener: this.#owner, id: this.id, reason: error })
    }
    this.closeWith(error)
  }

  /** Closes, when its client has heard why. @internal */
  closeWith(reason: FabricError): void {
    if (this.state === 'closed') return
    this.shut()
    this.outbox.writeOwn(closingHeaders({ reason, isUnasked: !this.openRequests().asked.hasGiven }))
    void this.end({ timeout: HEAR_WITHIN }).catch(() => {})
  }

  /** The subject on which its client listens. */
  get clientSubject(): string {
    const [id, , , ...tokens] = this.subject.split('.').reverse()
    return `${tokens.reverse().join('.')}.client.${id}`
  }

  /** @internal */
  override get topic(): string {
    return this.subject.split('.').slice(0, -3).join('.')
  }

  /** @internal */
  get ownSubject(): string {
    return this.subject
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.engineHandle)
    this.lifecycle.leave()
  }

  /** Resolves when it is gone, or when the signal is aborted. @internal */
  async whenGone(signal: AbortSignal): Promise<void> {
    if (!signal.aborted) await settledWithin(this.lifecycle.whenGone(), { signal }, this.describe())
  }

  /** Does nothing: its server ends it. */
  override async finishWith(): Promise<void> {}

  /** @internal */
  describe(): string {
    return `server socket '${this.subject}'`
  }

  /** @internal */
  override handleEnter(state: State): void {
    super.handleEnter(state)
    this.#rooms?.handleSocketState(this, state)
  }

  /** @internal */
  override handleClosing(failure: Failure, reason: Failure): void {
    super.handleClosing(failure, reason)
    this.#followed?.close()
    this.#rooms?.handleSocketState(this, 'closed')
  }

  /** @internal */
  override handleGone(reason: FabricError | undefined, undelivered: number): void {
    super.handleGone(reason, undelivered)
    this.#owner.handleSocketGone(this)
  }
}
