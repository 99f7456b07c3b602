/**
 * selvedge/dgram: datagrams on subjects, as `node:dgram` has them on ports. They arrive at most once, whole or not at all, and
 * across senders in no order; they are never sent again.
 *
 * Sizes are bytes. Errors are as Node makes them: `code`, `syscall`, `address` (the subject). docs/guide/net.md has an
 * introduction.
 */

import type { EventEmitter } from 'node:events'
import type { Client } from '../index'

/** The kinds of sockets that programs for Node ask for. Here all are the same. */
export type SocketType = 'subject' | 'udp4' | 'udp6'

/** Options of `createSocket`. */
export interface SocketOptions {
  /** All mean the same. */
  type: SocketType
  /** Shares its subject: each socket that is bound there gets a copy. @default false */
  reuseAddr?: boolean | undefined
  /**
   * While more bytes than this wait for the JavaScript thread, headers and 256 for each datagram included, the newest are dropped
   * and counted in `stats.recvDropped`: of the socket's own subject, and of each membership. 0: the default. @default 1 MiB
   */
  recvBufferSize?: number | undefined
  /**
   * While more bytes than this wait, datagrams are dropped (`ENOBUFS`): of this socket for its bind, or in the process to be
   * sent, by whomever. 0: the default. @default 1 MiB
   */
  sendBufferSize?: number | undefined
  /** Accepted as Node's. Has no effect: a subject needs no address. */
  lookup?: ((...args: never[]) => void) | undefined
  /** Closes it. */
  signal?: AbortSignal | undefined
  /** The client to use. @default that of `over`, else the one of `getClient()` */
  client?: Client | undefined
}

/** Options of `bind`. */
export interface DatagramBindOptions {
  /** What it is bound to, and where its datagrams come from. @default a free one */
  subject?: string | undefined
  /** Has no effect. */
  exclusive?: boolean | undefined
  /** Of the sockets with the same queue one gets each datagram. @default the subject is not shared */
  queue?: string | undefined
}

/** Where a datagram comes from. */
export interface DatagramInfo {
  /** The subject that its sender is bound to, as it says; empty for a plain publish. */
  address: string
  /** The subject that it was sent to. */
  subject: string
  family: 'subject'
  port: 0
  size: number
}

/** What a socket has counted. */
export interface DatagramStats {
  readonly sent: number
  readonly received: number
  /** Not sent: too much waited, the fabric was away, the bind failed, or it may or can not go there. */
  readonly sendDropped: number
  /** Dropped while `recvBufferSize` was used up; counted within a moment. Sockets that share a subject count the same ones. */
  readonly recvDropped: number
  /** What arrived and was not a datagram, or not of a sender who could be answered. */
  readonly malformed: number
}

