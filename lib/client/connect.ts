// The clients of this process; calls with equal options share one.
import type { ConnectOptions } from '../../index'
import { checkOptions } from '../values/option-checks'
import { Client } from './client'
import { CLIENT_SHAPE, cacheKey } from './options'

const shared = new Map<string, Client>()
let standard: Client | undefined

/** Returns a client. Equal options return the same one, which closes when all callers have closed it. */
export function connect(options: ConnectOptions = {}): Client {
  checkOptions('connect', options, CLIENT_SHAPE)
  if (options.noCache) return new Client(options)
  const key = cacheKey(options)
  const known = shared.get(key)
  if (known !== undefined && known.state !== 'closed') return known.share()
  const client = new Client(options)
  shared.set(key, client)
  client.once('closed', () => {
    if (shared.get(key) === client) shared.delete(key)
  })
  return client
}

/** Returns the client that all callers of this function share. */
export function getClient(): Client {
  if (standard === undefined || standard.state === 'closed') standard = new Client()
  return standard
}
