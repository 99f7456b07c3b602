// The options of a broker: their checks, and the form in which the engine gets them.
import { EventEmitter } from 'node:events'
import { isIP } from 'node:net'
import type { ConatServer, LimitChanges, MetricsOptions, MonitorOptions, ServerOptions } from '../../index'
import { isCookieValue } from '../client/options'
import { isSsl, serverSettings } from '../engine/tls'
import { MAX_MESSAGE_BYTES } from '../messaging/options'
import { FabricError, invalidType, invalidValue, outOfRange } from '../values/errors'
import {
  type Check,
  checkOptions,
  forEngine,
  isBoolean,
  isCount,
  isFunction,
  isNumber,
  isPause,
  isString,
  isTimeout,
  type ShapeOf,
} from '../values/option-checks'
import { isName } from '../values/socket-names'
import { isLoopback } from './pages'
import { METRICS_PATH, MONITOR_PATH } from './paths'
import { isToldOfConnections, isToldOfSubscriptions } from './told'
import { isUpstream, upstreamSettings, visibleUpstream } from './upstream'

export type AddressParts = Pick<
  NonNullable<ReturnType<ConatServer['address']>>,
  'address' | 'family' | 'port'
>

const isPort: Check = (name, value) => {
  if (value === null) return
  isNumber(name, value)
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff) return
  throw outOfRange(name, 'an integer from 0 to 65535, or null', value as number)
}

const isMode: Check = (name, value) => {
  isNumber(name, value)
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0o777) return
  throw outOfRange(name, 'permissions from 0 to 0o777', value as number)
}

const isStrings: Check = (name, value) => {
  if (!Array.isArray(value)) throw invalidType(name, 'an array of strings', value)
  for (const [index, item] of value.entries()) isString(`${name}[${index}]`, item)
}

/** What a page sends as `Origin`, to the letter. */
const isOrigins: Check = (name, value) => {
  isStrings(name, value)
  for (const [index, origin] of (value as string[]).entries()) {
    if (isOrigin(origin)) continue
    throw invalidValue(`${name}[${index}]`, "an origin such as 'https://app.example'", origin)
  }
}

