// A client of a page and native ones, both ways through a real broker: the same values, errors and promises.
import { FabricError, init, type ServerSocket } from 'selvedge'
import type { ClientSocket } from 'selvedge/browser'
import { faultProxy } from 'selvedge/testing'
import { describeFabric, type Fabric } from '../support/fabrics'
import { closePages, filled, next, pageClient } from './party'

afterEach(closePages)

const VALUES = [
  null,
  true,
  -1,
  2 ** 40,
  -(2 ** 40),
  1.5,
  '',
  'ü🦀\ufeff',
  'x'.repeat(300),
  new Date(7),
  new Date(-1.5e12),
  [1, [2]],
  { a: { b: [] } },
]

/** A socket from the page to the native client, ready on both sides. */
async function joined(fabric: Fabric, address = fabric.remote.address as string) {
  const host = fabric.client()
  const listener = host.socket.listen('chat')
  await listener.waitUntilReady()
  const page = pageClient(address)
  const socket = page.socket.connect('chat', { maxQueueSize: 100 })
  const [server] = await Promise.all([next<ServerSocket>(listener, 'connection'), socket.waitUntilReady()])
  return { host, listener, page, server, socket }
}

for (const kind of ['selvedge wire', 'gateways'] as const) {
  describeFabric(kind, 'a client of a page', fabric => {
    const address = () => fabric.remote.address as string

    test('gets and gives answers that are errors over a socket', async () => {
      const { server, socket } = await joined(fabric, address())
      server.handle(question => {
        if (question === 'fine') return 'yes'
        throw new FabricError('not that', 'ERR_MINE', { data: { n: 1 } })
      })
      expect((await socket.request('fine')).data).toBe('yes')
      const failure = { code: 'ERR_MINE', message: 'not that' }
      await expect(socket.request('wrong')).rejects.toMatchObject({ ...failure, data: { n: 1 } })
      socket.handle(async (question, message) => {
        if (question === 'fine') return message.headers
        if (question === 'text') throw 'a text'
        throw Object.assign(new Error('not that'), { code: 'ERR_MINE' })
      })
      expect((await server.request('fine', { headers: { h: 1 } })).data).toEqual({ h: 1 })
      await expect(server.request('wrong')).rejects.toMatchObject(failure)
      await expect(server.request('text')).rejects.toMatchObject({ code: 'ERR_SERVICE', message: 'a text' })
    })

    test('gives up what it has begun, and is told the same', async () => {
      const looped = async (socket: AsyncIterable<unknown>): Promise<unknown> => {
        for await (const _ of socket);
        return 'complete'
      }
      const failure = Object.assign(Error('the disk is full'), { code: 'ENOSPC' })
      const given = { code: 'ERR_SOCKET_ABORTED', message: expect.stringMatching(/the disk is full/) }
      for (const reason of [failure, undefined]) {
        for (const isPage of [true, false]) {
          const { host, page, server, socket } = await joined(fabric, address())
          const [from, to] = isPage ? [socket, server] : [server, socket]
          const reading = looped(to)
          await from.send('half')
          from.destroy(reason)
          if (reason !== undefined) await expect(reading).rejects.toMatchObject(given)
          else expect(await reading).toBe('complete')
          await Promise.all([page.close(), host.close()])
        }
      }
      const { server, socket } = await joined(fabric, address())
      const reading = looped(server)
      void socket.end()
      socket.destroy(failure)
      expect(await reading).toBe('complete')
    })

    test('asks and answers, with every value as it was', async () => {
      const native = fabric.client()
      const page = pageClient(address())
      const asked = await native.subscribe('native.*')
      asked.emitter.on('message', message => message.respondSync(message.data, { headers: message.headers }))
      const given = await page.subscribe('page.>')
      given.emitter.on('message', message => message.respondSync(message.data, { headers: { here: 1 } }))
      for (const value of VALUES) {
        expect((await page.request('native.echo', value, { headers: { n: 1 } })).data).toEqual(value)
        const answer = await native.request('page.echo', value)
        expect([answer.data, answer.headers]).toEqual([value, { here: 1 }])
      }
      const bytes = Uint8Array.from({ length: 900_000 }, (_, i) => i)
      const { data } = await page.request('native.echo', { bytes, text: 'b' })
      expect([data.bytes.constructor.name, data.text]).toEqual(['Uint8Array', 'b'])
      expect(Buffer.compare(data.bytes, bytes)).toBe(0)
      asked.close()
      given.close()
    })

    test('is told what cannot be', async () => {
      const page = pageClient(address())
      const silent = await fabric.client().subscribe('silent')
      await expect(page.request('nobody')).rejects.toMatchObject({
        code: 503,
        message: expect.stringContaining("'nobody'"),
      })
      await expect(page.request('silent', 1, { timeout: 50 })).rejects.toMatchObject({ code: 408 })
      const signal = AbortSignal.abort('why')
      await expect(page.request('silent', 1, { signal })).rejects.toMatchObject({
        code: 'ABORT_ERR',
        cause: 'why',
      })
      await expect(page.publish('a.*')).rejects.toMatchObject({ code: 'ERR_INVALID_SUBJECT' })
      await expect(page.publish('a', new Map())).rejects.toMatchObject({ code: 'ERR_ENCODE' })
      await expect(page.publish('a', 1, { headerz: {} } as never)).rejects.toMatchObject({
        code: 'ERR_UNKNOWN_OPTION',
        message: expect.stringContaining('headers'),
      })
      expect(await page.publish('nobody', 1)).toEqual({ bytes: 1, count: 0 })
      expect(await page.interest('silent')).toBe(true)
      silent.close()
      await page.close()
      await expect(page.publish('a')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    })

    test('has a socket that carries data and requests both ways, and ends in order', async () => {
      const { server, socket } = await joined(fabric)
      const [there, here]: unknown[][] = [[], []]
      server.on('data', (data, headers) => there!.push([data, headers]))
      socket.on('data', (data, headers) => here!.push([data, headers]))
      server.on('request', request => request.respondSync({ got: request.data }))
      socket.on('request', request => request.respondSync(request.data + 1, { headers: { h: 1 } }))
      socket.write('a', { headers: { n: 1 } })
      server.write(new Uint8Array([1, 2]))
      expect((await socket.request('?')).data).toEqual({ got: '?' })
      const answer = await server.request(41)
      expect([answer.data, answer.headers]).toEqual([42, { h: 1 }])
      await socket.send('b')
      expect(there).toEqual([
        ['a', { n: 1 }],
        ['b', {}],
      ])
      expect(here).toEqual([[new Uint8Array([1, 2]), {}]])
      const closed = next(server, 'closed')
      await socket.end()
      expect(await closed).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', undelivered: 0 })
      expect([socket.state, socket.undelivered()]).toEqual(['closed', []])
    })

    test('is slowed down by a slow reader, and loses nothing', async () => {
      const { server, socket } = await joined(fabric)
      const got: number[] = []
      server.pause()
      server.on('data', n => got.push(n))
      for (let n = 0; n < 100; n++) socket.write(n)
      expect(() => socket.write(100)).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
      server.resume()
      await socket.drain()
      expect(got).toEqual(Array.from({ length: 100 }, (_, n) => n))
      server.write('x'.repeat(1_000_000))
      for await (const [data] of socket) {
        expect(data).toHaveLength(1_000_000)
        break
      }
    })

    test('goes on where it was when the broker is replaced, exactly once and in order', async () => {
      const { server, socket } = await joined(fabric)
      const states: string[] = []
      for (const name of ['disconnected', 'connecting', 'ready'] as const)
        socket.on(name, () => states.push(name))
      const done = bothWays(socket, server, 1000)
      await fabric.replaceBroker()
      await done
      expect(states).toEqual(['disconnected', 'connecting', 'ready'])
    })
  })
}

/** Writes so many messages both ways, and checks that each arrives once and in order. */
async function bothWays(socket: ClientSocket, server: ServerSocket, count: number): Promise<void> {
  const [there, here]: number[][] = [[], []]
  server.on('data', n => there!.push(n))
  socket.on('data', n => here!.push(n))
  const write = async (from: ClientSocket | ServerSocket): Promise<void> => {
    for (let n = 0; n < count; n++) if (!from.write(n)) await from.waitUntilWritable()
  }
  const all = Array.from({ length: count }, (_, n) => n)
  await Promise.all([write(socket), write(server), filled(there!, count), filled(here!, count)])
  expect([[...there!], [...here!]]).toEqual([all, all])
}

describeFabric('selvedge wire', 'a page on a bad network', fabric => {
  test('gets everything once and in order while its connection is cut, again and again', async () => {
    const proxy = await faultProxy({ target: fabric.remote.address as string, seed: 7 })
    const { server, socket, page } = await joined(fabric, proxy.address)
    proxy.set({ slice: 200 })
    let isDone = false
    const done = bothWays(socket, server, 3000).then(() => {
      isDone = true
    })
    for (let cuts = 0; cuts < 4 && !isDone; cuts++) {
      await page.waitUntilReady()
      await Promise.race([next(server, 'data'), done])
      await proxy.cut()
    }
    await done
    expect(proxy.stats.connections).toBeGreaterThan(2)
    await proxy.close()
  })

  test('is told at once when its server ends, and gets back what was not handled', async () => {
    const { host, server, socket } = await joined(fabric)
    server.pause()
    socket.write('kept')
    const lost = socket.send('kept, too')
    lost.catch(() => {})
    const asked = socket.request('?')
    asked.catch(() => {})
    const closed = next(socket, 'closed')
    await host.close()
    expect((await closed).code).toMatch(/ERR_SOCKET_(CLOSED_BY_PEER|LOST)/)
    expect(socket.undelivered().map(({ seq, data }) => [seq, data])).toEqual([
      [1, 'kept'],
      [2, 'kept, too'],
    ])
    await expect(lost).rejects.toMatchObject({ undelivered: 2 })
    await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/EPIPE|ERR_DRAINING/) })
  })

  test('is told of a server that was killed, and resumes nothing', async () => {
    const proxy = await faultProxy({ target: fabric.remote.address as string })
    const host = fabric.client({ address: proxy.address, reconnection: false })
    const listener = host.socket.listen('chat')
    await listener.waitUntilReady()
    const socket = pageClient(fabric.remote.address as string).socket.connect('chat', { resumeTimeout: 100 })
    await socket.waitUntilReady()
    const [away, closed] = [next(socket, 'disconnected'), next(socket, 'closed')]
    await proxy.refuse()
    expect((await Promise.race([away, closed])).code).toMatch(/ERR_PEER_ENDED|ERR_SOCKET_LOST/)
    expect(await closed).toMatchObject({ code: 'ERR_SOCKET_LOST' })
    await proxy.close()
  })
})

