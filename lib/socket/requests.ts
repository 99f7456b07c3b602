// Requests over a socket, of either side.
import type { RequestManyOptions, RequestOptions, SocketSettings } from '../../index'
import { InFlight } from '../async/in-flight'
import * as commands from '../engine/commands'
import { type Answers, ask } from '../messaging/answers'
import type { ClientContext } from '../messaging/client-context'
import type { Message, Responder } from '../messaging/message'
import { prepare, REQUEST_MANY_SHAPE, REQUEST_SHAPE, Ticket, waitOf } from '../messaging/requests'
import { abortFailure, errorFrom, Failure } from '../values/errors'
import { checkOptions } from '../values/option-checks'
import type { StateEvents } from './lifecycle'
import { SocketMade } from './settings'

export abstract class SocketAsking<
  Events extends StateEvents & Record<keyof Events, unknown[]>,
> extends SocketMade<Events> {
  protected readonly responder: Responder
  #inFlight: InFlight | undefined

  constructor(
    context: ClientContext,
    responder: Responder,
    subject: string,
    id: string,
    settings: SocketSettings,
  ) {
    super(context, subject, id, settings)
    this.responder = responder
  }

  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  async request(data?: unknown, options?: RequestOptions): Promise<Message | undefined> {
    this.checkOpen()
    checkOptions('request', options, REQUEST_SHAPE)
    const outcome = await this.#ask(data, options)
    if (!(outcome instanceof Failure)) return outcome as Message
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(data?: unknown, options?: RequestManyOptions): Answers {
    return ask(this.context, this.responder, options, () => {
      this.checkOpen()
      checkOptions('requestMany', options, REQUEST_MANY_SHAPE)
      const wait = waitOf(options, true)
      const headers = prepare(data, options, true)
      return ticket => this.#sendRequest(ticket, wait, headers)
    })
  }

  /** Requests, of either side. */
  protected get inFlight(): InFlight {
    this.#inFlight ??= new InFlight()
    return this.#inFlight
  }

  /** Waits until no request is under way, at most so many ms. @internal */
  async whenQuiet(timeout: number): Promise<void> {
    await this.#inFlight?.whenNone(timeout)
  }

  /** Its requests, and its peer's, come to nothing. */
  protected forgetRequests(): void {
    this.#inFlight?.forget()
  }

  #ask(data: unknown, options: RequestOptions | undefined): Promise<unknown> | Failure {
    if (options?.signal?.aborted) return abortFailure(options.signal)
    const wait = waitOf(options, false)
    const headers = prepare(data, options, true)
    const ticket = new Ticket(this.context, this.responder, options?.signal, this.inFlight)
    this.#sendRequest(ticket.handle, wait, headers)
    return ticket.outcome
  }

  #sendRequest(ticket: number, wait: commands.Wait, headers: string | null): void {
    this.context.countSent(commands.socketRequest(this.client, ticket, this.handle, wait, headers))
  }
}
