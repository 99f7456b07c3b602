// The ways to plug in: each behaviour is tested over all of them. A test that leaves something open fails.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  init,
  type ServerOptions,
} from 'selvedge'
import { CA, material } from './certificates'
import { describeNats, NatsServer } from './nats'

/** Quick to come back after a cut, so that a test of reconnecting takes no longer than it must. */
const QUICK: ConnectOptions = { reconnectionDelay: 5, reconnectionDelayMax: 50 }

/** The same copy that `selvedge` has loaded: what it counts keeps the process alive. */
const { refCount } = require('../../dist/engine/process-ref.js') as { refCount(): number }

export type Kind =
  | 'in-process'
  | 'conat wire'
  | 'selvedge wire'
  | 'conat wire over TLS'
  | 'selvedge wire over TLS'
  | 'selvedge wire over WebSocket'
  | 'conat wire over a unix socket'
  | 'selvedge wire over a unix socket'
  | 'conat wire through an HTTP server'
  | 'selvedge wire through an HTTP server'
  | 'nats'
  | 'gateways'

const KINDS: readonly Kind[] = ['in-process', 'conat wire', 'selvedge wire', 'nats', 'gateways']

/** The other transports of the same protocols. For the suites that move bytes in bulk, cut and come back. */
export const OTHER_TRANSPORTS: readonly Kind[] = [
  'conat wire over TLS',
  'selvedge wire over TLS',
  'selvedge wire over WebSocket',
  'selvedge wire over a unix socket',
  'conat wire through an HTTP server',
  'selvedge wire through an HTTP server',
]

type Test = (name: string, run: () => Promise<void>) => void

/** A broker, fresh for each test, and clients of it. */
export interface Fabric {
  readonly kind: Kind
  /** None on NATS; of gateways the first. */
  readonly broker: ConatServer
  /** `test`, or a skipped one at gateways, which have a rule of their own: docs/guide/nats.md lists them. */
  readonly testExceptAtGateways: Test
  /**
   * The same for what a broker does and NATS does not: skipped on NATS. Of gateways all clients are at the first, which is
   * such a broker.
   */
  readonly testAtOneBroker: Test
  /** Has all clients from now on come to one broker: of gateways to the first. */
  meetAtOneBroker(): void
  /** Checks what a publish that this many get resolves with: NATS only tells nobody from somebody. */
  expectCount(count: number, receivers: number): void
  /** A client of its own, closed after the test. */
  client(options?: ConnectOptions): Client
  /** How another process connects (not `in-process`). */
  readonly remote: ConnectOptions
  /** Replaces the broker by a new one, which the clients find again (not `in-process`). */
  replaceBroker(): Promise<void>
}

/** Runs the tests that `define` defines over every way to plug in. */
export function describeFabrics(
  name: string,
  define: (fabric: Fabric) => void,
  options?: ServerOptions,
  natsConfig?: string,
): void {
  for (const kind of KINDS) {
    // A broker's options are nothing that NATS has.
    if (kind !== 'nats' || options === undefined) describeFabric(kind, name, define, options, natsConfig)
  }
}

/** The same, over WebSockets too, as which clients come through proxies. */
export function describeFabricsAndWebSocket(name: string, define: (fabric: Fabric) => void): void {
  describeFabrics(name, define)
  describeFabric('selvedge wire over WebSocket', name, define)
}

/** The same, over the other transports too. */
export function describeTransports(
  name: string,
  define: (fabric: Fabric) => void,
  options?: ServerOptions,
  natsConfig?: string,
): void {
  describeFabrics(name, define, options, natsConfig)
  for (const kind of OTHER_TRANSPORTS) describeFabric(kind, name, define, options)
}

/** The same over one of them. */
export function describeFabric(
  kind: Kind,
  name: string,
  define: (fabric: Fabric) => void,
  options?: ServerOptions,
  natsConfig?: string,
): void {
  const describeIt = kind === 'nats' || kind === 'gateways' ? describeNats : describe
  describeIt(`${name}, ${kind}`, () => {
    const fabric = new TestFabric(kind, options, natsConfig)
    if (fabric.nats !== undefined) {
      beforeAll(() => fabric.nats!.start())
      afterAll(() => fabric.nats!.close())
    }
    beforeEach(() => fabric.open())
    define(fabric)
    // Behind those of the suite, which may wait for what it has open.
    afterEach(() => fabric.close())
  })
}

function wireOf(kind: Kind): 'conat' | 'selvedge' {
  return kind.startsWith('conat') ? 'conat' : 'selvedge'
}

/** A configuration of NATS for messages that a broker takes in chunks. */
export const LARGE_PAYLOADS = 'max_payload: 32MB'

let files = 0

class TestFabric implements Fabric {
  broker!: ConatServer
  /** Where clients begin in turn: a client's peer is at the other gateway as often as not. */
  #gateways: ConatServer[] = []
  #turns = 0
  #isAtOneBroker = false
  /** One for all tests of a suite: it keeps nothing. */
  readonly nats: NatsServer | undefined
  #http: Server | undefined
  #file = ''
  #clients: Client[] = []
  #unhandled: unknown[] = []

