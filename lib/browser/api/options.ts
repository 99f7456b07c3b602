// The options of a client, of what it sends, and of its sockets. Names and defaults are those of the main module.

import { isRecord } from '../../values/encodable'
import { invalidType } from '../../values/errors'
import { areReceived } from '../../values/headers'
import {
  checkOptions,
  isBoolean,
  isCount,
  isDuration,
  isFunction,
  isMessageSize,
  isPause,
  isSignal,
  isString,
  isTimeout,
  type Shape,
} from '../../values/option-checks'
import { MESSAGE_SHAPE, type MessageOptions } from './message'

export const CONNECT_SHAPE: Shape = {
  address: isString,
  path: isString,
  token: (name, value) => {
    if (typeof value !== 'string') isFunction(name, value)
  },
  inboxPrefix: isString,
  autoConnect: isBoolean,
  reconnection: isBoolean,
  reconnectionDelay: isTimeout,
  reconnectionDelayMax: isTimeout,
  offlineTimeout: isPause,
  maxMessageBytes: isMessageSize,
  WebSocket: isFunction,
}

export const WAIT_SHAPE: Shape = { timeout: isTimeout, signal: isSignal }
/** `interest` is told at once: there is no time to give. */
export const INTEREST_SHAPE: Shape = { signal: isSignal }
export const PUBLISH_SHAPE: Shape = {
  ...MESSAGE_SHAPE,
  timeout: isTimeout,
  waitForInterest: isBoolean,
  signal: isSignal,
}
export const SUBSCRIBE_SHAPE: Shape = {
  queue: isString,
  timeout: isTimeout,
  maxMessages: isCount,
  maxQueueBytes: isCount,
  signal: isSignal,
}
export const SOCKET_SHAPE: Shape = {
  maxQueueSize: isCount,
  maxQueueBytes: isCount,
  maxMessageBytes: isMessageSize,
  keepAlive: isDuration,
  keepAliveTimeout: isTimeout,
  resumeTimeout: isTimeout,
  reconnection: isBoolean,
  ...WAIT_SHAPE,
}
export const END_SHAPE: Shape = { ...WAIT_SHAPE, idle: isTimeout }
export const SEND_SHAPE: Shape = { ...MESSAGE_SHAPE, ...WAIT_SHAPE }
const WRITE_SHAPE: Shape = { ...MESSAGE_SHAPE, volatile: isBoolean }

export const DEFAULT_TIMEOUT = 30_000
export const SUBSCRIBE_TIMEOUT = 60_000
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024

export interface WriteOptions extends MessageOptions {
  volatile?: boolean
}

/** The second argument of `write`: options when all its keys are names of options, else the headers themselves. */
export function writeOptions(second: object | null | undefined): WriteOptions | undefined {
  if (second === undefined || second === null) return undefined
  if (typeof second !== 'object' || !isRecord(second))
    throw invalidType('headers', 'an object of names and values', second)
  if (areReceived(second) || !Object.keys(second).every(name => Object.hasOwn(WRITE_SHAPE, name))) {
    return { headers: second }
  }
  checkOptions('write', second, WRITE_SHAPE)
  return second
}
