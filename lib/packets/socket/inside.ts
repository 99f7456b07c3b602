// What the default packets may do with the socket that got them, and nobody else.
import type { AnyPacket } from '../registry/packet'

export interface Inside {
  /** Accepts the packets of a bundle, and returns what came of each, in order. */
  acceptAll(packets: readonly AnyPacket[]): Promise<readonly BundleOutcome[]>
  redirect(url: string): void
  refresh(): void
}

/** `{}` is a value that is undefined; bundles in bundles have lists. */
export type BundleOutcome =
  | { readonly value?: unknown }
  | { readonly error: { readonly code: string | number; readonly reason: string } }
  | readonly BundleOutcome[]

const insides = new WeakMap<object, Inside>()

export function setInside(socket: object, inside: Inside): void {
  insides.set(socket, inside)
}

export function insideOf(socket: unknown): Inside {
  const inside = insides.get(socket as object)
  if (inside === undefined) throw Error('no PacketSocket')
  return inside
}
