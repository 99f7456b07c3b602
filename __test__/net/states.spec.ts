// netstat through every state of TCP's diagram, and what is told of a fabric that does not permit something.
import { once } from 'node:events'
import { over as dgramOver } from 'selvedge/dgram'
import { over, type Server, type Socket, sockets } from 'selvedge/net'
import { failure, untilTurn } from '../support/events'
import { describeFabric, describeFabrics } from '../support/fabrics'

const closed = (emitter: NodeJS.EventEmitter): Promise<unknown> =>
  new Promise(resolve => emitter.once('close', () => resolve(undefined)))
const gone = (): Promise<void> => untilTurn(() => sockets().length === 0)
/** The state of one end: of the connecting one the local address is the id of the session. */
const stateOf = (socket: Socket): string | undefined => {
  const { id } = socket.session!
  const isHere = socket.localAddress === id
  return sockets({ id }).find(({ local }) => local.startsWith(id) === isHere)?.state
}

for (const kind of ['in-process', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'states', fabric => {
    const halves = { allowHalfOpen: true }
    async function pair(): Promise<{ server: Server; here: Socket; there: Socket }> {
      const server = over(fabric.client()).createServer(halves)
      await once(server.listen(), 'listening')
      const connection = once(server, 'connection') as Promise<[Socket]>
      const here = over(fabric.client()).connect({ subject: server.subject!, ...halves })
      const [[there]] = await Promise.all([connection, once(here, 'connect')])
      return { server, here, there }
    }

    test('SYN_SENT, SYN_RECEIVED, ESTABLISHED', async () => {
      const here = over(fabric.client()).connect('late', { wait: true })
      await untilTurn(() => sockets({ state: 'SYN_SENT' }).length === 1)
      let decide = (): void => {}
      const server = over(fabric.client()).createServer({
        accept: () => new Promise<void>(resolve => (decide = resolve)),
      })
      server.on('connection', socket => socket.resume())
      await once(server.listen('late'), 'listening')
      await untilTurn(() => sockets({ state: 'SYN_RECEIVED' }).length === 1)
      expect(sockets({ state: 'LISTEN' })[0]).toMatchObject({ recvQ: 1 })
      decide()
      await once(here, 'connect')
      expect(sockets({ state: 'ESTABLISHED' })).toHaveLength(2)
      here.resume().end()
      await closed(here)
      await closed(server.close())
      await gone()
    })

    test('FIN_WAIT1, FIN_WAIT2 and CLOSE_WAIT, LAST_ACK', async () => {
      const { server, here, there } = await pair()
      there.pause()
      here.end('unread')
      await untilTurn(() => stateOf(here) === 'FIN_WAIT1')
      expect(stateOf(there)).toBe('ESTABLISHED')
      there.resume()
      await untilTurn(() => stateOf(here) === 'FIN_WAIT2' && stateOf(there) === 'CLOSE_WAIT')
      here.pause()
      there.end(Buffer.alloc(500_000))
      await untilTurn(() => stateOf(there) === 'LAST_ACK')
      here.resume()
      await Promise.all([closed(here), closed(there)])
      await closed(server.close())
      await gone()
    })

    // In one process it is over before anybody can look.
    const testOverNetworks = kind === 'in-process' ? test.skip : test
    testOverNetworks('TIME_WAIT, while the end of the session is on its way', async () => {
      const seen = new Set<string>()
      while (!seen.has('TIME_WAIT')) {
        const { server, here, there } = await pair()
        let isOver = false
        void Promise.all([closed(here), closed(there)]).then(() => {
          isOver = true
        })
        for (const end of [here, there]) end.resume().end('bye')
        while (!isOver) {
          for (const { state } of sockets()) seen.add(state)
          await new Promise(setImmediate)
        }
        await closed(server.close())
      }
      await gone()
    })

    test('CLOSING, and nothing behind it', async () => {
      const { server, here, there } = await pair()
      there.pause()
      here.resume().end(Buffer.alloc(500_000))
      await untilTurn(() => stateOf(here) === 'FIN_WAIT1')
      there.end()
      await untilTurn(() => stateOf(here) === 'CLOSING')
      there.resume()
      await Promise.all([closed(here), closed(there)])
      await closed(server.close())
      await gone()
    })
  })
}

describeFabrics(
  'what is not permitted',
  fabric => {
    test('is EACCES, of listen, connect, bind, send and addMembership', async () => {
      const client = fabric.client()
      await client.waitUntilReady()
      const [net, dgram] = [over(client), dgramOver(client)]
      const server = net.createServer()
      expect(await failure(server.listen('secret.door'))).toMatchObject({
        code: 'EACCES',
        syscall: 'listen',
        address: 'secret.door',
      })
      expect([server.listening, server.address()]).toEqual([false, null])
      for (const wait of [false, true]) {
        const here = net.connect('secret.door', { wait })
        const end = closed(here)
        expect(await failure(here)).toMatchObject({
          code: 'EACCES',
          syscall: 'connect',
          address: 'secret.door',
        })
        await end
      }
      const desk = dgram.createSocket('subject')
      expect(await failure(desk.bind('secret.desk'))).toMatchObject({ code: 'EACCES', syscall: 'bind' })
      await once(desk.bind('open.desk'), 'listening')
      desk.addMembership('secret.*')
      expect(await failure(desk)).toMatchObject({ code: 'EACCES', syscall: 'addMembership' })
      // It is still there.
      const heard = once(desk, 'message')
      desk.send('to myself', 'open.desk')
      expect(String((await heard)[0])).toBe('to myself')
      await new Promise<void>(resolve => void desk.close(resolve))
      await once(server.listen('open.door'), 'listening')
      await closed(server.close())
      await gone()
    })
  },
  { isAllowed: ({ subject }) => !subject.startsWith('secret.') },
)
