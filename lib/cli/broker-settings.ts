// What `selvedge broker` runs with: its arguments, then its config file, then the defaults.
import type { ServerOptions, TlsServerOptions } from '../../index'
import { type Config, readConfig } from './config-file'
import { file, secret } from './connection'
import { UsageError } from './failure'
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
}

/** Arguments win over the file. */
export function settingsOf(options: BrokerArguments): BrokerSettings {
  const config: Config =
    options.config === undefined ? { settings: {}, drain: {} } : readConfig(options.config)
  if (options.unix !== undefined && (options.port ?? options.host) !== undefined) {
    throw new UsageError('a Unix socket has no port and no host')
  }
  const settings = { ...config.settings }
  if (options.port !== undefined) settings.port = options.port
  if (options.host !== undefined) settings.host = options.host
  if (options.unix !== undefined) settings.socketPath = options.unix
  if (settings.socketPath === undefined) {
    settings.port ??= 3000
    settings.host ??= '127.0.0.1'
  }
  if (options.upstream !== undefined) settings.upstream = options.upstream
  if (options.name !== undefined) settings.id = options.name
  if (options.maxConnections !== undefined) settings.maxConnections = options.maxConnections
  if (options.allowOrigin !== undefined) settings.allowedOrigins = options.allowOrigin
  if (options.systemPasswordFile !== undefined) {
    settings.systemAccountPassword = secret(options.systemPasswordFile, '--system-password-file')
  }
  if (options.metrics === true) settings.metrics ??= true
  if (options.monitorPasswordFile !== undefined) {
    settings.monitor = { password: secret(options.monitorPasswordFile, '--monitor-password-file') }
  } else if (options.monitor === true) settings.monitor ??= true
  const ssl = tlsOf(options)
  if (ssl !== undefined) settings.ssl = ssl
  return {
    settings,
    drainDeadline: options.drainDeadline ?? config.drain.deadline ?? 10_000,
    usersPath: options.users ?? config.usersFile,
  }
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
