// SIGHUP: `selvedge broker` reads its files again, while it runs.
import { isDeepStrictEqual } from 'node:util'
import type { LimitChanges, ServerOptions } from '../../index'
import type { UsersFile } from '../../types/users'
import { countingFailures } from '../config/reload'
import type { ConatServer } from '../index'
import { type BrokerArguments, settingsOf, usersOf } from './broker-settings'
import { warnOfTimes } from './certificates'
import { textOf } from './failure'
import type { Terminal } from './terminal'

/** What it was started with. */
interface Running {
  options: BrokerArguments
  settings: ServerOptions
  users: UsersFile | undefined
  usersPath: string | undefined
}

const LIMITS = [
  'maxConnections',
  'maxConnectionsPerUser',
  'maxSubscriptionsPerClient',
  'maxSubscriptionsPerHub',
  'maxMemoryBytes',
  'maxMemoryBytesPerUser',
  'maxMemoryBytesPerConnection',
] as const satisfies readonly (keyof LimitChanges)[]

export function reloadAtHangup(server: ConatServer, running: Running, terminal: Terminal): void {
  process.on('SIGHUP', () => {
    countingFailures(() => reload(server, running, terminal)).then(
      restart => {
        terminal.say(`read again: ${running.users === undefined ? '' : 'users, '}certificates, limits`)
        if (restart.length > 0) terminal.say(`changed, but only at the next start: ${restart.join(', ')}`)
      },
      error => terminal.say(`selvedge: all stays as it was: ${textOf(error)}`),
    )
  })
}

/** All of the new files or, if one has a mistake, all of the old. Returns the keys that need a restart. */
async function reload(server: ConatServer, running: Running, terminal: Terminal): Promise<string[]> {
  const { options, settings, users, usersPath } = running
  const next = settingsOf(options)
  // A mistake in it shows before anything has changed.
  if (users !== undefined) await usersOf({ ...next, usersPath })
  secure(server, next.settings)
  try {
    server.setLimits(limitsOf(next.settings))
    await users?.reload()
  } catch (error) {
    secure(server, settings)
    throw error
  }
  if (users !== undefined) server.revalidate()
  warnOfTimes(next.settings, next.certificates, terminal)
  running.settings = {
    ...settings,
    ...limitsOf(next.settings),
    ...(next.settings.ssl && { ssl: next.settings.ssl }),
  }
  const keys = new Set([...Object.keys(settings), ...Object.keys(next.settings)])
  keys.delete('ssl')
  const restart = [...keys].filter(
    key => !isDeepStrictEqual(optionOf(next.settings, key), optionOf(running.settings, key)),
  )
  return next.usersPath === usersPath ? restart : [...restart, 'usersFile']
}

function secure(server: ConatServer, { ssl }: ServerOptions): void {
  if (typeof ssl !== 'object' || ssl.key === undefined || ssl.cert === undefined) return
  const { key, cert, ca, passphrase } = ssl
  server.setSecureContext({
    key,
    cert,
    ...(ca === undefined ? {} : { ca }),
    ...(passphrase === undefined ? {} : { passphrase }),
  })
}

/** Those that are there: one that is taken out of the file stays until a restart. */
function limitsOf(settings: ServerOptions): LimitChanges {
  const given = LIMITS.filter(name => settings[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, settings[name]]))
}

function optionOf(settings: ServerOptions, key: string): unknown {
  return settings[key as keyof ServerOptions]
}
