// The rooms of one listener: its own sockets' memberships, which nobody else changes, and copies of those of the other
// servers of the subject (docs/internals/rooms.md).
import type {
  DataOptions,
  MessageOptions,
  RequestManyOptions,
  Results,
  RoomMember,
  RoomsOptions,
  State,
  WriteOptions,
} from '../../index'
import type { Outgoing } from '../engine/outgoing'
import { type Message, MessageData } from '../messaging/message'
import { prepare } from '../messaging/prepare'
import { CHANNELS } from '../telemetry/channels'
import { FabricError, invalidValue } from '../values/errors'
import type { Failure } from '../values/failure'
import { socketHeadersText } from '../values/headers'
import { checkOptions } from '../values/option-checks'
import { Asking, checkAsk, timeoutOf } from './asking'
import type { RoomHost, RoomSocket } from './host'
import {
  type Change,
  type CloseReason,
  entryOf,
  envelopeOf,
  type Forwarded,
  isRow,
  jsonLength,
  MAX_ENVELOPE,
  type PeerMessage,
  rowOf,
  sizeOf,
} from './messages'
import {
  checkRoom,
  MAX_ENTRIES,
  MAX_ROOMS,
  MAX_TABLE_BYTES,
  MAX_USER,
  MEMBER_SHAPE,
  memberDataOf,
  ROOMS_SHAPE,
  roomsIn,
} from './options'
import { type Peer, Peers, type PeersOwner } from './peers'
import { Room } from './room'
import { type Entry, type LeaveReason, Table } from './table'

/** An entry of a socket of this server. */
interface OwnEntry extends Entry {
  readonly socket: RoomSocket
}

/** Whom a broadcast is for. */
export interface Audience {
  readonly rooms: readonly string[]
  /** Ids of sockets, and rooms with `room:` before the name. */
  readonly except: readonly string[]
  readonly isLocal: boolean
}

/** What became of a broadcast whose sender waits. */
export interface Outcome {
  delivered: number
  lost: { id: string; code: string | number }[]
}

const EXCEPT_ROOM = 'room:'

export class Rooms implements PeersOwner {
  readonly #host: RoomHost
  readonly #options: RoomsOptions
  readonly #own = new Table<OwnEntry>()
  readonly #peers: Peers
  readonly #asking: Asking
  readonly #watched = new Map<string, Room>()
  /** The sockets of a room in a row, until somebody joins or leaves. */
  readonly #rows = new Map<string, readonly RoomSocket[]>()
  /** Broadcasts whose outcome a peer has still to tell, by number. */
  readonly #awaited = new Map<number, Map<Peer, (outcome: Outcome) => void>>()
  #lastNumber = 0
  #isClosed = false

  /** Why there is no connection, as far as that is known. */
  get obstacle(): Failure | undefined {
    return this.#host.obstacle
  }

  constructor(host: RoomHost, options: RoomsOptions = {}) {
    this.#host = host
    this.#options = options
    this.#peers = new Peers(host, this, options.servers ?? ROOMS_SHAPE.servers.default)
    this.#asking = new Asking(host, (peer, message) => this.#peers.say(peer, message))
  }

