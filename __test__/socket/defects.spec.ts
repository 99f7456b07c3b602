// What the original is known to get wrong and we must not, where no other test shows it (docs/guide/from-conat.md lists them all).
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { Message } from 'selvedge'
import { Client as Peer } from '../interop/peers/client'
import { describeFabric, describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection, join, listening, numbers, pair, take, writeNumbers } from '../support/sockets'

const COMMAND = 'CN-SocketCmd'
const NUMBER = 'CN-SocketSeq'

describeFabrics(
  'a socket',
  fabric => {
    /** Everything that is said on the subjects of the sockets, by a tap that changes nothing. */
    async function tap(): Promise<Message[]> {
      const client = fabric.client()
      const heard: Message[] = []
      client.watch('>', message => heard.push(message))
      await client.syncSubscriptions()
      return heard
    }

    test('acknowledges a burst with far fewer reports than it has messages', async () => {
      const old = { stream: false }
      const { server, socket } = await pair(fabric, { connect: old, listen: old })
      const heard = await tap()
      const received = take(server, 900)
      for (const n of numbers(1, 900)) socket.write(n)
      expect(await received).toEqual(numbers(1, 900))
      await socket.drain()
      const reports = heard.filter(({ headers }) => headers?.[COMMAND] === 'socket')
      // The original needs 900. How many are enough depends on how the burst is cut up on its way.
      expect(reports.length).toBeGreaterThan(0)
      expect(reports.length).toBeLessThan(300)
    })

    test('sends what was queued once, however often it gets ready', async () => {
      const heard = await tap()
      const [host, guest] = [fabric.client(), fabric.client()]
      const socket = guest.socket.connect('chat')
      for (const n of numbers(1, 5)) socket.write(n)
      const listener = host.socket.listen('chat')
      const [server] = await once(listener, 'connection')
      expect(await take(server, 5)).toEqual(numbers(1, 5))
      await socket.drain()
      for (const _ of numbers(1, 3)) {
        const ready = once(socket, 'ready')
        socket.disconnect()
        await ready
      }
      const received = take(server, 1)
      socket.write('last')
      expect(await received).toEqual(['last'])
      await socket.drain()
      const sent = heard.filter(({ headers, subject }) => headers?.[NUMBER] && subject.includes('.server.'))
      const sequence = sent.map(({ headers }) => headers![NUMBER])
      // Only the last of what was not acknowledged yet may be said again.
      expect(sequence.filter(n => n !== 5 && n !== 6)).toEqual([1, 2, 3, 4])
    })

    test('in crowds of 1200 on one client needs no listener of Node for each', async () => {
      const warnings: Error[] = []
      const note = (warning: Error) => warnings.push(warning)
      process.on('warning', note)
      const [host, guest] = [fabric.client(), fabric.client()]
      const listener = await listening(host, 'crowd')
      const sums: number[] = []
      listener.on('connection', socket => socket.on('data', n => sums.push(n)))
      const sockets = numbers(1, 1200).map(n => {
        const socket = guest.socket.connect('crowd')
        socket.write(n)
        return socket
      })
      await Promise.all(sockets.map(socket => socket.drain()))
      expect(sums.sort((a, b) => a - b)).toEqual(numbers(1, 1200))
      await new Promise(setImmediate)
      process.off('warning', note)
      expect(warnings).toEqual([])
    }, 60_000)
  },
  { maxSubscriptionsPerClient: 5000 },
)

describeFabric('conat wire', 'the broker', fabric => {
  test('outlives lists of subscriptions with anything in them', async () => {
    const peer = new Peer(`http://127.0.0.1:${fabric.broker.address()!.port}`)
    await peer.untilReady()
    for (const list of [[null], [7, 'a', []], [{ subject: '__proto__.polluted', queue: 'q' }, null], null]) {
      peer.io.emit('subscribe', list)
      peer.io.emit('unsubscribe', list)
    }
    peer.io.emit('publish', ['__proto__.polluted', 'id', 0, 1, 0, Buffer.from([1])])
    const client = fabric.client()
    const subscription = await client.subscribe('a')
    expect((await client.publish('a', 'alive')).count).toBe(1)
    expect((await subscription.next()).value?.data).toBe('alive')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    peer.close()
  })

  test('agrees to no compression', async () => {
    const { port } = fabric.broker.address()!
    const asked = httpRequest({
      host: '127.0.0.1',
      port,
      path: '/conat/?EIO=4&transport=websocket',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits',
      },
    })
    const upgraded = once(asked, 'upgrade')
    asked.end()
    const [answer, socket] = await upgraded
    expect(answer.statusCode).toBe(101)
    expect(answer.headers['sec-websocket-extensions']).toBeUndefined()
    socket.destroy()
  })
})

for (const kind of ['conat wire', 'selvedge wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'a broker that restarts on its port', fabric => {
    test('has 499 subscriptions, the inbox and a socket alive again when `ready` is told', async () => {
      const [client, other] = [fabric.client(), fabric.client()]
      const listener = await listening(other, 'chat')
      const [server, socket] = await join(listener, client)
      const count = 497
      const heard: number[] = []
      for (const n of numbers(1, count)) {
        client.subscribeSync(`many.${n}`).emitter.on('message', ({ data }) => heard.push(data))
      }
      await client.syncSubscriptions()
      await other.service('math', { add: (a: number, b: number) => a + b })
      const received = take(server, 200)
      const writing = writeNumbers(socket, 1, 200)
      const back = Promise.all([once(client, 'inbox'), once(other, 'inbox')])
      await fabric.replaceBroker()
      await back
      const published = numbers(1, count).map(n => other.publish(`many.${n}`, n))
      expect((await Promise.all(published)).filter(one => one.count !== 1)).toEqual([])
      expect(await client.call('math').add(1, 2)).toBe(3)
      expect(heard.sort((a, b) => a - b)).toEqual(numbers(1, count))
      await writing
      expect(await received).toEqual(numbers(1, 200))
    })
  })
}

describeFabrics('a service whose process is gone', fabric => {
  test('is 503 at once for who asks it, and never a timeout', async () => {
    const [host, guest] = [fabric.client({ reconnection: false }), fabric.client()]
    await host.service('math', { add: (a: number, b: number) => a + b })
    expect(await guest.call('math').add(1, 2)).toBe(3)
    const lost = disconnection(host)
    host.conn.io.engine.close()
    await lost
    // The broker learns of it a moment after the client.
    while (await guest.interest('math'));
    const asked = [
      guest.call('math', { timeout: 60_000 }).add(1, 2),
      guest.request('math', null, { timeout: 60_000 }),
    ]
    for (const one of asked) expect(await rejection(one)).toMatchObject({ code: 503 })
  })
})
