// A server as Node's `net` has it, on a subject.
import { captureRejectionSymbol, EventEmitter } from 'node:events'
import type { AddressInfo, ServerOptions } from '../../types/net'
import { startTimer, type Timer } from '../async/timer'
import type { Client } from '../client/client'
import type { ServerSocket } from '../socket/server-socket'
import { nextTick } from '../values/platform'
import { Accepting } from './accepting'
import { Arrivals } from './arrivals'
import { argType, codedError, listenError } from './errors'
import { listenArguments } from './listen-arguments'
import { Listening, type ListenSettings } from './listening'
import { checkServerOptions } from './option-checks'
import { clientOf, joinedOptions, LISTEN_TIMEOUT, transportOptions } from './options'
import { beginListen } from './places'
import { Socket } from './socket'
import { list, unlist } from './table'
import { Transport } from './transport'

type Done = (error?: Error) => void

export class Server extends EventEmitter {
  maxConnections: number | undefined
  /** Has no effect: a connection over the bound is refused before it is one. */
  dropMaxConnection = false
  /** Of sockets that it accepts; programs set them later, too. */
  allowHalfOpen: boolean
  pauseOnConnect: boolean
  highWaterMark: number | undefined
  /** Have no effect. */
  noDelay: boolean
  keepAlive: boolean
  /** In seconds, as Node has it. */
  keepAliveInitialDelay: number
  readonly #options: ServerOptions
  #listening: Listening | undefined
  #isReady = false
  #isRefd = true
  #subject: string | undefined
  #settled: (() => void) | undefined
  #timer: Timer | undefined
  readonly #accepting: Accepting
  readonly #arrivals = new Arrivals(transport => this.#take(transport))
  readonly #sockets = new Set<Socket>()
  readonly #listed = { row: () => this.#row() }
  #since = 0
  #signal: AbortSignal | undefined
  #isCloseDue = false

  constructor(
    options?: ServerOptions | ((socket: Socket) => void) | null,
    listener?: (socket: Socket) => void,
  ) {
    const given = typeof options === 'function' ? {} : (options ?? {})
    if (typeof given !== 'object') throw argType('options', 'of type object', given)
    checkServerOptions(given)
    const { highWaterMark: mark } = given
    if (mark != null && typeof mark !== 'number')
      throw argType('options.highWaterMark', 'of type number', mark)
    super(given as { captureRejections?: boolean })
    this.#options = { ...given }
    this.allowHalfOpen = Boolean(given.allowHalfOpen)
    this.pauseOnConnect = Boolean(given.pauseOnConnect)
    this.highWaterMark = mark ?? undefined
    this.noDelay = Boolean(given.noDelay)
    this.keepAlive = Boolean(given.keepAlive)
    this.keepAliveInitialDelay = Math.trunc((given.keepAliveInitialDelay ?? 0) / 1000)
    this.#accepting = new Accepting(this.#options, id => this.emit('undecided', id))
    const handle = typeof options === 'function' ? options : listener
    if (typeof handle === 'function') this.on('connection', handle)
  }

  get listening(): boolean {
    return this.#isReady && this.#subject !== undefined
  }

  get subject(): string | undefined {
    return this.#subject
  }

  /** @internal As Node's. */
  get _connections(): number {
    return this.#sockets.size
  }

