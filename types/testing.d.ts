/**
 * selvedge/testing: faults for tests of programs that talk over a network, and a fabric for one test.
 *
 * Durations are milliseconds, sizes bytes. See docs/guide/testing.md.
 */

import type { EventEmitter } from 'node:events'
import type { Client, ConatServer, ConnectOptions, ServerOptions } from '../index'

/**
 * The faults of one direction, for as long as they are set. Order is always kept, as with TCP.
 */
export interface Faults {
  /** Milliseconds by which everything is delayed. @default 0 */
  latency?: number | undefined
  /** Milliseconds of additional delay, at random between 0 and this. @default 0 */
  jitter?: number | undefined
  /** Bytes per second. @default no limit */
  bandwidth?: number | undefined
  /** Passes bytes on in pieces of random size, from 1 to this; 1: byte by byte. @default as they arrive */
  slice?: number | undefined
  /** Probability, for each byte, that one of its bits is flipped, 0 to 1. @default 0 */
  flip?: number | undefined
  /** Probability, for each piece, that the connection is reset instead, 0 to 1. @default 0 */
  reset?: number | undefined
}

/** Which way bytes go through a proxy. */
export type Direction = 'both' | 'toServer' | 'toClient'

/** Options of `faultProxy`. */
export interface FaultProxyOptions {
  /** Where to connect to: `http://host:port`, `host:port`, or a port of this machine. */
  target: string | number
  /** Seed of the random choices: the same for the same pieces. @default random, in `proxy.seed` */
  seed?: number | undefined
  /** Address to listen on. @default "127.0.0.1" */
  host?: string | undefined
  /** @default any free one */
  port?: number | undefined
  /** Faults from the start. @default none */
  toServer?: Faults | undefined
  /** The same for the other direction. @default none */
  toClient?: Faults | undefined
}

/**
 * Starts a TCP relay to `target`, and resolves when it listens. Without faults it only relays. It keeps the
 * process alive until it is closed.
 *
 * @throws {FabricError} `"ERR_UNKNOWN_OPTION"` · `"ERR_INVALID_ARG_TYPE"` · `"ERR_INVALID_ARG_VALUE"` ·
 *   `"ERR_OUT_OF_RANGE"`; an `Error` of Node when it cannot listen (`"EADDRINUSE"`)
 * @example
 * const proxy = await faultProxy({ target: broker.address().port, seed: 1 })
 * const client = connect({ address: proxy.address })
 * await proxy.cut()
 */
export declare function faultProxy(options: FaultProxyOptions): Promise<FaultProxy>

/** A relay whose faults a test controls. */
export interface FaultProxy extends EventEmitter<{ connection: [number: number] }> {
  /** `http://host:port`, as `connect` takes it. */
  readonly address: string
  readonly host: string
  readonly port: number
  readonly seed: number
  /** The number of open connections. */
  readonly connections: number
  /** Totals since the start: connections, bytes, flipped bits, and random resets. */
  readonly stats: {
    readonly connections: number
    readonly bytes: { readonly toServer: number; readonly toClient: number }
    readonly flipped: number
    readonly resets: number
  }
  /** Sets the named faults for what arrives from now on; `undefined` ends one. */
  set(faults: Faults, direction?: Direction): void
  /**
   * Passes nothing any more until `restore`, and tells neither side: a network that is gone. What was sent
   * arrives after `restore`, as TCP would retransmit it. New connections are accepted; nothing passes on
   * them, either.
   */
  blackhole(direction?: Direction): void
  /** Flips one bit in each of the next `count` pieces (default 1). */
  flip(count?: number, direction?: Direction): void
  /** Ends one direction of every connection; the other one goes on. */
  halfClose(direction: 'toServer' | 'toClient'): void
  /**
   * Resets every connection; new ones are accepted. Resolves with how many there were, when they are gone.
   */
  cut(): Promise<number>
  /** Resets every connection, and refuses new ones until `restore`. */
  refuse(): Promise<void>
  /** Ends all faults. Open connections continue with what was held back. */
  restore(): Promise<void>
  /** Connects later connections to `target`, as if the server had moved. */
  retarget(target: string | number): void
  /** Resets every connection, and resolves when the port is free. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The options of `init`, without a port. */
export type MemoryFabricOptions = Omit<ServerOptions, 'port' | 'host' | 'path'>

/**
 * Creates a separate fabric inside this process: a broker without a port. It is isolated from all other
 * fabrics, including the one that the process shares.
 *
 * @throws {FabricError} as `init`
 * @example
 * const fabric = memoryFabric()
 * const socket = fabric.client().socket.connect('chat')
 * fabric.dropConnections()
 * await fabric.close()
 */
export declare function memoryFabric(options?: MemoryFabricOptions): MemoryFabric

/** A broker without a port, and its clients. */
export interface MemoryFabric {
  readonly broker: ConatServer
  /** Returns a new client. By default it reconnects within 50 ms after its connection was lost. */
  client(options?: ConnectOptions): Client
  /**
   * Cuts the connections of these clients, or of all, as if the network had failed. They reconnect by
   * themselves.
   */
  dropConnections(...clients: Client[]): void
  /** Closes the clients and the broker. Never rejects. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
