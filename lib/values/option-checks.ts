// Sets of options: what is known of each, and the check that refuses unknown names and wrong values.
import { checkEncoding } from './codec'
import { isRecord } from './encodable'
import { FabricError, invalidType, invalidValue, outOfRange } from './errors'
import { didYouMean } from './nearest'
import { isUint8Array } from './platform'

const MIN_MESSAGE_SIZE = 64 * 1024
const MAX_U32 = 0xffffffff
/** The longest delay of a timer of Node.js, in ms. */
const MAX_DURATION = 0x7fffffff

export type Check = (name: string, value: unknown) => void

/**
 * What is known of an option. It stands in one place, the shape of its set; __test__/package/options.spec.ts compares
 * the contract, the engine and docs/reference/limits.md with it.
 */
export interface Option {
  readonly check: Check
  /** What a number counts. Options that need no unit have none. */
  readonly unit?: 'ms' | 'bytes'
  /** What holds if it is absent: `@default` of the contract. None where the contract describes it in words. */
  readonly default?: string | number | boolean
  /** It is passed to the engine unchanged: by itself, or in the part of this name. */
  readonly engine?: true | string
  /** It is a bound, and has a row in docs/reference/limits.md. */
  readonly limit?: true
}

/** A set of options by name. One of which nothing is known but its check is that. */
export type Shape = Readonly<Record<string, Option | Check>>
/** Every option of the contract, and no other. */
export type ShapeOf<Options> = { readonly [Name in keyof Options]-?: Option | Check }

function typed(wanted: string, is: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (!is(value)) throw invalidType(name, wanted, value)
  }
}

export const isString: Check = typed('a string', value => typeof value === 'string')
export const isBoolean: Check = typed('a boolean', value => typeof value === 'boolean')
export const isFunction: Check = typed('a function', value => typeof value === 'function')

export const isFilled: Check = (name, value) => {
  isString(name, value)
  if (value === '') throw new FabricError(`${name} must not be empty`, 'ERR_INVALID_ARG_VALUE')
}

export const isNumber: Check = (name, value) => {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value)
  if (!Number.isFinite(value)) throw outOfRange(name, 'finite', value)
}

/** Bytes of one message: at least what several small ones have that travel together. */
export const isMessageSize: Check = (name, value) => {
  isNumber(name, value)
  if (Number.isSafeInteger(value) && (value as number) >= MIN_MESSAGE_SIZE) return
  throw outOfRange(name, `an integer from ${MIN_MESSAGE_SIZE} to 2^53 - 1`, value as number)
}

/** Milliseconds, more than 0. */
export const isTimeout: Check = (name, value) => {
  isNumber(name, value)
  if ((value as number) <= 0) throw mustBePositive(name, value)
  if ((value as number) > MAX_DURATION) throw outOfRange(name, `at most ${MAX_DURATION}`, value as number)
}

/** Milliseconds; 0 and less have a meaning of their own. */
export const isDuration: Check = (name, value) => {
  isNumber(name, value)
  if ((value as number) > MAX_DURATION) throw outOfRange(name, `at most ${MAX_DURATION}`, value as number)
}

/** Milliseconds, 0 or more. */
export const isPause: Check = (name, value) => {
  isDuration(name, value)
  if ((value as number) < 0) throw outOfRange(name, 'at least 0', value as number)
}

export const isCount: Check = (name, value) => {
  isNumber(name, value)
  if ((value as number) <= 0) throw mustBePositive(name, value)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value as number)
  if ((value as number) > MAX_U32) throw outOfRange(name, `at most ${MAX_U32}`, value as number)
}

export const isHeaders: Check = (name, value) => {
  if (value !== null && typeof value !== 'object') throw invalidType(name, 'an object', value)
}

export const isBytes: Check = (name, value) => {
  if (!isUint8Array(value)) throw invalidType(name, 'a Uint8Array', value)
}

export const isSignal: Check = (name, value) => {
  if (!(value instanceof AbortSignal)) throw invalidType(name, 'an AbortSignal', value)
}

export const isEncoding: Check = (_name, value) => checkEncoding(value)

function mustBePositive(name: string, value: unknown): FabricError {
  return new FabricError(`${name} must be positive, got ${String(value)}`, 'ERR_OUT_OF_RANGE')
}

function checkRecord(where: string, options: unknown): asserts options is object {
  if (options === null || typeof options !== 'object' || !isRecord(options))
    throw invalidType(`${where} options`, 'an object of names and values', options)
}

/**
 * Throws if `options` is not a plain object, or has unknown names or wrong values. `undefined` counts as
 * absent.
 */
export function checkOptions(where: string, options: object | undefined, shape: Shape): void {
  if (options === undefined) return
  checkRecord(where, options)
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(shape, name)) {
      const hint = didYouMean(name, Object.keys(shape))
      throw new FabricError(`${where} has no option '${name}'${hint}`, 'ERR_UNKNOWN_OPTION')
    }
    const value = (options as Record<string, unknown>)[name]
    if (value === undefined) continue
    const option = shape[name] as Option | Check
    const check = typeof option === 'function' ? option : option.check
    check(name, value)
  }
}

/** The same of `send`. Headers that stand alone are refused: nobody could tell them from options. */
export function checkSendOptions(options: object | undefined, shape: Shape): void {
  if (options === undefined) return
  checkRecord('send', options)
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(shape, name)) continue
    if (name === 'volatile') throw invalidValue('volatile', 'absent in send()', true)
    const hint = didYouMean(name, Object.keys(shape)) || `; headers go into { headers: { ${name} } }`
    throw new FabricError(`send has no option '${name}'${hint}`, 'ERR_UNKNOWN_OPTION')
  }
  checkOptions('send', options, shape)
}

/** Returns the given options that the engine reads unchanged: by themselves, or in `part`. */
export function forEngine(
  options: object,
  shape: Shape,
  part: true | string = true,
): Record<string, unknown> {
  const passed: Record<string, unknown> = {}
  // They are fewer than all that there are.
  for (const name of Object.keys(options)) {
    const option = shape[name]
    if (option === undefined || typeof option === 'function' || option.engine !== part) continue
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) passed[name] = value
  }
  return passed
}

/** Takes over the numbers that were given. */
export function override<T extends Record<string, number>>(numbers: T, given: Partial<T>): void {
  for (const name of Object.keys(numbers) as (keyof T)[]) {
    const value = given[name]
    if (value !== undefined) numbers[name] = value as T[keyof T]
  }
}
