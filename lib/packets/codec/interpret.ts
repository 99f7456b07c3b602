// Encodes and decodes by walking over the schema's tree. For schemas of strangers, for pages that may not generate code,
// and for whoever must say what is wrong: generated code only knows that something is.

import { PacketError, shown } from '../errors'
import { type Coder, type CoderOptions, encodeError, isBytes, isList, malformed, NO_ROOM } from './coder'
import { pack, unpack } from './packed'
import { pathOf } from './path'
import { INHERITED, RANGES, takesNaN, WIDTHS } from './scalars'
import type { ArrayNode, Node, ObjectNode, ScalarNode, Type } from './schema'
import { copyBytes, readText, readVaruint, varuintSize, viewBytes, writeText, writeVaruint } from './text'

export function interpret(root: Node, options: CoderOptions): Coder {
  return {
    write(value, bytes, at, end) {
      const writer = new Writer(options, bytes, at, end)
      try {
        writer.root(root, value)
        return writer.at
      } catch (error) {
        if (error === FULL) return NO_ROOM
        if (error instanceof PacketError) throw error
        // A getter of the value, or a proxy.
        throw encodeError(writer.path, error instanceof Error ? error.message : shown(error), error)
      }
    },
    read: (bytes, at, end) => new Reader(options, bytes, at, end).root(root),
  }
}

const FULL = Symbol('no room')

class Writer {
  /** Where in the value this is. */
  readonly path: (string | number)[] = []
  readonly #view: DataView
  /** Elements without bytes so far, in all arrays. */
  #empties = 0

  constructor(
    readonly options: CoderOptions,
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  root(node: Node, value: unknown): void {
    const hasNothing = node.kind === 'object' && node.fields.length === 0
    if (hasNothing && (value === null || value === undefined)) return
    this.#plain(node, value)
  }

  /** Outside of repeated elements: all in order. */
  #plain(node: Node, value: unknown): void {
    const tails: Tail[] = []
    this.#head(node, value, tails, false)
  }