  listen(...args: unknown[]): this {
    const { options, listener } = listenArguments(args)
    checkServerOptions(options)
    if (this.#subject !== undefined) {
      throw codedError(
        'ERR_SERVER_ALREADY_LISTEN',
        'Listen method has been called more than once without closing.',
      )
    }
    const merged: ListenSettings = joinedOptions(this.#options, options)
    const client = clientOf(merged)
    if (typeof listener === 'function') this.once('listening', listener)
    if (options.backlog !== undefined) this.#accepting.backlog = options.backlog
    this.#subject = options.subject
    this.#start(client, merged)
    this.#watchSignal(options.signal)
    return this
  }

  address(): AddressInfo | null {
    const subject = this.#subject
    return subject === undefined ? null : { subject, address: subject, family: 'subject', port: 0 }
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    if (typeof callback !== 'function') throw argType('callback', 'of type function', callback)
    const count = this.#sockets.size
    nextTick(() => callback(null, count))
    return this
  }

  close(callback?: Done): this {
    const wasListening = this.#subject !== undefined
    if (typeof callback === 'function') {
      if (wasListening) this.once('close', callback)
      else this.once('close', () => callback(codedError('ERR_SERVER_NOT_RUNNING', 'Server is not running.')))
    }
    this.#stop()
    this.#emitCloseIfEmpty()
    return this
  }

  ref(): this {
    this.#isRefd = true
    this.#listening?.ref()
    return this
  }

  unref(): this {
    this.#isRefd = false
    this.#listening?.unref()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#subject === undefined) return
    await new Promise<void>((resolve, reject) => {
      this.close(error => (error === undefined ? resolve() : reject(error)))
    })
  }

  override [captureRejectionSymbol](error: Error, event: string, socket: Socket): void {
    if (event === 'connection') socket.destroy(error)
    else this.emit('error', error)
  }

  /** @internal */
  handleClosed(socket: Socket): void {
    if (!this.#sockets.delete(socket)) return
    this.#accepting.freePort(socket.remotePort as number)
    this.#emitCloseIfEmpty()
  }

  #start(client: Client, options: ListenSettings): void {
    const { subject } = options
    beginListen({
      subject,
      settled: new Promise(resolve => {
        this.#settled = resolve
      }),
    })
    this.#since = Date.now()
    const listening = new Listening(client, options, {
      handleReady: () => {
        this.#timer?.stop()
        this.#isReady = true
        list(this.#listed)
        this.#settled?.()
        this.emit('listening')
      },
      handleConnection: session => this.#connect(session),
      handleFailure: (code, cause) => this.#fail(code, cause),
      handleClientClosed: () => {
        this.#stop()
        this.#emitCloseIfEmpty()
      },
    })
    this.#listening = listening
    if (!this.#isRefd) listening.unref()
    this.#timer = startTimer(LISTEN_TIMEOUT, () => this.#fail('ETIMEDOUT'))
  }

  /** It cannot listen, or must not any more. */
  #fail(code: string, cause?: unknown): void {
    const error = listenError(code, this.#subject, cause)
    const wasReady = this.#isReady
    this.#stop()
    this.emit('error', error)
    if (wasReady) this.#emitCloseIfEmpty()
  }

  #stop(): void {
    this.#timer?.stop()
    this.#signal?.removeEventListener('abort', this.#handleAbort)
    this.#signal = undefined
    this.#isReady = false
    this.#subject = undefined
    this.#settled?.()
    unlist(this.#listed)
    this.#listening?.close()
    this.#listening = undefined
    this.#accepting.refuseAll()
    for (const transport of this.#arrivals.drop()) transport.reset('ECONNREFUSED')
  }

  #emitCloseIfEmpty(): void {
    if (this.#subject !== undefined || this.#sockets.size > 0 || this.#isCloseDue) return
    this.#isCloseDue = true
    nextTick(() => {
      this.#isCloseDue = false
      this.emit('close')
    })
  }

  #connect(session: ServerSocket): void {
    if (this.#listening === undefined) {
      session.close()
      return
    }
    session.livesOn = true
    const transport = new Transport(session, undefined, transportOptions(this.#options))
    if (this.#accepting.hasRoom(this.#arrivals.waiting)) this.#arrivals.add(transport)
    else transport.reset('ECONNREFUSED')
  }

  /** It is the turn of a connection. */
  #take(transport: Transport): void {
    const session = transport.session as ServerSocket
    const listening = this.#listening
    if (listening === undefined) {
      transport.reset('ECONNREFUSED')
      return
    }
    const info = { subject: listening.subjectOf(session), id: session.id, remoteAddress: session.id }
    if (
      this.maxConnections !== undefined &&
      this.maxConnections !== null &&
      this.#sockets.size >= this.maxConnections
    ) {
      transport.reset('ECONNREFUSED')
      this.emit('drop', {
        localAddress: info.subject,
        localPort: 0,
        localFamily: 'subject',
        remoteAddress: session.id,
        remotePort: 0,
        remoteFamily: 'subject',
      })
      return
    }
    this.#accepting.decide(transport, info, () => this.#accept(transport, info.subject))
  }

  #accept(transport: Transport, subject: string): void {
    const { allowHalfOpen, pauseOnConnect, highWaterMark } = this
    const port = this.#accepting.takePort()
    const isMark = highWaterMark != null && highWaterMark >= 0
    const settings = { allowHalfOpen, ...(isMark ? { highWaterMark } : {}) }
    const socket = new Socket(settings, { transport, subject, port, server: this })
    this.#sockets.add(socket)
    if (pauseOnConnect) {
      transport.session.pause()
      socket.pause()
    } else socket.read(0)
    this.emit('connection', socket)
  }

  #watchSignal(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    this.#signal = signal
    if (signal.aborted) nextTick(this.#handleAbort)
    else signal.addEventListener('abort', this.#handleAbort)
  }

  #handleAbort = (): void => {
    if (this.#subject !== undefined) this.close()
  }

  #row() {
    return {
      proto: 'stream' as const,
      local: this.#subject ?? '',
      foreign: '*',
      state: 'LISTEN' as const,
      recvQ: this.#accepting.waiting + this.#arrivals.waiting,
      sendQ: 0,
      bytesRead: 0,
      bytesWritten: 0,
      since: this.#since,
      suspended: this.#listening?.isSuspended ?? false,
      id: this.#listening?.id ?? '',
    }
  }
}
