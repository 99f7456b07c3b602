// Data that waits for a reader. What is more than a few bytes waits as the bytes that came: decoded, `[[],[],…]`
// takes many times as much, and the other end chooses it.
import type { Headers } from '../../index'
import type { Incoming } from '../engine/event-reader'
import { decodeAt, isBin } from '../values/codec'
import { copyOut } from '../values/copy-out'
import type { FabricError } from '../values/errors'
import { parseHeaders } from '../values/headers'

export type Item = [data: unknown, headers: Headers]

/** What came, decoded or not. */
export interface Arrived {
  /** The data, as far as it is decoded. */
  readonly known: unknown
  /** Whether nobody wants it any more. */
  readonly isStale: boolean
  /** Returns it decoded. Nothing, if it can not be: then its socket has been closed for that. */
  open(): Item | undefined
}

/** Whether it takes, decoded, no more than its bytes, or very little. */
export function isSmall(incoming: Incoming): boolean {
  return incoming.end - incoming.start <= MAX_SMALL_BYTES || isBin(incoming)
}

export class Decoded implements Arrived {
  readonly #item: Item

  constructor(item: Item) {
    this.#item = item
  }

  get known(): unknown {
    return this.#item[0]
  }

  get isStale(): boolean {
    return false
  }

  open(): Item {
    return this.#item
  }
}

export class Undecoded implements Arrived {
  #bytes: Buffer | undefined
  readonly #encoding: number
  readonly #headers: string | null
  readonly #handleFailure: (error: FabricError) => void
  #item: Item | undefined

  constructor(
    { source, start, end, encoding }: Incoming,
    headers: string | null,
    handleFailure: (error: FabricError) => void,
  ) {
    this.#bytes = copyOut(source, start, end)
    this.#encoding = encoding
    this.#headers = headers
    this.#handleFailure = handleFailure
  }

  get known(): unknown {
    return this.#item?.[0]
  }

  get isStale(): boolean {
    return false
  }

  open(): Item | undefined {
    const bytes = this.#bytes
    if (bytes === undefined) return this.#item
    this.#bytes = undefined
    try {
      const data = decodeAt(bytes, 0, bytes.length, this.#encoding)
      this.#item = [data, this.#headers === null ? {} : (parseHeaders(this.#headers) ?? {})]
    } catch (error) {
      this.#handleFailure(error as FabricError)
    }
    return this.#item
  }
}

/** What is to be read by then. */
export class Timed implements Arrived {
  readonly #arrived: Arrived
  readonly #until: number | undefined
  /** What the engine calls it. */
  readonly number: number

  /** `until`, by the clock of `performance`; without it the other side did not send it, as it was stale there. */
  constructor(arrived: Arrived, until: number | undefined, number: number) {
    this.#arrived = arrived
    this.#until = until
    this.number = number
  }

  get known(): unknown {
    return this.#arrived.known
  }

  get isStale(): boolean {
    return this.#until === undefined || performance.now() >= this.#until
  }

  /** Whether it became stale here. */
  get isOwn(): boolean {
    return this.#until !== undefined
  }

  open(): Item | undefined {
    return this.#arrived.open()
  }
}

/** Of a message that is decoded at once, whatever it is. */
const MAX_SMALL_BYTES = 64
