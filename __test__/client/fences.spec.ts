// Who leaves handles what it was given before it left, and nobody waits for it.
import { once } from 'node:events'
import type { Client, ConatSocketClient, ServerSocket, Subscription } from 'selvedge'
import { describeFabrics, LARGE_PAYLOADS } from '../support/fabrics'
import { rejection } from '../support/messages'
import { listening, numbers } from '../support/sockets'

describeFabrics('the fence of a subscription', fabric => {
  test.each([
    ['subscription', (subscription: Subscription) => subscription.drain()],
    ['client', (_: Subscription, client: Client) => client.drain({ deadline: 20_000, spread: 0 })],
  ])('what a %s that drains was given is handled', async (_, drain) => {
    const [asker, leaver, stayer] = [fabric.client(), fabric.client(), fabric.client()]
    const handled: number[] = []
    const open = (client: Client) => client.subscribe('jobs', { queue: 'workers' })
    const [leaving, staying] = [await open(leaver), await open(stayer)]
    const read = async (subscription: Subscription) => {
      for await (const { data } of subscription) handled.push(data)
    }
    const loops = [read(leaving), read(staying)]
    await asker.waitUntilReady()
    let drained: Promise<void> | undefined
    const counts: number[] = []
    for (let round = 0; round < 20; round++) {
      const published = numbers(1, 25).map(n => asker.publish('jobs', round * 25 + n))
      if (round === 8) drained = drain(leaving, leaver)
      counts.push(...(await Promise.all(published)).map(({ count }) => count))
    }
    await drained
    await staying.drain()
    await Promise.all(loops)
    expect(counts.every(count => count === 1)).toBe(true)
    expect(handled.sort((a, b) => a - b)).toEqual(numbers(1, 500))
  })

  test('two subscriptions of a client that drain at once, while it subscribes to more, handle all they were given', async () => {
    const [asker, leaver, stayer] = [fabric.client(), fabric.client(), fabric.client()]
    const handled = new Set<number>()
    const open = (client: Client) => client.subscribe('jobs', { queue: 'workers' })
    const read = async (subscription: Subscription) => {
      for await (const { data } of subscription) handled.add(data)
    }
    const staying = await open(stayer)
    const loops = [read(staying)]
    await asker.waitUntilReady()
    for (const round of numbers(0, 9)) {
      const leaving = [await open(leaver), await open(leaver)]
      loops.push(...leaving.map(read))
      const published = numbers(1, 100).map(n => asker.publish('jobs', round * 100 + n))
      if (round % 2 > 0) await published[0]
      const drained = leaving.map(subscription => subscription.drain())
      const more = leaver.subscribe(`more.${round}`)
      const counts = (await Promise.all(published)).map(({ count }) => count)
      expect(counts.every(count => count === 1)).toBe(true)
      await Promise.all([...drained, more])
    }
    await staying.drain()
    await Promise.all(loops)
    expect([...handled].sort((a, b) => a - b)).toEqual(numbers(1, 1000))
  })

  test('who subscribes again while a drain goes on gets what comes from then on', async () => {
    const [asker, client] = [fabric.client(), fabric.client()]
    const old = await client.subscribe('news')
    const drained = old.drain()
    const next = client.subscribe('news', { queue: 'another' })
    await drained
    expect([old.ended, (await next).ended]).toEqual([true, false])
    await asker.publish('news', 'late')
    expect((await (await next).next()).value?.data).toBe('late')
    expect((await old.next()).done).toBe(true)
  })

  test('a drain that has a deadline drops what was not handled by then, and says how much', async () => {
    const [asker, client] = [fabric.client(), fabric.client()]
    const slow = await client.subscribe('slow')
    for (const n of numbers(1, 5)) await asker.publish('slow', n)
    await slow.next()
    expect(await rejection(slow.drain({ deadline: 50 }))).toMatchObject({ code: 408, left: 4 })
    expect([slow.ended, slow.dropped]).toEqual([true, 4])
    expect(await rejection(slow.drain())).toMatchObject({ code: 408, left: 4 })
    expect(await rejection(slow.drain({ deadline: -1 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  test('a service that drains answers the calls that it has, and no more', async () => {
    const [caller, host, other] = [fabric.client(), fabric.client(), fabric.client()]
    let [begin, finish] = [() => {}, () => {}]
    const begun = new Promise<void>(resolve => (begin = resolve))
    const done = new Promise<void>(resolve => (finish = resolve))
    const service = await host.service('math', {
      async slow() {
        begin()
        await done
        return 'done'
      },
      who: () => 'the first',
    })
    const math = caller.call<{ slow(): Promise<string>; who(): Promise<string> }>('math')
    const asked = math.slow()
    await begun
    const drained = service.drain()
    await other.service('math', { who: () => 'the second' })
    // It is out of the choice as soon as another one who asks the same broker has an answer.
    await host.request('nobody').catch(() => {})
    expect(await Promise.all(numbers(1, 10).map(() => math.who()))).toEqual(Array(10).fill('the second'))
    let isDrained = false
    void drained.then(() => (isDrained = true))
    await new Promise(setImmediate)
    expect(isDrained).toBe(false)
    finish()
    expect(await asked).toBe('done')
    await drained
  })

  test('no call fails while ten members of a group drain, one after the other', async () => {
    const callers = numbers(1, 5).map(() => fabric.client())
    const serve = async (): Promise<Client> => {
      const client = fabric.client()
      await client.service('math', { square: (n: number) => n * n })
      return client
    }
    const members = await Promise.all(numbers(1, 10).map(serve))
    let isOver = false
    let calls = 0
    const work = callers.flatMap(caller => {
      const math = caller.call<{ square(n: number): Promise<number> }>('math')
      return numbers(1, 10).map(async n => {
        for (; !isOver; calls++) expect(await math.square(n)).toBe(n * n)
      })
    })
    for (const member of members) {
      const next = await serve()
      await member.drain({ deadline: 20_000, spread: 0 })
      members.push(next)
      if (members.length === 20) break
    }
    isOver = true
    await Promise.all(work)
    expect(calls).toBeGreaterThan(100)
  })
})

describeFabrics(
  'the fence of a subscription, for large messages',
  fabric => {
    fabric.testExceptAtGateways(
      'a message in chunks that was begun for one that drains is handled there',
      async () => {
        const [asker, leaver] = [fabric.client(), fabric.client()]
        const leaving = await leaver.subscribe('jobs', { queue: 'workers' })
        await asker.waitUntilReady()
        const big = Buffer.alloc(20_000_000, 'x')
        const published = asker.publish('jobs', big)
        const first = leaving.next()
        // What has been published before the drain is begun is before it at the broker, or its first chunk is.
        const drained = leaving.drain()
        const { count } = await published
        if (count === 1) expect((await first).value?.data).toHaveLength(big.length)
        else leaving.close()
        await drained
      },
    )
  },
  undefined,
  LARGE_PAYLOADS,
)

describeFabrics('the fence of a socket server', fabric => {
  test.each(['server', 'client'])(
    'a %s that drains answers nobody, and its clients are with the next one at once',
    async who => {
      const [host, guest, next] = [fabric.client(), fabric.client(), fabric.client()]
      const listener = await listening(host, 'desk', { id: 'first' })
      const sockets = numbers(1, 5).map(() => guest.socket.connect('desk'))
      await Promise.all(sockets.map(socket => socket.waitUntilReady()))
      const gone = Promise.all(sockets.map(socket => once(socket, 'closed')))
      const drained = (who === 'server' ? listener : host).drain({ deadline: 20_000, spread: 0 })
      // Some are too late, and some are not: none is left with it.
      const late = numbers(1, 5).map(() => guest.socket.connect('desk'))
      await Promise.all([drained, gone])
      expect(await guest.interest('desk.server.status')).toBe(false)
      const second = await listening(next, 'desk', { id: 'second' })
      const back = [...late, ...sockets.map(() => guest.socket.connect('desk'))]
      await Promise.all(back.map(socket => socket.waitUntilReady(20_000)))
      // The engine writes before it reports: what one client tells may come before what another one does.
      while (Object.keys(second.sockets).length < 10) await once(second, 'connection')
      expect(Object.keys(second.sockets)).toHaveLength(10)
    },
  )
})

describeFabrics('two socket servers with one id', fabric => {
  const takesOver = fabric.kind === 'conat wire' ? test.skip : fabric.testAtOneBroker

  takesOver('the newer takes over, and the older is told and takes nothing more', async () => {
    const [first, second, guest] = [fabric.client(), fabric.client(), fabric.client()]
    const handled: [who: string, data: number][] = []
    const serve = async (client: Client, who: string) => {
      const listener = await listening(client, 'orders', { id: 'main' })
      listener.on('connection', socket => socket.on('data', data => handled.push([who, data])))
      return listener
    }
    const old = await serve(first, 'old')
    const socket = guest.socket.connect('orders')
    await socket.send(1)
    const told = once(old, 'closed')
    const lost = once(socket, 'closed')
    const next = await serve(second, 'new')
    expect((await told)[0]).toMatchObject({ code: 'ERR_SUPERSEDED' })
    expect(['ERR_SUPERSEDED', 'ERR_SOCKET_LOST']).toContain((await lost)[0].code)
    const again = guest.socket.connect('orders')
    await again.send(2)
    expect(handled).toEqual([
      ['old', 1],
      ['new', 2],
    ])
    expect(next.state).toBe('ready')
  })

  // A client may ask the newer one before it hears from the older one: that has no such socket.
  const told = expect.stringMatching(/^ERR_(SUPERSEDED|SOCKET_LOST)$/)
  const readers: Record<string, (socket: ServerSocket | ConatSocketClient) => AsyncIterable<unknown>> = {
    'for await': socket => socket,
    'iter()': socket => socket.iter(),
    'toDuplex()': socket => socket.toDuplex(),
    'toWeb()': socket => socket.toWeb().readable as unknown as AsyncIterable<unknown>,
  }

  for (const [how, read] of Object.entries(readers)) {
    takesOver(`no ${how} ends in order in the middle of what was written, on either side`, async () => {
      const [first, second, guest] = [fabric.client(), fabric.client(), fabric.client()]
      const old = await listening(first, 'orders', { id: 'main' })
      const accepted = once(old, 'connection')
      const socket = guest.socket.connect('orders')
      const [peer] = (await accepted) as [ServerSocket]
      let begun = 0
      const ends = [peer, socket].map(async side => {
        const closed = once(side, 'closed')
        const outcome = (async () => {
          for await (const _ of read(side))
            if (++begun === 2) await listening(second, 'orders', { id: 'main' })
        })().then(
          () => 'ended',
          error => error,
        )
        return [await outcome, (await closed)[0]]
      })
      socket.write(1)
      peer.write(1)
      const [server, closed, client, lost] = (await Promise.all(ends)).flat()
      expect([server.code, closed.code]).toEqual(['ERR_SUPERSEDED', 'ERR_SUPERSEDED'])
      expect([client.code, lost.code]).toEqual([told, told])
    })
  }

  takesOver('a socket that renews itself goes on at the newer one', async () => {
    const [first, second, guest] = [fabric.client(), fabric.client(), fabric.client()]
    await listening(first, 'orders', { id: 'main' })
    const socket = guest.socket.connect('orders', { renew: true })
    await socket.waitUntilReady()
    const renewed = once(socket, 'renewed')
    const next = second.socket.listen('orders', { id: 'main' })
    const handled = once(next, 'connection').then(([peer]) => once(peer, 'data'))
    expect((await renewed)[0].reason.code).toEqual(told)
    socket.write(2)
    expect((await handled)[0]).toBe(2)
  })

  takesOver(
    'who was there first comes back after a lost connection, and does not take the place back',
    async () => {
      const [first, second] = [fabric.client(), fabric.client()]
      const old = await listening(first, 'orders', { id: 'main' })
      const told = once(old, 'closed')
      first.disconnect()
      const next = await listening(second, 'orders', { id: 'main' })
      first.connect()
      expect((await told)[0]).toMatchObject({ code: 'ERR_SUPERSEDED' })
      second.conn.io.engine.close()
      await once(next, 'ready')
      expect(next.state).toBe('ready')
    },
  )

  test('without a chosen id, each takes its share', async () => {
    const [first, second] = [fabric.client(), fabric.client()]
    const servers = [await listening(first, 'orders'), await listening(second, 'orders')]
    await first.interest('nobody')
    expect(servers.map(server => server.state)).toEqual(['ready', 'ready'])
  })
})
