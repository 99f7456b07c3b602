// A real nats-server. Tests that need one are skipped where there is none; CI has one.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Client } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { freeze } from './freeze'

/** The path of the program, from the environment variable NATS_SERVER or the PATH. */
export const NATS_SERVER = [
  process.env.NATS_SERVER,
  ...(process.env.PATH?.split(delimiter) ?? []).map(folder => join(folder, 'nats-server')),
].find(path => path && isExecutable(path))

/**
 * The path of a server older than 2.11, which has no traces: from the environment variable NATS_SERVER_OLD, from where .ci/run
 * puts it, or Debian's.
 */
export const OLD_NATS_SERVER = [
  process.env.NATS_SERVER_OLD,
  '/usr/local/bin/nats-server-2.9',
  '/usr/sbin/nats-server',
  '/usr/bin/nats-server',
  NATS_SERVER,
].find(path => path && isExecutable(path) && minorOf(path) < 11)

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether the server is of this minor version of 2, or a newer one. Debian's is 2.9, the oldest that will do. */
export function isNatsAtLeast(minor: number): boolean {
  return NATS_SERVER === undefined || minorOf(NATS_SERVER) >= minor
}

function minorOf(program: string): number {
  const version = execFileSync(program, ['--version'], { encoding: 'utf8' })
  return Number(/v2\.(\d+)/.exec(version)?.[1])
}

/** `describe`, or a skipped one that says why. */
export function describeNats(name: string, define: () => void): void {
  if (NATS_SERVER === undefined) describe.skip(`${name} (there is no nats-server)`, define)
  else describe(name, define)
}

/** The same for what is tested with an old server. */
export function describeOldNats(name: string, define: () => void): void {
  const isThere = OLD_NATS_SERVER !== undefined
  if (process.env.NATS_SERVER_OLD !== undefined && !isThere)
    throw Error(`NATS_SERVER_OLD=${process.env.NATS_SERVER_OLD} is no nats-server older than 2.11`)
  if (isThere) describe(name, define)
  else describe.skip(`${name} (there is no nats-server older than 2.11; NATS_SERVER_OLD is its path)`, define)
}

/** A server with a port of its own, which it keeps when it is started again. */
export class NatsServer {
  port = -1
  #child: ChildProcess | undefined
  readonly #folder = mkdtempSync(join(tmpdir(), 'selvedge-nats-'))

  /** `config` is in the form of its configuration files. */
  constructor(
    private config = '',
    readonly program = NATS_SERVER,
  ) {}

  get address(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Resolves when it takes clients. */
  async start(config = this.config): Promise<void> {
    const file = this.#write(config)
    const args = ['-a', '127.0.0.1', '-p', String(this.port), '-c', file]
    const child = spawn(this.program!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    const said: string[] = []
    for await (const line of createInterface(child.stderr)) {
      said.push(line)
      const port = /Listening for client connections on .*:(\d+)/.exec(line)?.[1]
      if (port !== undefined) this.port = Number(port)
      if (line.includes('Server is ready')) {
        // What it says from now on is read and dropped, or it would wait for a reader.
        child.stderr.resume()
        return
      }
    }
    throw Error(`nats-server did not start:\n${said.join('\n')}`)
  }

  /** Lets it read a new configuration: whom it lets in, and what they may. */
  reload(config: string): void {
    this.#write(config)
    this.signal('SIGHUP')
  }

  #write(config: string): string {
    this.config = config
    const file = join(this.#folder, 'nats.conf')
    writeFileSync(file, `${config}\n`)
    return file
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Stops it as a debugger would. */
  freeze(): Promise<void> {
    return freeze(this.#child!.pid!)
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    const child = this.#child!
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  /** Kills it. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Resolves when a client is connected to another server, without having been disconnected. */
export function movedOf(client: Client): Promise<void> {
  const { id } = client.info!
  return new Promise((resolve, reject) => {
    client.once('disconnected', why => reject(why ?? Error('disconnected')))
    client.on('info', info => info.id !== id && resolve())
  })
}

/**
 * Ports that were free a moment ago: routes have to be known before anybody listens. Below those that the system gives to
 * connections and to whoever asks for any port: one of them would soon be taken again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  while (servers.length < count) {
    const server = createServer().listen(randomInt(15_000, 32_000), '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (isFree) servers.push(server)
  }
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}

/** So many servers, each with routes to all; they take clients, and may not have found each other yet. */
export async function startNatsCluster(count: number, config = ''): Promise<NatsServer[]> {
  const ports = await freePorts(count)
  const routes = ports.map(port => `"nats://127.0.0.1:${port}"`).join(', ')
  const servers = ports.map(
    (port, n) =>
      new NatsServer(`server_name: n${n}
        cluster { name: test, listen: "127.0.0.1:${port}", routes: [${routes}] }
        ${config}`),
  )
  await Promise.all(servers.map(server => server.start()))
  return servers
}

/** Two servers whose routes go by relays, so that the cluster can be split and healed. */
export class SplittableCluster {
  readonly #relays: readonly FaultProxy[]

  private constructor(
    readonly nodes: readonly [NatsServer, NatsServer],
    relays: readonly FaultProxy[],
  ) {
    this.#relays = relays
  }

  static async start(): Promise<SplittableCluster> {
    const ports = await freePorts(2)
    const relays = await Promise.all(ports.map(port => faultProxy({ target: port })))
    const servers = ports.map((port, n) => {
      const [own, other] = [relays[n]!.port, relays[1 - n]!.port]
      return new NatsServer(`server_name: n${n}
        cluster { name: test, listen: "127.0.0.1:${port}", advertise: "127.0.0.1:${own}", no_advertise: true,
          routes: ["nats://127.0.0.1:${other}"] }`)
    })
    await Promise.all(servers.map(server => server.start()))
    return new SplittableCluster(servers as [NatsServer, NatsServer], relays)
  }

  async split(): Promise<void> {
    await Promise.all(this.#relays.map(relay => relay.refuse()))
  }

  async heal(): Promise<void> {
    await Promise.all(this.#relays.map(relay => relay.restore()))
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.close()))
    await Promise.all(this.#relays.map(relay => relay.close()))
  }
}

/** A connection by hand, for what no client of NATS would say. Resolves when the server has answered. */
export async function rawNats(port: number, first = ''): Promise<RawNats> {
  const socket = createConnection(port, '127.0.0.1')
  const raw = new RawNats(socket)
  await raw.say(`CONNECT {"verbose":false,"protocol":1,"headers":true,"no_responders":true}\r\n${first}`)
  return raw
}

export class RawNats {
  /** All that the server has said. */
  heard = ''
  #wake = (): void => {}

  constructor(readonly socket: Socket) {
    socket.setEncoding('latin1').on('data', text => {
      this.heard += text
      this.#wake()
    })
    socket.on('error', () => {})
  }

  /** Says something, and waits until the server has taken it. */
  async say(text: string): Promise<void> {
    const before = this.#pongs()
    this.socket.write(`${text}PING\r\n`, 'latin1')
    await this.until(() => this.#pongs() > before)
  }

  /** Waits for what it hears. */
  until(isHeard: () => boolean): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        if (isHeard()) resolve()
      }
      this.#wake()
    })
  }

  close(): void {
    this.socket.destroy()
  }

  #pongs(): number {
    return this.heard.split('PONG\r\n').length
  }
}
