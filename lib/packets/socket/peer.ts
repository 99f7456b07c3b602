// The packets of the other side: which names it has, under which ids, and how what it writes becomes what we read.
import { SchemaCodec } from '../codec/codec'
import { type Node, parseSchema } from '../codec/schema'
import { tooLarge } from '../codec/slab'
import { PacketError } from '../errors'
import type { AllLimits } from '../limits'
import { BundleCount, readBundle } from '../registry/bundle'
import { type Entry, packetFingerprint, packetText } from '../registry/entry'
import { findHollow } from '../registry/hollow'
import type { AnyPacket } from '../registry/packet'
import type { PacketRegistry } from '../registry/registry'
import { type Convert, Incompatible, resolve } from '../registry/resolve'
import { broken, type FrameReader, VERSION } from './frames'

/** A name of the peer's. */
interface Theirs {
  readonly name: string
  readonly fingerprint: string
  /** Ours of the same name. */
  readonly entry: Entry | undefined
  /** Whether both sides have the same schemas. */
  readonly isSame: boolean
  /** What the peer said about its own, where they differ. */
  schema: TheirSchema | undefined
  /** Whether it has said so: once is enough, and each costs. */
  hasSchema: boolean
}

interface TheirSchema {
  readonly data: Reading | Incompatible
  readonly result: Reading | Incompatible
}

/** Reads with the writer's schema, never with generated code, and turns it into what we have. */
interface Reading {
  /** `undefined`: any value. */
  readonly codec: SchemaCodec | undefined
  readonly convert: Convert
}

export class Peer {
  /** By id, from 1. */
  readonly #theirs: Theirs[] = []
  readonly #byName = new Map<string, Theirs>()
  readonly #registry: PacketRegistry
  readonly #limits: AllLimits

  /** Reads what follows the kind of a HELLO. */
  constructor(registry: PacketRegistry, frame: FrameReader, limits: AllLimits) {
    this.#registry = registry
    this.#limits = limits
    const version = frame.varuint()
    if (version !== VERSION) throw broken(`version ${version}, and this is ${VERSION}`)
    const count = frame.varuint()
    if (count > limits.packets) throw broken(`${count} packets, and ${limits.packets} are the most`)
    for (let id = 1; id <= count; id++) this.#add(frame.text(), frame.fingerprint())
    frame.finish()
  }

