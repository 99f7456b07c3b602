// Calls and properties: what each throws, word for word, and what a socket and a server show of themselves at each step.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import { BlockList } from 'node:net'
import {
  any,
  closed,
  codeOf,
  connected,
  Log,
  nothing,
  type Program,
  type Socket,
  served,
  turn,
  type Way,
} from './parity-program'

/** What is thrown, word for word. */
function refusal(call: () => unknown): string {
  try {
    call()
    return 'nothing'
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException
    return `${name} ${code} ${message}`
  }
}

function refusals(calls: (way: Way) => Record<string, () => unknown>): Program {
  return async way =>
    Object.fromEntries(Object.entries(calls(way)).map(([name, call]) => [name, refusal(call)]))
}

/** What a socket shows of itself. Addresses have their own suite. */
function shown(socket: Socket): string {
  const legacy = socket as unknown as { _connecting: unknown; _bytesDispatched: unknown }
  return [
    socket.connecting,
    legacy._connecting,
    socket.pending,
    socket.readyState,
    socket.destroyed,
    socket.closed,
    socket.readable,
    socket.writable,
    socket.readableEnded,
    socket.writableEnded,
    socket.readableFlowing,
    socket.isPaused(),
    socket.readableAborted,
    socket.readableDidRead,
    socket.bytesRead,
    socket.bytesWritten,
    legacy._bytesDispatched,
    socket.writableLength,
    socket.bufferSize,
    socket.writableNeedDrain,
    socket.allowHalfOpen,
    socket.timeout,
    socket.readableEncoding,
    socket.readableObjectMode,
    socket.writableObjectMode,
    socket.readableHighWaterMark,
    socket.writableHighWaterMark,
    Object.keys(socket.address()).length > 0,
  ].join(' ')
}

