// What broker and client of the original's kind say to each other, and its payloads. Written from docs of the wire alone.
import { randomBytes } from 'node:crypto'
import { encode as pack, decode as unpack } from '@msgpack/msgpack'

export type Headers = Record<string, unknown>

/** `[id, seq, done, encoding, bytes, headers?]` */
export type Chunk = [
  id: string,
  seq: number,
  done: 0 | 1,
  encoding: number,
  bytes: Uint8Array,
  headers?: Headers,
]

export interface Delivery {
  subject: string
  data: Chunk
}

/** The answer of a broker that refuses. */
export interface Refusal {
  error: string
  code?: number
}

export const CMD = 'CN-SocketCmd'
export const SEQ = 'CN-SocketSeq'
export const REPLY = 'CN-Reply'
export const ATTEMPT = 'CN-SocketConnectAttempt'

export function encode(value: unknown): Uint8Array {
  return pack(value, { ignoreUndefined: true })
}

export function decode(encoding: number, raw: Uint8Array): any {
  return encoding === 1 ? JSON.parse(Buffer.from(raw).toString('utf8')) : unpack(raw)
}

/** Ten characters, as the original's ids have. */
export function randomId(): string {
  return randomBytes(5).toString('hex')
}

export function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.')
  const given = subject.split('.')
  const isOpen = wanted.at(-1) === '>'
  const fixed = isOpen ? wanted.slice(0, -1) : wanted
  const fits = isOpen ? given.length > fixed.length : given.length === fixed.length
  return fits && fixed.every((token, i) => token === '*' || token === given[i])
}

export function isPattern(text: unknown): text is string {
  if (typeof text !== 'string') return false
  const tokens = text.split('.')
  return tokens.every((token, i) => /^\S+$/u.test(token) && (token !== '>' || i === tokens.length - 1))
}

export function isSubject(text: unknown): text is string {
  return isPattern(text) && !text.includes('*') && !text.endsWith('>')
}
