// Requests over a socket whose other side leaves, made before this side knows: no handler has had them, and they say so.
import { once } from 'node:events'
import type { Client, ConatSocketClient, ConatSocketServer, FabricError } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { join, listening } from '../support/sockets'

type Leave = (listener: ConatSocketServer, host: Client) => unknown

const LEAVES: Record<string, Leave> = {
  'its close': listener => listener.close(),
  'its drain': listener => listener.drain({ spread: 0 }),
  'the close of its client': (_, host) => host.close(),
  'the drain of its client': (_, host) => host.drain({ spread: 0 }),
}

const failures = (outcomes: FabricError[]) => outcomes.map(({ code, handled }) => ({ code, handled }))

describeFabrics('a request that no handler has had', fabric => {
  for (const [how, leave] of Object.entries(LEAVES)) {
    test(`says so when the server leaves by ${how}, whenever it is made`, async () => {
      const host = fabric.client()
      const listener = await listening(host, 'work')
      const handled = new Set<unknown>()
      listener.on('connection', socket =>
        socket.on('request', request => {
          handled.add(request.data)
          request.respondSync(request.data)
        }),
      )
      const asked: [n: number, outcome: Promise<unknown>][] = []
      const sockets = await Promise.all(
        Array.from({ length: 20 }, () => join(listener, fabric.client()).then(([, socket]) => socket)),
      )
      const ask = (socket: ConatSocketClient): void => {
        const n = asked.length
        asked.push([
          n,
          socket.request(n).then(
            () => undefined,
            error => error,
          ),
        ])
      }
      const gone = sockets.map(socket => once(socket, 'closed').then(() => ask(socket)))
      // One is made whenever something has come: also in the turn in which the end has, and is not known yet.
      for (const socket of sockets) socket.on('data', () => ask(socket))
      for (const peer of Object.values(listener.sockets)) for (let n = 0; n < 5; n++) peer.write(n)
      await leave(listener, host)
      await Promise.all(gone)
      const outcomes = await Promise.all(asked.map(async ([n, outcome]) => [n, await outcome] as const))
      const lost = outcomes.filter(([n, error]) => error !== undefined && !handled.has(n))
      expect(lost.length).toBeGreaterThanOrEqual(sockets.length)
      const unsaid = lost.map(([, error]) => error as FabricError).filter(error => error.handled !== false)
      expect(failures(unsaid)).toEqual([])
      const lies = outcomes.filter(
        ([n, error]) => handled.has(n) && (error as FabricError)?.handled === false,
      )
      expect(lies).toEqual([])
    })
  }

  test('says so when it is made of a socket that is closed', async () => {
    const listener = await listening(fabric.client(), 'work')
    const guest = fabric.client()
    const [, socket] = await join(listener, guest)
    socket.close()
    const many = socket.requestMany(1)
    const outcomes = [socket.request(1), many.next()].map(rejection)
    expect(failures((await Promise.all(outcomes)) as FabricError[])).toEqual(
      Array(2).fill({ code: 'ERR_CLOSED', handled: false }),
    )
  })

  test('says so when it waited for the next server, and the socket was closed', async () => {
    const host = fabric.client()
    const listener = await listening(host, 'work')
    const [, socket] = await join(listener, fabric.client(), { renew: true })
    const outcome = new Promise<Error>(resolve => {
      socket.once('disconnected', () => {
        resolve(rejection(socket.request(1)))
        socket.close()
      })
    })
    listener.close()
    expect(await outcome).toMatchObject({ code: 'EPIPE', handled: false })
  })
})
