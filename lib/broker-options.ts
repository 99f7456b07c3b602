// What a broker can be told when it is made, and how the engine reads it.
import type { GetUser, IsAllowed } from './authority'
import { isCookieValue } from './connect-options'
import { invalidValue, outOfRange } from './errors'
import {
  defaults,
  isCount,
  isDuration,
  isFunction,
  isNumber,
  isString,
  isTimeout,
  pick,
  type Shape,
} from './options'
import { isValidSubjectWithoutWildcards } from './subjects'

export interface ServerOptions {
  port?: number | null
  host?: string
  id?: string
  path?: string
  maxSubscriptionsPerClient?: number
  maxSubscriptionsPerHub?: number
  maxConnections?: number
  maxConnectionsPerUser?: number
  clusterName?: string
  getUser?: GetUser
  isAllowed?: IsAllowed
  systemAccountPassword?: string
  signInTimeout?: number
  permissionTimeout?: number
  permissionCache?: number
}

/** Those that the engine takes as they are. */
const PLAIN: Shape = {
  port: isPort,
  host: isString,
  id: isString,
  path: isString,
  maxSubscriptionsPerClient: isCount,
  maxSubscriptionsPerHub: isCount,
  maxConnections: isCount,
  maxConnectionsPerUser: isCount,
  clusterName: isString,
}

export const SERVER_SHAPE: Shape = {
  ...PLAIN,
  getUser: isFunction,
  isAllowed: isFunction,
  systemAccountPassword: isCookieValue,
  signInTimeout: isTimeout,
  permissionTimeout: isTimeout,
  permissionCache: isCacheTime,
}

function isPort(name: string, value: unknown): void {
  if (value === null) return
  isNumber(name, value)
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff) return
  throw invalidValue(name, 'an integer from 0 to 65535, or null', value)
}

function isCacheTime(name: string, value: unknown): void {
  isDuration(name, value)
  if ((value as number) < 0) throw outOfRange(name, 'at least 0', value as number)
}

/** Whether the broker has to ask JavaScript who its visitors are. */
export function hasAuthority(options: ServerOptions): boolean {
  return (options.getUser ?? options.isAllowed ?? options.systemAccountPassword) !== undefined
}

/** The options of `brokerOpen`. */
export function brokerSettings(options: ServerOptions): string {
  const settings = pick(options, Object.keys(PLAIN))
  if (hasAuthority(options)) {
    settings.authority = {
      asksUser: true,
      asksPermission: options.isAllowed !== undefined,
      guardsSystem: options.systemAccountPassword !== undefined,
      ...pick(options, ['signInTimeout', 'permissionTimeout', 'permissionCache']),
    }
  }
  return JSON.stringify(settings)
}

/** The options with the defaults that a program can see. The password is nobody's to read. */
export function visibleOptions(options: ServerOptions): ServerOptions {
  const { systemAccountPassword: _, ...visible } = options
  const port = options.port === undefined ? defaults.port : options.port
  return { ...visible, id: options.id ?? '0', port, path: options.path ?? defaults.path }
}

/** Id and cluster name become tokens of the system service's subjects. */
export function checkSystemNames(options: ServerOptions): void {
  if (options.systemAccountPassword === undefined) return
  for (const name of ['id', 'clusterName'] as const) {
    const value = options[name]
    if (value === undefined || (isValidSubjectWithoutWildcards(value) && !value.includes('.'))) continue
    throw invalidValue(name, 'one token of a subject (with systemAccountPassword)', value)
  }
}
