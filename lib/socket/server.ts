// A socket server: accepts sockets on a subject and knows them by id.
import { EventEmitter } from 'node:events'
import type {
  DrainOptions,
  Headers,
  RequestOptions,
  SocketListenOptions,
  State,
  WaitOptions,
  WriteOptions,
} from '../../index'
import { checkWait, settledWithin } from '../async/bounds'
import { type Drain, DrainOnce } from '../async/drain'
import { Emitter, HEARD, type Heard, LISTENER_HEARD } from '../async/emitter'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { route } from '../engine/events'
import { ACCEPTED, LISTENER_STATE } from '../engine/kinds'
import type { ClientContext } from '../messaging/client-context'
import type { Message, Responder } from '../messaging/message'
import { warnIfUnreachable } from '../messaging/unreachable'
import { Broadcast, type ReadsOptions } from '../rooms/broadcast'
import type { Room } from '../rooms/room'
import type { Rooms } from '../rooms/rooms'
import { CHANNELS } from '../telemetry/channels'
import { FabricError, type UndeliveredOf } from '../values/errors'
import { closedFailure, errorFrom, Failure, undeliveredFailure } from '../values/failure'
import { checkOptions, isFunction, isString } from '../values/option-checks'
import { checkListenSubject, checkRoomForIds, checkServerId } from '../values/socket-names'
import { throwAsync } from '../values/throw-async'
import type { ConnectionIterator } from './connection-iterator'
import { EndOnce } from './end-once'
import { excuses } from './handler-failures'
import { type Answer, Handlers } from './handling'
import { HeldConnections } from './held-connections'
import { Lifecycle, type LifecycleOwner, type StateEvents } from './lifecycle'
import { openRooms, READS } from './listener-rooms'
import { type Middleware, refusalOf } from './middleware'
import { type EndOptions, LISTEN_SHAPE, SERVER_REQUEST_SHAPE } from './options'
import { ServerSocket } from './server-socket'
import { SocketSettings } from './settings'
import { writeToAll } from './write-to-all'

interface ServerRequestOptions extends RequestOptions {
  race?: boolean
}

interface SocketServerEvents extends StateEvents {
  connection: [socket: ServerSocket]
  peerLost: [lost: { id: string; undelivered: number }]
}

export class ConatSocketServer extends Emitter<SocketServerEvents> implements LifecycleOwner {
  static readonly [HEARD]: Heard = LISTENER_HEARD
  readonly id: string
  readonly subject: string
  readonly role = 'server'
  readonly desc: string | undefined
  readonly engineHandle: number = commands.nextHandle()
  readonly sockets: Record<string, ServerSocket> = Object.create(null) as Record<string, ServerSocket>
  /** Whether a drain of the client leaves it alone: whoever has opened it closes it. @internal */
  isOwned = false
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #settings: SocketSettings
  readonly #lifecycle: Lifecycle
  #isEnding = false
  #isRetired = false
  /** What its sockets had left when it closed. */
  readonly #left: UndeliveredOf[] = []
  readonly #endOnce = new EndOnce()
  readonly #drainOnce = new DrainOnce(() => this.#lifecycle.why())
  readonly #connections = new HeldConnections(this)
  /** The loop over its connections was left: it closes with its last socket. */
  #isLeft = false
  #isWanted = true
  readonly #middleware: Middleware[] = []
  readonly #handlers = new Handlers()
  /** Sockets that middleware has not decided about. */
  readonly #undecided = new Set<ServerSocket>()
  #rooms: Rooms | undefined
  /** How broadcasts read their options. @internal */
  readonly reads: ReadsOptions = READS

  /** @internal */
  constructor(
    context: ClientContext,
    responder: Responder,
    subject: string,
    options: SocketListenOptions = {},
  ) {
    context.checkOpen()
    checkListenSubject(subject)
    checkWait('socket.listen', options, LISTEN_SHAPE)
    if (context.listening.has(subject)) {
      throw new FabricError(
        `there can be at most one socket server per client listening on a subject (subject='${subject}')`,
        'ERR_ALREADY_LISTENING',
      )
    }
    const id = options.id ?? context.id
    checkServerId(id)
    checkRoomForIds(subject, id)
    warnIfUnreachable(subject)
    super({ captureRejections: true })
    context.listening.add(subject)
    this.#context = context
    this.subject = subject
    this.id = id
    this.desc = options.desc
    this.#responder = responder
    this.#settings = new SocketSettings(options)
    this.#lifecycle = new Lifecycle(this, context)
    this.#watchListeners()
    route(this.engineHandle, this)
    commands.listen(
      context.handle,
      this.engineHandle,
      subject,
      JSON.stringify({ ...this.#settings.forEngine(id, LISTEN_SHAPE), exclusive: options.id !== undefined }),
    )
    this.#lifecycle.limitFirst(options, failure => {
      const reason = errorFrom(failure)
      this.#lifecycle.closeReason = reason
      for (const socket of Object.values(this.sockets)) socket.abortFor(reason)
      this.close()
    })
  }

