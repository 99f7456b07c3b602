// What is ours alone, or better than Node's: subjects, refusals, windows, resets, what was delivered.
import { getEventListeners, once } from 'node:events'
import type { Client } from 'selvedge'
import { netstat, over, type Server, type Socket, sockets } from 'selvedge/net'
import { failure, until } from '../support/events'
import { describeFabricsAndWebSocket } from '../support/fabrics'

const closed = (emitter: Socket | Server): Promise<unknown[]> =>
  new Promise(resolve => emitter.once('close', (...args: unknown[]) => resolve(args)))
const gone = (): Promise<void> => until(() => sockets().length === 0)

async function stop(...servers: Server[]): Promise<void> {
  await Promise.all(servers.map(server => (server.listening ? closed(server.close()) : undefined)))
  await gone()
}

describeFabricsAndWebSocket('net', fabric => {
  let [host, guest] = [] as unknown as [ReturnType<typeof over>, ReturnType<typeof over>]
  let [hostClient, guestClient] = [] as unknown as [Client, Client]

  beforeEach(() => {
    hostClient = fabric.client()
    guestClient = fabric.client()
    host = over(hostClient)
    guest = over(guestClient)
  })

  /** A pair of sockets that are connected. */
  async function pair(
    options: { server?: object; client?: object } = {},
  ): Promise<{ server: Server; there: Socket; here: Socket }> {
    const server = host.createServer(options.server)
    await once(server.listen(), 'listening')
    const connection = once(server, 'connection') as Promise<[Socket]>
    const here = guest.connect({ subject: server.subject!, ...options.client })
    const [[there]] = await Promise.all([connection, once(here, 'connect')])
    return { server, there, here }
  }

  test('addresses tell the two ends and the sockets apart', async () => {
    const server = host.createServer()
    await once(server.listen('shop.orders'), 'listening')
    expect(server.address()).toEqual({
      subject: 'shop.orders',
      address: 'shop.orders',
      family: 'subject',
      port: 0,
    })
    const accepted: Socket[] = []
    server.on('connection', socket => accepted.push(socket.resume()))
    const made = [guest.connect('shop.orders'), guest.connect('shop.orders')]
    await Promise.all(made.map(socket => once(socket, 'connect')))
    await until(() => accepted.length === 2)
    const ends = (socket: Socket) => [
      `${socket.localAddress}:${socket.localPort}`,
      `${socket.remoteAddress}:${socket.remotePort}`,
    ]
    for (const here of made) {
      const there = accepted.find(({ remotePort }) => remotePort === here.localPort)!
      expect(ends(there)).toEqual(ends(here).reverse())
      expect(here.address()).toEqual({ address: here.session!.id, family: 'subject', port: here.localPort })
    }
    expect(new Set(accepted.map(({ remotePort }) => remotePort)).size).toBe(2)
    for (const socket of made) socket.resume().end()
    await Promise.all(accepted.map(closed))
    // Logs want it then.
    expect(accepted[0]!.remoteAddress).toBeDefined()
    await stop(server)
  })

  test('a pattern serves every subject that matches', async () => {
    const server = host.createServer(socket => socket.end(socket.localAddress)).listen('orders.*')
    await once(server, 'listening')
    const here = guest.connect('orders.eu')
    const [data] = await once(here, 'data')
    expect(String(data)).toBe('orders.eu')
    await closed(here)
    await stop(server)
  })

  test('a connect of the same process waits for a listen that is under way', async () => {
    const server = host.createServer(socket => socket.end('hi')).listen()
    const here = host.connect(server.address()! as { subject: string })
    expect(String((await once(here, 'data'))[0])).toBe('hi')
    await closed(here)
    await stop(server)
  })

  test('a subject that somebody listens on is taken, and the server can listen again', async () => {
    const first = host.createServer().listen('taken')
    await once(first, 'listening')
    for (const net of [host, guest]) {
      const second = net.createServer().listen('taken')
      expect(await failure(second)).toMatchObject({ code: 'EADDRINUSE', syscall: 'listen', address: 'taken' })
      expect([second.listening, second.address()]).toEqual([false, null])
      await once(second.listen('free'), 'listening')
      await closed(second.close())
    }
    const shared = guest.createServer().listen({ subject: 'taken', reusePort: true })
    await once(shared, 'listening')
    await stop(first, shared)
  })

  test('a server that closes refuses, lets open sockets live, and its subject can be used again', async () => {
    const { server, here, there } = await pair({ server: { allowHalfOpen: true } })
    const subject = server.subject!
    const end = closed(server.close())
    expect(await failure(guest.connect(subject))).toMatchObject({ code: 'ECONNREFUSED', address: subject })
    const next = host.createServer(socket => socket.end('next')).listen(subject)
    await once(next, 'listening')
    expect(String((await once(guest.connect(subject), 'data'))[0])).toBe('next')
    here.end('last words')
    expect(String((await once(there, 'data'))[0])).toBe('last words')
    there.end()
    here.resume()
    await end
    await stop(next)
  })

  test('one who has just let go of a subject, and is still known, does not hold it', async () => {
    const late = await guestClient.subscribe('late.server.status')
    const server = host.createServer().listen('late')
    const listening = once(server, 'listening')
    for await (const question of late) {
      question.respondSync({ id: 'gone' })
      break
    }
    late.close()
    await listening
    await stop(server)
  })

  test('a server that leaves while it is asked refuses, too', async () => {
    const asked = await hostClient.subscribe('leaving.server.status')
    const refused = failure(guest.connect('leaving'))
    await asked.next()
    asked.close()
    expect(await refused).toMatchObject({ code: 'ECONNREFUSED', address: 'leaving' })
  })

  test('accept refuses before the other end hears anything, with its code', async () => {
    const asked: string[] = []
    const server = host.createServer({
      accept: async ({ subject }) => {
        asked.push(subject)
        if (asked.length === 1) throw Object.assign(Error('no'), { code: 'EGUEST' })
        if (asked.length === 2) throw Error('no')
      },
    })
    const accepted = jest.fn((socket: Socket) => void socket.end())
    await once(server.on('connection', accepted).listen('club'), 'listening')
    for (const code of ['EGUEST', 'ECONNREFUSED']) {
      const here = guest.connect('club')
      here.write('early')
      expect(await failure(here)).toMatchObject({ code, syscall: 'connect' })
    }
    expect(accepted).not.toHaveBeenCalled()
    await closed(guest.connect('club').resume())
    expect(asked).toEqual(['club', 'club', 'club'])
    await stop(server)
  })

  test('what comes while accept decides waits for it; who hangs is told in time', async () => {
    let decide = (): void => {}
    const server = host.createServer({
      acceptTimeout: 50,
      accept: () => new Promise<void>(resolve => (decide = resolve)),
    })
    await once(server.listen('slow'), 'listening')
    expect(await failure(guest.connect('slow'))).toMatchObject({ code: 'ETIMEDOUT' })
    await closed(server.close())

    const patient = host.createServer({ accept: () => new Promise<void>(resolve => (decide = resolve)) })
    await once(patient.listen('slow'), 'listening')
    patient.on('connection', socket => socket.pipe(socket))
    decide = () => {}
    const before = decide
    const here = guest.connect('slow')
    here.end('early')
    await until(() => decide !== before)
    decide()
    expect(String((await once(here, 'data'))[0])).toBe('early')
    await closed(here)
    await stop(patient)
  })

  test('over maxConnections it is refused, and the server is told', async () => {
    const { server, here, there } = await pair()
    server.maxConnections = 1
    const dropped = once(server, 'drop')
    expect(await failure(guest.connect(server.subject!))).toMatchObject({ code: 'ECONNREFUSED' })
    expect((await dropped)[0]).toMatchObject({ localAddress: server.subject, localFamily: 'subject' })
    here.resume().end()
    there.resume()
    await closed(there)
    await stop(server)
  })

  test('wait: true and wait: ms wait for a listener; connectTimeout is for everything', async () => {
    const here = guest.connect('later', { wait: true })
    const impatient = guest.connect('never', { wait: 10 })
    expect(await failure(impatient)).toMatchObject({ code: 'ECONNREFUSED' })
    const late = guest.connect('never', { wait: true, connectTimeout: 10 })
    expect(await failure(late)).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect', address: 'never' })
    const server = host.createServer(socket => socket.end()).listen('later')
    await closed(here.resume())
    await stop(server)
  })

  test('hosts and ports are resolved, or refused', async () => {
    const server = host.createServer(socket => socket.end('found')).listen('db.main')
    await once(server, 'listening')
    const net = over(guestClient, {
      resolve: ({ host, port }) => {
        if (host === 'nowhere') throw Error('no such host')
        return `${host}.${port === 5432 ? 'main' : 'other'}`
      },
    })
    const here = net.connect(5432, 'db')
    const [lookup, data] = await Promise.all([once(here, 'lookup'), once(here, 'data')])
    expect(lookup).toEqual([null, 'db.main', 'subject', 'db'])
    expect(String(data[0])).toBe('found')
    expect(await failure(net.connect({ host: 'nowhere', port: 1 }))).toMatchObject({
      code: 'ENOTFOUND',
      syscall: 'resolve',
    })
    expect(() => guest.connect(5432, 'db')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    // A library that calls `connect(port, host)` by itself.
    const led = new guest.Socket({ subject: 'db.main' }).connect(5432, 'localhost')
    expect(String((await once(led, 'data'))[0])).toBe('found')
    await stop(server)
  })

  test('a reader that stops holds up its writer at the window; a reset passes all of it', async () => {
    const window = 64 * 1024
    const { server, here, there } = await pair({ client: { window }, server: { window } })
    there.pause()
    here.write(Buffer.alloc(4 * window))
    await until(() => here.session!.stats.pendingBytes * 2 >= window)
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(here.session!.stats.pendingBytes).toBeLessThanOrEqual(window)
    expect(here.writableLength).toBeGreaterThan(0)
    // Nobody reads there, and it is told at once.
    here.resetAndDestroy()
    expect(await failure(there)).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    expect(await closed(there)).toEqual([true])
    await stop(server)
  })

  test('a reset behind an end is told at once, too', async () => {
    const halves = { allowHalfOpen: true }
    const { server, here, there } = await pair({ client: halves, server: halves })
    here.end('all that I say')
    await once(there.resume(), 'end')
    const lost = failure(there)
    here.resetAndDestroy()
    expect(await lost).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    await stop(server)
  })

  test('destroy delivers what the window has, and ends; with something dropped it cuts off', async () => {
    const whole = await pair()
    const got: Buffer[] = []
    whole.there.on('data', data => got.push(data))
    whole.here.write('a part')
    whole.here.destroy()
    expect(await closed(whole.there)).toEqual([false])
    expect(String(Buffer.concat(got))).toBe('a part')
    await stop(whole.server)

    const cut = await pair()
    cut.there.resume()
    cut.here.write(Buffer.alloc(50_000_000))
    cut.here.destroy()
    expect(await failure(cut.there)).toMatchObject({ code: 'ECONNRESET' })
    await stop(cut.server)

    const unread = await pair()
    unread.there.write('nobody reads this')
    await until(() => unread.here.bytesRead > 0)
    unread.here.destroy()
    expect(await failure(unread.there)).toMatchObject({ code: 'ECONNRESET' })
    await stop(unread.server)

    const failed = await pair()
    const lost = failure(failed.there)
    failed.here.on('error', () => {}).destroy(Error('mine'))
    expect(await lost).toMatchObject({ code: 'ECONNRESET' })
    await stop(failed.server)
  })

  test('flushed() resolves when the other end has it, and rejects when it breaks', async () => {
    const { server, here, there } = await pair()
    there.pause()
    here.write('x'.repeat(100_000))
    let isFlushed = false
    const flushed = here.flushed().then(() => {
      isFlushed = true
    })
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(isFlushed).toBe(false)
    there.resume()
    await flushed
    expect(there.bytesRead).toBe(100_000)
    there.pause()
    here.on('error', () => {})
    here.write(Buffer.alloc(4_000_000))
    const broken = expect(here.flushed()).rejects.toMatchObject({ code: 'ECONNRESET' })
    there.resetAndDestroy()
    await broken
    await stop(server)
  })

  test('flushed() ends after its timeout or by its signal, and the bytes stay under way', async () => {
    const { server, here, there } = await pair()
    there.pause()
    here.write(Buffer.alloc(200_000))
    await expect(here.flushed({ timeout: 20 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'flush',
      address: server.subject,
      cause: { message: 'timeout: not everything is flushed after 20 ms' },
    })
    const controller = new AbortController()
    const { signal } = controller
    const aborted = expect(here.flushed({ signal })).rejects.toMatchObject({
      code: 'ABORT_ERR',
      cause: 'why',
    })
    controller.abort('why')
    await aborted
    await expect(here.flushed({ signal })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await expect((async () => here.flushed({ signal: {} as never }))()).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    await expect((async () => here.flushed({ timeout: -1 }))()).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
    there.resume()
    await here.flushed({ timeout: 60_000, signal: new AbortController().signal })
    expect(there.bytesRead).toBe(200_000)
    here.end()
    await closed(here.resume())
    await stop(server)
  })

  test('small writes of one turn leave together', async () => {
    const { server, here, there } = await pair()
    there.resume()
    const before = here.session!.stats.sent
    for (let i = 0; i < 1000; i++) here.write(`line ${i}\n`)
    await here.flushed()
    expect(here.session!.stats.sent - before).toBe(1)
    here.end()
    await closed(here.resume())
    await stop(server)
  })

  test('an open socket cannot be connected once more', async () => {
    const { server, here, there } = await pair()
    expect(() => here.connect(server.subject!)).toThrow(expect.objectContaining({ code: 'EISCONN' }))
    here.resume().end()
    there.resume()
    await closed(there)
    await stop(server)
  })

  test('a client that closes ends what is on it', async () => {
    const { there, here, server } = await pair()
    const [error, lost] = [failure(here), failure(there)]
    await guestClient.close()
    expect(await error).toMatchObject({ code: 'ECONNABORTED', syscall: 'read' })
    expect(await lost).toMatchObject({ code: 'ECONNRESET' })
    expect(await failure(guest.connect('x'))).toMatchObject({ code: 'ENETDOWN', syscall: 'connect' })
    expect(await failure(guest.createServer().listen('x'))).toMatchObject({
      code: 'ENETDOWN',
      syscall: 'listen',
    })
    await stop(server)
  })

  test('a drain of the client accepts nobody, and lets open streams end until its deadline', async () => {
    const { server, there, here } = await pair()
    server.on('connection', socket => socket.on('error', () => {}))
    const other = guest.connect(here.remoteAddress!)
    await once(other, 'connect')
    there.on('error', () => {}).pipe(there)
    const lost = failure(other)
    const drained = hostClient.drain({ deadline: 3000, spread: 0 })
    await until(() => hostClient.draining)
    here.end('last words')
    expect(String((await once(here, 'data'))[0])).toBe('last words')
    expect(await closed(here)).toEqual([false])
    expect((await failure(guest.connect(here.remoteAddress!))).code).toBe('ECONNREFUSED')
    await drained
    expect(await lost).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    await until(() => sockets().length === 0)
  })

  test('netstat shows what there is, by state', async () => {
    const { server, here, there } = await pair({
      server: { allowHalfOpen: true },
      client: { allowHalfOpen: true },
    })
    const states = () => sockets().map(({ state }) => state)
    expect(states()).toEqual(['LISTEN', 'ESTABLISHED', 'ESTABLISHED'])
    there.pause()
    here.write('12345')
    await until(() => sockets({ id: here.session!.id })[0]!.recvQ + sockets()[2]!.recvQ > 0)
    here.end()
    await until(() => states().includes('FIN_WAIT1') || states().includes('FIN_WAIT2'))
    there.resume()
    await until(() => states().includes('CLOSE_WAIT') && states().includes('FIN_WAIT2'))
    const [first, , third] = netstat().split('\n')
    expect(first).toBe('Proto  Recv-Q  Send-Q  Local Address           Foreign Address          State')
    expect(third).toMatch(/^stream +\d+ +\d+ +\S+ +\S+ +\w+$/)
    // Ids are short in it, so that columns are columns.
    const { id } = here.session!
    expect(netstat({ id })).toMatch(new RegExp(` ${id.slice(0, 4)}…${id.slice(-2)}:\\d+ +${server.subject} `))
    const columns = netstat()
      .split('\n')
      .map(line => line.slice(0, 73).length)
    expect(new Set(columns)).toEqual(new Set([73]))
    there.end()
    await Promise.all([closed(here.resume()), closed(there)])
    await stop(server)
    expect(sockets()).toEqual([])
  })
})
