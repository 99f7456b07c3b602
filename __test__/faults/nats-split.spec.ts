// A cluster of NATS that falls into two halves: both live on, sockets across are away and come back, or move to a server on
// their own side.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, type FabricError, init } from 'selvedge'
import { rejection } from '../support/messages'
import { describeNats, SplittableCluster } from '../support/nats'
import { disconnection, join, listening, take } from '../support/sockets'

describeNats('a cluster of NATS that is split', () => {
  let cluster: SplittableCluster
  const clients: Client[] = []
  const gateways: ConatServer[] = []

  beforeAll(async () => {
    cluster = await SplittableCluster.start()
  })
  afterEach(async () => {
    await cluster.heal()
    await Promise.all(clients.splice(0).map(client => client.close()))
    await Promise.all(gateways.splice(0).map(gateway => gateway.close()))
  })
  afterAll(() => cluster.close())

  /** A maker of clients of each half. */
  async function halves(way: string): Promise<(() => Client)[]> {
    const addresses = cluster.nodes.map(node => node.address)
    if (way === 'by gateways') {
      const made = addresses.map(upstream => init({ port: 0, upstream }))
      gateways.push(...made)
      await Promise.all(made.map(gateway => gateway.waitUntilReady()))
      addresses.splice(0, 2, ...made.map(gateway => String(gateway.address())))
    }
    return addresses.map(address => () => {
      const client = connect({ address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 })
      clients.push(client)
      return client
    })
  }

  describe.each(['directly', 'by gateways'])('%s', way => {
    test('sockets across it are away, and go on when it is whole; each half lives on', async () => {
      const [left, right] = (await halves(way)) as [() => Client, () => Client]
      const [host, guest] = [left(), right()]
      const listener = await listening(host, 'chat')
      await guest.waitForInterest('chat.server.status')
      const [there, socket] = await join(listener, guest)
      const received = [take(there, 3), take(socket, 3)]
      for (const end of [there, socket]) await end.send('before')
      // Nobody answers it.
      there.on('request', () => {})
      const asked = once(there, 'request')
      const open = rejection(socket.request('never answered', { timeout: 60_000 }))
      await asked
      const service = await host.subscribe('service')
      service.emitter.on('message', message => message.respondSync(message.data))
      await guest.waitForInterest('service')
      const own = await Promise.all(
        [left, right].map(async (half, n) => join(await listening(half(), `own${n}`), half())),
      )

      const away = [there, socket].map(end => disconnection(end))
      await cluster.split()
      for (const end of [there, socket]) end.write('during')
      for (const [reason] of await Promise.all(away)) expect(reason).toMatchObject({ code: 'ERR_PEER_ENDED' })
      expect(await open).toMatchObject({ code: 'EPIPE' })
      expect(await rejection(guest.request('service', 1))).toMatchObject({ code: 503 })
      for (const [ownThere, ownSocket] of own) {
        const got = [take(ownThere, 1), take(ownSocket, 1)]
        ownThere.write('down')
        ownSocket.write('up')
        expect(await Promise.all(got)).toEqual([['up'], ['down']])
      }

      const ready = [there, socket].map(end => once(end, 'ready'))
      await cluster.heal()
      await Promise.all(ready)
      for (const end of [there, socket]) end.write('after')
      const all = ['before', 'during', 'after']
      expect(await Promise.all(received)).toEqual([all, all])
      expect((await guest.request('service', 2, { timeout: 15_000 })).data).toBe(2)
      service.close()
    }, 60_000)

    test('a socket moves on when there is another server on its side, and says what it has not delivered', async () => {
      const [left, right] = (await halves(way)) as [() => Client, () => Client]
      const [host, guest] = [left(), right()]
      const listener = await listening(host, 'chat')
      await guest.waitForInterest('chat.server.status')
      const [there, socket] = await join(listener, guest)
      const other = await listening(right(), 'chat')
      const first = take(there, 1)
      await socket.send('before')
      expect(await first).toEqual(['before'])
      const [lost, left_] = [once(socket, 'closed'), disconnection(there)]
      await cluster.split()
      socket.write('lost')
      const [reason, undelivered] = (await lost) as [FabricError, number]
      expect(reason).toMatchObject({ code: 'ERR_SOCKET_LOST', cause: { code: 'ERR_PEER_ENDED' } })
      expect([undelivered, socket.undelivered().map(message => message.data)]).toEqual([1, ['lost']])
      const [, next] = await join(other, guest)
      expect(next.state).toBe('ready')
      // The half without the client learns of it when it looks.
      there.write('hello?')
      await left_
    }, 60_000)
  })
})
