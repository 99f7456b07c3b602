// Programs that run over Node's own `tls` and over ours, and what each end of them saw.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import type nodeTls from 'node:tls'
import { CA, material, OTHER_CA } from '../support/certificates'
import { closed } from '../support/events'

export type Tls = Pick<typeof nodeTls, 'createServer' | 'connect'>
type TLSSocket = nodeTls.TLSSocket
export type Log = string[]

/** One way to run a program. */
export interface Way {
  readonly tls: Tls
  /** The streams below. */
  readonly net: Pick<typeof nodeNet, 'createServer' | 'connect'>
  listen(server: nodeTls.Server): Promise<void>
  place(server: nodeTls.Server): object
  readonly nowhere: object
  /** A stream that speaks no TLS. */
  plain(server: nodeTls.Server): NodeJS.WritableStream & NodeJS.ReadableStream
}

export type Program = (way: Way) => Promise<Record<string, unknown>>

const nothing = (): void => {}
const turn = (): Promise<void> => new Promise(setImmediate)
export const TRUSTED = { ca: CA, servername: 'localhost' }

export function codeOf(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === undefined ? String(code) : `${code} ${syscall}`
}

export function refusal(call: () => unknown): string {
  try {
    call()
    return 'nothing'
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException
    return `${name} ${code} ${message}`
  }
}

/** Notes the events of a socket; pieces of data are joined. */
export function watch<S extends TLSSocket>(socket: S, log: Log): S {
  for (const name of ['connect', 'ready', 'secureConnect', 'end', 'finish', 'timeout'] as const) {
    socket.on(name, () => log.push(name))
  }
  socket.on('data', data => {
    const last = log.length - 1
    if (log[last]?.startsWith('data ')) log[last] += String(data)
    else log.push(`data ${data}`)
  })
  socket.on('error', error => log.push(`error ${codeOf(error)}`))
  socket.on('close', hadError => log.push(`close ${hadError}`))
  return socket
}

/** Runs `use` with a server that is closed behind it. */
export function served(
  use: (way: Way, server: nodeTls.Server, log: Log) => Promise<Record<string, unknown> | undefined>,
  options: nodeTls.TlsOptions = {},
): Program {
  return async way => {
    const log: Log = []
    const server = way.tls.createServer({ ...material('server'), ...options })
    await way.listen(server)
    const result = await use(way, server, log)
    const end = once(server, 'close')
    server.close()
    await end
    return { log, ...result }
  }
}

export const connect = (way: Way, server: nodeTls.Server, options: object = TRUSTED): TLSSocket =>
  way.tls.connect({ ...way.place(server), ...options } as nodeTls.ConnectionOptions)

/** What each end shows of the connection. Whose addresses they are has its own suite. */
function shown(socket: TLSSocket): unknown {
  const { authorized, authorizationError, alpnProtocol, encrypted } = socket
  const { subject, issuer, fingerprint256 } = socket.getPeerCertificate()
  return {
    authorized,
    authorizationError: String(authorizationError),
    alpnProtocol,
    encrypted,
    protocol: socket.getProtocol(),
    cipher: socket.getCipher(),
    peer: subject && { subject, issuer, fingerprint256 },
    chain: typeof socket.getPeerCertificate(true).issuerCertificate,
    own: Object.keys(socket.getCertificate() ?? {}).length > 0,
    x509: socket.getPeerX509Certificate()?.subject,
    reused: socket.isSessionReused(),
    servername: (socket as unknown as { servername: unknown }).servername,
    finished: [typeof socket.getFinished(), typeof socket.getPeerFinished()],
    exported: socket.exportKeyingMaterial(16, 'label', Buffer.from('context')).length,
    ephemeral: socket.getEphemeralKeyInfo(),
    state: [socket.readyState, socket.pending, socket.connecting, socket.destroyed, socket.allowHalfOpen],
    counts: [socket.bytesRead > 0, socket.bytesWritten],
    address: Object.keys(socket.address()).sort(),
    timeout: socket.timeout,
  }
}

/** A pair of ends, which `here` and `there` are told of once they are connected. */
function pair(
  here: (socket: TLSSocket, log: Log) => void,
  there: (socket: TLSSocket, log: Log) => void,
  { server: serverOptions = {}, client = {} }: { server?: nodeTls.TlsOptions; client?: object } = {},
): Program {
  return served(async (way, server) => {
    const [mine, theirs]: [Log, Log] = [[], []]
    const other = new Promise<unknown>(resolve => {
      server.once('secureConnection', socket => {
        closed(watch(socket, theirs)).then(resolve)
        there(socket, theirs)
      })
    })
    const socket = watch(connect(way, server, { ...TRUSTED, ...client }), mine)
    const end = closed(socket)
    here(socket, mine)
    await Promise.all([end, other])
    // Which of the halves is done with first is left open.
    return { mine: inAnyOrder(mine), theirs: inAnyOrder(theirs) }
  }, serverOptions)
}

