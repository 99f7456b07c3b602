// Requests over a socket, of either side.
import type { RequestManyOptions, RequestOptions, SocketSettings } from '../index'
import { type Answers, ask } from './answers'
import * as commands from './commands'
import type { Core } from './core'
import { abortFailure, errorFrom, Failed } from './errors'
import type { Message, Responder } from './message'
import { checkOptions } from './options'
import { prepare, REQUEST_MANY_SHAPE, REQUEST_SHAPE, Ticket, waitOf } from './requests'
import { SocketMade } from './socket-settings'
import type { StateEvents } from './socket-state'
import { UnderWay } from './under-way'

export abstract class SocketAsking<
  Events extends StateEvents & Record<keyof Events, unknown[]>,
> extends SocketMade<Events> {
  protected readonly responder: Responder
  #underWay: UnderWay | undefined

  constructor(core: Core, responder: Responder, subject: string, id: string, settings: SocketSettings) {
    super(core, subject, id, settings)
    this.responder = responder
  }

  request(data?: unknown, options?: RequestOptions & { noThrow?: false }): Promise<Message>
  request(data?: unknown, options?: RequestOptions): Promise<Message | undefined>
  async request(data?: unknown, options?: RequestOptions): Promise<Message | undefined> {
    this.checkOpen()
    checkOptions('request', options, REQUEST_SHAPE)
    const outcome = await this.#ask(data, options)
    if (!(outcome instanceof Failed)) return outcome as Message
    if (options?.noThrow) return undefined
    throw errorFrom(outcome)
  }

  requestMany(data?: unknown, options?: RequestManyOptions): Answers {
    return ask(this.core, this.responder, options, () => {
      this.checkOpen()
      checkOptions('requestMany', options, REQUEST_MANY_SHAPE)
      const wait = waitOf(options, true)
      const headers = prepare(data, options, true)
      return ticket => this.#sendRequest(ticket, wait, headers)
    })
  }

  /** Requests, of either side. */
  protected get underWay(): UnderWay {
    this.#underWay ??= new UnderWay()
    return this.#underWay
  }

  /** Waits until no request is under way, at most so many ms. @internal */
  async whenQuiet(timeout: number): Promise<void> {
    await this.#underWay?.whenNone(timeout)
  }

  /** Its requests, and its peer's, come to nothing. */
  protected forgetRequests(): void {
    this.#underWay?.forget()
  }

  #ask(data: unknown, options: RequestOptions | undefined): Promise<unknown> | Failed {
    if (options?.signal?.aborted) return abortFailure(options.signal)
    const wait = waitOf(options, false)
    const headers = prepare(data, options, true)
    const ticket = new Ticket(this.core, this.responder, options?.signal, this.underWay)
    this.#sendRequest(ticket.handle, wait, headers)
    return ticket.outcome
  }

  #sendRequest(ticket: number, wait: commands.Wait, headers: string | null): void {
    this.core.countSent(commands.socketRequest(this.client, ticket, this.handle, wait, headers))
  }
}
