// `server.io` and `server.subscriptions`: what programs for Conat look at in a broker, as views on its connections.
import type { ConnectionView } from '../../index'

/** The broker that they are views on. */
interface Viewed {
  readonly sockets: Record<string, ConnectionView>
  disconnect(ids: string | readonly string[]): number
  close(): Promise<void>
}

/** `server.io`: the part of a Socket.IO server that counts and cuts connections. */
export class IoView {
  readonly engine: { readonly clientsCount: number }
  readonly sockets: { readonly sockets: ReadonlyMap<string, ConnectionView> }
  readonly #server: Viewed

  constructor(server: Viewed) {
    this.#server = server
    this.engine = {
      get clientsCount() {
        return Object.keys(server.sockets).length
      },
    }
    this.sockets = {
      get sockets() {
        return new Map(Object.entries(server.sockets))
      },
    }
  }

  /** The one namespace that there is. */
  of(_namespace: string): this['sockets'] {
    return this.sockets
  }

  disconnectSockets(): void {
    this.#server.disconnect(Object.keys(this.#server.sockets))
  }

  async close(done?: () => void): Promise<void> {
    await this.#server.close()
    done?.()
  }
}

/** Returns the patterns of each connection, by its id. */
export function subscriptionsOf(server: Viewed): Record<string, Set<string>> {
  const entries = Object.values(server.sockets).map(({ id, subscriptions }) => [id, new Set(subscriptions)])
  return Object.fromEntries(entries) as Record<string, Set<string>>
}
