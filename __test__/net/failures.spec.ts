// What an error of a stream says beside its code: why, and how much has not arrived; and who is chosen to connect to.
import { once } from 'node:events'
import { connect } from 'selvedge'
import { over, type Server, type Socket, sockets } from 'selvedge/net'
import { closed, until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { disconnection } from '../support/sockets'

type Failure = NodeJS.ErrnoException & { undelivered?: number; cause?: { code?: unknown } }

const failure = (emitter: Socket | Server): Promise<Failure> =>
  new Promise(resolve => emitter.once('error', error => resolve(error as Failure)))
const gone = async (): Promise<void> => {
  await until(() => sockets().length === 0)
}

test('a connect that the fabric is away for says why in its cause', async () => {
  const client = connect({ address: 'http://127.0.0.1:1', noCache: true, reconnectionDelay: 5 })
  const socket = over(client).connect('x', { connectTimeout: 200 })
  const error = await failure(socket)
  expect(error).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect', address: 'x' })
  expect(error.cause?.code).toBe('ECONNREFUSED')
  await gone()
  await client.close()
})

test('a listen that the fabric is away for ends after its minute, and may be called again', async () => {
  const client = connect({ address: 'http://127.0.0.1:1', noCache: true, reconnectionDelay: 5 })
  const timers = require('../../dist/async/timer.js') as { startTimer(ms: number, run: () => void): unknown }
  const spy = jest.spyOn(timers, 'startTimer')
  try {
    const server = over(client).createServer()
    for (const subject of ['first', 'second']) {
      const events: string[] = []
      server.removeAllListeners().on('listening', () => events.push('listening'))
      server
        .on('error', error => events.push((error as Failure).code!))
        .on('close', () => events.push('close'))
      server.listen(subject)
      expect(server.address()).toMatchObject({ subject })
      const [ms, run] = spy.mock.calls.at(-1)!
      expect(ms).toBe(60_000)
      // As if it were over.
      run()
      expect([events, server.listening, server.address()]).toEqual([['ETIMEDOUT'], false, null])
    }
  } finally {
    spy.mockRestore()
  }
  await gone()
  await client.close()
})

let isRevoked = false
describeFabrics(
  'failures',
  fabric => {
    beforeEach(() => {
      isRevoked = false
    })

    test.each(['at once', 'in a reconnect'])(
      'a subject that is taken back %s ends its server',
      async when => {
        const client = fabric.client()
        const server = over(client).createServer(socket => socket.on('error', () => {}).resume())
        await once(server.listen('revoked.door'), 'listening')
        const here = over(fabric.client())
          .connect('revoked.door')
          .on('error', () => {})
        await once(here, 'connect')
        const events: string[] = []
        server
          .on('error', error => events.push((error as Failure).code!))
          .on('close', () => events.push('close'))
        const ends = [closed(server), closed(here)]
        const refused = failure(server)
        isRevoked = true
        if (when === 'at once') fabric.broker.revalidate()
        else {
          const away = disconnection(client)
          client.disconnect()
          await away
          client.connect()
        }
        const error = await refused
        expect(error).toMatchObject({ code: 'EACCES', syscall: 'listen' })
        expect(error.cause?.code).toBe(403)
        expect([server.listening, server.address()]).toEqual([false, null])
        await Promise.all(ends)
        expect(events).toEqual(['EACCES', 'close'])
        await gone()
      },
    )

    test('who is cut off is told how many bytes have not arrived, and why', async () => {
      const server = over(fabric.client()).createServer({ pauseOnConnect: true })
      const connection = once(server, 'connection') as Promise<[Socket]>
      await once(server.listen('cut'), 'listening')
      const here = over(fabric.client()).connect('cut')
      const [[there]] = await Promise.all([connection, once(here, 'connect')])
      await new Promise(resolve => here.write(Buffer.alloc(1000), resolve))
      const lost = failure(here)
      there.on('error', () => {}).resetAndDestroy()
      const error = await lost
      expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read', undelivered: 1000 })
      expect(error.cause?.code).toBe('ERR_SOCKET_CLOSED_BY_PEER')
      await new Promise(resolve => server.close(resolve))
      await gone()
    })

    test('a load balancer chooses among servers that share a subject', async () => {
      const servers = ['one', 'two'].map(name =>
        over(fabric.client()).createServer(socket => void socket.end(name)),
      )
      for (const server of servers)
        await once(server.listen({ subject: 'shared', reusePort: true }), 'listening')
      const ids = sockets({ state: 'LISTEN' }).map(({ id }) => id)
      const net = over(fabric.client())
      for (const [at, id] of ids.entries()) {
        const asked: string[] = []
        const socket = net.connect('shared', {
          loadBalancer: subject => {
            asked.push(subject)
            return Promise.resolve(id)
          },
        })
        expect(String((await once(socket, 'data'))[0])).toBe(['one', 'two'][at])
        expect(asked).toEqual(['shared'])
        await closed(socket)
      }
      await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
      await gone()
    })
  },
  {
    isAllowed: ({ type, subject }) =>
      !isRevoked || type === 'pub' || !subject.startsWith('revoked.door.server.'),
  },
)