  /** @internal */
  get client(): number {
    return this.#context.handle
  }

  get state(): State {
    return this.#lifecycle.state
  }

  get maxQueueSize(): number {
    return this.#settings.maxQueueSize
  }

  get maxQueueBytes(): number {
    return this.#settings.maxQueueBytes
  }

  get keepAlive(): number {
    return this.#settings.keepAlive
  }

  get keepAliveTimeout(): number {
    return this.#settings.keepAliveTimeout
  }

  /** Whether `end()` or `close()` was called. */
  get ended(): boolean {
    return this.#isEnding || this.state === 'closed'
  }

  /** Disconnects every socket, which resumes. */
  disconnect(): void {
    for (const socket of Object.values(this.sockets)) socket.disconnect()
  }

  ref(): this {
    this.#isWanted = true
    for (const socket of Object.values(this.sockets)) socket.ref()
    this.#lifecycle.processRef.ref()
    return this
  }

  /** Applies to the sockets that it has accepted, and will accept, as well. */
  unref(): this {
    this.#isWanted = false
    for (const socket of Object.values(this.sockets)) socket.unref()
    this.#lifecycle.processRef.unref()
    return this
  }

  waitUntilReady(given?: number | WaitOptions): Promise<void> {
    return this.#lifecycle.waitUntilReady(given)
  }

  forEach(visit: (socket: ServerSocket, id: string) => void): void {
    for (const [id, socket] of Object.entries(this.sockets)) visit(socket, id)
  }

  /** The connections, including those that were not delivered yet. */
  [Symbol.asyncIterator](): ConnectionIterator {
    const loop = this.#connections.iterate()
    if (this.state === 'closed') this.#connections.end(this.#lifecycle.reason)
    return loop
  }

  /** Has a function decide about each connection, behind those that were given before. */
  use(middleware: Middleware): this {
    isFunction('the middleware', middleware)
    this.#middleware.push(middleware)
    // A program may have waited for something between `listen` and this.
    const last = this.#middleware.length - 1
    for (const socket of this.#connections.recall()) {
      this.#handlers.detach(socket)
      void this.#decide(socket, last, () => this.#passOn(socket))
    }
    return this
  }

