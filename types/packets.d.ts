/**
 * selvedge/packets: typed packets. A schema says once what a packet holds: its TypeScript type, its bytes, and checks that
 * name the field.
 *
 * Importing it loads no native code. Durations are milliseconds, sizes bytes. The rule for changing schemas and an
 * introduction: docs/guide/packets.md; the bytes: docs/protocols/packets.md.
 */

/** The types of values; white space around them and capitals make no difference. `boolean` is `bool`. */
export type ScalarType =
  | 'bool'
  | 'boolean'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'float32'
  | 'float64'
  | 'string'
  | 'varuint'
  | 'varint'
  | 'buffer'
  | 'packed'

/**
 * What a value looks like: a type; an object of schemas, a key that ends in `?` may be absent; or an array, whose last entry
 * repeats zero or more times while those before it are there once. At most 32 levels and 4096 types.
 */
export type Schema = ScalarType | readonly Schema[] | { readonly [key: string]: Schema }

/** The string `'packed'`, which for TypeScript knows what is packed. */
export type PackedType<T> = 'packed' & { readonly __packed: T }

/**
 * Returns `'packed'`: any value as MessagePack, of the type `T`.
 *
 * @example
 * const codec = compileSchema({ id: 'uint32', document: packed<Document>() })
 */
export declare function packed<T = unknown>(): PackedType<T>

interface ScalarValues {
  bool: boolean
  boolean: boolean
  int8: number
  uint8: number
  int16: number
  uint16: number
  int32: number
  uint32: number
  float32: number
  float64: number
  string: string
  varuint: number
  varint: number
  buffer: Uint8Array
  packed: any
}

type Plain<T> = { [K in keyof T]: T[K] }
type RequiredKeys<S> = { -readonly [K in keyof S as K extends `${string}?` ? never : K]: DataOf<S[K]> }
type OptionalKeys<S> = { -readonly [K in keyof S as K extends `${infer N}?` ? N : never]?: DataOf<S[K]> }

/** The type of the values of a schema: `{ id: 'uint32', 'why?': 'string' }` is `{ id: number, why?: string }`. */
export type DataOf<S> =
  S extends PackedType<infer T>
    ? T
    : S extends keyof ScalarValues
      ? ScalarValues[S]
      : S extends string
        ? never
        : S extends readonly [...infer Fixed, infer Rest]
          ? Fixed extends readonly []
            ? DataOf<Rest>[]
            : [...{ [K in keyof Fixed]: DataOf<Fixed[K]> }, ...DataOf<Rest>[]]
          : S extends readonly (infer Rest)[]
            ? DataOf<Rest>[]
            : Plain<RequiredKeys<S> & OptionalKeys<S>>

/** Bounds of what is encoded and decoded. */
export interface Limits {
  /** Bytes of one packet's body, each way. @default 1 MiB */
  packetBytes?: number
  /** Levels of a packed value. @default 64 */
  packDepth?: number
  /** Elements of an array whose elements have no bytes, as in `[{}]`. @default 1024 */
  emptyElements?: number
}

/** How a schema is compiled. */
export interface CodecOptions {
  limits?: Limits
  /** Whether decoded `buffer` values are copies, or views of the bytes that were decoded. @default 'copy' */
  buffers?: 'copy' | 'view'
}

/** Encodes and decodes the values of one schema. */
export interface Codec<D> {
  /**
   * Returns the bytes of a value, which it does not change: a view of memory that nothing else will touch. Keys that the
   * schema lacks are left out, fractions in integer types are cut off.
   *
   * @throws {PacketError} `"ERR_PACKET_ENCODE"` the value does not fit, at `path` · `"ERR_PACKET_TOO_LARGE"`
   */
  encode(value: D): Uint8Array
  /**
   * Returns the value of these bytes, all of them. Bytes in it are Buffers where there are Buffers. An optional key that was
   * absent is there, and undefined.
   *
   * @throws {PacketError} `"ERR_PACKET_MALFORMED"` they are no value of the schema, at `path`, `offset` · `"ERR_PACKET_TOO_LARGE"`
   */
  decode(bytes: Uint8Array): D
  /** The least bytes that a value takes. */
  readonly minBytes: number
  /** 16 hex digits: the same for equal schemas, however they are written. */
  readonly fingerprint: string
}

/**
 * Compiles a schema. Does not change it, and generates code where that is allowed.
 *
 * @throws {PacketError} `"ERR_PACKET_SCHEMA"` it is no schema, at `path`
 * @example
 * const codec = compileSchema({ id: 'uint32', at: ['float32'], 'why?': 'string' })
 * const bytes = codec.encode({ id: 7, at: [1, 2] })
 * codec.decode(bytes).at[1] // 2
 */
export declare function compileSchema<const S extends Schema>(
  schema: S,
  options?: CodecOptions,
): Codec<DataOf<S>>

/** Every error of packets. */
export declare class PacketError extends Error {
  private constructor()
  /** `"ERR_PACKET_…"`, see docs/errors.md; a number for what the other side said. */
  readonly code: string | number
  /** In short what is wrong. */
  readonly reason: string
  /** The name of the packet. */
  readonly packet?: string
  /** Where in the value: `at.x`, `u[1].hp`; empty for the whole. */
  readonly path?: string
  /** Where in the bytes. */
  readonly offset?: number
}
