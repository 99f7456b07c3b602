// Middleware that is given after connections have come: whoever was not handed out is asked about.
import type { ServerSocket } from 'selvedge'
import { FabricError } from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

describeFabrics('middleware that comes late', fabric => {
  /** A listener that holds the connections of these clients, each of which has written its name. */
  async function held(names: readonly string[]) {
    const listener = fabric.client().socket.listen('vault')
    await listener.waitUntilReady()
    const sockets = names.map(name => {
      const socket = fabric.client().socket.connect('vault', { id: name })
      socket.write(name)
      return socket
    })
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
    await until(() => Object.keys(listener.sockets).length >= names.length)
    return { listener, sockets }
  }

  test('refuses whoever was held until then, and nothing of it is delivered', async () => {
    const { listener, sockets } = await held(['stranger'])
    const asked: string[] = []
    listener.use(socket => {
      asked.push(socket.id)
      throw new FabricError('nobody gets in', 403)
    })
    const seen: unknown[] = []
    const closed = new Promise(resolve => sockets[0]!.once('closed', resolve))
    listener.on('connection', socket => seen.push(socket.id))
    expect(await closed).toMatchObject({ code: 403, message: 'nobody gets in' })
    expect([asked, seen]).toEqual([['stranger'], []])
  })

  test.each(['connection', 'a loop'])(
    'lets others pass to %s, once, and asks each function once',
    async how => {
      const { listener } = await held(['ann', 'bob', 'cid'])
      const asked: string[] = []
      for (const n of [1, 2]) {
        listener.use(async socket => {
          asked.push(`${n} ${socket.id}`)
          if (n === 1 && socket.id === 'bob') throw new Error('not bob')
        })
      }
      const data: unknown[] = []
      const both = new Promise<void>(resolve => {
        const take = (socket: ServerSocket): void => {
          socket.on('data', name => {
            data.push([socket.id, name])
            if (data.length === 2) resolve()
          })
        }
        if (how === 'connection') listener.on('connection', take)
        else
          void (async () => {
            for await (const socket of listener) take(socket as ServerSocket)
          })()
      })
      await both
      expect(data.sort()).toEqual([
        ['ann', 'ann'],
        ['cid', 'cid'],
      ])
      expect(asked.sort()).toEqual(['1 ann', '1 bob', '1 cid', '2 ann', '2 cid'])
    },
  )

  test('keeps handlers of requests from whoever was held, until it has decided', async () => {
    const { listener, sockets } = await held(['ann', 'stranger'])
    const answers = sockets.map(socket => socket.request('who?').catch((error: FabricError) => error.code))
    const handled: unknown[] = []
    // Lets everybody pass, who is held again.
    listener.use(() => {})
    await new Promise(setImmediate)
    listener.use(async socket => {
      await new Promise(setImmediate)
      if (socket.id === 'stranger') throw new FabricError('nobody gets in', 403)
    })
    listener.handle((_question, message) => {
      handled.push(message.subject.split('.').at(-1))
      return 'you'
    })
    const [first, second] = await Promise.all(answers)
    expect([(first as { data: unknown }).data, second, handled]).toEqual(['you', 'EPIPE', ['ann']])
  })

  test('takes back the handlers that were given before it, until it has decided', async () => {
    const host = fabric.client()
    const listener = host.socket.listen('vault')
    await Promise.all([listener.waitUntilReady(), host.service('echo', { echo: (x: unknown) => x })])
    const clients = ['ann', 'stranger'].map(id => [fabric.client(), id] as const)
    const sockets = clients.map(([client, id]) => client.socket.connect('vault', { id }))
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
    while (Object.keys(listener.sockets).length < 2) await new Promise(setImmediate)
    const handled: unknown[] = []
    listener.handle((_question, message) => {
      handled.push(message.subject.split('.').at(-1))
      return 'you'
    })
    let decide = (): void => {}
    const decided = new Promise<void>(resolve => {
      decide = resolve
    })
    listener.use(async socket => {
      await decided
      if (socket.id === 'stranger') throw new FabricError('nobody gets in', 403)
    })
    const answers = sockets.map(socket => socket.request('who?').catch((error: FabricError) => error.code))
    // What a client asks the same program later comes later.
    for (const [client] of clients) await client.call<{ echo(x: number): number }>('echo').echo(1)
    expect(handled).toEqual([])
    decide()
    const [first, second] = await Promise.all(answers)
    expect([(first as { data: unknown }).data, second, handled]).toEqual(['you', 'EPIPE', ['ann']])
  })

  test('has each handler of requests answer once', async () => {
    const { listener, sockets } = await held(['ann'])
    let handled = 0
    listener.handle(() => {
      handled += 1
      return handled
    })
    listener.use(() => {})
    listener.on('connection', () => {})
    expect((await sockets[0]!.request(1)).data).toBe(1)
    expect((await sockets[0]!.request(2)).data).toBe(2)
  })

  test('is asked about who is decided about when it is added', async () => {
    const listener = fabric.client().socket.listen('vault')
    let isDecided = (): void => {}
    const decided = new Promise<void>(resolve => {
      isDecided = resolve
    })
    const asked = new Promise<void>(resolve => {
      listener.use(async () => {
        resolve()
        await decided
      })
    })
    listener.on('connection', () => {})
    await listener.waitUntilReady()
    const socket = fabric.client().socket.connect('vault')
    const closed = new Promise(resolve => socket.once('closed', resolve))
    await asked
    listener.use(() => {
      throw new FabricError('late, but asked', 'E_LATE')
    })
    isDecided()
    expect(await closed).toMatchObject({ code: 'E_LATE', message: 'late, but asked' })
  })
})
