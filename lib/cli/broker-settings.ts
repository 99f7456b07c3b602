// What `selvedge broker` runs with: its arguments, then its config file, then the defaults.
import type { ServerOptions, TlsServerOptions } from '../../index'
import type { UsersFile } from '../../types/users'
import type { Path } from '../config/jsonc'
import { usersFile } from '../users'
import type { CertificateFiles } from './certificates'
import { readConfig } from './config-file'
import { file, secret } from './connection'
import { UsageError } from './failure'
import { checkSettings, type Origin } from './refused-setting'
import type { Verbosity } from './terminal'

export interface BrokerArguments extends Verbosity {
  port?: number
  host?: string
  unix?: string
  upstream?: string[]
  tlsCert?: string
  tlsKey?: string
  tlsCa?: string
  config?: string
  users?: string
  systemPasswordFile?: string
  name?: string
  maxConnections?: number
  allowOrigin?: string[]
  drainDeadline?: number
  metrics?: boolean
  monitor?: boolean
  monitorPasswordFile?: string
  check?: boolean
  json?: boolean
}

export interface BrokerSettings {
  settings: ServerOptions
  drainDeadline: number
  usersPath: string | undefined
  certificates: CertificateFiles | undefined
  /** An error about the users file, at the place where it is named. */
  usersError(text: string): Error
}

/** The argument that a setting comes from, the first one that is given. */
const ARGUMENTS: readonly (readonly [keyof BrokerArguments, string, Path])[] = [
  ['port', '--port', ['port']],
  ['host', '--host', ['host']],
  ['unix', '--unix', ['socketPath']],
  ['upstream', '--upstream', ['upstream']],
  ['name', '--name', ['id']],
  ['maxConnections', '--max-connections', ['maxConnections']],
  ['allowOrigin', '--allow-origin', ['allowedOrigins']],
  ['systemPasswordFile', '--system-password-file', ['systemAccountPassword']],
  ['metrics', '--metrics', ['metrics']],
  ['monitorPasswordFile', '--monitor-password-file', ['monitor']],
  ['monitor', '--monitor', ['monitor']],
  ['tlsCert', '--tls-cert', ['ssl', 'cert']],
  ['tlsKey', '--tls-key', ['ssl', 'key']],
  ['tlsCa', '--tls-ca', ['ssl', 'ca']],
]

/** Arguments win over the file. Throws what the broker would refuse, with the place of what is to blame. */
export function settingsOf(options: BrokerArguments): BrokerSettings {
  const config = options.config === undefined ? undefined : readConfig(options.config)
  if (options.unix !== undefined && (options.port ?? options.host) !== undefined) {
    throw new UsageError('a Unix socket has no port and no host')
  }
  const given = argumentSettings(options)
  const settings = { ...config?.settings, ...given }
  if (options.metrics === true) settings.metrics ??= true
  if (options.monitor === true) settings.monitor ??= true
  if (settings.socketPath === undefined) {
    settings.port ??= 3000
    settings.host ??= '127.0.0.1'
  }
  const isOfFile = ({ setting: [key] }: Origin): boolean => !Object.hasOwn(given, key!)
  checkSettings(settings, [...argumentOrigins(options), ...(config?.origins.filter(isOfFile) ?? [])])
  return {
    settings,
    drainDeadline: options.drainDeadline ?? config?.drain.deadline ?? 10_000,
    usersPath: options.users ?? config?.usersFile,
    certificates: given.ssl === undefined ? config?.certificates : certificatesOf(options),
    usersError: text =>
      options.users === undefined && config !== undefined
        ? config.error(['usersFile'], text)
        : new UsageError(`--users: ${text}`),
  }
}

function argumentSettings(options: BrokerArguments): ServerOptions {
  const settings: ServerOptions = {}
  if (options.port !== undefined) settings.port = options.port
  if (options.host !== undefined) settings.host = options.host
  if (options.unix !== undefined) settings.socketPath = options.unix
  if (options.upstream !== undefined) settings.upstream = options.upstream
  if (options.name !== undefined) settings.id = options.name
  if (options.maxConnections !== undefined) settings.maxConnections = options.maxConnections
  if (options.allowOrigin !== undefined) settings.allowedOrigins = options.allowOrigin
  if (options.systemPasswordFile !== undefined) {
    settings.systemAccountPassword = secret(options.systemPasswordFile, '--system-password-file')
  }
  if (options.monitorPasswordFile !== undefined) {
    settings.monitor = { password: secret(options.monitorPasswordFile, '--monitor-password-file') }
  }
  const ssl = tlsOf(options)
  if (ssl !== undefined) settings.ssl = ssl
  return settings
}

function certificatesOf({ tlsCert, tlsCa }: BrokerArguments): CertificateFiles {
  return {
    ...(tlsCert === undefined ? {} : { cert: tlsCert }),
    ...(tlsCa === undefined ? {} : { ca: tlsCa }),
  }
}

function argumentOrigins(options: BrokerArguments): Origin[] {
  return ARGUMENTS.filter(([argument]) => options[argument] !== undefined).map(([, name, setting]) => ({
    setting,
    error: text => new UsageError(`${name}: ${text}`),
  }))
}

/** Reads the users file, if there is one. */
export async function usersOf({ usersPath, usersError }: BrokerSettings): Promise<UsersFile | undefined> {
  if (usersPath === undefined) return undefined
  return usersFile(usersPath).catch((error: Error) => {
    // What is wrong inside it has a place there.
    throw error.message.startsWith('cannot read') ? usersError(error.message) : error
  })
}

function tlsOf({ tlsCert, tlsKey, tlsCa }: BrokerArguments): TlsServerOptions | undefined {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new UsageError('--tls-cert and --tls-key go together')
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    if (tlsCa !== undefined) throw new UsageError('--tls-ca needs --tls-cert and --tls-key')
    return undefined
  }
  const ssl = { cert: file(tlsCert, '--tls-cert'), key: file(tlsKey, '--tls-key') }
  return tlsCa === undefined ? ssl : { ...ssl, ca: file(tlsCa, '--tls-ca'), requestCert: true }
}
