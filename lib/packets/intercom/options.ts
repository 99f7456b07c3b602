// Options of intercoms and their calls, checked.
import type { CreateIntercomOptions, IntercomOptions } from '../../../types/packets'
import { isSignal } from '../bounds'
import { badOption, unknownOption } from '../errors'

/** Milliseconds for all nodes to answer. */
export const DEFAULT_TIMEOUT = 5000
/** Calls of a node that are open, and calls that are at work on a node. */
export const DEFAULT_MAX_CALLS = 1024

type Check = readonly [wanted: string, check: (value: unknown) => boolean]

const isPositive = (value: unknown): boolean => typeof value === 'number' && value > 0
const text: Check = ['a text', value => typeof value === 'string' && value !== '']
const flag: Check = ['a boolean', value => typeof value === 'boolean']
const timeout: Check = ['a positive number', isPositive]
const signal: Check = ['an AbortSignal', isSignal]

const CREATE: Readonly<Record<string, Check>> = {
  cluster: text,
  node: text,
  timeout,
  maxCalls: ['a positive integer', value => isPositive(value) && Number.isInteger(value)],
  signal,
}
const CALL: Readonly<Record<string, Check>> = { timeout, partial: flag, failFast: flag, signal }

export function checkIntercomOptions(options: CreateIntercomOptions): void {
  checkAll(options, CREATE)
}

export function checkCallOptions(options: IntercomOptions): void {
  checkAll(options, CALL)
}

function checkAll(options: object, checks: Readonly<Record<string, Check>>): void {
  for (const [name, value] of Object.entries(options)) {
    const found = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (found === undefined) throw unknownOption(name, Object.keys(checks))
    const [wanted, check] = found
    if (value !== undefined && !check(value))
      throw badOption(`${name} must be ${wanted}`, 'ERR_INVALID_ARG_VALUE')
  }
}
