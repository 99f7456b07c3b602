/**
 * selvedge/dgram: datagrams on subjects, as `node:dgram` has them on ports. At most once, whole or not at all, in no order across
 * senders; never sent again, and never queued without bound.
 *
 * Sizes are bytes. Errors are as Node makes them.
 */

import type { EventEmitter } from 'node:events'
import type { Client } from '../index'

export type SocketType = 'subject' | 'udp4' | 'udp6'

export interface SocketOptions {
  /** All are the same. */
  type: SocketType
  /** Shares its subject: each socket that is bound there gets a copy. @default false */
  reuseAddr?: boolean
  /** Bytes that may wait unread; the newest are dropped. @default 1 MiB */
  recvBufferSize?: number
  /** Bytes that may wait to be sent; what comes on top of them is dropped (`ENOBUFS`). @default 1 MiB */
  sendBufferSize?: number
  /** Closes it. */
  signal?: AbortSignal
  /** The client to use. @default that of `over`, else the one of `getClient()` */
  client?: Client
}

export interface DatagramBindOptions {
  /** @default a free one */
  subject?: string
  /** Has no meaning here. */
  exclusive?: boolean
  /** One of the sockets with the same queue gets each datagram. @default all get all */
  queue?: string
}

/** Where a datagram comes from. */
export interface DatagramInfo {
  /** The subject that its sender is bound to; empty for a plain publish. */
  address: string
  /** The subject that it was sent to. */
  subject: string
  family: 'subject'
  port: 0
  size: number
}

export interface DatagramStats {
  readonly sent: number
  readonly received: number
  /** Not sent: too much waited, or the fabric was away. */
  readonly sendDropped: number
  /** Not read in time. */
  readonly recvDropped: number
  /** What came and was no datagram. */
  readonly malformed: number
}

export interface DatagramAddress {
  address: string
  family: 'subject'
  port: number
}

type Bytes = string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[]
type SendCallback = (error: Error | null, bytes: number) => void

/** A socket for datagrams. Keeps the process alive while it is bound. */
export declare class Socket extends EventEmitter<{
  listening: []
  connect: []
  message: [message: Buffer, info: DatagramInfo]
  error: [error: Error]
  close: []
}> {
  constructor(type: SocketType | SocketOptions, listener?: (message: Buffer, info: DatagramInfo) => void)
  readonly type: string
  readonly stats: DatagramStats
  /**
   * By event: `EADDRINUSE` somebody is bound there or subscribed to it, `EACCES`, `EMFILE`, `ENETDOWN`.
   *
   * @throws {Error} `"ERR_SOCKET_ALREADY_BOUND"` · `"ERR_INVALID_ARG_VALUE"` · `"ERR_SOCKET_DGRAM_NOT_RUNNING"` it is closed
   */
  bind(subject?: string, listener?: () => void): this
  bind(options: DatagramBindOptions, listener?: () => void): this
  bind(listener?: () => void): this
  /**
   * Sends up to 65 507 bytes (else `EMSGSIZE`), and binds an unbound socket to a free subject. The callback gets the number of
   * bytes, or why it was dropped (`ENOBUFS`). Whether anybody listens is not known.
   *
   * @throws {Error} `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` · `"ERR_BUFFER_OUT_OF_BOUNDS"` ·
   *   `"ERR_SOCKET_DGRAM_IS_CONNECTED"` with a subject on a connected socket · `"ERR_SOCKET_DGRAM_NOT_RUNNING"`
   */
  send(message: Bytes, subject: string, callback?: SendCallback): void
  send(message: Bytes, callback?: SendCallback): void
  send(message: Bytes, offset: number, length: number, subject: string, callback?: SendCallback): void
  send(message: Bytes, offset: number, length: number, callback?: SendCallback): void
  /** Sends to this subject, and takes only what its socket sends. @throws {Error} `"ERR_SOCKET_DGRAM_IS_CONNECTED"` */
  connect(subject: string, listener?: () => void): void
  /** @throws {Error} `"ERR_SOCKET_DGRAM_NOT_CONNECTED"` */
  disconnect(): void
  close(callback?: () => void): this
  /** Receives what is sent to any subject that matches. At most 1000 patterns. */
  addMembership(pattern: string): void
  /** @throws {Error} `"EADDRNOTAVAIL"` it is no member */
  dropMembership(pattern: string): void
  address(): DatagramAddress
  remoteAddress(): DatagramAddress
  ref(): this
  unref(): this
  getRecvBufferSize(): number
  setRecvBufferSize(size: number): void
  getSendBufferSize(): number
  setSendBufferSize(size: number): void
  getSendQueueSize(): number
  getSendQueueCount(): number
  /** Whether memberships bring what the socket itself has sent. @default true */
  setMulticastLoopback(on: boolean): boolean
  /** Has no effect, nor have the others of its kind. */
  setBroadcast(on: boolean): void
  setTTL(ttl: number): number
  setMulticastTTL(ttl: number): number
  setMulticastInterface(name: string): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @throws {Error} `"ERR_SOCKET_BAD_TYPE"`
 * @example
 * const desk = dgram.createSocket('subject', (message, { address }) => desk.send('read', address)).bind('news.desk')
 */
export declare function createSocket(
  type: SocketType | SocketOptions,
  listener?: (message: Buffer, info: DatagramInfo) => void,
): Socket

/** The module, bound to a client. */
export interface Dgram {
  createSocket: typeof createSocket
  Socket: typeof Socket
  over: typeof over
}

/** Returns the module's functions bound to `client`. @throws {Error} `"ERR_INVALID_ARG_TYPE"` */
export declare function over(client: Client): Dgram
