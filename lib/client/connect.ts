// The clients of this process; calls with equal options share one.
import type { ConnectOptions, ForeignConnect } from '../../index'
import { FOREIGN_CONNECT, ownOptions } from '../compat/foreign-options'
import { checkOptions } from '../values/option-checks'
import { Client } from './client'
import { CLIENT_SHAPE, cacheKey } from './options'

const shared = new Map<string, Client>()
/** The default client: the latest that was connected to an address, or the first that was asked for. */
let standard: Client | undefined

/** Returns a client. Equal options return the same one, which closes when all callers have closed it. */
export function connect(given: ConnectOptions & ForeignConnect = {}): Client {
  const options = ownOptions('connect', given, FOREIGN_CONNECT)
  checkOptions('connect', options, CLIENT_SHAPE)
  if (options.address) return (standard = connectTo(options, given))
  const known = openStandard()
  // Not to a second fabric beside the one that this process is connected to.
  const address = process.env.CONAT_SERVER ? undefined : known?.options.address
  const isDefault = Object.values(options).every(value => value === undefined)
  if (address === undefined) {
    const client = connectTo(options, given)
    if (isDefault && known === undefined) standard = client
    return client
  }
  return isDefault ? (known as Client).share() : connectTo({ ...options, address }, given)
}

/** Returns the client that all callers of this function share. */
export function getClient(): Client {
  return openStandard() ?? connect()
}

function openStandard(): Client | undefined {
  return standard?.state === 'closed' ? undefined : standard
}

function connectTo(options: ConnectOptions, { forceNew, multiplex }: ForeignConnect): Client {
  if (options.noCache || hasFunction(options) || forceNew === true || multiplex === false)
    return open(options)
  const key = cacheKey(options)
  const known = shared.get(key)
  if (known !== undefined && known.state !== 'closed') return known.share()
  const client = open(options)
  shared.set(key, client)
  client.once('closed', () => {
    if (shared.get(key) === client) shared.delete(key)
  })
  return client
}

/** Whether something in the options is equal to nothing but itself. */
function hasFunction({ routeSubject, tracing }: ConnectOptions): boolean {
  return routeSubject !== undefined || (typeof tracing === 'object' && tracing.destination !== undefined)
}

/** Nothing here keeps a closed client in memory. */
function open(options: ConnectOptions): Client {
  const client = new Client(options)
  client.once('closed', () => {
    if (standard === client) standard = undefined
  })
  return client
}
