// What calls are given: option bags, ports and hosts, subjects. Unknown options are ignored: libraries pass their own.
import type { DuplexOptions } from 'node:stream'
import type {
  ConnectOptions,
  NetOptions,
  Resolve,
  ResolveTarget,
  ServerOptions,
  SocketOptions,
} from '../../types/net'
import { Client } from '../client/client'
import { getClient } from '../client/connect'
import { native } from '../engine/native'
import { isValidSubjectWithoutWildcards } from '../values/subjects'
import { argType, argValue, missingArgs, noSubject, outOfRange } from './errors'

/** Bytes that may be under way. */
export const WINDOW = 1024 * 1024
/** Messages that may be under way: the bound of the memory that tiny ones take beside their bytes. */
export const MAX_MESSAGES = 16_384
/** Bytes of a message that comes: those of this version have 64 KiB. */
export const MAX_MESSAGE_BYTES = 128 * 1024
export const LINGER = 60_000
export const CONNECT_TIMEOUT = 30_000
export const ACCEPT_TIMEOUT = 10_000
export const BACKLOG = 511
/** A listen that nobody confirms. */
export const LISTEN_TIMEOUT = 60_000
/** Milliseconds for somebody who listens already to say so. */
export const TAKEN_TIMEOUT = 1000
/** The target of `expose` to be connected. */
export const DIAL_TIMEOUT = 10_000
const STREAM_OPTIONS = [
  'readable',
  'writable',
  'captureRejections',
  'highWaterMark',
  'readableHighWaterMark',
  'writableHighWaterMark',
  'encoding',
  'defaultEncoding',
] as const
/** The longest that a timer of Node.js runs. */
export const MAX_TIMER = 2 ** 31 - 1

/** Returns the client of a call, of its module, or of the process. */
export function clientOf(options: NetOptions | undefined): Client {
  const client = options?.client as Client | undefined | null
  if (client == null) return getClient()
  if (!(client instanceof Client)) throw argType('options.client', 'an instance of Client', client)
  return client
}

/** `subject` and 26 characters that nobody has chosen yet. */
export function freeSubject(prefix: string): string {
  let rest = BigInt(
    `0x${native.randomId().replace(/[^0-9a-f]/gi, '')}${native.randomId().replace(/[^0-9a-f]/gi, '')}`,
  )
  let name = ''
  for (let i = 0; i < 26; i++) {
    name += Number(rest % 36n).toString(36)
    rest /= 36n
  }
  return `${prefix}.${name}`
}

/** Where a connect goes. */
export type Target =
  | { readonly subject: string }
  | { readonly resolve: Resolve; readonly given: ResolveTarget }

/** Splits what `connect` was called with. */
export function connectArguments(args: readonly unknown[]): {
  options: ConnectOptions
  listener: (() => void) | undefined
} {
  const last = args[args.length - 1]
  const listener = typeof last === 'function' ? (last as () => void) : undefined
  const given = listener === undefined ? args : args.slice(0, -1)
  if (given.length === 0) throw missingArgs('options', 'subject')
  const [first, second, third] = given
  if (typeof first === 'string') {
    const options = typeof second === 'object' && second !== null ? second : {}
    return { options: { ...options, subject: first }, listener }
  }
  if (typeof first === 'number') {
    const host = typeof second === 'string' ? second : undefined
    const options = (host === undefined ? second : third) as object | undefined
    return { options: { ...options, port: first, host } as ConnectOptions, listener }
  }
  if (first === undefined) throw missingArgs('options', 'subject')
  if (typeof first !== 'object' || first === null) throw argType('subject', 'of type string', first)
  return { options: { ...first }, listener }
}

/** Returns where to, of `options` or, with priority, of `own`. */
export function targetOf(options: ConnectOptions, own: SocketOptions): Target {
  const subject = own.subject ?? options.subject
  if (subject !== undefined) {
    checkSubject('subject', subject)
    return { subject }
  }
  const { host, port, path } = options as ResolveTarget
  if (host == null && port == null && path == null) throw missingArgs('options', 'subject')
  const resolve = options.resolve ?? own.resolve
  if (resolve === undefined) throw noSubject(port ?? path ?? host)
  if (typeof resolve !== 'function') throw argType('options.resolve', 'of type function', resolve)
  const given: ResolveTarget = {}
  if (host != null) given.host = host
  if (port != null) given.port = port
  if (path != null) given.path = path
  return { resolve, given }
}

/** Checks a subject to connect or send to. */
export function checkSubject(name: string, subject: unknown): asserts subject is string {
  if (typeof subject !== 'string') throw argType(name, 'of type string', subject)
  if (!isPlace(subject)) throw argValue(name, subject)
}

/** Returns whether one can connect or send to a subject. */
export function isPlace(subject: string): boolean {
  // Tokens are appended to it, an id among them.
  const longest = `${subject}.server.${'0'.repeat(36)}.${'0'.repeat(36)}`
  return isValidSubjectWithoutWildcards(subject) && isValidSubjectWithoutWildcards(longest)
}

/** Options over those that hold without them. What is undefined or `null` takes nothing away. */
export function joinedOptions<Base extends object, Given extends object>(
  base: Base,
  given: Given,
): Base & Given {
  const set = Object.entries(given).filter(([, value]) => value !== undefined && value !== null)
  return { ...given, ...base, ...Object.fromEntries(set) }
}

/** What of an option bag is a stream's, and checked by it. */
export function streamOptions(options: SocketOptions): DuplexOptions {
  const all = options as Record<string, unknown>
  return Object.fromEntries(STREAM_OPTIONS.filter(name => all[name] != null).map(name => [name, all[name]]))
}

/** Checks the milliseconds of a timer, as Node does. */
export function timerDuration(ms: unknown, name: string): number {
  if (typeof ms !== 'number') throw argType(name, 'of type number', ms)
  if (ms < 0 || !Number.isFinite(ms)) throw outOfRange(name, 'a non-negative finite number', ms)
  return Math.min(ms, MAX_TIMER)
}

/** The options of the fabric's socket below. */
export function sessionOptions(options: ServerOptions & ConnectOptions): {
  maxQueueBytes: number
  maxQueueSize: number
  keepAlive?: number
  maxMessageBytes: number
  keepAliveTimeout?: number
  resumeTimeout?: number
} {
  const { window, sessionKeepAlive, sessionKeepAliveTimeout, resumeTimeout } = options
  return {
    maxQueueBytes: window ?? WINDOW,
    maxQueueSize: MAX_MESSAGES,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    ...(sessionKeepAlive == null ? {} : { keepAlive: sessionKeepAlive }),
    ...(sessionKeepAliveTimeout == null ? {} : { keepAliveTimeout: sessionKeepAliveTimeout }),
    ...(resumeTimeout == null ? {} : { resumeTimeout }),
  }
}

/** What a transport is told of the options. */
export function transportOptions({ window, linger }: NetOptions): { window: number; linger: number } {
  return { window: window ?? WINDOW, linger: linger ?? LINGER }
}
