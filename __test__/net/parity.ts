// Programs that run over Node's own `net` and over ours, and what each end of them saw.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import { any, closed, codeOf, Log, nothing, type Program, pair, type Socket, thrown } from './parity-program'

export const programs: Readonly<Record<string, Program>> = {
  'echo, the client ends': pair(
    socket => {
      socket.write('hello ')
      socket.end('world')
    },
    socket => void socket.pipe(socket),
  ),

  'the server ends first, and the client writes until then': pair(
    socket => void socket.write('question'),
    socket => void socket.on('data', () => socket.end('answer')),
  ),

  'half open on both sides': pair(
    socket => void socket.end('all that I say'),
    socket =>
      void socket.on('end', () => {
        socket.write('some ')
        setImmediate(() => socket.end('more'))
      }),
    { server: { allowHalfOpen: true }, client: { allowHalfOpen: true } },
  ),

  'the client stays open behind the end of the server': pair(
    socket =>
      void socket.on('end', () => {
        socket.write('late ')
        setImmediate(() => socket.end('words'))
      }),
    socket => void socket.end('bye'),
    { server: { allowHalfOpen: true }, client: { allowHalfOpen: true } },
  ),

  'a write behind the own end': async way => {
    const log = new Log()
    // Cut off, which Node does not tell the other end.
    const server = way.net.createServer(socket => socket.on('error', nothing).resume())
    await way.listen(server)
    const socket = log.watch(way.net.connect(way.place(server)))
    socket.on('connect', () => {
      socket.end()
      socket.write('y', error => log.add(`written ${codeOf(error)}`))
    })
    await closed(socket)
    const end = once(server, 'close')
    server.close()
    await end
    return { client: log.lines }
  },

  "a write behind the other's end": pair(
    (socket, log) =>
      void socket.on('end', () => {
        setImmediate(() => socket.write('y', error => log.add(`written ${codeOf(error)}`)))
      }),
    socket => void socket.end('x'),
  ),

  'destroy in connect': pair(
    socket => void socket.on('connect', () => socket.destroy()),
    socket => void socket.resume(),
  ),

  'the server resets': pair(
    socket => void socket.write('x'),
    socket => void socket.on('data', () => socket.resetAndDestroy()),
  ),

  'the client resets at connect, being connecting': pair(socket => void socket.resetAndDestroy(), nothing),

  destroySoon: pair(
    socket =>
      void socket.on('connect', () => {
        socket.write('a lot')
        socket.destroySoon()
      }),
    nothing,
  ),

  'callbacks of write and end': pair((socket, log) => {
    socket.write('a', () => log.add('written a'))
    socket.write('', () => log.add('written nothing'))
    socket.end('b', () => log.add('ended'))
  }, nothing),

  'nobody reads, and nothing was said': pair(nothing, socket => void socket.end(), { reads: [false, true] }),

  'characters that are cut': pair(
    socket => {
      const bytes = Buffer.from('žluťoučký kůň')
      for (const byte of bytes) socket.write(Buffer.from([byte]))
      socket.end()
    },
    socket => void socket.setEncoding('utf8'),
  ),

  'encodings of write': pair(
    socket => {
      socket.write('00ff', 'hex')
      socket.setDefaultEncoding('latin1')
      socket.end('é')
    },
    (socket, log) => void socket.on('data', chunk => log.add((chunk as Buffer).toString('hex'))),
    { reads: [true, false] },
  ),

  cork: pair(
    (socket, log) =>
      void socket.on('connect', () => {
        socket.cork()
        for (const word of ['a', 'b', 'c']) socket.write(word, () => log.add(`written ${word}`))
        log.add(`${socket.writableLength} wait`)
        process.nextTick(() => {
          socket.uncork()
          socket.end()
        })
      }),
    nothing,
  ),

  pauseOnConnect: pair(
    socket => void socket.end('early'),
    (socket, log) => {
      log.add(`paused ${socket.isPaused()}`)
      setImmediate(() => {
        log.add('resume')
        socket.resume()
      })
    },
    { server: { pauseOnConnect: true } },
  ),

  'a timeout is told, and nothing else happens': pair((socket, log) => {
    socket.on('ready', () =>
      socket.setTimeout(20, () => {
        log.add(`of ${socket.timeout}`)
        socket.setTimeout(0)
        socket.end()
      }),
    )
  }, nothing),

  onread: async way => {
    const log = new Log()
    const server = way.net.createServer(socket => socket.end('0123456789'))
    await way.listen(server)
    let socket: Socket | undefined
    const onread = {
      buffer: Buffer.alloc(4),
      callback: (size: number, buffer: Uint8Array): boolean => {
        log.add(`read ${Buffer.from(buffer.subarray(0, size))}`)
        if (log.lines.length % 2 === 0) return true
        setImmediate(() => socket?.resume())
        return false
      },
    }
    socket = log.watch(way.net.connect({ ...way.place(server), onread } as nodeNet.NetConnectOpts), {
      reads: false,
    })
    await closed(socket)
    const end = once(server, 'close')
    server.close()
    await end
    return { read: log.lines.filter(line => line.startsWith('read ')).join(), bytes: socket.bytesRead }
  },

  properties: pair(
    (socket, log) => {
      const show = (): void =>
        log.add(
          [
            socket.connecting,
            socket.pending,
            socket.readyState,
            socket.destroyed,
            socket.bytesRead,
            socket.bytesWritten,
            socket.writableLength,
            socket.timeout,
          ].join(' '),
        )
      show()
      socket.write('12345')
      show()
      socket.on('connect', show)
      socket.on('data', () => {
        show()
        socket.end('678', show)
      })
      socket.on('close', () => {
        show()
        log.add(JSON.stringify(socket.address()))
      })
    },
    socket => void socket.on('data', () => socket.write('answer')),
    { server: { allowHalfOpen: false } },
  ),

  'nobody listens': async way => {
    const log = new Log()
    const socket = log.watch(way.net.connect(way.nowhere))
    socket.write('x', error => log.add(`written ${codeOf(error)}`))
    await closed(socket)
    return { client: log.lines, state: socket.readyState }
  },

  'destroyed before it is connected': async way => {
    const log = new Log()
    const server = way.net.createServer(socket => socket.on('error', nothing).resume())
    await way.listen(server)
    const socket = log.watch(way.net.connect(way.place(server)))
    socket.write('x', error => log.add(`written ${codeOf(error)}`))
    socket.destroy()
    await once(socket, 'close')
    const end = once(server, 'close')
    server.close()
    await end
    return { client: log.lines }
  },

  'written and never connected': async way => {
    const log = new Log()
    const socket = log.watch(new way.net.Socket())
    log.add(`${socket.pending} ${socket.readyState}`)
    socket.write('x', error => log.add(`written ${codeOf(error)}`))
    await closed(socket)
    const other = log.watch(new way.net.Socket())
    other.resetAndDestroy()
    await closed(other)
    return { client: log.lines }
  },

  'connected again': async way => {
    const log = new Log()
    const server = way.net.createServer(socket => socket.end('hello'))
    await way.listen(server)
    const socket = log.watch(new way.net.Socket())
    for (let i = 0; i < 2; i++) {
      socket.connect(way.place(server) as nodeNet.SocketConnectOpts)
      await once(socket, 'close')
      log.add(`${socket.bytesRead} ${socket.bytesWritten}`)
    }
    const end = once(server, 'close')
    server.close()
    await end
    return { client: log.lines }
  },

  'abort while it is open': async way => {
    const log = new Log()
    const aborts = new AbortController()
    const server = way.net.createServer(socket => socket.on('error', nothing).resume())
    await way.listen(server)
    const options = { ...way.place(server), signal: aborts.signal } as nodeNet.NetConnectOpts
    const socket = log.watch(way.net.connect(options))
    socket.on('connect', () => aborts.abort(Error('enough')))
    await closed(socket)
    const end = once(server, 'close')
    server.close()
    await end
    return { client: log.lines }
  },

  'the life of a server': async way => {
    const log = new Log()
    const server = way.net.createServer()
    const note = (name: string) => (error?: Error) => log.add(`${name} ${error ? codeOf(error) : 'done'}`)
    server.on('listening', note('listening')).on('close', note('event close'))
    log.add(`${server.listening} ${server.address() === null}`)
    await way.listen(server)
    log.add(`${server.listening} ${server.address() === null}`)
    log.add(thrown(() => server.listen()))
    const count = (): Promise<number> =>
      new Promise((resolve, reject) =>
        server.getConnections((error, n) => (error ? reject(error) : resolve(n))),
      )
    const connection = once(server, 'connection') as Promise<[Socket]>
    const socket = way.net.connect(way.place(server))
    const [other] = await connection
    log.add(`${await count()} open`)
    server.close(note('closed'))
    log.add(`${server.listening} ${server.address() === null}`)
    await new Promise(setImmediate)
    log.add('still open')
    other.end()
    socket.resume().end()
    await once(server, 'close')
    log.add(`${await count()} open`)
    const again = once(server, 'close')
    server.close(note('closed again'))
    await again
    await way.listen(server)
    log.add(`${server.listening}`)
    const end = once(server, 'close')
    server.close()
    await end
    return { server: log.lines }
  },

  'an abort closes a server': async way => {
    const log = new Log()
    const aborts = new AbortController()
    const server = way.net.createServer().on('close', () => log.add('close'))
    server.on('listening', () => log.add('listening'))
    server.listen({ port: 0, signal: aborts.signal })
    await once(server, 'listening')
    const end = once(server, 'close')
    aborts.abort()
    await end
    return { server: log.lines, listening: server.listening }
  },

  'wrong arguments': async way => {
    const { net } = way
    const socket = new net.Socket()
    const calls: Record<string, () => unknown> = {
      'createServer of a text': () => net.createServer(any('x')),
      'createServer of a number': () => new net.Server(any(5)),
      'connect of nothing': () => (net.connect as () => unknown)(),
      'connect of {}': () => net.connect(any({})),
      'setTimeout of a text': () => socket.setTimeout(any('x')),
      'setTimeout below 0': () => socket.setTimeout(-1),
      'setTimeout of NaN': () => socket.setTimeout(Number.NaN),
      'setTimeout without a function': () => socket.setTimeout(1, any('x')),
      'write of null': () => new net.Socket().write(any(null)),
      'write of a number': () => new net.Socket().write(any(5)),
      'write of an object': () => new net.Socket().write(any({})),
      objectMode: () => new net.Socket(any({ objectMode: true })),
      'a listener that is no function': () => void net.createServer({}, any('x')),
      'getConnections without a function': () => void net.createServer(),
    }
    return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, thrown(call)]))
  },

  'what returns the socket': async way => {
    const server = way.net.createServer(socket => socket.resume())
    await way.listen(server)
    const socket = way.net.connect(way.place(server))
    const returned = [
      socket.setTimeout(0),
      socket.setNoDelay(),
      socket.setKeepAlive(true, 5),
      socket.ref(),
      socket.unref(),
      socket.ref(),
      socket.pause(),
      socket.resume(),
      socket.setEncoding('utf8'),
      socket.end(),
    ].map(value => value === socket)
    await once(socket, 'close')
    returned.push(socket.destroy() === socket, socket.resetAndDestroy() === socket)
    const end = once(server, 'close')
    returned.push(server.ref() === server, server.close() === server)
    await end
    return { returned }
  },
}