export const callPrograms: Readonly<Record<string, Program>> = {
  'refused, word for word': refusals(({ net, nowhere }) => {
    const socket = (options?: object): Socket => new net.Socket(options as never).on('error', nothing)
    const to = (options: object): unknown =>
      net
        .connect({ ...nowhere, ...options })
        .on('error', nothing)
        .destroy()
    return {
      'createServer of a path': () => net.createServer(any('path')),
      'createServer of 0': () => net.createServer(any(0)),
      'createServer of a symbol': () => net.createServer(any(Symbol('x'))),
      'Server of true': () => new net.Server(any(true)),
      objectMode: () => socket({ objectMode: true }),
      readableObjectMode: () => socket({ readableObjectMode: true }),
      writableObjectMode: () => socket({ writableObjectMode: true }),
      'connect with objectMode': () => to({ objectMode: true }),
      'setTimeout of nothing': () => socket().setTimeout(any(undefined)),
      'setTimeout of text': () => socket().setTimeout(any('100')),
      'setTimeout below 0': () => socket().setTimeout(-1),
      'setTimeout of NaN': () => socket().setTimeout(Number.NaN),
      'setTimeout of Infinity': () => socket().setTimeout(Number.POSITIVE_INFINITY),
      'setTimeout with a callback that is none': () => socket().setTimeout(1, any('x')),
      'setTimeout with an object for a callback': () => socket().setTimeout(0, any({})),
      'write of null': () => socket().write(any(null)),
      'write of a number': () => socket().write(any(1337)),
      'write of an object': () => socket().write(any({})),
      'setEncoding of nothing': () => socket().setEncoding(any('nothing')),
      'a signal that is none': () => socket({ signal: 'x' }),
      'a signal that is an object': () => socket({ signal: {} }),
      'connect with a signal that is none': () => to({ signal: 5 }),
      'a high-water mark of text': () => socket({ highWaterMark: 'x' }),
      'a high-water mark below 0': () => socket({ highWaterMark: -1 }),
      'a high-water mark of NaN': () => socket({ highWaterMark: Number.NaN }),
      'a high-water mark of 1.5': () => socket({ readableHighWaterMark: 1.5 }),
      'autoSelectFamily of text': () => to({ autoSelectFamily: 'INVALID' }),
      'an attempt timeout of 0': () => to({ autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 0 }),
      'an attempt timeout of text': () => to({ autoSelectFamilyAttemptTimeout: 'x' }),
      'an attempt timeout below 0': () => to({ autoSelectFamilyAttemptTimeout: -10 }),
      'a localPort of text': () => to({ localPort: 'foobar' }),
      'a localAddress that is none': () => to({ localAddress: 'foobar' }),
      'a lookup that is none': () => to({ host: 'a.example', lookup: 'foobar' }),
      'a block list that is none': () => to({ blockList: 'x' }),
      'a block list': () => to({ blockList: new BlockList() }),
      'a timeout of text': () => to({ timeout: 'x' }),
      'a timeout below 0': () => to({ timeout: -1 }),
      'keepAliveInitialDelay of text': () => to({ keepAlive: true, keepAliveInitialDelay: 'x' }),
      'noDelay of text': () => to({ noDelay: 'x' }),
      'keepAlive of text': () => to({ keepAlive: 'x' }),
      'getConnections of nothing': () => (net.createServer().getConnections as (done?: unknown) => unknown)(),
      'listen with a signal that is none': () =>
        net.createServer().listen(any({ port: 0, signal: 'INVALID' })),
      'server with noDelay of text': () => net.createServer({ noDelay: any('x') }),
      'server with keepAlive of text': () => net.createServer({ keepAlive: any('x') }),
      'server with keepAliveInitialDelay of text': () =>
        net.createServer({ keepAliveInitialDelay: any('x') }),
      'server with a high-water mark of text': () => net.createServer({ highWaterMark: any('x') }),
      'server with a high-water mark below 0': () => net.createServer({ highWaterMark: -1 }),
      'a close with a callback that is none': () => net.createServer().close(any('bad argument')),
    }
  }),

  'properties of the prototypes answer': async ({ net }) => {
    const { prototype } = net.Socket as unknown as { prototype: Record<string, unknown> }
    const names = [
      'bytesWritten',
      'bytesRead',
      'readyState',
      'pending',
      'bufferSize',
      'remoteAddress',
      'remotePort',
      'remoteFamily',
      'localAddress',
      'localPort',
      'localFamily',
      '_connecting',
      '_bytesDispatched',
      'connecting',
      'timeout',
    ]
    const read = (name: string): unknown => {
      try {
        return prototype[name]
      } catch (error) {
        return (error as Error).name
      }
    }
    const ours = Object.getOwnPropertyNames(net.Socket.prototype)
    return {
      ...Object.fromEntries(names.map(name => [name, read(name)])),
      methods: [
        'connect',
        'pause',
        'resume',
        'setTimeout',
        'setNoDelay',
        'setKeepAlive',
        'address',
        'ref',
        'unref',
        'end',
        'read',
        'destroySoon',
        'resetAndDestroy',
        '_read',
        '_destroy',
        '_final',
        '_writev',
        '_write',
      ].filter(name => !(name in net.Socket.prototype)),
      server: ['listen', 'address', 'close', 'ref', 'unref', 'getConnections'].filter(
        name => !(name in net.Server.prototype),
      ),
      any: ours.length > 0,
      called: (net.Socket as unknown as () => unknown)() instanceof net.Socket,
      isStream: (net as unknown as { Stream: unknown }).Stream === net.Socket,
    }
  },

  'what a socket shows at each step': served(async (way, server, log) => {
    server.on('connection', socket => {
      log.add(`accepted ${shown(socket)}`)
      socket.setEncoding('latin1')
      socket.on('data', () => log.add(`accepted data ${shown(socket)}`))
      socket.on('end', () => log.add(`accepted end ${shown(socket)}`))
      socket.on('close', () => log.add(`accepted close ${shown(socket)}`))
      socket.end('from the server')
    })
    const mine = new Log()
    const idle = new way.net.Socket()
    mine.add(`new ${shown(idle)}`)
    const socket = connected(way, server)
    mine.add(`made ${shown(socket)}`)
    socket.on('lookup', nothing)
    for (const name of ['connect', 'ready', 'data', 'end', 'close']) {
      socket.on(name, () => mine.add(`${name} ${shown(socket)}`))
    }
    await once(socket, 'connect')
    socket.end('from the client')
    mine.add(`ended ${shown(socket)}`)
    await closed(socket)
    mine.add(`behind ${shown(socket)}`)
    idle.destroy()
    mine.add(`destroyed ${shown(idle)}`)
    while (log.lines.length < 4) await turn()
    return { mine: mine.lines }
  }),

  'what a refused socket shows': async way => {
    const log = new Log()
    const socket = way.net.connect(way.nowhere)
    for (const name of ['error', 'close']) socket.on(name, () => log.add(`${name} ${shown(socket)}`))
    socket.setTimeout(100_000)
    await closed(socket)
    const { errored } = socket
    return {
      log: log.lines,
      code: codeOf(errored),
      keys: Object.keys(errored as object)
        .filter(key => key !== 'port')
        .sort(),
    }
  },

  'a write that waits for connect is counted once': served(async (way, server, log) => {
    server.on('connection', socket => {
      server.close()
      socket.setEncoding('utf8')
      let text = ''
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('end', () => {
        log.add(text)
        socket.end()
      })
    })
    const socket = (way.net.Socket as unknown as (options: object) => Socket)({ highWaterMark: 0 })
    log.add(`${socket.pending}`)
    let isConnected = false
    socket.connect(way.place(server) as nodeNet.SocketConnectOpts, () => {
      isConnected = true
    })
    log.add(`${socket.pending} ${socket.connecting} ${socket.readyState}`)
    const returned = socket.write("L'État, c'est ", () =>
      log.add(`written ${isConnected} ${socket.bytesWritten} ${socket.pending}`),
    )
    log.add(`returned ${returned} ${socket.bytesWritten}`)
    socket.end('moi')
    log.add(`${socket.readyState} ${socket.bytesWritten}`)
    await closed(socket.resume())
    return { bytesWritten: socket.bytesWritten }
  }),

  'megabytes, counted at once': served(async (way, server, log) => {
    const size = 1_000_000
    server.on('connection', socket => {
      socket.cork()
      socket.write('a'.repeat(size))
      log.add(`${socket.bytesWritten === size}`)
      socket.write(Buffer.alloc(size))
      log.add(`${socket.bytesWritten === 2 * size}`)
      socket.end('', () => log.add(`ended ${socket.bytesWritten === 2 * size}`))
      socket.uncork()
    })
    const socket = connected(way, server).resume()
    await closed(socket)
    return { bytesRead: socket.bytesRead }
  }),

  'onread is called on the socket': served(async (way, server) => {
    server.on('connection', socket => socket.end('0123456789'))
    let isOnSocket = true
    let text = ''
    const onread = {
      buffer(this: unknown) {
        if (this !== undefined && this !== socket) isOnSocket = false
        return Buffer.alloc(4)
      },
      callback(this: unknown, size: number, buffer: Buffer): boolean {
        if (this !== socket) isOnSocket = false
        text += buffer.toString('latin1', 0, size)
        return true
      },
    }
    const socket: Socket = connected(way, server, { onread })
    const events: string[] = []
    socket.on('data', () => events.push('data')).on('end', () => events.push('end'))
    await closed(socket)
    return { isOnSocket, text, events, bytesRead: socket.bytesRead }
  }),

  'setTimeout on a socket that is never connected': async way => {
    const log = new Log()
    const socket = new way.net.Socket()
    socket.setTimeout(1)
    await once(socket, 'timeout')
    log.add(shown(socket))
    socket.destroy()
    return { log: log.lines }
  },

  'a refused connect, again and again on one socket': async way => {
    const log = new Log()
    const socket = way.net.connect(way.nowhere)
    let left = 3
    socket.on('error', error => log.add(`error ${codeOf(error)}`))
    await new Promise<void>(resolve => {
      socket.on('close', hadError => {
        log.add(`close ${hadError} ${socket.connecting} ${socket.destroyed}`)
        if (left-- > 0) socket.connect(way.nowhere as nodeNet.SocketConnectOpts)
        else resolve()
      })
    })
    return { log: log.lines }
  },

  'destroy inside of error, and a second error': async way => {
    const log = new Log()
    const socket = way.net.connect(way.nowhere)
    socket.on('error', error => {
      log.add(`error ${codeOf(error)}`)
      socket.destroy(Error('second'))
      socket.end('x', () => log.add('ended'))
    })
    const end = closed(log.watch(socket))
    socket.once('close', () => log.add('closed'))
    await end
    await turn()
    return { log: log.lines }
  },

  'a server that is closed while sockets are open': served(async (way, server, log) => {
    const accepted: Socket[] = []
    server.on('close', () => log.add('server close'))
    const both = new Promise<void>(resolve => {
      server.on('connection', socket => {
        accepted.push(socket.on('close', hadError => log.add(`close ${hadError}`)))
        if (accepted.length === 2) {
          log.add(`${server.close() === server} ${server.listening}`)
          for (const each of accepted) each.destroy()
          resolve()
        }
      })
    })
    const end = once(server, 'close')
    const clients = [connected(way, server).resume(), connected(way, server).resume()]
    await Promise.all([both, end, ...clients.map(closed)])
    return {}
  }),

  'listen once more inside of close, and listeners that go': async way => {
    const log = new Log()
    const server = way.net.createServer()
    await way.listen(server)
    await new Promise<void>(resolve => {
      server.once('close', () => {
        log.add(`listeners ${server.listenerCount('listening')} ${server.listening}`)
        server.listen({ port: 0 }, () => {
          log.add('listening again')
          server.close(() => resolve())
        })
      })
      server.close()
    })
    return { log: log.lines, listeners: server.listenerCount('listening'), address: server.address() }
  },

  'asyncDispose of a server, twice': async way => {
    const server = way.net.createServer()
    await way.listen(server)
    const dispose = (): Promise<unknown> =>
      server[Symbol.asyncDispose]().then(
        () => 'done',
        error => codeOf(error),
      )
    const first = await dispose()
    return {
      first,
      listening: server.listening,
      second: await dispose(),
      never: await way.net
        .createServer()
        [Symbol.asyncDispose]()
        .then(() => 'done', codeOf),
    }
  },

  'getConnections and maxConnections': served(async (way, server, log) => {
    server.maxConnections = 2
    const accepted: Socket[] = []
    server.on('connection', socket => accepted.push(socket.resume()))
    const sockets = [connected(way, server), connected(way, server)].map(socket => socket.resume())
    await Promise.all(sockets.map(socket => once(socket, 'connect')))
    while (accepted.length < 2) await turn()
    const count = (): Promise<number> => new Promise(resolve => server.getConnections((_, n) => resolve(n)))
    log.add(`${await count()} ${server.getConnections(nothing) === server}`)
    sockets[0]!.end()
    await closed(accepted[0]!)
    log.add(`${await count()}`)
    // A place is free again.
    const third = connected(way, server).resume()
    await once(third, 'connect')
    while (accepted.length < 3) await turn()
    log.add(`${await count()}`)
    for (const socket of [...sockets, third]) socket.end()
    await Promise.all([closed(third), closed(accepted[1]!), closed(accepted[2]!)])
    return {}
  }),

  'readable, read by hand, behind the end': served(async (way, server, log) => {
    server.on('connection', socket => {
      socket.once('readable', () => setImmediate(() => void socket.read()))
      socket.on('end', () => log.add('end'))
      socket.on('close', () => log.add('close'))
    })
    const socket = connected(way, server)
    socket.end('foo')
    await closed(socket.resume())
    while (log.lines.length < 2) await turn()
    return {}
  }),

  'an end is no reason to be destroyed': served(async (way, server, log) => {
    server.on('connection', socket => void socket.resume().end(Buffer.alloc(1024)))
    const socket = connected(way, server)
    socket.resume()
    socket.on('end', () => {
      log.add(`end ${socket.destroyed}`)
      process.nextTick(() => log.add(`behind ${socket.destroyed}`))
    })
    socket.on('finish', () => log.add(`finish ${socket.destroyed}`))
    socket.end('asd')
    await closed(socket)
    return { log: undefined, lines: [...log.lines].sort() }
  }),

  'a write by the other end inside of end': served(async (way, server, log) => {
    let accepted: Socket | undefined
    server.on('connection', socket => {
      accepted = socket.resume().on('error', error => log.add(`error ${codeOf(error)}`))
    })
    const socket = connected(way, server)
    await once(socket, 'connect')
    socket.on('end', () => accepted!.write('test', error => log.add(`written ${error && codeOf(error)}`)))
    socket.resume().end()
    await closed(socket)
    while (log.lines.length < 1 || !accepted!.closed) await turn()
    return {}
  }),

  'cork and uncork, and what writev says': served(async (way, server, log) => {
    let text = ''
    server.on('connection', socket =>
      socket
        .setEncoding('utf8')
        .on('data', chunk => (text += chunk))
        .on('end', () => socket.end()),
    )
    const socket = connected(way, server)
    socket.cork()
    log.add(`${socket.write('one', () => log.add('one'))} ${socket.writableCorked}`)
    socket.write(Buffer.from('twø', 'utf8'), () => log.add('two'))
    socket.uncork()
    log.add(`${socket.bytesWritten} ${socket.writableCorked}`)
    socket.on('connect', () => log.add(`connect ${socket.bytesWritten}`))
    await once(socket, 'connect')
    socket.cork()
    socket.cork()
    socket.write('three', () => log.add('three'))
    socket.uncork()
    log.add(`${socket.writableCorked} ${socket.writableLength}`)
    socket.end('four', () => log.add('ended'))
    log.add(`${socket.writableCorked}`)
    await closed(socket.resume())
    return { text, bytesWritten: socket.bytesWritten }
  }),

  'the listeners of a socket in each state': served(async (way, server, log) => {
    server.on('connection', socket => {
      log.add(`accepted ${socket.eventNames().map(name => `${String(name)} ${socket.listenerCount(name)}`)}`)
      socket.end()
    })
    const socket = connected(way, server)
    await once(socket, 'connect')
    await closed(socket.resume())
    log.add(`closed ${socket.eventNames().map(name => `${String(name)} ${socket.listenerCount(name)}`)}`)
    return {}
  }),
}
