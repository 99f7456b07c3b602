// What a client can be told when it is made, and how the engine reads it.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { isPassword } from './broker-options'
import { FabricError, invalidType, outOfRange } from './errors'
import { isBoolean, isDuration, isHeaders, isNumber, isString, pick, type Shape } from './options'

export interface ConnectOptions {
  address?: string
  noCache?: boolean
  path?: string
  inboxPrefix?: string
  extraHeaders?: Record<string, string>
  autoConnect?: boolean
  reconnection?: boolean
  reconnectionDelay?: number
  reconnectionDelayMax?: number
  randomizationFactor?: number
  wire?: Wire
  systemAccountPassword?: string
}

export type Wire = 'conat' | 'selvedge'

export const CLIENT_SHAPE: Shape = {
  address: isString,
  noCache: isBoolean,
  path: isString,
  inboxPrefix: isInboxPrefix,
  extraHeaders: isHttpHeaders,
  autoConnect: isBoolean,
  reconnection: isBoolean,
  reconnectionDelay: isPause,
  reconnectionDelayMax: isPause,
  randomizationFactor: isFraction,
  wire: isWire,
  systemAccountPassword: isPassword,
}

const NOT_PASSED_ON = ['address', 'noCache', 'extraHeaders', 'systemAccountPassword']
const PASSED_ON = Object.keys(CLIENT_SHAPE).filter(name => !NOT_PASSED_ON.includes(name))

function isHttpHeaders(name: string, value: unknown): void {
  isHeaders(name, value)
  for (const [header, text] of Object.entries(value ?? {})) {
    if (typeof text !== 'string') throw invalidType(`${name}.${header}`, 'a string', text)
    try {
      validateHeaderName(header)
      validateHeaderValue(header, text)
    } catch (cause) {
      // Not the text, which may be a secret.
      throw new FabricError(`${name}.${header} is no HTTP header`, 'ERR_INVALID_ARG_VALUE', { cause })
    }
  }
}

function isPause(name: string, value: unknown): void {
  isDuration(name, value)
  if ((value as number) < 0) throw outOfRange(name, 'at least 0', value as number)
}

function isFraction(name: string, value: unknown): void {
  isNumber(name, value)
  if ((value as number) < 0 || (value as number) > 1) throw outOfRange(name, 'from 0 to 1', value as number)
}

function isWire(name: string, value: unknown): void {
  if (value === 'conat' || value === 'selvedge') return
  throw new FabricError(
    `${name} must be 'conat' or 'selvedge', got ${String(value)}`,
    'ERR_INVALID_ARG_VALUE',
  )
}

function isInboxPrefix(name: string, value: unknown): void {
  isString(name, value)
  if ((value as string).startsWith('_INBOX')) return
  throw new FabricError(`${name} must start with _INBOX, got '${value}'`, 'ERR_INVALID_ARG_VALUE')
}

/** Where a client with these options connects; `null` is the fabric inside this process. */
function addressOf(options: ConnectOptions): string | null {
  return options.address || process.env.CONAT_SERVER || null
}

/** The options of `clientOpen`. */
export function openSettings(
  id: string,
  options: ConnectOptions,
  broker: number | undefined,
  own: boolean,
): string {
  const address = broker === undefined ? addressOf(options) : null
  const extraHeaders = headersOf(options)
  return JSON.stringify({
    ...pick(options, PASSED_ON),
    extraHeaders,
    id,
    address,
    broker: broker ?? null,
    own,
  })
}

/** The application's headers, with the system account's cookie. */
function headersOf(options: ConnectOptions): Record<string, string> {
  const headers = { ...options.extraHeaders }
  if (options.systemAccountPassword === undefined) return headers
  const sys = `sys=${options.systemAccountPassword}`
  const name = Object.keys(headers).find(header => header.toLowerCase() === 'cookie') ?? 'Cookie'
  headers[name] = headers[name] === undefined ? sys : `${headers[name]}; ${sys}`
  return headers
}

/** Equal for options that make equal clients. */
export function cacheKey(options: ConnectOptions): string {
  const entries = Object.entries({ ...options, address: addressOf(options) })
  return JSON.stringify(
    entries.filter(([, value]) => value !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
