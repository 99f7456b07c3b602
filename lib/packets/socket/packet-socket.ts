// A connection with packets: sends them, has those of the other side accepted, and settles every call.

import type { PacketSocketOptions, SendOptions } from '../../../types/packets'
import type { Agreed } from '../agreed'
import { within } from '../bounds'
import { Emitter, type EventName } from '../emitter'
import { badOption, PacketError, throwAsync } from '../errors'
import { type AllLimits, limitsWith } from '../limits'
import type { PacketLink } from '../link/link'
import { linkOf } from '../link/link-of'
import { FlecksLink } from '../link/over-flecks'
import { INSPECT, type Inspect, show } from '../printing'
import type { Entry } from '../registry/entry'
import type { AnyPacket } from '../registry/packet'
import { errorOf, named, PacketRegistry } from '../registry/registry'
import { startTimer, stopTimer, type Timer } from '../timer'
import { Handlers } from './accept'
import { Acceptor } from './acceptor'
import { Calls, type OpenCall } from './calls'
import { FlecksWire } from './flecks-wire'
import { broken } from './frames'
import { FramesWire } from './frames-wire'
import { setInside } from './inside'
import {
  CLOSE_TIMEOUT,
  checkSendOptions,
  checkSocketOptions,
  DEFAULT_TIMEOUT,
  HELLO_TIMEOUT,
} from './options'
import { navigate, reload } from './page'
import { checkRoom, type Rooms } from './rooms'
import type { Outcome, Wire } from './wire'

/** What a server has for the sockets that it makes. */
export interface ServerSide {
  /** What handlers get as `req.server`. */
  readonly server: object
  readonly handlers: Handlers
  readonly rooms: Rooms<PacketSocket>
  /** What the connection was given as. */
  readonly source: unknown
}

export class PacketSocket extends Emitter {
  readonly link: PacketLink
  readonly req: Record<string, Agreed>
  readonly #registry: PacketRegistry
  readonly #limits: AllLimits
  readonly #timeout: number
  readonly #server: ServerSide | undefined
  readonly #wire: Wire
  readonly #own = new Handlers()
  readonly #acceptor: Acceptor
  readonly #calls: Calls
  readonly #ended = new AbortController()
  #state: 'open' | 'closing' | 'closed' = 'open'
  /** Why we closed it, where there is a reason. */
  #reason: PacketError | undefined
  #helloTimer: Timer | undefined
  #closing: Promise<void> | undefined
  /** The link is closed; what came last may still be handled. */
  #finish: (() => void) | undefined
  #handleEnd: () => void = () => undefined
  readonly #end = new Promise<void>(resolve => (this.#handleEnd = resolve))

  constructor(
    source: unknown,
    registry: PacketRegistry,
    options: PacketSocketOptions = {},
    server?: ServerSide,
  ) {
    super()
    checkSocketOptions(options)
    if (!(registry instanceof PacketRegistry))
      throw badOption('registry must be a PacketRegistry', 'ERR_INVALID_ARG_TYPE')
    const { link, isServer } = linkOf(source)
    this.link = link
    this.#registry = registry
    this.#limits = limitsWith(options.limits, registry.limits)
    this.#timeout = options.timeout ?? DEFAULT_TIMEOUT
    this.#server = server
    this.#wire = this.#wireFor(link, options)
    const place = {
      socket: this,
      own: this.#own,
      ofServer: server?.handlers,
      isServer: server !== undefined || (options.role === undefined ? isServer : options.role === 'server'),
      emitPacket: (packet: AnyPacket) => this.#tell('packet', packet),
    }
    const { order = 'concurrent', exposeErrors = false } = options
    this.#acceptor = new Acceptor(
      { registry, limits: this.#limits, order, exposeErrors },
      place,
      this.#wire,
      {
        holdBack: isHeld => this.#holdBack(isHeld),
        handleRejected: (error, packet) => this.#handleRejected(error, packet),
      },
    )
    this.#calls = new Calls(call => this.#wire.cancel(call))
    this.req = this.#request(source, options)
    this.#open()
  }

  get id(): string {
    return this.link.id
  }

