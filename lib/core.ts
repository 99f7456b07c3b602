// What the objects of one client share: its handle, its counters, and who has to know when it closes.
import type { Traffic } from '../index'
import { checkPending, nextHandle } from './commands'
import type { Drain } from './drain'
import { closedFailure, errorFrom } from './errors'
import { UnderWay } from './under-way'

/** A socket or a listener: closed together with its client. */
export interface Child {
  /** Its orderly end, with the client's. */
  finishWith(drain: Drain): Promise<void>
  handleClientClosing(): void
}

export class Core {
  readonly handle: number = nextHandle()
  readonly id: string
  readonly stats: { readonly sent: Traffic; readonly recv: Traffic } = {
    sent: { messages: 0, bytes: 0 },
    recv: { messages: 0, bytes: 0 },
  }
  /** `close()` was called, or the engine gave up. */
  closed = false
  readonly children: Set<Child> = new Set()
  /** Subjects with a socket server. */
  readonly listening: Set<string> = new Set()

  /** Answers that are awaited. */
  readonly awaited: UnderWay = new UnderWay()
  /** Methods of services that run. */
  readonly serving: UnderWay = new UnderWay()

  constructor(id: string) {
    this.id = id
  }

  checkOpen(): void {
    if (this.closed) throw errorFrom(closedFailure('the client'))
  }

  /** Called before a message is encoded. */
  checkSend(): void {
    this.checkOpen()
    checkPending()
  }

  countSent(bytes: number): void {
    this.stats.sent.messages += 1
    this.stats.sent.bytes += bytes
  }

  countReceived(bytes: number): void {
    this.stats.recv.messages += 1
    this.stats.recv.bytes += bytes
  }
}
