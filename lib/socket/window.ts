// The window: counts unacknowledged messages and bytes, so that a full one is noticed without asking the
// engine.
import { FabricError } from '../values/errors'

/** Bytes from which on a writer is pushed back, however large its window is. `src/socket/window.rs` has the same. */
const PUSH_BACK_BYTES = 16 * 1024 * 1024

export class SendWindow {
  written = 0
  acknowledged = 0
  writtenBytes = 0
  #acknowledgedBytes = 0
  /** What was acknowledged by those that the present socket of the engine has replaced. */
  #before = 0
  #bytesBefore = 0
  /** Sequence numbers of unacknowledged volatile messages. */
  #volatile: number[] | undefined

  constructor(
    readonly maxMessages: number,
    readonly maxBytes: number,
  ) {}

  get messages(): number {
    return this.written - this.acknowledged
  }

  get bytes(): number {
    return this.writtenBytes - this.#acknowledgedBytes
  }

  /** Returns why `size` more bytes do not fit, if they do not. One message alone always fits. */
  refusal(size: number): FabricError | undefined {
    const { messages } = this
    if (messages >= this.maxMessages) return fullError(this.maxMessages)
    if (messages > 0 && this.bytes + size > this.maxBytes) return fullError(`${this.maxBytes} bytes`)
    return undefined
  }

  /** Counts a message that was passed to the engine. Returns `isWritable` afterwards. */
  put(size: number, isVolatile: boolean): boolean {
    this.written += 1
    if (isVolatile) (this.#volatile ??= []).push(this.written)
    this.writtenBytes += size
    return this.isWritable
  }

  /** Returns whether more than half of both bounds is free, and fewer bytes than push back are used. */
  get isWritable(): boolean {
    const { bytes } = this
    return this.messages * 2 < this.maxMessages && bytes * 2 < this.maxBytes && bytes < PUSH_BACK_BYTES
  }

  /** Takes the totals of an acknowledgement. Returns whether they are new. */
  acknowledge(messages: number, bytes: number): boolean {
    const acknowledged = this.#before + messages
    if (acknowledged <= this.acknowledged) return false
    this.acknowledged = acknowledged
    this.#acknowledgedBytes = this.#bytesBefore + bytes
    if (this.#volatile !== undefined) this.#forget(acknowledged)
    return true
  }

  /** A message was taken out before it was sent: those behind it take its number, and so on. */
  remove(number: number, size: number): void {
    this.written -= 1
    this.writtenBytes -= size
    this.#volatile = this.#volatile
      ?.filter(other => other !== number)
      .map(other => (other > number ? other - 1 : other))
  }

  /** A message keeps its number, and has no bytes any more. */
  empty(size: number): void {
    this.writtenBytes -= size
  }

  /** Starts over with a socket of the engine that has nothing: what is unacknowledged counts as not written. */
  restart(): void {
    this.written = this.#before = this.acknowledged
    this.writtenBytes = this.#bytesBefore = this.#acknowledgedBytes
    this.#volatile = undefined
  }

  /** Returns the number here of a message that has this one in the engine. */
  numberOf(seq: number): number {
    return this.#before + seq
  }

  /** Returns the place, from 1, of a message in the present socket of the engine. */
  placeOf(number: number): number {
    return number - this.#before
  }

  /** Returns the number of the first message after `seq` that is not volatile. */
  next(seq: number): number {
    let next = Math.max(seq, this.acknowledged) + 1
    while (this.#volatile?.includes(next)) next += 1
    return next
  }

  #forget(acknowledged: number): void {
    const left = this.#volatile?.filter(seq => seq > acknowledged) ?? []
    this.#volatile = left.length > 0 ? left : undefined
  }
}

function fullError(size: number | string): FabricError {
  return new FabricError(`WRITE FAILED: socket buffer size ${size} exceeded`, 'ENOBUFS')
}

/** Of several sockets whose windows are full. */
export function fullSockets(full: readonly { id: string; maxQueueSize: number }[]): FabricError {
  const ids = full.map(socket => socket.id)
  const text = `WRITE FAILED: socket buffer size ${full[0]?.maxQueueSize} exceeded by ${ids.length} sockets: ${ids.join(', ')}`
  return new FabricError(text, 'ENOBUFS', { ids })
}
