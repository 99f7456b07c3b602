// What happens at the limits of a socket of packets, frame by frame.
import { getEventListeners } from 'node:events'
import { decode } from '@msgpack/msgpack'
import { PacketSocket } from 'selvedge/packets'
import { rejection } from '../support/messages'
import { linkPair } from './memory-link'
import { Echo, Num, opened, registry, THEIRS } from './protocol-peer'
import { CALL, ERROR, frame, hello, POST, packed, RESULT, varuint } from './raw-peer'

describe('at the limits', () => {
  // Whoever works for too long at once rests, with the link paused: on a busy machine anybody does.
  beforeEach(() => void jest.spyOn(performance, 'now').mockReturnValue(0))
  afterEach(() => jest.restoreAllMocks())

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
    expect(await rejection(socket.waitUntilWritable({ timeout: 10 }))).toMatchObject({
      code: 'ERR_PACKET_TIMEOUT',
      message: 'the socket is not writable within 10 ms',
    })
    const controller = new AbortController()
    const { signal } = controller
    const aborted = rejection(socket.waitUntilWritable({ signal }))
    controller.abort('why')
    const told = { code: 'ERR_PACKET_ABORTED', cause: 'why' }
    expect([await aborted, await rejection(socket.waitUntilWritable({ signal }))]).toMatchObject([told, told])
    expect(getEventListeners(signal, 'abort')).toEqual([])
    const writable = socket.waitUntilWritable({ timeout: 60_000, signal: new AbortController().signal })
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