  /** For metrics: what is here, and who else there is. */
  get tally(): { rooms: number; members: number; live: number; stale: number } {
    let stale = 0
    for (const { isAway } of this.#peers) if (isAway) stale += 1
    return {
      rooms: this.#own.roomCount,
      members: this.#own.size,
      live: this.#peers.size - stale,
      stale,
    }
  }

  /** The rooms that a socket of this server is in. */
  roomsOf(id: string): ReadonlySet<string> {
    return this.#own.roomsOf(id)
  }

  join(
    socket: RoomSocket,
    names: string | readonly string[],
    member: { key?: string | undefined; data?: unknown },
  ): void {
    const rooms = roomsIn(names)
    checkOptions('join', member, MEMBER_SHAPE)
    if (this.#isClosed || socket.state === 'closed') throw closedError()
    const { id } = socket
    if (this.#own.roomsOf(id).size + rooms.length > MAX_ROOMS)
      throw limit(`a socket is in ${MAX_ROOMS} rooms`)
    if (this.#own.size + rooms.length > MAX_ENTRIES) throw limit(`there are ${MAX_ENTRIES} members`)
    const key = member.key ?? id
    const data = memberDataOf(member.data)
    const user = userOf(socket)
    const entries = rooms.map(room => {
      const since = this.#own.of(room).get(id)?.since ?? this.#host.now()
      const size = sizeOf(room, id, key, data, user)
      return { id, key, data, since, stale: socket.state !== 'ready', user, size, socket }
    })
    const bytes = entries.reduce((sum, { size }) => sum + size, this.#own.bytes)
    if (bytes > MAX_TABLE_BYTES) throw limit(`the members take ${MAX_TABLE_BYTES} bytes`)
    for (const [at, entry] of entries.entries()) this.#put(rooms[at]!, entry)
  }

  update(socket: RoomSocket, room: string, data: unknown): void {
    const copy = memberDataOf(data)
    const entry = this.#own.of(room).get(socket.id)
    if (entry === undefined) {
      if (this.#isClosed || socket.state === 'closed') throw closedError()
      throw invalidValue('room', 'one that the socket has joined', room)
    }
    const size = sizeOf(room, entry.id, entry.key, copy, entry.user)
    this.#put(room, { ...entry, data: copy, size })
  }

  leave(socket: RoomSocket, room: string, reason: 'left' | 'closed' = 'left'): void {
    const entry = this.#own.delete(room, socket.id)
    if (entry === undefined) return
    this.#rows.delete(room)
    if (CHANNELS.roomLeave.hasSubscribers) CHANNELS.roomLeave.publish({ ...this.#told(room, entry), reason })
    this.#watched.get(room)?.handleGone(this.#host.id, entry, reason)
    if (this.#hasPresence) this.#peers.change([room, socket.id, reason], entry.size)
  }

  /** A socket of this server has another state. */
  handleSocketState(socket: RoomSocket, state: State): void {
    const stale = state !== 'ready'
    for (const room of [...this.#own.roomsOf(socket.id)]) {
      if (state === 'closed') this.leave(socket, room, 'closed')
      else {
        const entry = this.#own.of(room).get(socket.id)!
        if (entry.stale !== stale) this.#put(room, { ...entry, stale })
      }
    }
  }

  /** Returns a room with its members over all servers. */
  room(name: string): Room {
    checkRoom(name)
    let room = this.#watched.get(name)
    if (room !== undefined) return room
    room = new Room(name, this.#options.leaveDelay ?? ROOMS_SHAPE.leaveDelay.default, this.#host.after)
    for (const entry of this.#own.of(name).values()) room.handleEntry(this.#host.id, entry, false)
    for (const peer of this.#peers) {
      for (const entry of peer.table.of(name).values()) room.handleEntry(peer.id, entry, peer.isAway)
    }
    this.#watched.set(name, room)
    return room
  }

  /** The members of several rooms, each once. */
  members({ rooms, isLocal }: Audience): RoomMember[] {
    const all = new Room('', 0, this.#host.after)
    for (const name of rooms) {
      for (const entry of this.#own.of(name).values()) all.handleEntry(this.#host.id, entry, false)
      if (isLocal) continue
      for (const peer of this.#peers) {
        for (const entry of peer.table.of(name).values()) all.handleEntry(peer.id, entry, peer.isAway)
      }
    }
    return [...all.members.values()]
  }

  /** Writes to the sockets here, and has the other servers do the same. Returns how many got it here. */
  write(audience: Audience, data: unknown, options: WriteOptions | undefined): number {
    const isVolatile = options?.volatile === true
    const message = this.#prepare(audience, data, options)
    this.#forward(audience, message, isVolatile, 0)
    return this.#deliver(this.#audience(audience), message, isVolatile).length
  }

  /** The same; resolves when all of them have handled it. */
  async send(audience: Audience, data: unknown, options: MessageOptions | undefined): Promise<Outcome> {
    const message = this.#prepare(audience, data, options)
    const awaited = new Map<Peer, (outcome: Outcome) => void>()
    const number = (this.#lastNumber += 1)
    const others = audience.isLocal
      ? []
      : [...this.#peers].map(peer => new Promise<Outcome>(resolve => awaited.set(peer, resolve)))
    if (awaited.size > 0) this.#awaited.set(number, awaited)
    this.#forward(audience, message, false, number)
    const targets = this.#audience(audience)
    const here = this.#whenHandled(targets, this.#deliver(targets, message, false))
    const outcomes = await Promise.all([here, ...others])
    this.#awaited.delete(number)
    return {
      delivered: outcomes.reduce((sum, { delivered }) => sum + delivered, 0),
      lost: outcomes.flatMap(({ lost }) => lost),
    }
  }

  /** What cannot be said to the other servers is not written here either: their link would be lost over it. */
  #prepare(audience: Audience, data: unknown, options: DataOptions | undefined): Outgoing {
    const limit = this.#host.maxMessageBytes
    const message = prepare(data, options, limit, socketHeadersText)
    if (audience.isLocal || message.length + MAX_ENVELOPE <= limit) return message
    const size = message.length + envelopeOf(audience, message.size - message.length)
    if (size <= limit) return message
    const text = `payload and headers have ${message.size} bytes, and with what other servers are told ${size}`
    throw new FabricError(`${text}, more than ${limit} (maxMessageBytes)`, 'ERR_TOO_LARGE', { size, limit })
  }

  /** Asks each of them; the answers come as they are there. */
  request(
    audience: Audience,
    data: unknown,
    options: RequestManyOptions | undefined,
  ): Results<Message | FabricError> {
    checkAsk(options)
    const message = this.#prepare(audience, data, options)
    if (options?.signal?.aborted) return this.#asking.refuse(options.signal)
    const { encoding, raw, headers = null } = message.copy()
    const { rooms, except, isLocal } = audience
    const number = (this.#lastNumber += 1)
    const peers = isLocal ? [] : [...this.#peers]
    const ask = { rooms, except, number, timeout: timeoutOf(options), encoding, raw, headers }
    if (peers.length > 0) this.#peers.sayAll({ kind: 'ask', ask })
    const targets = this.#audience(audience).filter(isOpen)
    return this.#asking.ask(
      { number, data: new MessageData({ encoding, raw, headers }), targets },
      options,
      peers,
    )
  }

  /** Closes the sockets, here and at the other servers. */
  closeAll(audience: Audience, reason?: CloseReason): void {
    const { rooms, except, isLocal } = audience
    if (!isLocal) this.#peers.sayAll({ kind: 'close', rooms: [...rooms], except: [...except], reason })
    for (const socket of this.#audience(audience)) {
      if (reason === undefined) socket.close()
      else socket.closeWith(new FabricError(reason.message, reason.code))
    }
  }

  /** Resolves when the other servers have handled what was written, as far as they are there. */
  whenHandled(): Promise<void> {
    return this.#peers.whenHandled()
  }

  /** `reason`: what those get who wait for answers. */
  close(reason?: Failure): void {
    this.#isClosed = true
    this.#asking.close(reason)
    this.#peers.close()
    for (const room of this.#watched.values()) room.close()
  }

  entries(): Iterable<[room: string, entry: Entry]> {
    return this.#hasPresence ? this.#own : []
  }

  handleTable(peer: Peer, before: Table, isLost: boolean): void {
    const touched = new Set<Room>()
    for (const [name, entry] of before) {
      const room = this.#watched.get(name)
      const now = peer.table.of(name).get(entry.id)
      if (room !== undefined && now?.key !== entry.key) {
        // A socket that is in another room, or in this one by another key, is not closed.
        const isOpen = peer.table.roomsOf(entry.id).size > 0
        room.handleGone(peer.id, entry, isLost ? 'server-lost' : isOpen ? 'left' : 'closed')
        touched.add(room)
      }
    }
    for (const [name, entry] of peer.table) {
      const room = this.#watched.get(name)
      if (room === undefined) continue
      room.handleEntry(peer.id, entry, peer.isAway)
      touched.add(room)
    }
    for (const room of touched) room.emit('sync')
  }

  handleChanges(peer: Peer, changes: readonly Change[]): void {
    for (const change of changes) {
      const [name, id] = change
      const room = this.#watched.get(name)
      if (isRow(change)) {
        const entry = entryOf(change)
        const before = peer.table.set(name, entry)
        if (before !== undefined && before.key !== entry.key) room?.handleGone(peer.id, before, 'left')
        room?.handleEntry(peer.id, entry, peer.isAway)
      } else {
        const entry = peer.table.delete(name, id)
        if (entry !== undefined) room?.handleGone(peer.id, entry, change[2])
      }
    }
  }

  handlePresence(peer: Peer): void {
    for (const [name, room] of this.#watched) {
      const entries = peer.table.of(name)
      for (const entry of entries.values()) room.handleEntry(peer.id, entry, peer.isAway)
      if (entries.size > 0 && peer.isAway) room.emit('stale', peer.id)
    }
  }

  handlePeerGone(peer: Peer, isOrderly: boolean): void {
    const reason: LeaveReason = isOrderly ? 'server-left' : 'server-lost'
    for (const [name, room] of this.#watched) {
      for (const entry of peer.table.of(name).values()) room.handleGone(peer.id, entry, reason)
    }
  }

  handleLinkClosed(peer: Peer): void {
    this.#asking.handleLinkClosed(peer)
    for (const awaited of this.#awaited.values()) {
      awaited.get(peer)?.({ delivered: 0, lost: [{ id: peer.id, code: 'ERR_SOCKET_LOST' }] })
    }
  }

  handleUndelivered(id: string, undelivered: number): void {
    if (!this.#isClosed) this.#host.announceLost(id, undelivered)
  }

  handleMessage(peer: Peer, message: PeerMessage): void {
    if (message.kind === 'write') void this.#take(peer, message.broadcast)
    else if (message.kind === 'wrote') {
      const { number, delivered, lost } = message
      this.#awaited.get(number)?.get(peer)?.({ delivered, lost })
    } else if (message.kind === 'close') this.closeAll({ ...message, isLocal: true }, message.reason)
    else if (message.kind === 'ask') {
      const { ask } = message
      const targets = this.#audience({ ...ask, isLocal: true }).filter(isOpen)
      void this.#asking.handleAsk(peer, { ...ask, data: new MessageData(ask), targets })
    } else if (message.kind === 'unask') this.#asking.handleUnask(peer, message.number)
    else if (message.kind === 'answers')
      this.#asking.handleAnswers(peer, message.number, message.answers, message.isLast)
  }

  /** Delivers what another server has written to a room. */
  async #take(
    peer: Peer,
    { encoding, raw, headers, ttl, number, isVolatile, ...to }: Forwarded,
  ): Promise<void> {
    const data = new MessageData({ encoding, raw, headers, ttl })
    const targets = this.#audience({ ...to, isLocal: true })
    let outcome: Outcome
    try {
      const message = prepare(data, undefined, Infinity, socketHeadersText)
      const taking = this.#deliver(targets, message, isVolatile)
      if (number === 0) return
      outcome = await this.#whenHandled(targets, taking)
    } catch (error) {
      // It comes from another process, and may be what nobody can write.
      const { code } = error as FabricError
      outcome = { delivered: 0, lost: targets.map(({ id }) => ({ id, code })) }
      if (number === 0) return
    }
    if (peer.link.state !== 'closed') this.#peers.say(peer, { kind: 'wrote', number, ...outcome })
  }

  get #hasPresence(): boolean {
    return this.#options.presence ?? ROOMS_SHAPE.presence.default
  }

  #put(room: string, entry: OwnEntry): void {
    const before = this.#own.set(room, entry)
    if (before === undefined) {
      this.#rows.delete(room)
      if (CHANNELS.roomJoin.hasSubscribers) CHANNELS.roomJoin.publish(this.#told(room, entry))
    }
    const watched = this.#watched.get(room)
    if (before !== undefined && before.key !== entry.key) watched?.handleGone(this.#host.id, before, 'left')
    watched?.handleEntry(this.#host.id, entry, false)
    if (this.#hasPresence) this.#peers.change(rowOf(room, entry), entry.size)
  }

  /** A socket that has joined or left, for channels. */
  #told(room: string, { id, key, data, socket }: OwnEntry): object {
    return { listener: this.#host.listener, room, member: { id, key, data, socket } }
  }

  /** The sockets of this server that are meant, each once. */
  #audience({ rooms, except }: Audience): readonly RoomSocket[] {
    if (rooms.length === 1 && except.length === 0) return this.#row(rooms[0]!)
    const left = new Set<string>()
    for (const one of except) {
      if (!one.startsWith(EXCEPT_ROOM)) left.add(one)
      else for (const id of this.#own.of(one.slice(EXCEPT_ROOM.length)).keys()) left.add(id)
    }
    const meant = new Set<RoomSocket>()
    for (const room of rooms)
      for (const socket of this.#row(room)) if (!left.has(socket.id)) meant.add(socket)
    return [...meant]
  }

  #row(room: string): readonly RoomSocket[] {
    let row = this.#rows.get(room)
    if (row === undefined) {
      row = Array.from(this.#own.of(room).values(), ({ socket }) => socket)
      if (row.length > 0) this.#rows.set(room, row)
    }
    return row
  }

  /** Has the other servers write it, too. The message is still to be written here. */
  #forward(
    { rooms, except, isLocal }: Audience,
    message: Outgoing,
    isVolatile: boolean,
    number: number,
  ): void {
    if (isLocal || this.#peers.size === 0) return
    const { ttl } = message
    const { encoding, raw, headers = null } = message.copy()
    const broadcast: Forwarded = { rooms, except, isVolatile, number, encoding, raw, headers, ttl }
    this.#peers.sayAll({ kind: 'write', broadcast })
    // Whatever is prepared takes the place of what was.
    prepare(new MessageData({ encoding, raw, headers, ttl }), undefined, Infinity, socketHeadersText)
  }

  /** Writes to all that have room. Returns which those are; slow ones are closed, or miss it. */
  #deliver(targets: readonly RoomSocket[], message: Outgoing, isVolatile: boolean): readonly RoomSocket[] {
    const { size } = message
    const slow: RoomSocket[] = []
    const taking: RoomSocket[] = []
    for (const socket of targets) {
      if (!isOpen(socket)) continue
      const isFull = (isVolatile && socket.state !== 'ready') || socket.outbox.refusal(size) !== undefined
      const list = isFull ? slow : taking
      list.push(socket)
    }
    if (taking.length > 0) {
      this.#host.broadcast(
        taking.map(({ engineHandle }) => engineHandle),
        message,
        isVolatile,
      )
      this.#host.countSent(message.length)
      for (const { outbox } of taking) outbox.countWrite(size, isVolatile)
    }
    const drops = isVolatile || this.#options.slowMember === 'drop'
    for (const socket of slow) {
      if (drops) socket.outbox.countDropped()
      else socket.giveUp(new FabricError('slow member of a room: its window is full', 'ERR_SLOW_CONSUMER'))
    }
    return taking
  }

  /** Waits until all of them have handled what was just written, and says who has not. */
  async #whenHandled(targets: readonly RoomSocket[], taking: readonly RoomSocket[]): Promise<Outcome> {
    const missed = targets.length === taking.length ? [] : targets.filter(socket => !taking.includes(socket))
    const lost: Outcome['lost'] = missed.map(({ id }) => ({ id, code: 'ERR_SLOW_CONSUMER' }))
    const outcomes = await Promise.all(
      taking.map(async socket => ({ socket, failure: await handled(socket) })),
    )
    for (const { socket, failure } of outcomes) {
      if (failure !== undefined) lost.push({ id: socket.id, code: failure.code })
    }
    return { delivered: targets.length - lost.length, lost }
  }
}

function isOpen({ ended, state }: RoomSocket): boolean {
  return !ended && state !== 'closed'
}

/** Who has connected a socket, unless that is long. */
function userOf({ user }: RoomSocket): unknown {
  return jsonLength(user) <= MAX_USER ? user : undefined
}

function handled(socket: RoomSocket): Promise<Failure | undefined> {
  return socket.whenHandled()
}

function closedError(): FabricError {
  return new FabricError('the socket is closed', 'ERR_CLOSED')
}

function limit(what: string): FabricError {
  return new FabricError(`no room for another member: ${what}`, 'ERR_ROOM_LIMIT')
}
