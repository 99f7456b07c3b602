// The packets of the other side: has each accepted in its turn, and sees that each call is answered once.
import { messageOf, PacketError, ValidationError } from '../errors'
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
      drop: () => this.#host.handleRejected(dropped(entry), packet),
    })
    if (!isStarted) this.#replyError(call, { code: 429, reason: 'too many packets at work' })
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

  /** In order, and those of a serial class one after the other. */
  #startAll(packets: readonly AnyPacket[]): Promise<BundleOutcome>[] {
    const last = new Map<unknown, Promise<BundleOutcome>>()
    return packets.map(packet => {
      const Class = packet.constructor
      const before = last.get(Class)
      const outcome =
        before === undefined ? this.#outcomeOf(packet) : before.then(() => this.#outcomeOf(packet))
      if ((Class as { order?: Order }).order === 'serial') last.set(Class, outcome)
      return outcome
    })
  }

  async #outcomeOf(packet: AnyPacket): Promise<BundleOutcome> {
    try {
      const entry = this.#options.registry.entryOfClass(packet.constructor)
      const value = await accept(packet, entry, this.#place)
      if (entry.isBundle && Array.isArray(value)) return value as BundleOutcome[]
      return value === undefined ? {} : { value }
    } catch (error) {
      const { code, reason, payload } = wireErrorOf(error, this.#options.exposeErrors)
      return { error: { ...(typeof payload === 'object' ? payload : {}), code, reason } }
    }
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
      this.#handleRefused(packet, entry, call, resultError(entry, error))
    }
  }

  #handleRefused(packet: AnyPacket, entry: Entry, call: number | undefined, error: unknown): void {
    const told = wireErrorOf(error, this.#options.exposeErrors)
    this.#replyError(call, told)
    // The other side hears of what it did wrong; of what is wrong here, it hears no more than that.
    const isOurs = !(error instanceof ValidationError)
    if (call === undefined || isOurs) this.#host.handleRejected(rejectedError(entry, error), packet)
  }

  #replyError(call: number | undefined, error: ReturnType<typeof wireErrorOf>): void {
    if (call === undefined || !this.#open.delete(call)) return
    try {
      this.#wire.replyError(call, error)
    } catch {
      // A payload that cannot be encoded.
      this.#wire.replyError(call, { code: 500, reason: 'error' })
    }
  }

  #handleRoom(): void {
    if (!this.#isHeld || this.#turns.waitingBytes > this.#options.limits.queueBytes / 2) return
    this.#isHeld = false
    this.#host.holdBack(false)
  }
}

function dropped({ name }: Entry): PacketError {
  const reason = 'the socket closed before it was its turn'
  return new PacketError(`${name}: ${reason}`, 'ERR_PACKET_CLOSED', { packet: name, reason })
}

function resultError({ name }: Entry, error: unknown): PacketError {
  const { code, path } = (error instanceof PacketError ? error : {}) as Partial<PacketError>
  const reason = `its result: ${messageOf(error)}`
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
