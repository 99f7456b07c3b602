// More programs that run over Node's own `net` and over ours: what its own tests ask, told by the log of both ends.
import { EventEmitter, once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import {
  any,
  closed,
  codeOf,
  connected,
  Log,
  nothing,
  type Program,
  pair,
  type Socket,
  served,
  thrown,
  turn,
} from './parity-program'

export const morePrograms: Readonly<Record<string, Program>> = {
  'what a closed socket still answers': served(async (way, server, log) => {
    server.on('connection', socket => socket.end('x'))
    const socket = connected(way, server)
    socket.on('data', nothing)
    await closed(socket)
    socket.setNoDelay()
    socket.setKeepAlive()
    socket.pause()
    socket.resume()
    socket.setTimeout(5)
    socket.ref().unref()
    log.add(JSON.stringify(socket.address()))
    const {
      destroyed,
      readyState,
      pending,
      connecting,
      bytesRead,
      bytesWritten,
      writableLength,
      bufferSize,
    } = socket
    return {
      destroyed,
      readyState,
      pending,
      connecting,
      bytesRead,
      bytesWritten,
      writableLength,
      bufferSize,
      readable: socket.readable,
      writable: socket.writable,
      timeout: socket.timeout,
      closed: socket.closed,
      errored: socket.errored,
    }
  }),

  'write before connect, and what it counts': served(async (way, server, log) => {
    server.on('connection', socket => socket.setEncoding('utf8').pipe(socket))
    const socket = log.watch(connected(way, server), { reads: false })
    const show = (when: string): void =>
      log.add(`${when} ${socket.connecting} ${socket.pending} ${socket.readyState} ${socket.bytesWritten}`)
    show('made')
    log.add(`returned ${socket.write('žž', () => show('first'))}`)
    log.add(`returned ${socket.write('ff', 'hex', () => show('second'))}`)
    log.add(`returned ${socket.write(Buffer.alloc(100_000), () => show('third'))}`)
    show('written')
    socket.on('connect', () => show('connected'))
    socket.resume().end()
    await closed(socket)
    show('closed')
    return {}
  }),

  'bytesWritten with cork and many kinds of chunks': served(async (way, server, log) => {
    server.on('connection', socket => socket.resume().on('end', () => log.add(`read ${socket.bytesRead}`)))
    const socket = connected(way, server)
    await once(socket, 'connect')
    socket.cork()
    socket.write('ab')
    socket.write('é')
    socket.write('00ff', 'hex')
    socket.write('YWJj', 'base64')
    socket.write(new Uint8Array(7))
    log.add(`corked ${socket.bytesWritten}`)
    socket.uncork()
    log.add(`uncorked ${socket.bytesWritten}`)
    socket.end('z')
    socket.resume()
    await closed(socket)
    log.add(`closed ${socket.bytesWritten}`)
    return {}
  }),

  'a destroyed socket with writes that wait': served(async (way, server, log) => {
    const other = once(server, 'connection') as Promise<[Socket]>
    const socket = log.watch(connected(way, server))
    await once(socket, 'connect')
    const [peer] = await other
    peer.on('error', nothing).pause()
    // More than any kernel takes at once. That it is cut off is told of the first one by us alone.
    socket.write(Buffer.alloc(50_000_000))
    for (let n = 0; n < 3; n++) {
      socket.write('more', error => log.add(`written ${error ? codeOf(error) : n}`))
    }
    const end = closed(socket)
    socket.destroy()
    log.add(`destroyed ${socket.destroyed} ${socket.writable} ${socket.readable}`)
    await end
    // Node does not tell it.
    const gone = closed(peer)
    peer.destroy()
    await gone
    return {}
  }),

  'destroy with an error, and every call behind it': served(async (way, server, log) => {
    server.on('connection', socket => socket.on('error', nothing).resume())
    const socket = log.watch(connected(way, server))
    await once(socket, 'connect')
    const end = closed(socket)
    socket.destroy(Object.assign(Error('mine'), { code: 'EMINE' }))
    socket.destroy(Object.assign(Error('other'), { code: 'EOTHER' }))
    socket.write('x', error => log.add(`written ${error && codeOf(error)}`))
    socket.end('y', () => log.add('ended'))
    await end
    socket.write('late', error => log.add(`late ${error && codeOf(error)}`))
    await turn()
    return { errored: codeOf(socket.errored) }
  }),

  'reset, and a write behind it': served(async (way, server, log) => {
    const other = once(server, 'connection') as Promise<[Socket]>
    const socket = log.watch(connected(way, server))
    await once(socket, 'connect')
    const [peer] = await other
    const peerLog = new Log()
    peerLog.watch(peer)
    const ends = [closed(socket), closed(peer)]
    socket.resetAndDestroy()
    socket.resetAndDestroy()
    socket.write('x', error => log.add(`written ${error && codeOf(error)}`))
    await Promise.all(ends)
    return { peer: peerLog.lines }
  }),

  'the callback of end, in each form': served(async (way, server, log) => {
    server.on('connection', socket => socket.resume())
    const forms: ((socket: Socket) => void)[] = [
      socket => socket.end(() => log.add('bare')),
      socket => socket.end('a', () => log.add('with data')),
      socket => socket.end('b', 'latin1', () => log.add('with encoding')),
    ]
    for (const form of forms) {
      const socket = connected(way, server)
      await once(socket, 'connect')
      form(socket)
      socket.resume()
      await closed(socket)
      await new Promise<void>(resolve => {
        socket.end((error?: Error) => {
          log.add(`again ${error && codeOf(error)}`)
          resolve()
        })
      })
    }
    return {}
  }),

  'end of a socket that is never connected': async way => {
    const log = new Log()
    const socket = log.watch(new way.net.Socket())
    socket.end(() => log.add('ended'))
    await turn()
    log.add(`${socket.writable} ${socket.writableFinished} ${socket.readable} ${socket.destroyed}`)
    const other = log.watch(new way.net.Socket())
    other.destroy()
    await closed(other)
    log.add(`${other.readyState} ${other.pending}`)
    return { log: log.lines }
  },

  'end before connect': served(async (way, server, log) => {
    server.on('connection', socket => log.watch(socket))
    const socket = connected(way, server)
    socket.end('early')
    socket.resume()
    await closed(socket)
    await turn()
    return {}
  }),

  'pause and resume while it connects': served(async (way, server, log) => {
    server.on('connection', socket => socket.end('data'))
    for (const calls of [['pause'], ['pause', 'resume'], ['resume', 'pause'], []] as const) {
      const socket = connected(way, server)
      for (const call of calls) socket[call]()
      log.add(`${calls.join()} ${socket.isPaused()}`)
      await once(socket, 'connect')
      const end = closed(socket)
      socket.on('data', chunk => log.add(`data ${chunk}`))
      log.add(`${socket.isPaused()}`)
      if (socket.isPaused()) socket.resume()
      await end
    }
    return {}
  }),

  'events when the server destroys what it gets': served(async (way, server, log) => {
    server.on('connection', socket => socket.destroy())
    const socket = log.watch(connected(way, server))
    await closed(socket)
    return { bytesRead: socket.bytesRead }
  }),

  'listen and close in one breath': async way => {
    const log = new Log()
    const server = way.net.createServer()
    server.on('listening', () => log.add('listening')).on('close', () => log.add('close'))
    const done = once(server, 'close')
    server.listen({ port: 0 })
    server.close(error => log.add(`closed ${error && codeOf(error)}`))
    await done
    await turn()
    log.add(`${server.listening} ${server.address()}`)
    return { log: log.lines }
  },

  'close of a server that never listened': async way => {
    const log = new Log()
    const server = way.net.createServer().on('close', () => log.add('close'))
    await new Promise<void>(resolve => {
      server.close(error => {
        log.add(`closed ${error && codeOf(error)} ${error?.message}`)
        resolve()
      })
    })
    return { log: log.lines }
  },

  'captured rejections': async way => {
    const log = new Log()
    EventEmitter.captureRejections = true
    const server = way.net.createServer()
    EventEmitter.captureRejections = false
    server.on('connection', async socket => {
      socket.on('error', error => log.add(`socket ${error.message}`))
      socket.on('close', hadError => log.add(`closed ${hadError}`))
      await turn()
      throw Error('in the listener')
    })
    server.on('error', error => log.add(`server ${error.message}`))
    await way.listen(server)
    const socket = way.net.connect(way.place(server))
    socket.on('error', nothing).resume()
    await closed(socket)
    server.on('listening', async () => {
      throw Error('of another event')
    })
    server.emit('listening')
    await turn()
    const end = once(server, 'close')
    server.close()
    await end
    return { log: log.lines }
  },

  'listeners that a socket has of its own': async way => {
    const socket = new way.net.Socket()
    const half = new way.net.Socket({ allowHalfOpen: true })
    const count = (each: Socket) =>
      each.eventNames().map(name => `${String(name)} ${each.listenerCount(name)}`)
    return { whole: count(socket), half: count(half), server: way.net.createServer().eventNames() }
  },

  'a timeout that is set before, while, and behind': served(async (way, server, log) => {
    server.on('connection', socket => socket.resume())
    const socket = connected(way, server, { timeout: 60_000 })
    log.add(`set ${socket.timeout}`)
    await once(socket, 'connect')
    log.watch(socket)
    socket.setTimeout(10)
    await once(socket, 'timeout')
    log.add(`still open ${socket.readyState}`)
    socket.setTimeout(0)
    log.add(`unset ${socket.timeout}`)
    const called: string[] = []
    socket.setTimeout(10, () => called.push('once'))
    await once(socket, 'timeout')
    socket.setTimeout(0)
    socket.end()
    await closed(socket)
    socket.setTimeout(5)
    return { called, timeout: socket.timeout }
  }),

  'drain comes once behind a write that was too much': pair(
    (socket, log) => {
      let isFull = false
      socket.on('connect', () => {
        isFull = !socket.write(Buffer.alloc(20_000_000))
        log.add(`full ${isFull} ${socket.writableNeedDrain}`)
      })
      socket.on('drain', () => {
        log.add(`need ${socket.writableNeedDrain} length ${socket.writableLength}`)
        socket.end()
      })
    },
    socket => void socket.resume(),
    { reads: [true, false] },
  ),

  'a pipeline there and back': served(async (way, server) => {
    server.on('connection', socket => void pipeline(socket, socket))
    const socket = connected(way, server)
    const sent = Buffer.alloc(3_000_000, 'there and back ')
    socket.end(sent)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    return { isEqual: Buffer.concat(chunks).equals(sent), closed: socket.destroyed }
  }),

  'destroyed with the end of the other side unread': served(async (way, server, log) => {
    const other = once(server, 'connection') as Promise<[Socket]>
    const socket = log.watch(connected(way, server))
    const [peer] = await other
    peer.pause()
    const ends = [closed(socket), closed(peer)]
    socket.end()
    await once(socket, 'finish')
    for (let n = 0; n < 20; n++) await turn()
    peer.destroy()
    await Promise.all(ends)
    return {}
  }),

  'arguments that are refused': async way => {
    const { net } = way
    const socket = (): Socket => new net.Socket().on('error', nothing)
    const calls: Record<string, () => unknown> = {
      'connect of undefined': () => net.connect(any(undefined)),
      'Socket.connect of nothing': () => (socket().connect as () => unknown)(),
      'Socket.connect of {}': () => socket().connect(any({})),
      'write of undefined': () => socket().write(any(undefined)),
      'write of true': () => socket().write(any(true)),
      'write of []': () => socket().write(any([])),
      'write of a function': () => socket().write(any(nothing)),
      'write in no encoding': () => socket().write('x', any('nothing')),
      'end of a number': () => socket().end(any(5)),
      'setEncoding of nothing': () => socket().setEncoding(any('nothing')),
      'setTimeout of nothing': () => socket().setTimeout(any(undefined)),
      'setTimeout of null': () => socket().setTimeout(any(null)),
      'setTimeout of an object': () => socket().setTimeout(any({})),
      'setTimeout of Infinity': () => socket().setTimeout(Number.POSITIVE_INFINITY),
      'a callback that is null': () => socket().setTimeout(1, any(null)),
      readableObjectMode: () => new net.Socket(any({ readableObjectMode: true })),
      writableObjectMode: () => new net.Socket(any({ writableObjectMode: true })),
      'options that are null': () => new net.Socket(any(null)),
      'options that are a text': () => new net.Socket(any('x')),
      'options that are true': () => new net.Socket(any(true)),
      'a signal that is none': () => new net.Socket({ signal: any('x') }),
      'createServer of a symbol': () => net.createServer(any(Symbol('x'))),
      'createServer of true': () => net.createServer(any(true)),
      'createServer of null': () => net.createServer(any(null)),
      'createServer of undefined': () => net.createServer(any(undefined), nothing),
      'listen with a signal that is none': () => net.createServer().listen(any({ port: 0, signal: 'x' })),
    }
    return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, thrown(call)]))
  },
}
