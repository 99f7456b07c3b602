// A packet of a registry: its class under its name, and all that is made of its schemas.
import { SchemaCodec } from '../codec/codec'
import { type Coder, NO_ROOM } from '../codec/coder'
import { canonical, type Node } from '../codec/schema'
import { fingerprint } from '../codec/sha256'
import { textBytes } from '../codec/text'
import { badSchema, PacketError } from '../errors'
import type { AllLimits } from '../limits'
import { isBundleClass } from './defaults'
import {
  type AnyPacketClass,
  checkStatics,
  dataNode,
  hasOwnCoding,
  isPacketClass,
  resultNode,
} from './packet'

export interface Entry {
  readonly name: string
  /** Its place among the sorted names, from 1: what the wire calls it. */
  readonly id: number
  readonly Class: AnyPacketClass
  readonly dataNode: Node
  /** `undefined`: any value. */
  readonly resultNode: Node | undefined
  /** Of everything but bundles, which need to know the others. */
  readonly coder: Coder
  readonly result: SchemaCodec | undefined
  /** Both schemas, in the one way to write them. */
  readonly text: string
  readonly fingerprint: string
  readonly isBundle: boolean
}

export interface EntryOptions {
  readonly limits: AllLimits
  readonly buffers?: 'copy' | 'view'
}

/** @throws {PacketError} `"ERR_PACKET_SCHEMA"` it is no packet class, or has no schema */
export function entryOf(name: string, id: number, Class: unknown, options: EntryOptions): Entry {
  if (!isPacketClass(Class)) throw badSchema('', `${name} is no packet class`)
  try {
    checkStatics(Class)
    const data = dataNode(Class)
    const result = resultNode(Class)
    const text = packetText(data, result)
    const codec = new SchemaCodec(data, options)
    return {
      name,
      id,
      Class,
      dataNode: data,
      resultNode: result,
      coder: hasOwnCoding(Class) ? ownCoder(Class) : codec.coder,
      result: result === undefined ? undefined : new SchemaCodec(result, options),
      text,
      fingerprint: packetFingerprint(name, text),
      isBundle: isBundleClass(Class),
    }
  } catch (error) {
    if (!(error instanceof PacketError)) throw error
    throw new PacketError(`${name}: ${error.message}`, error.code, { packet: name, path: error.path })
  }
}

/** Returns the schemas of a packet in the one way to write them. */
export function packetText(data: Node, result: Node | undefined): string {
  const tail = result === undefined ? '' : `,"result":${canonical(result)}`
  return `{"data":${canonical(data)}${tail}}`
}

export function packetFingerprint(name: string, text: string): string {
  return fingerprint(textBytes(`${name}\0${text}`))
}

/** The class's own `encode` and `decode`, which say bytes and data. */
function ownCoder(Class: AnyPacketClass): Coder {
  return {
    write(value, bytes, at, end) {
      const encoded = Class.encode(value)
      if (encoded.length > end - at) return NO_ROOM
      bytes.set(encoded, at)
      return at + encoded.length
    },
    read: (bytes, at, end) => Class.decode(bytes.subarray(at, end)),
  }
}