  /** Has a function answer the requests to each socket: with what it returns, or throws. */
  handle(answer: Answer): this {
    const sockets = Object.values(this.sockets).filter(socket => !this.#undecided.has(socket))
    this.#handlers.add(answer, sockets)
    return this
  }

  /** The sockets of rooms, at all servers of the subject. */
  to(room: string | readonly string[]): Broadcast {
    const audience = { rooms: [], except: [], isLocal: false }
    return new Broadcast(this.openRooms(), READS, audience).to(room)
  }

  /** A room, with its members at all servers. */
  room(name: string): Room {
    return this.openRooms().room(name)
  }

  /** For metrics; nothing where rooms are not used. @internal */
  get roomTally(): Rooms['tally'] | undefined {
    return this.#rooms?.tally
  }

  /** @internal */
  openRooms(): Rooms {
    this.#lifecycle.checkOpen()
    this.#rooms ??= openRooms(this, this.#context, this.#settings, (id, undelivered) => {
      this.#lifecycle.announce('peerLost', { id, undelivered })
    })
    return this.#rooms
  }

  /** Returns another server with the same options, on a subject one token longer. */
  channel(name: string): ConatSocketServer {
    isString('name', name)
    return new ConatSocketServer(
      this.#context,
      this.#responder,
      `${this.subject}.${name}`,
      this.#settings.options,
    )
  }

  /** Writes to every socket that has room; then throws one error that names the others. */
  write(data: unknown, second?: Headers | WriteOptions | null): boolean {
    if (this.state === 'closed' || this.#isEnding) throw this.#pipeError()
    return writeToAll(
      Object.values(this.sockets),
      this.#context,
      this.#settings.maxMessageBytes(this.#context),
      [data, second],
    )
  }

  broadcast(data: unknown, second?: Headers | WriteOptions | null): boolean {
    return this.write(data, second)
  }

  /**
   * Sends a request to every socket. Resolves with all replies in the order of the sockets, or only the first
   * one.
   */
  request(data: unknown, options: RequestOptions & { race: true }): Promise<Message>
  request(data?: unknown, options?: RequestOptions & { race?: false }): Promise<(Message | Error)[]>
  async request(data?: unknown, options: ServerRequestOptions = {}): Promise<(Message | Error)[] | Message> {
    this.#lifecycle.checkOpen()
    checkOptions('request', options, SERVER_REQUEST_SHAPE)
    const { race = false, ...rest } = options
    const asked = Object.values(this.sockets).map(socket => socket.request(data, { ...rest, noThrow: false }))
    if (!race) return await Promise.all(asked.map(answer => answer.catch((error: Error) => error)))
    try {
      return await Promise.any(asked)
    } catch (cause) {
      const first = (cause as AggregateError).errors[0] as FabricError | undefined
      if (first !== undefined) throw first
      throw new FabricError(`request -- no sockets connected to '${this.subject}'`, 503)
    }
  }

  /** Accepts no more sockets, and lets go of the subject; what is open lives on. @internal */
  retire(): void {
    if (this.state === 'closed' || this.#isRetired) return
    this.#isRetired = true
    this.#context.listening.delete(this.subject)
    commands.listenerRetire(this.client, this.engineHandle)
  }

  close(): void {
    if (this.state === 'closed') return
    this.prepareClose()
    commands.listenerClose(this.client, this.engineHandle)
    this.#lifecycle.beginClose()
  }

  destroy(): void {
    this.close()
  }

  /** @internal */
  prepareClose(): void {
    for (const socket of Object.values(this.sockets)) socket.prepareClose()
  }

  /** Accepts no more sockets, ends all, and closes. Rejects if messages are left. */
  end(options?: EndOptions): Promise<void> {
    const hasten = (given: EndOptions): void => {
      for (const socket of Object.values(this.sockets)) void socket.end(given).catch(() => {})
    }
    return this.#endOnce.run(options, { finish: () => this.#finish(options), hasten }, this.#lifecycle.why)
  }

  /** Whether `drain()` was called. */
  get draining(): boolean {
    return this.#drainOnce.isStarted
  }

  /** Accepts no more sockets, which go to other servers instead, and ends its own one after the other. */
  async drain(options?: DrainOptions): Promise<void> {
    await this.#drainOnce.run(options, drain => this.#drain(drain))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  async finishWith(drain: Drain): Promise<void> {
    if (this.isOwned) return
    await drain.part(1, options => this.drain(options)).catch(() => {})
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === LISTENER_STATE) this.#lifecycle.handleState(event)
    else if (kind === ACCEPTED && this.state !== 'closed' && !this.#isEnding) this.#accept(event)
  }

  /** @internal */
  describe(): string {
    return `socket server '${this.subject}'`
  }

  handleStranded(failure: Failure, isFinal: boolean): void {
    this.#lifecycle.handleStranded(failure, isFinal)
    if (isFinal) this.close()
    else if (!this.#lifecycle.wasReady) this.#connections.strand(failure)
  }

  handleClientClosing(reason: Failure | undefined): void {
    this.#lifecycle.beginCloseFromAbove(reason)
  }

  handleClientClosed(): void {
    this.#lifecycle.handleClientClosed()
  }

  /** @internal */
  handleEnter(): void {}

  /** @internal */
  handleClosing(failure: Failure, reason: Failure): void {
    this.#rooms?.close(reason)
    this.#connections.end(reason)
    if (!this.#isRetired) this.#context.listening.delete(this.subject)
    const told = reason === failure ? undefined : reason
    for (const socket of Object.values(this.sockets)) socket.handleClientClosing(told)
  }

  /** @internal */
  handleEngineClosed(_wasOpen: boolean, finish: () => void): void {
    finish()
  }

  /** Ends the remaining sockets. The engine closes them first. @internal */
  handleGone(): void {
    for (const socket of Object.values(this.sockets)) socket.handleClientClosed()
  }

  async #drain(drain: Drain): Promise<void> {
    if (!this.#isEnding && this.state !== 'closed') {
      commands.listenerRetire(this.client, this.engineHandle)
      // What a handler received after the last ack would be reported as undelivered, and handled twice.
      await drain.spreadOver(Object.values(this.sockets), async socket => {
        if (socket.livesOn) {
          await socket.whenGone(drain.over)
          return
        }
        socket.shut()
        await socket.whenQuiet(drain.halfOver)
        await socket.endWith(drain)
      })
    }
    // Its sockets end with it: those that have come in the meantime, too.
    const ended = this.end({ timeout: drain.left }).catch(() => {})
    const rest = Object.values(this.sockets).map(socket => socket.endWith(drain))
    await Promise.all([ended, ...rest])
  }

  /** Ends it and its sockets. Returns which have messages left, if any have. */
  async #finish(options: EndOptions | undefined): Promise<Failure | undefined> {
    let left: UndeliveredOf[] = []
    let cause: Failure | undefined
    const wasOpen = this.state !== 'closed'
    if (wasOpen) {
      this.#isEnding = true
      commands.listenerRetire(this.client, this.engineHandle)
      const endings = Object.values(this.sockets).map(async socket => {
        await socket.end(options).catch((error: FabricError) => {
          left.push({ id: socket.id, undelivered: error.undelivered ?? 0 })
          const why = error.cause
          if (why instanceof FabricError) cause ??= new Failure(why.code, why.message, why.cause)
        })
      })
      const begun = Date.now()
      await Promise.all(endings)
      const timeout = options?.timeout && Math.max(1, options.timeout - (Date.now() - begun))
      if (this.#rooms !== undefined) await settledWithin(this.#rooms.whenHandled(), { timeout }, 'rooms')
      this.close()
    }
    await this.#lifecycle.whenGone()
    if (!wasOpen) {
      left = this.#left
      cause = this.#lifecycle.reason ?? closedFailure(this.describe())
    }
    const sum = left.reduce((total, { undelivered }) => total + undelivered, 0)
    return sum === 0 ? undefined : undeliveredFailure(this.describe(), sum, cause, left)
  }

  #accept(event: EventReader): void {
    const handle = event.u32()
    const id = event.str()
    const subject = event.str()
    const peer = { subject, id, user: event.optStr() }
    const socket = new ServerSocket(this.#context, this.#responder, handle, peer, this.#settings, this)
    this.sockets[id] = socket
    if (!this.#isWanted) socket.unref()
    if (this.#middleware.length === 0) this.#handOut(socket)
    else void this.#decide(socket, 0, () => this.#handOut(socket))
  }

  /** Asks the middleware from the `first` on: those before have let the socket pass. */
  async #decide(socket: ServerSocket, first: number, pass: () => void): Promise<void> {
    const timeout = this.#settings.options.middlewareTimeout ?? LISTEN_SHAPE.middlewareTimeout.default
    this.#undecided.add(socket)
    const refusal = await refusalOf(this.#middleware, socket, timeout, first)
    this.#undecided.delete(socket)
    if (refusal !== undefined) socket.refuse(refusal)
    else if (socket.state !== 'closed') pass()
  }

  #handOut(socket: ServerSocket): void {
    if (CHANNELS.listenerConnection.hasSubscribers) {
      CHANNELS.listenerConnection.publish({ listener: this, socket })
    }
    this.#passOn(socket)
  }

  #passOn(socket: ServerSocket): void {
    this.#handlers.attach(socket)
    this.#connections.push(socket)
  }

  /** @internal */
  announce(socket: ServerSocket): void {
    try {
      this.emit('connection', socket)
    } catch (error) {
      if (!excuses(socket, 'connection', error)) throwAsync(error)
    }
  }

  /** A handler that returned a promise has failed. @internal */
  override [EventEmitter.captureRejectionSymbol](error: Error, ...[event, socket]: unknown[]): void {
    const isItsOwn = event === 'connection' && excuses(socket as ServerSocket, event, error)
    if (!isItsOwn) void Promise.reject(error)
  }

  /** Takes nobody any more, and closes with the last socket. @internal */
  handleLeft(): void {
    if (this.state === 'closed') return
    this.#isLeft = true
    commands.listenerRetire(this.client, this.engineHandle)
    this.#closeIfLeft()
  }

  #closeIfLeft(): void {
    if (this.#isLeft && Object.keys(this.sockets).length === 0) this.close()
  }

  override removeAllListeners(name?: string | symbol): this {
    super.removeAllListeners(name)
    if (name === undefined || name === 'newListener') this.#watchListeners()
    return this
  }

  #watchListeners(): void {
    const emitter = this as unknown as EventEmitter
    emitter.on('newListener', name => {
      if (name === 'connection') this.#connections.flow()
    })
  }

  /** @internal */
  handleSocketGone(socket: ServerSocket): void {
    const { id } = socket
    const undelivered = socket.undelivered().length
    if (this.state === 'closed' && undelivered > 0) this.#left.push({ id, undelivered })
    if (this.sockets[socket.id] === socket) delete this.sockets[socket.id]
    if (this.#isLeft) this.#closeIfLeft()
  }

  #pipeError(): FabricError {
    return errorFrom(new Failure('EPIPE', `closed: ${this.describe()}`, this.#lifecycle.reason))
  }
}