  send(packet: unknown, options: SendOptions = {}): Promise<Agreed> {
    const answer = new Promise((resolve, reject) => this.#call(packet, options, resolve, reject))
    // So that one that nobody looks at ends no process.
    answer.catch(error => this.#tell('sendError', error, packet))
    return answer
  }

  post(packet: unknown): boolean {
    this.#checkOpen()
    const outgoing = this.#registry.prepare(packet)
    return named(outgoing.name, () => this.#wire.post(outgoing))
  }

  /** Posts a packet that was encoded before; where that cannot be, `sendError` tells. @internal */
  postBody(entry: Entry, body: Uint8Array): void {
    try {
      this.#checkOpen()
      this.#wire.postBody(entry, body)
    } catch (error) {
      if (!(error instanceof PacketError)) throw error
      this.#tell('sendError', errorOf(entry.name, error), undefined)
    }
  }

  async waitUntilWritable(options: SendOptions = {}): Promise<void> {
    checkSendOptions(options)
    await within(() => this.#wire.waitUntilWritable(), options, 'the socket is not writable')
  }

  handle(Class: unknown, handler: unknown): () => void {
    return this.#own.add(this.#registry.entryOfClass(Class), handler)
  }

  use(layer: unknown): this {
    this.#own.use(layer)
    return this
  }

  join(room: string): void {
    checkRoom(room)
    this.#rooms.join(this, room)
  }

  leave(room: string): void {
    this.#rooms.leave(this, room)
  }

  get rooms(): readonly string[] {
    return this.#server?.rooms.of(this) ?? []
  }

  [INSPECT](...how: [number, object, Inspect]): string {
    const { id, link, rooms } = this
    const state = this.#state
    return show(this, { id, link: link.kind, state, ...(rooms.length > 0 && { rooms }) }, how)
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeInOrder()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #wireFor(link: PacketLink, options: PacketSocketOptions): Wire {
    const host = {
      handlePacket: (packet: AnyPacket, entry: Entry, call: number | undefined, size: number) =>
        this.#acceptor.handlePacket(packet, entry, call, size),
      entryOfCall: (call: number) => this.#calls.get(call)?.entry,
      handleOutcome: (call: number, outcome: Outcome) => this.#handleOutcome(call, outcome),
      handleCancel: (call: number) => this.#acceptor.handleCancel(call),
      handleRejected: (error: PacketError) => this.#handleRejected(error),
      handleOpen: () => stopTimer(this.#helloTimer),
      fail: (error: PacketError) => this.#fail(error),
    }
    if (link instanceof FlecksLink) return new FlecksWire(link, this.#registry, this.#limits, host)
    return new FramesWire(link, this.#registry, this.#limits, host, options.batch !== false)
  }

  #request(source: unknown, options: PacketSocketOptions): Record<string, Agreed> {
    const { intercom, context } = options
    return {
      ...context?.(this.#server === undefined ? source : this.#server.source),
      socketId: this.id,
      server: this.#server?.server,
      intercom,
      signal: this.#ended.signal,
    }
  }

  #open(): void {
    setInside(this, {
      acceptAll: packets => this.#acceptor.acceptAll(packets),
      redirect: url => (this.listenerCount('redirect') > 0 ? this.#tell('redirect', url) : navigate(url)),
      refresh: () => (this.listenerCount('refresh') > 0 ? this.#tell('refresh') : reload()),
    })
    this.link.listen(
      message => this.#wire.handleMessage(message),
      reason => this.#handleLinkClosed(reason),
    )
    this.link.ready(() => {
      if (this.#state === 'closed') return
      this.#wire.handleReady()
      if (this.#wire.isOpen) return
      this.#helloTimer = startTimer(
        () => this.#fail(broken(`no HELLO within ${HELLO_TIMEOUT} ms`)),
        HELLO_TIMEOUT,
      )
    })
  }

  #call(
    packet: unknown,
    options: SendOptions,
    resolve: OpenCall['resolve'],
    reject: OpenCall['reject'],
  ): void {
    // `send('Chat', data)`: the packet is wrong, not its options.
    if (typeof packet === 'string') this.#registry.prepare(packet)
    checkSendOptions(options)
    this.#checkOpen()
    const { signal, timeout = this.#timeout } = options
    const outgoing = this.#registry.prepare(packet)
    const { entry, name } = outgoing
    if (signal?.aborted) throw aborted(name, signal)
    if (this.#calls.size >= this.#limits.calls) {
      throw new PacketError(`${this.#calls.size} calls wait for their answers`, 'ERR_PACKET_BUSY', {
        packet: name,
      })
    }
    const call = named(name, () => this.#wire.call(outgoing, timeout))
    const onAbort = signal === undefined ? undefined : () => this.#abort(call, name, signal)
    if (onAbort !== undefined) signal?.addEventListener('abort', onAbort)
    const deadline = performance.now() + timeout
    this.#calls.add(call, { entry, resolve, reject, deadline, timeout, signal, onAbort })
  }

  #abort(call: number, name: string, signal: AbortSignal): void {
    const open = this.#calls.take(call)
    if (open === undefined) return
    open.reject(aborted(name, signal))
    this.#wire.cancel(call)
  }

  #handleOutcome(call: number, outcome: Outcome): void {
    const open = this.#calls.take(call)
    if (open === undefined) return
    if ('error' in outcome) open.reject(outcome.error)
    else open.resolve(outcome.value)
  }

  #handleRejected(error: PacketError, packet?: AnyPacket): void {
    this.#tell('rejected', error, packet)
  }

  #holdBack(isHeld: boolean): void {
    if (!isHeld || this.link.pause !== undefined) this.#wire.holdBack(isHeld)
    else this.#fail(new PacketError('packets come faster than they are accepted', 'ERR_PACKET_BUSY'))
  }

  #fail(error: PacketError): void {
    if (this.#state === 'closed' || this.#reason !== undefined) return
    this.#reason = error
    this.#state = 'closing'
    if (this.link.abort === undefined) this.link.close()
    else this.link.abort()
    // Now, and not when the other side agrees: it may be one that never does. Not inside of what caused it.
    queueMicrotask(() => this.#handleClosed(error))
  }

  async #closeInOrder(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing'
      this.#rejectCalls('the socket was closed here', undefined)
      let timer: Timer | undefined
      const timeout = new Promise<void>(resolve => (timer = startTimer(resolve, CLOSE_TIMEOUT)))
      await Promise.race([this.#wire.drained(), timeout])
      stopTimer(timer)
      this.link.close()
      this.#finish?.()
    }
    await this.#end
  }

  #handleLinkClosed(reason: Error | undefined): void {
    this.#finish = () => this.#handleClosed(reason)
    // What the other side said last is handled, unless it is not wanted any more.
    if (this.#state === 'open') this.#wire.end(this.#finish)
    else this.#finish()
  }

  #handleClosed(reason: Error | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    stopTimer(this.#helloTimer)
    const why = this.#reason ?? reason
    this.#rejectCalls('the socket closed', why)
    const unsent = this.#wire.close()
    if (unsent > 0) {
      this.#tell('sendError', closedError(`${unsent} bytes of packets were not sent`, why), undefined)
    }
    this.#acceptor.close()
    this.#ended.abort(why)
    this.#tell('closed', why)
    this.#handleEnd()
  }

  #rejectCalls(problem: string, cause: Error | undefined): void {
    for (const { entry, reject } of this.#calls.takeAll()) {
      const { message, reason } = closedError(problem, cause)
      reject(
        new PacketError(`${entry.name}: ${message}`, 'ERR_PACKET_CLOSED', {
          packet: entry.name,
          reason,
          cause,
        }),
      )
    }
  }

  #checkOpen(): void {
    if (this.#state !== 'open') throw closedError('the socket is closed', this.#reason)
  }

  get #rooms(): ServerSide['rooms'] {
    if (this.#server === undefined)
      throw new PacketError('only sockets of a PacketServer have rooms', 'ERR_PACKET_UNSUPPORTED')
    return this.#server.rooms
  }

  /** Emits; what a listener throws breaks nothing here. */
  #tell(name: EventName, ...args: unknown[]): void {
    try {
      this.emit(name, ...args)
    } catch (error) {
      throwAsync(error)
    }
  }
}

function closedError(problem: string, cause: Error | undefined): PacketError {
  const text = cause === undefined ? problem : `${problem}: ${cause.message}`
  return new PacketError(text, 'ERR_PACKET_CLOSED', { reason: problem, cause })
}

function aborted(name: string, signal: AbortSignal): PacketError {
  return new PacketError(`${name}: aborted`, 'ERR_PACKET_ABORTED', {
    packet: name,
    reason: 'aborted',
    cause: signal.reason,
  })
}
