// A socket as Node's `net` has it: a Duplex over a transport. What goes over the fabric is in transport.ts.
import { addAbortSignal, Duplex } from 'node:stream'
import type { AddressInfo, ConnectOptions, ReadyState, SocketOptions, SocketRow } from '../../types/net'
import type { ConatSocketBase } from '../socket/base'
import { type Buffer, nextTick, nextTurn } from '../values/platform'
import { Attempt } from './attempt'
import {
  argType,
  argValue,
  beforeConnection,
  closedError,
  destroyedError,
  type SystemError,
  systemError,
} from './errors'
import type { Hello } from './frames'
import { IdleTimer } from './idle-timer'
import { OnRead } from './on-read'
import { checkConnectOptions, checkNetOptions } from './option-checks'
import {
  connectArguments,
  joinedOptions,
  streamOptions,
  targetOf,
  timerDuration,
  transportOptions,
} from './options'
import { rowOf } from './row'
import { list, unlist } from './table'
import { type Loss, Transport, type TransportOwner } from './transport'
import { type FlushOptions, flushedWithin } from './waits'
import { writeAfterFin } from './write-after-fin'
import { Writing } from './writing'

type Done = (error?: Error | null) => void

/** The server that accepted a socket. */
export interface SocketServer {
  handleClosed(socket: Socket): void
}

/** What an accepted socket is made of. */
export interface Accepted {
  readonly transport: Transport
  readonly subject: string
  readonly port: number
  readonly server: SocketServer
}

