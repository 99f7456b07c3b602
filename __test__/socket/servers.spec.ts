import { once } from 'node:events'
import type { ConatSocketClient, FabricError, Message, ServerSocket } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { rejection } from '../support/messages'
import {
  disconnection,
  join,
  listening,
  numbers,
  pair,
  take,
  writeNumbers,
  writeUntilFull,
} from '../support/sockets'

/** Two servers on one subject, on two clients, that say who they are. */
async function redAndBlue(fabric: Fabric) {
  const accepted: string[] = []
  const sockets: ServerSocket[] = []
  const listeners = await Promise.all(
    ['red', 'blue'].map(async id => {
      const host = fabric.client()
      const listener = host.socket.listen('work', { id })
      listener.on('connection', socket => {
        accepted.push(id)
        sockets.push(socket)
        socket.write(id)
        socket.on('request', message => message.respondSync(id))
      })
      await listener.waitUntilReady()
      return { host, listener }
    }),
  )
  return { red: listeners[0]!, blue: listeners[1]!, accepted, sockets }
}

describeFabrics('several servers on one subject', fabric => {
  test('share the sockets: each socket is taken by one of them', async () => {
    const { accepted } = await redAndBlue(fabric)
    const guest = fabric.client()
    const sockets = numbers(1, 40).map(() => guest.socket.connect('work'))
    const greetings = await Promise.all(sockets.map(socket => take(socket, 1)))
    expect(greetings.flat().sort()).toEqual(accepted.sort())
    expect(accepted).toHaveLength(40)
  })

  test('keep the socket that they have, whatever happens to its connection', async () => {
    const { accepted, sockets } = await redAndBlue(fabric)
    const guest = fabric.client()
    const socket = guest.socket.connect('work')
    const [id] = await take(socket, 1)
    const received = take(sockets[0]!, 50)
    for (let round = 0; round < 5; round++) {
      await writeNumbers(socket, round * 10 + 1, round * 10 + 5)
      guest.conn.io.engine.close()
      await disconnection(socket)
      await writeNumbers(socket, round * 10 + 6, round * 10 + 10)
      await socket.waitUntilReady()
      expect((await socket.request()).data).toBe(id)
    }
    expect(await received).toEqual(numbers(1, 50))
    expect(accepted).toEqual([id])
  })

  test('are chosen by the load balancer, if there is one', async () => {
    const { accepted } = await redAndBlue(fabric)
    const guest = fabric.client()
    const asked: string[] = []
    const choices = ['blue', 'red', 'blue']
    for (const choice of choices) {
      const loadBalancer = (subject: string) => {
        asked.push(subject)
        return choice === 'red' ? choice : Promise.resolve(choice)
      }
      expect(await take(guest.socket.connect('work', { loadBalancer }), 1)).toEqual([choice])
    }
    expect(accepted).toEqual(choices)
    expect(asked).toEqual(['work', 'work', 'work'])
  })

  test('are chosen later by a load balancer that failed first', async () => {
    await redAndBlue(fabric)
    let calls = 0
    const loadBalancer = async () => {
      calls += 1
      if (calls === 1) throw new Error('not yet')
      return 'blue'
    }
    const socket = fabric.client().socket.connect('work', { loadBalancer })
    socket.write('queued meanwhile')
    expect(await take(socket, 1)).toEqual(['blue'])
    expect(calls).toBe(2)
  })

  test('are not chosen by a load balancer that never does, and whoever waits is told why', async () => {
    await redAndBlue(fabric)
    const broken = new Error('no idea')
    const cases: [() => unknown, string, Error | undefined][] = [
      [() => Promise.reject(broken), 'has failed', broken],
      [() => 5, 'has returned no id', undefined],
      [() => new Promise(() => {}), 'has not answered', undefined],
    ]
    for (const [choose, text, cause] of cases) {
      let socket: ConatSocketClient | undefined
      await new Promise<void>(asked => {
        const loadBalancer = (): string => {
          asked()
          return choose() as string
        }
        socket = fabric.client().socket.connect('work', { loadBalancer })
      })
      for (const wait of [() => socket!.waitUntilReady(30), () => socket!.send('late', { timeout: 30 })]) {
        const { code, cause: why } = (await rejection(wait())) as FabricError
        expect([code, why]).toEqual([
          408,
          expect.objectContaining({ code: 503, message: `its loadBalancer ${text}` }),
        ])
        expect((why as FabricError).cause).toBe(cause)
      }
      socket!.close()
    }
  })
})

