// Schemas as the user writes them, checked and turned into a tree; and their canonical text. Makes no code of them.

import { didYouMean } from '../../values/nearest'
import { badSchema, shown } from '../errors'
import { keyPath } from './path'

/** The types by their canonical names, with the least bytes that a value takes. */
const LEAST_BYTES = {
  bool: 1,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
  string: 1,
  varuint: 1,
  varint: 1,
  buffer: 1,
  // A length, and a value of one byte.
  packed: 2,
} as const

export type Type = keyof typeof LEAST_BYTES

export type Node = ScalarNode | ObjectNode | ArrayNode

interface Sized {
  /** The least bytes that a value takes. */
  readonly least: number
  /** Whether every value takes exactly `least` bytes. */
  readonly isFixed: boolean
}

export interface ScalarNode extends Sized {
  readonly kind: 'scalar'
  readonly type: Type
}

export interface Field {
  readonly key: string
  readonly isOptional: boolean
  readonly node: Node
}

export interface ObjectNode extends Sized {
  readonly kind: 'object'
  /** In the order of their bytes. */
  readonly fields: readonly Field[]
  /** The keys in the order in which the user wrote them: that of decoded objects. */
  readonly keys: readonly string[]
}

export interface ArrayNode extends Sized {
  readonly kind: 'array'
  readonly fixed: readonly Node[]
  /** The type of all elements behind `fixed`. */
  readonly rest: Node
}

/** Levels of a schema: whoever walks over values of it needs no bound of their own. */
const MAX_LEVELS = 32
/** Types, objects and arrays in a schema. */
const MAX_NODES = 4096

/** Returns the tree of a schema, which it does not change. */
export function parseSchema(schema: unknown): Node {
  return new Parser().parse(schema, '', 1)
}

class Parser {
  #nodes = 0

  parse(schema: unknown, path: string, level: number): Node {
    if (level > MAX_LEVELS) throw badSchema(path, `more than ${MAX_LEVELS} levels`)
    this.#nodes += 1
    if (this.#nodes > MAX_NODES) throw badSchema(path, `more than ${MAX_NODES} types in one schema`)
    if (typeof schema === 'string') return scalar(schema, path)
    if (typeof schema !== 'object' || schema === null) {
      throw badSchema(path, `${shown(schema)} is no type: types are texts, such as 'uint8'`)
    }
    if (Array.isArray(schema)) return this.#array(schema, path, level)
    return this.#object(schema as Record<string, unknown>, path, level)
  }

  #array(schema: unknown[], path: string, level: number): ArrayNode {
    if (schema.length === 0) throw badSchema(path, 'an array needs at least one entry')
    if (schema.length > MAX_NODES) throw badSchema(path, `more than ${MAX_NODES} types in one schema`)
    // Not `map`, which leaves holes out.
    const nodes = Array.from(schema, (entry, index) => this.parse(entry, `${path}[${index}]`, level + 1))
    const rest = nodes.pop() as Node
    return {
      kind: 'array',
      fixed: nodes,
      rest,
      least: nodes.reduce((sum, { least }) => sum + least, 1),
      isFixed: false,
    }
  }

  #object(schema: Record<string, unknown>, path: string, level: number): ObjectNode {
    const fields = Object.keys(schema).map((written): Field => {
      const isOptional = written.endsWith('?')
      const key = isOptional ? written.slice(0, -1) : written
      const inside = path + keyPath(key, path === '')
      if (key === '__proto__') throw badSchema(inside, '__proto__ is no key')
      return { key, isOptional, node: this.parse(schema[written], inside, level + 1) }
    })
    const keys = fields.map(({ key }) => key)
    fields.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    const twice = fields.find(({ key }, index) => key === fields[index + 1]?.key)
    if (twice) throw badSchema(path + keyPath(twice.key, path === ''), 'the same key with and without `?`')
    return {
      kind: 'object',
      fields,
      keys,
      least: fields.reduce((sum, { isOptional, node }) => sum + (isOptional ? 1 : node.least), 0),
      isFixed: fields.every(({ isOptional, node }) => !isOptional && node.isFixed),
    }
  }
}

function scalar(written: string, path: string): ScalarNode {
  const name = written.trim().toLowerCase()
  const type = name === 'boolean' ? 'bool' : name
  if (!Object.hasOwn(LEAST_BYTES, type)) {
    const isOptional = name.endsWith('?')
    const hint = isOptional
      ? ': the `?` belongs to the key'
      : didYouMean(name.slice(0, 20), Object.keys(LEAST_BYTES))
    throw badSchema(path, `no type ${shown(written)}${hint}`)
  }
  return SCALARS[type as Type]
}

const VARIABLE: readonly string[] = ['string', 'varuint', 'varint', 'buffer', 'packed']
const SCALARS = Object.fromEntries(
  Object.entries(LEAST_BYTES).map(([type, least]) => [
    type,
    { kind: 'scalar', type, least, isFixed: !VARIABLE.includes(type) },
  ]),
) as Record<Type, ScalarNode>

/** Returns the schema in the one way to write it: JSON, keys in the order of the bytes, types by their first name. */
export function canonical(node: Node): string {
  if (node.kind === 'scalar') return JSON.stringify(node.type)
  if (node.kind === 'array') return `[${[...node.fixed, node.rest].map(canonical).join(',')}]`
  const fields = node.fields.map(({ key, isOptional, node }) => {
    return `${JSON.stringify(isOptional ? `${key}?` : key)}:${canonical(node)}`
  })
  return `{${fields.join(',')}}`
}
