// Options of Socket.IO and of clusters that programs for Conat pass on: taken, and of no effect here.
import { debuglog } from 'node:util'
import { FabricError } from '../values/errors'

const debug = debuglog('selvedge')

/** Those of Socket.IO's client, and of a member of a cluster. */
export const FOREIGN_CONNECT: ReadonlySet<string> = new Set([
  'ackTimeout',
  'addTrailingSlash',
  'auth',
  'autoUnref',
  'closeOnBeforeunload',
  'clusterName',
  'forceBase64',
  'forceNew',
  'multiplex',
  'parser',
  'perMessageDeflate',
  'protocols',
  'query',
  'reconnectionAttempts',
  'rememberUpgrade',
  'retries',
  'timeout',
  'timestampParam',
  'timestampRequests',
  'transportOptions',
  'transports',
  'tryAllTransports',
  'upgrade',
  'withCredentials',
])

/** Those of Socket.IO's server, and of a cluster. */
export const FOREIGN_INIT: ReadonlySet<string> = new Set([
  'adapter',
  'addTrailingSlash',
  'allowEIO3',
  'allowRequest',
  'allowUpgrades',
  'autoscanInterval',
  'cleanupEmptyChildNamespaces',
  'clusterIpAddress',
  'clusterNodes',
  'connectTimeout',
  'connectionStateRecovery',
  'cookie',
  'cors',
  'destroyUpgrade',
  'destroyUpgradeTimeout',
  'httpCompression',
  'localClusterSize',
  'logger',
  'longAutoscanInterval',
  'maxHttpBufferSize',
  'parser',
  'perMessageDeflate',
  'pingInterval',
  'pingTimeout',
  'serveClient',
  'transports',
  'upgradeTimeout',
  'wsEngine',
])

/** What others call options of ours. */
const OWN_NAMES: Readonly<Record<string, string>> = {
  host: 'address',
  hostname: 'address',
  pass: 'password',
  port: 'address',
  server: 'address',
  servers: 'address',
  uri: 'address',
  url: 'address',
  username: 'user',
}

/** Returns the options without the foreign ones, which one line of `NODE_DEBUG=selvedge` names. */
export function ownOptions<T extends object>(where: string, options: T, foreign: ReadonlySet<string>): T {
  if (options === null || typeof options !== 'object') return options
  for (const name of Object.keys(options)) {
    if (where !== 'connect' || !Object.hasOwn(OWN_NAMES, name)) continue
    const text = `${where} has no option '${name}'; did you mean '${OWN_NAMES[name]}'?`
    throw new FabricError(text, 'ERR_UNKNOWN_OPTION')
  }
  const names = Object.keys(options).filter(name => foreign.has(name))
  if (names.length === 0) return options
  debug('%s: options without effect here: %s', where, names.join(', '))
  return Object.fromEntries(Object.entries(options).filter(([name]) => !foreign.has(name))) as T
}
