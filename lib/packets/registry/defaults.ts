// The packets that every registry has: many as one, and what a server tells pages to do.
import { PacketError } from '../errors'
import { insideOf } from '../socket/inside'
import { type AnyPacket, type AnyPacketClass, Packet } from './packet'

/** Its data is an array of packets, by name or as instances; what they are in bytes, a registry knows. */
export class Bundle extends Packet {
  static override get data() {
    return 'buffer' as const
  }

  static override encode(): Uint8Array {
    throw new PacketError('a bundle is encoded by a registry', 'ERR_PACKET_UNKNOWN')
  }

  static override decode(): never {
    throw new PacketError('a bundle is decoded by a registry', 'ERR_PACKET_UNKNOWN')
  }

  static override respond(packet: AnyPacket, socket: unknown): unknown {
    return insideOf(socket).acceptAll(packet.data as readonly AnyPacket[])
  }
}

/** Sends a page somewhere else. */
export class Redirect extends Packet {
  static override get data() {
    return 'string' as const
  }

  static override get direction() {
    return 'toClient' as const
  }

  static override respond(packet: AnyPacket, socket: unknown): void {
    insideOf(socket).redirect(packet.data as string)
  }
}

/** Has a page load itself again. */
export class Refresh extends Packet {
  static override get direction() {
    return 'toClient' as const
  }

  static override respond(_: AnyPacket, socket: unknown): void {
    insideOf(socket).refresh()
  }
}

export const DEFAULT_PACKETS: Readonly<Record<string, AnyPacketClass>> = { Bundle, Redirect, Refresh }

/** Whether a class is `Bundle`, or one that was made of it. */
export function isBundleClass(Class: AnyPacketClass): boolean {
  return Class === Bundle || Class.prototype instanceof Bundle
}
