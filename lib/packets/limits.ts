// The limits of packets: one table, which `limits` of a codec, a registry and a socket change.
import type { Limits } from '../../types/packets'
import { badOption } from './errors'

const KIB = 1024
const MIB = 1024 * KIB

/** Bytes of one packet's body, each way. */
const MAX_PACKET_BYTES = 1 * MIB
/** Levels of a packed value. */
const MAX_PACK_DEPTH = 64
/** Elements of an array whose elements have no bytes: nothing else bounds them. */
const MAX_EMPTY_ELEMENTS = 1024
export const DEFAULT_LIMITS: Readonly<Required<Limits>> = Object.freeze({
  packetBytes: MAX_PACKET_BYTES,
  packDepth: MAX_PACK_DEPTH,
  emptyElements: MAX_EMPTY_ELEMENTS,
})

/** A limit is a number of things that exist, and fits in every length on the wire. */
const LARGEST_LIMIT = 2 ** 30

/** Returns the defaults with `given` over them. */
export function limitsWith(given: Limits | undefined, base = DEFAULT_LIMITS): Readonly<Required<Limits>> {
  if (given === undefined) return base
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw badOption(`unknown limit '${name}'`, 'ERR_UNKNOWN_OPTION')
    if (value === undefined) continue
    if (!Number.isInteger(value) || value < 1 || value > LARGEST_LIMIT) {
      throw badOption(`limits.${name} must be an integer from 1 to 2^30, got ${value}`, 'ERR_OUT_OF_RANGE')
    }
  }
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.freeze({ ...base, ...Object.fromEntries(said) })
}
