// The options of a client: their checks, and the form in which the engine gets them.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { ConnectOptions, TracingOptions } from '../../index'
import { isProxy, proxySettings, shownProxy } from '../engine/proxy'
import { clientSettings, TLS_CLIENT_SHAPE } from '../engine/tls'
import { FabricError, invalidType, invalidValue, outOfRange, shown } from '../values/errors'
import { Failure } from '../values/failure'
import {
  checkOptions,
  forEngine,
  isBoolean,
  isFilled,
  isFunction,
  isHeaders,
  isMessageSize,
  isNumber,
  isPause,
  isString,
  type ShapeOf,
} from '../values/option-checks'

export const CLIENT_SHAPE = {
  address: isAddress,
  noCache: { check: isBoolean, default: false },
  path: { check: isString, default: '/conat', engine: true },
  inboxPrefix: { check: isInboxPrefix, default: '_INBOX', engine: true },
  extraHeaders: isHttpHeaders,
  systemAccountPassword: isCookieValue,
  autoConnect: { check: isBoolean, default: true, engine: true },
  reconnection: { check: isBoolean, default: true, engine: true },
  offlineTimeout: { check: isPause, unit: 'ms', default: 60_000, engine: true },
  reconnectionDelay: { check: isPause, unit: 'ms', default: 500, engine: true },
  reconnectionDelayMax: { check: isPause, unit: 'ms', default: 15_000, engine: true },
  randomizationFactor: { check: isFraction, default: 1, engine: true },
  maxMessageBytes: { check: isMessageSize, unit: 'bytes', default: 256 * 1024 * 1024, limit: true },
  wire: { check: isWire, engine: true },
  proxy: isProxy,
  routeSubject: isFunction,
  tracing: { check: isTracing, default: 'active' },
  user: { check: isString, engine: 'nats' },
  password: { check: isString, engine: 'nats' },
  token: { check: isFilled, engine: 'nats' },
  nkey: { check: isString, engine: 'nats' },
  credentials: { check: isString, engine: 'nats' },
  ignoreDiscovered: { check: isBoolean, default: false, engine: 'nats' },
  ...TLS_CLIENT_SHAPE,
} as const satisfies ShapeOf<ConnectOptions>

export const TRACING_SHAPE = {
  mode: { check: isTracingMode, default: 'active' },
  destination: isFunction,
  bodySize: { check: isBoolean, default: false },
} as const satisfies ShapeOf<TracingOptions>

function isTracing(name: string, value: unknown): void {
  if (typeof value === 'object' && value !== null) checkOptions(name, value, TRACING_SHAPE)
  else isTracingMode(name, value)
}

function isTracingMode(name: string, value: unknown): void {
  if (value === false || value === 'active' || value === 'all') return
  throw invalidValue(name, "'active', 'all' or false", value)
}

/** Text, or what a broker's `address()` returns. */
function isAddress(name: string, value: unknown): void {
  isFilled(name, value instanceof String ? String(value) : value)
}

