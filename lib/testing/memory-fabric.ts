// A fabric for one test: a broker without a port, and its clients, isolated from the fabric that the process
// shares.
import type { ConnectOptions } from '../../index'
import type { MemoryFabricOptions } from '../../types/testing'
import { type ConatServer, init } from '../broker/broker'
import type { Client } from '../client/client'
import { FabricError } from '../values/errors'

/** Fast reconnects, so that tests of reconnecting take no longer than necessary. */
const QUICK: ConnectOptions = { reconnectionDelay: 5, reconnectionDelayMax: 50 }

export function memoryFabric(options: MemoryFabricOptions = {}): MemoryFabric {
  return new MemoryFabric(options)
}

export class MemoryFabric {
  readonly broker: ConatServer
  readonly #clients = new Set<Client>()

  /** @internal */
  constructor(options: MemoryFabricOptions) {
    if (Object.hasOwn(options, 'port'))
      throw new FabricError(`memoryFabric has no option 'port'`, 'ERR_UNKNOWN_OPTION')
    this.broker = init({ ...options, port: null })
  }

  client(options: ConnectOptions = {}): Client {
    const client = this.broker.client({ ...QUICK, ...options })
    this.#clients.add(client)
    client.once('closed', () => this.#clients.delete(client))
    return client
  }

  dropConnections(...clients: Client[]): void {
    for (const client of clients.length > 0 ? clients : this.#clients) client.conn.io.engine.close()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients].map(client => client.close()))
    await this.broker.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
