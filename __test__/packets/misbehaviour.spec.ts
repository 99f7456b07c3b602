// Who breaks the protocol is cut off, whatever it sends: no honest side does that. Input by input: bad-inputs.spec.ts.
import { dice } from '../support/dice'
import { rejection } from '../support/messages'
import { Echo, opened, registry } from './protocol-peer'
import { frame, RawPeer, RESULT } from './raw-peer'

describe('who breaks the protocol is cut off', () => {
  test('the calls that are open say why', async () => {
    const peer = await opened()
    const open = rejection(peer.socket.send(['Num', { n: 1 }]))
    // The number of the next call, which there is not.
    peer.say(frame(RESULT, 2))
    expect(await open).toMatchObject({ code: 'ERR_PACKET_CLOSED', cause: { code: 'ERR_PACKET_PROTOCOL' } })
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
