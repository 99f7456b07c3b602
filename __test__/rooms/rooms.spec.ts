// Rooms over several servers of one subject: what is written reaches each member once, and everybody knows who is in.
import { type EventEmitter, once } from 'node:events'
import type { ConatSocketServer, Room, ServerSocket, SocketListenOptions } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { rejection } from '../support/messages'
import { join, take } from '../support/sockets'
import { enter } from './members'

/** A server of `chat`, ready. */
async function server(fabric: Fabric, options?: SocketListenOptions): Promise<ConatSocketServer> {
  const listener = fabric.client().socket.listen('chat', options)
  await listener.waitUntilReady()
  return listener
}

/** Two servers of `chat` that have found each other. */
async function servers(
  fabric: Fabric,
  options?: SocketListenOptions,
): Promise<[ConatSocketServer, ConatSocketServer]> {
  const both = [await server(fabric, options), await server(fabric, options)] as [
    ConatSocketServer,
    ConatSocketServer,
  ]
  // Whoever has joined is seen by the other.
  const met = both.map(listener => once(listener.room('meeting'), 'join'))
  const [one] = await enter(fabric, both[0])
  const [two] = await enter(fabric, both[1])
  const seen = both.map(listener => people(listener.room('meeting'), 2))
  one.join('meeting')
  two.join('meeting')
  await Promise.all([...met, ...seen])
  return both
}

/** Resolves when a room has so many members. */
async function people(room: Room, count: number): Promise<string[]> {
  while (room.members.size !== count) {
    await new Promise<void>(resolve => {
      const look = (): void => {
        for (const name of ['join', 'leave'] as const) room.off(name, look)
        resolve()
      }
      for (const name of ['join', 'leave'] as const) room.on(name, look)
    })
  }
  return [...room.members.keys()].sort()
}

describeFabrics('rooms', fabric => {
  test('of one server: each member once, without exceptions, in the order of all that is written', async () => {
    const listener = await server(fabric)
    const [ann, annSide] = await enter(fabric, listener)
    const [bob, bobSide] = await enter(fabric, listener)
    ann.join(['red', 'blue'])
    bob.join('blue')
    expect([[...ann.rooms], [...bob.rooms], listener.to('red').size]).toEqual([['red', 'blue'], ['blue'], 1])
    const [atAnn, atBob] = [take(annSide, 4), take(bobSide, 3)]
    expect(
      listener
        .to('red')
        .to('blue')
        .write('both', { headers: { n: 1 } }),
    ).toBe(2)
    ann.write('direct')
    bob.to('blue').write('from bob')
    listener.to('blue').except('room:red').write('not for red')
    bob.leave('blue')
    listener.to('blue').write('behind the leave')
    bob.write('last')
    expect(await atAnn).toEqual(['both', 'direct', 'from bob', 'behind the leave'])
    expect(await atBob).toEqual(['both', 'not for red', 'last'])
    annSide.on('data', () => {})
    expect(await listener.to('red').send('handled')).toEqual({ delivered: 1, lost: [] })
    bob.join('gone')
    bobSide.close()
    await once(bob, 'closed')
    expect([listener.to('gone').write('nobody'), [...bob.rooms]]).toEqual([0, []])
  })

  test('of two servers: what one writes reaches the members of both, and both know who is in', async () => {
    const [left, right] = await servers(fabric)
    const [ann, annSide] = await enter(fabric, left)
    const [bob, bobSide] = await enter(fabric, right)
    const seen = [left, right].map(listener => people(listener.room('lobby'), 2))
    ann.join('lobby', { key: 'ann', data: { mood: 'fine' } })
    bob.join('lobby', { key: 'bob' })
    expect(await Promise.all(seen)).toEqual([
      ['ann', 'bob'],
      ['ann', 'bob'],
    ])
    expect(right.room('lobby').members.get('ann')).toMatchObject({
      data: { mood: 'fine' },
      sockets: [{ id: ann.id, server: left.id }],
      stale: false,
    })
    const received = [take(annSide, 3), take(bobSide, 2)]
    left.to('lobby').write('everybody', { headers: { from: 'left' } })
    expect(await left.to('lobby').send(Buffer.from('bytes'))).toEqual({ delivered: 2, lost: [] })
    right.to('lobby').except(bob).write('all but bob')
    expect(await Promise.all(received)).toEqual([
      ['everybody', Buffer.from('bytes'), 'all but bob'],
      ['everybody', Buffer.from('bytes')],
    ])
    const updated = once(right.room('lobby'), 'update')
    ann.update('lobby', { mood: 'better' })
    expect((await updated)[0]).toMatchObject({ key: 'ann', data: { mood: 'better' } })
    // A second socket of the same key is the same member.
    const [again] = await enter(fabric, right)
    const twice = once(left.room('lobby'), 'update')
    again.join('lobby', { key: 'ann' })
    expect((await twice)[0].sockets.map(({ server }: { server: string }) => server)).toEqual([
      left.id,
      right.id,
    ])
    ann.leave('lobby')
    const gone = once(left.room('lobby'), 'leave')
    again.close()
    expect(await gone).toMatchObject([{ key: 'ann' }, 'closed'])
    // A server that leaves in order takes its members with it.
    const left2 = once(left.room('lobby'), 'leave')
    right.close()
    expect(await left2).toMatchObject([{ key: 'bob' }, expect.stringMatching(/^(closed|server-left)$/)])
    expect(left.to('lobby').members()).toEqual([])
  })

  test('close who cannot keep up, or leave them out, and never stop the rest', async () => {
    const strict = await server(fabric, { maxQueueSize: 2, id: 'strict' })
    const [slow, slowSide] = await enter(fabric, strict)
    const [quick, quickSide] = await enter(fabric, strict)
    slowSide.pause()
    const received = take(quickSide, 4)
    for (const socket of [slow, quick]) socket.join('all')
    const closed = [slow, slowSide].map(socket => once(socket as EventEmitter, 'closed'))
    for (const n of [1, 2, 3, 4])
      expect((await strict.to('all').except(slow).send(n)).delivered + slow.stats.sent).toBe(1)
    expect(await received).toEqual([1, 2, 3, 4])
    for (const n of [5, 6]) slow.write(n)
    expect(strict.to('all').write('more')).toBe(1)
    // Both sides hear why.
    for (const [reason] of await Promise.all(closed))
      expect(reason).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
    expect(slow.undelivered().map(({ data }) => data)).toEqual([5, 6])
  })

  test('close who cannot keep up with what comes from another server, and tell its client why', async () => {
    const [left, right] = await servers(fabric, { maxQueueSize: 2 })
    const [slow, slowSide] = await enter(fabric, right)
    slowSide.pause()
    const joined = once(left.room('all'), 'join')
    slow.join('all')
    await joined
    const [closed, gone] = [once(slowSide, 'closed'), once(left.room('all'), 'leave')]
    for (const n of [1, 2, 3]) left.to('all').write(n)
    expect((await closed)[0]).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
    await gone
  })
})

