// What functions of `listener.use` return, and what they throw when they have decided already; and what a refused client knows.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { FabricError, type ServerSocket } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { listening } from '../support/sockets'

const ROOT = join(__dirname, '../..')

type Middleware = (socket: ServerSocket, next: (error?: unknown) => void) => unknown

describeFabrics('a function that decides about connections', fabric => {
  test('refuses by an error or `false` that it returns or resolves with, and with what it names', async () => {
    const no = new FabricError('not you', 'E_TOKEN')
    const ways: [Middleware, string | number][] = [
      [_ => no, 'E_TOKEN'],
      [async _ => no, 'E_TOKEN'],
      [_ => false, 403],
      [async _ => false, 403],
      [_ => new Error('no'), 403],
      [(_, _next) => no, 'E_TOKEN'],
      [async (_, _next) => no, 'E_TOKEN'],
      [(_, _next) => false, 403],
    ]
    for (const [at, [middleware, code]] of ways.entries()) {
      const listener = await listening(fabric.client(), `vault${at}`)
      listener.use(middleware)
      listener.on('connection', () => {
        throw Error(`way ${at} has let it in`)
      })
      const socket = fabric.client().socket.connect(`vault${at}`)
      const [reason] = await once(socket, 'closed')
      expect([at, reason.code]).toEqual([at, code])
    }
  })

  test('lets in by anything else that it returns', async () => {
    const listener = await listening(fabric.client(), 'vault')
    for (const returned of [undefined, null, true, 0, '', {}]) listener.use(_ => returned)
    listener.use((_, next) => {
      next()
      return false
    })
    const connection = once(listener, 'connection')
    fabric.client().socket.connect('vault')
    await connection
  })
})

test('what it throws, rejects with or says behind its `next()` is an uncaught exception, unless it has said so before', () => {
  const program = `
    const { once } = require('node:events')
    const { init } = require('selvedge')
    process.on('uncaughtException', error => console.log('uncaught', error.message))
    void (async () => {
      const client = init({ port: null }).client()
      const listener = client.socket.listen('vault')
      listener.use((_, next) => { next(); next(undefined); throw Error('thrown') })
      listener.use(async (_, next) => { next(); throw Error('rejected') })
      listener.use((_, next) => { next(); next(Error('said')) })
      listener.use((_, next) => {
        const refusal = Error('twice the same')
        next(refusal)
        throw refusal
      })
      const [reason] = await once(client.socket.connect('vault'), 'closed')
      console.log('closed', reason.message)
      process.exit()
    })()
  `
  const { stdout } = spawnSync(process.execPath, ['-e', program], { cwd: ROOT, encoding: 'utf8' })
  expect(stdout.split('\n')).toEqual([
    'uncaught thrown',
    'uncaught rejected',
    'uncaught said',
    'closed twice the same',
    '',
  ])
})

describeFabrics('a client that is refused', fabric => {
  test('knows how many of its messages are undelivered', async () => {
    const no = new FabricError('no', 'E_NO')
    const ways: Record<string, (socket: ServerSocket, next: (error?: unknown) => void) => void> = {
      throws: () => {
        throw no
      },
      'next(error)': (_, next) => next(no),
      'in a room': (socket, next) => {
        socket.join('out')
        next()
      },
      'says nothing': (_socket, _next) => {},
    }
    for (const [at, [way, middleware]] of Object.entries(ways).entries()) {
      const listener = await listening(fabric.client(), `door${at}`, { middlewareTimeout: 50 })
      listener.use(middleware)
      listener.on('connection', () => listener.to('out').close(no))
      const socket = fabric.client().socket.connect(`door${at}`)
      socket.write(1)
      socket.write(2)
      const [reason, undelivered] = await once(socket, 'closed')
      expect([way, reason.code]).toEqual([way, way === 'says nothing' ? 408 : 'E_NO'])
      expect([way, reason.undelivered]).toEqual([way, undelivered])
      expect([way, socket.undelivered().length]).toEqual([way, undelivered])
    }
  })
})
