// The scalar types: which values they take. How they look in bytes is in interpret.ts and generate.ts.
import type { Type } from './schema'

/** The numbers that a type takes, checked before a fraction is cut off. */
export const RANGES: Readonly<Partial<Record<Type, readonly [least: number, most: number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  float32: [-3.4028234663852886e38, 3.4028234663852886e38],
  float64: [-Number.MAX_VALUE, Number.MAX_VALUE],
  varuint: [0, 2147483647],
  varint: [-1073741824, 1073741823],
}

/** Whether NaN is a value of a type. */
export function takesNaN(type: Type): boolean {
  return type === 'float32' || type === 'float64'
}

/** Bytes of a number of fixed size. */
export const WIDTHS: Readonly<Partial<Record<Type, number>>> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
}

/** What every object has without being given it. */
export const INHERITED: Readonly<Record<string, unknown>> = Object.freeze(
  Object.assign(
    Object.create(null),
    Object.fromEntries(
      Object.getOwnPropertyNames(Object.prototype)
        .filter(key => key !== '__proto__')
        .map(key => [key, (Object.prototype as unknown as Record<string, unknown>)[key]]),
    ),
  ),
)
