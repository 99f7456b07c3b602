// The options of connections and servers: their checks, and the form in which the engine gets them.
import type {
  ConnectOptions,
  SecureConnectOptions,
  SecureServerOptions,
  ServerOptions,
  SocketyOptions,
} from '../../types/sockety'
import { clientSettings, serverSettings, TLS_CLIENT_SHAPE, TLS_SERVER_SHAPE } from '../engine/tls'
import { FabricError, invalidType, invalidValue, outOfRange } from '../values/errors'
import {
  type Check,
  checkOptions,
  forEngine,
  isBoolean,
  isCount,
  isNumber,
  isPause,
  isString,
  isTimeout,
  type ShapeOf,
} from '../values/option-checks'

const MAX_CHANNELS = 4096
const MAX_DATA_BUFFER_BYTES = 256 * 1024 * 1024

const isChannels: Check = (name, value) => {
  isNumber(name, value)
  if (value === 0) throw new FabricError('Used over maximum channels', 'ERR_OUT_OF_RANGE')
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MAX_CHANNELS) {
    throw new FabricError('Invalid number of channels', 'ERR_OUT_OF_RANGE')
  }
}

const isPort: Check = (name, value) => {
  if (typeof value !== 'number' && typeof value !== 'string') throw invalidType(name, 'a number', value)
  const port = value === '' ? Number.NaN : Number(value)
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    const wanted = 'an integer from 0 to 65535'
    throw Number.isNaN(port) ? invalidValue(name, wanted, value) : outOfRange(name, wanted, port)
  }
}

/** Of Node.js's sockets: they hold in any case, or change nothing here. */
const NODE_SHAPE = {
  noDelay: isBoolean,
  keepAlive: isBoolean,
  keepAliveInitialDelay: isNumber,
  allowHalfOpen: isBoolean,
  pauseOnConnect: isBoolean,
  highWaterMark: isNumber,
} as const

/** Of every connection, in the part `connection` of what the engine gets. */
export const SOCKETY_SHAPE = {
  maxReceivedChannels: { check: isChannels, default: 4096, engine: 'connection' },
  maxWritableChannels: { check: isChannels, default: 4096, engine: 'connection' },
  timeout: { check: isPause, unit: 'ms', default: 60_000, engine: 'connection' },
  handshakeTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: 'connection', limit: true },
  closeTimeout: { check: isTimeout, unit: 'ms', default: 60_000, engine: 'connection', limit: true },
  maxUnreadBytes: {
    check: isCount,
    unit: 'bytes',
    default: 16 * 1024 * 1024,
    engine: 'connection',
    limit: true,
  },
  maxHeaderBytes: {
    check: isCount,
    unit: 'bytes',
    default: 4 * 1024 * 1024,
    engine: 'connection',
    limit: true,
  },
  maxFiles: { check: isCount, default: 16_384, engine: 'connection', limit: true },
  maxDataBufferBytes: { check: isCount, unit: 'bytes', default: MAX_DATA_BUFFER_BYTES },
  allowFilesSizeMismatch: { check: isBoolean, default: false, engine: 'connection' },
  immediateFlushBytes: isCount,
  maxInlineUtf8Bytes: isCount,
  maxInlineBufferBytes: isCount,
} as const satisfies ShapeOf<SocketyOptions>

export const CONNECT_SHAPE = {
  ...SOCKETY_SHAPE,
  ...NODE_SHAPE,
  host: { check: isString, default: 'localhost', engine: true },
  port: isPort,
  path: { check: isString, engine: true },
  connectTimeout: { check: isTimeout, unit: 'ms', default: 20_000, engine: true },
} as const satisfies ShapeOf<ConnectOptions>

export const SECURE_CONNECT_SHAPE = {
  ...CONNECT_SHAPE,
  ...TLS_CLIENT_SHAPE,
} as const satisfies ShapeOf<SecureConnectOptions>

export const SERVER_SHAPE = {
  ...SOCKETY_SHAPE,
  ...NODE_SHAPE,
  maxTotalUnreadBytes: {
    check: isCount,
    unit: 'bytes',
    default: 256 * 1024 * 1024,
    engine: true,
    limit: true,
  },
} as const satisfies ShapeOf<ServerOptions>

const SECURE_SERVER_SHAPE = {
  ...SERVER_SHAPE,
  ...TLS_SERVER_SHAPE,
} as const satisfies ShapeOf<SecureServerOptions>

/** What a connection has to know of its options. */
export interface ConnectionSettings {
  readonly allowFilesSizeMismatch: boolean
  readonly maxDataBufferBytes: number
}

export function connectionSettings(options: SocketyOptions): ConnectionSettings {
  return {
    allowFilesSizeMismatch: options.allowFilesSizeMismatch ?? SOCKETY_SHAPE.allowFilesSizeMismatch.default,
    maxDataBufferBytes: options.maxDataBufferBytes ?? SOCKETY_SHAPE.maxDataBufferBytes.default,
  }
}

/** Returns the options of `socketyConnect`. */
export function connectSettings(options: ConnectOptions | SecureConnectOptions, isSecure: boolean): string {
  const where = isSecure ? 'secureConnect' : 'connect'
  checkOptions(where, options, isSecure ? SECURE_CONNECT_SHAPE : CONNECT_SHAPE)
  const { port, path } = options
  if (port === undefined && path === undefined) {
    throw new FabricError(`${where} needs a port or a path`, 'ERR_INVALID_ARG_VALUE')
  }
  return JSON.stringify({
    ...forEngine(options, CONNECT_SHAPE),
    port: port === undefined ? undefined : Number(port),
    tls: isSecure ? clientSettings(options as SecureConnectOptions) : undefined,
    connection: forEngine(options, SOCKETY_SHAPE, 'connection'),
  })
}

/** Returns the part of the options of `socketyListen` that does not depend on where it listens. */
export function listenSettings(
  options: ServerOptions | SecureServerOptions,
  isSecure: boolean,
): Record<string, unknown> {
  const where = isSecure ? 'createSecureServer' : 'createServer'
  checkOptions(where, options, isSecure ? SECURE_SERVER_SHAPE : SERVER_SHAPE)
  return {
    ...forEngine(options, SERVER_SHAPE),
    tls: isSecure ? serverSettings(options as SecureServerOptions, where) : undefined,
    connection: forEngine(options, SOCKETY_SHAPE, 'connection'),
  }
}

export function checkPort(port: unknown): number {
  isPort('port', port)
  return Number(port)
}
