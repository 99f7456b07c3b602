// Programs about streams: what a Duplex of Node's `net` does under the hands of Node's own stream functions.
import { getEventListeners, once } from 'node:events'
import type nodeNet from 'node:net'
import { Duplex, finished, PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  closed,
  codeOf,
  connected,
  Log,
  nothing,
  type Program,
  pair,
  type Socket,
  served,
} from './parity-program'

/** Notes everything that a socket emits. */
function watchAll(socket: Socket, log: Log): Socket {
  const names = [
    'connect',
    'ready',
    'pause',
    'resume',
    'end',
    'prefinish',
    'finish',
    'drain',
    'timeout',
  ] as const
  for (const name of names) socket.on(name as 'end', () => log.add(name))
  socket.on('pipe', () => log.add('pipe')).on('unpipe', () => log.add('unpipe'))
  socket.on('error', error => log.add(`error ${codeOf(error)}`))
  socket.on('close', hadError => log.add(`close ${hadError}`))
  return socket
}

export const streamPrograms: Readonly<Record<string, Program>> = {
  'every event of an echo': served(async (way, server) => {
    const [mine, theirs] = [new Log(), new Log()]
    const other = once(server, 'connection') as Promise<[Socket]>
    const socket = watchAll(connected(way, server), mine)
    socket.on('data', chunk => mine.data(chunk))
    socket.end('hello')
    const [accepted] = await other
    watchAll(accepted, theirs)
    accepted.pipe(accepted)
    await Promise.all([closed(socket), closed(accepted)])
    return { mine: mine.lines, theirs: theirs.lines }
  }),

  'arguments of what is emitted': served(async (way, server, log) => {
    const note = (name: string) =>
      function (this: unknown, ...args: unknown[]): void {
        log.add(`${name} ${args.length} ${this === socket} ${this === server}`)
      }
    server.on('connection', note('connection')).on('close', note('server close'))
    server.on('connection', accepted => void accepted.resume())
    const socket: Socket = way.net.connect(way.place(server), function (this: unknown, ...args: unknown[]) {
      log.add(`callback ${args.length} ${this === socket}`)
    })
    for (const name of ['connect', 'ready', 'end', 'finish', 'close', 'timeout']) socket.on(name, note(name))
    await once(socket, 'connect')
    socket.setTimeout(5, note('callback of timeout'))
    await once(socket, 'timeout')
    socket.setTimeout(0)
    socket.write('x', note('written'))
    socket.end('y', note('ended') as () => void)
    await closed(socket.resume())
    const end = once(server, 'close')
    server.close(note('server closed'))
    await end
    return {}
  }),

  'an iteration that is left': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).write('some '))
    const socket = log.watch(connected(way, server), { reads: false })
    const end = closed(socket)
    for await (const chunk of socket) {
      log.add(`read ${chunk}`)
      break
    }
    log.add(`${socket.destroyed}`)
    await end
    return {}
  }),

  'an iteration of a socket that is reset': served(async (way, server, log) => {
    server.on('connection', socket => {
      socket.on('error', nothing)
      socket.once('data', () => socket.resetAndDestroy())
    })
    const socket = log.watch(connected(way, server), { reads: false })
    socket.write('x')
    const end = closed(socket)
    let thrown: unknown
    try {
      for await (const chunk of socket) log.add(`read ${chunk}`)
    } catch (error) {
      thrown = codeOf(error)
    }
    await end
    return { thrown, errored: codeOf(socket.errored), state: [socket.destroyed, socket.readableAborted] }
  }),

  'an iteration of a refused socket': async way => {
    const log = new Log()
    try {
      for await (const chunk of way.net.connect(way.nowhere)) log.add(`read ${chunk}`)
      log.add('whole')
    } catch (error) {
      log.add(`thrown ${codeOf(error)}`)
    }
    return { log: log.lines }
  },

  'finished, in each way to end': served(async (way, server, log) => {
    const ends: Record<string, (socket: Socket) => void> = {
      end: socket => void socket.resume().end(),
      destroy: socket => void socket.destroy(),
      'destroy with an error': socket => void socket.destroy(Object.assign(Error('x'), { code: 'EMINE' })),
      reset: socket => void socket.resetAndDestroy(),
    }
    server.on('connection', socket => socket.on('error', nothing).resume())
    for (const [name, end] of Object.entries(ends)) {
      const socket = connected(way, server).on('error', nothing)
      await once(socket, 'connect')
      const done = new Promise<void>(resolve => {
        finished(socket, error => {
          log.add(`${name} ${error ? codeOf(error) : 'done'}`)
          resolve()
        })
      })
      end(socket)
      await done
      await new Promise<void>(resolve =>
        finished(socket, error => {
          log.add(`again ${error ? codeOf(error) : 'done'}`)
          resolve()
        }),
      )
    }
    return {}
  }),

  'a pipeline into a socket that the other end resets': served(async (way, server, log) => {
    server.on('connection', socket => {
      socket.on('error', nothing)
      socket.once('data', () => socket.resetAndDestroy())
    })
    const socket = connected(way, server)
    const source = new Readable({
      read() {
        setImmediate(() => this.push(Buffer.alloc(1000)))
      },
    })
    await pipeline(source, socket).then(
      () => log.add('done'),
      error => log.add(`failed ${['ECONNRESET', 'EPIPE'].includes(error.code)}`),
    )
    log.add(`${source.destroyed} ${socket.destroyed}`)
    return {}
  }),

  'a pipeline that is aborted': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).write('x'))
    const aborts = new AbortController()
    const socket = connected(way, server)
    socket.once('data', () => aborts.abort())
    await pipeline(socket, new PassThrough().resume(), { signal: aborts.signal }).then(
      () => log.add('done'),
      error => log.add(`failed ${codeOf(error)}`),
    )
    log.add(`${socket.destroyed}`)
    return {}
  }),

  'read by hand, n bytes at a time': pair(
    (socket, log) => {
      socket.on('readable', () => {
        for (let part = socket.read(3); part !== null; part = socket.read(3)) log.add(`read ${part}`)
        if (socket.readableLength > 0 && socket.readableEnded) log.add('left')
      })
      socket.on('end', () => socket.end())
    },
    socket => void socket.end('123456789'),
    { reads: [false, true] },
  ),

  'unshift and read once more': pair(
    (socket, log) => {
      socket.once('data', chunk => {
        socket.pause()
        socket.unshift('before ')
        log.add(`length ${socket.readableLength > 0} ${chunk}`)
        setImmediate(() => {
          socket.on('data', text => log.data(text))
          socket.resume()
        })
      })
    },
    socket => void socket.end('data'),
    { reads: [false, true] },
  ),

  'pause inside of data': pair(
    (socket, log) => {
      socket.on('data', () => {
        log.add(`paused ${socket.pause() === socket}`)
        setImmediate(() => {
          log.add('resume')
          socket.resume()
          if (socket.writable) socket.end('more')
        })
      })
    },
    socket => {
      socket.write('one')
      socket.on('data', () => socket.end())
    },
  ),

  'pipe and unpipe': served(async (way, server, log) => {
    server.on('connection', socket => {
      socket.write('first')
      socket.on('data', () => socket.end('second'))
    })
    const socket = connected(way, server)
    const out = new PassThrough().setEncoding('utf8')
    socket.pipe(out)
    const [first] = await once(out, 'data')
    socket.unpipe(out)
    log.add(`${first} ${socket.readableFlowing} ${socket.isPaused()} ${socket.listenerCount('data')}`)
    socket.write('more')
    socket.on('data', chunk => log.data(chunk))
    socket.resume()
    await closed(socket)
    log.add(`${out.writableEnded}`)
    return {}
  }),

  'as Web Streams': served(async (way, server) => {
    server.on('connection', socket => void socket.pipe(socket))
    const { readable, writable } = Duplex.toWeb(connected(way, server)) as unknown as {
      readable: ReadableStream<Uint8Array>
      writable: WritableStream<Uint8Array>
    }
    const writer = writable.getWriter()
    await writer.write(Buffer.from('hello '))
    await writer.write(Buffer.from('web'))
    await writer.close()
    let text = ''
    for await (const chunk of readable as unknown as AsyncIterable<Uint8Array>) text += Buffer.from(chunk)
    return { text }
  }),

  'toArray, map and compose': served(async (way, server) => {
    server.on('connection', socket => socket.end('a b c'))
    const text = (await connected(way, server).setEncoding('utf8').toArray()).join('')
    const upper = await connected(way, server)
      .map(chunk => String(chunk).toUpperCase())
      .toArray()
    return { text, upper: upper.join('') }
  }),

  'asyncDispose of a socket': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    const socket = log.watch(connected(way, server))
    await once(socket, 'connect')
    const end = closed(socket)
    const dispose = (): PromiseLike<unknown> =>
      (socket as unknown as AsyncDisposable)[Symbol.asyncDispose]().then(() => 'done', codeOf)
    log.add(`${await dispose()} ${socket.destroyed}`)
    const second = await dispose()
    await end
    return { second }
  }),

  'captured rejections of a socket': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).end('x'))
    const socket = new way.net.Socket({ captureRejections: true } as nodeNet.SocketConstructorOpts)
    socket.on('error', error => log.add(`error ${error.message}`))
    socket.on('close', hadError => log.add(`close ${hadError}`))
    socket.on('data', async () => {
      throw Error('in the listener')
    })
    socket.connect(way.place(server) as nodeNet.SocketConnectOpts)
    await closed(socket)
    return {}
  }),

  'a signal, in each state': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length
    const states: Record<string, (aborts: AbortController) => Socket | Promise<Socket>> = {
      'aborted at once': aborts => {
        const socket = connected(way, server, { signal: aborts.signal })
        log.add(`${listeners(aborts.signal)} listeners`)
        aborts.abort()
        return socket
      },
      'aborted in the next tick': aborts => {
        process.nextTick(() => aborts.abort('text'))
        return connected(way, server, { signal: aborts.signal })
      },
      'aborted in connect': aborts => {
        const socket = connected(way, server, { signal: aborts.signal })
        return socket.on('connect', () => aborts.abort())
      },
      'aborted, never connected': aborts => {
        const socket = new way.net.Socket({ signal: aborts.signal })
        process.nextTick(() => aborts.abort())
        return socket
      },
    }
    for (const [name, make] of Object.entries(states)) {
      const aborts = new AbortController()
      log.add(name)
      const socket = log.watch(await make(aborts))
      socket.on('error', ({ name: kind, message, cause }) =>
        log.add(`${kind} ${message} ${(cause as Error)?.message ?? cause}`),
      )
      await closed(socket)
      log.add(`${listeners(aborts.signal)} listeners, ${socket.destroyed} ${socket.connecting}`)
    }
    return {}
  }),

  'a write that throws a thousand times, and one that does not': served(async (way, server, log) => {
    server.on('connection', socket => socket.pipe(socket))
    const socket = connected(way, server)
    await once(socket, 'connect')
    for (let n = 0; n < 1000; n++) {
      try {
        socket.write(n as never)
        log.add('taken')
      } catch {}
    }
    socket.end('well')
    for await (const chunk of socket) log.data(chunk)
    return {}
  }),
}
