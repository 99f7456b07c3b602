// Programs about the states of a socket: what Node's own tests of them ask, step by step.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import {
  any,
  closed,
  codeOf,
  connected,
  errorOf,
  nothing,
  type Program,
  pair,
  type Socket,
  served,
  thrownBy,
  turn,
} from './parity-program'

export const statePrograms: Readonly<Record<string, Program>> = {
  'timeout, whatever it is set to': async ({ net }) => {
    const socket = new net.Socket()
    const log: unknown[] = [socket.timeout]
    const handleWarning = (): void => {}
    process.on('warning', handleWarning)
    for (const ms of [0, 0.001, 1, 5.5, 2 ** 31 - 1, 0]) {
      socket.setTimeout(ms)
      log.push(socket.timeout)
    }
    for (const ms of ['x', -1, Number.NaN, Number.POSITIVE_INFINITY, undefined, {}]) {
      log.push(
        thrownBy(() => socket.setTimeout(any(ms))),
        socket.timeout,
      )
    }
    socket.setTimeout(0, nothing)
    log.push(socket.listenerCount('timeout'))
    socket.setTimeout(9999, nothing)
    socket.setTimeout(9999, nothing)
    log.push(socket.listenerCount('timeout'))
    socket.setTimeout(0, nothing)
    log.push(socket.listenerCount('timeout'))
    socket.destroy()
    socket.setTimeout(77)
    log.push(socket.timeout)
    process.off('warning', handleWarning)
    return { log }
  },

  'timeout is told again and again, and put off by what is said': served(async (way, server, log) => {
    server.on('connection', socket => socket.pipe(socket))
    const socket = connected(way, server).resume()
    await once(socket, 'connect')
    let times = 0
    socket.setTimeout(20)
    await new Promise<void>(resolve => {
      socket.on('timeout', () => {
        times += 1
        log.add(`timeout ${socket.timeout} ${socket.destroyed}`)
        if (times === 2) resolve()
        else socket.write('x')
      })
    })
    socket.setTimeout(0)
    socket.end()
    await closed(socket)
    return {}
  }),

  'ping and pong': served(
    async (way, server, log) => {
      const ROUNDS = 200
      let pings = 0
      server.on('connection', socket => {
        socket.setEncoding('utf8')
        socket.on('data', () => {
          pings += 1
          if (socket.readyState !== 'open') log.add(socket.readyState)
          socket.write('PONG')
        })
        socket.on('end', () => {
          log.add(`end ${socket.writable} ${socket.readable} ${socket.readyState}`)
          socket.end()
        })
        socket.on('close', hadError => log.add(`close ${hadError} ${socket.readyState}`))
      })
      const socket = connected(way, server).setEncoding('ascii')
      let count = 0
      socket.on('connect', () => socket.write('PING'))
      socket.on('data', text => {
        if (String(text) !== 'PONG') log.add(String(text))
        count += 1
        if (count < ROUNDS) socket.write('PING')
        else socket.end()
      })
      await closed(socket)
      while (log.lines.length < 2) await turn()
      return { count, pings, writable: socket.writable, readable: socket.readable }
    },
    { allowHalfOpen: true },
  ),

  'connected again and again inside of close': served(async (way, server, log) => {
    server.on('connection', socket => {
      socket.resume().on('close', nothing)
      socket.write('hello\r\n')
      socket.on('end', () => socket.end())
    })
    const socket = connected(way, server).setEncoding('utf8')
    let times = 0
    socket.on('connect', () => log.add(`connect ${socket.readableEnded} ${socket.writableEnded}`))
    socket.on('data', text => {
      log.add(`data ${text}`)
      socket.end()
    })
    socket.on('end', () => log.add('end'))
    await new Promise<void>(resolve => {
      socket.on('close', hadError => {
        log.add(`close ${hadError} ${socket.bytesRead} ${socket.bytesWritten}`)
        times += 1
        if (times === 4) resolve()
        else socket.connect(way.place(server) as nodeNet.SocketConnectOpts)
      })
    })
    return {}
  }),

  'write, connect, write': served(async (way, server, log) => {
    let text = ''
    server.on('connection', socket => {
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('end', () => socket.end())
    })
    const socket = connected(way, server)
    socket.write('first ', () => log.add('first'))
    socket.on('connect', () => {
      log.add('connect')
      socket.write('second ', () => log.add('second'))
      process.nextTick(() => socket.end('third', () => log.add('ended')))
    })
    socket.on('finish', () => log.add('finish'))
    await closed(socket.resume())
    return { text }
  }),

  'a socket that is made first, with no callbacks': served(async (way, server, log) => {
    server.on('connection', socket => socket.end())
    const socket = log.watch(new way.net.Socket())
    const returned = socket.connect(way.place(server) as nodeNet.SocketConnectOpts)
    log.add(`${returned === socket}`)
    await closed(socket)
    return {}
  }),

  'connecting, in each state': served(async (way, server, log) => {
    server.on('connection', socket => {
      log.add(`accepted ${socket.connecting}`)
      socket.resume()
    })
    const socket = new way.net.Socket()
    log.add(`${socket.connecting} ${socket.pending}`)
    socket.connect(way.place(server) as nodeNet.SocketConnectOpts, () =>
      log.add(`callback ${socket.connecting} ${socket.pending}`),
    )
    log.add(`${socket.connecting} ${socket.pending}`)
    await once(socket, 'connect')
    socket.resume().end()
    log.add(`${socket.connecting}`)
    await closed(socket)
    log.add(`${socket.connecting} ${socket.pending}`)
    socket.connect(way.place(server) as nodeNet.SocketConnectOpts)
    log.add(`${socket.connecting} ${socket.pending} ${socket.destroyed}`)
    socket.destroy()
    log.add(`${socket.connecting} ${socket.pending} ${socket.destroyed}`)
    await closed(socket)
    return { log: log.lines.filter(line => !line.startsWith('accepted')) }
  }),

  'destroy in each moment of a connect': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    const moments: Record<string, (socket: Socket) => void> = {
      'at once': socket => void socket.destroy(),
      'at once, with an error': socket =>
        void socket.destroy(Object.assign(Error('mine'), { code: 'EMINE' })),
      'in the next tick': socket => process.nextTick(() => socket.destroy()),
      soon: socket => void socket.destroySoon(),
      'soon, twice': socket => {
        socket.destroySoon()
        socket.destroySoon()
      },
      'behind end': socket => {
        socket.end()
        socket.destroy()
      },
      'in the callback of a write': socket => void socket.write('x', () => socket.destroy()),
      'in ready': socket => void socket.on('ready', () => socket.destroy()),
    }
    for (const [name, act] of Object.entries(moments)) {
      log.add(name)
      const socket = log.watch(connected(way, server))
      const end = closed(socket)
      act(socket)
      log.add(`${socket.destroyed} ${socket.connecting} ${socket.readyState} ${socket.writable}`)
      await end
      log.add(`${socket.readyState} ${socket.errored && codeOf(socket.errored)}`)
    }
    return {}
  }),

  'end and write inside of each event': served(async (way, server, log) => {
    server.on('connection', socket => void socket.on('error', nothing).pipe(socket))
    for (const name of ['connect', 'ready', 'finish', 'end', 'close']) {
      log.add(name)
      const socket = connected(way, server)
      socket.on(name, () => {
        const returned = socket.write('x', error => log.add(`written ${error ? codeOf(error) : 'done'}`))
        log.add(`returned ${returned} ${socket.writable}`)
        socket.end(() => log.add('ended'))
      })
      log.watch(socket)
      if (name === 'finish' || name === 'end' || name === 'close') socket.end('bye')
      await closed(socket)
      await turn()
    }
    return {}
  }),

  'write behind the end of the other one, told in the next tick': pair(
    (socket, log) => {
      socket.on('end', () => {
        let isInside = true
        setImmediate(() => {
          isInside = true
          const returned = socket.write('hello', error =>
            log.add(`called back ${errorOf(error)} ${isInside}`),
          )
          log.add(`returned ${returned}`)
          isInside = false
        })
      })
      socket.on('error', error => log.add(errorOf(error)))
    },
    socket => void socket.end('x'),
  ),

  'both write a lot, and nobody reads for a while': served(async (way, server) => {
    const size = 3_000_000
    const other = once(server, 'connection') as Promise<[Socket]>
    const socket = connected(way, server)
    const [accepted] = await other
    const counts = [0, 0]
    for (const [n, each] of [socket, accepted].entries()) {
      each.pause()
      each.on('data', chunk => {
        counts[n]! += chunk.length
      })
      each.end(Buffer.alloc(size))
    }
    for (let n = 0; n < 10; n++) await turn()
    const ends = [closed(socket), closed(accepted)]
    socket.resume()
    accepted.resume()
    await Promise.all(ends)
    return { counts, bytes: [socket.bytesRead, accepted.bytesRead, socket.bytesWritten] }
  }),

  'binary text, there and back': served(async (way, server) => {
    server.on('connection', socket => {
      socket.setEncoding('latin1')
      socket.on('data', text => socket.write(text, 'latin1'))
      socket.on('end', () => socket.end())
    })
    const sent = Array.from({ length: 256 }, (_, n) => `${String.fromCharCode(n)}S`).join('')
    const socket = connected(way, server).setEncoding('latin1')
    let text = ''
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('connect', () => {
      for (let n = 255; n >= 0; n--) socket.write(String.fromCharCode(n), 'latin1')
      socket.end(sent, 'binary')
    })
    await closed(socket)
    return { isEqual: text.slice(256) === sent, first: text.charCodeAt(0) }
  }),

  'hex and base64, many at once': served(async (way, server, log) => {
    server.on('connection', socket => {
      for (let n = 0; n < 100; n++) {
        socket.write('00112233', 'hex')
        socket.write('AAECAw', 'base64url')
        socket.write('ab', 'utf16le')
      }
      log.add(`${socket.bytesWritten}`)
      socket.end()
    })
    const socket = connected(way, server)
    let size = 0
    socket.on('data', chunk => {
      size += chunk.length
    })
    await closed(socket)
    return { size }
  }),

  'pauseOnConnect, and listeners of data': pair(
    socket => {
      socket.write('early ')
      socket.end('words')
    },
    (socket, log) => {
      log.add(`${socket.isPaused()} ${socket.readableFlowing} ${socket.bytesRead}`)
      let isPaused = true
      socket.on('data', () => isPaused && log.add('while paused'))
      setTimeout(() => {
        isPaused = false
        log.add(`${socket.isPaused()} ${socket.readableFlowing} ${socket.bytesRead}`)
        socket.resume()
      }, 20)
    },
    { server: { pauseOnConnect: true } },
  ),

  'two clients, one beside the other, of a server that is closed': served(async (way, server, log) => {
    const names = new Map<Socket, string>()
    let accepted = 0
    server.on('connection', socket => {
      accepted += 1
      socket.pipe(socket)
    })
    const sockets = ['a', 'b'].map(name => {
      const socket = connected(way, server)
      names.set(socket, name)
      socket.on('data', chunk => log.add(`${name} ${chunk}`))
      return socket
    })
    while (accepted < 2) await turn()
    const end = once(server, 'close')
    server.close()
    for (const socket of sockets) {
      socket.write(names.get(socket) as string)
      await once(socket, 'data')
    }
    for (const socket of sockets) socket.end()
    await Promise.all([end, ...sockets.map(closed)])
    return {}
  }),

  'options of a Socket that say readable and writable': async ({ net }) => {
    const shown = (options: object): unknown[] => {
      const socket = new net.Socket(options as nodeNet.SocketConstructorOpts)
      const state = [
        socket.readable,
        socket.writable,
        socket.readyState,
        socket.readableEnded,
        socket.writableEnded,
        socket.allowHalfOpen,
      ]
      socket.destroy()
      return state
    }
    return {
      neither: shown({}),
      'readable false': shown({ readable: false }),
      'writable false': shown({ writable: false }),
      'both false': shown({ readable: false, writable: false }),
      'both true': shown({ readable: true, writable: true }),
      'allowHalfOpen 1': shown({ allowHalfOpen: 1 }),
      'allowHalfOpen 0': shown({ allowHalfOpen: 0 }),
    }
  },

  'own properties that programs set': served(async (way, server, log) => {
    server.on('connection', socket => void socket.resume())
    const socket = connected(way, server)
    await once(socket, 'connect')
    const all = socket as unknown as Record<string, unknown>
    for (const name of [
      'timeout',
      'server',
      'allowHalfOpen',
      'connecting',
      'parser',
      '_httpMessage',
      'encrypted',
    ]) {
      const before = all[name]
      log.add(`${name} ${thrownBy(() => (all[name] = before))}`)
    }
    socket.end()
    await closed(socket)
    return {}
  }),

  'a prototype that is patched': served(async (way, server, log) => {
    server.on('connection', socket => socket.end())
    const { prototype } = way.net.Socket
    const before = prototype.connect
    prototype.connect = function (this: Socket, ...args: never[]) {
      log.add('connect is called')
      return Reflect.apply(before, this, args)
    } as typeof before
    try {
      const socket = connected(way, server)
      await closed(socket.resume())
    } finally {
      prototype.connect = before
    }
    return {}
  }),

  'a subclass, and names': served(async (way, server, log) => {
    class Mine extends way.net.Socket {
      override destroy(error?: Error): this {
        log.add(`destroy ${error === undefined || error === null}`)
        return super.destroy(error)
      }
    }
    class Desk extends way.net.Server {}
    server.on('connection', socket => socket.end('x'))
    const socket = new Mine().connect(way.place(server) as nodeNet.SocketConnectOpts)
    await closed(socket.resume())
    return {
      names: [
        way.net.Socket.name,
        way.net.Server.name,
        socket.constructor.name,
        new Desk().constructor.name,
        server.constructor.name,
      ],
      is: [socket instanceof way.net.Socket, new Desk() instanceof way.net.Server],
      tags: [String(socket), Object.prototype.toString.call(server)],
    }
  }),

  'the destruction of an accepted socket with an error': served(async (way, server, log) => {
    server.on('close', () => log.add('server close'))
    server.on('connection', socket => {
      log.watch(socket)
      socket.destroy(Object.assign(Error('mine'), { code: 'EMINE' }))
    })
    const socket = connected(way, server).on('error', nothing).resume()
    await closed(socket)
    while (log.lines.length < 2) await turn()
    return {}
  }),

  'setKeepAlive, setNoDelay and ref before and behind': served(async (way, server, log) => {
    server.on('connection', socket => void socket.resume())
    const socket = new way.net.Socket()
    const all = (): string =>
      [
        socket.setKeepAlive(true, 1000),
        socket.setKeepAlive(),
        socket.setNoDelay(true),
        socket.setNoDelay(),
        socket.unref(),
        socket.ref(),
      ]
        .map(returned => returned === socket)
        .join()
    log.add(all())
    socket.connect(way.place(server) as nodeNet.SocketConnectOpts)
    log.add(all())
    await once(socket, 'connect')
    log.add(all())
    socket.end()
    await closed(socket)
    log.add(all())
    return {}
  }),

  'a socket that only writes, and one that only reads': served(async (way, server, log) => {
    server.on('connection', socket => {
      socket.on('data', chunk => log.add(`server data ${chunk}`))
      socket.on('error', nothing)
      socket.end('from the server')
    })
    for (const options of [{ readable: false }, { writable: false }]) {
      const socket = connected(way, server, options)
      socket.on('data', chunk => log.add(`data ${chunk}`)).on('error', error => log.add(codeOf(error)))
      await once(socket, 'connect')
      log.add(`${socket.readyState} ${socket.readable} ${socket.writable}`)
      const end = closed(socket)
      if (socket.writable) socket.end('from the client')
      await end
    }
    return {}
  }),
}
