// Who waits for an answer on a connection: what was sent by number, as the engine knows it; and what hardly anybody answers by id.
import { tooManyRequests } from './errors'
import type { Request } from './request'
import { isIdAt, UUID } from './uuid'

/** Unanswered messages of a connection. Beyond that nothing is sent that wants an answer. */
const MAX_REQUESTS = 1_000_000
/** Those without a number whose answer is kept, though nobody asks for it now. */
const RECENT_REQUESTS = 1024
/** Places in which their ids are counted: most ids of others are told by an empty one, without a look at all. */
const PLACES = 4096

export class Requests {
  readonly #slots: (Request | undefined)[] = [undefined]
  readonly #free: number[] = []
  /** A ring of the newest ones that nobody waits for: sent responses, and what was waited for long enough. */
  readonly #recent: (Request | undefined)[] = []
  #oldest = 0
  /** How many of them have an id for each place. */
  #places: Uint8Array | undefined
  /** Those without a number whose answer somebody waits for. */
  readonly #asked = new Map<string, Request>()
  readonly #forget: (id: UUID) => void
  #closedBy: Error | undefined

  /** `forget`: tells the engine that nobody waits for the answer to a message. */
  constructor(forget: (id: UUID) => void) {
    this.#forget = forget
  }

  /** Returns a number for a request. It is used again once the request has been taken out. */
  reserve(): number {
    const unanswered = this.#slots.length - 1 - this.#free.length + this.#asked.size
    if (unanswered >= MAX_REQUESTS) throw tooManyRequests(MAX_REQUESTS)
    return this.#free.pop() ?? this.#slots.push(undefined) - 1
  }

  set(number: number, request: Request): Request {
    this.#slots[number] = request
    return request
  }

  /** Gives a number back. */
  release(number: number): void {
    this.#slots[number] = undefined
    this.#free.push(number)
  }

  /** Remembers a request that may be answered, though nobody waits for that. */
  remember(request: Request): Request {
    this.#places ??= new Uint8Array(PLACES)
    const before = this.#recent[this.#oldest]
    if (before !== undefined) this.#count(before.id, -1)
    this.#count(request.id, 1)
    this.#recent[this.#oldest] = request
    this.#oldest = (this.#oldest + 1) % RECENT_REQUESTS
    return request
  }

  /** Somebody waits for the answer to a request without a number. */
  ask(request: Request): void {
    if (this.#closedBy !== undefined) request.fail(this.#closedBy)
    else this.#asked.set(request.id.toString(), request)
  }

  /** Returns the id in these bytes. `number`: the request that it is expected to be of, or 0. */
  idAt(number: number, bytes: Uint8Array, at: number): UUID {
    const id = this.#slots[number]?.id
    return id !== undefined && isIdAt(bytes, at, id) ? id : new UUID(bytes, at)
  }

  /** Takes out whoever waits for the answer to the message with this id. `number`: what the engine says, or 0. */
  take(number: number, id: UUID): Request | undefined {
    const request = this.#slots[number]
    // The number may be another's by now.
    if (request === undefined || (request.id !== id && !request.id.equals(id))) return this.#unnumbered(id)
    this.release(number)
    return request
  }

  /** Nobody waits any more. */
  giveUp(request: Request): void {
    this.remember(request)
    this.#asked.delete(request.id.toString())
    if (this.#slots[request.number] !== request) return
    this.release(request.number)
    this.#forget(request.id)
  }

  /** Ends a request that will not be answered. */
  fail(request: Request, error: Error): void {
    this.giveUp(request)
    request.fail(error)
  }

  /** Ends all who wait, and whoever asks later. */
  close(error: Error): void {
    this.#closedBy = error
    for (const request of [...this.#slots, ...this.#asked.values(), ...this.#recent]) request?.fail(error)
    this.#slots.length = 1
    this.#free.length = this.#recent.length = 0
    this.#places = undefined
    this.#asked.clear()
  }

  #unnumbered(id: UUID): Request | undefined {
    if (this.#asked.size > 0) {
      const text = id.toString()
      const asked = this.#asked.get(text)
      if (this.#asked.delete(text)) return asked
    }
    if (this.#places === undefined || this.#places[placeOf(id)] === 0) return undefined
    const at = this.#recent.findIndex(request => request?.id.equals(id))
    if (at < 0) return undefined
    const request = this.#recent[at]
    this.#recent[at] = undefined
    this.#count(id, -1)
    return request
  }

  #count(id: UUID, change: number): void {
    const places = this.#places as Uint8Array
    const place = placeOf(id)
    places[place] = (places[place] as number) + change
  }
}

/** Our ids are random, but for bits that are no part of this. */
function placeOf(id: UUID): number {
  return id.a & (PLACES - 1)
}
