// Bundles in bytes: a length, then for each packet its length and id, least significant byte first, and its own bytes.
import { type Coder, encodeError, isList, malformed, NO_ROOM } from '../codec/coder'
import { readVaruint, varuintSize, writeVaruint } from '../codec/text'
import { PacketError } from '../errors'
import type { AnyPacket } from './packet'

/** Bytes of the length and the id before each packet. */
const HEAD_BYTES = 6

export interface BundleLimits {
  readonly bundleDepth: number
  readonly bundlePackets: number
}

/** How deep in bundles this is, and how many packets were met; shared by all bundles inside of one. */
export class BundleCount {
  depth = 0
  packets = 0

  constructor(readonly limits: BundleLimits) {}

  enter(): void {
    this.depth += 1
    const { bundleDepth } = this.limits
    if (this.depth > bundleDepth) throw tooMany(`bundles nested deeper than ${bundleDepth} levels`)
  }

  add(): void {
    this.packets += 1
    const { bundlePackets } = this.limits
    if (this.packets > bundlePackets) throw tooMany(`more than ${bundlePackets} packets in a bundle`)
  }

  leave(): void {
    this.depth -= 1
  }
}

function tooMany(text: string): PacketError {
  return new PacketError(text, 'ERR_PACKET_TOO_LARGE')
}

/** A packet of the registry, ready to be written. */
export interface Prepared {
  readonly id: number
  readonly name: string
  readonly data: unknown
  readonly coder: Coder
  readonly isBundle: boolean
}

/** Writes the packets of a bundle; `prepare` finds each of them in the registry. */
export function writeBundle(
  packets: unknown,
  bytes: Uint8Array,
  start: number,
  end: number,
  prepare: (packet: unknown) => Prepared,
  count: BundleCount,
): number {
  if (!isList(packets)) throw encodeError([], 'a bundle is an array of packets')
  count.enter()
  // One byte for the length, which short bundles need; longer ones are moved.
  let at = start + 1
  for (let index = 0; index < packets.length; index++) {
    count.add()
    if (end - at < HEAD_BYTES) return leaveWith(count, NO_ROOM)
    const next = inside(index, () => {
      const { id, data, coder, isBundle } = prepare(packets[index])
      writeUint(bytes, at + 4, id, 2)
      const body = at + HEAD_BYTES
      return isBundle
        ? writeBundle(data, bytes, body, end, prepare, count)
        : coder.write(data, bytes, body, end)
    })
    if (next === NO_ROOM) return leaveWith(count, NO_ROOM)
    writeUint(bytes, at, next - at - HEAD_BYTES, 4)
    at = next
  }
  const length = at - start - 1
  const extra = varuintSize(length) - 1
  if (end - at < extra) return leaveWith(count, NO_ROOM)
  if (extra > 0) bytes.copyWithin(start + 1 + extra, start + 1, at)
  writeVaruint(bytes, start, length)
  return leaveWith(count, at + extra)
}

function leaveWith(count: BundleCount, result: number): number {
  count.leave()
  return result
}

/** What the ids in a bundle mean, and how those packets are read. */
export interface BundleReader {
  /** @throws {PacketError} the id is nobody's, or the packet does not fit */
  readInside(id: number, bytes: Uint8Array, at: number, end: number, count: BundleCount): AnyPacket
}

/** Reads the packets that take exactly these bytes. */
export function readBundle(
  reader: BundleReader,
  bytes: Uint8Array,
  start: number,
  end: number,
  count: BundleCount,
): AnyPacket[] {
  count.enter()
  const length = readVaruint(bytes, start, end)
  if (length < 0 || start + varuintSize(length) + length !== end) {
    throw malformed([], 0, 'the length of the bundle is not that of its bytes')
  }
  const packets: AnyPacket[] = []
  let at = start + varuintSize(length)
  while (at < end) {
    count.add()
    const body = at + HEAD_BYTES
    if (body > end) throw malformed([packets.length], at - start, 'truncated head of a packet')
    const size = readUint(bytes, at, 4)
    if (size > end - body)
      throw malformed([packets.length], at - start, `a packet of ${size} bytes, and ${end - body} left`)
    const id = readUint(bytes, at + 4, 2)
    packets.push(inside(packets.length, () => reader.readInside(id, bytes, body, body + size, count)))
    at = body + size
  }
  count.leave()
  return packets
}

/** Adds the place in the bundle to an error. */
function inside<T>(index: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof PacketError)) throw error
    const { code, path = '', offset, cause } = error
    const rest = path === '' || path.startsWith('[') ? path : `.${path}`
    throw new PacketError(`[${index}]: ${error.message}`, code, { path: `[${index}]${rest}`, offset, cause })
  }
}

function writeUint(bytes: Uint8Array, at: number, value: number, size: number): void {
  for (let i = 0; i < size; i++) bytes[at + i] = value >>> (8 * i)
}

function readUint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] as number)
  return value
}
