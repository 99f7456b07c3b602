// A flood of connections or resets beside a stream: what the stream waits for, counted and not timed.
import { once } from 'node:events'
import { over, type Server, type Socket, sockets } from 'selvedge/net'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'

const FLOOD = 300
/** Of new connections: what came behind them is handled in between. */
const MAX_A_TURN = 64
const closed = (emitter: Server): Promise<unknown> =>
  new Promise(resolve => emitter.once('close', () => resolve(undefined)))

for (const kind of ['in-process', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'a neighbour of a flood', fabric => {
    let net = {} as ReturnType<typeof over>
    beforeEach(() => {
      net = over(fabric.client())
    })
    afterEach(async () => {
      await until(() => sockets().length === 0)
    })

    async function neighbours(server: Server): Promise<[here: Socket, there: Socket]> {
      const connection = once(server, 'connection') as Promise<[Socket]>
      const here = net.connect(server.subject!)
      const [[there]] = await Promise.all([connection, once(here, 'connect')])
      // The turn in which it was accepted is over.
      await new Promise(setImmediate)
      return [here, there]
    }

    /** Counts the connections of a server, and the most in one turn of the event loop. */
    function count(server: Server): { accepted: number; inOneTurn: number } {
      const counts = { accepted: 0, inOneTurn: 0 }
      let now = 0
      server.on('connection', () => {
        if (now === 0) setImmediate(() => (now = 0))
        now += 1
        counts.accepted += 1
        counts.inOneTurn = Math.max(counts.inOneTurn, now)
      })
      return counts
    }

    test('waits for so many of its connections in a turn, and each of them is accepted', async () => {
      const server = over(fabric.client()).createServer()
      await once(server.listen('crowd'), 'listening')
      const [here, there] = await neighbours(server)
      const counts = count(server)
      server.on('connection', socket => {
        socket
          .on('error', () => {})
          .resume()
          .end()
      })
      const flood = Array.from({ length: FLOOD }, () => net.connect('crowd').resume())
      const ends = flood.map(socket => new Promise<boolean>(resolve => socket.on('close', resolve)))
      here.write('me, too')
      await once(there, 'data')
      expect(new Set(await Promise.all(ends))).toEqual(new Set([false]))
      expect(counts.accepted).toBe(FLOOD)
      expect(counts.inOneTurn).toBeLessThanOrEqual(MAX_A_TURN)
      here.resume().end()
      there.end()
      await closed(server.close())
    })

    test('waits for so many of those that are reset at once, and nothing of them stays', async () => {
      const server = over(fabric.client()).createServer()
      await once(server.listen('crowd'), 'listening')
      const [here, there] = await neighbours(server)
      const counts = count(server)
      server.on('connection', socket => socket.on('error', () => {}).resume())
      for (let n = 0; n < FLOOD; n++)
        net
          .connect('crowd')
          .on('error', () => {})
          .destroy()
      here.end('me, too')
      await once(there, 'data')
      expect(counts.inOneTurn).toBeLessThanOrEqual(MAX_A_TURN)
      there.resume().end()
      here.resume()
      await closed(server.close())
    })
  })
}
