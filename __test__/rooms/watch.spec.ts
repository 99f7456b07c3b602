// A client that follows who is in a room: over the socket to one of the servers, without a gap, and none of it as data.
import { once } from 'node:events'
import {
  type ConatSocketClient,
  type ConatSocketServer,
  type RoomView,
  type ServerSocket,
  watchRoom,
} from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { take } from '../support/sockets'

/** A socket to a server of `chat`, on both sides. */
async function join(
  fabric: Fabric,
  listener: ConatSocketServer,
  options: object = {},
): Promise<[ServerSocket, ConatSocketClient]> {
  const connection = once(listener, 'connection') as Promise<[ServerSocket]>
  const socket = fabric.client().socket.connect('chat', { loadBalancer: () => listener.id, ...options })
  const [accepted] = await connection
  return [accepted, socket]
}

async function listen(fabric: Fabric, options: object = {}): Promise<ConatSocketServer> {
  const listener = fabric.client().socket.listen('chat', options)
  await listener.waitUntilReady()
  return listener
}

const keys = (view: RoomView): string[] => [...view.members.keys()].sort()

/** Resolves when a view has these members. */
async function shows(view: RoomView, expected: string[]): Promise<void> {
  while (keys(view).join() !== expected.join()) {
    await new Promise<void>(resolve => {
      for (const name of ['join', 'update', 'leave', 'sync'] as const) view.once(name, () => resolve())
    })
  }
}

