// A broker behind the application's HTTP server: passes its upgraded connections to the engine.
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { nextHandle } from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import { PIPE_BYTES, PIPE_CONSUMED, PIPE_END } from '../engine/kinds'
import { native } from '../engine/native'
import { Failure } from '../values/failure'
import type { AddressParts } from './options'

type AnyHttpServer = HttpServer | HttpsServer

/** Bytes queued for the engine above which a socket is paused, and below which it is resumed. */
const PAUSE_AT = 1024 * 1024
const RESUME_AT = PAUSE_AT / 2
/** Milliseconds that a socket may take to send its last bytes. */
const CLOSE_TIMEOUT = 1000

/** The upgrades of one server for one broker. */
export class Attachment {
  readonly #connections = new Set<Connection>()
  readonly #path: string
  readonly #waiting: (() => void)[] = []

  constructor(
    private readonly server: AnyHttpServer,
    path: string,
    private readonly broker: number,
  ) {
    this.#path = trimmed(path)
    server.on('upgrade', this.#handleUpgrade)
  }

  address(): AddressParts | null {
    const address = this.server.address()
    if (typeof address === 'string') return { address, family: 'Unix', port: 0 }
    return address
  }

  /** Calls back once, when the server listens or has failed. */
  whenListening(done: (failure?: Failure) => void): void {
    const { server } = this
    if (server.listening) {
      done()
      return
    }
    const listening = (): void => {
      server.off('error', failed)
      done()
    }
    const failed = (error: NodeJS.ErrnoException): void => {
      server.off('listening', listening)
      done(new Failure(error.code ?? 'ERR_LISTEN', `the HTTP server cannot listen: ${error.message}`, error))
    }
    server.once('listening', listening)
    server.once('error', failed)
  }

  /** Accepts no more upgrades; resolves when no connection is left. */
  async detach(): Promise<void> {
    this.server.off('upgrade', this.#handleUpgrade)
    if (this.#connections.size === 0) return
    await new Promise<void>(resolve => {
      this.#waiting.push(resolve)
    })
  }

  #isOnLoopback(): boolean {
    const address = this.server.address()
    return typeof address === 'object' && address !== null && isLoopback(address.address)
  }

  #handleUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    if (trimmed((request.url ?? '').split('?', 1)[0] as string) !== this.#path) {
      // Without another listener, Node.js would leave the socket open for ever.
      if (this.server.listenerCount('upgrade') === 1) socket.end(NOT_FOUND, () => socket.destroy())
      return
    }
    const connection = new Connection(this.broker, request, socket, head, this.#isOnLoopback(), () => {
      this.#connections.delete(connection)
      if (this.#connections.size === 0) for (const settle of this.#waiting.splice(0)) settle()
    })
    this.#connections.add(connection)
  }
}

/** Returns whether only this machine reaches an address: web pages in its browsers do, too, by names of their own. */
function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}

const NOT_FOUND =
  'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 9\r\n\r\nnot found'

/** One socket, and the engine's pipe for it. */
class Connection implements Target {
  readonly client: number = nextHandle()
  /** Bytes passed to the engine that it has not read yet. */
  #unconsumed = 0
  /** Bytes written to the socket while it was full. */
  #unwritten = 0

  constructor(
    broker: number,
    request: IncomingMessage,
    private readonly socket: Socket,
    head: Buffer,
    isToLoopback: boolean,
    gone: () => void,
  ) {
    route(this.client, this)
    socket.setTimeout(0)
    socket.setNoDelay(true)
    // Every error also emits `close`.
    socket.on('error', () => {})
    socket.once('close', () => {
      native.pipeEnd(this.client, false)
      forget(this.client)
      gone()
    })
    const first = Buffer.concat([headOf(request), head])
    this.#unconsumed = first.length
    const failure = native.pipeOpen(
      this.client,
      broker,
      addressOf(socket),
      certificateOf(socket),
      isToLoopback,
      first,
    )
    if (failure !== null) {
      socket.destroy()
      return
    }
    socket.on('data', bytes => this.#push(bytes))
    socket.once('end', () => native.pipeEnd(this.client, true))
    socket.on('drain', () => this.#wrote())
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === PIPE_BYTES) this.#write(event)
    else if (kind === PIPE_CONSUMED) this.#take(event.u32())
    else if (kind === PIPE_END) this.#end()
  }

  handleClientClosed(): void {}

  #push(bytes: Buffer): void {
    this.#unconsumed += bytes.length
    native.pipeBring(this.client, bytes)
    if (this.#unconsumed >= PAUSE_AT) this.socket.pause()
  }

  #take(count: number): void {
    this.#unconsumed -= count
    if (this.#unconsumed < RESUME_AT && this.socket.isPaused()) this.socket.resume()
  }

  #write(event: EventReader): void {
    const { source, start, end } = event.payload()
    if (this.socket.destroyed) return
    const isRoom = this.socket.write(source.subarray(start, end))
    this.#unwritten += end - start
    if (isRoom) this.#wrote()
  }

  #wrote(): void {
    if (this.#unwritten === 0) return
    native.pipeWrote(this.client, this.#unwritten)
    this.#unwritten = 0
  }

  #end(): void {
    // Reads and discards the rest: unread data would reset the connection, and its last bytes would be lost.
    this.socket.removeAllListeners('data')
    this.socket.resume()
    this.socket.setTimeout(CLOSE_TIMEOUT, () => this.socket.destroy())
    this.socket.end()
  }
}

function trimmed(path: string): string {
  return path.replace(/^\/+|\/+$/g, '')
}

/** Returns the raw request: the engine checks it as it checks those at a port of its own. */
function headOf(request: IncomingMessage): Buffer {
  let text = `${request.method} ${request.url} HTTP/1.1\r\n`
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}

function addressOf({ remoteAddress, remotePort }: Socket): string | null {
  if (remoteAddress === undefined) return null
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`
}

/** Returns the client's certificate, if Node.js has verified it. */
function certificateOf(socket: Socket | TLSSocket): Buffer | null {
  if (!('authorized' in socket) || !socket.authorized) return null
  return socket.getPeerCertificate().raw ?? null
}
