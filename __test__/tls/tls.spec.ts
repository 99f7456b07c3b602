// TLS end to end over subjects: names, authorities, halves, and what is cut off.
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import nodeTls from 'node:tls'
import { over as netOver, type Socket, sockets } from 'selvedge/net'
import { over, type Server } from 'selvedge/tls'
import { CA, material } from '../support/certificates'
import { closed, failure, until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

type Failure = NodeJS.ErrnoException

describeFabrics('tls', fabric => {
  let tls = {} as ReturnType<typeof over>
  let net = {} as ReturnType<typeof netOver>
  beforeEach(() => {
    tls = over(fabric.client())
    net = netOver(fabric.client())
  })
  afterEach(() => until(() => sockets().length === 0))

  async function listening(options: object, listener: (socket: TLSSocket) => void): Promise<Server> {
    const server = tls.createServer({ ...material('server'), ...options }, listener)
    await once(server.listen('bank.core'), 'listening')
    return server
  }
  const trusted = { ca: CA, servername: 'localhost' }

  test('a server and a client, with addresses, ALPN and SNI', async () => {
    const seen: unknown[] = []
    let shown = 0
    let protocol: string | null = null
    const server = await listening({ ALPNProtocols: ['a', 'b'] }, socket => {
      shown = sockets({ proto: 'tls' }).length
      seen.push(
        socket.remoteAddress,
        socket.alpnProtocol,
        (socket as unknown as { servername: string }).servername,
      )
      socket.pipe(socket)
    })
    expect([server.listening, server.subject]).toEqual([true, 'bank.core'])
    const socket = tls.connect('bank.core', { ...trusted, ALPNProtocols: ['b'] })
    const events: string[] = []
    for (const name of ['connect', 'secureConnect']) socket.on(name, () => events.push(name))
    socket.on('secureConnect', () => {
      protocol = socket.getProtocol()
    })
    socket.end('secret')
    expect(String((await once(socket, 'data'))[0])).toBe('secret')
    expect([socket.authorized, protocol, socket.encrypted]).toEqual([true, 'TLSv1.3', true])
    expect(events).toEqual(['connect', 'secureConnect'])
    expect(seen).toEqual([socket.localAddress, 'b', 'localhost'])
    expect(socket.remoteAddress).toBe('bank.core')
    expect(shown).toBe(2)
    await closed(socket)
    await closed(server.close())
    expect(server.listening).toBe(false)
  })

  test('an authority that is not trusted, and a wrong name, are refused by name', async () => {
    const server = await listening({}, socket => socket.on('error', () => {}))
    server.on('tlsClientError', () => {})
    expect(await failure(tls.connect('bank.core', { servername: 'localhost' }))).toMatchObject({
      code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/),
    })
    const wrong = tls.connect('bank.core', { ca: CA, servername: 'elsewhere.example' })
    expect(await failure(wrong)).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    // The subject is the name, by default.
    const named = tls.connect('bank.core', { ca: CA })
    expect(await failure(named)).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    expect(() => tls.connect('bank_core', { ca: CA })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    )
    await closed(server.close())
  })

  test('expired, self-signed, no certificate at all: each is refused by its name, and the others go on', async () => {
    const failing = async (options: object): Promise<Failure> => {
      const server = tls.createServer(options, socket => socket.on('error', () => {}))
      server.on('tlsClientError', () => {})
      await once(server.listen('bad.core'), 'listening')
      const lost = await failure(tls.connect('bad.core', trusted))
      await closed(server.close())
      return lost
    }
    const good = await listening({}, socket => void socket.end('fine'))
    expect(await failing(material('expired'))).toMatchObject({ code: 'CERT_HAS_EXPIRED' })
    expect(await failing(material('self-signed'))).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect((await failing({})).code).toMatch(/^ERR_SSL|ECONNRESET/)
    expect(() => tls.createServer({ key: 'no key', cert: 'no certificate' })).toThrow()
    const socket = tls.connect('bank.core', trusted)
    expect(String((await once(socket, 'data'))[0])).toBe('fine')
    await closed(socket)
    await closed(good.close())
  })

  test('a client shows its certificate, or is refused', async () => {
    const server = await listening({ ca: CA, requestCert: true, rejectUnauthorized: true }, socket =>
      socket.on('error', () => {}).end(String(socket.getPeerCertificate().subject.CN)),
    )
    server.on('tlsClientError', () => {})
    const ada = tls.connect('bank.core', { ...trusted, ...material('client') })
    expect(String((await once(ada, 'data'))[0])).toBe('selvedge test client')
    await closed(ada)
    const nobody = tls.connect('bank.core', trusted)
    expect((await failure(nobody.resume())).code).toMatch(/^ERR_SSL|ECONNRESET/)
    await closed(server.close())
  })

  test('a failure is told once, whatever becomes of the stream below it', async () => {
    const server = await listening({ ca: CA, requestCert: true, rejectUnauthorized: true }, socket =>
      socket.on('error', () => {}),
    )
    server.on('tlsClientError', () => {})
    const client = fabric.client()
    const nobody = over(client).connect('bank.core', trusted)
    const codes: unknown[] = []
    nobody.on('error', error => {
      codes.push((error as Failure).code)
      void client.close()
    })
    await closed(nobody.resume())
    expect(codes).toHaveLength(1)
    await closed(server.close())
  })

  test('a session is resumed over another socket', async () => {
    const server = await listening({}, socket => void socket.on('error', () => {}).end('x'))
    const first = tls.connect('bank.core', trusted)
    const [session] = await once(first, 'session')
    expect(first.isSessionReused()).toBe(false)
    await closed(first.resume())
    const second = tls.connect('bank.core', { ...trusted, session })
    await once(second, 'secureConnect')
    expect(second.isSessionReused()).toBe(true)
    await closed(second.resume())
    await closed(server.close())
  })

  test('nobody listens; somebody listens who speaks no TLS; who connects speaks none', async () => {
    expect(await failure(tls.connect('nobody', trusted))).toMatchObject({ code: 'ECONNREFUSED' })
    const plain = net
      .createServer(
        socket =>
          void socket
            .on('error', () => {})
            .resume()
            .end('hello'),
      )
      .listen('plain')
    await once(plain, 'listening')
    expect((await failure(tls.connect('plain', trusted))).code).toMatch(/^ERR_SSL|ECONNRESET/)
    await closed(plain.close())
    const server = await listening({}, socket => void socket.end('still here'))
    const told = once(server, 'tlsClientError')
    const stranger = net.connect('bank.core')
    stranger.on('error', () => {}).resume()
    stranger.write('GET / HTTP/1.0\r\n\r\n')
    expect((await told)[0]).toMatchObject({ code: expect.stringMatching(/^ERR_SSL/) })
    const socket = tls.connect('bank.core', trusted)
    expect(String((await once(socket, 'data'))[0])).toBe('still here')
    await closed(socket)
    await closed(server.close())
  })

  test('a megabyte, and its end, whole; an end of the stream below alone is a reset', async () => {
    const below: Socket[] = []
    const server = await listening({}, socket => {
      socket.on('error', () => {})
      if (below.length === 1) socket.end(Buffer.alloc(1_000_000, 'x'))
      else socket.write('a part', () => below[1]!.end())
    })
    server.prependListener('connection', socket => below.push(socket as unknown as Socket))
    const whole = tls.connect('bank.core', trusted)
    let size = 0
    whole.on('data', chunk => {
      size += chunk.length
    })
    const error = jest.fn()
    whole.on('error', error)
    await closed(whole)
    expect([size, error.mock.calls]).toEqual([1_000_000, []])
    const cut = tls.connect('bank.core', trusted)
    const got = once(cut, 'data')
    const lost = failure(cut)
    const ended = jest.fn()
    cut.on('end', ended)
    expect(String((await got)[0])).toBe('a part')
    expect(await lost).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    expect(ended).not.toHaveBeenCalled()
    await closed(server.close())
  })

  test("Node's own tls.connect over a socket of ours", async () => {
    const server = await listening({}, socket => socket.pipe(socket))
    const socket = nodeTls.connect({ socket: net.connect('bank.core'), ...trusted })
    socket.end('as it is')
    expect(String((await once(socket, 'data'))[0])).toBe('as it is')
    await closed(socket)
    await closed(server.close())
  })
})
