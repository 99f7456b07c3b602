// Programs in the manner of Node's own tests of `tls`: what is agreed on, who is told of what, and what is refused.
import { once } from 'node:events'
import type nodeTls from 'node:tls'
import { checkServerIdentity, createSecureContext, TLSSocket as NodeTLSSocket } from 'node:tls'
import { CA, material } from '../support/certificates'
import { closed } from '../support/events'
import { codeOf, connect, type Log, type Program, refusal, served, TRUSTED, watch } from './parity'

type TLSSocket = nodeTls.TLSSocket

const nothing = (): void => {}
const turn = (): Promise<void> => new Promise(setImmediate)
const any = (value: unknown): never => value as never
/** The types of Node.js 20 want a context, which may be left out. */
const keys = (socket: TLSSocket) =>
  socket as unknown as { exportKeyingMaterial(length: number, label: string, context?: Buffer): Buffer }
/** The event, or the failure. */
const settled = (socket: TLSSocket): Promise<string> =>
  new Promise(resolve => {
    socket.once('secureConnect', () => resolve('secure'))
    socket.once('error', error => resolve(codeOf(error)))
  })

/** Connects with each of these options, and notes what both ends have agreed on. */
function agreements(
  all: Record<string, object>,
  shown: (socket: TLSSocket) => unknown,
  options: nodeTls.TlsOptions = {},
): Program {
  return served(async (way, server, log) => {
    server.on('tlsClientError', error => log.push(`server ${codeOf(error)}`))
    const seen: unknown[] = []
    for (const [name, given] of Object.entries(all)) {
      const accepted = new Promise<unknown>(resolve => {
        server.once('secureConnection', socket => {
          resolve(shown(socket))
          socket.on('error', nothing).resume().end()
        })
        server.once('tlsClientError', error => resolve(codeOf(error)))
      })
      const socket = connect(way, server, { ...TRUSTED, ...given }).on('error', nothing)
      const end = closed(socket)
      const how = await settled(socket)
      const theirs = await accepted
      server.removeAllListeners('secureConnection')
      seen.push([name, how, shown(socket), theirs])
      socket.resume().end()
      await end
    }
    return { seen }
  }, options)
}