describeFabrics('the death of a server', fabric => {
  test.each(['listener', 'client'] as const)(
    'by closing the %s closes its sockets, with a reason',
    async what => {
      const { host, listener, server, socket } = await pair(fabric)
      const closed = Promise.all([once(socket, 'closed'), once(server, 'closed'), once(listener, 'closed')])
      if (what === 'listener') listener.close()
      else await host.close()
      const [[reason], [own]] = await closed
      expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
      expect(own).toBeUndefined()
      expect(listener).toMatchObject({ state: 'closed', sockets: {} })
      expect(() => socket.write(1)).toThrow(expect.objectContaining({ code: 'EPIPE' }))
    },
  )

  test('by ending delivers what its sockets have written', async () => {
    const { listener, server, socket } = await pair(fabric)
    const received = take(socket, 100)
    for (const n of numbers(1, 100)) server.write(n)
    await listener.end()
    expect(await received).toEqual(numbers(1, 100))
    expect([listener.state, server.state]).toEqual(['closed', 'closed'])
  })

  test('leaves the subject to the others, and to a new one of the same client', async () => {
    const { red, blue } = await redAndBlue(fabric)
    red.listener.close()
    await once(red.listener, 'closed')
    const guest = fabric.client()
    const sockets = numbers(1, 5).map(() => guest.socket.connect('work'))
    expect((await Promise.all(sockets.map(socket => take(socket, 1)))).flat()).toEqual(Array(5).fill('blue'))
    blue.listener.close()
    const again = await listening(red.host, 'work', { id: 'green' })
    const [server] = await join(again, guest)
    expect(server.state).toBe('ready')
  })
})

describeFabrics('a socket server', fabric => {
  test('refuses a second one of its client on its subject, until it is closed', async () => {
    const client = fabric.client()
    const listener = await listening(client, 'chat')
    expect(() => client.socket.listen('chat')).toThrow(
      expect.objectContaining({
        code: 'ERR_ALREADY_LISTENING',
        message: expect.stringContaining('at most one socket server per client'),
      }),
    )
    expect(client.socket.listen('other').subject).toBe('other')
    listener.close()
    expect((await listening(client, 'chat')).state).toBe('ready')
  })

  test('has the id of its client unless told otherwise', async () => {
    const client = fabric.client()
    expect(client.socket.listen('a').id).toBe(client.id)
    expect(client.socket.listen('b', { id: 'mine' }).id).toBe('mine')
  })

  test('goes through its states, and is ready again after a lost connection', async () => {
    const client = fabric.client()
    const listener = client.socket.listen('chat')
    const states: string[] = []
    for (const state of ['disconnected', 'ready', 'closed'] as const) {
      listener.on(state, () => states.push(state))
    }
    await listener.waitUntilReady()
    // Both may come in one slab.
    const back = Promise.all([disconnection(listener), once(listener, 'ready')])
    client.conn.io.engine.close()
    await back
    const closed = once(listener, 'closed')
    listener.close()
    await closed
    expect(states).toEqual(['ready', 'disconnected', 'ready', 'closed'])
    expect((await rejection(listener.waitUntilReady())).code).toBe('ERR_CLOSED')
  })

  test('broadcasts to all of its sockets, with headers', async () => {
    const { guest, listener, socket } = await pair(fabric)
    const [, second] = await join(listener, guest)
    const heard = Promise.all([once(socket, 'data'), once(second, 'data')])
    expect(listener.write('all', { headers: { n: 1 } })).toBe(true)
    for (const args of await heard) expect(args).toEqual(['all', { n: 1 }])
    listener.close()
    expect(() => listener.broadcast('late')).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  })

  test('broadcasts to those that can take it, and names the others in one error', async () => {
    const { guest, listener, server, socket } = await pair(fabric, { listen: { maxQueueSize: 10 } })
    const [, quick] = await join(listener, guest)
    const [, quicker] = await join(listener, guest)
    writeUntilFull(server)
    const received = Promise.all([take(quick, 2), take(quicker, 2)])
    let error: any
    try {
      listener.write('not for all')
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'ENOBUFS', ids: [server.id] })
    expect(await take(socket, 10)).toEqual(numbers(0, 9))
    await server.drain()
    const last = take(socket, 1)
    expect(listener.write('for all')).toBe(true)
    expect(await received).toEqual([
      ['not for all', 'for all'],
      ['not for all', 'for all'],
    ])
    expect(await last).toEqual(['for all'])
  })

  test('asks all of its sockets, and gets the answers in their order, errors among them', async () => {
    const { guest, listener, socket } = await pair(fabric)
    const [, mute] = await join(listener, guest)
    const [, third] = await join(listener, guest)
    const answer = (who: ConatSocketClient) => (message: Message) =>
      message.respondSync([who.id, message.data])
    socket.on('request', answer(socket))
    mute.on('request', () => {})
    third.on('request', answer(third))
    const answers = await listener.request('?', { timeout: 200 })
    const told = answers.map(reply => (reply instanceof Error ? (reply as any).code : reply.data))
    const expected: Record<string, unknown> = {
      [socket.id]: [socket.id, '?'],
      [mute.id]: 408,
      [third.id]: [third.id, '?'],
    }
    expect(told).toEqual(Object.keys(listener.sockets).map(id => expected[id]))
    expect(told).toHaveLength(3)
  })

  test('asks for the first answer with `race`', async () => {
    const { guest, listener, socket } = await pair(fabric)
    const [, second] = await join(listener, guest)
    socket.on('request', () => {})
    second.on('request', message => message.respondSync('me first'))
    expect((await listener.request('?', { race: true, timeout: 1000 })).data).toBe('me first')
  })

  test('without sockets has nobody to ask', async () => {
    const listener = await listening(fabric.client(), 'chat')
    expect(await listener.request('?')).toEqual([])
    expect((await rejection(listener.request('?', { race: true }))).code).toBe(503)
    expect(listener.write('?')).toBe(true)
  })
})
