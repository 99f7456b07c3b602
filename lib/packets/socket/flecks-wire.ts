// The protocol of @flecks/socket: the same ids on both sides, an event of Socket.IO for each packet, answers as its
// acknowledgements. Unlike there, nothing that comes can throw, and everything that wants an answer gets one.
import { encodeWith } from '../codec/slab'
import { messageOf, PacketError, ValidationError } from '../errors'
import { Fifo } from '../fifo'
import type { AllLimits } from '../limits'
import type { Ack, FlecksLink } from '../link/over-flecks'
import type { Entry } from '../registry/entry'
import { errorOf, type PacketRegistry } from '../registry/registry'
import { broken } from './frames'
import type { Outcome, Outgoing, Wire, WireError, WireHost } from './wire'

interface Waiting {
  readonly id: number
  readonly body: Uint8Array
  readonly ack: Ack | undefined
  readonly timeout: number | undefined
}

export class FlecksWire implements Wire {
  readonly #link: FlecksLink
  readonly #registry: PacketRegistry
  readonly #limits: AllLimits
  readonly #host: WireHost
  /** Answers that the other side waits for, by numbers of ours. */
  readonly #acks = new Map<number, Ack>()
  /** Packets that wait for the connection. */
  readonly #waiting = new Fifo<Waiting>()
  #waitingBytes = 0
  #lastCall = 0
  #lastTheirs = 0
  #malformed = 0
  #isOpen = false
  #isClosed = false

  constructor(link: FlecksLink, registry: PacketRegistry, limits: AllLimits, host: WireHost) {
    this.#link = link
    this.#registry = registry
    this.#limits = limits
    this.#host = host
    link.onPacket((id, body, ack) => this.#handlePacket(id, body, ack))
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  handleReady(): void {
    this.#isOpen = true
    for (const { id, body, ack, timeout } of this.#waiting.clear()) this.#link.emit(id, body, ack, timeout)
    this.#waitingBytes = 0
  }

  handleMessage(): void {
    // Packets come as events.
  }

  end(callback: () => void): void {
    callback()
  }

  holdBack(): void {
    // Socket.IO cannot: the socket closes instead.
  }

  post(packet: Outgoing): boolean {
    this.postBody(packet.entry, this.#encoded(packet))
    return this.#link.hasRoom
  }

  postBody({ id }: Entry, body: Uint8Array): void {
    this.#emit(id, body)
  }

  call(packet: Outgoing, timeout: number): number {
    const call = ++this.#lastCall
    const { name } = packet
    const handleAck = (...args: unknown[]) => this.#host.handleOutcome(call, outcomeOf(name, args))
    this.#emit(packet.id, this.#encoded(packet), handleAck, timeout)
    return call
  }

  cancel(): void {
    // There is no word for it.
  }

  reply(call: number, _: Entry, value: unknown): void {
    try {
      if (value === undefined) this.#acks.get(call)?.(null)
      else this.#acks.get(call)?.(null, value)
    } catch (cause) {
      throw new PacketError(messageOf(cause), 'ERR_PACKET_ENCODE', { path: '', cause })
    }
    this.#acks.delete(call)
  }

  replyError(call: number, { code, reason, payload }: WireError): void {
    this.#acks.get(call)?.(payload ?? { code, reason })
    this.#acks.delete(call)
  }

  waitUntilWritable(): Promise<void> {
    return this.#link.writable()
  }

  drained(): Promise<void> {
    return this.#link.writable()
  }

  close(): number {
    const unsent = this.#waitingBytes
    this.#isClosed = true
    this.#waiting.clear()
    this.#waitingBytes = 0
    this.#acks.clear()
    return unsent
  }

  #encoded({ coder, data }: Outgoing): Uint8Array {
    return encodeWith(coder, data, this.#limits.packetBytes)
  }

  #emit(id: number, body: Uint8Array, ack?: Ack, timeout?: number): void {
    if (this.#isOpen) {
      this.#link.emit(id, body, ack, timeout)
      return
    }
    if (this.#waitingBytes + body.length > this.#limits.queueBytes) {
      throw new PacketError(`${this.#waitingBytes} bytes wait for the connection`, 'ERR_PACKET_BUSY')
    }
    this.#waiting.push({ id, body, ack, timeout })
    this.#waitingBytes += body.length
  }

  #handlePacket(id: unknown, body: Uint8Array | null, ack: Ack | undefined): void {
    if (this.#isClosed) return
    const call = ack === undefined ? undefined : ++this.#lastTheirs
    if (call !== undefined) this.#acks.set(call, ack as Ack)
    const entry = typeof id === 'number' ? this.#registry.entries[id - 1] : undefined
    try {
      if (entry === undefined)
        throw new PacketError(`no packet has the id ${String(id).slice(0, 20)}`, 'ERR_PACKET_UNKNOWN')
      if (body === null) throw new PacketError('no attachment', 'ERR_PACKET_MALFORMED', { path: '' })
      const packet = this.#registry.read(entry, body, 0, body.length, undefined, this.#limits)
      this.#host.handlePacket(packet, entry, call, body.length)
    } catch (error) {
      this.#refuse(entry, call, error)
    }
  }

  #refuse(entry: Entry | undefined, call: number | undefined, error: unknown): void {
    const told =
      error instanceof PacketError ? error : new PacketError(messageOf(error), 500, { cause: error })
    const isMalformed = told.code === 'ERR_PACKET_MALFORMED' || told.code === 'ERR_PACKET_TOO_LARGE'
    if (call !== undefined) {
      if (entry === undefined) this.replyError(call, { code: 501, reason: 'unsupported packet' })
      else if (isMalformed) this.replyError(call, { code: 400, reason: `malformed ${entry.name}` })
      else this.replyError(call, { code: 500, reason: 'error' })
    }
    this.#host.handleRejected(entry === undefined ? told : errorOf(entry.name, told))
    if (isMalformed) this.#malformed += 1
    if (this.#malformed === this.#limits.malformed)
      this.#host.fail(broken(`${this.#malformed} malformed packets`))
  }
}

/** Returns what an acknowledgement says: an error first, or null and the answer. */
function outcomeOf(name: string, [error, value]: unknown[]): Outcome {
  if (error === null || error === undefined || error === false || error === 0 || error === '')
    return { value }
  const { code, reason, stack } = (typeof error === 'object' ? error : {}) as {
    code?: unknown
    reason?: unknown
    stack?: unknown
  }
  // An error that is no refusal has a stack there, and the code 500 here.
  if (typeof code === 'number' && typeof reason === 'string' && code !== 500 && stack === undefined) {
    return { error: new ValidationError(error as { code: number; reason: string }, undefined, name) }
  }
  const text = typeof reason === 'string' ? reason : 'error'
  const details = { packet: name, reason: text, payload: error }
  return { error: new PacketError(`${name}: ${text}`, typeof code === 'number' ? code : 500, details) }
}