export const morePrograms: Readonly<Record<string, Program>> = {
  'what the module has': async ({ tls }) => ({
    names: [
      'createServer connect Server TLSSocket createSecureContext checkServerIdentity rootCertificates getCiphers',
      'DEFAULT_CIPHERS DEFAULT_ECDH_CURVE DEFAULT_MIN_VERSION DEFAULT_MAX_VERSION',
    ]
      .join(' ')
      .split(' ')
      .map(name => `${name} ${typeof (tls as unknown as Record<string, unknown>)[name]}`),
    ciphers: (tls as unknown as typeof nodeTls).getCiphers().length,
  }),

  'ALPN, as both see it': agreements(
    {
      none: {},
      'the first': { ALPNProtocols: ['a', 'b'] },
      'the order of the server': { ALPNProtocols: ['b', 'a'] },
      bytes: { ALPNProtocols: Buffer.from('\u0001b') },
    },
    socket => socket.alpnProtocol,
    { ALPNProtocols: ['a', 'b'] },
  ),

  'ALPN without a protocol in common': agreements(
    { one: { ALPNProtocols: ['z'] } },
    socket => socket.alpnProtocol,
    { ALPNProtocols: ['a'] },
  ),

  'versions, in each combination': agreements(
    Object.fromEntries(
      (['TLSv1.2', 'TLSv1.3'] as const).flatMap(least =>
        (['TLSv1.2', 'TLSv1.3'] as const).map(most => [
          `${least} ${most}`,
          least > most ? { minVersion: most, maxVersion: most } : { minVersion: least, maxVersion: most },
        ]),
      ),
    ),
    socket => [socket.getProtocol(), socket.getCipher()?.version],
  ),

  'a server of one version, and clients of the other': agreements(
    { older: { maxVersion: 'TLSv1.2' }, newer: { minVersion: 'TLSv1.3' } },
    socket => socket.getProtocol(),
    { minVersion: 'TLSv1.3' },
  ),

  'ciphers and curves that are asked for': agreements(
    {
      cipher: { ciphers: 'ECDHE-RSA-AES256-GCM-SHA384', maxVersion: 'TLSv1.2' },
      suite: { ciphers: 'TLS_AES_128_GCM_SHA256' },
      curve: { ecdhCurve: 'P-384' },
    },
    socket => [socket.getCipher()?.name, socket.getSharedSigalgs().length > 0],
  ),

  'both ends have the same secrets': served(async (way, server) => {
    const accepted = once(server, 'secureConnection') as Promise<TLSSocket[]>
    const socket = connect(way, server)
    const [[there]] = await Promise.all([accepted, once(socket, 'secureConnect')])
    const context = Buffer.from('context')
    const pairs = [
      [keys(socket).exportKeyingMaterial(32, 'label'), keys(there!).exportKeyingMaterial(32, 'label')],
      [
        keys(socket).exportKeyingMaterial(32, 'l', context),
        keys(there!).exportKeyingMaterial(32, 'l', context),
      ],
      [socket.getFinished()!, there!.getPeerFinished()!],
      [socket.getPeerFinished()!, there!.getFinished()!],
    ] as const
    const wrong = [
      refusal(() => keys(socket).exportKeyingMaterial(any('x'), 'label')),
      refusal(() => keys(socket).exportKeyingMaterial(16, any(5))),
      refusal(() => keys(socket).exportKeyingMaterial(16, 'label', any('text'))),
    ]
    const end = Promise.all([closed(socket), closed(there!.resume())])
    socket.resume().end()
    await end
    return {
      equal: pairs.map(([one, other]) => one.equals(other) && one.length > 0),
      wrong,
      behind: refusal(() => keys(socket).exportKeyingMaterial(16, 'label')),
    }
  }),

  'what is asked before the handshake': served(async (way, server) => {
    server.on('tlsClientError', nothing)
    server.on('secureConnection', socket => socket.on('error', nothing).resume())
    const socket = connect(way, server)
    const before = [
      String(socket.getPeerCertificate() && Object.keys(socket.getPeerCertificate()).length),
      String(socket.getFinished()),
      String(socket.getPeerFinished()),
      String(socket.getSession() === undefined),
      String(socket.getTLSTicket()),
      String(socket.isSessionReused()),
      String(socket.authorized),
      String(socket.authorizationError),
      String(socket.alpnProtocol),
      refusal(() => keys(socket).exportKeyingMaterial(16, 'label')),
      refusal(() => socket.setMaxSendFragment(512)),
    ]
    await once(socket, 'secureConnect')
    socket.destroy()
    await closed(socket)
    return { before }
  }),

  'a certificate that is required, and not there or not trusted': async way => {
    const log: Log = []
    const server = way.tls.createServer({
      ...material('server'),
      ca: CA,
      requestCert: true,
      rejectUnauthorized: true,
      maxVersion: 'TLSv1.2',
    })
    server.on('tlsClientError', (error, socket) => {
      log.push(
        `server ${codeOf(error)} ${(socket as TLSSocket).authorized} ${socket instanceof NodeTLSSocket}`,
      )
    })
    server.on('secureConnection', socket => {
      log.push(`secure ${socket.authorized} ${socket.getPeerCertificate().subject?.CN}`)
      socket.on('error', nothing).resume().end()
    })
    await way.listen(server)
    for (const given of [{}, material('elsewhere'), material('server')]) {
      const socket = connect(way, server, { ...TRUSTED, ...given })
      const end = closed(socket)
      socket.on('error', nothing).resume()
      await end
      await turn()
    }
    const end = once(server, 'close')
    server.close()
    await end
    return { log }
  },

  'checkServerIdentity: what it gets, and what it throws': served(async (way, server, log) => {
    server.on('tlsClientError', nothing)
    server.on('secureConnection', socket => socket.on('error', nothing).resume().end())
    const answers: Record<string, (name: string, certificate: nodeTls.PeerCertificate) => Error | undefined> =
      {
        nothing: (name, certificate) => {
          log.push(
            `${name} ${certificate.subject.CN} ${typeof (certificate as nodeTls.DetailedPeerCertificate).issuerCertificate}`,
          )
          return undefined
        },
        'an error': () => Object.assign(Error('mine'), { code: 'EMINE' }),
        'as Node': (_name, certificate) => checkServerIdentity('other.example', certificate),
      }
    for (const [name, check] of Object.entries(answers)) {
      const socket = connect(way, server, { ...TRUSTED, checkServerIdentity: check })
      const end = closed(socket.resume())
      const how = await settled(socket)
      log.push(`${name} ${how} ${socket.authorized} ${socket.authorizationError}`)
      await end
    }
    const lax = connect(way, server, {
      ...TRUSTED,
      rejectUnauthorized: false,
      checkServerIdentity: () => Object.assign(Error('mine'), { code: 'EMINE' }),
    })
    const end = closed(lax.resume())
    log.push(`lax ${await settled(lax)} ${lax.authorized} ${lax.authorizationError}`)
    await end
    return {}
  }),

  'SNICallback, at once and later': agreements(
    { one: { servername: 'localhost' }, none: { servername: '', rejectUnauthorized: false } },
    socket => [(socket as unknown as { servername: unknown }).servername, socket.authorized],
    {
      SNICallback: (name, done) => {
        if (name === 'localhost') setImmediate(() => done(null, createSecureContext(material('server'))))
        else done(null)
      },
    },
  ),

  'contexts by pattern, the latest first': served(async (way, server) => {
    server.addContext('*.wild.example', material('elsewhere'))
    server.addContext('exact.wild.example', material('server'))
    server.on('secureConnection', socket => socket.on('error', nothing).resume().end())
    const names: unknown[] = []
    for (const servername of ['a.wild.example', 'exact.wild.example', 'a.b.wild.example', 'other.example']) {
      const socket = connect(way, server, { ca: CA, servername, rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      names.push(socket.getPeerCertificate().subject.CN)
      await closed(socket.resume())
    }
    return { names }
  }),

  'a key that both have': served(
    async (way, server, log) => {
      server.on('tlsClientError', error => log.push(`server ${codeOf(error)}`))
      server.on('secureConnection', socket => socket.on('error', nothing).resume().end())
      for (const [identity, psk] of [
        ['known', 'd731ef57be09e5204f0b205b60627028'],
        ['unknown', 'd731ef57be09e5204f0b205b60627028'],
        ['known', '00'],
      ] as const) {
        const socket = connect(way, server, {
          ciphers: 'PSK',
          maxVersion: 'TLSv1.2',
          checkServerIdentity: () => undefined,
          pskCallback: () => ({ psk: Buffer.from(psk, 'hex'), identity }),
          servername: 'localhost',
        })
        const end = closed(socket.resume())
        log.push(`${identity} ${await settled(socket)}`)
        await end
      }
      return { log: undefined, lines: [...log].sort() }
    },
    {
      key: undefined,
      cert: undefined,
      ciphers: 'PSK',
      pskIdentityHint: 'hint',
      pskCallback: (_socket, identity) =>
        identity === 'known' ? Buffer.from('d731ef57be09e5204f0b205b60627028', 'hex') : null,
    },
  ),

  'a renegotiation, allowed, refused and wrong': served(
    async (way, server, log) => {
      server.on('secureConnection', socket => {
        socket.on('error', error => log.push(`server ${codeOf(error)}`)).resume()
      })
      const socket = connect(way, server, { ...TRUSTED, maxVersion: 'TLSv1.2' })
      await once(socket, 'secureConnect')
      const wrong = [
        refusal(() => socket.renegotiate(any(null), nothing)),
        refusal(() => socket.renegotiate({}, any('x'))),
      ]
      const error = await new Promise<Error | null>(resolve => {
        log.push(`${socket.renegotiate({ rejectUnauthorized: true }, resolve)}`)
      })
      log.push(`renegotiated ${error && codeOf(error)} ${socket.authorized}`)
      socket.disableRenegotiation()
      socket.end()
      await closed(socket.resume())
      return { wrong }
    },
    { maxVersion: 'TLSv1.2' },
  ),

  'setServername, and where it is refused': served(async (way, server) => {
    const accepted = once(server, 'secureConnection') as Promise<TLSSocket[]>
    const socket = connect(way, server)
    const of = (one: TLSSocket): { setServername(name: unknown): void } => any(one)
    const [[there]] = await Promise.all([accepted, once(socket, 'secureConnect')])
    const seen = [
      refusal(() => of(there!).setServername('localhost')),
      refusal(() => of(socket).setServername(5)),
    ]
    const end = Promise.all([closed(socket), closed(there!.resume())])
    socket.resume().end()
    await end
    return { seen }
  }),

  'a stapled status is asked for, and given': served(async (way, server, log) => {
    server.on('OCSPRequest', (certificate, issuer, done) => {
      log.push(`asked ${Buffer.isBuffer(certificate)} ${issuer === null}`)
      done(null, Buffer.from('good'))
    })
    server.on('secureConnection', socket => socket.on('error', nothing).resume().end())
    const socket = connect(way, server, { ...TRUSTED, requestOCSP: true })
    socket.on('OCSPResponse', response => log.push(`told ${response}`))
    await once(socket, 'secureConnect')
    await closed(socket.resume())
    return {}
  }),

  'a TLS socket made by hand, at either end': async way => {
    const log: Log = []
    const below = way.net.createServer(socket => {
      const secure = new NodeTLSSocket(socket, { isServer: true, ...material('server') })
      secure.on('secure', () => log.push(`secure ${secure.encrypted} ${secure.authorized}`))
      secure.on('error', nothing).on('data', data => secure.end(`you said ${data}`))
    })
    await way.listen(any(below))
    const socket = way.tls.connect({ ...(way.place(any(below)) as object), ...TRUSTED })
    const mine = watch(socket, [])
    let text = ''
    socket.on('data', data => {
      text += data
    })
    socket.write('hello')
    await closed(mine)
    const end = once(below, 'close')
    below.close()
    await end
    return { log, text }
  },

  'connections of a TLS server, counted, and a close among them': served(async (way, server, log) => {
    const accepted: TLSSocket[] = []
    server.on('secureConnection', socket => accepted.push(socket.on('error', nothing).resume()))
    const sockets = [connect(way, server), connect(way, server)]
    await Promise.all(sockets.map(socket => once(socket.resume(), 'secureConnect')))
    while (accepted.length < 2) await turn()
    const count = (): Promise<number> =>
      new Promise(resolve => server.getConnections((_error, number) => resolve(number)))
    log.push(
      `${await count()} ${server.listening} ${(server as unknown as { _connections: number })._connections}`,
    )
    const ends = sockets.map(closed)
    sockets[0]!.end()
    await ends[0]
    while ((await count()) > 1) await turn()
    sockets[1]!.end()
    await ends[1]
    return {}
  }),

  'writes in each moment of the handshake': served(async (way, server, log) => {
    server.on('secureConnection', socket => socket.pipe(socket).on('error', nothing))
    const socket = connect(way, server)
    let text = ''
    socket.on('data', data => {
      text += data
    })
    socket.write('a', () => log.push('a'))
    socket.on('connect', () => socket.write('b', () => log.push('b')))
    socket.on('secureConnect', () => socket.end('c', () => log.push('c')))
    await closed(socket)
    return { text, counts: [socket.bytesRead, socket.bytesWritten].map(Boolean) }
  }),

  'new keys of tickets end the resumption': served(async (way, server) => {
    server.on('secureConnection', socket => socket.on('error', nothing).end('x'))
    const first = connect(way, server)
    const [session] = await once(first, 'session')
    await closed(first.resume())
    const seen: boolean[] = []
    for (const isRenewed of [false, true]) {
      if (isRenewed) server.setTicketKeys(Buffer.alloc(48, 7))
      const next = connect(way, server, { ...TRUSTED, session })
      await once(next, 'secureConnect')
      seen.push(next.isSessionReused())
      await closed(next.resume())
    }
    return { seen }
  }),

  'a server that destroys what it has just secured': served(async (way, server, log) => {
    server.on('tlsClientError', nothing)
    server.on('secureConnection', socket => socket.on('error', nothing).end('x').destroySoon())
    const socket = watch(connect(way, server, { ...TRUSTED, maxVersion: 'TLSv1.2' }), log)
    await closed(socket)
    return { log: log.filter(line => line !== 'finish') }
  }),

  'wrong options of connect, word for word': served(async (way, server) => {
    server.on('tlsClientError', nothing)
    const calls: Record<string, object> = {
      'ALPNProtocols of a number': { ALPNProtocols: 5 },
      'a session of text': { session: 'x' },
      'a key that is none': { key: 'x', cert: 'y' },
      'an unknown version': { minVersion: 'TLSv9' },
      'a ca that is none': { ca: {} },
      'a curve that is none': { ecdhCurve: 'fhqwhgads' },
      'a pskCallback of text': { pskCallback: 'x' },
      'a secureContext that is none': { secureContext: {} },
    }
    return Object.fromEntries(
      Object.entries(calls).map(([name, given]) => [
        name,
        refusal(() => {
          const socket = connect(way, server, { ...TRUSTED, ...given } as Parameters<typeof connect>[2])
          socket.on('error', nothing).destroy()
        }),
      ]),
    )
  }),
}
