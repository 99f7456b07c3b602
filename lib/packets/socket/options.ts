// Options of sockets and servers, checked.
import type { PacketSocketOptions, SendOptions } from '../../../types/packets'
import { isSignal } from '../bounds'
import { badOption, unknownOption } from '../errors'

/** Milliseconds for an answer. */
export const DEFAULT_TIMEOUT = 10_000
/** Milliseconds for the other side to say what it has. */
export const HELLO_TIMEOUT = 10_000
/** Milliseconds for what was sent to leave, when a socket is closed. */
export const CLOSE_TIMEOUT = 3000

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
const isObject = (value: unknown): boolean =>
  (typeof value === 'object' && value !== null) || isFunction(value)
const oneOf =
  (...values: unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value)

const CHECKS: Readonly<Record<string, readonly [wanted: string, check: (value: unknown) => boolean]>> = {
  timeout: ['a positive number', value => typeof value === 'number' && value > 0],
  order: ["'concurrent' or 'serial'", oneOf('concurrent', 'serial')],
  batch: ["'tick' or false", oneOf('tick', false)],
  role: ["'client' or 'server'", oneOf('client', 'server')],
  exposeErrors: ['a boolean', isBoolean],
  limits: ['an object', isObject],
  intercom: ['an intercom', isFunction],
  context: ['a function', isFunction],
  link: ['a function', isFunction],
  channel: ['a string', value => typeof value === 'string'],
}

const SOCKET_OPTIONS = ['timeout', 'order', 'batch', 'role', 'exposeErrors', 'limits', 'intercom', 'context']
export const SERVER_OPTIONS: readonly string[] = [
  ...SOCKET_OPTIONS.filter(name => name !== 'role'),
  'link',
  'channel',
]

/** @throws {PacketError} `"ERR_UNKNOWN_OPTION"` · `"ERR_INVALID_ARG_VALUE"` */
export function checkSocketOptions(
  options: PacketSocketOptions,
  names: readonly string[] = SOCKET_OPTIONS,
): void {
  for (const [name, value] of Object.entries(options)) {
    if (!names.includes(name)) throw unknownOption(name, names)
    const [wanted, check] = CHECKS[name] as (typeof CHECKS)[string]
    if (value !== undefined && !check(value))
      throw badOption(`${name} must be ${wanted}`, 'ERR_INVALID_ARG_VALUE')
  }
}

/** @throws {PacketError} as `checkSocketOptions` */
export function checkSendOptions(options: SendOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (name === 'timeout') checkSocketOptions({ timeout: value as number })
    else if (name !== 'signal') throw unknownOption(name, ['timeout', 'signal'])
    else if (value !== undefined && !isSignal(value))
      throw badOption('signal must be an AbortSignal', 'ERR_INVALID_ARG_VALUE')
  }
}
