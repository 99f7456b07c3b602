// What is written and not acknowledged, in messages and bytes: counted here, so that a full window is told without asking the engine.
import { FabricError } from '../values/errors'

export class SendWindow {
  written = 0
  acknowledged = 0
  writtenBytes = 0
  #acknowledgedBytes = 0
  /** Numbers of volatile messages that are not acknowledged. */
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

  /** Why `size` bytes more cannot be taken; one message alone always can. */
  refusal(size: number): FabricError | undefined {
    const { messages } = this
    if (messages >= this.maxMessages) return fullError(this.maxMessages)
    if (messages > 0 && this.bytes + size > this.maxBytes) return fullError(`${this.maxBytes} bytes`)
    return undefined
  }

  /** Counts a message that the engine has been given. Whether it `isWritable` then. */
  put(size: number, isVolatile: boolean): boolean {
    this.written += 1
    if (isVolatile) (this.#volatile ??= []).push(this.written)
    this.writtenBytes += size
    return this.isWritable
  }

  /** Whether more than half of both bounds is free. */
  get isWritable(): boolean {
    return this.messages * 2 < this.maxMessages && this.bytes * 2 < this.maxBytes
  }

  /** Takes the totals of an acknowledgement; whether they are news. */
  acknowledge(messages: number, bytes: number): boolean {
    if (messages <= this.acknowledged) return false
    this.acknowledged = messages
    this.#acknowledgedBytes = bytes
    if (this.#volatile !== undefined) this.#forget(messages)
    return true
  }

  /** The number of the first message after `seq` that is not volatile. */
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
