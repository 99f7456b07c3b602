// One schema compiled: the codec of `compileSchema`, and of every packet.

import type { Codec, CodecOptions, DataOf, PackedType, Schema } from '../../../types/packets'
import type { Agreed } from '../agreed'
import { limitsWith } from '../limits'
import { INSPECT, type Inspect, show } from '../printing'
import { type Coder, type CoderOptions, malformed } from './coder'
import { generate } from './generate'
import { interpret } from './interpret'
import { canonical, type Node, parseSchema } from './schema'
import { fingerprint } from './sha256'
import { encodeWith, tooLarge } from './slab'
import { textBytes } from './text'

export class SchemaCodec {
  readonly node: Node
  readonly minBytes: number
  readonly canonical: string
  readonly coder: Coder
  readonly #maxBytes: number
  #fingerprint: string | undefined

  /** `generated: false` makes no code, which is what schemas of strangers get. */
  constructor(node: Node, options: CodecOptions = {}, { generated = true } = {}) {
    const limits = limitsWith(options.limits)
    const coderOptions: CoderOptions = {
      packDepth: limits.packDepth,
      emptyElements: limits.emptyElements,
      areViews: options.buffers === 'view',
    }
    const interpreter = interpret(node, coderOptions)
    this.node = node
    this.minBytes = node.least
    this.canonical = canonical(node)
    this.#maxBytes = limits.packetBytes
    this.coder = (generated ? generate(node, coderOptions, interpreter) : undefined) ?? interpreter
  }

  get fingerprint(): string {
    return (this.#fingerprint ??= fingerprint(textBytes(this.canonical)))
  }

  [INSPECT](...how: [number, object, Inspect]): string {
    const { canonical: schema, minBytes, fingerprint } = this
    return show(this, { schema, minBytes, fingerprint }, how)
  }

  encode(value: unknown): Uint8Array {
    return encodeWith(this.coder, value, this.#maxBytes)
  }

  decode(bytes: Uint8Array): unknown {
    if (!(bytes instanceof Uint8Array)) throw malformed([], 0, 'no bytes')
    if (bytes.length > this.#maxBytes) throw tooLarge(this.#maxBytes)
    return this.coder.read(bytes, 0, bytes.length)
  }
}

/** Returns the codec of a schema. */
export function compileSchema<const S extends Schema>(schema: S, options?: CodecOptions): Codec<DataOf<S>> {
  return new SchemaCodec(parseSchema(schema), options) as Codec<Agreed>
}

/** Returns the string `'packed'`, with a type for TypeScript. */
export function packed<T = unknown>(): PackedType<T> {
  return 'packed' as PackedType<T>
}
