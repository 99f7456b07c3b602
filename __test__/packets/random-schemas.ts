// Seeded schemas, and values that fit them.
import type { Dice } from '../support/dice'

export interface Kind {
  /** Only what schemapack has, and does without losing anything. */
  readonly isPlain: boolean
}

const NUMBERS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  varuint: [0, 2 ** 31 - 1],
  varint: [-(2 ** 30), 2 ** 30 - 1],
}
const SCALARS = [...Object.keys(NUMBERS), 'bool', 'float32', 'float64', 'string', 'buffer']
const KEYS = ['a', 'b', 'B', '_', 'é', '9', '10', 'longer', 'x y', 'zz']

export function randomSchema(dice: Dice, kind: Kind, depth = 4): unknown {
  return schema(dice, kind, depth, { arraysLeft: Number.POSITIVE_INFINITY })
}

/** `arraysLeft`: in a repeated element schemapack does only one without a defect. */
function schema(dice: Dice, kind: Kind, depth: number, budget: { arraysLeft: number }): unknown {
  const choice = depth === 0 ? 0 : dice.below(10)
  if (choice < 5) return scalar(dice, kind)
  if (choice < 8) return object(dice, kind, depth, budget)
  if (kind.isPlain && budget.arraysLeft === 0) return scalar(dice, kind)
  budget.arraysLeft -= 1
  const fixed = Array.from({ length: dice.pick([0, 0, 0, 1, 2, 4]) }, () =>
    schema(dice, kind, depth - 1, budget),
  )
  return [...fixed, schema(dice, kind, depth - 1, { arraysLeft: 1 })]
}

function scalar(dice: Dice, kind: Kind): unknown {
  return dice.pick(kind.isPlain ? SCALARS : [...SCALARS, 'packed'])
}

function object(dice: Dice, kind: Kind, depth: number, budget: { arraysLeft: number }): unknown {
  const keys = KEYS.filter(() => dice.below(3) === 0)
  const isOptional = () => !kind.isPlain && dice.below(4) === 0
  return Object.fromEntries(
    keys.map(key => [isOptional() ? `${key}?` : key, schema(dice, kind, depth - 1, budget)]),
  )
}

export function randomValue(dice: Dice, schema: unknown): unknown {
  if (Array.isArray(schema)) {
    const rest = schema.at(-1)
    const count = dice.pick([0, 1, 2, 2, 3, 5, dice.below(40) === 0 ? 150 : 1])
    const repeated = Array.from({ length: count }, () => randomValue(dice, rest))
    return [...schema.slice(0, -1).map(entry => randomValue(dice, entry)), ...repeated]
  }
  if (typeof schema === 'object') {
    const entries = Object.entries(schema as object).map(([key, inside]) => {
      if (!key.endsWith('?')) return [key, randomValue(dice, inside)]
      return [key.slice(0, -1), dice.below(2) === 0 ? undefined : randomValue(dice, inside)]
    })
    return Object.fromEntries(entries)
  }
  return randomScalar(dice, schema as string)
}

function randomScalar(dice: Dice, type: string): unknown {
  const range = NUMBERS[type]
  if (range !== undefined) return randomInteger(dice, range)
  if (type === 'bool') return dice.below(2) === 0
  if (type === 'string') return randomText(dice)
  if (type === 'buffer')
    return Buffer.from(Array.from({ length: dice.pick([0, 1, 7, 130]) }, () => dice.below(256)))
  if (type === 'packed') return randomPackable(dice, 3)
  const value = dice.pick([0, -0, 1, -0.75, dice.fraction() * 1e6, -dice.fraction() * 1e-6, NaN])
  return type === 'float32' ? Math.fround(value) : value
}

/** Near the ends, near the steps of varuints, and anywhere. */
function randomInteger(dice: Dice, [least, most]: readonly [number, number]): number {
  const near = dice.pick([least, most, 0, 127, -128, 128, 16383, 16384, 2 ** 21, 2 ** 28]) + dice.below(3) - 1
  const value = dice.below(2) === 0 ? near : least + dice.below(most - least + 1)
  return Math.min(most, Math.max(least, value))
}

const CHARACTERS = ['a', 'b', 'Z', '0', ' ', '\0', 'ñ', 'ÿ', '€', '語', '🦀', '\u2028', '\ufffd', '\ufeff']

function randomText(dice: Dice): string {
  const length = dice.pick([0, 1, 3, 12, 23, 24, 25, 26, 39, 40, 41, 43, 60, 127, 128, 300])
  const characters = dice.below(2) === 0 ? CHARACTERS.slice(0, 5) : CHARACTERS
  return Array.from({ length }, () => dice.pick(characters)).join('')
}

/** What MessagePack brings back as it was. */
export function randomPackable(dice: Dice, depth: number): unknown {
  const choice = dice.below(depth === 0 ? 7 : 9)
  if (choice === 0) return null
  if (choice === 1) return dice.below(2) === 0
  if (choice === 2) return randomText(dice)
  if (choice === 3) return dice.pick([1.5, -2.25e-9, 1e300])
  if (choice === 4) return Buffer.from([dice.below(256), 1])
  if (choice < 7) return randomInteger(dice, [-(2 ** 31), 2 ** 31 - 1])
  const length = dice.pick([0, 1, 2, 5, 17])
  if (choice === 7) return Array.from({ length }, () => randomPackable(dice, depth - 1))
  return Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, randomPackable(dice, depth - 1)]))
}
