// Two sides whose packets differ.
import { decode } from '@msgpack/msgpack'
import { Packet, PacketRegistry } from 'selvedge/packets'
import { rejection } from '../support/messages'
import { hex } from './protocol-peer'
import { CALL, ERROR, fingerprint, frame, POST, packed, RawPeer, RESULT, SCHEMA, text } from './raw-peer'

describe('other versions', () => {
  const canonical = '{"data":{"id":"uint32","zone?":"string"}}'
  const Seen = Packet({ id: 'uint32' })
  const ours = new PacketRegistry({ Seen }, { defaults: false })

  test('say their schemas when the fingerprints differ, before anything else, and are read by them', async () => {
    const peer = new RawPeer(ours, { Seen: canonical, Zebra: '{"data":{}}' })
    const seen: unknown[] = []
    peer.socket.handle(Seen, ({ data }) => void seen.push(data))
    const call = peer.socket.send(['Seen', { id: 5 }])
    const sent = await peer.heard()
    expect(sent[1]!.toString('hex')).toBe(
      Buffer.concat([frame(SCHEMA, 1, text('{"data":{"id":"uint32"}}')).subarray(1)]).toString('hex'),
    )
    expect(sent[2]!.toString('hex')).toBe('02010100000005')
    peer.say(frame(SCHEMA, 1, text(canonical)), frame(POST, 1, '00000007', '01', text('z')), frame(RESULT, 1))
    await call
    expect(seen).toEqual([{ id: 7 }])
  })

  test('are answered 501 without their schema, and for packets that are not there', async () => {
    const peer = new RawPeer(ours, { Seen: canonical, Zebra: '{"data":{}}' })
    await peer.heard()
    peer.say(frame(CALL, 1, 1, '0000000700'), frame(CALL, 2, 2), frame(POST, 2))
    const answers = await peer.heard()
    expect(answers.map(each => decode(each.subarray(2)))).toEqual([
      { code: 501, reason: 'unsupported Seen' },
      { code: 501, reason: 'unsupported Zebra' },
    ])
    expect(peer.rejected.map(error => [error.code, error.packet])).toEqual([
      ['ERR_PACKET_UNSUPPORTED', 'Seen'],
      ['ERR_PACKET_UNSUPPORTED', 'Zebra'],
      ['ERR_PACKET_UNSUPPORTED', 'Zebra'],
    ])
    peer.say(frame(SCHEMA, 2, text('{"data":{}}')))
    await peer.heard()
    expect(peer.closed).toBe('open')
  })

  test('a call that the other side has not is rejected at once', async () => {
    const peer = new RawPeer(ours, {})
    await peer.heard()
    expect(await rejection(peer.socket.send(['Seen', { id: 1 }]))).toMatchObject({
      code: 'ERR_PACKET_UNSUPPORTED',
      packet: 'Seen',
    })
    // A post goes: the other side counts it.
    peer.socket.post(['Seen', { id: 1 }])
    expect(hex(await peer.heard())).toEqual(['010100000001'])
  })

  test('501 from the other side is the same error', async () => {
    const peer = new RawPeer(ours, { Seen: '{"data":{"id":"uint32"}}' })
    await peer.heard()
    const sent = peer.socket.send(['Seen', { id: 1 }])
    peer.say(frame(ERROR, 1, packed({ code: 501, reason: 'unsupported Seen' })))
    expect(await rejection(sent)).toMatchObject({ code: 'ERR_PACKET_UNSUPPORTED' })
  })

  test('a stranger s schema is never made into code, whatever its keys are', async () => {
    const evil = `{"data":{"'+(globalThis.pwned=1)+'":"uint8","__proto__x":"uint8"}}`
    const peer = new RawPeer(ours, { Seen: evil })
    await peer.heard()
    expect(fingerprint('Seen', evil)).toHaveLength(8)
    peer.say(frame(SCHEMA, 1, text(evil)), frame(CALL, 1, 1, '0102'))
    expect((await peer.heard()).map(each => each[0])).toEqual([ERROR])
    expect((globalThis as { pwned?: unknown }).pwned).toBeUndefined()
    expect(peer.closed).toBe('open')
  })
})
