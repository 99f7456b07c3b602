// What a socket leaves behind: messages that the other side is not known to have handled.
import { copyOut } from './codec'
import { type Headers, parseHeaders } from './headers'
import { MessageData } from './message'
import type { Slab } from './slab'

/** One of them. `write` of another socket takes it in place of a value, with its headers. */
export class UndeliveredMessage extends MessageData {
  /** 1 for the first message that was written to the socket. */
  readonly seq: number

  constructor(
    seq: number,
    options: { encoding: number; raw: Uint8Array; headers: Headers | null | undefined },
  ) {
    super(options)
    this.seq = seq
  }
}

export class Undelivered {
  #messages: UndeliveredMessage[] = []

  get length(): number {
    return this.#messages.length
  }

  list(): UndeliveredMessage[] {
    return [...this.#messages]
  }

  /** Reads an event *undelivered*. One without a number was written last, after the engine had closed the socket. */
  read(slab: Slab, written: number): void {
    const seq = slab.f64()
    const text = slab.optStr()
    const { source, start, end, encoding } = slab.payload()
    const raw = copyOut(source, start, end)
    const headers = text === null ? undefined : parseHeaders(text)
    const message = new UndeliveredMessage(seq === 0 ? this.#next(written) : seq, { encoding, raw, headers })
    this.#messages.push(message)
  }

  #next(written: number): number {
    const last = this.#messages[this.#messages.length - 1]
    return last === undefined ? written : last.seq + 1
  }
}
