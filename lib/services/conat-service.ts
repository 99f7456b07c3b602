// A service of one function: what is asked is its argument, and what it returns is the answer.
import { EventEmitter } from 'node:events'
import type { ConatServiceEvents, ServiceCall, ServiceSetup } from '../../index'
import type { Message } from '../messaging/message'
import { refuse, SERVICE_QUEUE, thrown } from '../messaging/service'
import type { Subscription } from '../messaging/subscription'
import { FabricError, invalidType } from '../values/errors'
import { clientOf, subjectOf } from './subject'

export class ConatService extends EventEmitter<ConatServiceEvents> {
  readonly subject: string
  readonly name: string
  /** Settles when calls can arrive. */
  readonly running: Promise<void>
  #state: 'starting' | 'running' | 'closed' = 'starting'
  readonly #options: ServiceSetup
  #subscription: Subscription | undefined

  /** @internal */
  constructor(options: ServiceSetup) {
    if (typeof options.handler !== 'function') throw invalidType('handler', 'a function', options.handler)
    super()
    this.#options = options
    this.subject = subjectOf(options)
    this.name = options.service ?? this.subject
    this.running = this.#run()
    // Told by `closed`.
    this.running.catch(() => {})
  }

  get state(): 'starting' | 'running' | 'closed' {
    return this.#state
  }

  close(): void {
    this.#close(undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  async #run(): Promise<void> {
    try {
      const client = await clientOf(this.#options.client)
      if (this.#isClosed()) return
      const subscription = client.subscribeSync(this.subject, { queue: this.#queue })
      this.#subscription = subscription
      subscription.emitter.on('message', (message: Message) => void this.#answer(message))
      client.once('closed', () => this.#close(undefined))
      await subscription.confirmed()
    } catch (error) {
      this.#close(error as FabricError)
      throw error
    }
    if (this.#isClosed()) return
    this.#state = 'running'
    this.emit('running')
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Every service with `all` gets each call. */
  get #queue(): string | undefined {
    return this.#options.all ? undefined : (this.#options.queue ?? SERVICE_QUEUE)
  }

  async #answer(message: Message): Promise<void> {
    if (!message.isRequest()) return
    try {
      await message.respond(await this.#options.handler(message.data, message as never))
    } catch (error) {
      await refuse(message, error)
    }
  }

  #close(reason: FabricError | undefined): void {
    if (this.state === 'closed') return
    this.#state = 'closed'
    this.#subscription?.close()
    this.emit('closed', reason)
  }
}

/** Serves a function. `running` is emitted when calls can arrive. */
export function createConatService(options: ServiceSetup): ConatService {
  return new ConatService(options)
}

/** Calls a service, and waits for one that comes later, unless `noRetry` is set. */
export async function callConatService(call: ServiceCall): Promise<unknown> {
  const subject = subjectOf(call)
  const client = await clientOf(call.client)
  const { timeout, signal } = call
  const reply = await client.request(subject, call.mesg, { timeout, signal, waitForInterest: !call.noRetry })
  const failure = thrown(reply)
  if (failure !== undefined) throw new FabricError(failure.message, failure.code)
  return reply.data
}
