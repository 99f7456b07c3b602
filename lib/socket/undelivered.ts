// Messages of a closed socket that the other side is not known to have handled.
import type { Headers } from '../../index'
import type { EventReader } from '../engine/event-reader'
import { MessageData } from '../messaging/message'
import { copyOut } from '../values/copy-out'
import { parseHeaders } from '../values/headers'
import type { SendWindow } from './window'

/** Such a message. `write` of another socket accepts it instead of a value, with its headers. */
export class UndeliveredMessage extends MessageData {
  /** 1 for the first message that was written to the socket. */
  readonly seq: number
  /** To how many servers it was written. */
  readonly attempts: number
  /** Until when it is worth reading, by the clock of `performance`. */
  readonly #until: number | undefined

  constructor(
    seq: number,
    attempts: number,
    options: { encoding: number; raw: Uint8Array; headers: Headers | null | undefined },
    until?: number,
  ) {
    super(options)
    this.seq = seq
    this.attempts = attempts
    this.#until = until
  }

  /** What is left of its time, in ms. */
  override get ttl(): number | undefined {
    return this.#until === undefined ? undefined : Math.max(0, this.#until - performance.now())
  }
}

/** What is written again to another server; of what was written before, with its number. */
export interface Rewrite {
  readonly message: MessageData
  readonly seq?: number
}

export class Undelivered {
  #messages: UndeliveredMessage[] = []
  #last = 0
  /** Messages that nobody wants any more: they are not in the list. */
  stale = 0

  get length(): number {
    return this.#messages.length
  }

  list(): UndeliveredMessage[] {
    return [...this.#messages]
  }

  /**
   * Reads an event *undelivered*. A message without a number was written after the engine had closed the
   * socket.
   */
  read(event: EventReader, window: SendWindow, attemptsOf: (seq: number) => number): void {
    const seq = event.f64()
    const isTimed = event.u8() === 1
    const left = event.f64()
    const text = event.optStr()
    const { source, start, end, encoding } = event.payload()
    const raw = copyOut(source, start, end)
    const headers = text === null ? undefined : parseHeaders(text)
    const number = seq === 0 ? window.next(this.#last) : window.numberOf(seq)
    this.#last = number
    if (isTimed && left <= 0) {
      this.stale += 1
      return
    }
    const until = isTimed ? performance.now() + left : undefined
    this.#messages.push(new UndeliveredMessage(number, attemptsOf(number), { encoding, raw, headers }, until))
  }
}
