// What is known of the options of calls, and their check, with Node's errors. __test__/package/options.spec.ts compares
// the contract with it.
import type { AgentOptions as HttpAgentOptions } from 'node:http'
import { isIP } from 'node:net'
import type {
  AgentOptions,
  ConnectOptions,
  ExposeOptions,
  ForwardOptions,
  ListenOptions,
  NetOptions,
  ServerOptions,
  SocketOptions,
} from '../../types/net'
import { LISTEN_SHAPE as SESSION_SHAPE } from '../socket/options'
import type { Check, Option, ShapeOf } from '../values/option-checks'
import { argType, argValue, coded, outOfRange } from './errors'
import { ACCEPT_TIMEOUT, BACKLOG, CONNECT_TIMEOUT, DIAL_TIMEOUT, LINGER, MAX_TIMER, WINDOW } from './options'

const MAX_U32 = 0xffffffff

/** Checked where it is used, or by Node. */
const isAnything: Check = () => {}

const isFunction: Check = (name, value) => {
  if (typeof value !== 'function') throw argType(name, 'of type function', value)
}

const isNumber: Check = (name, value) => {
  if (typeof value !== 'number') throw argType(name, 'of type number', value)
}

/** Clients of Node's own net give numbers, and it takes them. */
const isFlag: Check = (name, value) => {
  if (typeof value === 'string' || typeof value === 'function') throw argType(name, 'of type boolean', value)
}

function inRange(least: number, most: number): Check {
  return (name, value) => {
    if (typeof value !== 'number') throw argType(name, 'of type number', value)
    if (!(value >= least && value <= most)) throw outOfRange(name, `>= ${least} && <= ${most}`, value)
  }
}

const isTime = inRange(0, MAX_TIMER)

const isCount: Check = (name, value) => {
  inRange(1, MAX_U32)(name, value)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value as number)
}

/** Milliseconds; none has no meaning. */
const isPositiveTime: Check = (name, value) => {
  isTime(name, value)
  if (value === 0) throw outOfRange(name, `> 0 && <= ${MAX_TIMER}`, 0)
}

const isWait: Check = (name, value) => {
  if (typeof value === 'boolean') return
  if (typeof value !== 'number') throw argType(name, 'of type boolean or number', value)
  isTime(name, value)
}

export const NET_SHAPE = {
  client: isAnything,
  resolve: isFunction,
  window: { check: isCount, unit: 'bytes', default: WINDOW },
  linger: { check: isTime, unit: 'ms', default: LINGER },
  sessionKeepAlive: { check: isTime, unit: 'ms', default: SESSION_SHAPE.keepAlive.default },
  sessionKeepAliveTimeout: {
    check: isPositiveTime,
    unit: 'ms',
    default: SESSION_SHAPE.keepAliveTimeout.default,
  },
  resumeTimeout: { check: isPositiveTime, unit: 'ms' },
} as const satisfies ShapeOf<NetOptions>

export const SOCKET_SHAPE = {
  ...NET_SHAPE,
  // The stream checks it.
  highWaterMark: isAnything,
  signal: isAnything,
  subject: isAnything,
  allowHalfOpen: { check: isFlag, default: false },
  readable: { check: isAnything, default: true },
  writable: isAnything,
  captureRejections: { check: isAnything, default: false },
  onread: isAnything,
} as const satisfies ShapeOf<SocketOptions>

export const CONNECT_SHAPE = {
  ...SOCKET_SHAPE,
  wait: { check: isWait, unit: 'ms', default: false },
  connectTimeout: { check: isTime, unit: 'ms', default: CONNECT_TIMEOUT },
  timeout: { check: isAnything, unit: 'ms' },
  loadBalancer: isFunction,
} as const satisfies ShapeOf<ConnectOptions>

/** Of the fabric's listener below a server. Agents of Node's http have an option of the same name. */
const LISTENER_SHAPE = {
  maxSockets: { check: isCount, default: SESSION_SHAPE.maxSockets.default },
  maxSocketsPerUser: { check: isCount, default: SESSION_SHAPE.maxSocketsPerUser.default },
} as const

