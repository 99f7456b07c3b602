// The options of a message, a publish and a request, and their checks.
import type { MessageOptions, PublishOptions, RequestManyOptions, RequestOptions } from '../../index'
import {
  isBoolean,
  isBytes,
  isCount,
  isDuration,
  isEncoding,
  isHeaders,
  isSignal,
  isTimeout,
  type ShapeOf,
} from '../values/option-checks'

export const MESSAGE_SHAPE: ShapeOf<MessageOptions> = {
  encoding: isEncoding,
  raw: isBytes,
  headers: isHeaders,
}

export const PUBLISH_SHAPE: ShapeOf<PublishOptions> = {
  ...MESSAGE_SHAPE,
  timeout: isTimeout,
  waitForInterest: isBoolean,
  noThrow: isBoolean,
}

export const REQUEST_SHAPE: ShapeOf<RequestOptions> = { ...PUBLISH_SHAPE, signal: isSignal }

export const REQUEST_MANY_SHAPE: ShapeOf<RequestManyOptions> = {
  ...REQUEST_SHAPE,
  maxMessages: isCount,
  maxWait: isTimeout,
}

export const INTEREST_SHAPE = { timeout: isDuration, signal: isSignal }

export const LIST_SHAPE = { timeout: isTimeout }
