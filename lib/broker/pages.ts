// Pages at a broker's port: how they are asked for, who may ask, and an answer as it stands on the wire.
import { createHash, timingSafeEqual } from 'node:crypto'

export interface PageRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[]
  /** Empty over a Unix socket. */
  readonly address: string
  /** At most 1 KiB. */
  readonly body: string
}

export interface PageResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** What proxies add; beside them whatever begins with `x-forwarded-`. */
const PROXY_HEADERS: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
])

/**
 * Returns whether this machine asks: by the connection, by its name, and with nobody in between. A proxy on this
 * machine that rewrites `Host` to a loopback name and adds nothing looks the same.
 */
export function isFromHere(request: PageRequest): boolean {
  const { address } = request
  if (request.headers.some(([name]) => PROXY_HEADERS.has(name) || name.startsWith('x-forwarded-'))) {
    return false
  }
  // Over a Unix socket the permissions of its file decide.
  if (address === '') return true
  const host = headerOf(request, 'host')?.replace(/:\d+$/, '') ?? ''
  return isLoopback(address) && (host === 'localhost' || isLoopback(host.replace(/^\[|\]$/g, '')))
}

/** Returns whether only this machine reaches an address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}

/** Returns what counts as one address: who has one of IPv6 has the 2^64 around it. */
export function networkOf(address: string): string {
  const [, v4] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (v4 !== undefined || !address.includes(':')) return v4 ?? address
  const [left = [], right = []] = address
    .split('::')
    .map(half => half.split(':').filter(group => group !== ''))
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const groups = [...left, ...zeros, ...right].slice(0, 4)
  return `${groups.map(group => Number.parseInt(group, 16)).join(':')}::`
}

export function headerOf({ headers }: PageRequest, name: string): string | undefined {
  return headers.find(([known]) => known === name)?.[1]
}

/** Returns pairs of names, in lower case, and values. */
export function headerPairs(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    pairs.push([rawHeaders[at]!.toLowerCase(), rawHeaders[at + 1]!])
  }
  return pairs
}

export function plain(status: number, body: string, headers: Record<string, string> = {}): PageResponse {
  return { status, headers: { 'Content-Type': 'text/plain', ...headers }, body }
}

/** Compares in constant time. */
export function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/** Of every answer that says nothing else. */
export const COMMON = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  Connection: 'close',
}

/** Returns a response as it stands on the wire. */
export function responseBytes({ status, headers, body }: PageResponse, isHead: boolean): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const fields = { ...COMMON, ...headers, 'Content-Length': String(bytes.length) }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = Buffer.from(`HTTP/1.1 ${status} ${TEXTS[status] ?? ''}\r\n${lines.join('')}\r\n`)
  return isHead ? head : Buffer.concat([head, bytes])
}

const TEXTS: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
}
