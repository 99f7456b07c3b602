// The options of messages, publishes, requests and subscriptions.
import type {
  DataOptions,
  MessageOptions,
  PublishOptions,
  RequestManyOptions,
  RequestOptions,
  SubscriptionOptions,
} from '../../index'
import { DataEncoding } from '../values/codec'
import { outOfRange } from '../values/errors'
import {
  checkOptions,
  isBoolean,
  isBytes,
  isCount,
  isEncoding,
  isFilled,
  isHeaders,
  isMessageSize,
  isPause,
  isSignal,
  isTimeout,
  override,
  type ShapeOf,
} from '../values/option-checks'

/** Whoever takes messages says how big they may be: a client, a socket, a broker. */
export const MAX_MESSAGE_BYTES = {
  check: isMessageSize,
  unit: 'bytes',
  default: 256 * 1024 * 1024,
  engine: true,
  limit: true,
} as const

/** How long a drain waits for those who have asked, and are away, in ms. Their answers wait for longer. */
export const WAIT_FOR_CALLER = 1000

export const MESSAGE_SHAPE = {
  encoding: { check: isEncoding, default: DataEncoding.MsgPack },
  raw: isBytes,
  headers: isHeaders,
} as const satisfies ShapeOf<MessageOptions>

/** How long a message is worth reading. */
export const TTL = { check: isTimeout, unit: 'ms' } as const

export const DATA_SHAPE = { ...MESSAGE_SHAPE, ttl: TTL } as const satisfies ShapeOf<DataOptions>

export const REQUEST_SHAPE = {
  ...MESSAGE_SHAPE,
  timeout: { check: isTimeout, unit: 'ms', default: 30_000 },
  waitForInterest: { check: isBoolean, default: false },
  noThrow: { check: isBoolean, default: false },
  signal: isSignal,
} as const satisfies ShapeOf<RequestOptions>

export const PUBLISH_SHAPE = { ...REQUEST_SHAPE, ttl: TTL } as const satisfies ShapeOf<PublishOptions>

/** Of replies, whose headers may be any JSON. */
export const REPLY_SHAPE = { ...MESSAGE_SHAPE, headers: isAny } as const
export const REPLY_PUBLISH_SHAPE = { ...REQUEST_SHAPE, headers: isAny } as const

/** Checked when it is encoded. */
function isAny(): void {}

export const REQUEST_MANY_SHAPE = {
  ...REQUEST_SHAPE,
  maxMessages: isCount,
  maxWait: { check: isTimeout, unit: 'ms' },
} as const satisfies ShapeOf<RequestManyOptions>

/** Milliseconds: the longest wait for interest, and what calls wait that name no timeout. */
export const MAX_INTEREST_TIMEOUT = 90_000

export const INTEREST_SHAPE = {
  timeout: { check: isInterestTimeout, unit: 'ms', default: 30_000 },
  signal: isSignal,
} as const

/** Of a subscription's `drain`. */
export const SUBSCRIPTION_DRAIN_SHAPE = {
  deadline: { check: isTimeout, unit: 'ms' },
  signal: isSignal,
} as const

/** Of calls that ask the broker for a list. */
export const LIST_SHAPE = { timeout: PUBLISH_SHAPE.timeout, signal: isSignal } as const

export const SUBSCRIPTION_SHAPE = {
  queue: isFilled,
  timeout: { check: isTimeout, unit: 'ms', default: 60_000 },
  signal: isSignal,
  maxMessages: isCount,
  maxQueueBytes: { check: isCount, unit: 'bytes', default: 64 * 1024 * 1024, limit: true },
} as const satisfies ShapeOf<SubscriptionOptions>

export const DEFAULT_REQUEST_TIMEOUT: number = PUBLISH_SHAPE.timeout.default
export const DEFAULT_PUBLISH_TIMEOUT: number = PUBLISH_SHAPE.timeout.default
export const DEFAULT_SUBSCRIPTION_TIMEOUT: number = SUBSCRIPTION_SHAPE.timeout.default

const TIMEOUTS_SHAPE = { request: REQUEST_SHAPE.timeout, publish: PUBLISH_SHAPE.timeout } as const

/** The timeouts of calls that name none, in ms. */
export const timeouts: { request: number; publish: number } = {
  request: TIMEOUTS_SHAPE.request.default,
  publish: TIMEOUTS_SHAPE.publish.default,
}

export function setDefaultTimeouts(given: { request?: number; publish?: number }): void {
  checkOptions('setDefaultTimeouts', given, TIMEOUTS_SHAPE)
  override(timeouts, given)
}

/** A broker waits no longer. */
function isInterestTimeout(name: string, value: unknown): void {
  isPause(name, value)
  if ((value as number) > MAX_INTEREST_TIMEOUT)
    throw outOfRange(name, `at most ${MAX_INTEREST_TIMEOUT}`, value as number)
}