  #add(name: string, fingerprint: string): void {
    const last = this.#theirs.at(-1)
    if (last !== undefined && last.name >= name) throw broken('names out of their order')
    const entry = this.#registry.entry(name)
    const theirs = {
      name,
      fingerprint,
      entry,
      isSame: entry?.fingerprint === fingerprint,
      schema: undefined,
      hasSchema: false,
    }
    this.#theirs.push(theirs)
    this.#byName.set(name, theirs)
  }

  /** Ours that the peer has with other schemas: it needs to know them. */
  get differing(): Entry[] {
    return this.#theirs.flatMap(({ entry, isSame }) => (entry !== undefined && !isSame ? [entry] : []))
  }

  /** Reads what follows the kind of a SCHEMA. */
  handleSchema(frame: FrameReader): void {
    const theirs = this.#of(frame.varuint())
    const start = frame.at
    const text = frame.text()
    if (frame.at - start > this.#limits.schemaBytes) throw broken('a schema that is too large')
    frame.finish()
    if (theirs.hasSchema) throw broken(`the schema of ${theirs.name} twice`)
    theirs.hasSchema = true
    const { data, result } = parseText(text)
    if (packetFingerprint(theirs.name, packetText(data, result)) !== theirs.fingerprint) {
      throw broken(`a schema of ${theirs.name} that is not the one of its fingerprint`)
    }
    if (theirs.entry !== undefined) theirs.schema = this.#schemaOf(theirs.entry, data, result)
  }

  #schemaOf(entry: Entry, data: Node, result: Node | undefined): TheirSchema {
    return {
      data: this.#reading(data, entry.dataNode),
      result: this.#resultReading(result, entry.resultNode),
    }
  }

  #reading(writer: Node, reader: Node): Reading | Incompatible {
    const hollow = findHollow(writer)
    if (hollow !== undefined) return new Incompatible(hollow, 'more objects written than bytes')
    const convert = resolve(writer, reader)
    if (convert instanceof Incompatible) return convert
    return { codec: new SchemaCodec(writer, { limits: this.#limits }, { generated: false }), convert }
  }

  #resultReading(writer: Node | undefined, reader: Node | undefined): Reading | Incompatible {
    if (writer === undefined) {
      return reader === undefined
        ? { codec: undefined, convert: undefined }
        : new Incompatible('', 'any value written, a schema read')
    }
    return this.#reading(writer, reader ?? writer)
  }

  #of(id: number): Theirs {
    const theirs = this.#theirs[id - 1]
    if (theirs === undefined) throw broken(`no packet has the id ${id}`)
    return theirs
  }

  /** Returns the name of one of its packets. */
  nameOf(id: number): string {
    return this.#of(id).name
  }

  /** Returns why a call of ours is for nothing: the peer lacks the packet, or we cannot read its answer. */
  obstacleFor(entry: Entry): PacketError | undefined {
    const theirs = this.#byName.get(entry.name)
    if (theirs === undefined) return unsupported(entry.name, 'the other side has no such packet')
    const result = theirs.schema?.result
    return result instanceof Incompatible ? unsupported(entry.name, `its answer: ${result}`) : undefined
  }

  /** Returns the entry and the packet of these bytes. @throws {PacketError} `"ERR_PACKET_UNSUPPORTED"` · as decoding */
  read(
    id: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    count?: BundleCount,
  ): { entry: Entry; packet: AnyPacket } {
    const theirs = this.#of(id)
    const { entry, schema } = theirs
    const { packetBytes } = this.#limits
    if (end - at > packetBytes) throw tooLarge(packetBytes)
    if (entry === undefined) throw unsupported(theirs.name, 'there is no such packet here')
    if (theirs.isSame) return { entry, packet: this.#readSame(entry, bytes, at, end, count) }
    if (schema === undefined) throw unsupported(entry.name, 'the other side did not say its schema')
    if (schema.data instanceof Incompatible) throw unsupported(entry.name, String(schema.data))
    // Its bytes are the same, only its answers are others.
    if (entry.isBundle) return { entry, packet: this.#readSame(entry, bytes, at, end, count) }
    const { codec, convert } = schema.data
    const data = codec?.coder.read(bytes, at, end)
    return { entry, packet: new entry.Class(convert === undefined ? data : convert(data)) }
  }

  #readSame(entry: Entry, bytes: Uint8Array, at: number, end: number, count?: BundleCount): AnyPacket {
    if (!entry.isBundle) return this.#registry.read(entry, bytes, at, end, undefined, this.#limits)
    const packets = readBundle(this, bytes, at, end, count ?? new BundleCount(this.#limits))
    return new entry.Class(packets)
  }

  readInside(id: number, bytes: Uint8Array, at: number, end: number, count: BundleCount): AnyPacket {
    if (this.#theirs[id - 1] === undefined) throw malformedId(id)
    return this.read(id, bytes, at, end, count).packet
  }

  /** Returns how an answer to a call of ours is read: with a codec, or as any value. */
  resultOf(entry: Entry): { codec: SchemaCodec | undefined; convert: Convert } {
    const theirs = this.#byName.get(entry.name)
    if (theirs === undefined || theirs.isSame) return { codec: entry.result, convert: undefined }
    const result = theirs.schema?.result
    if (result === undefined) throw unsupported(entry.name, 'the other side did not say its schema')
    if (result instanceof Incompatible) throw unsupported(entry.name, `its answer: ${result}`)
    return result
  }
}

function parseText(text: string): { data: Node; result: Node | undefined } {
  try {
    const { data, result } = JSON.parse(text) as { data?: unknown; result?: unknown }
    return { data: parseSchema(data), result: result === undefined ? undefined : parseSchema(result) }
  } catch (cause) {
    throw broken(`a schema that is none: ${cause instanceof Error ? cause.message : cause}`)
  }
}

function malformedId(id: number): PacketError {
  return new PacketError(`no packet has the id ${id}`, 'ERR_PACKET_MALFORMED')
}

export function unsupported(name: string, problem: string): PacketError {
  return new PacketError(`${name}: ${problem}`, 'ERR_PACKET_UNSUPPORTED', { packet: name, reason: problem })
}
