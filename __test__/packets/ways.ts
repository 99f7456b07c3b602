// The ways to connect packets: each behaviour is tested over all of them. A test that leaves something open fails.
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createNetServer, connect as netConnect } from 'node:net'
import { MessageChannel } from 'node:worker_threads'
import { type Client, type ConatServer, connect, init, type ServerOptions } from 'selvedge'
import {
  overPort,
  overSocket,
  overSocketIo,
  overSockety,
  overStream,
  overWebSocket,
  type PacketLink,
  type PacketRegistry,
  PacketServer,
  type PacketServerOptions,
  PacketSocket,
  type PacketSocketOptions,
} from 'selvedge/packets'
import {
  type Connection,
  connect as connectSockety,
  createServer as createSocketyServer,
  Draft,
} from 'selvedge/sockety'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import { WebSocket, WebSocketServer } from 'ws'
import { describeNats, NatsServer } from '../support/nats'
import { linkPair } from './memory-link'

/** How connections are made. */
interface Transport {
  /** What a PacketServer takes. */
  listen(): Promise<{ source: EventEmitter; link?: (socket: any) => PacketLink }>
  /** What a PacketSocket takes. */
  dial(): Promise<any>
  /** Connects, and says what is no bytes; where there are messages, and not a stream. */
  dialWithoutBytes?(): Promise<void>
  close(): Promise<void>
}

class MemoryTransport implements Transport {
  readonly #source = new EventEmitter()

  async listen() {
    return { source: this.#source, link: (link: PacketLink) => link }
  }

  async dial() {
    const [left, right] = linkPair()
    this.#source.emit('connection', right)
    return left
  }

  async dialWithoutBytes() {
    ;(await this.dial()).other!.deliver(null)
  }

  async close() {}
}

class FabricTransport implements Transport {
  #brokers: ConatServer[] = []
  #nats: NatsServer | undefined
  readonly #clients: Client[] = []

  constructor(readonly kind: 'in process' | 'over TCP' | 'on NATS' | 'at two gateways') {}

