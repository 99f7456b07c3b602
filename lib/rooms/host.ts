// What rooms need of the listener that they belong to, of its sockets, and of its client.
import type { State } from '../../index'
import type { Emitter } from '../async/emitter'
import type { Outgoing } from '../engine/outgoing'
import type { Message } from '../messaging/message'
import type { FabricError } from '../values/errors'
import type { Failure } from '../values/failure'

/** A socket of the listener. */
export interface RoomSocket {
  readonly id: string
  readonly engineHandle: number
  readonly state: State
  readonly ended: boolean
  /** Who connected it, by the word of the broker. */
  readonly user: unknown
  readonly outbox: {
    refusal(size: number): FabricError | undefined
    countWrite(size: number, isVolatile: boolean): boolean
    countDropped(): void
  }
  request(data: unknown, options: { timeout: number; signal: AbortSignal }): Promise<Message>
  whenHandled(): Promise<Failure | undefined>
  /** Closes it, and tells its client why. */
  closeWith(reason: FabricError): void
  /** Closes it, and tells its client that it does not keep up. */
  giveUp(error: FabricError): void
  close(): void
}

/** A socket to another server of the same listener. Any two are of the same kind, whichever side has connected. */
export interface Link {
  readonly id: string
  /** Whether a drain of the client leaves it to the rooms, which end with their listener. */
  isOwned: boolean
  readonly state: State
  write(data: unknown): boolean
  waitUntilWritable(): Promise<void>
  /** Resolves when everything that was written is handled. */
  drain(options?: { timeout: number }): Promise<void>
  /** What the other side is not known to have handled, once it is closed. */
  undelivered(): readonly { readonly data: unknown }[]
  close(): void
  /** Closes it, and tells the other side that this is no end in order. */
  destroy(reason: Error): void
  unref(): unknown
  on(name: string, listener: (...args: never[]) => void): unknown
}

export interface LinkServer {
  isOwned: boolean
  close(): void
  unref(): unknown
  on(name: 'connection', listener: (link: Link) => void): unknown
}

interface Subscribed {
  readonly emitter: Emitter<{ message: [message: Message] }>
  unref(): unknown
  close(): void
}

/** The client of the listener. */
export interface RoomClient {
  subscribe(subject: string): Promise<Subscribed>
  publish(subject: string, data: unknown): Promise<unknown>
  on(name: 'inbox', listener: () => void): unknown
  off(name: 'inbox', listener: () => void): unknown
  readonly socket: {
    listen(subject: string, options: object): LinkServer
    connect(subject: string, options: object): Link & { waitUntilReady(timeout: number): Promise<void> }
  }
}

/** The listener, and what is not decided here: time, chance, and how sockets are written to. */
export interface RoomHost {
  readonly listener: object
  readonly id: string
  readonly subject: string
  readonly fabric: RoomClient
  readonly maxMessageBytes: number
  /** Rows in one message of a table that another server is told. */
  readonly rowsAtOnce: number
  /** Messages that may wait for a link whose window is full. */
  readonly maxWaiting: number
  /** Why there is no connection, as far as that is known. */
  readonly obstacle?: Failure | undefined
  countSent(bytes: number): void
  /** Writes a message to sockets that have room for it, by their handles. */
  broadcast(sockets: readonly number[], message: Outgoing, isVolatile: boolean): void
  /** In ms since 1970. */
  now(): number
  /** From 0 to 1. */
  random(): number
  /** Calls back when what runs now has ended. */
  soon(callback: () => void): void
  /** Calls back after so many ms, unless that is stopped before. */
  after(ms: number, callback: () => void): { stop(): void }
  /** Emits `peerLost`. */
  announceLost(id: string, undelivered: number): void
}
