// The options of rooms, over every way to plug in.
import { once } from 'node:events'
import type { RoomMember } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { take } from '../support/sockets'
import { enter, listen } from './members'
import { Party } from './party'
import { World } from './world'

describeFabrics('rooms', fabric => {
  test('without presence reach the members of all servers, and know their own', async () => {
    const [left, right] = [
      await listen(fabric, { presence: false }),
      await listen(fabric, { presence: false }),
    ]
    const [ann, annSide] = await enter(fabric, left)
    const [bob, bobSide] = await enter(fabric, right)
    ann.join('lobby', { key: 'ann' })
    bob.join('lobby', { key: 'bob' })
    const joined = once(bobSide, 'data')
    annSide.on('data', () => {})
    // Servers find each other some time after the first join.
    let isFound = false
    void joined.then(() => {
      isFound = true
    })
    while (!isFound) await left.to('lobby').send('hello')
    expect(await joined).toEqual(['hello', {}])
    expect([left, right].map(listener => [...listener.room('lobby').members.keys()])).toEqual([
      ['ann'],
      ['bob'],
    ])
    expect(left.to('lobby').size).toBe(1)
  })

  test('with a leaveDelay tell of nobody who is back in time, and of the others after it', async () => {
    const listener = await listen(fabric, { leaveDelay: 60_000 })
    const lobby = listener.room('lobby')
    const events: unknown[] = []
    for (const name of ['join', 'update', 'leave'] as const) {
      lobby.on(name, (member: RoomMember) =>
        events.push([name, member.key, member.sockets.length, member.stale]),
      )
    }
    const [first, firstSide] = await enter(fabric, listener)
    const [second] = await enter(fabric, listener)
    first.join('lobby', { key: 'ann' })
    firstSide.close()
    await once(first, 'closed')
    second.join('lobby', { key: 'ann' })
    expect(events).toEqual([
      ['join', 'ann', 1, false],
      ['update', 'ann', 0, true],
      ['update', 'ann', 1, false],
    ])
    const hasty = await listen(fabric, { leaveDelay: 1 })
    const left = once(hasty.room('lobby'), 'leave')
    const [third] = await enter(fabric, hasty)
    third.join('lobby', { key: 'bob' })
    third.leave('lobby')
    expect(await left).toEqual([expect.objectContaining({ key: 'bob', sockets: [], stale: true }), 'left'])
  })

  test('that drop for a slow member leave it in, count what it missed, and go on with it later', async () => {
    const listener = await listen(fabric, { slowMember: 'drop' }, { maxQueueSize: 2 })
    const [slow, slowSide] = await enter(fabric, listener)
    slowSide.pause()
    slow.join('all')
    for (const n of [1, 2]) slow.write(n)
    expect([listener.to('all').write('missed'), slow.state, slow.stats.volatileDropped]).toEqual([
      0,
      'ready',
      1,
    ])
    expect(await listener.to('all').send('missed, too')).toEqual({
      delivered: 0,
      lost: [{ id: slow.id, code: 'ERR_SLOW_CONSUMER' }],
    })
    const received = take(slowSide, 3)
    slowSide.resume()
    await slow.drain()
    expect(listener.to('all').write('again')).toBe(1)
    expect(await received).toEqual([1, 2, 'again'])
  })
})

test('rooms know no more servers than they may', async () => {
  const world = new World(1)
  world.isStormy = false
  const options = { presence: true, leaveDelay: 0, slowMember: 'close', servers: 1 } as const
  const parties = ['a', 'b', 'c'].map(id => new Party(world, id, options, []))
  await world.runUntil(60_000)
  const links = parties.map(({ process }) => [...world.links].filter(({ where }) => where === process).length)
  expect(links.filter(count => count > 1)).toEqual([])
  expect(links.filter(count => count === 1)).toHaveLength(2)
})
