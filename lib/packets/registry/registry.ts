// The packets that an application has, by name: what it sends and what it understands.
import type { Client, Published, PublishOptions, SubscriptionOptions } from '../../../index'
import type { CodecOptions } from '../../../types/packets'
import { didYouMean } from '../../values/nearest'
import { type Coder, isBytes, malformed } from '../codec/coder'
import { fingerprint } from '../codec/sha256'
import { encodeWith, tooLarge } from '../codec/slab'
import {
  badOption,
  badSchema,
  checkClient,
  PacketError,
  shown,
  unknownOption,
  unknownPacket,
} from '../errors'
import { type AllLimits, limitsWith } from '../limits'
import { INSPECT, type Inspect, show } from '../printing'
import { BundleCount, type Prepared, readBundle, writeBundle } from './bundle'
import { DEFAULT_PACKETS } from './defaults'
import { type Entry, entryOf } from './entry'
import { envelopeKey, FINGERPRINT_BYTES, fingerprintBytes } from './envelope'
import { type AnyPacket, type AnyPacketClass, isPacketClass } from './packet'
import { PacketSubscription } from './subscription'

export interface RegistryOptions extends CodecOptions {
  defaults?: boolean
}

/** Ids take two bytes in bundles. */
const MAX_NAMES = 65_535
const LONE_SURROGATE = /\p{Cs}/u
const OPTIONS = ['defaults', 'limits', 'buffers']

export class PacketRegistry {
  readonly names: readonly string[]
  readonly hash: string
  readonly limits: AllLimits
  /** In the order of their ids. */
  readonly entries: readonly Entry[]
  readonly #byName: ReadonlyMap<string, Entry>
  readonly #byClass: ReadonlyMap<AnyPacketClass, Entry>
  /** By the fingerprints of envelopes. */
  readonly #byKey: ReadonlyMap<string, Entry>

