// What `console.log` and `util.inspect` show of public objects: what a person wants to know, no insides, no secrets.
import { ConatServer } from './broker/broker'
import { Client } from './client/client'
import { Message, MessageData } from './messaging/message'
import { Subscription } from './messaging/subscription'
import { Broadcast } from './rooms/broadcast'
import { Room } from './rooms/room'
import { RoomView } from './rooms/room-view'
import { ConatService } from './services/conat-service'
import { ConatSocketBase } from './socket/base'
import { ConatSocketServer } from './socket/server'
import { ServerSocket } from './socket/server-socket'
import { Patterns } from './values/patterns'

/** Node.js asks objects for it. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')
const LINE_LENGTH = 120

interface InspectOptions {
  depth?: number | null
}
type Inspect = (value: unknown, options: object) => string
type Class<T> = { prototype: T }

function show<T extends object>(type: Class<T>, fields: (object: T) => Record<string, unknown>): void {
  const value = function (this: T, depth: number, options: InspectOptions, inspect: Inspect): string {
    const { name } = this.constructor
    if (depth < 0) return `[${name}]`
    const inner = options.depth == null ? options.depth : options.depth - 1
    return `${name} ${inspect(known(fields(this)), { ...options, depth: inner, breakLength: LINE_LENGTH, compact: 3 })}`
  }
  Object.defineProperty(type.prototype, INSPECT, { value, configurable: true, writable: true })
}

/** Without what is not known. */
function known(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** Shown where a payload cannot be decoded. */
class Undecodable {
  readonly #code: unknown

  constructor(error: unknown) {
    this.#code = (error as { code?: unknown }).code
  }

  [INSPECT](): string {
    return `<${String(this.#code)}>`
  }
}

function dataOf(message: MessageData): unknown {
  try {
    return message.data
  } catch (error) {
    return new Undecodable(error)
  }
}

/** Without what the fabric itself has put there. */
function headersOf({ headers }: MessageData): object | undefined {
  const own = Object.entries(headers ?? {}).filter(([name]) => !name.startsWith('CN-'))
  return own.length === 0 ? undefined : Object.fromEntries(own)
}

function socketFields(socket: ConatSocketBase): Record<string, unknown> {
  return {
    subject: socket.subject,
    id: socket.id,
    state: socket.state,
    desc: socket.desc,
    pending: socket.stats.pending,
    sent: socket.stats.sent,
    received: socket.stats.received,
  }
}

show(Client, client => ({
  id: client.id,
  state: client.state,
  address: client.options.address,
  wire: client.wire,
  user: client.info?.user ?? undefined,
  subscriptions: client.numSubscriptions(),
}))
show(ConatSocketBase, socketFields)
show(ServerSocket, socket => ({
  ...socketFields(socket),
  user: socket.user ?? undefined,
  rooms: socket.rooms.size === 0 ? undefined : [...socket.rooms],
}))
show(ConatSocketServer, server => ({
  subject: server.subject,
  id: server.id,
  state: server.state,
  desc: server.desc,
  sockets: Object.keys(server.sockets).length,
}))
show(Room, ({ name, members }) => ({ name, members: members.size }))
show(RoomView, ({ name, members }) => ({ name, members: members.size }))
show(Broadcast, broadcast => {
  const { rooms, except } = broadcast.audience
  return { rooms, except: except.length === 0 ? undefined : except, members: broadcast.size }
})
show(Patterns, patterns => ({ patterns: [...patterns].length }))
show(MessageData, message => ({ data: dataOf(message), headers: headersOf(message) }))
show(Message, message => ({
  subject: message.subject,
  data: dataOf(message),
  headers: headersOf(message),
  request: message.isRequest(),
}))
show(Subscription, subscription => ({
  subject: subscription.subject,
  queue: subscription.queue === '' ? undefined : subscription.queue,
  ended: subscription.ended,
  dropped: subscription.dropped,
}))
show(ConatService, ({ name, subject, state }) => ({ name, subject, state }))
show(ConatServer, server => {
  const totals = server.totals
  return {
    id: server.id,
    state: server.state,
    address: server.address()?.toString(),
    connections: totals?.connections,
    subscriptions: totals?.subscriptions,
    draining: server.draining,
  }
})
