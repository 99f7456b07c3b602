// The protocol, frame by frame, against a side that a test plays: as docs/protocols/packets.md says.
import { decode } from '@msgpack/msgpack'
import { PacketSocket } from 'selvedge/packets'
import { rejection } from '../support/messages'
import { linkPair } from './memory-link'
import { Echo, hex, Num, opened, registry, THEIRS, Where } from './protocol-peer'
import { CALL, CANCEL, ERROR, frame, hello, POST, packed, RawPeer, RESULT, varuint } from './raw-peer'

test('HELLO says the names and fingerprints, first, and nothing is sent before that of the peer', async () => {
  const peer = new RawPeer(registry)
  peer.socket.post(['Num', { n: 7 }])
  const sent = peer.socket.send(['Num', { n: 8 }])
  expect(hex(await peer.heard())).toEqual(hex([hello(THEIRS).subarray(1)]))
  peer.say(hello(THEIRS))
  expect(hex(await peer.heard())).toEqual(['010307', '02010308'])
  peer.say(frame(RESULT, 1, packed('done')))
  expect(await sent).toBe('done')
})

test('posts, calls and answers have the bytes of the protocol, and those of one tick are one message', async () => {
  const [ours, theirs] = linkPair()
  const socket = new PacketSocket(ours, registry)
  theirs.send(hello(THEIRS))
  await new Promise(setImmediate)
  ours.sent.length = 0
  socket.post(['Refresh'])
  const answers = [
    socket.send(['Refresh']),
    socket.send(['Where', { id: 1 }]),
    socket.send(['Num', { n: 1 }]),
  ]
  await new Promise(setImmediate)
  expect(hex(ours.sent)).toEqual(['020105' + '03020105' + '0702020600000001' + '0402030301'])
  theirs.send(
    Buffer.concat([
      frame(RESULT, 1),
      frame(RESULT, 2, 9),
      frame(ERROR, 3, packed({ code: 404, reason: 'no', v: { code: 404, reason: 'no' } })),
    ]),
  )
  expect(await answers[0]).toBeUndefined()
  expect(await answers[1]).toEqual({ x: 9 })
  expect(await rejection(answers[2]!)).toMatchObject({ name: 'ValidationError', code: 404, packet: 'Num' })
  await socket.close()
})

test('a call is answered with its number; a post with nothing', async () => {
  const peer = await opened()
  peer.socket.handle(Echo, ({ data }) => data)
  peer.socket.handle(Where, () => ({ x: 5 }))
  peer.say(
    frame(POST, 3, 7),
    frame(CALL, 1, 2, '03a2', '6162'),
    frame(CALL, 2, 6, '00000001'),
    frame(CALL, 3, 5),
  )
  expect(hex(await peer.heard())).toEqual(['0301a26162', '030205', '0303'])
})

test('after CANCEL there is no answer, and what was begun goes on', async () => {
  const peer = await opened()
  let end!: (value: string) => void
  peer.socket.handle(Num, () => new Promise(resolve => (end = resolve)))
  peer.say(frame(CALL, 1, 3, 1), frame(CALL, 2, 5), frame(CANCEL, 1), frame(CANCEL, 77))
  expect(hex(await peer.heard())).toEqual(['0302'])
  end('late')
  expect(await peer.heard()).toEqual([])
})

test('a call that is given up here is cancelled there, and its late answer ignored', async () => {
  const peer = await opened()
  const controller = new AbortController()
  const given = peer.socket.send(['Num', { n: 1 }], { signal: controller.signal })
  const late = peer.socket.send(['Num', { n: 2 }], { timeout: 5 })
  controller.abort()
  await rejection(given)
  await rejection(late)
  expect(hex(await peer.heard())).toEqual(['02010301', '02020302', '0501', '0502'])
  peer.say(frame(RESULT, 1, packed(1)), frame(ERROR, 2, packed({ code: 500, reason: 'x' })))
  await peer.heard()
  expect(peer.closed).toBe('open')
})