export const SERVER_SHAPE = {
  ...NET_SHAPE,
  ...LISTENER_SHAPE,
  allowHalfOpen: { check: isFlag, default: false },
  pauseOnConnect: { check: isFlag, default: false },
  highWaterMark: isNumber,
  noDelay: isAnything,
  keepAlive: isAnything,
  keepAliveInitialDelay: isTime,
  accept: isFunction,
  acceptTimeout: { check: isTime, unit: 'ms', default: ACCEPT_TIMEOUT },
  captureRejections: isAnything,
} as const satisfies ShapeOf<ServerOptions>

export const LISTEN_SHAPE = {
  client: isAnything,
  ...LISTENER_SHAPE,
  subject: isAnything,
  backlog: { check: isAnything, default: BACKLOG },
  reusePort: { check: isAnything, default: false },
  exclusive: isAnything,
  signal: isAnything,
} as const satisfies ShapeOf<ListenOptions>

const { subject: _1, exclusive: _2, ...SERVED } = LISTEN_SHAPE

export const EXPOSE_SHAPE = {
  ...SERVER_SHAPE,
  ...SERVED,
  connectTimeout: { check: isTime, unit: 'ms', default: DIAL_TIMEOUT },
  acceptTimeout: { check: isTime, unit: 'ms', default: 0 },
  maxConnections: isAnything,
  allow: isFunction,
} as const satisfies ShapeOf<ExposeOptions>

export const FORWARD_SHAPE = {
  ...CONNECT_SHAPE,
  maxConnections: isAnything,
} as const satisfies ShapeOf<ForwardOptions>

/** Beside the options of Node's own agent. */
export const AGENT_SHAPE = {
  client: isAnything,
  resolve: isFunction,
  subject: isAnything,
  tls: { check: isAnything, default: false },
} as const satisfies ShapeOf<Omit<AgentOptions, keyof HttpAgentOptions>>

const ALL: Readonly<Record<string, Option | Check>> = Object.fromEntries(
  Object.entries({ ...EXPOSE_SHAPE, ...FORWARD_SHAPE }).filter(([name]) => !(name in LISTENER_SHAPE)),
)
/** Of Node's own connects. They have no effect here. */
const NODE_CONNECT: Readonly<Record<string, Check>> = {
  localAddress: (_name, value) => {
    if (value && !isIP(String(value))) {
      throw coded(new TypeError(`Invalid IP address: ${value}`), 'ERR_INVALID_IP_ADDRESS')
    }
  },
  localPort: isNumber,
  autoSelectFamily: (name, value) => {
    if (typeof value !== 'boolean') throw argType(name, 'of type boolean', value)
  },
  autoSelectFamilyAttemptTimeout: inRange(1, MAX_TIMER),
  lookup: isFunction,
}
const OBJECT_MODES = ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const

/**
 * Checks the known options of any call; libraries pass others along, and those of another call. `null` counts as
 * absent.
 */
export function checkNetOptions(options: object): void {
  checkThose(options, ALL)
  const all = options as Record<string, unknown>
  for (const name of OBJECT_MODES) {
    if (all[name]) throw argValue(`options.${name}`, all[name], 'is not supported')
  }
}

/** The same of what makes a server, or has it listen. */
export function checkServerOptions(options: object): void {
  checkNetOptions(options)
  checkThose(options, LISTENER_SHAPE)
}

/** Checks what only `connect` of Node knows. */
export function checkConnectOptions(options: object): void {
  checkThose(options, NODE_CONNECT)
}

function checkThose(options: object, shape: Readonly<Record<string, Option | Check>>): void {
  for (const [name, option] of Object.entries(shape)) {
    const value = (options as Record<string, unknown>)[name]
    if (value === undefined || value === null) continue
    const check = typeof option === 'function' ? option : option.check
    check(`options.${name}`, value)
  }
}