/** The lines, those of the own half at the end. */
function inAnyOrder(lines: readonly string[]): string[] {
  const own = (line: string): boolean => line === 'finish'
  return [...lines.filter(line => !own(line)), ...lines.filter(own)]
}

/** How a connect fails, and what the server is told of it. */
function failing(options: object, serverOptions: nodeTls.TlsOptions = {}): Program {
  return served(async (way, server, log) => {
    server.on('secureConnection', socket => socket.on('error', nothing).resume())
    server.on('tlsClientError', error => log.push(typeof (error as { code?: unknown }).code))
    const mine: Log = []
    const socket = watch(connect(way, server, options), mine)
    await closed(socket.resume())
    return { log: undefined, mine, authorized: socket.authorized, error: String(socket.authorizationError) }
  }, serverOptions)
}

export const programs: Readonly<Record<string, Program>> = {
  'the client ends': pair(
    socket => void socket.end('hello'),
    socket => void socket.pipe(socket),
  ),

  'the server ends first': pair(
    socket => void socket.write('question'),
    socket => void socket.on('data', () => socket.end('answer')),
  ),

  'the client stays open behind the end of the server': pair(
    socket => void socket.on('end', () => socket.end('late')),
    socket => void socket.end('bye'),
    { server: { allowHalfOpen: true } as object, client: { allowHalfOpen: true } },
  ),

  'write and end before it is connected': pair((socket, log) => {
    log.push(`${socket.write('early ')} ${socket.connecting} ${socket.writableLength}`)
    socket.end('words')
  }, nothing),

  'a timeout is told': pair((socket, log) => {
    socket.on('secureConnect', () =>
      socket.setTimeout(20, () => {
        log.push(`of ${socket.timeout}`)
        socket.setTimeout(0)
        socket.end()
      }),
    )
  }, nothing),

  'what each end shows': served(
    async (way, server) => {
      let theirs: unknown
      const other = new Promise<void>(resolve => {
        server.on('secureConnection', socket => {
          theirs = shown(socket)
          socket.on('close', resolve).resume().end()
        })
      })
      const socket = connect(way, server, { ...TRUSTED, ALPNProtocols: ['b', 'c'] })
      await once(socket, 'secureConnect')
      const mine = shown(socket)
      await closed(socket.resume())
      await other
      return {
        mine,
        theirs,
        behind: [socket.readyState, socket.pending, socket.destroyed, socket.getProtocol()],
      }
    },
    { ALPNProtocols: ['a', 'b'] },
  ),

  'a client shows its certificate': served(
    async (way, server) => {
      const seen = once(server, 'secureConnection') as Promise<[TLSSocket]>
      const socket = connect(way, server, { ...TRUSTED, ...material('client') })
      const [other] = await seen
      const theirs = { ...(shown(other) as object), counts: 0 }
      other.on('error', nothing).resume().end()
      await closed(socket.resume())
      return { theirs }
    },
    { ca: CA, requestCert: true, rejectUnauthorized: true },
  ),

  'a client without a certificate is let in, if it need not have one': served(
    async (way, server) => {
      const seen = once(server, 'secureConnection') as Promise<[TLSSocket]>
      const socket = connect(way, server)
      const [other] = await seen
      const { authorized, authorizationError } = other
      const certificate = other.getPeerCertificate()
      other.resume().end()
      await closed(socket.resume())
      return { authorized, error: String(authorizationError), certificate }
    },
    { ca: CA, requestCert: true, rejectUnauthorized: false },
  ),

  'an authority that is not trusted': failing({ ca: OTHER_CA, servername: 'localhost' }),
  'an authority that need not be trusted': served(async (way, server) => {
    server.on('secureConnection', socket => socket.end())
    const socket = connect(way, server, { rejectUnauthorized: false, servername: 'localhost' })
    await once(socket, 'secureConnect')
    const seen = [socket.authorized, String(socket.authorizationError)]
    await closed(socket.resume())
    return { seen }
  }),
  'a wrong name': failing({ ca: CA, servername: 'elsewhere.example' }),
  'a name that checkServerIdentity refuses': failing({
    ...TRUSTED,
    checkServerIdentity: () => Object.assign(Error('not that one'), { code: 'EMINE' }),
  }),
  'no version in common': failing({ ...TRUSTED, maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }),
  'no cipher in common': failing(
    { ...TRUSTED, ciphers: 'AES128-GCM-SHA256', maxVersion: 'TLSv1.2' },
    { ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' },
  ),
  'no protocol in common': failing({ ...TRUSTED, ALPNProtocols: ['z'] }, { ALPNProtocols: ['a'] }),
  'an expired certificate': failing(TRUSTED, material('expired')),
  'a certificate that has its own signature': failing(TRUSTED, material('self-signed')),

  'nobody listens': async way => {
    const log: Log = []
    const socket = watch(way.tls.connect({ ...way.nowhere, ...TRUSTED } as nodeTls.ConnectionOptions), log)
    await closed(socket)
    return { log, state: [socket.readyState, socket.destroyed, socket.authorized] }
  },

  'destroyed before it is secure': served(async (way, server, log) => {
    server.on('tlsClientError', error => log.push(codeOf(error)))
    const mine: Log = []
    const socket = watch(connect(way, server), mine)
    socket.destroy()
    await closed(socket)
    return { log: undefined, mine }
  }),

  'whoever speaks no TLS, beside one who does': served(async (way, server) => {
    server.on('secureConnection', socket => socket.end('still here'))
    const told = once(server, 'tlsClientError')
    const stranger = way.plain(server)
    stranger.on('error', nothing).resume()
    stranger.write('GET / HTTP/1.0\r\n\r\n')
    const [error] = (await told) as [NodeJS.ErrnoException & { library?: string; reason?: string }]
    const socket = connect(way, server)
    const [data] = await once(socket, 'data')
    await closed(socket)
    return { code: error.code, library: error.library, reason: error.reason, data: String(data) }
  }),

  'whoever says nothing has its time': served(
    async (way, server) => {
      const told = once(server, 'tlsClientError')
      const stranger = way.plain(server)
      stranger.on('error', nothing).resume()
      const [error] = await told
      stranger.end()
      return { code: codeOf(error) }
    },
    { handshakeTimeout: 50 },
  ),

  'whoever leaves in the middle of the handshake': served(async (way, server) => {
    const told = once(server, 'tlsClientError')
    const stranger = way.plain(server) as NodeJS.WritableStream &
      NodeJS.ReadableStream & { destroySoon(): void }
    stranger.on('error', nothing).resume()
    // The head of a ClientHello.
    stranger.write(Buffer.from('16030100c8010000c40303', 'hex'))
    stranger.destroySoon()
    const [error] = await told
    return { code: codeOf(error) }
  }),

  'a session is resumed, with version 1.2 and 1.3': served(async (way, server) => {
    server.on('secureConnection', socket => socket.on('error', nothing).end('x'))
    const reused: boolean[] = []
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const options = { ...TRUSTED, minVersion: version, maxVersion: version }
      const first = connect(way, server, options)
      const [session] = await once(first, 'session')
      await closed(first.resume())
      const second = connect(way, server, { ...options, session })
      await once(second, 'secureConnect')
      reused.push(first.isSessionReused(), second.isSessionReused(), second.authorized)
      await closed(second.resume())
    }
    return { reused }
  }),

  'events of resumption at the server': served(
    async (way, server, log) => {
      const kept = new Map<string, Buffer>()
      server.on('newSession', (id, data, done) => {
        kept.set(id.toString('hex'), data)
        log.push('newSession')
        done()
      })
      server.on('resumeSession', (id, done) => {
        log.push(`resumeSession ${kept.has(id.toString('hex'))}`)
        done(null, kept.get(id.toString('hex')) ?? null)
      })
      server.on('secureConnection', socket => socket.on('error', nothing).end('x'))
      const options = { ...TRUSTED, maxVersion: 'TLSv1.2' }
      const first = connect(way, server, options)
      await once(first, 'secureConnect')
      const session = first.getSession()
      await closed(first.resume())
      const second = connect(way, server, { ...options, session })
      await once(second, 'secureConnect')
      log.push(`${second.isSessionReused()}`)
      await closed(second.resume())
      return {}
    },
    { secureOptions: require('node:constants').SSL_OP_NO_TICKET },
  ),

  'SNI chooses the certificate': served(async (way, server) => {
    server.addContext('elsewhere.example', material('elsewhere'))
    server.on('secureConnection', socket => socket.on('error', nothing).end())
    const names: unknown[] = []
    for (const servername of ['localhost', 'elsewhere.example']) {
      const socket = connect(way, server, { ca: CA, servername, rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      names.push(socket.getPeerCertificate().subject.CN, socket.authorized, String(socket.authorizationError))
      await closed(socket.resume())
    }
    return { names }
  }),

  'SNICallback that fails': failing(TRUSTED, {
    SNICallback: (_name, done) => done(Error('no such name')),
  }),

  ALPNCallback: served(
    async (way, server, log) => {
      server.on('secureConnection', socket => socket.end())
      const socket = connect(way, server, { ...TRUSTED, ALPNProtocols: ['x', 'y'] })
      await once(socket, 'secureConnect')
      log.push(String(socket.alpnProtocol))
      await closed(socket.resume())
      return {}
    },
    { ALPNCallback: ({ protocols }: { protocols: string[] }) => protocols[1] } as object,
  ),

  'a renegotiation is refused where there is none': served(async (way, server, log) => {
    server.on('secureConnection', socket => socket.on('error', nothing).resume())
    const socket = connect(way, server)
    await once(socket, 'secureConnect')
    socket.on('error', nothing)
    const returned = socket.renegotiate({}, error => log.push(`renegotiated ${error && codeOf(error)}`))
    await turn()
    socket.destroy()
    await closed(socket)
    return { returned }
  }),

  'keylog and maxSendFragment': served(async (way, server, log) => {
    server.on('keylog', (line, socket) =>
      log.push(`server ${String(line).split(' ')[0]} ${socket.encrypted}`),
    )
    server.on('secureConnection', socket => {
      log.push(`${socket.setMaxSendFragment(512)} ${socket.setMaxSendFragment(5)}`)
      socket.end('x'.repeat(5000))
    })
    const socket = connect(way, server)
    socket.on('keylog', line => log.push(`client ${String(line).split(' ')[0]}`))
    let size = 0
    socket.on('data', data => {
      size += data.length
    })
    await closed(socket)
    return { size, log: [...log].sort() }
  }),

  'keys of tickets, and a context that is set anew': served(async (way, server) => {
    const keys = server.getTicketKeys()
    const returned = server.setTicketKeys(keys)
    const wrong = [
      refusal(() => server.setTicketKeys(Buffer.alloc(5))),
      refusal(() => server.setTicketKeys('x' as never)),
      refusal(() => server.addContext('', {})),
    ]
    server.on('secureConnection', socket => socket.on('error', nothing).end())
    server.setSecureContext(material('renewed'))
    const socket = connect(way, server)
    await once(socket, 'secureConnect')
    const serial = socket.getPeerCertificate().serialNumber
    await closed(socket.resume())
    return { length: keys.length, returned, wrong, serial }
  }),

  'what is refused, word for word': async ({ tls, nowhere }) => {
    const any = (value: unknown): never => value as never
    const calls: Record<string, () => unknown> = {
      'createServer of text': () => tls.createServer(any('this is not valid')),
      'createServer of a number': () => tls.createServer(any(5)),
      'a key that is none': () => tls.createServer({ key: 'x', cert: 'y' }),
      'ciphers that are none': () => tls.createServer({ ciphers: 'FOOBARBAZ' }),
      'ciphers of a number': () => tls.createServer({ ciphers: any(5) }),
      'a handshakeTimeout of text': () => tls.createServer({ handshakeTimeout: any('abcd') }),
      'a sessionTimeout of text': () => tls.createServer({ sessionTimeout: any('abcd') }),
      'ticketKeys of text': () => tls.createServer({ ticketKeys: any('abcd') }),
      'ticketKeys that are too short': () => tls.createServer({ ticketKeys: Buffer.alloc(0) }),
      'a SNICallback that is none': () => tls.createServer({ SNICallback: any('x') }),
      'ALPN by both': () => tls.createServer({ ALPNCallback: () => 'x', ALPNProtocols: ['x'] } as never),
      'a version that is none': () => tls.createServer({ minVersion: any('TLSv9') }),
      'a method and a version': () =>
        tls.createServer({ secureProtocol: 'TLSv1_2_method', minVersion: 'TLSv1.2' }),
      'connect with checkServerIdentity of text': () =>
        tls.connect({ ...nowhere, ...TRUSTED, checkServerIdentity: any('x') }).on('error', nothing),
      'connect with ciphers that are none': () =>
        tls.connect({ ...nowhere, ...TRUSTED, ciphers: 'FOOBARBAZ' } as never).on('error', nothing),
      'connect with minDHSize of text': () =>
        tls.connect({ ...nowhere, ...TRUSTED, minDHSize: any('x') } as never).on('error', nothing),
      'connect with minDHSize below 0': () =>
        tls.connect({ ...nowhere, ...TRUSTED, minDHSize: -1 } as never).on('error', nothing),
    }
    return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, refusal(call)]))
  },
}
