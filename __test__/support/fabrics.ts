// The ways to plug in: each behaviour is tested over all of them. A test that leaves something open fails.
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  init,
  type ServerOptions,
} from 'selvedge'

/** Quick to come back after a cut, so that a test of reconnecting takes no longer than it must. */
const QUICK: ConnectOptions = { reconnectionDelay: 5, reconnectionDelayMax: 50 }

/** The same copy that `selvedge` has loaded: what it counts keeps the process alive. */
const { reasons } = require('../../dist/lifetime.js') as { reasons(): number }

export type Kind = 'in-process' | 'conat wire' | 'selvedge wire'

const KINDS: readonly Kind[] = ['in-process', 'conat wire', 'selvedge wire']

/** A broker, fresh for each test, and clients of it. */
export interface Fabric {
  readonly kind: Kind
  readonly broker: ConatServer
  /** A client of its own, closed after the test. */
  client(options?: ConnectOptions): Client
  /** Replaces the broker by a new one, which the clients find again (not `in-process`). */
  replaceBroker(): Promise<void>
}

/** Runs the tests that `define` defines over every way to plug in. */
export function describeFabrics(
  name: string,
  define: (fabric: Fabric) => void,
  options?: ServerOptions,
): void {
  for (const kind of KINDS) describeFabric(kind, name, define, options)
}

/** The same over one of them. */
export function describeFabric(
  kind: Kind,
  name: string,
  define: (fabric: Fabric) => void,
  options?: ServerOptions,
): void {
  describe(`${name}, ${kind}`, () => {
    const fabric = new TestFabric(kind, options)
    beforeEach(() => fabric.open())
    afterEach(() => fabric.close())
    define(fabric)
  })
}

function wireOf(kind: Kind): 'conat' | 'selvedge' {
  return kind === 'conat wire' ? 'conat' : 'selvedge'
}

class TestFabric implements Fabric {
  broker!: ConatServer
  #clients: Client[] = []
  #unhandled: unknown[] = []

  constructor(
    readonly kind: Kind,
    private readonly options: ServerOptions = {},
  ) {}

  async open(): Promise<void> {
    this.#unhandled = []
    process.on('unhandledRejection', this.#handleUnhandled)
    this.broker = await this.#start(this.kind === 'in-process' ? null : 0)
  }

  client(options: ConnectOptions = {}): Client {
    const all = { ...QUICK, ...options }
    const client =
      this.kind === 'in-process'
        ? this.broker.client(all)
        : connect({ address: this.#address(), noCache: true, wire: wireOf(this.kind), ...all })
    this.#clients.push(client)
    return client
  }

  async replaceBroker(): Promise<void> {
    const port = this.broker.address()!.port
    await this.broker.close()
    this.broker = await this.#start(port)
  }

  /** Everything must end, and nothing of it may stay behind. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map(client => client.close()))
    this.#clients = []
    await this.broker.close()
    // Promises that were rejected in this turn are reported at its end.
    await new Promise(setImmediate)
    process.off('unhandledRejection', this.#handleUnhandled)
    expect({ unhandled: this.#unhandled, leftOpen: reasons() }).toEqual({ unhandled: [], leftOpen: 0 })
  }

  async #start(port: number | null): Promise<ConatServer> {
    const broker = init({ ...this.options, port, ...(port === null ? {} : { host: '127.0.0.1' }) })
    await broker.waitUntilReady()
    return broker
  }

  #address(): string {
    return `http://127.0.0.1:${this.broker.address()!.port}`
  }

  #handleUnhandled = (reason: unknown): void => {
    this.#unhandled.push(reason)
  }
}
