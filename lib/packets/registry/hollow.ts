// Schemas of strangers that make much of nothing: objects without keys take no bytes, and a few bytes may say how many of
// them there are.
import { keyPath } from '../codec/path'
import type { Node } from '../codec/schema'

/** Objects and arrays for each byte that a value takes: of those that repeat or may be absent. */
const MAX_OBJECTS_A_BYTE = 4
/** The same outside of those: each packet has some bytes beside its body. */
const MAX_OBJECTS = 64

/** Returns where a schema makes more objects than its bytes are worth; `undefined` for nowhere. */
export function findHollow(root: Node): string | undefined {
  const isHollow = objectsOf(root) > MAX_OBJECTS + root.least * MAX_OBJECTS_A_BYTE
  return isHollow ? '' : findInside(root, '')
}

function findInside(node: Node, path: string): string | undefined {
  if (node.kind === 'scalar') return undefined
  if (node.kind === 'array') {
    const rest = `${path}[${node.fixed.length}]`
    if (isTooMuch(node.rest, Math.max(1, node.rest.least))) return rest
    return first([...node.fixed, node.rest], (entry, index) => findInside(entry, `${path}[${index}]`))
  }
  return first(node.fields, ({ key, isOptional, node: field }) => {
    const inside = path + keyPath(key, path === '')
    if (isOptional && isTooMuch(field, 1 + field.least)) return inside
    return findInside(field, inside)
  })
}

function isTooMuch(node: Node, bytes: number): boolean {
  return objectsOf(node) > bytes * MAX_OBJECTS_A_BYTE
}

/** Objects and arrays that each value has, whatever its bytes are. */
function objectsOf(node: Node): number {
  if (node.kind === 'scalar') return 0
  const inside =
    node.kind === 'array'
      ? node.fixed
      : node.fields.filter(field => !field.isOptional).map(field => field.node)
  return inside.reduce((sum, each) => sum + objectsOf(each), 1)
}

function first<T>(
  list: readonly T[],
  find: (item: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, item] of list.entries()) {
    const found = find(item, index)
    if (found !== undefined) return found
  }
  return undefined
}
