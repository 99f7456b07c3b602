// The protocol, frame by frame, against a side that a test plays: as docs/protocols/packets.md says, and as no honest
// side would.
import { decode } from '@msgpack/msgpack'
import { Packet, PacketRegistry, PacketSocket, type PacketSocketOptions } from 'selvedge/packets'
import { dice } from '../support/dice'
import { rejection } from '../support/messages'
import { linkPair } from './memory-link'
import {
  CALL,
  CANCEL,
  ERROR,
  fingerprint,
  frame,
  HELLO,
  hello,
  POST,
  packed,
  RawPeer,
  RESULT,
  SCHEMA,
  text,
  varuint,
} from './raw-peer'

const Echo = Packet('packed')
const Num = Packet({ n: 'uint8' })
const Where = Packet({ id: 'uint32' }, { result: { x: 'uint8' } })
const registry = new PacketRegistry({ Echo, Num, Where })
/** Bundle 1, Echo 2, Num 3, Redirect 4, Refresh 5, Where 6. */
const THEIRS = {
  Bundle: '{"data":"buffer"}',
  Echo: '{"data":"packed"}',
  Num: '{"data":{"n":"uint8"}}',
  Redirect: '{"data":"string"}',
  Refresh: '{"data":{}}',
  Where: '{"data":{"id":"uint32"},"result":{"x":"uint8"}}',
}

const hex = (frames: Uint8Array[]) => frames.map(each => Buffer.from(each).toString('hex'))

/** A peer that has said what it has, and has heard as much. */
async function opened(
  options?: PacketSocketOptions,
  theirs: Record<string, string> = THEIRS,
): Promise<RawPeer> {
  const peer = new RawPeer(registry, theirs, options)
  await peer.heard()
  return peer
}

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

describe('who breaks the protocol is cut off', () => {
  const call = frame(CALL, 1, 5)
  test.each<[string, (peer: RawPeer) => void]>([
    ['with what is no bytes', peer => peer.sayNothing()],
    ['with an empty message', peer => peer.say()],
    ['with an empty frame', peer => peer.say(Buffer.from([0]))],
    ['with a frame beyond the message', peer => peer.say(Buffer.from([5, 1, 5]))],
    ['with a frame of 2 GiB', peer => peer.say(Buffer.from('ffffffff07', 'hex'))],
    ['with an overlong length', peer => peer.say(Buffer.from('820001050105', 'hex'))],
    ['with a frame that only has its kind', peer => peer.say(frame(POST))],
    ['with an unknown kind', peer => peer.say(frame(7))],
    ['with a second HELLO', peer => peer.say(hello(THEIRS))],
    ['with the id 0', peer => peer.say(frame(POST, 0))],
    ['with an id that it has not', peer => peer.say(frame(POST, 7))],
    ['with a number beyond 2^31', peer => peer.say(frame(CANCEL, 'ffffffff0f'))],
    ['with an answer to a call that was never made', peer => peer.say(frame(RESULT, 1))],
    ['with an error for one', peer => peer.say(frame(ERROR, 1, packed({ code: 1 })))],
    ['with an answer to the call 0', peer => peer.say(frame(RESULT, 0))],
    ['with the call 0', peer => peer.say(frame(CALL, 0, 5))],
    ['with a call twice', peer => peer.say(call, call)],
    ['with a call out of its order', peer => peer.say(frame(CALL, 2, 5))],
    ['with CANCEL and more', peer => peer.say(frame(CANCEL, 1, 1))],
    ['with a schema of an id that it has not', peer => peer.say(frame(SCHEMA, 9, text('{"data":"bool"}')))],
    ['with a schema that is none', peer => peer.say(frame(SCHEMA, 3, text('{"data":"nope"}')))],
    ['with a schema that is no JSON', peer => peer.say(frame(SCHEMA, 3, text('{"data"')))],
    ['with a schema of another fingerprint', peer => peer.say(frame(SCHEMA, 3, text('{"data":"bool"}')))],
    ['with a schema and more', peer => peer.say(frame(SCHEMA, 3, text('{"data":{"n":"uint8"}}'), 0))],
    ['with a schema over 16 KiB', peer => peer.say(frame(SCHEMA, 3, text(' '.repeat(16 * 1024))))],
    [
      'with a schema twice',
      peer => {
        const schema = frame(SCHEMA, 3, text('{"data":{"n":"uint8"}}'))
        peer.say(schema, schema)
      },
    ],
  ])('%s', async (_, say) => {
    const peer = await opened()
    say(peer)
    expect(await peer.whenClosed()).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })

  test('and the calls that are open say why', async () => {
    const peer = await opened()
    const open = rejection(peer.socket.send(['Num', { n: 1 }]))
    // The number of the next call, which there is not.
    peer.say(frame(RESULT, 2))
    expect(await open).toMatchObject({ code: 'ERR_PACKET_CLOSED', cause: { code: 'ERR_PACKET_PROTOCOL' } })
  })

  test.each<[string, Uint8Array]>([
    ['a packet', frame(POST, 3, 1)],
    ['an answer', frame(RESULT, 1)],
    ['HELLO of another version', frame(HELLO, 2, 0)],
    ['HELLO with 2^31 names', frame(HELLO, 1, 'ffffffff07')],
    ['HELLO that is cut off', hello(THEIRS).subarray(0, -1)],
    ['HELLO with a cut name', frame(HELLO, 1, 1, 9, '4142')],
    [
      'HELLO with names out of their order',
      frame(HELLO, 1, 2, text('B'), Buffer.alloc(8), text('A'), Buffer.alloc(8)),
    ],
    ['HELLO with a name twice', frame(HELLO, 1, 2, text('A'), Buffer.alloc(8), text('A'), Buffer.alloc(8))],
    ['HELLO with a name that is no text', frame(HELLO, 1, 1, 1, 'ff', Buffer.alloc(8))],
    ['HELLO and more', frame(HELLO, 1, 0, 0)],
    [
      'HELLO with 4097 names',
      frame(
        HELLO,
        1,
        varuint(4097),
        ...Array.from({ length: 4097 }, (_, i) => Buffer.concat([text(`n${10_000 + i}`), Buffer.alloc(8)])),
      ),
    ],
  ])('with %s at the beginning', async (_, message) => {
    const peer = new RawPeer(registry)
    peer.say(message)
    expect(await peer.whenClosed()).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })

  test('with silence', async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'setImmediate', 'nextTick', 'performance'] })
    try {
      const peer = new RawPeer(registry)
      await peer.heard()
      jest.advanceTimersByTime(9999)
      await peer.heard()
      expect(peer.closed).toBe('open')
      jest.advanceTimersByTime(1)
      expect(await peer.whenClosed()).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
    } finally {
      jest.useRealTimers()
    }
  })
})

