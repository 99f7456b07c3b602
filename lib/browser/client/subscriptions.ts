// The subscriptions of a client: one for each pattern at the broker, however many have asked for it.
import type { Failure } from '../../values/failure'
import type { SubscriptionHandlers } from '../socket/fabric'
import type { Publication } from '../wire/publication'
import { queueGroup, refusal } from './failures'

/** Named by nobody: one receiver, one that may have others, or one with a queue of the application's choice. */
export type SubscriptionClass = 'direct' | 'plain' | undefined

interface Shared {
  readonly queue: string
  readonly class: SubscriptionClass
  readonly members: Set<SubscriptionHandlers>
  isConfirmed: boolean
}

/** As `subscribe` has it: pattern, queue, and what is said of few. */
type Entry = [pattern: string, queue: string] | [pattern: string, queue: string, options: object]

export class Subscriptions {
  readonly #shared = new Map<string, Shared>()

  get size(): number {
    return this.#shared.size
  }

  /** Whether any of this is not in place. */
  get entries(): Entry[] {
    return [...this.#shared].map(([pattern, shared]) => entryOf(pattern, shared))
  }

  /** Adds one. Returns its queue, and what the broker is to be asked for, if it is not there. */
  add(
    pattern: string,
    queue: string | undefined,
    randomQueue: () => string,
    kind: SubscriptionClass,
    member: SubscriptionHandlers,
  ): { queue: string; entry: Entry | undefined; isConfirmed: boolean } | Failure {
    const known = this.#shared.get(pattern)
    if (known !== undefined) {
      if (queue !== undefined && queue !== known.queue) return queueGroup(pattern)
      known.members.add(member)
      return { queue: known.queue, entry: undefined, isConfirmed: known.isConfirmed }
    }
    const shared: Shared = {
      queue: queue ?? randomQueue(),
      class: queue === undefined ? kind : undefined,
      members: new Set([member]),
      isConfirmed: false,
    }
    this.#shared.set(pattern, shared)
    return { queue: shared.queue, entry: entryOf(pattern, shared), isConfirmed: false }
  }

  /** Removes one. Returns whether it was the last of its pattern. */
  remove(pattern: string, member: SubscriptionHandlers): boolean {
    const shared = this.#shared.get(pattern)
    if (shared === undefined || !shared.members.delete(member) || shared.members.size > 0) return false
    return this.#shared.delete(pattern)
  }

  /** The broker answers for these patterns, in their order. */
  handleStatuses(patterns: readonly string[], statuses: readonly unknown[]): void {
    for (const [at, pattern] of patterns.entries()) {
      const shared = this.#shared.get(pattern)
      if (shared === undefined) continue
      const status = statuses[at]
      const refused =
        typeof status === 'object' && status !== null && (status as { refused?: unknown }).refused
      if (refused) {
        this.#shared.delete(pattern)
        for (const member of shared.members) member.handleRefused(refusal(refused))
      } else {
        const isNews = !shared.isConfirmed
        shared.isConfirmed = true
        if (isNews) for (const member of shared.members) member.handleConfirmed()
      }
    }
  }

  deliver(pattern: string, message: Publication): void {
    for (const member of [...(this.#shared.get(pattern)?.members ?? [])]) member.handleMessage(message)
  }

  /** The client is closed. */
  clear(failure: Failure): void {
    const all = [...this.#shared.values()]
    this.#shared.clear()
    for (const { members } of all) for (const member of members) member.handleRefused(failure)
  }
}

function entryOf(pattern: string, { queue, class: kind }: Shared): Entry {
  return kind === undefined ? [pattern, queue] : [pattern, queue, { class: kind }]
}
