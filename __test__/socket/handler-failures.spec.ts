// Handlers that fail because of what the other side does: their socket ends, on both sides, and the process goes on. What is
// uncaught fails a test.
import { once } from 'node:events'
import { DataEncoding, type ServerSocket } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { rejection } from '../support/messages'
import { join, listening, pair } from '../support/sockets'

/** A value of so many levels. */
function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

/** Another client of the listener's is served as ever. */
async function expectServed(fabric: Fabric, listener: Parameters<typeof join>[0]): Promise<void> {
  const [server, socket] = await join(listener, fabric.client())
  server.removeAllListeners('data')
  server.on('data', data => server.write(data))
  socket.write('hello')
  expect(await once(socket, 'data')).toEqual(['hello', {}])
}

describeFabrics('a handler that fails because of the other side', fabric => {
  test('since the other side does not read', async () => {
    const { listener, server, socket } = await pair(fabric, { listen: { maxQueueSize: 10 } })
    server.on('data', data => {
      for (let n = 0; n < 20; n++) server.write([n, data])
    })
    socket.pause()
    const [atServer, atClient] = [once(server, 'closed'), once(socket, 'closed')]
    socket.write('x')
    expect(await atServer).toMatchObject([{ code: 'ENOBUFS' }, expect.any(Number)])
    expect(await atClient).toMatchObject([
      { code: 'ERR_SOCKET_ABORTED', message: expect.stringContaining('ENOBUFS') },
      expect.anything(),
    ])
    await expectServed(fabric, listener)
  })

  test('since what it wrote cannot be passed on inside another value', async () => {
    const { listener, server, socket } = await pair(fabric)
    server.on('data', data => server.write({ got: data }))
    const closed = once(server, 'closed')
    socket.write(nested(1024), { encoding: DataEncoding.JsonCodec })
    expect(await closed).toMatchObject([{ code: 'ERR_ENCODE' }, 0])
    await expectServed(fabric, listener)
  })

  test('since it is gone when an asynchronous handler goes on', async () => {
    const { listener, server, socket } = await pair(fabric)
    const failed = new Promise<unknown>(resolve => {
      server.on('data', async () => {
        socket.close()
        await once(server, 'closed')
        try {
          server.write('late')
        } catch (error) {
          resolve(error)
          throw error
        }
      })
    })
    socket.write('x')
    expect(await failed).toMatchObject({ code: expect.any(String) })
    await expectServed(fabric, listener)
  })

  test('since it leaves before it has answered what a handler of `connection` asks', async () => {
    const listener = await listening(fabric.client(), 'chat')
    const guest = fabric.client()
    const connection = once(listener, 'connection') as Promise<[ServerSocket]>
    const failed = new Promise<unknown>(resolve => {
      listener.once('connection', async (socket: ServerSocket) => {
        await socket.request('who are you?').catch(error => {
          resolve(error)
          throw error
        })
      })
    })
    const socket = guest.socket.connect('chat')
    socket.on('request', () => socket.close())
    const [server] = await connection
    expect(await failed).toMatchObject({ code: expect.anything() })
    expect(server.state).toBe('closed')
    await expectServed(fabric, listener)
  })

  test.each(['throws', 'rejects'])('since a peer of Conat’s protocol asks what it %s for', async how => {
    const { listener, server, socket } = await pair(fabric, { connect: { stream: false } })
    server.on('request', ({ data }) => {
      if (how === 'rejects') return Promise.reject(new TypeError(`not ${data}`))
      throw new TypeError(`not ${data}`)
    })
    expect(await rejection(socket.request('this', { timeout: 50 }))).toMatchObject({ code: 408 })
    expect(server.state).toBe('ready')
    await expectServed(fabric, listener)
  })

  test('does not fail with any value that can be read', async () => {
    const { server, socket } = await pair(fabric)
    server.on('data', data => server.write(data))
    for (const encoding of [DataEncoding.JsonCodec, DataEncoding.MsgPack]) {
      socket.write(nested(1024), { encoding })
      expect((await once(socket, 'data'))[0]).toEqual(nested(1024))
    }
    expect(() => socket.write(nested(1025))).toThrow(
      expect.objectContaining({ code: 'ERR_ENCODE', message: expect.stringContaining('1024 levels') }),
    )
  })
})
