// Programs in the manner of Node's own tests of `net`: names, events of servers, and what is told at each step.
import { EventEmitter, on as eventsOn, once } from 'node:events'
import * as streams from 'node:stream'
import { Duplex, finished, isErrored, isReadable } from 'node:stream'
import { promisify } from 'node:util'
import {
  any,
  closed,
  codeOf,
  connected,
  errorOf,
  Log,
  nothing,
  type Program,
  pair,
  type Socket,
  served,
  thrownBy,
  turn,
} from './parity-program'

// Not in the types of Node.js 20.
const { isDisturbed } = streams as unknown as { isDisturbed(stream: unknown): boolean }

export const nodePrograms: Readonly<Record<string, Program>> = {
  'what the module and its classes are': async ({ net }) => {
    const all = net as unknown as Record<string, unknown>
    const names = ['BlockList', 'Server', 'Socket', 'SocketAddress', 'Stream', 'connect', 'createConnection']
    const more = ['createServer', 'isIP', 'isIPv4', 'isIPv6']
    const socket = new net.Socket()
    const server = net.createServer()
    return {
      names: [...names, ...more].map(name => `${name} ${typeof all[name]}`),
      same: [all.connect === all.createConnection, all.Stream === all.Socket],
      kinds: [socket instanceof Duplex, socket instanceof net.Socket, server instanceof EventEmitter],
      called: [
        (net.Server as unknown as () => unknown)() instanceof net.Server,
        (net.Socket as unknown as () => unknown)() instanceof net.Socket,
      ],
      classes: [net.Socket.name, net.Server.name],
    }
  },

  'close of a server in each moment, and what is counted then': served(async (way, server, log) => {
    const count = async (when: string): Promise<void> => {
      const number = await promisify(server.getConnections.bind(server))()
      log.add(`${when} ${number} ${server.listening} ${server.address() !== null}`)
    }
    await count('idle')
    const accepted = once(server, 'connection') as Promise<Socket[]>
    const socket = connected(way, server).resume()
    const end = closed(socket)
    const [there] = await accepted
    await count('open')
    server.on('close', () => log.add('close'))
    server.close(error => log.add(`callback ${error}`))
    await count('closing')
    await turn()
    log.add('still open')
    there!.end('bye')
    await once(server, 'close')
    await count('closed')
    await end
    return {}
  }),

  'a server that is closed in its own callback of close': served(async (_way, server, log) => {
    server.on('close', () => log.add('close'))
    const over = new Promise<void>(resolve => {
      server.close(() => {
        log.add('first')
        server.close(error => {
          log.add(`second ${errorOf(error)}`)
          resolve()
        })
      })
    })
    await over
    await turn()
    return { listening: server.listening }
  }),

  'a listener of connect: how often it is called, and with what': served(async (way, server, log) => {
    server.on('connection', socket => socket.resume())
    const socket = connected(way, server, {}, function (this: unknown, ...args: unknown[]) {
      log.add(`called ${args.length} ${this === socket}`)
    } as () => void).resume()
    log.add(`${socket.listenerCount('connect')}`)
    await once(socket, 'ready')
    log.add(`${socket.listenerCount('connect')} ${socket.listenerCount('ready')}`)
    socket.end()
    await closed(socket)
    return {}
  }),

  'what comes first: microtasks, ticks and the next event': served(async (way, server, log) => {
    server.on('connection', socket => void socket.end('x'))
    const socket = connected(way, server)
    for (const name of ['connect', 'ready', 'data', 'end', 'finish', 'close']) {
      socket.on(name, () => {
        log.add(name)
        process.nextTick(() => log.add(`tick of ${name}`))
        void Promise.resolve().then(() => log.add(`microtask of ${name}`))
      })
    }
    await closed(socket)
    await turn()
    // When the half of one's own is done with beside the end is left open.
    return { log: undefined, seen: log.lines.filter(line => !line.includes('finish')) }
  }),

  'connections of a server, iterated': served(async (way, server, log) => {
    const aborts = new AbortController()
    const iterated = (async () => {
      try {
        for await (const [socket] of eventsOn(server, 'connection', { signal: aborts.signal })) {
          ;(socket as Socket).end(`number ${log.lines.length}`)
          log.add('connection')
          if (log.lines.length === 3) aborts.abort()
        }
      } catch (error) {
        log.add((error as Error).name)
      }
    })()
    const texts: string[] = []
    for (let i = 0; i < 3; i++) {
      const socket = connected(way, server).setEncoding('utf8')
      for await (const text of socket) texts.push(text as string)
    }
    await iterated
    return { texts, listeners: server.listenerCount('connection') }
  }),

  'a server that refuses behind its close': served(async (way, server, log) => {
    const place = way.place(server)
    const end = once(server, 'close')
    server.close()
    await end
    const socket = log.watch(way.net.connect(place))
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    log.add(`${error.message.split(' ').slice(0, 2)} ${typeof error.errno} ${(error as Error).name}`)
    await closed(socket)
    return {}
  }),

  'close of a server inside of connection, with more of them under way': served(async (way, server, log) => {
    let seen = 0
    server.on('connection', socket => {
      seen += 1
      socket.on('error', nothing).resume()
      if (seen === 1) server.close(() => log.add('closed'))
      setImmediate(() => socket.end())
    })
    const first = connected(way, server).resume()
    const end = closed(first)
    await once(server, 'close')
    await end
    return { seen, destroyed: first.destroyed, listening: server.listening }
  }),

  'allowHalfOpen: what was queued still goes out behind the end of the other one': pair(
    (socket, log) => {
      const size = 3_000_000
      let sent = 0
      socket.on('connect', () => {
        socket.write(Buffer.alloc(size, 'x'), () => {
          sent = size
        })
      })
      socket.on('close', () => log.add(`sent ${sent === size} ${socket.bytesWritten}`))
    },
    (socket, log) => {
      let read = 0
      socket.end('bye')
      socket.on('data', data => {
        read += data.length
      })
      socket.on('end', () => log.add(`read ${read}`))
    },
    { reads: [true, false] },
  ),

  'a write in each event behind the end': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    const socket = log.watch(connected(way, server))
    const write = (when: string): void => {
      const isRoom = socket.write('late', error => log.add(`${when} ${error && codeOf(error)}`))
      log.add(`${when} ${isRoom}`)
    }
    socket.on('connect', () => socket.end('x'))
    socket.once('finish', () => write('finish'))
    socket.once('close', () => write('close'))
    await closed(socket)
    await turn()
    return {}
  }),

  'calls inside of error and of close': served(async (way, server, log) => {
    server.on('connection', socket => socket.once('data', () => socket.resetAndDestroy()))
    const socket = log.watch(connected(way, server))
    socket.on('connect', () => socket.write('x'))
    const act = (when: string): void => {
      log.add(
        `${when} write ${socket.write('x', error => log.add(`${when} wrote ${error && codeOf(error)}`))}`,
      )
      log.add(`${when} end ${socket.end() === socket} ${socket.destroy() === socket}`)
      log.add(`${when} pause ${socket.pause() === socket} ${socket.resume() === socket}`)
      log.add(`${when} ${socket.destroyed} ${socket.closed} ${socket.errored && codeOf(socket.errored)}`)
    }
    socket.once('error', () => act('error'))
    socket.once('close', () => act('close'))
    await closed(socket)
    await turn()
    return {}
  }),

  'resetAndDestroy: before, twice, and behind': async way => {
    const [log, there] = [new Log(), new Log()]
    const server = way.net.createServer(socket => there.watch(socket))
    await way.listen(server)
    const fresh = new way.net.Socket()
    fresh.on('error', error => log.add(`fresh ${errorOf(error)}`)).on('close', had => log.add(`fresh ${had}`))
    log.add(`${fresh.resetAndDestroy() === fresh}`)
    await closed(fresh)
    const socket = way.net.connect(way.place(server))
    socket.on('close', had => log.add(`close ${had}`))
    await once(socket, 'connect')
    while ((await promisify(server.getConnections.bind(server))()) === 0) await turn()
    log.add(`${socket.resetAndDestroy() === socket} ${socket.resetAndDestroy() === socket}`)
    await closed(socket)
    log.add(`${socket.resetAndDestroy() === socket} ${socket.errored}`)
    while (there.lines.length < 2) await turn()
    const end = once(server, 'close')
    server.close()
    await end
    return { log: log.lines, there: there.lines }
  },

  'callbacks of writes when the other end resets': pair(
    (socket, log) => {
      socket.on('connect', () => {
        // More than any window. Node's own calls back without an error.
        socket.write(Buffer.alloc(30_000_000), () => log.add('first'))
        socket.write('x', error => log.add(`second ${error ? 'failed' : 'done'}`))
        socket.end((error?: Error) => log.add(`end ${error ? 'failed' : 'done'}`))
      })
    },
    socket => void socket.once('data', () => socket.resetAndDestroy()),
    { reads: [false, false] },
  ),

  'chunks of every kind': pair((socket, log) => {
    socket.on('connect', () => {
      const text = Buffer.from('text')
      const view = new Uint8Array(text)
      for (const [name, chunk] of Object.entries({
        Uint8Array: view,
        'a part of one': view.subarray(1, 3),
        Uint16Array: new Uint16Array(2),
        DataView: new DataView(new ArrayBuffer(2)),
        ArrayBuffer: new ArrayBuffer(2),
        true: true,
        'a symbol': Symbol('x'),
        undefined: undefined,
        'an array': ['x'],
      })) {
        log.add(`${name} ${thrownBy(() => socket.write(any(chunk)))}`)
      }
      log.add(thrownBy(() => socket.write('x', any('nonsense'))))
      log.add(thrownBy(() => socket.setDefaultEncoding(any('nonsense'))))
      log.add(thrownBy(() => socket.setDefaultEncoding('hex')))
      socket.write('414243')
      socket.end('44')
    })
  }, nothing),

  'what streams say of a socket in each state': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).end('x'))
    const socket = connected(way, server)
    const note = (when: string): void => {
      log.add(`${when} ${isReadable(socket)} ${isErrored(socket)} ${isDisturbed(socket)}`)
      const { writableCorked, writableNeedDrain, writableFinished } = socket
      log.add(`${when} ${writableCorked} ${writableNeedDrain} ${writableFinished} ${socket.readableAborted}`)
    }
    note('made')
    finished(socket, error => log.add(`finished ${error}`))
    finished(socket, { readable: false }, error => log.add(`written ${error}`))
    await once(socket, 'connect')
    socket.cork()
    note('corked')
    socket.uncork()
    socket.resume()
    await once(socket, 'end')
    note('ended')
    await closed(socket)
    note('closed')
    await turn()
    return { log: log.lines.filter(line => !/^(ended|written)/.test(line)) }
  }),

  'read in pieces that are larger and smaller than what came': pair(
    socket => void socket.end('abcdefghij'),
    (socket, log) => {
      socket.on('readable', () => {
        for (let piece = socket.read(3); piece !== null; piece = socket.read(3)) log.data(piece)
        if (socket.readableLength > 0) log.data(socket.read())
      })
      socket.on('end', () => {
        log.add(`read ${socket.read()} ${socket.bytesRead}`)
      })
    },
    { reads: [true, false] },
  ),

  'once data, and what comes behind it': pair(
    socket => {
      socket.write('first')
      setImmediate(() => socket.end('second'))
    },
    (socket, log) => {
      socket.once('data', data => {
        log.add(`once ${String(data).slice(0, 5)} ${socket.readableFlowing} ${socket.isPaused()}`)
      })
      socket.on('end', () => log.add(`ended ${socket.readableFlowing}`))
    },
    { reads: [true, false] },
  ),

  'a timeout that destroys, and one that ends': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    for (const how of ['destroy', 'end'] as const) {
      // It counts from the start: a fabric beside compilers connects in less.
      const socket = log.watch(connected(way, server, { timeout: 300 }))
      socket.once('timeout', () => {
        log.add(`${socket.timeout} ${socket.destroyed}`)
        socket[how]()
        socket.setTimeout(0)
      })
      await closed(socket)
    }
    return {}
  }),

  'setTimeout with a callback that is called once': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    const socket = connected(way, server)
    await once(socket, 'connect')
    const called = new Promise<void>(resolve => {
      const returned = socket.setTimeout(5, function (this: unknown, ...args: unknown[]) {
        log.add(`called ${args.length} ${this === socket}`)
        resolve()
      } as () => void)
      log.add(`${returned === socket} ${socket.listenerCount('timeout')}`)
    })
    await called
    log.add(`${socket.listenerCount('timeout')} ${socket.timeout}`)
    socket.destroy()
    await closed(socket)
    log.add(`${socket.timeout} ${socket.setTimeout(3) === socket} ${socket.timeout}`)
    return {}
  }),

  'onread with a buffer that is smaller than what comes': pair(
    nothing,
    socket => void socket.end(Buffer.alloc(100, 'y')),
    {
      client: {
        onread: {
          buffer: Buffer.alloc(7),
          callback(this: Socket & { seen?: number }, size: number, buffer: Buffer) {
            this.seen = (this.seen ?? 0) + size
            if (size > buffer.length || buffer[size - 1] !== 121) throw Error('wrong')
            if (this.seen === 100) this.emit('ready')
            return true
          },
        },
      },
    },
  ),

  'onread that pauses by itself, and goes on': pair(
    (socket, log) => {
      socket.on('close', () => log.add(`${(socket as Socket & { seen?: string }).seen}`))
    },
    socket => {
      socket.write('one')
      setTimeout(() => socket.end('two'), 5)
    },
    {
      client: {
        onread: {
          buffer: () => Buffer.alloc(16),
          callback(this: Socket & { seen?: string }, size: number, buffer: Buffer) {
            this.seen = (this.seen ?? '') + buffer.subarray(0, size)
            setImmediate(() => this.resume())
            return false
          },
        },
      },
    },
  ),
}
