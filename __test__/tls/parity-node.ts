// Programs that run over Node's own `tls` and over ours: what its own tests ask of ends, wrapped streams and options.
import { EventEmitter, getEventListeners, once } from 'node:events'
import type nodeTls from 'node:tls'
import { material } from '../support/certificates'
import { closed } from '../support/events'
import { codeOf, connect, type Log, type Program, refusal, served, TRUSTED, type Way, watch } from './parity'

type TLSSocket = nodeTls.TLSSocket

const nothing = (): void => {}
const turn = (): Promise<void> => new Promise(setImmediate)
const any = (value: unknown): never => value as never
const place = (way: Way, server: object): never => way.place(server as nodeTls.Server) as never
const errorOf = (error: unknown): string => `${codeOf(error)} ${(error as Error).message}`

export const nodePrograms: Readonly<Record<string, Program>> = {
  'arguments of what is emitted': served(async (way, server, log) => {
    const note = (name: string, on: () => unknown) =>
      function (this: unknown, ...args: unknown[]): void {
        log.push(`${name} ${args.length} ${this === on()}`)
      }
    for (const name of ['connection', 'secureConnection', 'close', 'newSession']) {
      server.on(
        name,
        note(name, () => server),
      )
    }
    server.on('secureConnection', socket => void socket.on('error', nothing).resume().end())
    const socket: TLSSocket = way.tls.connect(
      { ...way.place(server), ...TRUSTED } as nodeTls.ConnectionOptions,
      note('callback', () => socket),
    )
    for (const name of ['connect', 'ready', 'secureConnect', 'end', 'close']) {
      socket.on(
        name,
        note(name, () => socket),
      )
    }
    await closed(socket.resume())
    while (!log.some(line => line.startsWith('secureConnection'))) await turn()
    return { log: undefined, lines: [...log].sort() }
  }),

  'a plain server that ends at once': async way => {
    const log: Log = []
    const server = way.net.createServer(socket => void socket.on('error', nothing).resume().end())
    await way.listen(server as never)
    const socket = watch(way.tls.connect({ ...(place(way, server) as object), ...TRUSTED }), log)
    socket.on('error', error => log.push(error.message))
    await closed(socket)
    const end = once(server, 'close')
    server.close()
    await end
    return { log, state: [socket.destroyed, socket.authorized, socket.readyState] }
  },

  'a plain server that resets': async way => {
    const log: Log = []
    const server = way.net.createServer(socket => {
      socket.on('error', nothing)
      socket.once('data', () => socket.resetAndDestroy())
    })
    await way.listen(server as never)
    const socket = watch(way.tls.connect({ ...(place(way, server) as object), ...TRUSTED }), log)
    await closed(socket)
    const end = once(server, 'close')
    server.close()
    await end
    return { log }
  },

  'a plain server that speaks something else': async way => {
    const log: Log = []
    const server = way.net.createServer(socket => {
      socket.on('error', nothing)
      socket.once('data', () => socket.write('I was waiting for you, hello!'))
    })
    await way.listen(server as never)
    const socket = way.tls.connect({ ...(place(way, server) as object), ...TRUSTED })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException & { reason?: string }]
    log.push(`${error.code} ${error.reason}`)
    socket.destroy()
    const end = once(server, 'close')
    server.close()
    await end
    return { log }
  },

  'ended before the handshake is over': served(async (way, server, log) => {
    server.on('tlsClientError', nothing)
    server.on('secureConnection', socket => socket.on('error', nothing).resume())
    const socket = watch(connect(way, server, TRUSTED), log)
    socket.on('error', error => log.push(errorOf(error)))
    socket.resume().end()
    await closed(socket)
    // When the end has left is a race with the handshake.
    return { log: undefined, lines: [...log].sort() }
  }),

  'destroyed in each moment': served(async (way, server, log) => {
    server.on('tlsClientError', nothing)
    server.on('secureConnection', socket => socket.on('error', nothing).resume())
    const moments: Record<string, (socket: TLSSocket) => void> = {
      'at once, with an error': socket =>
        void socket.destroy(Object.assign(Error('mine'), { code: 'EMINE' })),
      'in the next tick': socket => process.nextTick(() => socket.destroy()),
      'in connect': socket => void socket.on('connect', () => socket.destroy()),
      'in secureConnect': socket => void socket.on('secureConnect', () => socket.destroy()),
      'behind end': socket => {
        socket.end()
        socket.destroy()
      },
      'behind a write': socket => {
        socket.write('x', error => log.push(`written ${error ? codeOf(error) : 'done'}`))
        socket.destroy()
      },
    }
    for (const [name, act] of Object.entries(moments)) {
      log.push(name)
      const socket = watch(connect(way, server), log)
      const end = closed(socket)
      act(socket)
      await end
      await turn()
      log.push(`${socket.destroyed} ${socket.readyState} ${socket.errored && codeOf(socket.errored)}`)
    }
    return {}
  }),

  'a signal, in each state': served(async (way, server, log) => {
    server.on('tlsClientError', nothing)
    server.on('secureConnection', socket => socket.on('error', nothing).resume())
    const states: Record<string, (aborts: AbortController) => TLSSocket> = {
      'at once': aborts => {
        const socket = connect(way, server, { ...TRUSTED, signal: aborts.signal })
        aborts.abort()
        return socket
      },
      'in secureConnect': aborts => {
        const socket = connect(way, server, { ...TRUSTED, signal: aborts.signal })
        return socket.on('secureConnect', () => aborts.abort())
      },
    }
    for (const [name, make] of Object.entries(states)) {
      const aborts = new AbortController()
      const socket = watch(make(aborts), log)
      log.push(name)
      await closed(socket)
      log.push(`${getEventListeners(aborts.signal, 'abort').length}`)
    }
    return {}
  }),

  'over a socket that is given, connecting and connected': served(async (way, server, log) => {
    server.on('secureConnection', socket => socket.pipe(socket))
    for (const isConnected of [false, true]) {
      const below = way.net.connect(place(way, server))
      if (isConnected) await once(below, 'connect')
      const seen: Log = []
      const socket = watch(way.tls.connect({ socket: below, ...TRUSTED }), seen)
      log.push(`${socket.connecting} ${socket.pending} ${socket.readyState}`)
      below.on('connect', () => log.push(`below ${socket.connecting} ${seen.includes('connect')}`))
      socket.end('hello')
      await closed(socket)
      // Which of the halves is done with first is left open.
      log.push(...seen.filter(line => line !== 'finish'))
      while (!below.destroyed) await turn()
      log.push(`${below.destroyed} ${socket.bytesRead} ${socket.bytesWritten}`)
    }
    return {}
  }),

  'over a socket that is given and fails': async way => {
    const log: Log = []
    const below = way.net.connect(way.nowhere as never)
    const socket = watch(way.tls.connect({ socket: below, ...TRUSTED }), log)
    socket.write('x', error => log.push(`written ${error ? 'failed' : 'done'}`))
    await closed(socket)
    await turn()
    return { log: log.filter(line => /^(connect|error)/.test(line)), destroyed: socket.destroyed }
  },

  'TLS inside of TLS': served(async (way, server) => {
    const inner = way.tls.createServer(material('server'))
    inner.on('secureConnection', socket => void socket.end('deep inside'))
    server.on('secureConnection', socket => {
      socket.on('error', nothing)
      inner.emit('connection', socket)
    })
    const outer = connect(way, server)
    await once(outer, 'secureConnect')
    const socket = way.tls.connect({ socket: outer, ...TRUSTED })
    let text = ''
    socket.on('data', data => {
      text += data
    })
    await once(socket, 'end')
    socket.end()
    outer.on('error', nothing).destroy()
    await closed(outer)
    return { text, authorized: socket.authorized }
  }),

  'pause, resume and much data': served(async (way, server, log) => {
    const size = 1_000_000
    server.on('secureConnection', socket => socket.pipe(socket))
    const socket = connect(way, server)
    let sent = 0
    let received = 0
    const send = (): void => {
      if (sent >= size) {
        socket.end()
        return
      }
      sent += 50_000
      if (socket.write(Buffer.alloc(50_000, 'x'))) setImmediate(send)
      else socket.once('drain', send)
    }
    socket.on('data', data => {
      if (received === 0) {
        socket.pause()
        log.push(`${socket.isPaused()}`)
        setTimeout(() => socket.resume(), 10)
      }
      received += data.length
    })
    await once(socket, 'secureConnect')
    send()
    await closed(socket)
    return { received, sent, counts: [socket.bytesWritten] }
  }),

  'an encoding, set before and behind the handshake': served(async (way, server, log) => {
    server.on('secureConnection', socket => socket.end('žluťoučký'))
    for (const isEarly of [true, false]) {
      const socket = connect(way, server)
      if (isEarly) socket.setEncoding('latin1')
      await once(socket, 'secureConnect')
      if (!isEarly) socket.setEncoding('utf8')
      let text = ''
      socket.on('data', data => {
        text += data
      })
      await closed(socket)
      log.push(text)
    }
    return {}
  }),

  'what a closed socket answers': served(async (way, server) => {
    server.on('secureConnection', socket => socket.end('x'))
    const socket = connect(way, server)
    await closed(socket.resume())
    return {
      calls: Object.fromEntries(
        Object.entries({
          getCipher: () => socket.getCipher(),
          getProtocol: () => socket.getProtocol(),
          getPeerCertificate: () => socket.getPeerCertificate(),
          getSession: () => socket.getSession(),
          getFinished: () => socket.getFinished(),
          isSessionReused: () => socket.isSessionReused(),
          getEphemeralKeyInfo: () => socket.getEphemeralKeyInfo(),
          setServername: () =>
            (socket as unknown as { setServername(name: string): void }).setServername('x'),
          exportKeyingMaterial: () => socket.exportKeyingMaterial(16, 'x', Buffer.alloc(0)),
          setMaxSendFragment: () => socket.setMaxSendFragment(1024),
          setTimeout: () => socket.setTimeout(5) === socket,
          setNoDelay: () => socket.setNoDelay() === socket,
          setKeepAlive: () => socket.setKeepAlive() === socket,
          ref: () => socket.ref() === socket,
          unref: () => socket.unref() === socket,
          address: () => socket.address(),
          disableRenegotiation: () => socket.disableRenegotiation(),
          enableTrace: () => typeof socket.enableTrace,
        }).map(([name, call]) => {
          try {
            return [name, call()]
          } catch (error) {
            return [name, errorOf(error)]
          }
        }),
      ),
    }
  }),

  'captured rejections': async way => {
    const log: Log = []
    EventEmitter.captureRejections = true
    const server = way.tls.createServer(material('server'))
    EventEmitter.captureRejections = false
    server.on('secureConnection', async socket => {
      socket.on('error', error => log.push(`socket ${error.message}`))
      socket.on('close', hadError => log.push(`closed ${hadError}`))
      await turn()
      throw Error('in the listener')
    })
    await way.listen(server)
    const socket = connect(way, server)
    socket.on('error', nothing).resume()
    await closed(socket)
    while (log.length < 2) await turn()
    const end = once(server, 'close')
    server.close()
    await end
    return { log }
  },

  'the life of a server': async way => {
    const log: Log = []
    const server = way.tls.createServer(material('server'), socket => socket.on('error', nothing).end())
    log.push(
      `${server.listening} ${server.address() === null} ${server.eventNames().includes('secureConnection')}`,
    )
    const note = (name: string) => (error?: Error) => log.push(`${name} ${error ? codeOf(error) : 'done'}`)
    server.on('listening', note('listening'))
    await way.listen(server)
    log.push(`${server.listening} ${server.address() === null}`)
    log.push(refusal(() => server.listen()))
    const count = (): Promise<unknown> =>
      new Promise(resolve => server.getConnections((error, n) => resolve(`${error} ${n}`)))
    log.push(
      `${await count()} ${server.ref() === server} ${server.unref() === server} ${server.ref() === server}`,
    )
    await closed(connect(way, server).resume())
    const end = once(server, 'close')
    log.push(`${server.close(note('closed')) === server} ${server.listening}`)
    await end
    await new Promise<void>(resolve =>
      server.close(error => {
        note('again')(error)
        resolve()
      }),
    )
    await way.listen(server)
    await server[Symbol.asyncDispose]()
    log.push(`${server.listening}`)
    return { log }
  },

  'a place that is taken': served(async (way, server, log) => {
    const other = way.tls.createServer(material('server'))
    other.on('listening', () => log.push('listening')).on('close', () => log.push('close'))
    other.listen({ ...way.place(server) } as never)
    const [error] = await once(other, 'error')
    log.push(`${codeOf(error)} ${other.listening}`)
    return {}
  }),

  'options that a server refuses, and takes': async ({ tls }) => {
    const calls: Record<string, () => unknown> = {
      'createServer of null': () => tls.createServer(any(null)),
      'createServer of undefined': () => tls.createServer(any(undefined)),
      'createServer of true': () => tls.createServer(any(true)),
      'createServer of a function': () => tls.createServer(nothing),
      'a handshakeTimeout below 0': () => tls.createServer({ handshakeTimeout: -1 }),
      'a sessionTimeout below 0': () => tls.createServer({ sessionTimeout: -1 }),
      'ALPNProtocols of a number': () => tls.createServer({ ALPNProtocols: any(5) }),
      'ALPNProtocols of a long name': () => tls.createServer({ ALPNProtocols: ['a'.repeat(500)] }),
      'an ALPNCallback of text': () => tls.createServer({ ALPNCallback: any('x') }),
      'requestCert of text': () => tls.createServer({ requestCert: any('x') }),
      'a cert of a number': () => tls.createServer({ cert: any(5) }),
      'a key of true': () => tls.createServer({ key: any(true) }),
      'a passphrase of a number': () => tls.createServer({ ...material('server'), passphrase: any(5) }),
      'an ecdhCurve of a number': () => tls.createServer({ ecdhCurve: any(5) }),
      'pskCallback of text': () => tls.createServer({ pskCallback: any('x') }),
      'a pskIdentityHint of a number': () =>
        tls.createServer({ pskIdentityHint: any(5), pskCallback: () => null }),
      'a dhparam of text': () => tls.createServer({ dhparam: 'x' }),
      'a maxVersion below minVersion': () =>
        tls.createServer({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }),
      'a highWaterMark of text': () => tls.createServer({ highWaterMark: any('x') }),
      'sessionIdContext of a number': () => tls.createServer({ sessionIdContext: any(5) }),
    }
    return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, refusal(call)]))
  },

  'setSecureContext and addContext, refused': served(async (_way, server) => ({
    seen: [
      refusal(() => server.setSecureContext(any(null))),
      refusal(() => server.setSecureContext(any('x'))),
      refusal(() => server.setSecureContext({ key: any(5), cert: any(5) })),
      refusal(() => server.addContext(any(undefined), {})),
      refusal(() => server.setTicketKeys(any(null))),
      refusal(() => (server as unknown as { setOptions?: unknown }).setOptions),
    ],
  })),

  'high-water marks': served(
    async (way, server) => {
      const other = once(server, 'secureConnection') as Promise<[TLSSocket]>
      const seen: number[] = []
      const socket = connect(way, server, { ...TRUSTED, highWaterMark: 1234 })
      const [accepted] = await other
      for (const each of [socket, accepted]) {
        seen.push(each.readableHighWaterMark, each.writableHighWaterMark)
      }
      accepted.resume().end()
      await closed(socket.resume())
      return { seen }
    },
    { highWaterMark: 5678 } as object,
  ),

  'allowHalfOpen, as each end shows it': served(
    async (way, server) => {
      const other = once(server, 'secureConnection') as Promise<[TLSSocket]>
      const socket = connect(way, server, { ...TRUSTED, allowHalfOpen: true })
      const [accepted] = await other
      const seen = [socket.allowHalfOpen, accepted.allowHalfOpen]
      socket.resume().end()
      accepted.on('end', () => accepted.end()).resume()
      await closed(socket)
      return { seen }
    },
    { allowHalfOpen: true } as object,
  ),

  'timeout, as an option and as it is set': served(async (way, server, log) => {
    server.on('secureConnection', socket => socket.resume())
    const socket = connect(way, server, { ...TRUSTED, timeout: 30 })
    log.push(`${socket.timeout}`)
    await once(socket, 'timeout')
    log.push(`${socket.destroyed} ${refusal(() => socket.setTimeout(any('x')))}`)
    socket.setTimeout(0)
    socket.end()
    await closed(socket)
    return {}
  }),
}