  constructor(
    readonly kind: Kind,
    private readonly options: ServerOptions = {},
    natsConfig?: string,
  ) {
    if (kind === 'nats' || kind === 'gateways') this.nats = new NatsServer(natsConfig)
  }

  get testExceptAtGateways(): Test {
    return this.kind === 'gateways' ? test.skip : test
  }

  get testAtOneBroker(): Test {
    if (this.kind === 'nats') return test.skip
    return (name, run) =>
      test(name, () => {
        this.meetAtOneBroker()
        return run()
      })
  }

  meetAtOneBroker(): void {
    this.#isAtOneBroker = true
  }

  expectCount(count: number, receivers: number): void {
    if (this.nats === undefined) {
      expect(count).toBe(receivers)
      return
    }
    expect(count).toBeGreaterThanOrEqual(Math.min(receivers, 1))
    expect(count).toBeLessThanOrEqual(this.kind === 'nats' ? 1 : receivers)
  }

  async open(): Promise<void> {
    this.#unhandled = []
    this.#isAtOneBroker = false
    process.on('unhandledRejection', this.#handleUnhandled)
    if (this.kind === 'nats') return
    if (this.kind === 'gateways') {
      this.#gateways = await Promise.all([this.#start(0), this.#start(0)])
      this.broker = this.#gateways[0]!
      return
    }
    if (this.kind.endsWith('HTTP server')) {
      this.#http = createServer((_, response) => response.end('the application'))
      await once(this.#http.listen(0, '127.0.0.1'), 'listening')
    }
    files += 1
    this.#file = join(tmpdir(), `selvedge-${process.pid}-${files}.sock`)
    this.broker = await this.#start(0)
  }

  client(options: ConnectOptions = {}): Client {
    const all = { ...QUICK, ...options }
    const client =
      this.kind === 'in-process'
        ? this.broker.client(all)
        : connect({ noCache: true, ...this.remote, ...all })
    this.#clients.push(client)
    return client
  }

  get remote(): ConnectOptions {
    return {
      address: this.#address(),
      ...(this.kind === 'nats' ? {} : { wire: wireOf(this.kind) }),
      ...(this.kind.endsWith('TLS') ? { ca: CA } : {}),
    }
  }

  async replaceBroker(): Promise<void> {
    if (this.kind === 'nats') {
      await this.nats!.kill()
      return await this.nats!.start()
    }
    if (this.kind === 'gateways') {
      const ports = this.#gateways.map(gateway => gateway.address()!.port)
      await Promise.all(this.#gateways.map(gateway => gateway.close()))
      this.#gateways = await Promise.all(ports.map(port => this.#start(port)))
      this.broker = this.#gateways[0]!
      return
    }
    const port = this.broker.address()!.port
    await this.broker.close()
    this.broker = await this.#start(port)
  }

  /** Everything must end, and nothing of it may stay behind. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map(client => client.close()))
    this.#clients = []
    await Promise.all(this.#gateways.map(gateway => gateway.close()))
    await this.broker?.close()
    if (this.#http !== undefined) await once(this.#http.close(), 'close')
    // Promises that were rejected in this turn are reported at its end.
    await new Promise(setImmediate)
    process.off('unhandledRejection', this.#handleUnhandled)
    expect({ unhandled: this.#unhandled, leftOpen: refCount() }).toEqual({ unhandled: [], leftOpen: 0 })
  }

  async #start(port: number): Promise<ConatServer> {
    const broker = init({ ...this.options, ...this.#place(port) })
    await broker.waitUntilReady()
    return broker
  }

  #place(port: number): ServerOptions {
    if (this.kind === 'in-process') return { port: null }
    if (this.#http !== undefined) return { httpServer: this.#http }
    if (this.kind.endsWith('unix socket')) return { socketPath: this.#file }
    const ssl = this.kind.endsWith('TLS') ? { ssl: material('server') } : {}
    const upstream = this.kind === 'gateways' ? { upstream: this.nats!.address } : {}
    return { port, host: '127.0.0.1', ...ssl, ...upstream }
  }

  #address(): string {
    if (this.kind === 'nats') return this.nats!.address
    if (this.kind === 'gateways') {
      const turn = this.#isAtOneBroker ? 0 : this.#turns++ % this.#gateways.length
      return `http://127.0.0.1:${this.#gateways[turn]!.address()!.port}`
    }
    if (this.kind.endsWith('unix socket')) return `unix:${this.#file}`
    const scheme = this.kind.endsWith('TLS') ? 'https' : this.kind.endsWith('WebSocket') ? 'ws' : 'http'
    return `${scheme}://127.0.0.1:${(this.broker.address() as AddressInfo).port}`
  }

  #handleUnhandled = (reason: unknown): void => {
    this.#unhandled.push(reason)
  }
}
