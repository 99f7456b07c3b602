// Checks options: unknown names and wrong types are refused. Defaults are in engine/defaults.ts.
import { checkEncoding } from './codec'
import { FabricError, invalidType, outOfRange } from './errors'
import { isUint8Array } from './platform'

const MAX_U32 = 0xffffffff
/** The longest delay of a timer of Node.js, in ms. */
const MAX_DURATION = 0x7fffffff

export type Check = (name: string, value: unknown) => void
export type Shape = Readonly<Record<string, Check>>
/** A check for every option of the contract, and for nothing else. */
export type ShapeOf<Options> = { readonly [Name in keyof Options]-?: Check }

function typed(wanted: string, is: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (!is(value)) throw invalidType(name, wanted, value)
  }
}

export const isString: Check = typed('a string', value => typeof value === 'string')
export const isBoolean: Check = typed('a boolean', value => typeof value === 'boolean')
export const isFunction: Check = typed('a function', value => typeof value === 'function')

export const isNumber: Check = (name, value) => {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value)
  if (!Number.isFinite(value)) throw outOfRange(name, 'finite', value)
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

/**
 * Throws if `options` is not a plain object, or has unknown names or wrong values. `undefined` counts as
 * absent.
 */
export function checkOptions(where: string, options: object | undefined, shape: Shape): void {
  if (options === undefined) return
  if (options === null || typeof options !== 'object')
    throw invalidType(`${where} options`, 'an object', options)
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(shape, name)) {
      throw new FabricError(`${where} has no option '${name}'`, 'ERR_UNKNOWN_OPTION')
    }
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) (shape[name] as Check)(name, value)
  }
}

/** Returns those of the named options that were given, as JSON for the engine. */
export function pick(options: object, names: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {}
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined) picked[name] = value
  }
  return picked
}
