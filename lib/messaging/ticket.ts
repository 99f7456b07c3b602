// Tickets: pending answers of the engine, such as a reply, a confirmation or a list.
import type { Published, WaitOptions } from '../../index'
import { bound } from '../async/bounds'
import type { InFlight } from '../async/in-flight'
import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { forget, route, type Target } from '../engine/events'
import { DONE, FAILED, PUBLISHED, REPLY, STRINGS } from '../engine/kinds'
import { release, retain } from '../engine/process-ref'
import { Failure, withCause } from '../values/failure'
import { noteSettled } from '../values/throw-async'
import type { ClientContext } from './client-context'
import { answeredError } from './error-headers'
import { Message, type Responder } from './message'

/** An outcome, before it is a value or an error of the caller. */
export type Outcome = Message | Published | number | string[] | Failure

/** One pending answer. Keeps the process alive until it arrives. */
export class Ticket implements Target {
  readonly client: number
  readonly handle: number = commands.nextHandle()
  /** Never rejects: the error is made where the caller's frames are. */
  readonly outcome: Promise<Outcome>
  readonly #context: ClientContext
  readonly #responder: Responder
  readonly #counted: InFlight
  #settle: ((outcome: Outcome) => void) | undefined
  /** When it began, if it is a request that is counted. */
  #begun: number | undefined
  #unwatch: (() => void) | undefined

  /** `counted`: what a drain of the client waits for. */
  constructor(context: ClientContext, responder: Responder, counted = context.awaited) {
    this.#counted = counted
    this.client = context.handle
    this.#context = context
    this.#responder = responder
    this.outcome = new Promise(resolve => {
      this.#settle = resolve
    })
    route(this.handle, this)
    counted.begin()
    retain()
  }

  /** Counts its outcome as that of a request for one answer. */
  asRequest(): this {
    this.#begun = this.#context.counters.beginRequest()
    return this
  }

  /** Waits within these bounds, whose time runs from now. */
  limit(bounds: WaitOptions, what: string): void {
    const giveUp = (failure: Failure): void => {
      commands.cancel(this.client, this.handle)
      this.#end(failure)
    }
    this.#unwatch = bound(bounds, what, giveUp, () => this.#context.obstacle)
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === REPLY) this.#handleReply(readMessage(this.#context, this.#responder, event, false))
    else if (kind === PUBLISHED) this.#end({ bytes: event.f64(), count: event.u32() })
    else if (kind === DONE) this.#end(event.u32())
    else if (kind === STRINGS) this.#end(readStrings(event))
    else if (kind === FAILED) this.#end(readFailed(event, this.#context))
  }

  #handleReply(reply: Message): void {
    this.#end(answeredError(reply) ?? reply)
  }

  handleStranded(failure: Failure): void {
    if (this.#settle === undefined) return
    commands.cancel(this.client, this.handle)
    this.#end(failure)
  }

  handleClientClosed(): void {
    this.#end(this.#context.closedFailure())
  }

  /** Settles it from this side; a later answer of the engine is dropped. */
  #end(outcome: Outcome): void {
    if (this.#settle === undefined) return
    this.#settle(outcome)
    noteSettled()
    this.#settle = undefined
    if (this.#begun !== undefined) {
      const code = outcome instanceof Failure ? outcome.code : undefined
      this.#context.counters.endRequest(this.#begun, code)
    }
    forget(this.handle)
    this.#counted.end()
    release()
    this.#unwatch?.()
  }
}

function readStrings(event: EventReader): string[] {
  return Array.from({ length: event.u32() }, () => event.str())
}

/** A timeout has the connection's state as its cause, if that is known. */
export function readFailed(event: EventReader, context: ClientContext): Failure {
  const failure = new Failure(event.code(), event.str())
  if (failure.code === 'ERR_CLOSED') return context.closedFailure()
  return failure.code === 408 ? withCause(failure, context.obstacle) : failure
}

/** Reads *delivered*, *reply* and *socket request*. The reply subject of a reply is ignored. */
export function readMessage(
  context: ClientContext,
  responder: Responder,
  event: EventReader,
  isRequest: boolean,
): Message {
  const subject = event.str()
  const headers = event.optStr()
  const reply = event.optStr()
  const incoming = event.payload()
  context.countReceived(incoming.end - incoming.start)
  return new Message(responder, subject, headers, isRequest ? reply : null, incoming)
}
