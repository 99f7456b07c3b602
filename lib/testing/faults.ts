// The faults that can be set, and their checks.
import type { Direction, Faults } from '../../types/testing'
import { invalidValue, outOfRange } from '../values/errors'
import { checkOptions, isCount, isNumber, isPause, type ShapeOf } from '../values/option-checks'

export type OneWay = Exclude<Direction, 'both'>

export const FAULTS_SHAPE = {
  latency: { check: isPause, unit: 'ms', default: 0 },
  jitter: { check: isPause, unit: 'ms', default: 0 },
  bandwidth: { check: isCount, unit: 'bytes' },
  slice: { check: isCount, unit: 'bytes' },
  flip: { check: isChance, default: 0 },
  reset: { check: isChance, default: 0 },
} as const satisfies ShapeOf<Faults>

export function checkFaults(faults: Faults): void {
  checkOptions('faults', faults, FAULTS_SHAPE)
}

/** Returns the directions that `direction` names. */
export function ways(direction: Direction): readonly OneWay[] {
  if (direction === 'both') return ['toServer', 'toClient']
  if (direction === 'toServer' || direction === 'toClient') return [direction]
  throw invalidValue('direction', "'both', 'toServer' or 'toClient'", direction)
}

function isChance(name: string, value: unknown): void {
  isNumber(name, value)
  if ((value as number) < 0 || (value as number) > 1) throw outOfRange(name, 'from 0 to 1', value as number)
}
