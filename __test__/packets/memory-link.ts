// Two links that are each other's other side, without anything between; and one whose other side a test plays.
import type { PacketLink } from 'selvedge/packets'

export class MemoryLink implements PacketLink {
  readonly kind = 'frames'
  readonly id = `memory-${links++}`
  other: MemoryLink | undefined
  /** What was sent, in messages. */
  readonly sent: Buffer[] = []
  /** Makes `send` say that it is full, until `drain` is called. */
  isFull = false
  isPaused = false
  #held: (Uint8Array | null)[] = []
  #writable: (() => void)[] = []
  #message: (bytes: Uint8Array | null) => void = () => undefined
  #closed: (reason?: Error) => void = () => undefined
  #isClosed = false
  #cutBehind: (() => void) | undefined

  send(message: Uint8Array): boolean {
    // A copy, as every connection makes one.
    const copy = Buffer.from(message)
    this.sent.push(copy)
    queueMicrotask(() => this.other?.deliver(copy))
    return !this.isFull
  }

  writable(): Promise<void> {
    return new Promise(resolve => this.#writable.push(resolve))
  }

  drain(): void {
    this.isFull = false
    for (const resolve of this.#writable.splice(0)) resolve()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    for (const message of this.#held.splice(0)) this.deliver(message)
    if (this.#held.length === 0) this.#cutBehind?.()
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#message = message
    this.#closed = closed
  }

  ready(go: () => void): void {
    queueMicrotask(go)
  }

  close(): void {
    // What has come here is read no more.
    this.#held = []
    this.cut()
    this.other?.cut()
  }

  /** What comes from the other side. */
  deliver(message: Uint8Array | null): void {
    if (this.#isClosed) return
    if (this.isPaused) this.#held.push(message)
    else this.#message(message)
  }

  cut(reason?: Error): void {
    if (this.#isClosed) return
    if (this.#held.length > 0) {
      // What has come is read first, as on a connection.
      this.#cutBehind = () => this.cut(reason)
      return
    }
    this.#isClosed = true
    queueMicrotask(() => this.#closed(reason))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }
}

let links = 0

export function linkPair(): [MemoryLink, MemoryLink] {
  const [left, right] = [new MemoryLink(), new MemoryLink()]
  left.other = right
  right.other = left
  return [left, right]
}