describe('who signs in from a page', () => {
  test('is known by the token, and by the refusal', async () => {
    const broker = init({
      port: 0,
      getUser: ({ handshake }) => {
        if (handshake.token !== 'süß') throw Object.assign(Error('unknown'), { code: 401 })
        return { name: 'ann' }
      },
      isAllowed: ({ subject }) => !subject.startsWith('secret.'),
    })
    await broker.waitUntilReady()
    const address = `http://127.0.0.1:${broker.address()!.port}`
    const ann = pageClient(address, { token: async () => 'süß' })
    await ann.waitUntilSignedIn()
    expect(ann.info).toMatchObject({ user: { name: 'ann' } })
    await expect(ann.publish('secret.x')).rejects.toMatchObject({ code: 403 })
    await expect(ann.subscribe('secret.x')).rejects.toMatchObject({ code: 403 })
    const stranger = pageClient(address, { token: 'no' })
    await expect(stranger.waitUntilSignedIn()).rejects.toMatchObject({
      code: 'ERR_SIGN_IN',
      cause: { code: 401 },
    })
    const silent = pageClient(address, { token: () => Promise.reject(Error('expired')) })
    expect(await next(silent, 'connectFailed')).toMatchObject({
      code: 'ERR_SIGN_IN',
      message: 'no token: expired',
    })
    await closePages()
    await broker.close()
  })
})

