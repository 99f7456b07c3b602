// What `console.log` shows of public objects: what a person wants to know, and no insides.

export type Inspect = (value: unknown, options: object) => string

/** Node.js asks objects for it. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom')

export function show(
  object: object,
  fields: object,
  [depth, options, inspect]: [depth: number, options: object, inspect: Inspect],
): string {
  const { name } = object.constructor
  return depth < 0 ? `[${name}]` : `${name} ${inspect(fields, options)}`
}
