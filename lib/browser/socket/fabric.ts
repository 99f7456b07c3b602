// What a socket needs of its client, and what it tells its application.
import type { Failure } from '../../values/failure'
import type { Left } from '../stream/send-queue'
import type { StreamSettings } from '../stream/stream'
import type { Item, Publication } from '../wire/publication'

export interface Fabric {
  now(): number
  /** 0 to 1. */
  random(): number
  /** 53 random bits that nobody can guess, not 0. */
  randomTag(): number
  /** Whether there is a connection, with every subscription. */
  readonly isUp: boolean
  /** Bytes of the largest message that the broker takes. */
  readonly maxMessage: number
  publish(message: Publication): void
  /** Publishes, and calls back when nobody got it. */
  probe(message: Publication, onNobody: () => void): void
  /** Asks, and calls back with the answer or the failure. Returns what forgets the question. */
  ask(
    message: Publication,
    options: { timeout: number; waitForInterest: boolean },
    done: (outcome: Publication | Failure) => void,
  ): () => void
  /** Whether anybody listens now. */
  lookUp(subject: string, done: (isThere: boolean) => void): void
  subscribe(pattern: string, handlers: SubscriptionHandlers): () => void
  /** Is told of what becomes of an end, as long as the connection lasts. Returns what ends it. */
  watch(subject: string, handle: (what: number, crowd: number) => void): () => void
}

export interface SubscriptionHandlers {
  handleMessage(message: Publication): void
  handleConfirmed(): void
  handleRefused(failure: Failure): void
}

export interface SocketSink {
  handleState(state: 'disconnected' | 'connecting' | 'ready', reason?: Failure): void
  /** Data, or a request of the other end: `handleConsumed` follows. */
  handleItem(item: Item): void
  /** The other end does not wait for the answer to its request any more. */
  handleCancelled(key: number): void
  /** A request that was asked beside the stream. */
  handleBeside(message: Publication): void
  handleAcked(): void
  handleClosed(reason: Failure | undefined, left: Left[]): void
}

export interface MachineSettings extends StreamSettings {
  readonly subject: string
  readonly id: string
  readonly maxMessageBytes: number
  readonly reconnection: boolean
  readonly resumeTimeout: number | undefined
}
