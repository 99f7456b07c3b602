// Errors as answers: an answer without data, whose headers have the text and the code of what was thrown.
import { types } from 'node:util'
import type { Headers, MessageOptions } from '../../index'
import { checkCarried } from '../values/encodable'
import { Failure } from '../values/failure'
import { anyHeadersText, replyHeadersText } from '../values/headers'
import { depthOf } from '../values/json-depth'
import type { Message } from './message'

/** Longest error text, since it is sent in the headers, which have a bound. */
const MAX_TEXT = 10_000
const MAX_CODE = 1000
/** Marks the answer that is an error, in the reserved part of its headers. */
const ERROR_HEADER = 'CN-Error'
const RESERVED = 'CN-'
/** Longest JSON of what an error says beside text and code. */
const MAX_DATA = 16_384
/** Its deepest nesting: less than headers may have. */
const MAX_DEPTH = 56

/** The code of an error that was answered without one. */
export const THROWN = 'ERR_SERVICE'

/** Headers that tell of an error. */
export interface ErrorHeaders {
  [name: string]: unknown
  error: string
  code?: string | number
}

/** Returns the headers for what was thrown, which can be anything, even an object that throws on access. */
export function errorHeaders(error: unknown): ErrorHeaders {
  try {
    const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
    const whole = typeof message === 'string' && message !== '' ? message : String(error)
    const text = whole.slice(0, MAX_TEXT) || 'error'
    const known = readCode(code)
    return known === undefined ? { error: text } : { error: text, code: known }
  } catch {
    return { error: 'what was thrown has no text' }
  }
}

/** Returns a code as it can travel in headers, which have a bound. */
export function readCode(code: unknown): string | number | undefined {
  if (typeof code === 'string') return code.slice(0, MAX_CODE) || undefined
  return typeof code === 'number' && Number.isFinite(code) ? code : undefined
}

/** The same for the answer to a request, beside the headers of the application. */
export function errorAnswerHeaders(error: unknown, own: Headers | null | undefined): Headers {
  const told = errorHeaders(error)
  const { error: message, code } = told
  const given = Object.entries(own ?? {}).filter(([name]) => !name.startsWith(RESERVED))
  return { ...Object.fromEntries(given), ...told, [ERROR_HEADER]: { message, code, data: readData(error) } }
}

/** Returns what is sent as a reply: an error travels in the headers, beside no data. */
export function replyOf<Options extends MessageOptions>(
  data: unknown,
  options: Options | undefined,
): [data: unknown, options: Options | undefined, text: typeof replyHeadersText] {
  if (!types.isNativeError(data)) return [data, options, replyHeadersText]
  const headers = errorAnswerHeaders(data, options?.headers)
  return [null, { ...options, headers } as Options, anyHeadersText]
}

/** Returns what an error has as `data`, as JSON has it; nothing if that is too long or deep, or not JSON. */
function readData(error: unknown): unknown {
  try {
    const { data } = error as { data?: unknown }
    const text = JSON.stringify(data)
    checkCarried(data, text, 'the data')
    return text.length <= MAX_DATA && depthOf(text) <= MAX_DEPTH ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}

/** Returns the error that an answer is, if it is one. */
export function answeredError(answer: Message): Failure | undefined {
  if (!answer.mayHave(ERROR_HEADER)) return undefined
  const error: unknown = answer.headers?.[ERROR_HEADER]
  if (typeof error !== 'object' || error === null) return undefined
  const { message, code, data } = error as { message?: unknown; code?: unknown; data?: unknown }
  const told = typeof message === 'string' ? message : 'error'
  return new Failure(readCode(code) ?? THROWN, told, undefined, { data })
}