/** What a socket is bound to, or connected to. */
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
   * Errors by event: `EADDRINUSE` somebody is bound there or subscribed to it · `EACCES` not permitted · `EMFILE` over a limit ·
   * `ETIMEDOUT` no confirmation in time · `ENETDOWN` the client is closed.
   * A subject that is taken back later is `EACCES`, and the socket closes.
   *
   * @throws {Error} `"ERR_SOCKET_ALREADY_BOUND"` · `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` no valid subject ·
   *   `"ERR_SOCKET_DGRAM_NOT_RUNNING"` it is closed
   */
  bind(subject?: string, listener?: () => void): this
  bind(options: DatagramBindOptions, listener?: () => void): this
  bind(listener?: () => void): this
  /**
   * Sends up to 65 507 bytes; binds an unbound socket to a free subject first, and waits for that. The callback gets the number
   * of bytes, or why it was not sent: `ENOBUFS` it was dropped, since the client is not connected or `sendBufferSize` is used
   * up · `EMSGSIZE` it is too large · `EACCES` not permitted · `EDESTADDRREQ` to `''`, the address of a plain publish · what the
   * bind failed with. Without a callback, `EMSGSIZE` comes by the event `error`, and so do `EACCES` and `EDESTADDRREQ` if
   * somebody listens to that. Whether anybody receives it is not known.
   *
   * @throws {Error} `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` · `"ERR_BUFFER_OUT_OF_BOUNDS"` ·
   *   `"ERR_SOCKET_DGRAM_IS_CONNECTED"` with a subject on a connected socket · `"ERR_SOCKET_DGRAM_NOT_RUNNING"`
   */
  send(message: Bytes, subject: string, callback?: SendCallback): void
  send(message: Bytes, callback?: SendCallback): void
  send(message: Bytes, offset: number, length: number, subject: string, callback?: SendCallback): void
  send(message: Bytes, offset: number, length: number, callback?: SendCallback): void
  /**
   * From now on sends to this subject, and receives only what the socket that is bound there sends.
   *
   * @throws {Error} `"ERR_SOCKET_DGRAM_IS_CONNECTED"` · `"ERR_SOCKET_DGRAM_NOT_RUNNING"` · `"ERR_INVALID_ARG_TYPE"` ·
   *   `"ERR_INVALID_ARG_VALUE"` no valid subject
   */
  connect(subject: string, listener?: () => void): void
  /** @throws {Error} `"ERR_SOCKET_DGRAM_NOT_CONNECTED"` */
  disconnect(): void
  /**
   * Closes it; what waits for the bind is not sent. The end of the client closes it, too.
   *
   * @throws {Error} `"ERR_SOCKET_DGRAM_NOT_RUNNING"` it is closed already
   */
  close(callback?: () => void): this
  /**
   * Receives what is sent to any subject that matches. Errors by event: `EMFILE` more than 1000 patterns, or over a limit of the
   * broker · `EACCES` not permitted, or not any more: it is no member then · `ENETDOWN`.
   *
   * @throws {Error} `"ERR_MISSING_ARGS"` · `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` no pattern ·
   *   `"ERR_SOCKET_DGRAM_NOT_RUNNING"`
   */
  addMembership(pattern: string): void
  /** @throws {Error} `"ERR_MISSING_ARGS"` · `"EADDRNOTAVAIL"` the pattern was not added · `"ERR_SOCKET_DGRAM_NOT_RUNNING"` */
  dropMembership(pattern: string): void
  /** The subject that it is bound to. @throws {Error} `"EBADF"` it is not bound yet · `"ERR_SOCKET_DGRAM_NOT_RUNNING"` */
  address(): DatagramAddress
  /** The subject that it is connected to. @throws {Error} `"ERR_SOCKET_DGRAM_NOT_CONNECTED"` · `"ERR_SOCKET_DGRAM_NOT_RUNNING"` */
  remoteAddress(): DatagramAddress
  ref(): this
  unref(): this
  /** Bytes. @throws {Error} `"ERR_SOCKET_BUFFER_SIZE"` it is not bound yet; so do the next three */
  getRecvBufferSize(): number
  /** Bytes. @throws {Error} `"ERR_SOCKET_BAD_BUFFER_SIZE"` no positive integer */
  setRecvBufferSize(size: number): void
  getSendBufferSize(): number
  /** Bytes. @throws {Error} `"ERR_SOCKET_BAD_BUFFER_SIZE"` no positive integer */
  setSendBufferSize(size: number): void
  /** Bytes that wait for the bind. */
  getSendQueueSize(): number
  /** Datagrams that wait for the bind. */
  getSendQueueCount(): number
  /**
   * Whether memberships receive what the socket itself has sent: `true` unless set.
   *
   * @throws {Error} `"EBADF"` it is not bound yet · `"ERR_SOCKET_DGRAM_NOT_RUNNING"`
   */
  setMulticastLoopback(on: boolean): boolean
  /** Has no effect, nor have the next three. @throws {Error} `"EBADF"` it is not bound yet · `"ERR_SOCKET_DGRAM_NOT_RUNNING"` */
  setBroadcast(on: boolean): void
  /** @throws {Error} `"EINVAL"` not 1 to 255 · `"ERR_INVALID_ARG_TYPE"` */
  setTTL(ttl: number): number
  /** @throws {Error} `"EINVAL"` not 1 to 255 · `"ERR_INVALID_ARG_TYPE"` */
  setMulticastTTL(ttl: number): number
  setMulticastInterface(name: string): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Creates a socket. It has a subject once it is bound, or has sent something.
 *
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
