// Bad inputs that stay the business of who gives them: buffers that change, calls inside of events, aborts, strange peers.
import { once } from 'node:events'
import type { Client, ConatSocketClient } from 'selvedge'
import { netstat, over, type Server, type Socket, sockets } from 'selvedge/net'
import { closed, failure, until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

const closedSocket = (socket: ConatSocketClient): Promise<unknown> =>
  new Promise(resolve => socket.once('closed', resolve))

async function stop(server: Server): Promise<void> {
  if (server.listening) await closed(server.close())
  await until(() => sockets().length === 0)
}

describeFabrics('bad inputs of net', fabric => {
  let [host, guest] = [] as unknown as [ReturnType<typeof over>, ReturnType<typeof over>]
  let [hostClient, guestClient] = [] as unknown as [Client, Client]

  beforeEach(() => {
    hostClient = fabric.client()
    guestClient = fabric.client()
    host = over(hostClient)
    guest = over(guestClient)
  })

  async function listening(options?: object): Promise<Server> {
    const server = host.createServer(options)
    await once(server.listen('desk'), 'listening')
    return server
  }

  test('a buffer may be used again once the callback of its write was called', async () => {
    const server = await listening()
    const got: Buffer[] = []
    server.on('connection', socket => socket.on('data', data => got.push(data)).on('end', () => socket.end()))
    const here = guest.connect('desk')
    await once(here, 'connect')
    const sent: Buffer[] = []
    for (const size of [1, 100, 20_000, 100_000, 1_500_000]) {
      // One by one, and several in a turn.
      for (const count of [1, 3]) {
        const writes = Array.from({ length: count }, async (_, n) => {
          const buffer = Buffer.alloc(size, 10 * count + n)
          sent.push(Buffer.from(buffer))
          await new Promise<void>(resolve =>
            here.write(buffer, () => {
              buffer.fill(255)
              resolve()
            }),
          )
        })
        await Promise.all(writes)
      }
    }
    here.resume().end()
    await closed(here)
    expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true)
    await stop(server)
  })

  test('an empty write is called back, and nothing is sent', async () => {
    const server = await listening()
    server.on('connection', socket => socket.resume())
    const here = guest.connect('desk')
    await once(here, 'connect')
    const { sent } = here.session!.stats
    for (const nothing of ['', Buffer.alloc(0), new Uint8Array()]) {
      expect(await new Promise(resolve => here.write(nothing, error => resolve(error ?? 'written')))).toBe(
        'written',
      )
    }
    expect([here.session!.stats.sent - sent, here.bytesWritten]).toEqual([0, 0])
    here.resume().end()
    await closed(here)
    await stop(server)
  })

  test('a server that closes in its connection serves this one to the end', async () => {
    const server = await listening()
    const codes: unknown[] = []
    server.on('connection', socket => {
      server.close(error => codes.push(error))
      server.close(error => codes.push((error as NodeJS.ErrnoException | undefined)?.code))
      socket.pipe(socket)
    })
    const end = closed(server)
    const here = guest.connect('desk')
    here.end('still here')
    expect(String((await once(here, 'data'))[0])).toBe('still here')
    await closed(here)
    await end
    expect(codes).toEqual([undefined, 'ERR_SERVER_NOT_RUNNING'])
    await stop(server)
  })

  test('an abort before, during and behind the connect; no listener stays on the signal', async () => {
    const server = await listening()
    server.on('connection', socket => socket.on('error', () => {}).resume())
    for (const when of ['before', 'during', 'behind', 'at the end'] as const) {
      const aborts = new AbortController()
      const { signal } = aborts
      const [add, remove] = [
        jest.spyOn(signal, 'addEventListener'),
        jest.spyOn(signal, 'removeEventListener'),
      ]
      if (when === 'before') aborts.abort(Error('enough'))
      const here = guest.connect('desk', { signal })
      const [lost, end] = [failure(here), closed(here)]
      if (when === 'during') aborts.abort(Error('enough'))
      if (when === 'behind' || when === 'at the end') await once(here, 'connect')
      if (when === 'behind') aborts.abort(Error('enough'))
      if (when === 'at the end') {
        here.resume().end()
        expect(await end).toBe(false)
      } else {
        expect(await lost).toMatchObject({
          code: 'ABORT_ERR',
          name: 'AbortError',
          cause: { message: 'enough' },
        })
        expect(await end).toBe(true)
      }
      await new Promise(setImmediate)
      if (when !== 'before') expect(remove.mock.calls.length).toBeGreaterThanOrEqual(add.mock.calls.length)
      aborts.abort(Error('late'))
    }
    await stop(server)
  })

  test('destroyed, ended and connected again inside of its events: each close comes once', async () => {
    const server = await listening()
    server.on('connection', socket => socket.on('error', () => {}).end('x'))
    const acts: ((socket: Socket) => void)[] = [
      socket => socket.once('connect', () => socket.destroy().destroy()),
      socket => socket.once('ready', () => socket.end().destroy()),
      socket => socket.once('data', () => socket.end()),
      socket => socket.once('end', () => socket.destroySoon()),
      socket => socket.once('finish', () => socket.resetAndDestroy()),
      socket => socket.destroy(),
      socket => socket.end().destroySoon(),
    ]
    for (const act of acts) {
      const here = guest.connect('desk').on('error', () => {})
      let closes = 0
      here.on('close', () => closes++)
      act(here)
      here.resume()
      await until(() => closes > 0)
      for (let n = 0; n < 5; n++) await new Promise(setImmediate)
      expect(closes).toBe(1)
    }
    await stop(server)
  })

  test('ten thousand empty messages of a peer are nothing', async () => {
    const server = await listening({ allowHalfOpen: true })
    const stranger = guestClient.socket.connect('desk')
    const [there] = (await once(server, 'connection')) as [Socket]
    const data = jest.fn()
    there.on('data', data)
    for (let n = 0; n < 20; n++) {
      await Promise.all(Array.from({ length: 500 }, () => stranger.send(Buffer.alloc(0))))
    }
    stranger.write(Buffer.from('something'))
    await until(() => there.bytesRead > 0)
    expect(data.mock.calls.map(([bytes]) => String(bytes))).toEqual(['something'])
    expect([there.bytesRead, there.readableLength]).toEqual([9, 0])
    stranger.close()
    expect(await failure(there)).toMatchObject({ code: 'ECONNRESET' })
    await stop(server)
  })

  test('a peer that asks is cut off alone', async () => {
    const server = await listening({ allowHalfOpen: true })
    const neighbour = guest.connect('desk')
    const [good] = (await once(server, 'connection')) as [Socket]
    const connection = once(server, 'connection') as Promise<[Socket]>
    const stranger = guestClient.socket.connect('desk')
    const [there] = await connection
    const lost = failure(there.resume())
    await expect(stranger.request('how are you', { timeout: 10_000 })).rejects.toBeDefined()
    expect(await lost).toMatchObject({ code: 'EPROTO', syscall: 'read' })
    neighbour.end('still here')
    expect(String((await once(good, 'data'))[0])).toBe('still here')
    good.end()
    await closed(neighbour.resume())
    await stop(server)
  })

  test('a message larger than those of streams cuts its sender off, before and behind the accept', async () => {
    const decided: (() => void)[] = []
    const server = await listening({ accept: () => new Promise<void>(resolve => decided.push(resolve)) })
    server.on('connection', socket => socket.on('error', () => {}))
    for (const isAccepted of [false, true]) {
      const stranger = guestClient.socket.connect('desk')
      const end = closedSocket(stranger)
      await until(() => decided.length > 0)
      const [decide] = decided.splice(0)
      if (isAccepted) {
        const connection = once(server, 'connection') as Promise<[Socket]>
        decide!()
        const [there] = await connection
        const lost = failure(there)
        stranger.write(Buffer.alloc(1024 * 1024))
        expect(await lost).toMatchObject({ code: 'EPROTO', cause: { code: 'ERR_TOO_LARGE' } })
      } else stranger.write(Buffer.alloc(1024 * 1024))
      await end
      decide!()
    }
    await stop(server)
  })

  test('nothing but bytes is kept for a reader that rests', async () => {
    const server = await listening({ pauseOnConnect: true })
    for (const frame of [new Array(100).fill([]), new Array(2000).fill(null), { a: 1 }]) {
      const connection = once(server, 'connection') as Promise<[Socket]>
      const stranger = guestClient.socket.connect('desk')
      const end = closedSocket(stranger)
      const [there] = await connection
      const lost = failure(there)
      for (let n = 0; n < 4; n++) stranger.write(frame)
      expect(await lost).toMatchObject({ code: 'EPROTO' })
      await end
    }
    await stop(server)
  })

  test('netstat shows the control characters of a subject, and does not send them', async () => {
    const server = await listening({})
    const connection = once(server, 'connection') as Promise<[Socket]>
    const stranger = guestClient.socket.connect('desk', { id: '\u001b[31mred\u202e' })
    const [there] = await connection
    there.on('error', () => {})
    expect(netstat()).toContain('\\u001b[31mred\\u202e')
    stranger.close()
    await stop(server)
  })

  test('a second hello, and bytes behind the end, are EPROTO at the connecting end', async () => {
    const hello = [0, { v: 1, port: 1 }]
    for (const messages of [
      [hello, hello],
      [hello, [1], Buffer.from('x')],
      [hello, [1], [1]],
      [hello, 5],
      [hello, 'x'],
    ]) {
      const listener = hostClient.socket.listen('strange')
      await listener.waitUntilReady()
      listener.on('connection', socket => {
        for (const message of messages) socket.write(message)
      })
      const here = guest.connect({ subject: 'strange', allowHalfOpen: true })
      expect(await failure(here.resume())).toMatchObject({ code: 'EPROTO', syscall: 'read' })
      await closed(here)
      listener.close()
      await until(() => sockets().length === 0)
    }
  })

  test('a listener that decides too late has a free place for the next', async () => {
    const waiting: (() => void)[] = []
    const server = host.createServer({
      acceptTimeout: 30,
      accept: () => (waiting.length < 3 ? new Promise<void>(resolve => waiting.push(resolve)) : undefined),
    })
    server.on('connection', socket => socket.end('in'))
    await once(server.listen({ subject: 'slow', backlog: 1 }), 'listening')
    for (let n = 1; n <= 3; n++) {
      const late = failure(guest.connect('slow'))
      await until(() => waiting.length === n)
      // The only place is taken until the time is over.
      expect(await late).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect' })
      waiting[n - 1]!()
    }
    const here = guest.connect('slow')
    expect(String((await once(here, 'data'))[0])).toBe('in')
    await closed(here)
    await stop(server)
  })
})