/** Schemes of the addresses of NATS. */
const NATS_ADDRESS = /^(nats|tls):/i
/** The characters that a cookie's value may contain (RFC 6265). */
const COOKIE_VALUE = /^[!#-+\--:<-[\]-~]+$/

function isHttpHeaders(name: string, value: unknown): void {
  isHeaders(name, value)
  for (const [header, text] of Object.entries(value ?? {})) {
    if (typeof text !== 'string') throw invalidType(`${name}.${header}`, 'a string', text)
    try {
      validateHeaderName(header)
      validateHeaderValue(header, text)
    } catch (cause) {
      // Without the text, which may be a secret.
      throw new FabricError(`${name}.${header} is not an HTTP header`, 'ERR_INVALID_ARG_VALUE', { cause })
    }
  }
}

export function isCookieValue(name: string, value: unknown): void {
  isString(name, value)
  if (COOKIE_VALUE.test(value as string)) return
  // Without the text, which is a secret.
  throw new FabricError(`${name} has characters that a cookie cannot have`, 'ERR_INVALID_ARG_VALUE')
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

/** Returns the address to connect to; `null` is the fabric inside this process. */
export function addressOf(options: ConnectOptions): string | null {
  return String(options.address ?? '') || process.env.CONAT_SERVER || null
}

/** Returns whether the fabric is NATS. */
export function isOnNats(options: ConnectOptions): boolean {
  return NATS_ADDRESS.test(addressOf(options) ?? '')
}

/** Returns the options of `clientOpen`. */
export function openSettings(
  id: string,
  options: ConnectOptions,
  broker: number | undefined,
  own: boolean,
): string {
  const address = broker === undefined ? addressOf(options) : null
  const extraHeaders = httpHeaders(options)
  const proxy = proxySettings(options.proxy, address)
  // A server of NATS may want TLS whatever the address says.
  const wantsTls = /^(https|wss|nats|tls):/i.test(address ?? '') || proxy?.tls === true
  const tls = wantsTls ? clientSettings(options) : undefined
  const nats = forEngine(options, CLIENT_SHAPE, 'nats')
  const rest = { extraHeaders, id, address, broker: broker ?? null, own, tls, proxy, nats }
  return JSON.stringify({ ...forEngine(options, CLIENT_SHAPE), ...rest })
}

/** Returns the HTTP headers: what signs in, beside those that the application sets. */
function httpHeaders(options: ConnectOptions): ConnectOptions['extraHeaders'] {
  const { systemAccountPassword } = options
  const extraHeaders = withAuthorization(options)
  if (systemAccountPassword === undefined) return extraHeaders
  const isCookie = ([name]: [string, string]): boolean => name.toLowerCase() === 'cookie'
  const headers = Object.entries(extraHeaders ?? {})
  const cookies = headers.filter(isCookie).map(([, value]) => value)
  const others = headers.filter(header => !isCookie(header))
  return Object.fromEntries([...others, ['Cookie', [...cookies, `sys=${systemAccountPassword}`].join('; ')]])
}

/** Those that no value of an HTTP header has; tabs are none of them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NO_HEADER_VALUE = /[\0-\x08\x0a-\x1f\x7f]/

/** A user or a token, as HTTP has it; NATS has its own fields for them. */
function withAuthorization(options: ConnectOptions): ConnectOptions['extraHeaders'] {
  const { extraHeaders, user, password = '', token } = options
  if ((user === undefined && token === undefined) || isOnNats(options)) return extraHeaders
  const isSet = Object.keys(extraHeaders ?? {}).some(name => name.toLowerCase() === 'authorization')
  if (isSet) return extraHeaders
  if (user === undefined && NO_HEADER_VALUE.test(token as string)) {
    // Without the text, which is a secret.
    const text = 'token has characters that an HTTP header cannot have, such as the end of a line'
    throw new FabricError(text, 'ERR_INVALID_ARG_VALUE')
  }
  const authorization =
    user === undefined ? `Bearer ${token}` : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  return { ...extraHeaders, Authorization: authorization }
}

/**
 * Returns the options as the application can see them: without passwords and keys, and with headers that are
 * not printed.
 */
export function shownOptions(options: ConnectOptions): Readonly<ConnectOptions> {
  const {
    systemAccountPassword: _secret,
    key: _key,
    passphrase: _passphrase,
    password: _password,
    token: _token,
    nkey: _nkey,
    credentials: _credentials,
    extraHeaders,
    ...rest
  } = options
  if (rest.address !== undefined) rest.address = withoutUser(String(rest.address))
  if (rest.proxy !== undefined) rest.proxy = shownProxy(rest.proxy)
  if (extraHeaders === undefined) return rest
  return Object.defineProperty(rest, 'extraHeaders', { value: { ...extraHeaders }, enumerable: false })
}

/** Returns an address of NATS without names and passwords; others have none. */
function withoutUser(address: string): string {
  return NATS_ADDRESS.test(address) ? address.replace(/(^|,|\/\/)[^/,]*@/g, '$1') : address
}

/** Returns a key that is equal for options that make equal clients. */
export function cacheKey(options: ConnectOptions): string {
  const entries = Object.entries({ ...options, address: addressOf(options) })
  return JSON.stringify(
    entries.filter(([, value]) => value !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/** Returns a failure that is about the address with the address in its text, without its user and password. */
export function withAddress(failure: Failure, address: unknown): Failure {
  if (typeof address !== 'string' || !failure.message.startsWith(ADDRESS)) return failure
  const shownAddress = shown(address.replace(/\/\/[^/]*@/, '//…@'))
  return new Failure(failure.code, `address '${shownAddress}': ${failure.message}`)
}

/** How the engine begins what it says of one. */
const ADDRESS = 'address '
