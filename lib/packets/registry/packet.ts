// The base class of all packets, which is also the function that makes one of a schema; and the decorator that packs.

import type { PacketOptions, Schema } from '../../../types/packets'
import type { Agreed } from '../agreed'
import { SchemaCodec } from '../codec/codec'
import { type Node, parseSchema } from '../codec/schema'
import { badOption, badSchema, unknownOption } from '../errors'

export type Direction = 'both' | 'toClient' | 'toServer'
export type Order = 'concurrent' | 'serial'

export interface AnyPacket {
  data: Agreed
  validate?(socket: Agreed): Agreed
  respond?(socket: Agreed): Agreed
}

/** A packet class, as this code sees it: TypeScript's view is in the contract. */
export interface AnyPacketClass {
  new (data?: Agreed): AnyPacket
  readonly prototype: AnyPacket
  readonly data: Schema
  readonly result: Schema | undefined
  readonly direction: Direction
  readonly order: Order
  encode(data: Agreed): Uint8Array
  decode(bytes: Uint8Array): Agreed
  validate(packet: Agreed, socket: Agreed): Agreed
  respond(packet: Agreed, socket: Agreed): Agreed
}

/** The keys that a class packs by itself: `true` is all of its data. Those of the classes above come in addition. */
const PACKS = Symbol('packs')

type Packs = true | readonly string[]

// A function and no class: `Packet({ … })` calls it, and `class X extends Packet` derives from it.
function PacketConstructor(this: AnyPacket, data?: unknown, options?: unknown): unknown {
  if (new.target === undefined)
    return classOf(data as Schema, options as PacketOptions<Agreed, Agreed> | undefined)
  this.data = data === undefined ? {} : data
  return undefined
}

export const Packet = PacketConstructor as unknown as AnyPacketClass &
  ((schema: Schema, options?: PacketOptions<Agreed, Agreed>) => AnyPacketClass)

Object.defineProperty(PacketConstructor, 'name', { value: 'Packet' })

const STATICS = {
  result: undefined,
  direction: 'both',
  order: 'concurrent',
  encode(this: AnyPacketClass, data: unknown): Uint8Array {
    return ownCodec(this).encode(data)
  },
  decode(this: AnyPacketClass, bytes: Uint8Array): unknown {
    return ownCodec(this).decode(bytes)
  },
  validate: (packet: AnyPacket, socket: unknown): unknown => packet.validate?.(socket),
  respond: (packet: AnyPacket, socket: unknown): unknown => packet.respond?.(socket),
}

for (const [name, value] of Object.entries(STATICS)) {
  Object.defineProperty(PacketConstructor, name, { value, writable: true, configurable: true })
}
Object.defineProperty(PacketConstructor, 'data', { get: () => ({}), configurable: true })

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isText = (value: unknown): boolean => typeof value === 'string'
const isDirection = (value: unknown): boolean => ['both', 'toClient', 'toServer'].includes(value as string)
const isOrder = (value: unknown): boolean => ['concurrent', 'serial'].includes(value as string)

const OPTIONS: Readonly<Record<string, readonly [wanted: string, check: (value: unknown) => boolean]>> = {
  // Parsed below, and the schema says what is wrong with it.
  result: ['a schema', () => true],
  pack: [
    'true, a key or an array of keys',
    value => value === true || isText(value) || (Array.isArray(value) && value.every(isText)),
  ],
  direction: ["'both', 'toClient' or 'toServer'", isDirection],
  order: ["'concurrent' or 'serial'", isOrder],
  validate: ['a function', isFunction],
  respond: ['a function', isFunction],
}

/** Statics that a class overrides are not options. @throws {PacketError} `"ERR_PACKET_SCHEMA"` */
export function checkStatics({ direction, order }: AnyPacketClass): void {
  if (!isDirection(direction)) throw badSchema('', `its direction must be ${OPTIONS.direction?.[0]}`)
  if (!isOrder(order)) throw badSchema('', `its order must be ${OPTIONS.order?.[0]}`)
}

