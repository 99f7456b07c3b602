// The side that was connected to: one for each client of a socket server.

import * as commands from '../engine/commands'
import { route } from '../engine/events'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { ConatSocketBase } from './base'
import type { SocketSettings } from './settings'

/** Who has it on its list. */
interface Owner {
  handleSocketGone(socket: ServerSocket): void
}

export class ServerSocket extends ConatSocketBase {
  readonly #owner: Owner

  /** @internal */
  constructor(
    context: ClientContext,
    responder: Responder,
    handle: number,
    subject: string,
    id: string,
    settings: SocketSettings,
    owner: Owner,
  ) {
    super(context, responder, handle, subject, id, settings)
    this.#owner = owner
    route(handle, this)
    // `connection` hands it over ready; nobody could have listened for the event.
    this.lifecycle.enter('ready')
  }

  get role(): 'server' {
    return 'server'
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.handle)
    this.lifecycle.leave()
  }

  /** Its server does that. */
  override async finishWith(): Promise<void> {}

  /** @internal */
  describe(): string {
    return `server socket '${this.subject}'`
  }

  /** @internal */
  override handleGone(): void {
    this.#owner.handleSocketGone(this)
  }
}
