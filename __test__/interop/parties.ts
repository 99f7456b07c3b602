// Ours and theirs behind one face, so that a test can be run with every mix of them.
import { EventEmitter, once } from 'node:events'
import { Client, init } from '../../lib'
import { Broker } from './peers/broker'
import type { Dialect, SocketOptions } from './peers/channel'
import { Client as PeerClient } from './peers/client'
import { SocketClient } from './peers/socket-client'
import { SocketServer } from './peers/socket-server'
import type { Headers } from './peers/wire'

export type Kind = 'ours' | Dialect

/** What the tests use of a socket, whoever made it. */
export interface Socket extends EventEmitter {
  readonly id: string
  readonly state: string
  write(data: unknown, options?: { headers?: Headers }): unknown
  request(
    data: unknown,
    options?: { headers?: Headers },
  ): Promise<{ data: unknown; headers?: Headers | null }>
  drain(): Promise<void>
  close(): void
}

export interface Listener extends EventEmitter {
  readonly id: string
  readonly state: string
  close(): void
}

/** A client of the fabric that makes sockets. */
export interface Fabric {
  listen(subject: string, options?: Partial<SocketOptions>): Listener
  connect(subject: string, options?: Partial<SocketOptions>): Socket
  /** Cuts its transport; it comes back by itself. */
  cut(): void
  close(): unknown
}

export interface RunningBroker {
  readonly address: string
  /** Gone with everything it knew, and there again on the same port. */
  restart(): Promise<void>
  close(): Promise<unknown>
}

export async function startBroker(kind: 'ours' | 'theirs'): Promise<RunningBroker> {
  const start = kind === 'ours' ? listenOurs : listenTheirs
  let broker = await start(0)
  return {
    address: `http://127.0.0.1:${broker.port}`,
    async restart() {
      await broker.close()
      broker = await start(broker.port)
    },
    close: () => broker.close(),
  }
}

async function listenOurs(port: number) {
  const server = init({ port, host: '127.0.0.1' })
  await server.waitUntilReady()
  return { port: server.address()!.port, close: () => server.close() }
}

async function listenTheirs(port: number) {
  const broker = await Broker.listen({ port })
  return { port: broker.port, close: () => broker.close() }
}

export function joinFabric(kind: Kind, address: string): Fabric {
  return kind === 'ours' ? ours(address) : theirs(kind, address)
}

function ours(address: string): Fabric {
  const client = new Client({ address, reconnectionDelay: 20, reconnectionDelayMax: 100 })
  return {
    listen: (subject, options) => client.socket.listen(subject, options),
    connect: (subject, options) => client.socket.connect(subject, options),
    cut: () => client.conn.io.engine.close(),
    close: () => client.close(),
  }
}

function theirs(dialect: Dialect, address: string): Fabric {
  const client = new PeerClient(address)
  return {
    listen: (subject, options) => new SocketServer(client, subject, { dialect, ...options }),
    connect: (subject, options) => new SocketClient(client, subject, { dialect, ...options }),
    cut: () => client.cut(),
    close: () => client.close(),
  }
}

/** A server, one client of it, and all between them. */
export class Pair {
  readonly received: { server: Inbox; client: Inbox }

  private constructor(
    readonly broker: RunningBroker,
    readonly fabrics: { server: Fabric; client: Fabric },
    readonly listener: Listener,
    readonly server: Socket,
    readonly client: Socket,
  ) {
    this.received = { server: new Inbox(server), client: new Inbox(client) }
  }

  static async open(mix: Mix, options: { server?: object; client?: object } = {}): Promise<Pair> {
    const broker = await startBroker(mix.broker)
    const join = (kind: Kind) => joinFabric(kind, broker.address)
    const fabrics = { server: join(mix.server), client: join(mix.client) }
    const listener = fabrics.server.listen('conat.io', options.server)
    await until(listener, 'ready')
    const connection = once(listener, 'connection')
    const client = fabrics.client.connect('conat.io', options.client)
    await until(client, 'ready')
    const [server] = (await connection) as [Socket]
    return new Pair(broker, fabrics, listener, server, client)
  }

  async close(): Promise<void> {
    this.client.close()
    this.listener.close()
    await this.fabrics.client.close()
    await this.fabrics.server.close()
    await this.broker.close()
  }
}

export interface Mix {
  broker: 'ours' | 'theirs'
  server: Kind
  client: Kind
}

/** All ends that work together: the originals' dialects do not with each other. */
export const MIXES: Omit<Mix, 'broker'>[] = [
  { server: 'ours', client: 'ours' },
  { server: 'ours', client: 'classic' },
  { server: 'ours', client: 'attempt' },
  { server: 'classic', client: 'ours' },
  { server: 'attempt', client: 'ours' },
  // A check of the peers themselves.
  { server: 'classic', client: 'classic' },
  { server: 'attempt', client: 'attempt' },
]

/** What a socket has received, and a wait for more. */
export class Inbox {
  readonly data: unknown[] = []
  readonly headers: unknown[] = []
  readonly #arrived = new EventEmitter()

  constructor(socket: Socket) {
    socket.on('data', (data, headers) => {
      this.data.push(data)
      this.headers.push(headers)
      this.#arrived.emit('data')
    })
  }

  async until(count: number): Promise<unknown[]> {
    while (this.data.length < count) await once(this.#arrived, 'data')
    return this.data
  }
}

/** Waits until it is in that state. */
export async function until(end: { state: string } & EventEmitter, state: string): Promise<void> {
  if (end.state !== state) await once(end, state)
}
