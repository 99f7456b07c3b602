// Packets of a subscription. What is no packet of the registry is passed over, and counted.
import type { Headers, Message, Subscription } from '../../../index'
import { isBytes } from '../codec/coder'
import { INSPECT, type Inspect, show } from '../printing'
import type { AnyPacket } from './packet'

export interface PublishedPacket {
  readonly subject: string
  readonly headers: Headers | null | undefined
  readonly packet: AnyPacket
}

interface Unpacking {
  unpack(bytes: Uint8Array): AnyPacket
}

export class PacketSubscription implements AsyncIterableIterator<PublishedPacket, undefined> {
  readonly #subscription: Subscription
  readonly #registry: Unpacking
  #rejected = 0

  constructor(subscription: Subscription, registry: Unpacking) {
    this.#subscription = subscription
    this.#registry = registry
  }

  get subject(): string {
    return this.#subscription.subject
  }

  get rejected(): number {
    return this.#rejected
  }

  get dropped(): number {
    return this.#subscription.dropped
  }

  async next(): Promise<IteratorResult<PublishedPacket, undefined>> {
    for (;;) {
      const { value: message, done } = await this.#subscription.next()
      if (done) return { value: undefined, done: true }
      const packet = this.#packetOf(message)
      if (packet === undefined) this.#rejected += 1
      else return { value: { subject: message.subject, headers: message.headers, packet }, done: false }
    }
  }

  async return(): Promise<IteratorResult<PublishedPacket, undefined>> {
    await this.#subscription.return()
    return { value: undefined, done: true }
  }

  close(): void {
    this.#subscription.close()
  }

  [INSPECT](...how: [number, object, Inspect]): string {
    const { subject, rejected, dropped } = this
    return show(this, { subject, rejected, dropped }, how)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  #packetOf(message: Message): AnyPacket | undefined {
    try {
      const bytes: unknown = message.data
      return isBytes(bytes) ? this.#registry.unpack(bytes) : undefined
    } catch {
      return undefined
    }
  }
}
