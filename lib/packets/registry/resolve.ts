// How a value that was written by another version of a schema becomes one of ours.
import type { Agreed } from '../agreed'
import { keyPath } from '../codec/path'
import type { ArrayNode, Node, ObjectNode, Type } from '../codec/schema'

/** Returns the value as the reader has it; `undefined` in place of the function: as it is. */
export type Convert = ((value: Agreed) => unknown) | undefined

/** Says that no value of the writer's schema can be read by the reader's. */
export class Incompatible {
  constructor(
    readonly path: string,
    readonly problem: string,
  ) {}

  toString(): string {
    return this.path === '' ? this.problem : `${this.path}: ${this.problem}`
  }
}

/** Number types, and those that hold all of their values. */
const WIDER: Readonly<Partial<Record<Type, readonly Type[]>>> = {
  int8: ['int16', 'int32'],
  int16: ['int32'],
  uint8: ['uint16', 'uint32', 'int16', 'int32'],
  uint16: ['uint32', 'int32'],
  float32: ['float64'],
}

export function resolve(writer: Node, reader: Node, path = ''): Convert | Incompatible {
  if (writer.kind === 'object' && reader.kind === 'object') return resolveObject(writer, reader, path)
  if (writer.kind === 'array' && reader.kind === 'array') return resolveArray(writer, reader, path)
  if (writer.kind !== 'scalar' || reader.kind !== 'scalar') {
    return new Incompatible(path, `${kindOf(writer)} written, ${kindOf(reader)} read`)
  }
  const isReadable = writer.type === reader.type || WIDER[writer.type]?.includes(reader.type) === true
  return isReadable ? undefined : new Incompatible(path, `${writer.type} written, ${reader.type} read`)
}

function kindOf(node: Node): string {
  return node.kind === 'scalar' ? node.type : `an ${node.kind}`
}

function resolveObject(writer: ObjectNode, reader: ObjectNode, path: string): Convert | Incompatible {
  const written = new Map(writer.fields.map(field => [field.key, field]))
  const converts = new Map<string, Convert>()
  let isSame = writer.fields.length === reader.fields.length
  for (const { key, isOptional, node } of reader.fields) {
    const inside = path + keyPath(key, path === '')
    const field = written.get(key)
    if (field === undefined) {
      if (!isOptional) return new Incompatible(inside, 'not written, and required')
      isSame = false
      continue
    }
    if (field.isOptional && !isOptional) return new Incompatible(inside, 'written as optional, and required')
    const convert = resolve(field.node, node, inside)
    if (convert instanceof Incompatible) return convert
    if (convert !== undefined) isSame = false
    converts.set(key, convert)
  }
  if (isSame) return undefined
  return value => {
    const converted: Record<string, unknown> = {}
    for (const key of reader.keys) {
      const convert = converts.get(key)
      // What was not written has no entry in the value.
      const inside = converts.has(key) ? value[key] : undefined
      converted[key] = convert === undefined || inside === undefined ? inside : convert(inside)
    }
    return converted
  }
}

function resolveArray(writer: ArrayNode, reader: ArrayNode, path: string): Convert | Incompatible {
  if (writer.fixed.length !== reader.fixed.length) {
    return new Incompatible(
      path,
      `${writer.fixed.length + 1} entries written, ${reader.fixed.length + 1} read`,
    )
  }
  const converts: Convert[] = []
  for (const [index, node] of [...writer.fixed, writer.rest].entries()) {
    const convert = resolve(node, (reader.fixed[index] ?? reader.rest) as Node, `${path}[${index}]`)
    if (convert instanceof Incompatible) return convert
    converts.push(convert)
  }
  if (converts.every(convert => convert === undefined)) return undefined
  const rest = converts.pop()
  return (list: unknown[]) =>
    list.map((value, index) => {
      const convert = index < converts.length ? converts[index] : rest
      return convert === undefined ? value : convert(value)
    })
}
