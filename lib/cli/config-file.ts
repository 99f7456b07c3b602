// The config file of a broker: the keys of `init`, with files in place of their contents.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { DrainOptions, ServerOptions } from '../../index'
import { JsoncFile, nameOf, type Path } from '../config/jsonc'

export interface Config {
  settings: ServerOptions
  drain: DrainOptions
  usersFile?: string
}

/** Keys that are passed on as they are; the broker checks their values. */
const PASSED = [
  'port',
  'host',
  'id',
  'path',
  'socketPath',
  'socketMode',
  'clusterName',
  'maxSubscriptionsPerClient',
  'maxSubscriptionsPerHub',
  'maxMessageBytes',
  'maxConnections',
  'maxConnectionsPerUser',
  'allowedOrigins',
  'allowedHosts',
  'handshakeTimeout',
  'messageTimeout',
  'maxHandshakes',
  'maxHandshakesPerAddress',
  'systemAccountPassword',
  'signInTimeout',
]
const KEYS = [...PASSED, '$schema', 'ssl', 'drain', 'usersFile', 'metrics', 'monitor', 'upstream']
const TLS_FILES: Readonly<Record<string, string>> = { certFile: 'cert', keyFile: 'key', caFile: 'ca' }
const TLS_KEYS = [...Object.keys(TLS_FILES), 'passphrase', 'requestCert', 'rejectUnauthorized', 'minVersion']
const DRAIN_KEYS = ['deadline', 'spread']
const MONITOR_KEYS = ['passwordFile', 'history']
const UPSTREAM_KEYS = [
  'address',
  'user',
  'password',
  'token',
  'nkey',
  'credentials',
  'ignoreDiscovered',
  'reserved',
  'proxy',
]
const METRICS_KEYS = ['tokenFile', 'port', 'host']

export function readConfig(path: string): Config {
  const file = new JsoncFile(path)
  const settings: Record<string, unknown> = {}
  const config: Config = { settings, drain: {} }
  for (const [key, value] of file.entries([], KEYS)) {
    if (PASSED.includes(key)) settings[key] = withVariables(file, [key], value)
    else if (key === 'ssl') settings.ssl = tlsOf(file)
    else if (key === 'usersFile') config.usersFile = resolve(dirname(path), text(file, ['usersFile']))
    else if (key === 'metrics') settings.metrics = metricsOf(file, value)
    else if (key === 'monitor') settings.monitor = monitorOf(file, value)
    else if (key === 'upstream') settings.upstream = upstreamOf(file, value)
    else if (key === 'drain') config.drain = Object.fromEntries(file.entries(['drain'], DRAIN_KEYS))
  }
  return config
}

function tlsOf(file: JsoncFile): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  for (const [key, value] of file.entries(['ssl'], TLS_KEYS)) {
    const name = TLS_FILES[key]
    settings[name ?? key] =
      name === undefined ? withVariables(file, ['ssl', key], value) : contents(file, ['ssl', key])
  }
  return settings
}

function metricsOf(file: JsoncFile, given: unknown): unknown {
  if (typeof given === 'boolean') return given
  const settings: Record<string, unknown> = {}
  for (const [key, value] of file.entries(['metrics'], METRICS_KEYS)) {
    if (key === 'tokenFile') settings.token = contents(file, ['metrics', key]).toString().trim()
    else settings[key] = withVariables(file, ['metrics', key], value)
  }
  return settings
}

function monitorOf(file: JsoncFile, given: unknown): unknown {
  if (typeof given === 'boolean') return given
  const settings: Record<string, unknown> = {}
  for (const [key, value] of file.entries(['monitor'], MONITOR_KEYS)) {
    if (key === 'passwordFile') settings.password = contents(file, ['monitor', key]).toString().trim()
    else settings[key] = withVariables(file, ['monitor', key], value)
  }
  return settings
}

function upstreamOf(file: JsoncFile, given: unknown): unknown {
  if (typeof given === 'string' || Array.isArray(given)) return withVariables(file, ['upstream'], given)
  const entries = file.entries(['upstream'], UPSTREAM_KEYS)
  return Object.fromEntries(
    entries.map(([key, value]) => [key, withVariables(file, ['upstream', key], value)]),
  )
}

/** The file that is named there, relative to the config file. */
function contents(file: JsoncFile, path: Path): Buffer {
  const name = text(file, path)
  try {
    return readFileSync(resolve(dirname(file.path), name))
  } catch (error) {
    throw file.error(path, `cannot read ${nameOf(path)}: ${(error as Error).message}`)
  }
}

function text(file: JsoncFile, path: Path): string {
  const value = withVariables(file, path, file.get(path))
  if (typeof value !== 'string') throw file.error(path, `${nameOf(path)} must be a path`)
  return value
}

/** `${NAME}` in a text is the environment's. */
function withVariables(file: JsoncFile, path: Path, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item, index) => withVariables(file, [...path, index], item))
  if (typeof value !== 'string') return value
  return value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const found = process.env[name]
    if (found === undefined) throw file.error(path, `the environment has no ${name}`)
    return found
  })
}
