// The subscriptions of one datagram socket: that of its own subject, and its memberships.
import type { SubscriptionOptions } from '../../index'
import type { Client } from '../client/client'
import type { Message } from '../messaging/message'
import type { Subscription } from '../messaging/subscription'
import { codedError } from '../net/errors'

const MAX_MEMBERSHIPS = 1000

export class Inlets {
  readonly #handle: (message: Message, isMember: boolean) => void
  readonly #memberships = new Map<string, Subscription>()
  /** Whether its own has been confirmed. */
  #isOpen = false
  #own: Subscription | undefined
  #isRefd = true
  #isClosed = false
  #droppedBefore = 0
  #unreadBytes: number

  /** `unreadBytes`: so many bytes of each may wait for this thread; then the newest are dropped. */
  constructor(unreadBytes: number, handle: (message: Message, isMember: boolean) => void) {
    this.#unreadBytes = unreadBytes
    this.#handle = handle
  }

  setUnreadBytes(bytes: number): void {
    this.#unreadBytes = bytes
    for (const subscription of this.#all()) subscription.boundUnread(bytes)
  }

  /** Datagrams that nobody took in time. */
  get dropped(): number {
    let sum = this.#droppedBefore + (this.#own?.dropped ?? 0)
    for (const { dropped } of this.#memberships.values()) sum += dropped
    return sum
  }

  /** Resolves when it stands. */
  async open(
    client: Client,
    subject: string,
    options: SubscriptionOptions,
    isMember: boolean,
  ): Promise<void> {
    if (isMember && this.#memberships.has(subject)) return
    if (isMember && this.#memberships.size >= MAX_MEMBERSHIPS) {
      throw codedError('EMFILE', `more than ${MAX_MEMBERSHIPS} memberships`)
    }
    const subscription = client.subscribeSync(subject, options)
    subscription.boundUnread(this.#unreadBytes)
    if (isMember) this.#memberships.set(subject, subscription)
    else this.#own = subscription
    if (!this.#isRefd) subscription.unref()
    subscription.emitter.on('message', (message: Message) => this.#handle(message, isMember))
    try {
      await subscription.confirmed()
      if (!isMember) this.#isOpen = true
    } catch (error) {
      // Its end was told already.
      if (isMember && this.#memberships.get(subject) !== subscription) return
      if (isMember) this.#memberships.delete(subject)
      else this.#own = undefined
      if (!this.#isClosed) throw error
    }
  }

  /** The broker permits a subject no more. Returns what was there, which is over. */
  takeBack(subject: string): 'own' | 'membership' | undefined {
    if (this.#isOpen && this.#own?.subject === subject) return 'own'
    return this.drop(subject) ? 'membership' : undefined
  }

  /** Returns whether it was a member. */
  drop(pattern: string): boolean {
    const subscription = this.#memberships.get(pattern)
    if (subscription === undefined) return false
    this.#droppedBefore += subscription.dropped
    subscription.close()
    return this.#memberships.delete(pattern)
  }

  ref(): void {
    this.#isRefd = true
    for (const subscription of this.#all()) subscription.ref()
  }

  unref(): void {
    this.#isRefd = false
    for (const subscription of this.#all()) subscription.unref()
  }

  close(): void {
    this.#isClosed = true
    for (const subscription of this.#all()) subscription.close()
  }

  #all(): Subscription[] {
    return [...(this.#own === undefined ? [] : [this.#own]), ...this.#memberships.values()]
  }
}
