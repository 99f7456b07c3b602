// Packets over a MessagePort, or a Worker and what it calls its parent. Messages are bytes; a
// number says how many bytes were taken, since ports themselves hold any amount; null is the end.
import type { Foreign } from '../agreed'
import { badOption } from '../errors'
import { Credit } from './credit'
import { End } from './end'
import { randomId } from './ids'
import type { PacketLink } from './link'
import { bytesOf } from './over-websocket'

/** What is used of a port: events as in pages, or as in Node. */
export interface PortLike {
  postMessage(value: Foreign, transfer?: Foreign): void
  addEventListener?(type: string, listener: (event: Foreign) => void): void
  on?(event: string, listener: (value: Foreign) => void): unknown
  start?(): void
  close?(): void
}

export function overPort(port: PortLike): PacketLink {
  if (typeof port?.postMessage !== 'function' || (port.addEventListener ?? port.on) === undefined) {
    throw badOption('port must be a MessagePort', 'ERR_INVALID_ARG_TYPE')
  }
  return new PortLink(port)
}

class PortLink implements PacketLink {
  readonly kind = 'frames'
  readonly id = randomId()
  readonly #port: PortLike
  readonly #end = new End()
  readonly #credit: Credit
  #message: (bytes: Uint8Array | null) => void = () => undefined

  constructor(port: PortLike) {
    this.#port = port
    this.#credit = new Credit(
      taken => port.postMessage(taken),
      message => this.#message(message),
    )
  }

  send(message: Uint8Array): boolean {
    if (this.#end.isEnded) return true
    // A view would travel with all of the memory around it.
    const copy = new Uint8Array(message)
    const hasRoom = this.#credit.spend(copy.length)
    this.#port.postMessage(copy, [copy.buffer])
    return hasRoom
  }

  writable(): Promise<void> {
    return this.#credit.writable()
  }

  pause(): void {
    this.#credit.pause()
  }

  resume(): void {
    this.#credit.resume()
  }

  listen(message: (bytes: Uint8Array | null) => void, closed: (reason?: Error) => void): void {
    this.#message = message
    this.#end.listen(closed)
    const port = this.#port
    if (port.addEventListener === undefined) {
      port.on?.('message', data => this.#handle(data))
      port.on?.('exit', () => this.#reachEnd())
      port.on?.('close', () => this.#reachEnd())
    } else {
      port.addEventListener('message', ({ data }) => this.#handle(data))
      port.addEventListener('close', () => this.#reachEnd())
      port.start?.()
    }
  }

  ready(go: () => void): void {
    go()
  }

  close(): void {
    if (this.#end.isEnded) return
    this.#end.begin(() => undefined)
    this.#port.postMessage(END)
    this.#port.close?.()
    queueMicrotask(() => this.#reachEnd())
  }

  #handle(data: unknown): void {
    if (this.#end.isEnded) return
    if (data !== END) {
      this.#credit.handle(typeof data === 'number' ? data : bytesOf(data))
      return
    }
    this.#port.close?.()
    this.#reachEnd()
  }

  #reachEnd(): void {
    this.#end.reach('the port')
    this.#credit.end()
  }
}

/** What is said last: not every port tells that the other one was closed. */
const END = null
