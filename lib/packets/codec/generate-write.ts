// Code that writes values of one schema. What is wrong with a value it does not say: it returns `BAD`.

import { INHERITED, RANGES, takesNaN } from './scalars'
import type { ArrayNode, Node, ObjectNode, ScalarNode, Type } from './schema'
import { literal, Source } from './source'

/** A text of fewer units is written by a loop, a longer one by the engine's own code. */
const MAX_LOOP_UNITS = 40

/** Returns the body of `write(v, b, p, end)`. */
export function writeSource(root: Node): string {
  const source = new Source('return NO_ROOM')
  source.add('let empties = 0')
  const writer = new WriteSource(source)
  if (root.kind === 'object' && root.fields.length === 0) {
    source.add("if (typeof v !== 'object' && v !== undefined) return BAD")
  } else writer.plain(root, 'v')
  source.flush()
  source.add('return p')
  return source.toString()
}

/** The arrays of an element, in order: their tails are written behind all else. */
type Tails = (() => void)[]

class WriteSource {
  constructor(readonly source: Source) {}

  plain(node: Node, value: string): void {
    this.#head(node, value, undefined)
  }

  #element(node: Node, value: string): void {
    const tails: Tails = []
    this.#head(node, value, tails)
    for (const tail of tails) tail()
  }

  /** `tails`: where tails wait, inside of an element. */
  #head(node: Node, value: string, tails: Tails | undefined): void {
    if (node.kind === 'scalar') this.#scalar(node, value)
    else if (node.kind === 'object') this.#object(node, value, tails)
    else this.#array(node, value, tails)
  }

  #object({ fields }: ObjectNode, value: string, tails: Tails | undefined): void {
    const { source } = this
    source.add(`if (typeof ${value} !== 'object' || ${value} === null) return BAD`)
    for (const { key, isOptional, node } of fields) {
      const inside = source.name('v')
      const isInherited = Object.hasOwn(INHERITED, key)
      source.add(`${isInherited ? 'let' : 'const'} ${inside} = ${value}[${literal(key)}]`)
      if (isInherited) source.add(`if (${inside} === INHERITED[${literal(key)}]) ${inside} = undefined`)
      if (isOptional) this.#optional(node, inside)
      else this.#head(node, inside, tails)
    }
  }

  #optional(node: Node, value: string): void {
    const { source } = this
    const [place] = source.place(1)
    source.add(`b[${place}] = ${value} === undefined ? 0 : 1`)
    source.block(`if (${value} !== undefined)`, () => this.#element(node, value))
  }

  #array(node: ArrayNode, value: string, tails: Tails | undefined): void {
    const { source } = this
    const { fixed } = node
    source.add(`if (!(isArray(${value}) || isList(${value}))) return BAD`)
    const length = source.name('n')
    source.add(`const ${length} = ${value}.length`)
    if (fixed.length > 0) source.add(`if (${length} < ${fixed.length}) return BAD`)
    for (const [index, entry] of fixed.entries()) {
      const inside = source.name('v')
      source.add(`const ${inside} = ${value}[${index}]`)
      this.#head(entry, inside, tails)
    }
    const tail = () => this.#tail(node, value, length)
    if (tails === undefined) tail()
    else tails.push(tail)
  }

  #tail({ fixed, rest }: ArrayNode, value: string, length: string): void {
    const { source } = this
    if (rest.least === 0) source.add(`if ((empties += ${length} - ${fixed.length}) > EMPTY) return BAD`)
    this.#varuint(length)
    source.flush()
    const index = source.name('i')
    const head = `for (let ${index} = ${fixed.length}; ${index} < ${length}; ${index}++)`
    const each = () => {
      const inside = source.name('v')
      source.add(`const ${inside} = ${value}[${index}]`)
      this.#element(rest, inside)
    }
    if (rest.isFixed) {
      source.add(`if (end - p < (${length} - ${fixed.length}) * ${rest.least}) return NO_ROOM`)
      source.checked(head, each)
    } else source.block(head, each)
  }

  #scalar({ type }: ScalarNode, value: string): void {
    const { source } = this
    if (type === 'bool') {
      source.add(`if (typeof ${value} !== 'boolean') return BAD`)
      source.add(`b[${source.place(1)}] = ${value} ? 1 : 0`)
    } else if (type === 'string') this.#string(value)
    else if (type === 'buffer') {
      source.add(`if (!isBytes(${value})) return BAD`)
      this.#blob(value)
    } else if (type === 'packed') {
      const packed = source.name('k')
      source.add(`const ${packed} = pack(${value})`, `if (${packed} === undefined) return BAD`)
      this.#blob(packed)
    } else this.#number(type, value)
  }

  #number(type: Type, value: string): void {
    const { source } = this
    const [least, most] = RANGES[type] as readonly [number, number]
    // NaN is in no range, and outside of none.
    const isOut = takesNaN(type)
      ? `${value} < ${least} || ${value} > ${most}`
      : `!(${value} >= ${least} && ${value} <= ${most})`
    source.add(`if (typeof ${value} !== 'number' || ${isOut}) return BAD`)
    if (type === 'varuint' || type === 'varint') this.#varuint(value, type === 'varint')
    else if (type === 'float32' || type === 'float64') this.#float(type, value)
    else this.#integer(type, value)
  }

  #float(type: 'float32' | 'float64', value: string): void {
    const { source } = this
    const size = type === 'float32' ? 4 : 8
    source.add(`f${size}[0] = ${value}`)
    for (const [index, place] of source.place(size).entries()) {
      source.add(`b[${place}] = s${size}[M${size} ^ ${index}]`)
    }
  }

  #integer(type: Type, value: string): void {
    const { source } = this
    const size = type.endsWith('8') ? 1 : type.endsWith('16') ? 2 : 4
    for (const [index, place] of source.place(size).entries()) {
      const shift = (size - 1 - index) * 8
      source.add(`b[${place}] = ${value}${shift === 0 ? '' : ` >>> ${shift}`}`)
    }
  }

  #varuint(value: string, isSigned = false): void {
    const { source } = this
    source.reserve(5)
    const left = source.name('u')
    if (isSigned) {
      const whole = source.name('w')
      source.add(`const ${whole} = ${value} | 0`, `let ${left} = ((${whole} << 1) ^ (${whole} >> 31)) >>> 0`)
    } else source.add(`let ${left} = ${value} | 0`)
    source.add(`while (${left} > 127) { b[p++] = ${left} | 128; ${left} >>>= 7 }`, `b[p++] = ${left}`)
  }

  #string(value: string): void {
    const { source } = this
    source.add(`if (typeof ${value} !== 'string') return BAD`)
    source.flush()
    const [length, index, unit] = [source.name('n'), source.name('i'), source.name('c')]
    source.add(
      `const ${length} = ${value}.length`,
      `let ${index} = 0`,
      `if (${length} < ${MAX_LOOP_UNITS}) {`,
      `if (end - p <= ${length}) return NO_ROOM`,
      `for (; ${index} < ${length}; ${index}++) {`,
      `const ${unit} = ${value}.charCodeAt(${index})`,
      `if (${unit} > 127) break`,
      `b[p + 1 + ${index}] = ${unit}`,
      '}',
      '}',
      `if (${index} === ${length}) { b[p] = ${length}; p += ${length} + 1 }`,
      `else { p = writeText(b, p, end, ${value}); if (p < 0) return NO_ROOM }`,
    )
  }

  #blob(bytes: string): void {
    const { source } = this
    const length = source.name('n')
    source.add(`const ${length} = ${bytes}.length`)
    this.#varuint(length)
    source.flush()
    source.add(`if (end - p < ${length}) return NO_ROOM`, `b.set(${bytes}, p)`, `p += ${length}`)
  }
}
