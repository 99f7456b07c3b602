// A page that follows who is in a room of a native server.
import { once } from 'node:events'
import type { ServerSocket } from 'selvedge'
import { watchRoom } from 'selvedge/browser'
import { describeFabric } from '../support/fabrics'
import { closePages, next, pageClient } from './party'

afterEach(closePages)

for (const kind of ['selvedge wire', 'gateways'] as const) {
  describeFabric(kind, 'a page that follows a room', fabric => {
    test('knows who is in, then each change, and none of it as data', async () => {
      const listener = fabric.client().socket.listen('chat')
      await listener.waitUntilReady()
      const lobby = listener.room('lobby')
      const connection = once(listener, 'connection') as Promise<[ServerSocket]>
      const socket = pageClient(fabric.remote.address as string).socket.connect('chat')
      const data: unknown[] = []
      const events: unknown[] = []
      socket.on('data', value => data.push(value))
      const view = watchRoom(socket, 'lobby')
      for (const name of ['join', 'update', 'leave', 'sync'] as const) {
        view.on(name, (...[member, reason]: any[]) => events.push([name, member?.key, member?.data, reason]))
      }
      const [ann] = await connection
      ann.join('lobby', { key: 'ann', data: { mood: 'fine' } })
      const synced = next(view, 'sync')
      lobby.watch(ann)
      await synced
      expect([...view.members]).toEqual([
        [
          'ann',
          {
            key: 'ann',
            data: { mood: 'fine' },
            sockets: [{ id: ann.id, server: listener.id, since: expect.any(Number) }],
            stale: false,
          },
        ],
      ])
      ann.update('lobby', 7)
      ann.write('first', { headers: { n: 1 } })
      const left = next(view, 'leave')
      ann.leave('lobby')
      await left
      view.close()
      await socket.drain()
      ann.join('lobby')
      await ann.send('second')
      expect(data).toEqual(['first', 'second'])
      expect(events).toEqual([
        ['join', 'ann', { mood: 'fine' }, undefined],
        ['sync', undefined, undefined, undefined],
        ['update', 'ann', 7, undefined],
        ['leave', 'ann', 7, 'left'],
      ])
      expect([view.members.size, watchRoom(socket, 'lobby') === view]).toEqual([0, false])
      socket.close()
      expect(() => watchRoom(socket, 'other')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
      expect(() => watchRoom(socket, '')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    })
  })
}