export class Socket extends Duplex implements TransportOwner {
  connecting = false
  /** Milliseconds as they were set; programs set it, as Node's. */
  timeout: number | undefined
  /** The server that accepted it. */
  server: SocketServer | null = null
  /** The same; others put their own server into `server`. */
  #acceptor: SocketServer | undefined
  /** @internal Which protocol netstat shows. */
  proto: SocketRow['proto'] = 'stream'
  /** @internal Whether what comes waits until all that was written is settled (tls-turns.ts). */
  takesTurns = false
  readonly #own: SocketOptions
  readonly #onRead: OnRead | undefined
  readonly #idle = new IdleTimer(() => this.emit('timeout'))
  #attempt: Attempt | undefined
  #transport: Transport | undefined
  #subject: string | undefined
  #port = 0
  #isAccepted = false
  #isResetting = false
  #isRefd = true
  #unsettled = 0
  #bytesRead = 0
  #bytesWritten: number | undefined
  readonly #writing = new Writing(() => {
    this.#idle.refresh()
    if (this.#whenMoved.length > 0) this.#moved()
  })

  constructor(options: SocketOptions | number = {}, accepted?: Accepted) {
    if (typeof options === 'number') throw argValue('options.fd', options, 'is not supported')
    // As Node does: what is no options is none.
    if (typeof options !== 'object' || options === null) options = {}
    for (const name of ['fd', 'handle'] as const) {
      const value = (options as Record<string, unknown>)[name]
      if (value != null) throw argValue(`options.${name}`, value, 'is not supported')
    }
    checkNetOptions(options)
    const { allowHalfOpen = false, signal, onread } = options
    super({
      ...streamOptions(options),
      allowHalfOpen: Boolean(allowHalfOpen),
      emitClose: false,
      autoDestroy: true,
    })
    this.#own = options
    this.#onRead = onread == null ? undefined : new OnRead(onread, this)
    this.on('end', this.#handleEnd)
    if (accepted !== undefined) this.#accept(accepted)
    if (signal != null) addAbortSignal(signal, this)
  }

  /** @internal The same; the older name. */
  get _connecting(): boolean {
    return this.connecting
  }

  get pending(): boolean {
    if (!(#own in this)) return true
    return this.#transport === undefined || this.connecting || this.destroyed
  }

  get readyState(): ReadyState {
    if (this.connecting) return 'opening'
    // As Node's: a socket that was never connected is open.
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  get bytesRead(): number | undefined {
    // Of the prototype, which programs look at.
    if (!(#own in this)) return undefined
    return this.#transport?.bytesRead ?? this.#bytesRead
  }

  get bytesWritten(): number | undefined {
    if (!(#own in this)) return undefined
    if (this.#writing.taken === undefined) return 0
    return this.#bytesWritten ?? this.#writing.taken + this.writableLength
  }

  /** @internal Those that the stream has passed on. */
  get _bytesDispatched(): number | undefined {
    return #own in this ? (this.#writing.taken ?? 0) : undefined
  }

  get bufferSize(): number | undefined {
    if (!(#own in this)) return undefined
    return this.pending && !this.connecting ? undefined : this.writableLength
  }

  get session(): ConatSocketBase | undefined {
    return #own in this ? this.#transport?.session : undefined
  }

  get localAddress(): string | undefined {
    if (!Socket.#isKnown(this)) return undefined
    return this.#isAccepted ? this.#subject : this.session?.id
  }

  get localPort(): number | undefined {
    return Socket.#isKnown(this) ? (this.#isAccepted ? 0 : this.#port) : undefined
  }

  get localFamily(): 'subject' | undefined {
    return Socket.#isKnown(this) ? 'subject' : undefined
  }

  get remoteAddress(): string | undefined {
    return Socket.#isKnown(this) ? (this.#isAccepted ? this.session?.id : this.#subject) : undefined
  }

  get remotePort(): number | undefined {
    return Socket.#isKnown(this) ? (this.#isAccepted ? this.#port : 0) : undefined
  }

  get remoteFamily(): 'subject' | undefined {
    return Socket.#isKnown(this) ? 'subject' : undefined
  }

  address(): AddressInfo | Record<string, never> {
    if (!Socket.#isKnown(this) || this.destroyed) return {}
    return { address: this.localAddress as string, family: 'subject', port: this.localPort as number }
  }

  connect(...args: unknown[]): this {
    const { options: given, listener } = connectArguments(args)
    checkNetOptions(given)
    checkConnectOptions(given)
    const target = targetOf(given, this.#own)
    const options = joinedOptions(this.#own, given)
    if (this.connecting || (this.#transport !== undefined && !this.destroyed)) {
      throw systemError('connect', 'EISCONN', 'subject' in target ? target.subject : undefined)
    }
    if (this.destroyed && this.#own.signal?.aborted) {
      this.#writing.taken = 0
      return this
    }
    if (this.destroyed) this.#renew()
    if (listener !== undefined) this.once('connect', listener)
    this.connecting = true
    this.#writing.taken = 0
    try {
      this.#attempt = new Attempt(this.#attemptOwner(options), target, options)
    } catch (error) {
      this.connecting = false
      throw error
    }
    return this
  }

  override pause(): this {
    if (this.#onRead !== undefined) this.#transport?.session.pause()
    return super.pause()
  }

  override resume(): this {
    if (this.#onRead?.resume()) this.#transport?.session.resume()
    return super.resume()
  }

  destroySoon(): this {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
    return this
  }

  resetAndDestroy(): this {
    if (this.destroyed) return this
    if (this.connecting) this.once('connect', () => this.resetAndDestroy())
    else if (this.#transport === undefined) this.destroy(closedError())
    else {
      this.#isResetting = true
      this.destroy()
    }
    return this
  }

  setTimeout(ms: number, callback?: () => void): this {
    if (this.destroyed) return this
    this.timeout = ms
    const duration = timerDuration(ms, 'msecs')
    if (callback !== undefined && typeof callback !== 'function') {
      throw argType('callback', 'of type function', callback)
    }
    this.#idle.set(duration)
    if (callback === undefined) return this
    if (duration === 0) this.removeListener('timeout', callback)
    else this.once('timeout', callback)
    return this
  }

  setNoDelay(_on?: boolean): this {
    return this
  }

  setKeepAlive(_on?: boolean, _delay?: number): this {
    return this
  }

  ref(): this {
    this.#isRefd = true
    this.session?.ref()
    return this
  }

  unref(): this {
    this.#isRefd = false
    this.session?.unref()
    return this
  }

  /** Resolves when the other end has all that was written so far. */
  flushed(options?: FlushOptions): Promise<void> {
    return flushedWithin(() => this.#flush(), this.#subject, options)
  }

  async #flush(): Promise<void> {
    while (this.connecting || this.writableLength > 0) {
      if (this.destroyed) break
      await new Promise<void>(resolve => this.#whenMoved.push(resolve))
    }
    const transport = this.#transport
    if (transport === undefined || this.#isCut) throw this.errored ?? closedError()
    // What this turn has written is passed on at its end.
    await new Promise<void>(nextTick)
    const loss = await transport.whenHandled()
    if (loss !== undefined) throw this.errored ?? systemError('write', loss.code, this.#subject, loss.cause)
  }

  // --- what a transport tells ---

  handleHello({ port }: Hello): void {
    this.#attempt?.finish()
    this.#attempt = undefined
    this.connecting = false
    this.#port = port
    this.emit('connect')
    this.emit('ready')
    this.#moved()
    // Made with `readable: false`, it takes nothing.
    if (!this.readable && !this.destroyed) this.session?.pause()
    if (!this.readable || this.isPaused()) return
    if (this.readableFlowing !== true || this.listenerCount('data') > 0) this.read(0)
    else {
      // Whoever waited for `connect` may add its listeners now: bytes that came with it are for them.
      this.session?.pause()
      nextTurn(() => this.session?.resume())
    }
  }

  handleBytes(bytes: Buffer): boolean {
    return this.#onRead === undefined ? this.push(bytes) : this.#onRead.push(bytes)
  }

  handleFin(): void {
    this.push(null)
    this.read(0)
  }

  handleLoss(loss: Loss): void {
    const isOpen = !this.connecting
    const error = systemError(
      isOpen ? 'read' : 'connect',
      loss.code,
      isOpen ? undefined : this.#subject,
      loss.cause,
    )
    if (loss.undelivered) error.undelivered = loss.undelivered
    this.#isCut = true
    this.destroy(error)
  }

  handleActivity(): void {
    this.#idle.refresh()
  }

  handleAway(isAway: boolean): void {
    this.emit(isAway ? 'suspend' : 'continue')
  }

  // --- what a Duplex is asked ---

  override _read(): void {
    if (this.connecting || this.#transport === undefined) this.once('connect', () => this._read())
    else if (this.#unsettled === 0 && !this.#onRead?.hasRest) this.#transport.session.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#put([chunk], done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#put(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: Done): void {
    if (this.connecting || this.#transport === undefined) this.once('connect', () => this._final(done))
    else if (this.#transport.isPeerGone) done()
    // As Node's shutdown, never inside the call.
    else this.#transport.sender.finish(error => nextTick(() => done(error)))
  }

  override _destroy(error: Error | null, done: Done): void {
    const wasConnecting = this.connecting
    this.connecting = false
    this.#attempt?.finish()
    this.#attempt = undefined
    this.#idle.stop()
    this.#bytesWritten = this.bytesWritten
    const left = this.writableLength - this.#writing.size
    this.#letGo(error, wasConnecting, wasConnecting ? this.writableLength === 0 : left === 0)
    done(error)
    const unwritten = this.#writing.abandon()
    if (!wasConnecting && unwritten !== undefined) nextTick(() => unwritten(error ?? destroyedError()))
    this.#moved()
    // Its place is free, though its own `close` comes later.
    this.#acceptor?.handleClosed(this)
    nextTurn(() => {
      // Told to connect, or accepted.
      if (this.#writing.taken !== undefined) this.emit('close', error !== null && error !== undefined)
      else this.emit('close')
    })
  }

  #isCut = false
  readonly #whenMoved: (() => void)[] = []

  #moved(): void {
    for (const resolve of this.#whenMoved.splice(0)) resolve()
  }

  /** Whether both ends know each other's addresses. Of the prototype, which programs look at: no. */
  static #isKnown(socket: Socket): boolean {
    if (!(#own in socket) || socket.#transport === undefined) return false
    return socket.#isAccepted || socket.#transport.isOpen
  }

  #put(parts: readonly Buffer[], done: Done): void {
    this.#writing.begin(parts, this.takesTurns ? this.#holdingBack(done) : done)
    if (!this.connecting) {
      this.#pass()
      return
    }
    const handleClose = (): void => done(beforeConnection())
    this.once('close', handleClose)
    this.once('connect', () => {
      this.off('close', handleClose)
      this.#pass()
    })
  }

  #pass(): void {
    if (this.#unsettled > 0) this.session?.pause()
    this.#writing.pass(this.#transport)
  }

  /**
   * Holds back what comes, until `done` has been called and the writer has been told, in a turn of its own.
   */
  #holdingBack(done: Done): Done {
    this.#unsettled += 1
    return error => {
      done(error)
      // The stream tells of it in the next tick, and TLS takes note of that in the next turn.
      nextTick(() =>
        nextTurn(() => {
          if (this.#unsettled > 0) this.#unsettled -= 1
          if (!this.destroyed) this._read()
        }),
      )
    }
  }

  #letGo(error: Error | null, wasConnecting: boolean, isPassedOn: boolean): void {
    const transport = this.#transport
    if (transport === undefined) return
    if (wasConnecting || error != null || this.#isResetting) {
      transport.reset('ECONNRESET', wasConnecting && error == null && isPassedOn)
    } else {
      const isRead = this.readableLength === 0 && !transport.isHolding && !this.#onRead?.hasRest
      transport.release(isPassedOn && isRead)
    }
  }

  #accept({ transport, subject, port, server }: Accepted): void {
    this.server = this.#acceptor = server
    this.#transport = transport
    this.#subject = subject
    this.#port = port
    this.#isAccepted = true
    this.#writing.taken = 0
    this.#watch(transport)
    transport.accept(this, port)
  }

  #attemptOwner(options: ConnectOptions) {
    return {
      handleLookup: (error: Error | null, subject: string, host: string | undefined): void => {
        this.emit('lookup', error, error === null ? subject : undefined, 'subject', host)
      },
      handleSession: (subject: string, session: ConatSocketBase): void => {
        this.#subject = subject
        if (!this.#isRefd) session.unref()
        this.#transport = new Transport(session, this, transportOptions(options))
        this.#watch(this.#transport)
      },
      handleFailure: (error: SystemError): void => {
        this.#isCut = true
        this.destroy(error)
      },
    }
  }

  #watch(transport: Transport): void {
    const listed = { row: (): SocketRow | undefined => rowOf(this, transport) }
    list(listed)
    transport.onGone(() => unlist(listed))
  }

  /** As new, to connect once more. */
  #renew(): void {
    ;(this as unknown as { _undestroy(): void })._undestroy()
    this.#transport = this.#subject = this.#bytesWritten = undefined
    this.#bytesRead = this.#port = this.#unsettled = 0
    this.#isAccepted = this.#isResetting = this.#isCut = false
    Reflect.deleteProperty(this, 'write')
  }

  #handleEnd = (): void => {
    if (!this.allowHalfOpen) this.write = writeAfterFin as typeof this.write
  }
}
