// What calls are given: subjects, options, and the client that a module is bound to.
import { once } from 'node:events'
import http from 'node:http'
import { type Client, ConatError } from 'selvedge'
import * as dgram from 'selvedge/dgram'
import { over, type Server, type Socket, sockets } from 'selvedge/net'
import * as tls from 'selvedge/tls'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

const closed = (emitter: Socket | Server): Promise<unknown> =>
  new Promise(resolve => emitter.once('close', () => resolve(undefined)))

async function stop(server: Server): Promise<void> {
  await closed(server.close())
  await until(() => sockets().length === 0)
}

describeFabrics('options of net', fabric => {
  let [host, guest] = [] as unknown as [ReturnType<typeof over>, ReturnType<typeof over>]
  let guestClient = {} as Client

  beforeEach(() => {
    guestClient = fabric.client()
    host = over(fabric.client())
    guest = over(guestClient)
  })

  test('what nothing reaches, and nothing where a subject is said, is no subject of a server', () => {
    const wrong = { code: 'ERR_INVALID_ARG_VALUE' }
    for (const subject of ['w*', 'w>', 'a.w*.b']) {
      const calls = [
        () => host.createServer().listen(subject),
        () => host.expose(subject, { port: 80 }),
        () => host.serve(subject, http.createServer()),
      ]
      for (const call of calls) expect(call).toThrow(expect.objectContaining(wrong))
      if (!subject.endsWith('>')) expect(calls[0]).toThrow(/nothing reaches '/)
    }
    expect(() => host.expose('', { port: 80 })).toThrow(expect.objectContaining(wrong))
    expect(() => host.serve('', http.createServer())).toThrow(expect.objectContaining(wrong))
  })

  test.each([
    ['', 'ERR_INVALID_ARG_VALUE'],
    ['a..b', 'ERR_INVALID_ARG_VALUE'],
    ['a.*', 'ERR_INVALID_ARG_VALUE'],
    ['a.>', 'ERR_INVALID_ARG_VALUE'],
    ['\ud800', 'ERR_INVALID_ARG_VALUE'],
    ['x'.repeat(9 * 1024), 'ERR_INVALID_ARG_VALUE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    [5432, 'ERR_INVALID_ARG_TYPE'],
    [{ subject: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: null }, 'ERR_MISSING_ARGS'],
  ])('connect(%j) throws %s', (given, code) => {
    expect(() => guest.connect(given as never)).toThrow(expect.objectContaining({ code }))
  })

  test.each([
    ['maxSockets', 'createServer'],
    ['maxSockets', 'listen'],
    ['maxSocketsPerUser', 'createServer'],
    ['maxSocketsPerUser', 'listen'],
  ])('over %s of %s connections are refused with EMFILE, and there is room again', async (name, call) => {
    const server = host.createServer(call === 'createServer' ? { [name]: 2 } : {}, socket => socket.resume())
    await once(server.listen({ subject: 'desk', ...(call === 'listen' ? { [name]: 2 } : {}) }), 'listening')
    const opened: Socket[] = []
    const open = async (): Promise<string> => {
      const socket = guest.connect('desk').resume()
      const how = new Promise<string>(resolve => {
        socket.on('connect', () => resolve('connect'))
        socket.on('error', error => resolve((error as NodeJS.ErrnoException).code!))
      })
      opened.push(socket)
      return await how
    }
    expect([await open(), await open()]).toEqual(['connect', 'connect'])
    // Over Conat's protocol and NATS nobody says whose connection it is.
    const isTold = name === 'maxSockets' || !['conat wire', 'gateways', 'nats'].includes(fabric.kind)
    expect(await open()).toBe(isTold ? 'EMFILE' : 'connect')
    const left = closed(opened[0]!.end())
    await left
    await until(() => sockets({ proto: 'stream' }).length <= (isTold ? 3 : 5))
    expect(await open()).toBe('connect')
    for (const socket of opened) socket.end()
    await stop(server)
  })

  test('bounds of a listener are counts, and of no concern to a connect', () => {
    for (const name of ['maxSockets', 'maxSocketsPerUser']) {
      expect(() => host.createServer({ [name]: 0 })).toThrow(
        expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
      )
      expect(() => host.createServer().listen({ [name]: 'x' } as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
      )
      guest
        .connect('nobody.here', { [name]: Number.POSITIVE_INFINITY } as never)
        .on('error', () => {})
        .destroy()
    }
  })

  test('options of the constructor hold unless connect has others; null and undefined are none', async () => {
    const server = host.createServer({ window: null, linger: null, acceptTimeout: null } as never)
    await once(server.listen('desk'), 'listening')
    const spy = jest.spyOn(guestClient.socket, 'connect')
    const sessions = { at: (index: number) => spy.mock.calls.at(index)?.[1] }
    const connected = async (own: object, given: object) => {
      const socket = new guest.Socket(own).connect('desk', given)
      await once(socket, 'connect')
      socket.destroy()
      const { maxQueueBytes, keepAlive, keepAliveTimeout, resumeTimeout } = sessions.at(-1)!
      return [maxQueueBytes, keepAlive, keepAliveTimeout, resumeTimeout]
    }
    const own = { window: 1000, sessionKeepAlive: 5000, sessionKeepAliveTimeout: 6000, resumeTimeout: 7000 }
    expect(await connected(own, {})).toEqual([1000, 5000, 6000, 7000])
    expect(await connected(own, { window: undefined, resumeTimeout: null })).toEqual([1000, 5000, 6000, 7000])
    expect(await connected(own, { window: 2000, sessionKeepAlive: 0 })).toEqual([2000, 0, 6000, 7000])
    const none = [1024 * 1024, undefined, undefined, undefined]
    expect(await connected({ window: null }, { sessionKeepAlive: null })).toEqual(none)
    await stop(server)
  })

  test.each([
    ['window', '1', 'ERR_INVALID_ARG_TYPE'],
    ['window', 0, 'ERR_OUT_OF_RANGE'],
    ['window', 1.5, 'ERR_OUT_OF_RANGE'],
    ['window', 2 ** 32, 'ERR_OUT_OF_RANGE'],
    ['sessionKeepAlive', '1', 'ERR_INVALID_ARG_TYPE'],
    ['sessionKeepAlive', Number.NaN, 'ERR_OUT_OF_RANGE'],
    ['sessionKeepAlive', 2 ** 31, 'ERR_OUT_OF_RANGE'],
    ['sessionKeepAliveTimeout', {}, 'ERR_INVALID_ARG_TYPE'],
    ['sessionKeepAliveTimeout', 0, 'ERR_OUT_OF_RANGE'],
    ['resumeTimeout', true, 'ERR_INVALID_ARG_TYPE'],
    ['resumeTimeout', 0, 'ERR_OUT_OF_RANGE'],
    ['linger', -1, 'ERR_OUT_OF_RANGE'],
    ['loadBalancer', 'first', 'ERR_INVALID_ARG_TYPE'],
    ['wait', 'long', 'ERR_INVALID_ARG_TYPE'],
    ['wait', -1, 'ERR_OUT_OF_RANGE'],
    ['accept', true, 'ERR_INVALID_ARG_TYPE'],
  ])('the option %s: %p throws %s where it is given', (name, value, code) => {
    const options = { [name]: value } as never
    for (const call of [
      () => new guest.Socket(options),
      () => guest.connect('desk', options),
      () => new guest.Socket().connect('desk', options),
      () => guest.createServer(options),
      () => guest.createServer().listen({ subject: 'desk', ...(options as object) }),
      () => guest.forward('desk', { port: 0 }, options),
      () => guest.expose('desk', { port: 1 }, options),
      () => guest.serve('desk', guest.createServer(), options),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code }))
    }
  })

  test('the module is bound to a client, or takes that of the call', async () => {
    expect(() => over({} as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    const server = (host.Server as unknown as () => Server)()
    expect(server).toBeInstanceOf(host.Server)
    expect(server).toBeInstanceOf(guest.Server)
    class Mine extends guest.Socket {}
    expect(new Mine()).toBeInstanceOf(guest.Socket)
    expect(new ConatError('x', 1)).toBeInstanceOf(Error)
    server.on('connection', socket => socket.end('called'))
    await once(server.listen(), 'listening')
    const here = new Mine().connect(server.subject!)
    expect(String((await once(here, 'data'))[0])).toBe('called')
    await closed(here)
    await stop(server)
  })

  test.each<[what: string, call: (net: typeof guest) => unknown, code: string, says: RegExp]>([
    ['a port', net => net.connect(6379), 'ERR_INVALID_ARG_TYPE', /no port or host.*resolve/],
    ['a host', net => net.connect({ host: 'db' }), 'ERR_INVALID_ARG_TYPE', /no port or host.*resolve/],
    [
      'a port to listen on',
      net => net.createServer().listen(8080 as never),
      'ERR_INVALID_ARG_TYPE',
      /no port/,
    ],
    [
      'the same by name',
      net => net.createServer().listen({ port: 80 } as never),
      'ERR_INVALID_ARG_TYPE',
      /no port/,
    ],
    [
      'a path',
      net => net.createServer().listen({ path: '/run/x' } as never),
      'ERR_INVALID_ARG_TYPE',
      /no port/,
    ],
    ['an agent of a subject', net => net.agent('web' as never), 'ERR_INVALID_ARG_TYPE', /"options".*object/],
    ['an agent to nowhere', net => net.agent({}), 'ERR_INVALID_ARG_TYPE', /options\.subject/],
    [
      'a listener for a server',
      net => net.serve('web', (() => {}) as never),
      'ERR_INVALID_ARG_TYPE',
      /createServer/,
    ],
    [
      'a server before its subject',
      net => net.serve({} as never, 'web' as never),
      'ERR_INVALID_ARG_TYPE',
      /target/,
    ],
    ['a port for a place', net => net.expose('c', 6379 as never), 'ERR_INVALID_ARG_TYPE', /target/],
    ['no port', net => net.expose('c', { host: 'x' } as never), 'ERR_INVALID_ARG_TYPE', /target\.port/],
    [
      'a port that is none',
      net => net.expose('c', { port: 'x' as never }),
      'ERR_INVALID_ARG_TYPE',
      /target\.port/,
    ],
    ['an empty port', net => net.forward('c', { port: '' as never }), 'ERR_INVALID_ARG_TYPE', /place\.port/],
    ['a port too large', net => net.forward('c', { port: 65_536 }), 'ERR_OUT_OF_RANGE', /place\.port/],
    [
      'a place before its subject',
      net => net.forward(6380 as never, 'c' as never),
      'ERR_INVALID_ARG_TYPE',
      /subject/,
    ],
    ['a broker for a client', () => over(fabric as never), 'ERR_INVALID_ARG_TYPE', /broker\.client\(\)/],
  ])('%s is refused in words that help', (_, call, code, says) => {
    expect(() => call(guest)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(says) }))
  })

  test('what is undefined or null takes nothing away: not the client, not the resolve', async () => {
    const server = host.createServer(socket => socket.end('found')).listen('db.main')
    await once(server, 'listening')
    const net = over(guestClient, { resolve: () => 'db.main' })
    for (const none of [
      { client: undefined, resolve: undefined },
      { client: null, resolve: null },
    ] as object[]) {
      for (const socket of [
        net.connect({ port: 1, host: 'db', ...none }),
        net.connect('db.main', none),
        new net.Socket(none).connect({ subject: 'db.main', ...none }),
      ]) {
        expect(String((await once(socket, 'data'))[0])).toBe('found')
        await closed(socket)
      }
      // Each of them would go to the default client, which has no broker.
      const listening = [
        net.createServer(none).listen({ subject: 'a', ...none }),
        net.serve('b', http.createServer(), none),
        net.expose('c', { port: 1 }, none),
        tls
          .over(guestClient)
          .createServer(none as never)
          .listen({ subject: 'd', ...none } as never),
      ] as Server[]
      await Promise.all(listening.map(each => once(each, 'listening')))
      await Promise.all(listening.map(each => closed(each.close())))
      const datagrams = dgram.over(guestClient).createSocket({ type: 'subject', ...none } as never)
      await once(datagrams.bind('e'), 'listening')
      datagrams.close()
      const agent = net.agent({ ...none, subject: 'db.main' })
      const made = (agent as unknown as { createConnection(options: object): Socket }).createConnection(none)
      expect(String((await once(made, 'data'))[0])).toBe('found')
      agent.destroy()
    }
    await stop(server)
  })
})
