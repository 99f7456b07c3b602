// The config file of a broker: the keys of `init`, with files in place of their contents.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { DrainOptions, ServerOptions } from '../../index'
import { JsoncFile, nameOf, type Path } from '../config/jsonc'
import type { CertificateFiles } from './certificates'
import type { Origin } from './refused-setting'

export interface Config {
  settings: ServerOptions
  drain: DrainOptions
  usersFile?: string
  /** Where the certificates of `ssl` come from. */
  certificates: CertificateFiles
  /** Of each setting, what is inside others included. */
  origins: Origin[]
  /** An error that names the place of a value. */
  error(path: Path, text: string): Error
}

/** The keys of an object of the file: options by their own names, and files in place of what is in them. */
interface Section {
  readonly options: readonly string[]
  readonly files?: Readonly<Record<string, string>>
}

const TLS_FILES = { certFile: 'cert', keyFile: 'key', caFile: 'ca' }

/** The objects below the top, by their key there. `schema/broker.schema.json` is made of these tables. */
export const SECTIONS: Readonly<Record<string, Section>> = {
  ssl: { options: ['passphrase', 'requestCert', 'rejectUnauthorized', 'minVersion'], files: TLS_FILES },
  drain: { options: ['deadline', 'spread'] },
  metrics: { options: ['port', 'host'], files: { tokenFile: 'token' } },
  monitor: { options: ['actions', 'history'], files: { passwordFile: 'password' } },
  upstream: {
    options: [
      'address',
      'user',
      'password',
      'token',
      'nkey',
      'credentials',
      'ignoreDiscovered',
      'reserved',
      'proxy',
      'passphrase',
      'rejectUnauthorized',
      'servername',
      'minVersion',
    ],
    files: TLS_FILES,
  },
}

/** Keys at the top that are passed on as they are; the broker checks their values. */
export const OPTIONS: readonly string[] = [
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
  'maxMemoryBytes',
  'maxMemoryBytesPerUser',
  'maxMemoryBytesPerConnection',
  'allowedOrigins',
  'allowedHosts',
  'handshakeTimeout',
  'messageTimeout',
  'maxHandshakes',
  'maxHandshakesPerAddress',
  'trustedProxies',
  'forwardedField',
  'systemAccountPassword',
  'signInTimeout',
  'permissionTimeout',
  'permissionCache',
]
const KEYS = [...OPTIONS, ...Object.keys(SECTIONS), '$schema', 'usersFile']

export function readConfig(path: string): Config {
  const file = new JsoncFile(path)
  const settings: Record<string, unknown> = {}
  const origins: Origin[] = []
  const config: Config = {
    settings,
    drain: {},
    certificates: {},
    origins,
    error: (at, text) => file.error(at, text),
  }
  for (const [key, value] of file.entries([], KEYS)) {
    if (key === 'drain') config.drain = drainOf(file)
    else if (key === 'usersFile') config.usersFile = resolve(dirname(path), text(file, [key]))
    else if (isSection(key, value)) {
      settings[key] = section(file, key)
      if (key === 'ssl') config.certificates = certificatesOf(file, value as object)
    } else if (key !== '$schema') settings[key] = withVariables(file, [key], value)
  }
  for (const [key, value] of Object.entries(settings)) {
    const files = isSection(key, value) ? SECTIONS[key]!.files : undefined
    const nameIn = Object.fromEntries(Object.entries(files ?? {}).map(([name, option]) => [option, name]))
    for (const setting of pathsOf(value, [key])) {
      const [top, name, ...rest] = setting as [string, string?, ...Path]
      const at = name === undefined ? [top] : [top, nameIn[name] ?? name, ...rest]
      origins.push({ setting, error: text => file.error(at, text) })
    }
  }
  return config
}

/** The path of a value, and of all inside it. */
function pathsOf(value: unknown, path: Path): Path[] {
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return [path]
  const inside = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [path, ...inside.flatMap(([step, item]) => pathsOf(item, [...path, step]))]
}

function drainOf(file: JsoncFile): DrainOptions {
  const drain = section(file, 'drain')
  for (const [name, value] of Object.entries(drain)) {
    if (typeof value === 'number' && value >= 0 && (name === 'spread' || value > 0)) continue
    throw file.error(['drain', name], `drain.${name} must be a number of milliseconds`)
  }
  return drain
}

function certificatesOf(file: JsoncFile, ssl: object): CertificateFiles {
  const named = (name: string): string => resolve(dirname(file.path), text(file, ['ssl', name]))
  return {
    ...('certFile' in ssl ? { cert: named('certFile') } : {}),
    ...('caFile' in ssl ? { ca: named('caFile') } : {}),
  }
}

/** `true`, an address and a list of these stand for a section. */
function isSection(key: string, value: unknown): boolean {
  return (
    Object.hasOwn(SECTIONS, key) &&
    typeof value !== 'boolean' &&
    typeof value !== 'string' &&
    !Array.isArray(value)
  )
}

function section(file: JsoncFile, key: string): Record<string, unknown> {
  const { options, files = {} } = SECTIONS[key]!
  const settings: Record<string, unknown> = {}
  for (const [name, value] of file.entries([key], [...options, ...Object.keys(files)])) {
    const path = [key, name]
    const option = files[name]
    if (option === undefined) settings[name] = withVariables(file, path, value)
    else
      settings[option] = SECRETS.includes(option)
        ? contents(file, path).toString().trim()
        : contents(file, path)
  }
  return settings
}

/** One line each. */
const SECRETS = ['token', 'password']

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