describeFabric(
  'selvedge wire',
  'a client of a page, at a broker with a small bound',
  fabric => {
    test('is refused what it wrote and asked before it knew the bound', async () => {
      const host = fabric.client()
      const asked = await host.subscribe('big')
      asked.emitter.on('message', message => message.respondSync('done'))
      const listener = host.socket.listen('chat')
      await listener.waitUntilReady()
      listener.on('connection', server => server.on('request', request => request.respond('done')))
      const page = pageClient(fabric.remote.address as string)
      const [asks, writes] = [page.socket.connect('chat'), page.socket.connect('chat')]
      const big = new Uint8Array(90_000)
      const closed = next(writes, 'closed')
      writes.write('small')
      writes.write(big)
      const why = { code: 'ERR_TOO_LARGE' }
      const sent = expect(writes.send('after')).rejects.toMatchObject(why)
      await Promise.all([
        expect(page.request('big', big)).rejects.toMatchObject(why),
        expect(page.publish('big', big)).rejects.toMatchObject(why),
        expect(asks.request(big)).rejects.toMatchObject(why),
        expect(asks.request('small')).resolves.toMatchObject({ data: 'done' }),
        sent,
      ])
      expect(await closed).toMatchObject({
        ...why,
        message: expect.stringContaining('70000'),
        undelivered: 3,
      })
      asked.close()
    })
  },
  { maxMessageBytes: 70_000 },
)
