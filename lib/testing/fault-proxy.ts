// A TCP relay between a client and a server, whose faults a test controls.
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Direction, FaultProxyOptions, Faults, FaultProxy as Promised } from '../../types/testing'
import { invalidType, invalidValue } from '../values/errors'
import { checkOptions, isNumber, isString, type ShapeOf } from '../values/option-checks'
import { checkFaults, type OneWay, ways } from './faults'
import { type Lane, Pipe } from './pipe'
import { Random } from './random'

interface FaultProxyEvents {
  connection: [number: number]
}

interface Target {
  host: string
  port: number
}

export const PROXY_SHAPE = {
  target: () => {},
  seed: isNumber,
  host: { check: isString, default: '127.0.0.1' },
  port: isNumber,
  toServer: (_name, value) => checkFaults(value as Faults),
  toClient: (_name, value) => checkFaults(value as Faults),
} as const satisfies ShapeOf<FaultProxyOptions>

/** Starts a proxy, and resolves when it listens. */
export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  checkOptions('faultProxy', options, PROXY_SHAPE)
  const target = targetOf(options?.target)
  const proxy = new FaultProxy(target, options.seed ?? Math.floor(Math.random() * 2 ** 32), options.host)
  if (options.toServer !== undefined) proxy.set(options.toServer, 'toServer')
  if (options.toClient !== undefined) proxy.set(options.toClient, 'toClient')
  await proxy.listen(options.port ?? 0)
  return proxy
}

export class FaultProxy extends EventEmitter<FaultProxyEvents> {
  readonly seed: number
  readonly host: string
  #target: Target
  readonly #random: Random
  readonly #lanes: Record<OneWay, Lane> = { toServer: newLane(), toClient: newLane() }
  readonly #connections = new Set<Connection>()
  #server: Server | undefined
  #port = 0
  #count = 0
  #isClosed = false

  /** @internal */
  constructor(target: Target, seed: number, host: string = PROXY_SHAPE.host.default) {
    super()
    this.#target = target
    this.seed = seed
    this.host = host
    this.#random = new Random(seed)
  }

  get port(): number {
    return this.#port
  }

  get address(): string {
    return `http://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.#port}`
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#connections.size
  }

  get stats(): Promised['stats'] {
    const { toServer, toClient } = this.#lanes
    return {
      connections: this.#count,
      bytes: { toServer: toServer.passed.bytes, toClient: toClient.passed.bytes },
      flipped: toServer.passed.flipped + toClient.passed.flipped,
      resets: toServer.passed.resets + toClient.passed.resets,
    }
  }

  /** Connects later connections to `target`. */
  retarget(target: string | number): void {
    this.#target = targetOf(target)
  }

  /** Sets the named faults; the others stay unchanged. */
  set(faults: Faults, direction: Direction = 'both'): void {
    checkFaults(faults)
    for (const way of ways(direction)) Object.assign(this.#lanes[way].faults, faults)
    this.#pump()
  }

  blackhole(direction: Direction = 'both'): void {
    for (const way of ways(direction)) this.#lanes[way].isHeld = true
  }

  flip(count = 1, direction: Direction = 'both'): void {
    for (const way of ways(direction)) this.#lanes[way].flips += count
  }

  halfClose(direction: OneWay): void {
    for (const way of ways(direction)) for (const connection of this.#connections) connection.halfClose(way)
  }

  /** Resets every connection; new ones are accepted. Resolves with how many there were. */
  async cut(): Promise<number> {
    const all = [...this.#connections]
    await Promise.all(all.map(connection => connection.reset()))
    return all.length
  }

  /** Resets every connection, and refuses new ones until `restore`. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    const closed = server === undefined ? undefined : new Promise(resolve => server.close(resolve))
    await this.cut()
    await closed
  }

  /** Ends every fault: what was held back passes, and new connections are accepted. */
  async restore(): Promise<void> {
    for (const lane of Object.values(this.#lanes)) {
      for (const name of Object.keys(lane.faults)) delete lane.faults[name as keyof Faults]
      lane.isHeld = false
      lane.flips = 0
    }
    if (this.#server === undefined && !this.#isClosed) await this.listen(this.#port)
    this.#pump()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.refuse()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  async listen(port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, client =>
      this.#accept(client),
    )
    this.#server = server
    server.listen(port, this.host)
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
  }

  #accept(client: Socket): void {
    const number = this.#count++
    const connection = new Connection(client, this.#target, this.#lanes, this.#random.fork(number))
    this.#connections.add(connection)
    void connection.gone.then(() => this.#connections.delete(connection))
    this.emit('connection', number)
  }

  #pump(): void {
    for (const connection of this.#connections) connection.pump()
  }
}

/** One relayed connection: client, server, and a pipe in each direction. */
class Connection {
  readonly gone: Promise<unknown>
  readonly #client: Socket
  readonly #server: Socket
  readonly #pipes: Record<OneWay, Pipe>

  constructor(client: Socket, target: Target, lanes: Record<OneWay, Lane>, random: Random) {
    this.#client = client
    this.#server = connect({ ...target, allowHalfOpen: true, noDelay: true })
    client.setNoDelay(true)
    const reset = (): void => void this.reset()
    const [toServer, toClient] = [random.fork(0), random.fork(1)]
    this.#pipes = {
      toServer: new Pipe(client, this.#server, lanes.toServer, toServer, reset),
      toClient: new Pipe(this.#server, client, lanes.toClient, toClient, reset),
    }
    const sides = [client, this.#server]
    // If one side is reset or cannot be reached, reset the other one.
    for (const side of sides) side.on('error', reset)
    this.gone = Promise.all(sides.map(side => new Promise(resolve => side.once('close', resolve))))
  }

  pump(): void {
    for (const pipe of Object.values(this.#pipes)) pipe.pump()
  }

  halfClose(way: OneWay): void {
    this.#pipes[way].halfClose()
  }

  async reset(): Promise<void> {
    for (const pipe of Object.values(this.#pipes)) pipe.stop()
    for (const side of [this.#client, this.#server]) {
      // Node.js cannot reset what it is shutting down, and would never close it.
      if (side.writableEnded) side.destroy()
      else side.resetAndDestroy()
    }
    await this.gone
  }
}

function newLane(): Lane {
  return { faults: {}, isHeld: false, flips: 0, passed: { bytes: 0, flipped: 0, resets: 0 } }
}

/** Parses `http://host:port`, `host:port`, or a port of this machine. */
function targetOf(target: unknown): Target {
  if (typeof target !== 'string' && typeof target !== 'number')
    throw invalidType('target', 'an address or a port', target)
  const text = typeof target === 'number' ? `127.0.0.1:${target}` : target
  try {
    const hasScheme = /^\w+:\/\//.test(text)
    // A scheme without a default port, so that the URL parser does not drop one.
    const { hostname, port, protocol } = new URL(hasScheme ? text : `tcp://${text}`)
    const number = Number(port || { 'http:': 80, 'ws:': 80, 'https:': 443, 'wss:': 443 }[protocol])
    if (number > 0) return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: number }
  } catch {}
  throw invalidValue('target', 'http://host:port, host:port or a port', target)
}
