// What programs for Conat use of a client beside what it is for: read-only views, and names of its own parts.
import type {
  ClientEvents,
  ConnectOptions,
  MessageOptions,
  Published,
  PublishOptions,
  SubscriptionOptions,
  WaitOptions,
} from '../../index'
import { checkWait } from '../async/bounds'
import { CLIENT_HEARD, Emitter, HEARD, type Heard } from '../async/emitter'
import { native } from '../engine/native'
import { ClientContext } from '../messaging/client-context'
import { type MessageData, messageData } from '../messaging/message'
import type { Permissions, Refusal } from '../messaging/permissions'
import type { Subscription } from '../messaging/subscription'
import type { Subscriptions } from '../messaging/subscriptions'
import { checkObject, type FabricError } from '../values/errors'
import { errorFrom, type Failure } from '../values/failure'
import { ClientBench } from './bench'
import { type ConnectionOwner, ConnectionView } from './connection-view'

export abstract class ClientViews extends Emitter<ClientEvents> implements ConnectionOwner {
  static readonly [HEARD]: Heard = CLIENT_HEARD
  abstract readonly options: Readonly<ConnectOptions>
  protected readonly context: ClientContext = new ClientContext(native.randomId())
  protected abstract readonly subscriptions: Subscriptions
  protected abstract readonly permissions: Permissions
  #conn: ConnectionView | undefined
  #inbox: string | undefined
  #bench: ClientBench | undefined

  abstract get state(): 'disconnected' | 'connected' | 'closed'
  /** @internal */
  abstract get connectionId(): string | undefined
  abstract connect(): void
  abstract disconnect(): void
  /** @internal */
  abstract dropTransport(): void
  abstract subscribe(subject: string, options?: SubscriptionOptions): Promise<Subscription>
  abstract subscribeSync(subject: string): Subscription
  abstract publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  abstract request(subject: string, data?: unknown): Promise<unknown>
  abstract cluster(): Promise<string[]>
  abstract waitForInterest(subject: string, options?: { timeout?: number }): Promise<boolean>
  abstract syncSubscriptions(options?: WaitOptions): Promise<void>
  abstract waitUntilReady(): Promise<void>

  get id(): string {
    return this.context.id
  }

  get stats(): ClientContext['stats'] {
    return this.context.stats
  }

  get subs(): Readonly<Record<string, { readonly refCount: number }>> {
    return this.subscriptions.subs
  }

  get queueGroups(): Readonly<Record<string, string>> {
    return this.subscriptions.queueGroups
  }

  /** @internal */
  get obstacle(): Failure | undefined {
    return this.context.obstacle
  }

  get conn(): ConnectionView {
    return (this.#conn ??= new ConnectionView(this))
  }

  numSubscriptions(): number {
    return this.subscriptions.size
  }

  message(data: unknown, options?: MessageOptions): MessageData {
    return messageData(data, options)
  }

  /** Resolves with what the broker has subscribed for this client, when both agree. */
  async getSubscriptions(options?: WaitOptions): Promise<string[]> {
    checkWait('getSubscriptions', options)
    await this.syncSubscriptions(options)
    return Object.keys(this.subs)
  }

  /** Returns a subject that nobody else knows, below the inbox prefix. */
  temporaryInboxSubject(): string {
    return `${this.options.inboxPrefix ?? '_INBOX'}.${native.randomId()}.${native.randomId()}`
  }

  /** Resolves with where replies to requests that the program makes by hand can arrive. */
  async getInbox(options: WaitOptions = {}): Promise<Subscription> {
    checkWait('getInbox', options)
    this.#inbox ??= `${this.options.inboxPrefix ?? '_INBOX'}.${native.randomId()}.*`
    return await this.subscriptions.open(this.#inbox, options, 'getInbox').confirmed(options, 'getInbox')
  }

  /** Returns what the server has recently refused of this kind, as the error that a call throws. */
  permissionError(refused: Pick<Refusal, 'type' | 'subject'>): FabricError | undefined {
    checkObject('what was refused', refused)
    const { type, subject } = refused
    const refusal = this.permissions.refused(type, subject)
    return refusal && errorFrom(refusal)
  }

  get bench(): ClientBench {
    return (this.#bench ??= new ClientBench(this))
  }
}
