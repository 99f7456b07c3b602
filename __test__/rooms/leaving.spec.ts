// A server of rooms that leaves by itself, while the others stay.
import { once } from 'node:events'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

describeFabrics('a server whose client drains', fabric => {
  test('writes to the rooms of all until its own sockets have gone, and tells of no server that stays', async () => {
    const [staying, leaving] = [fabric.client(), fabric.client()]
    const lost: unknown[] = []
    const servers = [staying, leaving].map((client, n) => {
      const server = client.socket.listen('chat', { id: `s${n}` })
      server.on('connection', socket => socket.join('lobby', { key: server.id }))
      server.on('peerLost', told => lost.push(told))
      return server
    })
    await Promise.all(servers.map(server => server.waitUntilReady()))
    const [stays, leaves] = servers as [(typeof servers)[0], (typeof servers)[0]]
    const seen = new Promise<void>(resolve => {
      const room = leaves.room('lobby')
      const look = (): void => void (room.members.size === 2 && resolve())
      room.on('join', look)
    })
    const sockets = servers.map(({ id }) =>
      fabric.client().socket.connect('chat', { loadBalancer: () => id }),
    )
    const received = once(sockets[0]!, 'data')
    // Who is in the room too, and reads: the drain waits until it has.
    sockets[1]!.on('data', () => {})
    await seen
    // What the socket has asked is waited for: the server is not gone before.
    const gone = once(stays.room('lobby'), 'leave')
    let answer: (() => void) | undefined
    sockets[1]!.on('request', request => {
      answer = () => request.respondSync('done')
    })
    const asked = Object.values(leaves.sockets)[0]!.request('wait')
    await until(() => answer !== undefined)
    const drained = leaving.drain({ deadline: 30_000 })
    await new Promise(setImmediate)
    leaves.to('lobby').write('farewell')
    expect((await received)[0]).toBe('farewell')
    answer!()
    await asked
    await drained
    await gone
    expect([lost, stays.state]).toEqual([[], 'ready'])
  })
})