describe('at the limits', () => {
  test('calls beyond those at work are answered 429, and posts wait', async () => {
    const peer = await opened({ limits: { acceptors: 3 } })
    const ends: (() => void)[] = []
    const started: number[] = []
    peer.socket.handle(Num, ({ data }) => {
      started.push(data.n)
      return new Promise<void>(resolve => ends.push(resolve))
    })
    const calls = Array.from({ length: 5 }, (_, i) => frame(CALL, i + 1, 3, i + 1))
    peer.say(...calls, frame(POST, 3, 6), frame(POST, 3, 7))
    const answers = await peer.heard()
    expect(answers.map(each => [each[0], each[1], decode(each.subarray(2))])).toEqual([
      [ERROR, 4, { code: 429, reason: 'too many packets at work' }],
      [ERROR, 5, { code: 429, reason: 'too many packets at work' }],
    ])
    expect(started).toEqual([1, 2, 3])
    ends.shift()!()
    await peer.heard()
    expect(started).toEqual([1, 2, 3, 6])
    for (const end of ends) end()
    await peer.heard()
    expect(started).toEqual([1, 2, 3, 6, 7])
  })

  test('posts that wait hold the link back when they are too many bytes, and answers go past them', async () => {
    const peer = await opened({ limits: { acceptors: 1, queueBytes: 2200 } })
    let end: (() => void) | undefined
    let count = 0
    peer.socket.handle(Echo, () => {
      count += 1
      return new Promise<void>(resolve => (end = resolve))
    })
    const asked = peer.socket.send(['Num', { n: 1 }])
    const post = frame(POST, 2, varuint(102), 'd964', Buffer.alloc(100, 97))
    peer.say(...Array(10).fill(post), frame(RESULT, 1, packed('past them')))
    expect(await asked).toBe('past them')
    expect(peer.isPaused).toBe(false)
    peer.say(post)
    await peer.heard()
    expect(peer.isPaused).toBe(true)
    peer.say(post)
    for (let i = 0; i < 12; i++) {
      end!()
      await peer.heard()
    }
    expect([count, peer.isPaused]).toEqual([12, false])
  })

  test('posts that wait when the socket closes are told as rejected', async () => {
    const peer = await opened({ limits: { acceptors: 1 } })
    peer.socket.handle(Num, () => new Promise(() => undefined))
    peer.say(frame(POST, 3, 1), frame(POST, 3, 2))
    await peer.heard()
    await peer.socket.close()
    expect(peer.rejected).toEqual([{ code: 'ERR_PACKET_CLOSED', path: undefined, packet: 'Num' }])
  })

  test('no more calls are open than may be', async () => {
    const peer = await opened({ limits: { calls: 2 } })
    const open = [1, 2].map(n => peer.socket.send(['Num', { n }]).catch(() => 'closed'))
    expect(await rejection(peer.socket.send(['Num', { n: 3 }]))).toMatchObject({ code: 'ERR_PACKET_BUSY' })
    peer.say(frame(RESULT, 1))
    await open[0]
    const fourth = peer.socket.send(['Num', { n: 4 }])
    peer.say(frame(RESULT, 3, packed('4')))
    expect(await fourth).toBe('4')
    await peer.socket.close()
  })

  test('a full link holds packets, up to the limit, and they go when it is writable', async () => {
    const [ours, theirs] = linkPair()
    const socket = new PacketSocket(ours, registry, { limits: { queueBytes: 1000 } })
    theirs.send(hello(THEIRS))
    await new Promise(setImmediate)
    ours.isFull = true
    const blob = (n: number) => ['Echo', Buffer.alloc(100, n)] as never
    // This one the link takes, and says that it is full.
    socket.post(blob(0))
    await new Promise(setImmediate)
    const before = ours.sent.length
    let posted = 0
    const post = () => {
      socket.post(blob(++posted))
    }
    expect(() => {
      for (;;) post()
    }).toThrow(expect.objectContaining({ code: 'ERR_PACKET_BUSY', packet: 'Echo' }))
    expect(posted).toBeGreaterThan(8)
    expect(await rejection(socket.send(blob(1)))).toMatchObject({ code: 'ERR_PACKET_BUSY' })
    const writable = socket.waitUntilWritable()
    await new Promise(setImmediate)
    expect(ours.sent.length).toBe(before)
    ours.drain()
    await writable
    expect(socket.post(blob(99))).toBe(true)
    await new Promise(setImmediate)
    const bytes = Buffer.concat(ours.sent.slice(before)).length
    expect(bytes).toBe(posted * 106)
    await socket.close()
  })

  test('packets that do not leave before the end are told of', async () => {
    const [ours, theirs] = linkPair()
    const socket = new PacketSocket(ours, registry)
    theirs.send(hello(THEIRS))
    await new Promise(setImmediate)
    ours.isFull = true
    socket.post(['Num', { n: 1 }])
    await new Promise(setImmediate)
    socket.post(['Num', { n: 2 }])
    const told: unknown[] = []
    socket.on('sendError', (error, packet) => told.push([error.code, error.reason, packet]))
    socket.on('closed', reason => told.push(reason))
    ours.cut(Error('unplugged'))
    await new Promise(setImmediate)
    expect(told).toEqual([
      ['ERR_PACKET_CLOSED', '4 bytes of packets were not sent', undefined],
      Error('unplugged'),
    ])
  })

  test('whoever calls and does not read the answers is cut off', async () => {
    const [ours, theirs] = linkPair()
    const socket = new PacketSocket(ours, registry, { limits: { queueBytes: 10_000 } })
    socket.handle(Num, () => Buffer.alloc(1000))
    const closed = new Promise<Error | undefined>(resolve => socket.on('closed', resolve))
    theirs.send(hello(THEIRS))
    await new Promise(setImmediate)
    ours.isFull = true
    for (let call = 1; call <= 30; call++) theirs.send(frame(CALL, call, 3, 1))
    expect(await closed).toMatchObject({ code: 'ERR_PACKET_BUSY' })
  })
})

test('frames at random never throw, and end at most the socket that they came to', async () => {
  let ended = 0
  for (let seed = 0; seed < 600; seed++) {
    const chance = dice(seed)
    const peer = await opened({ limits: { malformed: 5 } })
    peer.socket.handle(Echo, ({ data }) => data)
    const calls = [1, 2, 3].map(n => peer.socket.send(['Num', { n }]).catch(() => 'rejected'))
    for (let i = 0; i < 20; i++) {
      const parts = Array.from({ length: chance.below(6) }, () =>
        chance.pick([0, 1, 2, 3, 5, 6, 0x7f, 0xff, chance.below(256)]),
      )
      const good = frame(chance.below(8), ...parts)
      const bad = chance.below(4) === 0 ? good.subarray(0, chance.below(good.length + 1)) : good
      peer.say(bad)
    }
    await peer.heard()
    if (peer.closed !== 'open') {
      ended += 1
      expect(peer.closed).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
    }
    await peer.socket.close()
    await Promise.all(calls)
  }
  expect(ended).toBeGreaterThan(100)
})

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
