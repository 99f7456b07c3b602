// The options of a socket, a write and an end, and their checks.
import type { Headers, SocketListenOptions, WriteOptions } from '../../index'
import { MESSAGE_SHAPE } from '../messaging/options'
import { invalidType, invalidValue } from '../values/errors'
import {
  checkOptions,
  isBoolean,
  isCount,
  isDuration,
  isString,
  isTimeout,
  type ShapeOf,
} from '../values/option-checks'

const WRITE_SHAPE: ShapeOf<WriteOptions> = { ...MESSAGE_SHAPE, volatile: isBoolean }

export interface EndOptions {
  timeout?: number
}

export const END_SHAPE = { timeout: isTimeout }

/** Reads the second argument of `write`: options if all its keys are option names, else headers. */
export function writeOptions(second: Headers | WriteOptions | null | undefined): WriteOptions | undefined {
  if (second === undefined || second === null) return undefined
  if (typeof second !== 'object') throw invalidType('headers', 'an object', second)
  for (const name of Object.keys(second)) {
    if (!Object.hasOwn(WRITE_SHAPE, name)) return { headers: second as Headers }
  }
  checkOptions('write', second, WRITE_SHAPE)
  return second
}

export const SETTINGS_SHAPE: ShapeOf<SocketListenOptions> = {
  id: isString,
  desc: isString,
  maxQueueSize: isCount,
  maxQueueBytes: isCount,
  slowConsumer: isPolicy,
  slowConsumerTimeout: isTimeout,
  keepAlive: isDuration,
  keepAliveTimeout: isTimeout,
}

function isPolicy(name: string, value: unknown): void {
  isString(name, value)
  if (value === 'wait' || value === 'close') return
  throw invalidValue(name, "'wait' or 'close'", value)
}