  constructor(packets: Readonly<Record<string, unknown>> = {}, options: RegistryOptions = {}) {
    for (const name of Object.keys(options)) {
      if (!OPTIONS.includes(name)) throw unknownOption(name, OPTIONS)
    }
    if (typeof packets !== 'object' || packets === null || Array.isArray(packets)) {
      throw badOption('packets must be an object: classes by name', 'ERR_INVALID_ARG_TYPE')
    }
    const limits = limitsWith(options.limits)
    const classes = new Map(Object.entries(options.defaults === false ? {} : DEFAULT_PACKETS))
    for (const [name, Class] of Object.entries(packets)) classes.set(name, Class as AnyPacketClass)
    const odd = [...classes.keys()].find(name => LONE_SURROGATE.test(name))
    if (odd !== undefined) throw badSchema('', `the name ${shown(odd)} is no text`)
    if (classes.size > MAX_NAMES) throw badSchema('', `more than ${MAX_NAMES} packets`)
    this.names = Object.freeze([...classes.keys()].sort(byUnits))
    this.entries = this.names.map((name, index) =>
      entryOf(name, index + 1, classes.get(name), { ...options, limits }),
    )
    this.#byName = new Map(this.entries.map(entry => [entry.name, entry]))
    this.#byClass = new Map(this.entries.map(entry => [entry.Class, entry]))
    if (this.#byClass.size < this.entries.length) throw badSchema('', 'one class under two names')
    this.limits = limits
    this.hash = fingerprint(fingerprintBytes(this.entries.map(each => each.fingerprint).join('')))
    this.#byKey = new Map(this.entries.map(entry => [this.#keyOf(entry), entry]))
  }

  [INSPECT](...how: [number, object, Inspect]): string {
    const { names, hash } = this
    return show(this, { names, hash }, how)
  }

  get(name: string): AnyPacketClass | undefined {
    return this.#byName.get(name)?.Class
  }

  /** Returns what is registered under a name. */
  entry(name: string): Entry | undefined {
    return this.#byName.get(name)
  }

  /** @throws {PacketError} `"ERR_PACKET_UNKNOWN"` */
  entryOfClass(Class: unknown): Entry {
    const entry = this.#byClass.get(Class as AnyPacketClass)
    if (entry === undefined) {
      const hint = typeof Class === 'string' && this.#byName.has(Class) ? ', which is its name' : ''
      throw unknownPacket(`of the class ${nameOf(Class)}`, hint)
    }
    return entry
  }

  hydrate(packet: unknown): AnyPacket {
    if (!Array.isArray(packet)) {
      this.#entryOfInstance(packet)
      return packet as AnyPacket
    }
    const { Class } = this.#entryNamed(packet[0])
    return new Class(packet[1])
  }

  /** Returns what is needed to write a packet: hydrated or not, nothing is constructed for it. */
  prepare(packet: unknown): Prepared & { entry: Entry } {
    const isNamed = Array.isArray(packet)
    const entry = isNamed ? this.#entryNamed(packet[0]) : this.#entryOfInstance(packet)
    const data = isNamed ? (packet[1] === undefined ? {} : packet[1]) : (packet as AnyPacket).data
    const { id, name, isBundle } = entry
    return { entry, id, name, data, isBundle, coder: isBundle ? this.#bundles : entry.coder }
  }

  encode(packet: unknown): Uint8Array {
    const { name, data, coder } = this.prepare(packet)
    return named(name, () => encodeWith(coder, data, this.limits.packetBytes))
  }

  decode(name: string, bytes: Uint8Array): AnyPacket {
    const entry = this.#entryNamed(name)
    if (!isBytes(bytes)) throw malformed([], 0, `${name}: no bytes`)
    return named(name, () => this.read(entry, bytes, 0, bytes.length))
  }

  /** Returns the packet that takes exactly these bytes. `count`: of the bundle that it is in. */
  read(
    entry: Entry,
    bytes: Uint8Array,
    at: number,
    end: number,
    count?: BundleCount,
    limits = this.limits,
  ): AnyPacket {
    if (end - at > limits.packetBytes) throw tooLarge(limits.packetBytes)
    if (!entry.isBundle) return new entry.Class(entry.coder.read(bytes, at, end))
    return new entry.Class(readBundle(this, bytes, at, end, count ?? new BundleCount(limits)))
  }

  readInside(id: number, bytes: Uint8Array, at: number, end: number, count: BundleCount): AnyPacket {
    const entry = this.entries[id - 1]
    if (entry === undefined) throw malformed([], 0, `no packet has the id ${id}`)
    return this.read(entry, bytes, at, end, count)
  }

  /** Returns the bytes of a packet with its fingerprint before them. */
  pack(packet: unknown): Uint8Array {
    const { entry, name, data, coder } = this.prepare(packet)
    const body = named(name, () => encodeWith(coder, data, this.limits.packetBytes))
    return this.envelope(entry, body)
  }

  envelope(entry: Entry, body: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(FINGERPRINT_BYTES + body.length)
    bytes.set(fingerprintBytes(this.#keyOf(entry)))
    bytes.set(body, FINGERPRINT_BYTES)
    return bytes
  }

  unpack(bytes: Uint8Array): AnyPacket {
    const entry = this.entryOfEnvelope(bytes)
    return named(entry.name, () => this.read(entry, bytes, FINGERPRINT_BYTES, bytes.length))
  }

  /** @throws {PacketError} `"ERR_PACKET_MALFORMED"` · `"ERR_PACKET_UNKNOWN"` no packet here has that fingerprint */
  entryOfEnvelope(bytes: Uint8Array): Entry {
    if (!isBytes(bytes) || bytes.length < FINGERPRINT_BYTES) throw malformed([], 0, 'no envelope')
    const key = envelopeKey(bytes)
    const entry = this.#byKey.get(key)
    if (entry === undefined) throw unknownPacket(`with the fingerprint ${key}`)
    return entry
  }

  async publish(
    client: Client,
    subject: string,
    packet: unknown,
    options?: PublishOptions,
  ): Promise<Published> {
    checkClient(client)
    return await client.publish(subject, this.pack(packet), options)
  }

  async subscribe(
    client: Client,
    pattern: string,
    options?: SubscriptionOptions,
  ): Promise<PacketSubscription> {
    checkClient(client)
    return new PacketSubscription(await client.subscribe(pattern, options), this)
  }

  /** Bundles have bytes that only a registry understands: their fingerprints are of all of it. */
  #keyOf({ isBundle, fingerprint: own }: Entry): string {
    return isBundle ? fingerprint(fingerprintBytes(own + this.hash)) : own
  }

  readonly #bundles: Coder = {
    write: (data, bytes, at, end) => {
      return writeBundle(data, bytes, at, end, packet => this.prepare(packet), new BundleCount(this.limits))
    },
    read: (bytes, at, end) => readBundle(this, bytes, at, end, new BundleCount(this.limits)),
  }

  #entryNamed(name: unknown): Entry {
    const entry = typeof name === 'string' ? this.#byName.get(name) : undefined
    if (entry === undefined) {
      const hint = typeof name === 'string' ? didYouMean(name, this.names) : ''
      throw unknownPacket(`of the name ${shown(name)}`, hint)
    }
    return entry
  }

  #entryOfInstance(packet: unknown): Entry {
    if (typeof packet === 'string') throw unknownPacket(`in a text: send [${shown(packet)}, data]`)
    // Its static data would be sent, which is the schema.
    if (isPacketClass(packet)) {
      const name = this.#byClass.get(packet)?.name ?? nameOf(packet)
      throw unknownPacket(`in a class: send new ${name}(data)`)
    }
    const isObject = typeof packet === 'object' && packet !== null
    return this.entryOfClass(isObject ? (packet as AnyPacket).constructor : packet)
  }
}

/** Adds the name of the packet to an error. */
export function named<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof PacketError ? errorOf(name, error) : error
  }
}

/** Returns the error with the name of the packet. */
export function errorOf(name: string, error: PacketError): PacketError {
  const { code, path, offset, cause } = error
  return new PacketError(`${name}: ${error.message}`, code, {
    packet: name,
    path,
    offset,
    cause,
    reason: error.reason,
  })
}

function nameOf(Class: unknown): string {
  return typeof Class === 'function' && typeof Class.name === 'string' ? Class.name : shown(Class)
}

/** As `<` on strings is: by units of UTF-16. */
function byUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