describeFabrics('a client that follows a room', fabric => {
  test('knows who is in, and then each change, in whichever order it asks and is allowed', async () => {
    const listener = await listen(fabric)
    const lobby = listener.room('lobby')
    const [ann, annSide] = await join(fabric, listener)
    const [bob] = await join(fabric, listener)
    ann.join('lobby', { key: 'ann', data: { mood: 'fine' } })
    const heard = take(annSide, 2)
    const events: unknown[] = []
    const view = watchRoom(annSide, 'lobby')
    expect([watchRoom(annSide, 'lobby'), keys(view)]).toEqual([view, []])
    for (const name of ['join', 'update', 'leave', 'sync'] as const) {
      view.on(name, (...[member, reason]: any[]) => events.push([name, member?.key, member?.data, reason]))
    }
    const synced = once(view, 'sync')
    lobby.watch(ann)
    await synced
    expect(view.members.get('ann')).toEqual({
      key: 'ann',
      data: { mood: 'fine' },
      sockets: [{ id: ann.id, server: listener.id, since: expect.any(Number) }],
      stale: false,
    })
    ann.write('data')
    bob.join('lobby', { key: 'bob' })
    bob.update('lobby', 7)
    bob.leave('lobby')
    ann.write('more data')
    expect(await heard).toEqual(['data', 'more data'])
    expect(events).toEqual([
      ['join', 'ann', { mood: 'fine' }, undefined],
      ['sync', undefined, undefined, undefined],
      ['join', 'bob', null, undefined],
      ['update', 'bob', 7, undefined],
      ['leave', 'bob', 7, 'left'],
    ])
    // Allowed before it asks, by another server's member as well.
    const [eve, eveSide] = await join(fabric, listener)
    lobby.watch(eve)
    const other = watchRoom(eveSide, 'lobby')
    await once(other, 'sync')
    expect(keys(other)).toEqual(['ann'])
  })

  test('shows everybody as stale when its socket is closed, whichever side did that', async () => {
    const listener = await listen(fabric)
    const lobby = listener.room('lobby')
    const [bob] = await join(fabric, listener)
    bob.join('lobby', { key: 'bob' })
    for (const end of ['here', 'there'] as const) {
      const [ann, annSide] = await join(fabric, listener)
      lobby.watch(ann)
      const view = watchRoom(annSide, 'lobby')
      await once(view, 'sync')
      const updates: unknown[] = []
      view.on('update', ({ key, stale }) => updates.push([key, stale]))
      const closed = once(annSide, 'closed')
      if (end === 'here') annSide.close()
      else ann.close()
      await closed
      expect([updates, keys(view), view.members.get('bob')?.stale]).toEqual([[['bob', true]], ['bob'], true])
    }
  })

  test('hears nothing where it is not allowed, nothing more when it has closed, or the server has ended it', async () => {
    const listener = await listen(fabric)
    const [lobby, cellar] = ['lobby', 'cellar'].map(name => listener.room(name))
    const [ann, annSide] = await join(fabric, listener)
    ann.join(['lobby', 'cellar'], { key: 'ann' })
    const [view, secret] = [watchRoom(annSide, 'lobby'), watchRoom(annSide, 'cellar')]
    const stop = lobby!.watch(ann)
    await once(view, 'sync')
    expect(secret.members.size).toBe(0)
    view.close()
    await annSide.drain()
    const [bob] = await join(fabric, listener)
    bob.join('lobby', { key: 'bob' })
    await Promise.all([ann.send('behind it'), take(annSide, 1)])
    expect(keys(view)).toEqual(['ann'])
    const again = watchRoom(annSide, 'lobby')
    expect(again).not.toBe(view)
    await once(again, 'sync')
    expect(keys(again)).toEqual(['ann', 'bob'])
    stop()
    bob.leave('lobby')
    await Promise.all([ann.send('behind that'), take(annSide, 1)])
    expect([keys(again), cellar!.members.size]).toEqual([['ann', 'bob'], 1])
  })

  test('who does not keep up knows the truth when it does', async () => {
    const listener = await listen(fabric, { maxQueueSize: 4 })
    const lobby = listener.room('lobby')
    const [ann, annSide] = await join(fabric, listener)
    const [bob] = await join(fabric, listener)
    const view = watchRoom(annSide, 'lobby')
    lobby.watch(ann)
    await once(view, 'sync')
    await ann.drain()
    annSide.pause()
    annSide.on('data', () => {})
    for (let n = 0; n < 4; n++) ann.write(n)
    for (let n = 0; n < 300; n++) bob.join('lobby', { key: `bob ${n}` })
    expect(ann.state).toBe('ready')
    annSide.resume()
    await shows(view, ['bob 299'])
  })

  test('sees a crowd whole, and goes on over a lost connection', async () => {
    const listener = await listen(fabric)
    const lobby = listener.room('lobby')
    const [ann, annSide] = await join(fabric, listener)
    const [bob] = await join(fabric, listener)
    const crowd: ServerSocket[] = []
    for (let n = 0; n < 60; n++) {
      const [socket] = await join(fabric, listener)
      socket.join('lobby', { key: `guest ${n}` })
      crowd.push(socket)
    }
    const view = watchRoom(annSide, 'lobby')
    lobby.watch(ann)
    await once(view, 'sync')
    expect(view.members.size).toBe(60)
    annSide.disconnect()
    bob.join('lobby', { key: 'bob' })
    const left = once(view, 'leave')
    crowd[0]!.leave('lobby')
    expect((await left)[0]).toMatchObject({ key: 'guest 0' })
    expect([view.members.size, view.members.has('bob')]).toEqual([60, true])
  })

  test('is told what cannot be', async () => {
    const listener = await listen(fabric)
    const [ann, annSide] = await join(fabric, listener)
    const code = (action: () => unknown): unknown => {
      try {
        return action()
      } catch (error) {
        return (error as { code: unknown }).code
      }
    }
    const renewing = fabric.client().socket.connect('chat', { renew: true })
    expect([
      code(() => watchRoom(annSide, '')),
      code(() => watchRoom(ann as never, 'lobby')),
      code(() => watchRoom(renewing, 'lobby')),
      code(() => listener.room('lobby').watch(annSide as never)),
    ]).toEqual(['ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_TYPE', 'ERR_UNSUPPORTED', 'ERR_INVALID_ARG_TYPE'])
    annSide.close()
    expect(code(() => watchRoom(annSide, 'lobby'))).toBe('ERR_CLOSED')
  })
})
