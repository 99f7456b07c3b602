// Code that reads values of one schema. What is wrong with the bytes it does not say: it returns `BAD`.
import type { ArrayNode, Node, ObjectNode, ScalarNode, Type } from './schema'
import { literal, Source } from './source'

/** A text of as many bytes is put together here, a longer one by the engine's own code. */
const MAX_SHORT_BYTES = 24

/** Returns the body of `shortText(b, p, end)`: the text of a few bytes, `undefined` when they are not ASCII. */
export function shortTextSource(): string {
  const cases = Array.from({ length: MAX_SHORT_BYTES }, (_, index) => shortTextCase(index + 1))
  return `switch (end - p) {\ncase 0: return ''\n${cases.join('\n')}\n}`
}

/** One call with all characters makes the text at once, where a loop would make one for each character. */
function shortTextCase(length: number): string {
  const bytes = Array.from({ length }, (_, index) => `c${index}`)
  const reads = bytes.map((byte, index) => `${byte} = b[p + ${index}]`)
  return `case ${length}: {
    const ${reads.join(', ')}
    return (${bytes.join(' | ')}) > 127 ? undefined : fromCharCode(${bytes.join(', ')})
  }`
}

/** Returns the body of `read(b, p, end)`. */
export function readSource(root: Node): string {
  const source = new Source('return BAD')
  source.add('let empties = 0')
  const value = new ReadSource(source).plain(root)
  source.flush()
  source.add('if (p !== end) return BAD', `return ${value}`)
  return source.toString()
}

type Tails = (() => void)[]

/** Each method returns an expression of what was read; objects are made last, all at once. */
class ReadSource {
  constructor(readonly source: Source) {}

  plain(node: Node): string {
    return this.#head(node, undefined)
  }

  #element(node: Node): string {
    const tails: Tails = []
    const value = this.#head(node, tails)
    for (const tail of tails) tail()
    return value
  }

  #head(node: Node, tails: Tails | undefined): string {
    if (node.kind === 'scalar') return this.#scalar(node)
    if (node.kind === 'object') return this.#object(node, tails)
    return this.#array(node, tails)
  }

  #object({ fields, keys }: ObjectNode, tails: Tails | undefined): string {
    const values = new Map<string, string>()
    for (const { key, isOptional, node } of fields) {
      values.set(key, isOptional ? this.#optional(node) : this.#head(node, tails))
    }
    return `{ ${keys.map(key => `${literal(key)}: ${values.get(key)}`).join(', ')} }`
  }

  #optional(node: Node): string {
    const { source } = this
    const value = source.name('v')
    const bit = this.#bit()
    source.flush()
    source.add(`let ${value}`)
    source.block(`if (${bit} === 1)`, () => {
      const inside = this.#element(node)
      source.flush()
      source.add(`${value} = ${inside}`)
    })
    return value
  }

  #array(node: ArrayNode, tails: Tails | undefined): string {
    const { source } = this
    const fixed = node.fixed.map(entry => this.#head(entry, tails))
    const list = source.name('a')
    const tail = () => this.#tail(node, list, fixed)
    if (tails === undefined) tail()
    else tails.push(tail)
    return list
  }

  #tail({ rest }: ArrayNode, list: string, fixed: readonly string[]): void {
    const { source } = this
    const length = this.#varuint()
    if (fixed.length > 0) source.add(`if (${length} < ${fixed.length}) return BAD`)
    const count = fixed.length === 0 ? length : `(${length} - ${fixed.length})`
    if (rest.least === 0) source.add(`if ((empties += ${count}) > EMPTY) return BAD`)
    else source.add(`if (${count} * ${rest.least} > end - p) return BAD`)
    source.add(`const ${list} = new Array(${length})`)
    for (const [index, value] of fixed.entries()) source.add(`${list}[${index}] = ${value}`)
    const index = source.name('i')
    const head = `for (let ${index} = ${fixed.length}; ${index} < ${length}; ${index}++)`
    const each = () => {
      const value = this.#element(rest)
      source.flush()
      source.add(`${list}[${index}] = ${value}`)
    }
    if (rest.isFixed) source.checked(head, each)
    else source.block(head, each)
  }

  #scalar({ type }: ScalarNode): string {
    if (type === 'bool') return `${this.#bit()} === 1`
    if (type === 'string') return this.#string()
    if (type === 'buffer' || type === 'packed') return this.#blob(type)
    if (type === 'varuint') return this.#varuint()
    if (type === 'varint') return this.#varint()
    if (type === 'float32' || type === 'float64') return this.#float(type)
    return this.#integer(type)
  }

  #bit(): string {
    const { source } = this
    const bit = source.name('x')
    source.add(`const ${bit} = b[${source.place(1)}]`, `if (${bit} > 1) return BAD`)
    return bit
  }

  #integer(type: Type): string {
    const { source } = this
    const size = type.endsWith('8') ? 1 : type.endsWith('16') ? 2 : 4
    const bytes = source.place(size).map((place, index) => {
      const shift = (size - 1 - index) * 8
      return shift === 0 ? `b[${place}]` : `b[${place}] << ${shift}`
    })
    const unused = 32 - size * 8
    const joined = bytes.join(' | ')
    const value = source.name('x')
    const isSigned = type.startsWith('int')
    const whole =
      isSigned && unused > 0
        ? `(${joined}) << ${unused} >> ${unused}`
        : type === 'uint32'
          ? `(${joined}) >>> 0`
          : joined
    source.add(`const ${value} = ${whole}`)
    return value
  }

  #float(type: 'float32' | 'float64'): string {
    const { source } = this
    const size = type === 'float32' ? 4 : 8
    for (const [index, place] of source.place(size).entries())
      source.add(`s${size}[M${size} ^ ${index}] = b[${place}]`)
    const value = source.name('x')
    source.add(
      `const ${value} = f${size}[0]`,
      `if (${value} === Infinity || ${value} === -Infinity) return BAD`,
    )
    return value
  }

  #varuint(): string {
    const { source } = this
    source.flush()
    const value = source.name('x')
    source.add(
      'if (p >= end) return BAD',
      `let ${value} = b[p]`,
      `if (${value} < 128) p++`,
      `else { ${value} = readVaruint(b, p, end); if (${value} < 0) return BAD; p += varuintSize(${value}) }`,
    )
    return value
  }

  #varint(): string {
    const value = this.#varuint()
    return `(${value} >>> 1) ^ -(${value} & 1)`
  }

  /** A length, and that so many bytes are there. Returns where they end. */
  #span(): string {
    const { source } = this
    const length = this.#varuint()
    const last = source.name('e')
    source.add(`const ${last} = p + ${length}`, `if (${last} > end) return BAD`)
    return last
  }

  #string(): string {
    const { source } = this
    const last = this.#span()
    const text = source.name('t')
    source.add(
      `let ${text} = ${last} - p <= ${MAX_SHORT_BYTES} ? shortText(b, p, ${last}) : undefined`,
      `if (${text} === undefined) { ${text} = readText(b, p, ${last}); if (${text} === undefined) return BAD }`,
      `p = ${last}`,
    )
    return text
  }

  #blob(type: 'buffer' | 'packed'): string {
    const { source } = this
    const last = this.#span()
    const value = source.name('k')
    source.add(`const ${value} = ${type === 'buffer' ? 'takeBytes' : 'unpack'}(b, p, ${last})`)
    if (type === 'packed') source.add(`if (${value} === BAD) return BAD`)
    source.add(`p = ${last}`)
    return value
  }
}
