// A connect: how many questions it is, who is asked, and what becomes of it when nobody is there, or may be asked.
import { once } from 'node:events'
import { type Client, connect, type FabricError, init, type ServerSocket } from 'selvedge'
import { until } from '../support/events'
import { describeFabric, describeFabrics, type Fabric, type Kind } from '../support/fabrics'
import { listening } from '../support/sockets'

/** How many messages the broker has taken so far, and how many it has handed out. */
function counted(fabric: Fabric): [published: number, delivered: number] {
  const { published, delivered } = fabric.broker.totals!
  return [published.messages, delivered.messages]
}

const MESSAGES: readonly (readonly [Kind, number])[] = [
  ['in-process', 2],
  ['selvedge wire', 2],
  ['selvedge wire over WebSocket', 2],
  // Who serves, accept me, and their answers.
  ['conat wire', 4],
]

for (const [kind, messages] of MESSAGES) {
  describeFabric(kind, 'the messages of a connect', fabric => {
    test(`are ${messages}, and what was written leaves with them`, async () => {
      const [host, guest] = [fabric.client(), fabric.client()]
      const listener = await listening(host, 'chat')
      const connecting = async (): Promise<void> => {
        const accepted = once(listener, 'connection') as Promise<[ServerSocket]>
        const socket = guest.socket.connect('chat')
        await Promise.all([accepted, socket.waitUntilReady()])
      }
      await connecting()
      for (let n = 0; n < 5; n++) {
        const before = counted(fabric)
        await connecting()
        const now = counted(fabric)
        // A status of the socket before may come between.
        expect(now[0] - before[0]).toBeLessThanOrEqual(messages + 1)
        expect(now[0] - before[0]).toBeGreaterThanOrEqual(messages)
      }
      const accepted = once(listener, 'connection') as Promise<[ServerSocket]>
      const socket = guest.socket.connect('chat')
      socket.write('written before')
      const [server] = await accepted
      const [data] = (await once(server, 'data')) as [unknown]
      expect(data).toBe('written before')
    })
  })
}

