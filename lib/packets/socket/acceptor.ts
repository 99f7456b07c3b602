// The packets of the other side: has each accepted in its turn, and sees that each call is answered once.
import { messageOf, PacketError, readable, ValidationError } from '../errors'
import type { AllLimits } from '../limits'
import type { Entry } from '../registry/entry'
import type { AnyPacket, Order } from '../registry/packet'
import type { PacketRegistry } from '../registry/registry'
import { accept, isThenable, type Place, wireErrorOf } from './accept'
import type { BundleOutcome } from './inside'
import { Turns } from './turns'
import type { Wire } from './wire'

export interface AcceptorOptions {
  readonly registry: PacketRegistry
  readonly limits: AllLimits
  readonly order: Order
  readonly exposeErrors: boolean
}

export interface AcceptorHost {
  /** Stops packets from coming, or lets them come again. */
  holdBack(isHeld: boolean): void
  handleRejected(error: PacketError, packet?: AnyPacket): void
}

export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #place: Place
  readonly #wire: Wire
  readonly #host: AcceptorHost
  readonly #turns: Turns
  /** Calls of the other side that it waits for an answer of. */
  readonly #open = new Set<number>()
  #isHeld = false
  readonly #drops = new Map<Entry, PacketError>()

  constructor(options: AcceptorOptions, place: Place, wire: Wire, host: AcceptorHost) {
    this.#options = options
    this.#place = place
    this.#wire = wire
    this.#host = host
    this.#turns = new Turns(options.limits.acceptors, options.order, () => this.#handleRoom())
  }

  handlePacket(packet: AnyPacket, entry: Entry, call: number | undefined, size: number): void {
    if (call !== undefined) this.#open.add(call)
    const isStarted = this.#turns.try({
      entry,
      isCall: call !== undefined,
      size,
      run: () => this.#run(packet, entry, call),
      drop: () => this.#host.handleRejected(this.#dropped(entry), packet),
    })
    if (!isStarted) this.#replyError(call, TOO_MANY)
    else if (!this.#isHeld && this.#turns.waitingBytes > this.#options.limits.queueBytes) {
      this.#isHeld = true
      this.#host.holdBack(true)
    }
  }

  /** The answer is not needed any more; what was begun goes on. */
  handleCancel(call: number): void {
    this.#open.delete(call)
  }

  /** Accepts the packets of a bundle as if each had come alone. */
  async acceptAll(packets: readonly AnyPacket[]): Promise<BundleOutcome[]> {
    if (this.#options.order === 'concurrent') return await Promise.all(this.#startAll(packets))
    const outcomes: BundleOutcome[] = []
    for (const packet of packets) outcomes.push(await this.#outcomeOf(packet))
    return outcomes
  }

  /** The socket is closed: nobody waits for answers, and what waits for its turn is not accepted. */
  close(): void {
    this.#open.clear()
    this.#turns.clear()
  }

  /**
   * In order, and those of a serial class one after the other. Each that is not done with at once is at work: or one
   * bundle would be as many as it likes.
   */
  #startAll(packets: readonly AnyPacket[]): (BundleOutcome | Promise<BundleOutcome>)[] {
    const last = new Map<unknown, Promise<BundleOutcome>>()
    return packets.map(packet => {
      if (this.#turns.isOverfull) return { error: TOO_MANY }
      const Class = packet.constructor
      const before = last.get(Class)
      const outcome =
        before === undefined ? this.#outcomeOf(packet) : before.then(() => this.#outcomeOf(packet))
      if (!(outcome instanceof Promise)) return outcome
      this.#turns.countIn(outcome)
      if ((Class as { order?: Order }).order === 'serial') last.set(Class, outcome)
      return outcome
    })
  }

  /** Never throws, and never rejects. */
  #outcomeOf(packet: AnyPacket): BundleOutcome | Promise<BundleOutcome> {
    try {
      const entry = this.#options.registry.entryOfClass(packet.constructor)
      const value = accept(packet, entry, this.#place)
      if (!isThenable(value)) return outcomeOf(entry, value)
      return Promise.resolve(value).then(
        value => outcomeOf(entry, value),
        error => this.#failedOutcome(error),
      )
    } catch (error) {
      return this.#failedOutcome(error)
    }
  }

  #failedOutcome(thrown: unknown): BundleOutcome {
    const { code, reason, payload } = wireErrorOf(readable(thrown), this.#options.exposeErrors)
    return { error: { ...(typeof payload === 'object' ? payload : {}), code, reason } }
  }

  /** One for all of a class: there may be a hundred thousand, and each error costs. */
  #dropped(entry: Entry): PacketError {
    const error = this.#drops.get(entry) ?? dropped(entry)
    this.#drops.set(entry, error)
    return error
  }

  #run(packet: AnyPacket, entry: Entry, call: number | undefined): unknown {
    try {
      const value = accept(packet, entry, this.#place)
      if (!isThenable(value)) return this.#handleDone(packet, entry, call, value)
      return Promise.resolve(value).then(
        value => this.#handleDone(packet, entry, call, value),
        error => this.#handleRefused(packet, entry, call, error),
      )
    } catch (error) {
      return this.#handleRefused(packet, entry, call, error)
    }
  }

  #handleDone(packet: AnyPacket, entry: Entry, call: number | undefined, value: unknown): void {
    if (call === undefined || !this.#open.has(call)) return
    try {
      this.#wire.reply(call, entry, value)
      this.#open.delete(call)
    } catch (error) {
      this.#handleRefused(packet, entry, call, unsendableError(entry, 'its result', readable(error)))
    }
  }

  #handleRefused(packet: AnyPacket, entry: Entry, call: number | undefined, thrown: unknown): void {
    const error = readable(thrown)
    const problem = this.#replyError(call, wireErrorOf(error, this.#options.exposeErrors))
    if (problem !== undefined) {
      this.#host.handleRejected(unsendableError(entry, 'its payload', problem), packet)
      return
    }
    // The other side hears of what it did wrong; of what is wrong here, it hears no more than that.
    const isOurs = !(error instanceof ValidationError)
    if (call === undefined || isOurs) this.#host.handleRejected(rejectedError(entry, error), packet)
  }

  /** Returns why a payload cannot be encoded: then the other side only hears that something is wrong. */
  #replyError(call: number | undefined, error: ReturnType<typeof wireErrorOf>): unknown {
    if (call === undefined || !this.#open.delete(call)) return undefined
    try {
      this.#wire.replyError(call, error)
      return undefined
    } catch (problem) {
      this.#wire.replyError(call, { code: 500, reason: 'error' })
      return readable(problem)
    }
  }

  #handleRoom(): void {
    if (!this.#isHeld || this.#turns.waitingBytes > this.#options.limits.queueBytes / 2) return
    this.#isHeld = false
    this.#host.holdBack(false)
  }
}

const TOO_MANY = { code: 429, reason: 'too many packets at work' }

function outcomeOf({ isBundle }: Entry, value: unknown): BundleOutcome {
  if (isBundle && Array.isArray(value)) return value as BundleOutcome[]
  return value === undefined ? {} : { value }
}

function dropped({ name }: Entry): PacketError {
  const reason = 'the socket closed before it was its turn'
  return new PacketError(`${name}: ${reason}`, 'ERR_PACKET_CLOSED', { packet: name, reason })
}

function unsendableError({ name }: Entry, what: string, error: unknown): PacketError {
  const { code, path } = (error instanceof PacketError ? error : {}) as Partial<PacketError>
  const reason = `${what}: ${messageOf(error)}`
  return new PacketError(`${name}: ${reason}`, code ?? 500, { packet: name, path, reason, cause: error })
}

function rejectedError(entry: Entry, error: unknown): PacketError {
  if (error instanceof PacketError && error.packet === entry.name) return error
  const { code, reason, payload } = wireErrorOf(error, true)
  return new PacketError(`${entry.name}: ${reason}`, code, {
    packet: entry.name,
    reason,
    payload,
    cause: error,
  })
}
