// The link of what a PacketSocket was given: a link already, or a socket of the fabric.
import { badOption } from '../errors'
import type { PacketLink } from './link'
import { isFabricSocket, overSocket } from './over-socket'

export function linkOf(source: unknown): { link: PacketLink; isServer: boolean } {
  if (isLink(source)) return { link: source, isServer: false }
  if (isFabricSocket(source)) return { link: overSocket(source), isServer: source.role === 'server' }
  throw badOption(
    'needs a socket of the fabric, or a link: overWebSocket(socket), overStream(stream), …',
    'ERR_INVALID_ARG_TYPE',
  )
}

function isLink(value: unknown): value is PacketLink {
  const { kind, send, listen, ready } = (value ?? {}) as Partial<PacketLink>
  return typeof kind === 'string' && [send, listen, ready].every(each => typeof each === 'function')
}