describeFabrics('a connect', fabric => {
  test('that does not wait closes with 503 when nobody listens, and one that waits so long then', async () => {
    const guest = fabric.client()
    const since = Date.now()
    for (const wait of [false, 300]) {
      const [reason] = (await once(guest.socket.connect('nobody', { wait }), 'closed')) as [FabricError]
      expect(reason).toMatchObject({ code: 503, message: expect.stringContaining("'nobody'") })
    }
    expect(Date.now() - since).toBeGreaterThanOrEqual(300)
  })

  test('that does not wait is served where somebody listens, and one that waits is when he comes', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const early = guest.socket.connect('chat')
    const [problem] = await Promise.all([
      early.waitUntilReady({ timeout: 100 }).catch((error: unknown) => error),
    ])
    expect(problem).toBeDefined()
    await listening(host, 'chat')
    await early.waitUntilReady()
    await guest.socket.connect('chat', { wait: false }).waitUntilReady()
  })

  test('goes to each of several servers, and once', async () => {
    const [host, other, third, guest] = Array.from({ length: 4 }, () => fabric.client())
    const listeners = [
      await listening(host!, 'chat'),
      await listening(other!, 'chat', { id: 'second' }),
      await listening(third!, 'chat', { id: 'third' }),
    ]
    const sockets = Array.from({ length: 40 }, () => guest!.socket.connect('chat'))
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
    const ids = new Set(listeners.flatMap(listener => Object.keys(listener.sockets)))
    expect(ids).toEqual(new Set(sockets.map(({ id }) => id)))
    const known = listeners.map(({ id }) => id)
    for (const socket of sockets) {
      expect(known).toContain(socket.serverId)
      const listener = listeners[known.indexOf(socket.serverId!)]!
      expect(Object.keys(listener.sockets)).toContain(socket.id)
    }
    expect(listeners.reduce((sum, listener) => sum + Object.keys(listener.sockets).length, 0)).toBe(40)
  })

  test('to a server without the stream, or beside one, works as well', async () => {
    const [host, other, guest] = [fabric.client(), fabric.client(), fabric.client()]
    await listening(host, 'chat', { stream: false })
    await guest.socket.connect('chat').waitUntilReady()
    await listening(other, 'chat')
    const sockets = Array.from({ length: 10 }, (_, n) =>
      guest.socket.connect('chat', { stream: n % 2 === 0 }),
    )
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
  })

  test('that is given up at once is closed at its server, too, if it was taken there', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const listener = await listening(host, 'chat')
    await guest.socket.connect('chat').waitUntilReady()
    for (let n = 0; n < 20; n++) {
      const socket = guest.socket.connect('chat')
      if (n % 2 === 0) await new Promise(setImmediate)
      socket.close()
    }
    await guest.socket.connect('chat').waitUntilReady()
    while (Object.keys(listener.sockets).length > 2) {
      const [socket] = Object.values(listener.sockets)
        .filter(({ state }) => state !== 'closed')
        .slice(1)
      if (socket !== undefined) await Promise.race([once(socket, 'closed'), new Promise(setImmediate)])
    }
  })

  test.each([
    ['of whoever serves', {}],
    ['of a chosen server', { loadBalancer: true }],
  ])('%s, given up while it is under way, is no end in order of what was written', async (_, chooses) => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const listener = await listening(host, 'chat')
    const options = 'loadBalancer' in chooses ? { loadBalancer: () => listener.id } : {}
    const ends: Promise<unknown>[] = []
    listener.on('connection', socket => {
      ends.push(
        (async () => {
          let read = 0
          try {
            for await (const _ of socket) read += 1
            return read
          } catch (error) {
            return (error as FabricError).code
          }
        })(),
      )
    })
    for (let n = 0; n < 60; n++) {
      const socket = guest.socket.connect('chat', options)
      for (let k = 0; k < 5; k++) socket.write(k)
      for (let turn = 0; turn < n % 8; turn++) await new Promise(setImmediate)
      if (n % 2 === 0) socket.close()
      else socket.destroy(Error('the disk is full'))
    }
    await guest.socket.connect('chat', options).waitUntilReady()
    await until(() => Object.values(listener.sockets).length <= 1)
    const last = listener.sockets[Object.keys(listener.sockets)[0]!]!
    last.close()
    const told = await Promise.all(ends)
    expect(told.filter(end => typeof end === 'number' && end > 0 && end < 5)).toEqual([])
    expect(told.filter(end => end === 0).length).toBeLessThanOrEqual(1)
  })

  test('that stays silent keeps its socket, and its server knows that it is there', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const listener = await listening(host, 'chat')
    const accepted = once(listener, 'connection') as Promise<[ServerSocket]>
    const socket = guest.socket.connect('chat')
    const [server] = await accepted
    await socket.waitUntilReady()
    await new Promise(resolve => setTimeout(resolve, 7000))
    expect([socket.state, server.state]).toEqual(['ready', 'ready'])
    const received = once(socket, 'data')
    server.write('still there')
    expect(await received).toEqual(['still there', expect.anything()])
  }, 20_000)
})

test.each(['~', 'status', 'rooms'])('no server is called %s', async id => {
  const broker = init({ port: null })
  await broker.waitUntilReady()
  expect(() => broker.client().socket.listen('chat', { id })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  )
  await broker.close()
})

describe.each(['pub', 'sub'])('where the question to whoever listens is not allowed (%s)', denied => {
  test('sockets connect with three', async () => {
    const asked: string[] = []
    const broker = init({
      port: 0,
      getUser: () => ({ name: 'somebody' }),
      isAllowed: ({ type, subject }) => {
        const isQuestion = subject.includes('.server.~.')
        if (isQuestion) asked.push(type)
        return !(isQuestion && type === denied)
      },
    })
    await broker.waitUntilReady()
    const address = `http://127.0.0.1:${broker.address()!.port}`
    const clients: Client[] = [connect({ address, noCache: true }), connect({ address, noCache: true })]
    try {
      await listening(clients[0]!, 'chat')
      for (let n = 0; n < 3; n++) await clients[1]!.socket.connect('chat').waitUntilReady()
      // Once in a minute.
      expect(asked.filter(type => type === 'pub')).toHaveLength(1)
    } finally {
      await Promise.all(clients.map(client => client.close()))
      await broker.close()
    }
  })
})
