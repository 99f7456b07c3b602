// A service of one function: what is asked is its argument, and what it returns is the answer.
import type { ConatServiceEvents, ServiceCall, ServiceSetup } from '../../index'
import { Emitter } from '../async/emitter'
import { SERVICE_QUEUE, serve, thrown } from '../messaging/service'
import type { Subscription } from '../messaging/subscription'
import { checkObject, FabricError, invalidType, namedAfter } from '../values/errors'
import { nextTick } from '../values/platform'
import { clientOf, subjectOf } from './subject'

export class ConatService extends Emitter<ConatServiceEvents> {
  readonly subject: string
  readonly name: string
  /** Settles when calls can arrive. */
  readonly running: Promise<void>
  #state: 'starting' | 'running' | 'closed' = 'starting'
  readonly #options: ServiceSetup
  #subscription: Subscription | undefined

  /** @internal */
  constructor(options: ServiceSetup) {
    checkObject('the service', options)
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
    this.#subscription?.close()
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
      const { handler } = this.#options
      serve(subscription, message => handler(message.data, message as never))
      subscription.onEnd = reason => this.#close(reason)
      await subscription.confirmed()
    } catch (error) {
      this.#close(error as FabricError)
      this.#subscription?.close()
      throw error
    }
    if (this.#isClosed()) return
    this.#state = 'running'
    // Not in here: what a listener throws is no failure of the service.
    nextTick(() => this.emit('running'))
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Every service with `all` gets each call. */
  get #queue(): string | undefined {
    return this.#options.all ? undefined : (this.#options.queue ?? SERVICE_QUEUE)
  }

  #close(reason: FabricError | undefined): void {
    if (this.state === 'closed') return
    this.#state = 'closed'
    nextTick(() => this.emit('closed', reason))
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
  const reply = await client
    .request(subject, call.mesg, { timeout, signal, waitForInterest: !call.noRetry })
    .catch(error => {
      throw namedAfter('callConatService', error)
    })
  const failure = thrown(reply)
  if (failure !== undefined) throw new FabricError(failure.message, failure.code)
  return reply.data
}
