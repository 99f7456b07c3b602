// What is known of the options of datagrams, and their check. __test__/package/options.spec.ts compares the contract with
// it.
import type { DatagramBindOptions, SocketOptions } from '../../types/dgram'
import { argType, argValue, coded, outOfRange } from '../net/errors'
import { checkSubject } from '../net/options'
import type { Check, Option, Shape, ShapeOf } from '../values/option-checks'
import { bufferSizeError } from './errors'

/** Of either direction. */
export const BUFFER_BYTES = 1024 * 1024

/** What a system takes for a size. */
const MAX_BUFFER_BYTES = 2 ** 31 - 1
const MAX_U32 = 0xffffffff

/** Checked where it is used. */
const isAnything: Check = () => {}

const isString: Check = (name, value) => {
  if (typeof value !== 'string') throw argType(name, 'of type string', value)
}

const isQueue: Check = (name, value) => {
  isString(name, value)
  if (value === '') throw argValue(name, value, 'is empty')
}

/** As Node's: what is 0 or the like is none. */
const isSize: Check = (name, value) => {
  if (!value) return
  if (typeof value !== 'number') throw argType(name, 'of type number', value)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value)
  if (value < 0 || value > MAX_U32) throw outOfRange(name, `>= 0 && <= ${MAX_U32}`, value)
}

const isSignal: Check = (name, value) => {
  if (typeof value === 'object' && value !== null && 'aborted' in value) return
  throw argType(name, 'an instance of AbortSignal', value)
}

const isFunction: Check = (name, value) => {
  if (typeof value !== 'function') throw argType(name, 'of type function', value)
}

const isPlace: Check = (_name, value) => {
  if (value !== null && value !== '') checkSubject('subject', value)
}

export const SOCKET_SHAPE = {
  type: isAnything,
  reuseAddr: { check: isAnything, default: false },
  recvBufferSize: { check: isSize, default: BUFFER_BYTES },
  sendBufferSize: { check: isSize, unit: 'bytes', default: BUFFER_BYTES },
  lookup: isFunction,
  signal: isSignal,
  client: isAnything,
} as const satisfies ShapeOf<SocketOptions>

export const BIND_SHAPE = {
  subject: isPlace,
  exclusive: isAnything,
  queue: isQueue,
} as const satisfies ShapeOf<DatagramBindOptions>

/** Checks the known options; `undefined` counts as absent. */
export function checkDatagramOptions(options: object, shape: Shape): void {
  for (const [name, option] of Object.entries(shape) as [string, Option | Check][]) {
    const value = (options as Record<string, unknown>)[name]
    if (value === undefined) continue
    const check = typeof option === 'function' ? option : option.check
    // As Node names it.
    check(name === 'lookup' ? name : `options.${name}`, value)
  }
}

/** Returns a size that a setter was given. */
export function sizeOf(size: unknown, isReceive: boolean): number {
  if (typeof size === 'number' && Number.isInteger(size) && size > 0 && size <= MAX_U32) {
    if (size > MAX_BUFFER_BYTES) throw bufferSizeError(isReceive, 'EINVAL')
    return size
  }
  throw coded(new TypeError('Buffer size must be a positive integer'), 'ERR_SOCKET_BAD_BUFFER_SIZE')
}
