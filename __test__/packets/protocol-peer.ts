// Packets that both sides have, and a side that a test plays.
import { Packet, PacketRegistry, type PacketSocketOptions } from 'selvedge/packets'
import { RawPeer } from './raw-peer'

export const Echo = Packet('packed')
export const Num = Packet({ n: 'uint8' })
export const Where = Packet({ id: 'uint32' }, { result: { x: 'uint8' } })
export const registry = new PacketRegistry({ Echo, Num, Where })
/** Bundle 1, Echo 2, Num 3, Redirect 4, Refresh 5, Where 6. */
export const THEIRS = {
  Bundle: '{"data":"buffer"}',
  Echo: '{"data":"packed"}',
  Num: '{"data":{"n":"uint8"}}',
  Redirect: '{"data":"string"}',
  Refresh: '{"data":{}}',
  Where: '{"data":{"id":"uint32"},"result":{"x":"uint8"}}',
}

export const hex = (frames: Uint8Array[]) => frames.map(each => Buffer.from(each).toString('hex'))

/** A peer that has said what it has, and has heard as much. */
export async function opened(
  options?: PacketSocketOptions,
  theirs: Record<string, string> = THEIRS,
): Promise<RawPeer> {
  const peer = new RawPeer(registry, theirs, options)
  await peer.heard()
  return peer
}
