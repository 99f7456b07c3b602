// Programs about servers: what Node's own tests of them ask, step by step.
import { getEventListeners, once } from 'node:events'
import type nodeNet from 'node:net'
import {
  any,
  closed,
  codeOf,
  connected,
  errorOf,
  Log,
  nothing,
  type Program,
  served,
  thrownBy,
  turn,
  type Way,
} from './parity-program'

/** Listens where `server` does. */
function listenThere(
  way: Way,
  server: nodeNet.Server,
  other: nodeNet.Server,
  done?: () => void,
): nodeNet.Server {
  return other.listen({ ...way.place(server) } as nodeNet.ListenOptions, done)
}

export const serverPrograms: Readonly<Record<string, Program>> = {
  'a place that is taken, and then another one': served(async (way, server, log) => {
    const other = way.net.createServer()
    other.on('listening', () => log.add(`listening ${other.listening}`)).on('close', () => log.add('close'))
    listenThere(way, server, other, () => log.add('callback'))
    const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException]
    log.add(`${codeOf(error)} ${error.errno} ${error.message.split(' ').slice(0, 2)}`)
    log.add(`${other.listening} ${other.address()} ${other.listenerCount('listening')}`)
    await turn()
    other.listen({ port: 0 }, () => log.add('second callback'))
    await once(other, 'listening')
    const end = once(other, 'close')
    other.close()
    await end
    return {
      keys: Object.keys(error)
        .filter(key => key !== 'port')
        .sort(),
    }
  }),

  'listen again inside of error': served(async (way, server, log) => {
    const other = way.net.createServer()
    other.once('error', error => {
      log.add(`error ${codeOf(error)}`)
      other.listen({ port: 0 }, () => log.add('listening'))
    })
    listenThere(way, server, other)
    await new Promise<void>(resolve => other.once('listening', resolve))
    const end = once(other, 'close')
    other.close()
    await end
    return {}
  }),

  'close of a server that could not listen': served(async (way, server, log) => {
    const other = way.net.createServer().on('close', () => log.add('close'))
    listenThere(way, server, other)
    await once(other, 'error')
    await new Promise<void>(resolve => {
      other.close(error => {
        log.add(`closed ${error && errorOf(error)}`)
        resolve()
      })
    })
    await turn()
    return {}
  }),

  'listen while it listens, and while it is about to': async ({ net }) => {
    const server = net.createServer()
    const log = [thrownBy(() => server.listen({ port: 0 })), thrownBy(() => server.listen({ port: 0 }))]
    await once(server, 'listening')
    log.push(thrownBy(() => server.listen({ port: 0 })))
    const end = once(server, 'close')
    server.close()
    // Not closed yet, though nobody is connected.
    log.push(`${server.listening} ${server.address()}`)
    log.push(thrownBy(() => server.listen({ port: 0 })))
    await end
    await turn()
    server.close()
    await turn()
    return { log }
  },

  'what listen refuses, word for word': async ({ net }) => {
    const calls: Record<string, () => unknown> = {
      'signal of text': () => net.createServer().listen(any({ port: 0, signal: 'x' })),
      'signal {}': () => net.createServer().listen(any({ port: 0, signal: {} })),
      true: () => net.createServer().listen(any(true)),
      false: () => net.createServer().listen(any(false)),
    }
    return Object.fromEntries(
      Object.entries(calls).map(([name, call]) => [name, thrownBy(call).replace(/Received.*|:.*|".*/, '')]),
    )
  },

  'a listener of listening, in each form': async ({ net }) => {
    const log = new Log()
    const forms: ((server: nodeNet.Server, done: () => void) => unknown)[] = [
      (server, done) => server.listen(done),
      (server, done) => server.listen(0, done),
      (server, done) => server.listen(undefined, done),
      (server, done) => server.listen(any(null), done),
      (server, done) => server.listen({ port: 0 }, done),
      (server, done) => server.listen(0, undefined, done),
      (server, done) => server.listen(0, undefined, 5, done),
    ]
    for (const [n, form] of forms.entries()) {
      const server = net.createServer()
      await new Promise<void>(resolve => {
        log.add(`${form(server, resolve) === server} ${server.listenerCount('listening')}`)
      })
      log.add(`${n} ${server.listening} ${server.listenerCount('listening')}`)
      const end = once(server, 'close')
      server.close()
      await end
    }
    return { log: log.lines }
  },

  'what a server shows of its options': async ({ net }) => {
    const shown = (server: object): unknown[] =>
      [
        'allowHalfOpen',
        'pauseOnConnect',
        'noDelay',
        'keepAlive',
        'keepAliveInitialDelay',
        'maxConnections',
        'listening',
        '_connections',
      ].map(name => (server as Record<string, unknown>)[name])
    return {
      plain: shown(net.createServer()),
      set: shown(
        net.createServer({
          allowHalfOpen: true,
          pauseOnConnect: true,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: 5000,
        }),
      ),
      names: net.createServer(nothing).eventNames().map(String),
    }
  },

  'allowHalfOpen and pauseOnConnect, set behind the constructor': served(async (way, server, log) => {
    Object.assign(server, { allowHalfOpen: true, pauseOnConnect: true })
    server.on('connection', socket => {
      log.add(`${socket.allowHalfOpen} ${socket.isPaused()}`)
      socket.on('end', () => socket.end('late'))
      socket.resume()
    })
    const socket = log.watch(connected(way, server))
    socket.end('x')
    await closed(socket)
    return {}
  }),

  'a signal closes a server, in each state': async ({ net }) => {
    const log = new Log()
    const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length
    for (const state of ['before', 'at once', 'listening', 'closed']) {
      const aborts = new AbortController()
      const server = net.createServer()
      for (const name of ['listening', 'close', 'error']) server.on(name, () => log.add(`${state} ${name}`))
      if (state === 'before') aborts.abort()
      const end = once(server, 'close')
      log.add(`${server.listen({ port: 0, signal: aborts.signal }) === server}`)
      if (state === 'at once') aborts.abort()
      if (state === 'listening') server.on('listening', () => aborts.abort())
      if (state === 'closed') server.on('listening', () => server.close())
      await end
      aborts.abort()
      await turn()
      log.add(`${server.listening} ${listeners(aborts.signal)} listeners`)
    }
    return { log: log.lines }
  },

  'close inside of listening and inside of connection': served(async (way, server, log) => {
    server.on('connection', socket => {
      server.close(() => log.add('closed'))
      log.add(`${server.listening}`)
      socket.on('close', () => log.add('socket closed'))
      socket.resume().end('bye')
    })
    server.on('close', () => log.add('close'))
    const end = once(server, 'close')
    const socket = connected(way, server)
    await Promise.all([end, closed(socket.resume())])
    while (!log.lines.includes('socket closed')) await turn()
    return {}
  }),

  'closed twice, with callbacks': served(async (_way, server, log) => {
    const note = (name: string) => (error?: Error) => log.add(`${name} ${error ? codeOf(error) : 'done'}`)
    const end = once(server, 'close')
    server.close(note('first'))
    server.close(note('second'))
    await end
    await turn()
    return { listeners: server.listenerCount('close') }
  }),

  'ref and unref of a server, in each state': async ({ net }) => {
    const server = net.createServer()
    const log = [server.unref() === server, server.ref() === server, server.unref() === server]
    server.listen({ port: 0 })
    server.ref()
    await once(server, 'listening')
    log.push(server.unref() === server, server.ref() === server)
    const end = once(server, 'close')
    server.close()
    log.push(server.unref() === server)
    await end
    return { log }
  },

  'getConnections, called in each state': async way => {
    const log = new Log()
    const server = way.net.createServer()
    const count = (): Promise<string> =>
      new Promise(resolve => {
        let isInside = true
        server.getConnections((error, n) => resolve(`${error} ${n} ${isInside}`))
        isInside = false
      })
    log.add(await count())
    await way.listen(server)
    log.add(await count())
    const end = once(server, 'close')
    server.close()
    log.add(await count())
    await end
    log.add(await count())
    return { log: log.lines }
  },
}
