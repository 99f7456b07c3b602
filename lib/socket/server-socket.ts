// The accepting side: one socket for each client of a socket server.

import * as commands from '../engine/commands'
import { route } from '../engine/events'
import type { ClientContext } from '../messaging/client-context'
import type { Responder } from '../messaging/message'
import { ConatSocketBase } from './base'
import type { SocketSettings } from './settings'

/** What it needs of its server. */
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
    // `connection` emits it ready; nothing could have listened for that event.
    this.lifecycle.enter('ready')
  }

  get role(): 'server' {
    return 'server'
  }

  /** The subject on which its client listens. */
  get clientSubject(): string {
    const [id, , , ...tokens] = this.subject.split('.').reverse()
    return `${tokens.reverse().join('.')}.client.${id}`
  }

  /** @internal */
  get ownSubject(): string {
    return this.subject
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.handle)
    this.lifecycle.leave()
  }

  /** Does nothing: its server ends it. */
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