describe('a body that does not fit costs its call or post, and nothing else', () => {
  const deep = (levels: number) => `${'91'.repeat(levels)}01`
  const packedBody = (body: string) => Buffer.concat([varuint(body.length / 2), Buffer.from(body, 'hex')])

  test.each<[string, number, Uint8Array]>([
    ['cut off', 6, Buffer.from('000000', 'hex')],
    ['too long', 3, Buffer.from('0102', 'hex')],
    ['a length beyond the input', 4, Buffer.from('05', 'hex')],
    ['a length of 2 GiB', 4, Buffer.from('ffffffff07', 'hex')],
    ['an overlong length', 4, Buffer.from('8000', 'hex')],
    ['no UTF-8', 4, Buffer.from('02c328', 'hex')],
    ['a surrogate', 4, Buffer.from('03eda080', 'hex')],
    ['c1 in MessagePack', 2, packedBody('c1')],
    ['cut MessagePack', 2, packedBody('9201')],
    ['two values', 2, packedBody('0101')],
    ['no value', 2, packedBody('')],
    ['65 levels', 2, packedBody(deep(64))],
    ['200 000 levels', 2, packedBody(deep(200_000))],
    ['a map of 2^32 - 1', 2, packedBody('dfffffffff')],
    ['__proto__', 2, packedBody('81a95f5f70726f746f5f5f01')],
    ['a bundle with an id that is nobody s', 1, Buffer.from('06000000006300', 'hex')],
    ['a bundle with the id 0', 1, Buffer.from('06000000000000', 'hex')],
    ['a bundle with a cut head', 1, Buffer.from('0301000000', 'hex').subarray(0, 4)],
    ['a bundle with a length beyond', 1, Buffer.from('06ffff00000300', 'hex')],
    ['a bundle with bytes behind', 1, Buffer.from('0000', 'hex')],
    [
      'a bundle with one bad packet in it',
      1,
      Buffer.from('0e' + '010000000300' + '07' + '020000000300' + '0708', 'hex'),
    ],
    ['a bundle of nine levels', 1, bundleOf(9)],
  ])('%s', async (_, id, body) => {
    const peer = await opened()
    const seen: unknown[] = []
    peer.socket.on('packet', packet => seen.push(packet))
    const name = registry.names[id - 1]
    peer.say(frame(CALL, 1, id, body), frame(POST, id, body), frame(CALL, 2, 5))
    const [refused, fine] = await peer.heard()
    expect([refused![0], refused![1]]).toEqual([ERROR, 1])
    expect(decode(refused!.subarray(2))).toEqual({ code: 400, reason: `malformed ${name}` })
    expect(fine!.toString('hex')).toBe('0302')
    const code = _.endsWith('levels') && id === 1 ? 'ERR_PACKET_TOO_LARGE' : 'ERR_PACKET_MALFORMED'
    expect(peer.rejected.map(error => [error.code, error.packet])).toEqual([
      [code, name],
      [code, name],
    ])
    // The last one only: nothing of a bundle is accepted when one of it cannot be.
    expect(seen).toHaveLength(1)
    expect(peer.closed).toBe('open')
  })

  function bundleOf(levels: number): Buffer {
    let body = Buffer.from('00', 'hex')
    for (let i = 1; i < levels; i++) {
      const head = Buffer.alloc(6)
      head.writeUInt32LE(body.length)
      head.writeUInt16LE(1, 4)
      body = Buffer.concat([varuint(6 + body.length), head, body])
    }
    return body
  }

  test('until there were 100', async () => {
    const peer = await opened()
    const bad = frame(POST, 3, '0102')
    peer.say(...Array(99).fill(bad))
    await peer.heard()
    expect(peer.closed).toBe('open')
    peer.say(...Array(100_000).fill(bad))
    expect(await peer.whenClosed()).toMatchObject({
      code: 'ERR_PACKET_PROTOCOL',
      message: expect.stringContaining('100 malformed'),
    })
    expect(peer.rejected).toHaveLength(100)
  })

  test('an answer that does not fit rejects its call', async () => {
    const peer = await opened()
    const answers = [
      ['Where', { id: 1 }],
      ['Num', { n: 1 }],
      ['Num', { n: 2 }],
      ['Num', { n: 3 }],
    ].map(packet => rejection(peer.socket.send(packet as ['Num', { n: number }])))
    peer.say(
      frame(RESULT, 1, '0102'),
      frame(RESULT, 2, 'c1'),
      frame(ERROR, 3, 'c1'),
      frame(ERROR, 4, packed([7])),
    )
    expect((await Promise.all(answers)).map(error => error.code)).toEqual([
      'ERR_PACKET_MALFORMED',
      'ERR_PACKET_MALFORMED',
      500,
      500,
    ])
    expect(peer.closed).toBe('open')
  })
})
