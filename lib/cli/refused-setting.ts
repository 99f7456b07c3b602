// Which value of a config file, or which argument, an option of a broker comes from that is refused.
import type { ServerOptions } from '../../index'
import type { Path } from '../config/jsonc'
import { ConatServer } from '../index'
import { textOf } from './failure'

/** Where a setting comes from. */
export interface Origin {
  /** The setting, as `init` calls it: `ssl`, `key`. */
  readonly setting: Path
  /** Returns the error that names the place. */
  error(text: string): Error
}

/** Throws what the broker would refuse, with the place of what is to blame. */
export function checkSettings(settings: ServerOptions, origins: readonly Origin[]): void {
  const refusal = refusalOf(settings)
  if (refusal === undefined) return
  throw originOf(refusal, settings, origins)?.error(textOf(refusal).replace(/^init: /, '')) ?? refusal
}

function refusalOf(settings: ServerOptions): unknown {
  try {
    ConatServer.check(settings)
    return undefined
  } catch (error) {
    return error
  }
}

/**
 * Returns the origin without which the broker would not say that: rather one whose name it says, and what is inside another
 * one; else one without which it would say nothing.
 */
function originOf(refusal: unknown, settings: ServerOptions, origins: readonly Origin[]): Origin | undefined {
  const text = textOf(refusal)
  let best: Origin | undefined
  let most: readonly number[] = []
  for (const origin of origins) {
    const rest = refusalOf(without(settings, origin.setting) as ServerOptions)
    if (rest !== undefined && textOf(rest) === text) continue
    const name = origin.setting.filter(step => typeof step === 'string').at(-1)!
    const isNamed = new RegExp(`\\b${name}\\b`).test(text)
    const isAll = rest === undefined ? 1 : 0
    const rank = isNamed ? [1, origin.setting.length, isAll] : [0, isAll, origin.setting.length]
    if (best !== undefined && !isMore(rank, most)) continue
    most = rank
    best = origin
  }
  return best
}

function isMore(rank: readonly number[], other: readonly number[]): boolean {
  const at = rank.findIndex((step, index) => step !== other[index])
  return at >= 0 && rank[at]! > other[at]!
}

/** Returns a copy that lacks the value at a path. */
function without(value: unknown, [step, ...rest]: Path): unknown {
  if (value === null || typeof value !== 'object' || step === undefined) return value
  if (Array.isArray(value)) {
    return rest.length > 0
      ? value.map((item, index) => (index === step ? without(item, rest) : item))
      : value.filter((_, index) => index !== step)
  }
  const copy: Record<string, unknown> = { ...value }
  if (rest.length === 0) delete copy[step]
  else if (Object.hasOwn(copy, step)) copy[step] = without(copy[step], rest)
  return copy
}
