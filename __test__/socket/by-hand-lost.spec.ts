// A socket with `reconnection: false` waits for `connect()` when its connection is lost, but not for ever.
import { once } from 'node:events'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection, pair, take } from '../support/sockets'

const LOST = expect.objectContaining({ code: 'ERR_SOCKET_LOST' })
const OPTIONS = { reconnection: false, keepAlive: 100, keepAliveTimeout: 100 }

describeFabrics('a socket with `reconnection: false`', fabric => {
  test('whose own connection is lost ends everything that waits after its resume time', async () => {
    const { guest, server, socket } = await pair(fabric, { connect: { ...OPTIONS, resumeTimeout: 300 } })
    server.pause()
    socket.write('never handled')
    const loop = rejection(
      (async () => {
        for await (const _ of socket);
      })(),
    )
    const waits = [socket.drain(), socket.send('!')]
    const closed = once(socket, 'closed')
    guest.conn.io.engine.close()
    expect(await closed).toEqual([LOST, 2])
    expect(await loop).toEqual(LOST)
    for (const wait of waits.map(rejection)) expect(await wait).toEqual(LOST)
  })

  test('the same while the client stays away', async () => {
    const { guest, socket } = await pair(fabric, { connect: { ...OPTIONS, resumeTimeout: 300 } })
    const closed = once(socket, 'closed')
    guest.disconnect()
    expect((await closed)[0]).toEqual(LOST)
  })

  test('the same when it is disconnected by hand, and not connected', async () => {
    const { server, socket } = await pair(fabric, { connect: { ...OPTIONS, resumeTimeout: 300 } })
    server.pause()
    socket.disconnect()
    socket.write('never sent')
    const waits = [socket.drain(), socket.send('!'), socket.waitUntilReady(), socket.request('?')]
    const failures = waits.map(rejection)
    expect(await once(socket, 'closed')).toEqual([LOST, 2])
    for (const failure of failures.slice(0, 3)) expect(await failure).toEqual(LOST)
    expect(await failures[3]).toMatchObject({ code: 'EPIPE' })
  })

  test('whose server was away and is back ends after its resume time', async () => {
    const { host, socket } = await pair(fabric, { connect: { ...OPTIONS, resumeTimeout: 1500 } })
    const [disconnected, closed] = [disconnection(socket), once(socket, 'closed')]
    host.disconnect()
    await disconnected
    host.connect()
    expect((await closed)[0]).toEqual(LOST)
  })

  test('goes on where it was when it is connected by hand', async () => {
    const { guest, server, socket } = await pair(fabric, { connect: OPTIONS })
    const disconnected = disconnection(socket)
    guest.conn.io.engine.close()
    await disconnected
    socket.write('written meanwhile')
    const received = take(server, 1)
    socket.connect()
    expect(await received).toEqual(['written meanwhile'])
  })
})
