// The side that was connected to: one for each client of a socket server.
import type { SocketSettings } from '../index'

import commands = require('./commands')

import type { Core } from './core'
import { route } from './events'
import type { Responder } from './message'
import { ConatSocketBase } from './socket-base'

export class ServerSocket extends ConatSocketBase {
  readonly role = 'server'
  /** Takes the socket off its server's list. */
  readonly #gone: (socket: ServerSocket) => void

  /** @internal */
  constructor(
    core: Core,
    responder: Responder,
    handle: number,
    subject: string,
    id: string,
    options: SocketSettings,
    gone: (socket: ServerSocket) => void,
  ) {
    super(core, responder, handle, subject, id, options)
    this.#gone = gone
    route(handle, this)
    // `connection` hands it over ready; nobody could have listened for the event.
    this.enter('ready')
  }

  disconnect(): void {
    if (this.state === 'closed') return
    commands.socketDisconnect(this.client, this.handle)
    this.leaveReady()
  }

  /** Its server does that. */
  override async finishWith(): Promise<void> {}

  protected describe(): string {
    return `server socket '${this.subject}'`
  }

  protected override handleGone(): void {
    this.#gone(this)
  }
}
