// What a stream is writing: one chunk or, if it has fallen behind, several together.
import { Buffer } from '../values/platform'
import { closedError, systemError } from './errors'
import { JOINED_BYTES, MAX_MESSAGE_BYTES } from './sender'
import type { Transport } from './transport'

type Done = (error?: Error | null) => void

interface Batch {
  readonly parts: Iterator<Buffer, undefined>
  readonly size: number
  readonly done: Done
}

export class Writing {
  /** Bytes that were passed on; `undefined` as long as the socket was never told to connect. */
  taken: number | undefined
  readonly #handleTaken: () => void
  #batch: Batch | undefined

  /** `handleTaken` is called when all of a write is in the window. */
  constructor(handleTaken: () => void) {
    this.#handleTaken = handleTaken
  }

  /** Bytes of the write under way. */
  get size(): number {
    return this.#batch?.size ?? 0
  }

  /** Begins a write. What is small leaves together; each part that is larger is worth a message of its own. */
  begin(parts: readonly Buffer[], done: Done): void {
    const size = parts.reduce((sum, part) => sum + part.length, 0)
    this.#batch = { parts: parts.length === 1 ? parts.values() : joined(parts), size, done }
  }

  /** Passes it on. */
  pass(transport: Transport | undefined): void {
    const batch = this.#batch
    if (batch === undefined) return
    let isDue = false
    let isPassing = false
    const next: Done = error => {
      if (this.#batch !== batch) return
      if (error) {
        this.#settle(batch, error)
        return
      }
      isDue = true
      // Most parts are taken at once: without a stack frame for each.
      if (isPassing) return
      isPassing = true
      while (isDue && this.#batch === batch) {
        isDue = false
        const part = batch.parts.next().value
        if (part === undefined) this.#settle(batch, null)
        else if (transport === undefined) this.#settle(batch, closedError())
        else if (transport.isPeerGone) this.#settle(batch, systemError('write', 'EPIPE'))
        else transport.sender.write(part, next)
      }
      isPassing = false
    }
    next()
  }

  /** Gives it up. Returns what is to be told of it, if there was something. */
  abandon(): Done | undefined {
    const batch = this.#batch
    this.#batch = undefined
    return batch?.done
  }

  #settle({ size, done }: Batch, error: Error | null | undefined): void {
    this.#batch = undefined
    if (!error) this.taken = (this.taken ?? 0) + size
    done(error)
    if (!error) this.#handleTaken()
  }
}

/**
 * The same bytes, with neighbours that are small in one piece. Each is joined when the one before has been taken: of all that
 * waits no second copy is made.
 */
function* joined(parts: readonly Buffer[]): Generator<Buffer, undefined> {
  let small: Buffer[] = []
  let size = 0
  const take = (): Buffer => {
    const piece = small.length === 1 ? (small[0] as Buffer) : Buffer.concat(small, size)
    small = []
    size = 0
    return piece
  }
  for (const part of parts) {
    if (size > 0 && (size + part.length > MAX_MESSAGE_BYTES || part.length >= JOINED_BYTES)) yield take()
    if (part.length >= JOINED_BYTES) yield part
    else {
      small.push(part)
      size += part.length
    }
  }
  if (size > 0) yield take()
  return undefined
}