function classOf(schema: Schema, options: PacketOptions<Agreed, Agreed> = {}): AnyPacketClass {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, name)) throw unknownOption(name, Object.keys(OPTIONS))
    const [wanted, check] = OPTIONS[name] as (typeof OPTIONS)[string]
    if (value !== undefined && !check(value))
      throw badOption(`${name} must be ${wanted}`, 'ERR_INVALID_ARG_VALUE')
  }
  const { pack, ...statics } = options
  class DefinedPacket extends Packet {}
  define(DefinedPacket, 'name', 'Packet')
  define(DefinedPacket, 'data', schema)
  if (pack !== undefined) define(DefinedPacket, PACKS, typeof pack === 'string' ? [pack] : pack)
  for (const [name, value] of Object.entries(statics)) {
    if (value !== undefined) define(DefinedPacket, name, value)
  }
  // Checks the schema here and not where the packet is first used.
  dataNode(DefinedPacket)
  resultNode(DefinedPacket)
  return DefinedPacket
}

function define(Class: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(Class, key, { value, writable: true, configurable: true })
}

/** Returns a decorator: the whole data of the class, or the value of one key, is any value as MessagePack. */
export function Packer(key?: string): (Superclass: AnyPacketClass) => AnyPacketClass {
  return Superclass => {
    if (!isPacketClass(Superclass)) throw badSchema('', 'Packer decorates packet classes')
    class PackedPacket extends (Superclass as typeof Packet) {}
    define(PackedPacket, PACKS, key === undefined ? true : [key])
    return PackedPacket
  }
}

/** Whether a value is a class derived from `Packet`. */
export function isPacketClass(value: unknown): value is AnyPacketClass {
  return (
    typeof value === 'function' &&
    (value === PacketConstructor || value.prototype instanceof PacketConstructor)
  )
}

/** Returns the schema of a class's data, with its packed keys, wherever in the line of classes they were said. */
export function dataNode(Class: AnyPacketClass): Node {
  const keys = packedKeys(Class)
  if (keys === true) return parseSchema('packed')
  const schema: unknown = Class.data
  if (keys.size === 0) return parseSchema(schema)
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw badSchema('', `it has the packed key '${[...keys][0]}', and is no object`)
  }
  const whole: Record<string, unknown> = { ...schema }
  for (const key of keys) {
    const written = Object.hasOwn(whole, `${key}?`) ? `${key}?` : key
    const type = whole[written]
    if (type !== undefined && !isPackable(type)) throw badSchema(key, 'a packed key of another type')
    whole[written] = 'packed'
  }
  return parseSchema(whole)
}

function isPackable(type: unknown): boolean {
  return typeof type === 'string' && ['buffer', 'packed'].includes(type.trim().toLowerCase())
}

function packedKeys(Class: AnyPacketClass): true | ReadonlySet<string> {
  const keys = new Set<string>()
  for (let at: unknown = Class; typeof at === 'function'; at = Object.getPrototypeOf(at)) {
    const packs = Object.getOwnPropertyDescriptor(at, PACKS)?.value as Packs | undefined
    if (packs === true) return true
    for (const key of packs ?? []) keys.add(key)
  }
  return keys
}

/** Returns the schema of a class's result; `undefined`: any value. */
export function resultNode(Class: AnyPacketClass): Node | undefined {
  return Class.result === undefined ? undefined : parseSchema(Class.result)
}

/** One for each class: a subclass never gets that of the class above. */
const codecs = new WeakMap<AnyPacketClass, SchemaCodec>()

function ownCodec(Class: AnyPacketClass): SchemaCodec {
  let codec = codecs.get(Class)
  if (codec === undefined) {
    codec = new SchemaCodec(dataNode(Class))
    codecs.set(Class, codec)
  }
  return codec
}

/** Whether a class encodes or decodes in its own way, and not by its schema. */
export function hasOwnCoding(Class: AnyPacketClass): boolean {
  return Class.encode !== STATICS.encode || Class.decode !== STATICS.decode
}