describeFabrics('what a room shows of a socket', fabric => {
  test('is not replaced where it is not in, or closed: that is told', async () => {
    const listener = await server(fabric)
    const [socket] = await join(listener, fabric.client())
    const WRONG = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(() => socket.update('never joined', 1)).toThrow(WRONG)
    socket.join('lobby')
    socket.update('lobby', 1)
    expect(() => socket.update('other', 1)).toThrow(WRONG)
    socket.leave('lobby')
    expect(() => socket.update('lobby', 1)).toThrow(WRONG)
    socket.close()
    expect(() => socket.update('lobby', 1)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })
})

describeFabrics('who connects to a server with middleware', fabric => {
  test('gets in when all of it lets it, with what it had written; is told code and text when not', async () => {
    const listener = await server(fabric)
    const order: string[] = []
    listener.use((socket, next) => {
      order.push('first')
      socket.data.name = 'ann'
      setImmediate(next)
    })
    listener.use(async socket => {
      order.push(`second ${socket.data.name}`)
      if (order.length > 2) throw Object.assign(new Error('one is enough'), { code: 'TOO_MANY' })
    })
    const client = fabric.client()
    const connection = once(listener, 'connection') as Promise<[ServerSocket]>
    const first = client.socket.connect('chat')
    first.write('early')
    const [accepted] = await connection
    expect(await take(accepted, 1)).toEqual(['early'])
    let connections = 0
    listener.on('connection', () => (connections += 1))
    const second = client.socket.connect('chat')
    second.on('data', data => order.push(`data ${data}`))
    const [reason] = await once(second, 'closed')
    expect(reason).toMatchObject({ code: 'TOO_MANY', message: 'one is enough' })
    expect([order, connections]).toEqual([['first', 'second ann', 'first', 'second ann'], 0])
  })

  test('is refused with 403 without a code, and with 408 when nobody decides', async () => {
    const listener = await server(fabric, { middlewareTimeout: 30 })
    let isSilent = false
    listener.use((_socket, next) => {
      if (!isSilent) next('no')
    })
    const reasons: unknown[] = []
    for (const silent of [false, true]) {
      isSilent = silent
      const socket = fabric.client().socket.connect('chat')
      const [reason] = await once(socket, 'closed')
      reasons.push(reason.code)
    }
    expect(reasons).toEqual([403, 408])
  })
})

describeFabrics('rooms have bounds:', fabric => {
  test('names, data, rooms of a socket', async () => {
    const listener = await server(fabric)
    const [socket] = await enter(fabric, listener)
    const join = (room: string | string[], data?: unknown) =>
      rejection((async () => socket.join(room, { data }))())
    for (const name of ['', 'a\nb', 'x'.repeat(257)]) {
      expect(await join(name)).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    }
    expect(await join('a', 'x'.repeat(5000))).toMatchObject({ code: 'ERR_ROOM_LIMIT' })
    for (const [member, code] of [
      [{ key: '' }, 'ERR_INVALID_ARG_VALUE'],
      [{ key: 'x'.repeat(257) }, 'ERR_INVALID_ARG_VALUE'],
      [{ key: 7 }, 'ERR_INVALID_ARG_TYPE'],
      [{ name: 'ann' }, 'ERR_UNKNOWN_OPTION'],
      [5, 'ERR_INVALID_ARG_TYPE'],
    ] as const) {
      expect(await rejection((async () => socket.join('a', member as unknown as object))())).toMatchObject({
        code,
      })
    }
    const to = listener.to('a')
    for (const wrong of [5, null, undefined, {}, [5], new Set(['a']), Symbol('a')] as unknown as string[]) {
      for (const act of [
        () => socket.join(wrong),
        () => listener.to(wrong),
        () => socket.to(wrong),
        () => to.to(wrong),
        () => listener.room(wrong),
        () => to.except(wrong),
      ]) {
        const error = await rejection((async () => act())())
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', name: 'FabricError' })
      }
    }
    expect(await rejection((async () => to.except(['ok', 5] as never))())).toMatchObject({
      message: 'the exception must be an id, a socket or a list of them, got number',
    })
    // What is undefined is absent.
    socket.join('a', { key: undefined, data: undefined })
    expect([...listener.room('a').members.keys()]).toEqual([socket.id])
    socket.leave('a')
    const many = Array.from({ length: 1001 }, (_, n) => `room ${n}`)
    expect(await join(many)).toMatchObject({ code: 'ERR_ROOM_LIMIT' })
    expect(socket.rooms.size).toBe(0)
  })
})
