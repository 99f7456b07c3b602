// What a socket was made with, for programs to look at. Nothing here is a field of each: a program has thousands of sockets.
import type { SocketSettings } from '../../index'
import { defaults } from '../engine/defaults'
import type { ClientContext } from '../messaging/client-context'
import { type StateEvents, Stateful } from './lifecycle'

/** None of the fabric's connections is a socket's own. */
const NO_ADDRESS: { readonly ip: string } = Object.freeze({ ip: '' })

export abstract class SocketMade<
  Events extends StateEvents & Record<keyof Events, unknown[]>,
> extends Stateful<Events> {
  readonly id: string
  readonly #settings: SocketSettings
  #conn: { readonly id: string } | undefined

  /** `settings` are kept, and may be shared. */
  constructor(context: ClientContext, subject: string, id: string, settings: SocketSettings) {
    super(context, subject)
    this.id = id
    this.#settings = settings
  }

  get desc(): string | undefined {
    return this.#settings.desc
  }

  get maxQueueSize(): number {
    return this.#settings.maxQueueSize ?? defaults.maxQueueSize
  }

  get maxQueueBytes(): number {
    return this.#settings.maxQueueBytes ?? defaults.maxQueueBytes
  }

  get keepAlive(): number {
    return this.#settings.keepAlive ?? defaults.keepAlive
  }

  get keepAliveTimeout(): number {
    return this.#settings.keepAliveTimeout ?? defaults.keepAliveTimeout
  }

  get conn(): { readonly id: string } {
    return (this.#conn ??= { id: this.id })
  }

  get address(): { readonly ip: string } {
    return NO_ADDRESS
  }
}