  async listen() {
    if (this.kind === 'on NATS' || this.kind === 'at two gateways') {
      this.#nats = new NatsServer()
      await this.#nats.start()
    }
    const options: ServerOptions = {
      ...(this.kind === 'in process' ? { port: null } : { port: 0, host: '127.0.0.1' }),
      ...(this.#nats && { upstream: this.#nats.address }),
    }
    const count = { 'in process': 1, 'over TCP': 1, 'on NATS': 0, 'at two gateways': 2 }[this.kind]
    this.#brokers = Array.from({ length: count }, () => init(options))
    await Promise.all(this.#brokers.map(broker => broker.waitUntilReady()))
    const source = this.#client().socket.listen('packets')
    await source.waitUntilReady()
    return { source }
  }

  async dial() {
    return this.#client().socket.connect('packets')
  }

  async dialWithoutBytes() {
    ;(await this.dial()).write('hello')
  }

  async close() {
    await Promise.all(this.#clients.map(client => client.close()))
    await Promise.all(this.#brokers.map(broker => broker.close()))
    await this.#nats?.close()
  }

  /** The server's is at the first gateway, others are at the last. */
  #client(): Client {
    const broker = this.#clients.length === 0 ? this.#brokers[0] : this.#brokers.at(-1)
    const address = broker ? `http://127.0.0.1:${broker.address()?.port}` : this.#nats!.address
    const client = this.kind === 'in process' ? broker!.client() : connect({ address, noCache: true })
    this.#clients.push(client)
    return client
  }
}

class WebSocketTransport implements Transport {
  #server!: WebSocketServer

  async listen() {
    this.#server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(this.#server, 'listening')
    return { source: this.#server, link: overWebSocket }
  }

  async dial() {
    return overWebSocket(this.#connect())
  }

  async dialWithoutBytes() {
    const socket = this.#connect()
    await once(socket, 'open')
    socket.send('hello')
  }

  #connect(): WebSocket {
    return new WebSocket(`ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`)
  }

  async close() {
    await new Promise(resolve => this.#server.close(resolve))
  }
}

class SocketIoTransport implements Transport {
  readonly #http = createServer()
  readonly #server = new SocketIoServer(this.#http, { maxHttpBufferSize: 2e6 })

  constructor(readonly link: typeof overSocketIo) {}

  async listen() {
    await once(this.#http.listen(0, '127.0.0.1'), 'listening')
    return { source: this.#server as unknown as EventEmitter, link: this.link }
  }

  async dial() {
    return this.link(this.#connect())
  }

  async dialWithoutBytes() {
    this.#connect().emit('packets', 'hello')
  }

  #connect() {
    const { port } = this.#http.address() as AddressInfo
    return io(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true, reconnection: false })
  }

  async close() {
    await this.#server.close()
  }
}

class StreamTransport implements Transport {
  readonly #server = createNetServer()

  async listen() {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return { source: this.#server, link: overStream }
  }

  async dial() {
    return overStream(netConnect((this.#server.address() as AddressInfo).port, '127.0.0.1'))
  }

  async close() {
    await new Promise(resolve => this.#server.close(resolve))
  }
}

class SocketyTransport implements Transport {
  readonly #server = createSocketyServer()
  readonly #connections: Connection[] = []

  async listen() {
    await this.#server.listen(0, '127.0.0.1')
    return { source: this.#server, link: (connection: Connection) => overSockety(connection, Draft) }
  }

  async dial() {
    const connection = connectSockety((this.#server.address() as AddressInfo).port, '127.0.0.1')
    this.#connections.push(connection)
    return overSockety(connection, Draft)
  }

  async close() {
    await Promise.all(this.#connections.map(connection => connection.close(true)))
    await this.#server.close()
  }
}

class PortTransport implements Transport {
  readonly #source = new EventEmitter()

  async listen() {
    return { source: this.#source, link: overPort }
  }

  async dial() {
    return overPort(this.#connect())
  }

  async dialWithoutBytes() {
    this.#connect().postMessage({ not: 'bytes' })
  }

  #connect() {
    const { port1, port2 } = new MessageChannel()
    this.#source.emit('connection', port2)
    return port1
  }

  async close() {}
}

const TRANSPORTS: Readonly<Record<string, () => Transport>> = {
  memory: () => new MemoryTransport(),
  'fabric in process': () => new FabricTransport('in process'),
  'fabric over TCP': () => new FabricTransport('over TCP'),
  'fabric on NATS': () => new FabricTransport('on NATS'),
  'fabric at two gateways': () => new FabricTransport('at two gateways'),
  WebSocket: () => new WebSocketTransport(),
  'Socket.IO': () => new SocketIoTransport(overSocketIo),
  TCP: () => new StreamTransport(),
  Sockety: () => new SocketyTransport(),
  MessagePort: () => new PortTransport(),
}

/** A server of packets, and sockets that connect to it. */
export class Stage {
  server!: PacketServer
  #transport: Transport | undefined
  readonly #unhandled: unknown[] = []

  constructor(readonly makeTransport: () => Transport) {}

  async listen(registry: PacketRegistry<any>, options: PacketServerOptions = {}): Promise<PacketServer> {
    this.#transport = this.makeTransport()
    const { source, link } = await this.#transport.listen()
    this.server = new PacketServer(source, registry, { ...options, ...(link && { link }) })
    return this.server
  }

  /** A new connection: the side that connected, and the server's. */
  async connect(registry: PacketRegistry<any>, options?: PacketSocketOptions) {
    const connection = once(this.server as unknown as EventEmitter, 'connection')
    const socket: PacketSocket = new PacketSocket(await this.#transport!.dial(), registry, options)
    const [server] = (await connection) as [PacketSocket]
    return { socket, server }
  }

  /** A new connection whose other side a test plays: its link, and the server's socket. */
  async attack(): Promise<{ link: PacketLink; server: PacketSocket }> {
    const connection = once(this.server as unknown as EventEmitter, 'connection')
    const dialed = await this.#transport!.dial()
    const [server] = (await connection) as [PacketSocket]
    return { link: 'kind' in dialed ? dialed : overSocket(dialed), server }
  }

  /** Says on a connection what is no bytes: how the server closed it. `false` where there are only bytes. */
  async attackWithoutBytes(): Promise<Error | undefined | false> {
    if (this.#transport!.dialWithoutBytes === undefined) return false
    const closed = new Promise<Error | undefined>(resolve =>
      this.server.once('connection', socket => socket.on('closed', resolve)),
    )
    await this.#transport!.dialWithoutBytes()
    return await closed
  }

  async open(): Promise<void> {
    process.on('unhandledRejection', this.#handleUnhandled)
  }

  async close(): Promise<void> {
    await this.server?.close()
    await this.#transport?.close()
    await new Promise(setImmediate)
    process.off('unhandledRejection', this.#handleUnhandled)
    expect(this.#unhandled.splice(0)).toEqual([])
  }

  readonly #handleUnhandled = (reason: unknown): void => {
    this.#unhandled.push(reason)
  }
}

/** `describe`, or a skipped one that says why: those over NATS need a server. */
function describeWay(name: string, define: () => void): void {
  if (/ NATS$| gateways$/.test(name)) describeNats(name, define)
  else describe(name, define)
}

/** Runs the tests that `define` defines over every way to connect. */
export function describeWays(name: string, define: (stage: Stage) => void): void {
  for (const [way, make] of Object.entries(TRANSPORTS)) {
    describeWay(`${name}, ${way}`, () => {
      const stage = new Stage(make)
      beforeEach(() => stage.open())
      afterEach(() => stage.close())
      define(stage)
    })
  }
}

/** The same on one stage for all tests of a way. */
export function describeWaysOnce(name: string, define: (stage: Stage) => void): void {
  for (const [way, make] of Object.entries(TRANSPORTS)) {
    describeWay(`${name}, ${way}`, () => {
      const stage = new Stage(make)
      beforeAll(() => stage.open())
      afterAll(() => stage.close())
      define(stage)
    })
  }
}
