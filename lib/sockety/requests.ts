// Who waits for an answer on a connection, by number.
import type { Request } from './request'
import type { UUID } from './uuid'

/** Unanswered requests that a connection keeps. Beyond that the oldest one is given up. */
export const MAX_REQUESTS = 1_000_000

export class Requests {
  readonly #slots: (Request | undefined)[] = [undefined]
  readonly #free: number[] = []

  get size(): number {
    return this.#slots.length - 1 - this.#free.length
  }

  /** Returns a number for a request. It is used again once the request has been taken out. */
  reserve(): number {
    return this.#free.pop() ?? this.#slots.push(undefined) - 1
  }

  set(number: number, request: Request): Request {
    this.#slots[number] = request
    return request
  }

  /** Gives back a number that no request got. */
  release(number: number): void {
    this.#free.push(number)
  }

  /** Takes out the request with this number, if it is the one with this id. */
  take(number: number, id: UUID): Request | undefined {
    const request = this.#slots[number]
    if (request === undefined || !request.id.equals(id)) return undefined
    this.#slots[number] = undefined
    this.#free.push(number)
    return request
  }

  /** Takes out all. */
  clear(): Request[] {
    const requests = this.#slots.filter(request => request !== undefined)
    this.#slots.length = 1
    this.#free.length = 0
    return requests
  }
}