  /** An element of a repeated entry: what has a fixed place first, then the tails of its arrays. */
  #element(node: Node, value: unknown): void {
    const tails: Tail[] = []
    this.#head(node, value, tails, true)
    for (const { node, value, path } of tails) {
      const outside = this.path.splice(0, this.path.length, ...path)
      this.#tail(node, value)
      this.path.splice(0, this.path.length, ...outside)
    }
  }

  #head(node: Node, value: unknown, tails: Tail[], isElement: boolean): void {
    if (node.kind === 'scalar') this.#scalar(node, value)
    else if (node.kind === 'object') this.#object(node, value, tails, isElement)
    else this.#array(node, value, tails, isElement)
  }

  #array(node: ArrayNode, value: unknown, tails: Tail[], isElement: boolean): void {
    if (!isList(value)) throw encodeError(this.path, `needs an array, got ${shown(value)}`)
    const { fixed } = node
    if (value.length < fixed.length) {
      throw encodeError(this.path, `needs at least ${fixed.length} elements, got ${value.length}`)
    }
    for (const [index, entry] of fixed.entries()) {
      this.path.push(index)
      this.#head(entry, value[index], tails, isElement)
      this.path.pop()
    }
    if (isElement) tails.push({ node, value, path: [...this.path] })
    else this.#tail(node, value)
  }

  #object(node: ObjectNode, value: unknown, tails: Tail[], isElement: boolean): void {
    if (typeof value !== 'object' || value === null) {
      throw encodeError(this.path, `needs an object, got ${shown(value)}`)
    }
    for (const { key, isOptional, node: field } of node.fields) {
      this.path.push(key)
      const inside = readKey(value, key)
      if (isOptional) {
        this.#byte(inside === undefined ? 0 : 1)
        if (inside !== undefined) this.#element(field, inside)
      } else this.#head(field, inside, tails, isElement)
      this.path.pop()
    }
  }

  #tail({ fixed, rest }: ArrayNode, value: ArrayLike<unknown>): void {
    const { length } = value
    const count = length - fixed.length
    if (rest.least === 0) this.#empties += count
    if (this.#empties > this.options.emptyElements) {
      throw encodeError(this.path, `more than ${this.options.emptyElements} elements that have no bytes`)
    }
    this.#varuint(length)
    for (let index = fixed.length; index < length; index++) {
      this.path.push(index)
      this.#element(rest, value[index])
      this.path.pop()
    }
  }

  #scalar({ type }: ScalarNode, value: unknown): void {
    if (type === 'bool') {
      if (typeof value !== 'boolean') throw encodeError(this.path, `needs a boolean, got ${shown(value)}`)
      this.#byte(value ? 1 : 0)
    } else if (type === 'string') {
      if (typeof value !== 'string') throw encodeError(this.path, `needs a string, got ${shown(value)}`)
      const next = writeText(this.bytes, this.at, this.end, value)
      if (next < 0) throw FULL
      this.at = next
    } else if (type === 'buffer') {
      if (!isBytes(value)) throw encodeError(this.path, `needs a Uint8Array, got ${shown(value)}`)
      this.#blob(value)
    } else if (type === 'packed') this.#blob(this.#packed(value))
    else this.#number(type, value)
  }

  #number(type: Type, value: unknown): void {
    const [least, most] = RANGES[type] as readonly [number, number]
    if (typeof value !== 'number') throw encodeError(this.path, `needs a number, got ${shown(value)}`)
    if (!(value >= least && value <= most) && !(takesNaN(type) && Number.isNaN(value))) {
      throw encodeError(this.path, `${type} is a number from ${least} to ${most}, got ${value}`)
    }
    if (type === 'varuint') this.#varuint(Math.trunc(value))
    else if (type === 'varint') this.#varuint(zigzag(Math.trunc(value)))
    else this.#fixed(type, value)
  }

  #fixed(type: Type, value: number): void {
    const width = WIDTHS[type] as number
    this.#need(width)
    if (type === 'float32') this.#view.setFloat32(this.at, value)
    else if (type === 'float64') this.#view.setFloat64(this.at, value)
    else if (width === 4) this.#view.setUint32(this.at, value)
    else if (width === 2) this.#view.setUint16(this.at, value)
    else this.#view.setUint8(this.at, value)
    this.at += width
  }

  #packed(value: unknown): Uint8Array {
    try {
      return pack(value, this.options.packDepth)
    } catch (cause) {
      throw encodeError(this.path, cause instanceof Error ? cause.message : shown(cause), cause)
    }
  }

  #blob(bytes: Uint8Array): void {
    this.#need(varuintSize(bytes.length) + bytes.length)
    this.#varuint(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  #varuint(value: number): void {
    this.#need(varuintSize(value))
    this.at = writeVaruint(this.bytes, this.at, value)
  }

  #byte(value: number): void {
    this.#need(1)
    this.bytes[this.at++] = value
  }

  #need(count: number): void {
    if (count > this.end - this.at) throw FULL
  }
}

/** What every object has, `constructor` for example, is not there: it is nobody's data. */
function readKey(value: object, key: string): unknown {
  const inside = (value as Record<string, unknown>)[key]
  return inside === INHERITED[key] ? undefined : inside
}

interface Tail {
  readonly node: ArrayNode
  readonly value: ArrayLike<unknown>
  readonly path: readonly (string | number)[]
}

class Reader {
  readonly path: (string | number)[] = []
  readonly #view: DataView
  readonly #start: number
  /** Elements without bytes so far, in all arrays. */
  #empties = 0

  constructor(
    readonly options: CoderOptions,
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#start = at
  }

  root(node: Node): unknown {
    const value = this.#head(node, [], false)
    const left = this.end - this.at
    if (left > 0) throw malformed([], this.at - this.#start, `${left} bytes left over`)
    return value
  }

  #element(node: Node): unknown {
    const tails: ReadTail[] = []
    const value = this.#head(node, tails, true)
    for (const { node, list, path } of tails) {
      const outside = this.path.splice(0, this.path.length, ...path)
      this.#tail(node, list)
      this.path.splice(0, this.path.length, ...outside)
    }
    return value
  }

