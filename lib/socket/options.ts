// The options of sockets, of socket servers, and of what they write.
import type {
  Headers,
  SendOptions,
  SocketConnectOptions,
  SocketListenOptions,
  WriteOptions,
} from '../../index'
import { WAIT_SHAPE } from '../async/bounds'
import { DATA_SHAPE, MAX_MESSAGE_BYTES, MESSAGE_SHAPE, REQUEST_SHAPE } from '../messaging/options'
import { isRoomsOptions } from '../rooms/options'
import { isRecord } from '../values/encodable'
import { invalidType, invalidValue } from '../values/errors'
import { areReceived } from '../values/headers'
import {
  checkOptions,
  checkSendOptions,
  isBoolean,
  isCount,
  isDuration,
  isFunction,
  isSignal,
  isString,
  isTimeout,
  override,
  type ShapeOf,
} from '../values/option-checks'
import { warnIfMisspelt } from './misspelt-options'

const SETTINGS_SHAPE = {
  id: isString,
  desc: isString,
  maxQueueSize: { check: isCount, default: 1000, engine: true, limit: true },
  maxQueueBytes: { check: isCount, unit: 'bytes', default: 256 * 1024 * 1024, engine: true, limit: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  slowConsumer: { check: isPolicy, default: 'wait' },
  slowConsumerTimeout: { check: isTimeout, unit: 'ms', default: 30_000 },
  keepAlive: { check: isDuration, unit: 'ms', default: 45_000 },
  keepAliveTimeout: { check: isTimeout, unit: 'ms', default: 30_000 },
  resumeTimeout: { check: isTimeout, unit: 'ms', engine: true },
  stream: { check: isBoolean, default: true, engine: true },
} as const

export const LISTEN_SHAPE = {
  ...SETTINGS_SHAPE,
  maxSockets: { check: isCount, default: 65_536, engine: true, limit: true },
  maxSocketsPerUser: { check: isCount, default: 4096, engine: true, limit: true },
  middlewareTimeout: { check: isTimeout, unit: 'ms', default: 10_000 },
  rooms: isRoomsOptions,
  ...WAIT_SHAPE,
} as const satisfies ShapeOf<SocketListenOptions>

export const CONNECT_SHAPE = {
  ...SETTINGS_SHAPE,
  reconnection: { check: isBoolean, default: true, engine: true },
  wait: { check: isWait, unit: 'ms', default: true },
  loadBalancer: isFunction,
  loadBalancerTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: true },
  dialect: { check: isDialect, engine: true },
  renew: { check: isRenew, default: false },
  ...WAIT_SHAPE,
} as const satisfies ShapeOf<SocketConnectOptions>

export interface EndOptions {
  timeout?: number
  idle?: number
  signal?: AbortSignal
}

export const END_SHAPE = {
  timeout: { check: isTimeout, unit: 'ms' },
  idle: { check: isTimeout, unit: 'ms', default: 10_000 },
  signal: isSignal,
} as const

export const SERVER_REQUEST_SHAPE = { ...REQUEST_SHAPE, race: isBoolean } as const

export const WRITE_SHAPE = {
  ...MESSAGE_SHAPE,
  volatile: { check: isBoolean, default: false },
} as const satisfies ShapeOf<WriteOptions>

export const SEND_SHAPE = {
  ...DATA_SHAPE,
  ...WAIT_SHAPE,
} as const satisfies ShapeOf<SendOptions>

/** The options of `send`. */
export function sendOptions(options: SendOptions | undefined): SendOptions | undefined {
  checkSendOptions(options, SEND_SHAPE)
  return options
}

/**
 * The second argument of `write`: options when all its keys are option names, else the headers themselves, as
 * in Conat. Headers that were received are always headers: whoever sent them does not choose options here.
 */
export function writeOptions(second: Headers | WriteOptions | null | undefined): WriteOptions | undefined {
  if (second === undefined || second === null) return undefined
  if (typeof second !== 'object' || !isRecord(second))
    throw invalidType('headers', 'an object of names and values', second)
  if (areReceived(second)) return { headers: second as Headers }
  for (const name of Object.keys(second)) {
    if (Object.hasOwn(WRITE_SHAPE, name)) continue
    warnIfMisspelt(second, WRITE_SHAPE)
    return { headers: second as Headers }
  }
  checkOptions('write', second, WRITE_SHAPE)
  return second
}

const TIMEOUTS_SHAPE = {
  command: { check: isTimeout, unit: 'ms', default: 10_000 },
  keepAlive: LISTEN_SHAPE.keepAlive,
  keepAliveTimeout: LISTEN_SHAPE.keepAliveTimeout,
} as const

/** The timeouts of sockets that are made with no others, in ms. */
export const socketTimeouts: { command: number; keepAlive: number; keepAliveTimeout: number } = {
  command: TIMEOUTS_SHAPE.command.default,
  keepAlive: TIMEOUTS_SHAPE.keepAlive.default,
  keepAliveTimeout: TIMEOUTS_SHAPE.keepAliveTimeout.default,
}

export function setDefaultSocketTimeouts(given: {
  command?: number
  keepAlive?: number
  keepAliveTimeout?: number
}): void {
  checkOptions('setDefaultSocketTimeouts', given, TIMEOUTS_SHAPE)
  override(socketTimeouts, given)
}

function isPolicy(name: string, value: unknown): void {
  isString(name, value)
  if (value === 'wait' || value === 'close') return
  throw invalidValue(name, "'wait' or 'close'", value)
}

function isWait(name: string, value: unknown): void {
  if (typeof value === 'boolean') return
  if (typeof value !== 'number') throw invalidType(name, 'a boolean or a number of milliseconds', value)
  isTimeout(name, value)
}

function isRenew(name: string, value: unknown): void {
  if (typeof value === 'boolean' || typeof value === 'function') return
  throw invalidType(name, 'a boolean or a function', value)
}

function isDialect(name: string, value: unknown): void {
  isString(name, value)
  if (value === 'classic' || value === 'attempt') return
  throw invalidValue(name, "'classic' or 'attempt'", value)
}
