// The options of a broker: their checks, and the form in which the engine gets them.
import { EventEmitter } from 'node:events'
import type { ConatServer, ServerOptions } from '../../index'
import { isCookieValue } from '../client/options'
import { isSsl, serverSettings } from '../engine/tls'
import { MAX_MESSAGE_BYTES } from '../messaging/options'
import { FabricError, invalidType, invalidValue, outOfRange } from '../values/errors'
import {
  type Check,
  forEngine,
  isCount,
  isDuration,
  isFunction,
  isNumber,
  isString,
  isTimeout,
  type ShapeOf,
} from '../values/option-checks'
import { isValidSubjectWithoutWildcards } from '../values/subjects'

export type AddressParts = Pick<
  NonNullable<ReturnType<ConatServer['address']>>,
  'address' | 'family' | 'port'
>

const isPort: Check = (name, value) => {
  if (value === null) return
  isNumber(name, value)
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff) return
  throw invalidValue(name, 'an integer from 0 to 65535, or null', value)
}

const isMode: Check = (name, value) => {
  isNumber(name, value)
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0o777) return
  throw invalidValue(name, 'permissions from 0 to 0o777', value)
}

const isStrings: Check = (name, value) => {
  if (!Array.isArray(value)) throw invalidType(name, 'an array of strings', value)
  for (const [index, item] of value.entries()) isString(`${name}[${index}]`, item)
}

const isHttpServer: Check = (name, value) => {
  if (!(value instanceof EventEmitter) || !('listening' in value))
    throw invalidType(name, 'a server of node:http or node:https', value)
}

const isFile: Check = (name, value) => {
  isString(name, value)
  if (value === '') throw invalidValue(name, 'a path', value)
}

export const SERVER_SHAPE = {
  port: { check: isPort, default: 3000, engine: true },
  host: { check: isString, default: '127.0.0.1', engine: true },
  id: { check: isString, default: '0', engine: true },
  path: { check: isString, default: '/conat', engine: true },
  maxSubscriptionsPerClient: { check: isCount, default: 500, engine: true, limit: true },
  maxSubscriptionsPerHub: { check: isCount, default: 15_000, engine: true, limit: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxConnections: { check: isCount, default: 10_000, engine: true, limit: true },
  maxConnectionsPerUser: { check: isCount, default: 100, engine: true, limit: true },
  clusterName: { check: isString, engine: true },
  ssl: isSsl,
  httpServer: isHttpServer,
  socketPath: { check: isFile, engine: true },
  socketMode: { check: isMode, default: 0o600, engine: true },
  allowedOrigins: { check: isStrings, engine: true },
  allowedHosts: { check: isStrings, engine: true },
  handshakeTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: true, limit: true },
  messageTimeout: { check: isTimeout, unit: 'ms', default: 30_000, engine: true, limit: true },
  maxHandshakes: { check: isCount, default: 1000, engine: true, limit: true },
  maxHandshakesPerAddress: { check: isCount, engine: true, limit: true },
  getUser: isFunction,
  isAllowed: isFunction,
  systemAccountPassword: isCookieValue,
  signInTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: 'authority', limit: true },
  permissionTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: 'authority', limit: true },
  permissionCache: { check: isCacheTime, unit: 'ms', default: 1000, engine: 'authority', limit: true },
} as const satisfies ShapeOf<ServerOptions>

function isCacheTime(name: string, value: unknown): void {
  isDuration(name, value)
  if ((value as number) < 0) throw outOfRange(name, 'at least 0', value as number)
}

/** Returns whether the broker must call `getUser`. */
export function hasAuthorizer(options: ServerOptions): boolean {
  return (options.getUser ?? options.isAllowed ?? options.systemAccountPassword) !== undefined
}

/** Returns the port to listen on: the default only if no other option says where to listen. */
function portOf(options: ServerOptions): number | null {
  const { httpServer, socketPath, port, ssl } = options
  const elsewhere = httpServer ? 'httpServer' : socketPath === undefined ? undefined : 'socketPath'
  if (elsewhere === undefined) return port === undefined ? SERVER_SHAPE.port.default : port
  // Where an HTTP server listens, its owner knows: programs for Conat name that port here, too.
  if (!httpServer && port !== undefined && port !== null) throw contradiction('socketPath and port')
  if (httpServer && socketPath !== undefined) throw contradiction('httpServer and socketPath')
  if (typeof ssl === 'object') throw contradiction(`${elsewhere} and certificates in ssl`)
  return null
}

function contradiction(what: string): FabricError {
  return new FabricError(`init: ${what} exclude each other`, 'ERR_INVALID_ARG_VALUE')
}

/** Returns the options of `brokerOpen`. */
export function brokerSettings(options: ServerOptions): string {
  const { ssl, httpServer } = options
  if (ssl === true && !httpServer) {
    throw new FabricError(
      'init: ssl needs key and cert, or an httpServer that has them',
      'ERR_INVALID_ARG_VALUE',
    )
  }
  const tls = typeof ssl === 'object' ? serverSettings(ssl) : undefined
  const authority = hasAuthorizer(options)
    ? {
        asksUser: true,
        asksPermission: options.isAllowed !== undefined,
        guardsSystem: options.systemAccountPassword !== undefined,
        ...forEngine(options, SERVER_SHAPE, 'authority'),
      }
    : undefined
  return JSON.stringify({ ...forEngine(options, SERVER_SHAPE), tls, authority })
}

/** Returns the options as the application can see them, with defaults and without passwords and keys. */
export function visibleOptions(options: ServerOptions): ServerOptions {
  const { systemAccountPassword: _, ssl, ...visible } = options
  const shown = ssl === undefined ? visible : { ...visible, ssl: Boolean(ssl) }
  return {
    ...shown,
    id: options.id ?? SERVER_SHAPE.id.default,
    port: portOf(options),
    path: options.path ?? SERVER_SHAPE.path.default,
  }
}

/** Checks an id or cluster name, which become tokens of the system service's subjects. */
export function checkSystemNames(options: ServerOptions): void {
  if (options.systemAccountPassword === undefined) return
  for (const name of ['id', 'clusterName'] as const) {
    const value = options[name]
    if (value === undefined || (isValidSubjectWithoutWildcards(value) && !value.includes('.'))) continue
    throw invalidValue(name, 'one token of a subject (with systemAccountPassword)', value)
  }
}