  #head(node: Node, tails: ReadTail[], isElement: boolean): unknown {
    if (node.kind === 'scalar') return this.#scalar(node.type)
    if (node.kind === 'object') return this.#object(node, tails, isElement)
    const list = node.fixed.map((entry, index) => {
      this.path.push(index)
      const value = this.#head(entry, tails, isElement)
      this.path.pop()
      return value
    })
    if (isElement) tails.push({ node, list, path: [...this.path] })
    else this.#tail(node, list)
    return list
  }

  #object(node: ObjectNode, tails: ReadTail[], isElement: boolean): unknown {
    const value: Record<string, unknown> = {}
    // In the order of the user, which is not that of the bytes.
    for (const key of node.keys) value[key] = undefined
    for (const { key, isOptional, node: field } of node.fields) {
      this.path.push(key)
      if (!isOptional) value[key] = this.#head(field, tails, isElement)
      else if (this.#bit('optional key')) value[key] = this.#element(field)
      this.path.pop()
    }
    return value
  }

  #tail({ fixed, rest }: ArrayNode, list: unknown[]): void {
    const at = this.at
    const length = this.#varuint()
    const count = length - fixed.length
    if (count < 0)
      throw this.#malformed(at, `an array of ${length}, which needs at least ${fixed.length} elements`)
    if (count * rest.least > this.end - this.at) {
      throw this.#malformed(at, `an array of ${length}, and ${this.end - this.at} bytes left`)
    }
    if (rest.least === 0) this.#empties += count
    if (this.#empties > this.options.emptyElements) {
      throw this.#malformed(at, `more than ${this.options.emptyElements} elements that have no bytes`)
    }
    for (let index = fixed.length; index < length; index++) {
      this.path.push(index)
      list.push(this.#element(rest))
      this.path.pop()
    }
  }

  #scalar(type: Type): unknown {
    switch (type) {
      case 'bool':
        return this.#bit('bool')
      case 'string':
        return this.#text()
      case 'buffer':
      case 'packed':
        return this.#blob(type)
      case 'varuint':
        return this.#varuint()
      case 'varint':
        return unzigzag(this.#varuint())
      default:
        return this.#number(type)
    }
  }

  #number(type: Type): number {
    const width = WIDTHS[type] as number
    const at = this.at
    this.#need(width)
    this.at += width
    const view = this.#view
    if (type === 'uint8') return view.getUint8(at)
    if (type === 'int8') return view.getInt8(at)
    if (type === 'uint16') return view.getUint16(at)
    if (type === 'int16') return view.getInt16(at)
    if (type === 'uint32') return view.getUint32(at)
    if (type === 'int32') return view.getInt32(at)
    const value = type === 'float32' ? view.getFloat32(at) : view.getFloat64(at)
    if (value === Infinity || value === -Infinity) throw this.#malformed(at, `${value} is no ${type}`)
    return value
  }

  #bit(what: string): boolean {
    this.#need(1)
    const byte = this.bytes[this.at] as number
    if (byte > 1) throw this.#malformed(this.at, `${byte} is no ${what}`)
    this.at += 1
    return byte === 1
  }

  #text(): string {
    const [start, end] = this.#span('string')
    const text = readText(this.bytes, start, end)
    if (text === undefined) throw this.#malformed(start, 'no UTF-8')
    return text
  }

  #blob(type: 'buffer' | 'packed'): unknown {
    const [start, end] = this.#span(type)
    if (type === 'buffer') {
      return this.options.areViews ? viewBytes(this.bytes, start, end) : copyBytes(this.bytes, start, end)
    }
    try {
      return unpack(this.bytes, start, end, this.options.packDepth)
    } catch (cause) {
      throw this.#malformed(start, `packed: ${cause instanceof Error ? cause.message : shown(cause)}`, cause)
    }
  }

  /** A length, and so many bytes behind it. */
  #span(type: Type): [start: number, end: number] {
    const at = this.at
    const length = this.#varuint()
    const start = this.at
    if (length > this.end - start)
      throw this.#malformed(at, `a ${type} of ${length} bytes, and ${this.end - start} left`)
    this.at += length
    return [start, this.at]
  }

  #varuint(): number {
    const value = readVaruint(this.bytes, this.at, this.end)
    if (value === -1) throw this.#truncated()
    if (value === -2) throw this.#malformed(this.at, 'a varuint above 2147483647')
    if (value === -3) throw this.#malformed(this.at, 'a varuint that is not as short as it can be')
    this.at += varuintSize(value)
    return value
  }

  #need(count: number): void {
    if (count > this.end - this.at) throw this.#truncated()
  }

  #truncated(): PacketError {
    return malformed(
      this.path,
      this.at - this.#start,
      `truncated at byte ${this.at - this.#start}${this.#while()}`,
    )
  }

  #malformed(at: number, problem: string, cause?: unknown): PacketError {
    const offset = at - this.#start
    return malformed(this.path, offset, `${problem}, at byte ${offset}${this.#while()}`, cause)
  }

  #while(): string {
    return this.path.length === 0 ? '' : ` while reading ${pathOf(this.path)}`
  }
}

interface ReadTail {
  readonly node: ArrayNode
  readonly list: unknown[]
  readonly path: readonly (string | number)[]
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}
