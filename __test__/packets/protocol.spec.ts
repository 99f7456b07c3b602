import { PacketSocket } from 'selvedge/packets'
import { rejection } from '../support/messages'
import { linkPair } from './memory-link'
import { Echo, hex, Num, opened, registry, THEIRS, Where } from './protocol-peer'
import { CALL, CANCEL, ERROR, frame, hello, POST, packed, RawPeer, RESULT } from './raw-peer'

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

describe('a body that does not fit', () => {
  test('costs its packet only, until there were 100', async () => {
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
