// The limits of packets: one table, which `limits` of a codec, a registry and a socket change.
import type { Limits } from '../../types/packets'
import { badOption, unknownOption } from './errors'

const KIB = 1024
const MIB = 1024 * KIB

/** Bytes of one packet's body, each way. */
const MAX_PACKET_BYTES = 1 * MIB
/** Levels of bundles in bundles: each is looked through before anything is accepted. */
const MAX_BUNDLE_DEPTH = 8
/** Packets of one bundle, those of bundles inside included. */
const MAX_BUNDLE_PACKETS = 10_000
/** Levels of a packed value. */
const MAX_PACK_DEPTH = 64
/** Elements that have no bytes, in all arrays of a value: nothing else bounds them. */
const MAX_EMPTY_ELEMENTS = 1024
/** Calls of a socket that wait for an answer. */
const MAX_CALLS = 4096
/** Packets of a socket that are at work at once: as many as an honest peer has calls. */
const MAX_ACCEPTORS = 4096
/** Bytes of frames that wait for a full link, and of posts that wait for their turn. */
const MAX_QUEUE_BYTES = 16 * MIB
/** Malformed bodies until a socket is closed: each costs an error and an answer. */
const MAX_MALFORMED = 100
/** Names in a peer's HELLO. */
const MAX_PACKETS = 4096
/** Bytes of one schema of a peer. */
const MAX_SCHEMA_BYTES = 16 * KIB
/** Bytes of frames that travel as one message. */
const MAX_BATCH_BYTES = 64 * KIB

export type AllLimits = Readonly<Required<Limits>>

export const DEFAULT_LIMITS: AllLimits = Object.freeze({
  packetBytes: MAX_PACKET_BYTES,
  bundleDepth: MAX_BUNDLE_DEPTH,
  bundlePackets: MAX_BUNDLE_PACKETS,
  packDepth: MAX_PACK_DEPTH,
  emptyElements: MAX_EMPTY_ELEMENTS,
  calls: MAX_CALLS,
  acceptors: MAX_ACCEPTORS,
  queueBytes: MAX_QUEUE_BYTES,
  malformed: MAX_MALFORMED,
  packets: MAX_PACKETS,
  schemaBytes: MAX_SCHEMA_BYTES,
  batchBytes: MAX_BATCH_BYTES,
})

/** A limit fits in every length on the wire. */
const MAX_LIMIT = 2 ** 30

/** Returns the defaults with `given` over them. */
export function limitsWith(given: Limits | undefined, base: AllLimits = DEFAULT_LIMITS): AllLimits {
  if (given === undefined) return base
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      throw unknownOption(name, Object.keys(DEFAULT_LIMITS), 'limit')
    }
    if (value === undefined) continue
    if (!Number.isInteger(value) || value < 1 || value > MAX_LIMIT) {
      throw badOption(`limits.${name} must be an integer from 1 to 2^30, got ${value}`, 'ERR_OUT_OF_RANGE')
    }
  }
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.freeze({ ...base, ...Object.fromEntries(said) })
}