function isOrigin(text: string): boolean {
  if (text === 'null') return true
  if (!/^[a-z][a-z\d+.-]*:\/\/[^\s/?#,*]+$/.test(text) || !URL.canParse(text)) return false
  const { origin } = new URL(text)
  // Of schemes that are not of the web the platform knows no origin.
  return origin === text || origin === 'null'
}

const isHosts: Check = (name, value) => {
  isStrings(name, value)
  for (const [index, host] of (value as string[]).entries()) {
    if (isIP(host) !== 0 || /^(\[[\da-f:.]+\]|[^\s/:,*]+)$/i.test(host)) continue
    throw invalidValue(`${name}[${index}]`, 'a name without a port', host)
  }
}

/** An address or a name; what looks like an address is one. Whether a name is known, only a start shows. */
const isHost: Check = (name, value) => {
  isString(name, value)
  const host = value as string
  const isName = /^[^\s/:.[\]]+(\.[^\s/:.[\]]+)*\.?$/.test(host) && !/^(\d+\.){3,}\d+$/.test(host)
  if (isIP(host) !== 0 || isName) return
  throw invalidValue(name, "an IP address or a name, such as '127.0.0.1'", host)
}

/** Addresses, networks and names, as the engine reads them. */
const isProxies: Check = (name, value) => {
  isStrings(name, value)
  for (const [index, proxy] of (value as string[]).entries()) {
    if (proxy === 'loopback' || proxy === 'unix') continue
    const [address, prefix, ...rest] = proxy.split('/') as [string, string?, ...string[]]
    const bits = isIP(address) === 6 ? 128 : 32
    const isNetwork = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
    if (isIP(address) !== 0 && !address.includes('%') && isNetwork && rest.length === 0) continue
    const what = "an address, a network such as '10.0.0.0/8', 'loopback' or 'unix'"
    throw invalidValue(`${name}[${index}]`, what, proxy)
  }
}

const isForwardedField: Check = (name, value) => {
  isString(name, value)
  if (value === 'x-forwarded-for' || value === 'forwarded') return
  throw invalidValue(name, "'x-forwarded-for' or 'forwarded'", value)
}

const isHttpServer: Check = (name, value) => {
  if (!(value instanceof EventEmitter) || !('listening' in value))
    throw invalidType(name, 'a server of node:http or node:https', value)
}

export const METRICS_SHAPE = {
  token: { check: isToken },
  port: { check: isPort },
  host: { check: isHost, default: '127.0.0.1' },
} as const satisfies ShapeOf<MetricsOptions>

function isToken(name: string, value: unknown): void {
  isString(name, value)
  if (!/^[\x21-\x7e]{16,1024}$/.test(value as string))
    throw new FabricError(
      `${name} must have 16 to 1024 visible characters, none of them a space`,
      'ERR_INVALID_ARG_VALUE',
    )
}

export const MONITOR_SHAPE = {
  password: { check: isPassword },
  history: { check: isHistory, unit: 'ms', default: 600_000 },
  actions: { check: isBoolean, default: false },
} as const satisfies ShapeOf<MonitorOptions>

function isPassword(name: string, value: unknown): void {
  isString(name, value)
  const bytes = Buffer.byteLength(value as string)
  if (bytes < 8 || bytes > 256)
    throw new FabricError(`${name} must have 8 to 256 bytes`, 'ERR_INVALID_ARG_VALUE')
}

function isHistory(name: string, value: unknown): void {
  isTimeout(name, value)
  if ((value as number) > DAY) throw outOfRange(name, `at most ${DAY}`, value as number)
}

const DAY = 86_400_000

function isMonitor(name: string, value: unknown): void {
  if (typeof value === 'boolean') return
  if (value === null || typeof value !== 'object') throw invalidType(name, 'a boolean or an object', value)
  checkOptions(name, value, MONITOR_SHAPE)
}

/** Returns how the monitor is reached, if there is one. */
function monitorOptions(options: ServerOptions): MonitorOptions | undefined {
  const { monitor, host = SERVER_SHAPE.host.default, httpServer, socketPath, upstream } = options
  if (monitor === undefined || monitor === false) return undefined
  const settings = monitor === true ? {} : monitor
  const isLocal = Boolean(httpServer) || socketPath !== undefined || host === 'localhost' || isLoopback(host)
  if (settings.password === undefined && (!isLocal || upstream !== undefined)) {
    throw new FabricError(
      'init: monitor needs a password unless the broker listens on loopback, and is no gateway',
      'ERR_INVALID_ARG_VALUE',
    )
  }
  if (settings.actions === true && settings.password === undefined) {
    throw new FabricError('init: actions of the monitor need a password', 'ERR_INVALID_ARG_VALUE')
  }
  return settings
}

function isMetrics(name: string, value: unknown): void {
  if (typeof value === 'boolean') return
  if (value === null || typeof value !== 'object') throw invalidType(name, 'a boolean or an object', value)
  checkOptions(name, value, METRICS_SHAPE)
}

/** Returns how metrics are told over HTTP, if they are. */
function metricsOptions(options: ServerOptions): MetricsOptions | undefined {
  const { metrics, httpServer, socketPath, host = SERVER_SHAPE.host.default } = options
  if (metrics === undefined || metrics === false) return undefined
  const settings = metrics === true ? {} : metrics
  const { port, token } = settings
  if (port == null && (httpServer || (socketPath === undefined && portOf(options) === null))) {
    const text =
      'init: metrics needs a port of its own where the broker has none; with an httpServer, answer with formatMetrics(processMetrics())'
    throw new FabricError(text, 'ERR_INVALID_ARG_VALUE')
  }
  if (port != null && port !== 0 && !httpServer && socketPath === undefined && port === portOf(options)) {
    throw new FabricError(
      'init: the port of metrics is that of the broker: leave it out, and the broker answers there',
      'ERR_INVALID_ARG_VALUE',
    )
  }
  const open = port == null ? host : (settings.host ?? METRICS_SHAPE.host.default)
  const isLocal = open === 'localhost' || isLoopback(open) || (port == null && socketPath !== undefined)
  if (token === undefined && !isLocal) {
    throw new FabricError(
      `init: metrics needs a token unless it is asked for on loopback, and not on '${open}'`,
      'ERR_INVALID_ARG_VALUE',
    )
  }
  return settings
}

const isFile: Check = (name, value) => {
  isString(name, value)
  if (value === '') throw invalidValue(name, 'a path', value)
}

export const SERVER_SHAPE = {
  port: { check: isPort, default: 3000, engine: true },
  host: { check: isHost, default: '127.0.0.1', engine: true },
  id: { check: isName, default: '0', engine: true },
  path: { check: isString, default: '/conat', engine: true },
  maxSubscriptionsPerClient: { check: isCount, default: 500, engine: true, limit: true },
  maxSubscriptionsPerHub: { check: isCount, default: 15_000, engine: true, limit: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxConnections: { check: isCount, default: 10_000, engine: true, limit: true },
  maxConnectionsPerUser: { check: isCount, default: 100, engine: true, limit: true },
  maxMemoryBytes: { check: isCount, default: 2 * 1024 ** 3, engine: true, limit: true },
  maxMemoryBytesPerUser: { check: isCount, default: 512 * 1024 ** 2, engine: true, limit: true },
  maxMemoryBytesPerConnection: { check: isCount, default: 128 * 1024 ** 2, engine: true, limit: true },
  clusterName: { check: isName, engine: true },
  upstream: isUpstream,
  ssl: isSsl,
  httpServer: isHttpServer,
  metrics: { check: isMetrics, default: false },
  monitor: { check: isMonitor, default: false },
  socketPath: { check: isFile, engine: true },
  socketMode: { check: isMode, default: 0o600, engine: true },
  allowedOrigins: { check: isOrigins, engine: true },
  allowedHosts: { check: isHosts, engine: true },
  handshakeTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: true, limit: true },
  messageTimeout: { check: isTimeout, unit: 'ms', default: 30_000, engine: true, limit: true },
  maxHandshakes: { check: isCount, default: 1000, engine: true, limit: true },
  maxHandshakesPerAddress: { check: isCount, engine: true, limit: true },
  trustedProxies: { check: isProxies, engine: true },
  forwardedField: { check: isForwardedField, default: 'x-forwarded-for', engine: true },
  getUser: isFunction,
  isAllowed: isFunction,
  systemAccountPassword: isCookieValue,
  signInTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: 'authority', limit: true },
  permissionTimeout: { check: isTimeout, unit: 'ms', default: 10_000, engine: 'authority', limit: true },
  permissionCache: { check: isPause, unit: 'ms', default: 1000, engine: 'authority', limit: true },
} as const satisfies ShapeOf<ServerOptions>

/** Those that may change while the broker runs. */
export const LIMITS_SHAPE = {
  maxConnections: SERVER_SHAPE.maxConnections,
  maxConnectionsPerUser: SERVER_SHAPE.maxConnectionsPerUser,
  maxSubscriptionsPerClient: SERVER_SHAPE.maxSubscriptionsPerClient,
  maxSubscriptionsPerHub: SERVER_SHAPE.maxSubscriptionsPerHub,
  maxMemoryBytes: SERVER_SHAPE.maxMemoryBytes,
  maxMemoryBytesPerUser: SERVER_SHAPE.maxMemoryBytesPerUser,
  maxMemoryBytesPerConnection: SERVER_SHAPE.maxMemoryBytesPerConnection,
} as const satisfies ShapeOf<LimitChanges>

/** Returns whether the broker must call `getUser`. */
export function hasAuthorizer(options: ServerOptions): boolean {
  return (options.getUser ?? options.isAllowed ?? options.systemAccountPassword) !== undefined
}

/** Returns the port to listen on: the default only if no other option says where to listen. */
function portOf(options: ServerOptions): number | null {
  const { httpServer, socketPath, port, ssl } = options
  const elsewhere = httpServer ? 'httpServer' : socketPath === undefined ? undefined : 'socketPath'
  if (elsewhere === undefined) return port === undefined ? SERVER_SHAPE.port.default : port
  // Where an HTTP server listens, its owner knows: programs for Conat name that port here, too.
  if (!httpServer && port !== undefined && port !== null) throw contradiction('socketPath and port')
  if (httpServer && socketPath !== undefined) throw contradiction('httpServer and socketPath')
  if (typeof ssl === 'object') throw contradiction(`${elsewhere} and certificates in ssl`)
  return null
}

function contradiction(what: string): FabricError {
  return new FabricError(`init: ${what} exclude each other`, 'ERR_INVALID_ARG_VALUE')
}

/** How often clients tell of their sockets, in ms. */
const REPORT_INTERVAL = 5000

/** The options of a broker in the forms that its parts need. */
export interface PreparedOptions {
  /** As the application can see them. */
  readonly visible: ServerOptions
  readonly metrics: MetricsOptions | undefined
  readonly monitor: MonitorOptions | undefined
  /** Those of `brokerOpen`. */
  readonly engine: string
}

/** Checks the options of a broker, each and together. */
export function prepareOptions(options: ServerOptions): PreparedOptions {
  checkOptions('init', options, SERVER_SHAPE)
  const visible = visibleOptions(options)
  const [metrics, monitor] = [metricsOptions(options), monitorOptions(options)]
  const { ssl, upstream } = options
  const engine = brokerSettings({ ...options, ...visible, ssl, upstream }, metrics, monitor !== undefined)
  return { visible, metrics, monitor, engine }
}

function brokerSettings(
  options: ServerOptions,
  metrics: MetricsOptions | undefined,
  hasMonitor: boolean,
): string {
  const { ssl, httpServer } = options
  if (ssl === true && !httpServer) {
    throw new FabricError(
      'init: ssl needs key and cert, or an httpServer that has them',
      'ERR_INVALID_ARG_VALUE',
    )
  }
  const tls = typeof ssl === 'object' ? serverSettings(ssl) : undefined
  const authority = hasAuthorizer(options)
    ? {
        asksUser: true,
        asksPermission: options.isAllowed !== undefined,
        guardsSystem: options.systemAccountPassword !== undefined,
        ...forEngine(options, SERVER_SHAPE, 'authority'),
      }
    : undefined
  const pages = [
    ...(metrics !== undefined && metrics.port == null ? [METRICS_PATH] : []),
    ...(hasMonitor ? [`${MONITOR_PATH}/*`] : []),
  ]
  const upstream = options.upstream === undefined ? undefined : upstreamSettings(options.upstream)
  const watched = hasMonitor || isToldOfConnections()
  const subscriptionsWatched = isToldOfSubscriptions()
  const isLookedInto = hasMonitor || options.systemAccountPassword !== undefined
  const reportInterval = isLookedInto ? REPORT_INTERVAL : undefined
  const own = { tls, authority, upstream, pages, watched, subscriptionsWatched, reportInterval }
  return JSON.stringify({ ...forEngine(options, SERVER_SHAPE), ...own })
}

/** Returns the options as the application can see them, with defaults and without passwords and keys. */
function visibleOptions(options: ServerOptions): ServerOptions {
  const { systemAccountPassword: _, ssl, upstream, metrics, monitor, ...visible } = options
  const shown = ssl === undefined ? visible : { ...visible, ssl: Boolean(ssl) }
  return {
    ...shown,
    ...(metrics === undefined ? {} : { metrics: metrics !== false }),
    ...(monitor === undefined ? {} : { monitor: monitor !== false }),
    ...(upstream === undefined ? {} : { upstream: visibleUpstream(upstream) }),
    id: options.id ?? SERVER_SHAPE.id.default,
    port: portOf(options),
    path: options.path ?? SERVER_SHAPE.path.default,
  }
}
