// A flood of connections or resets beside a stream: what the stream waits for, counted and not timed.
import { once } from 'node:events'
import { over, type Server, type Socket, sockets } from 'selvedge/net'
import { describeFabric } from '../support/fabrics'

const FLOOD = 300
const closed = (emitter: Server): Promise<unknown> =>
  new Promise(resolve => emitter.once('close', () => resolve(undefined)))

for (const kind of ['in-process', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'a neighbour of a flood', fabric => {
    let net = {} as ReturnType<typeof over>
    beforeEach(() => {
      net = over(fabric.client())
    })
    afterEach(async () => {
      while (sockets().length > 0) await new Promise(setImmediate)
    })

    async function neighbours(server: Server): Promise<[here: Socket, there: Socket]> {
      const connection = once(server, 'connection') as Promise<[Socket]>
      const here = net.connect(server.subject!)
      const [[there]] = await Promise.all([connection, once(here, 'connect')])
      return [here, there]
    }

    test('is heard before all connections of the flood are accepted, and each of them is accepted', async () => {
      const server = over(fabric.client()).createServer()
      await once(server.listen('crowd'), 'listening')
      const [here, there] = await neighbours(server)
      let accepted = 0
      server.on('connection', socket => {
        accepted += 1
        socket
          .on('error', () => {})
          .resume()
          .end()
      })
      const flood = Array.from({ length: FLOOD }, () => net.connect('crowd').resume())
      const ends = flood.map(socket => new Promise<boolean>(resolve => socket.on('close', resolve)))
      // Behind the last connect, on the same way.
      here.write('me, too')
      await once(there, 'data')
      expect(accepted).toBeLessThan(FLOOD / 2)
      expect(new Set(await Promise.all(ends))).toEqual(new Set([false]))
      expect(accepted).toBe(FLOOD)
      here.resume().end()
      there.end()
      await closed(server.close())
    })

    test('of connects that are reset at once most are never accepted', async () => {
      const server = over(fabric.client()).createServer()
      await once(server.listen('crowd'), 'listening')
      const [here, there] = await neighbours(server)
      let accepted = 0
      server.on('connection', socket => {
        accepted += 1
        socket.on('error', () => {}).resume()
      })
      for (let n = 0; n < FLOOD; n++)
        net
          .connect('crowd')
          .on('error', () => {})
          .destroy()
      here.end('me, too')
      await once(there, 'data')
      expect(accepted).toBeLessThan(FLOOD / 2)
      there.resume().end()
      here.resume()
      await closed(server.close())
    })
  })
}
