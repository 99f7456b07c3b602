/**
 * selvedge/testing: faults for tests of programs that talk over a network, and a fabric for one test.
 *
 * Durations are milliseconds, sizes bytes. See docs/guide/testing.md.
 */

import type { EventEmitter } from 'node:events'
import type { Client, ConatServer, ConnectOptions, ServerOptions } from '../index'

/**
 * What goes wrong in one direction, as long as it is set. Order is kept, whatever else happens: it is still
 * TCP.
 */
export interface Faults {
  /** Everything arrives so much later. @default 0 */
  latency?: number
  /** And by chance up to so much later still. @default 0 */
  jitter?: number
  /** Bytes per second. @default no limit */
  bandwidth?: number
  /** Bytes are passed on in pieces of 1 to so many; 1: byte by byte. @default as they come */
  slice?: number
  /** The chance of each byte that one of its bits is flipped, 0 to 1. @default 0 */
  flip?: number
  /** The chance of each piece that the connection is reset in its place, 0 to 1. @default 0 */
  reset?: number
}

export type Direction = 'both' | 'toServer' | 'toClient'

export interface FaultProxyOptions {
  /** Where the connections go: `http://host:port`, `host:port`, or a port of this machine. */
  target: string | number
  /** Makes the same choices for the same pieces. @default by chance; `proxy.seed` tells */
  seed?: number
  /** Address to listen on. @default "127.0.0.1" */
  host?: string
  /** @default any free one */
  port?: number
  /** Faults from the start. @default none */
  toServer?: Faults
  /** The same for the other direction. @default none */
  toClient?: Faults
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

/** A relay whose faults a test chooses. */
export interface FaultProxy extends EventEmitter<{ connection: [number: number] }> {
  /** `http://host:port`, as `connect` takes it. */
  readonly address: string
  readonly host: string
  readonly port: number
  readonly seed: number
  /** How many connections are open. */
  readonly connections: number
  /** What has passed since the start: bytes, flipped bits, and resets by chance. */
  readonly stats: {
    readonly connections: number
    readonly bytes: { readonly toServer: number; readonly toClient: number }
    readonly flipped: number
    readonly resets: number
  }
  /** Sets the named faults for what comes from now on; `undefined` ends one. */
  set(faults: Faults, direction?: Direction): void
  /**
   * Nothing passes any more and nobody is told, until `restore`: a network that went away. What was sent
   * arrives after that, as TCP repeats it. New connections are taken, and nothing passes on them either.
   */
  blackhole(direction?: Direction): void
  /** Flips one bit in each of the next `count` pieces (default 1). */
  flip(count?: number, direction?: Direction): void
  /** Ends one direction of every connection; the other one goes on. */
  halfClose(direction: 'toServer' | 'toClient'): void
  /** Resets every connection; new ones are taken. Resolves with how many there were, when they are gone. */
  cut(): Promise<number>
  /** Resets every connection, and refuses new ones until `restore`. */
  refuse(): Promise<void>
  /** Ends all faults. Connections that stand go on with what was held back. */
  restore(): Promise<void>
  /** New connections go to `target`: a server that came back elsewhere. */
  retarget(target: string | number): void
  /** Resets every connection, and resolves when the port is free. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** As `init` takes them; there is no port. */
export type MemoryFabricOptions = Omit<ServerOptions, 'port' | 'host' | 'path'>

/**
 * Makes a fabric of its own inside this process: a broker without a port. Clients of other fabrics, also of
 * the one that a process shares, neither see it nor are seen.
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
  /** A new client. Unless told otherwise it comes back within 50 ms after its connection was lost. */
  client(options?: ConnectOptions): Client
  /**
   * Cuts the connections of these clients, or of all, as if the network had failed. They come back by
   * themselves.
   */
  dropConnections(...clients: Client[]): void
  /** Closes the clients and the broker. Never rejects. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
