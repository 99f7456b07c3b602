// Who breaks the protocol is cut off, whatever it sends: no honest side does that.
import { dice } from '../support/dice'
import { rejection } from '../support/messages'
import { Echo, opened, registry, THEIRS } from './protocol-peer'
import {
  CALL,
  CANCEL,
  ERROR,
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
