// More at once than the link between two servers has room for.
import { once } from 'node:events'
import type { ConatSocketClient, ConatSocketServer, FabricError, Message, ServerSocket } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { take } from '../support/sockets'

/** The window of a link is 1000. */
const COUNT = 20_000

/** Two servers that have met, and the client of a socket that is in the lobby of the second. */
async function lobby(fabric: Fabric): Promise<[ConatSocketServer, ConatSocketServer, ConatSocketClient]> {
  const listeners = [0, 1].map(n =>
    fabric.client().socket.listen('chat', { id: `s${n}`, maxQueueSize: 2 * COUNT }),
  )
  await Promise.all(listeners.map(listener => listener.waitUntilReady()))
  const [here, there] = listeners as [(typeof listeners)[0], (typeof listeners)[0]]
  const connected = once(there, 'connection')
  const joined = once(here.room('lobby'), 'join')
  const client = fabric.client().socket.connect('chat', { loadBalancer: () => 's1' })
  const [socket] = await connected
  socket.join('lobby')
  await joined
  return [here, there, client]
}

describeFabrics('a burst to a member at another server', fabric => {
  test(`of ${COUNT} broadcasts in one tick arrives whole, in order, and nobody is lost meanwhile`, async () => {
    const [here, , client] = await lobby(fabric)
    const told: unknown[] = []
    here.on('peerLost', lost => told.push(lost))
    here.room('lobby').on('leave', (_, reason) => told.push(reason))
    const received = take(client, COUNT + 2)
    for (let n = 0; n < COUNT; n++) here.to('lobby').write(n)
    const sent = here.to('lobby').send('sent')
    // What is not worth waiting for is not waited for.
    expect(here.to('lobby').volatile.write('volatile')).toBe(0)
    expect(await sent).toEqual({ delivered: 1, lost: [] })
    here.to('lobby').write('last')
    expect(await received).toEqual([...Array.from({ length: COUNT }, (_, n) => n), 'sent', 'last'])
    expect(told).toEqual([])
  })

  test('arrives whole when its server ends behind it', async () => {
    const [here, , client] = await lobby(fabric)
    const received = take(client, COUNT)
    for (let n = 0; n < COUNT; n++) here.to('lobby').write(n)
    await here.end()
    expect(await received).toEqual(Array.from({ length: COUNT }, (_, n) => n))
  })
})

describeFabrics('servers whose client sends small messages only', fabric => {
  test('tell each other of many members, and of what many answer, in several', async () => {
    const options = { maxMessageBytes: 64 * 1024 }
    const rooms = Array.from({ length: 300 }, (_, n) => `room ${n}`)
    const listen = async (id: string): Promise<ConatSocketServer> => {
      const listener = fabric.client(options).socket.listen('chat', { id })
      await listener.waitUntilReady()
      return listener
    }
    const enter = async (listener: ConatSocketServer): Promise<ServerSocket> => {
      const connected = once(listener, 'connection')
      const client = fabric.client().socket.connect('chat', { loadBalancer: () => listener.id })
      client.on('request', request => request.respond(Buffer.alloc(20_000)))
      return (await connected)[0]
    }
    const sees = async (listener: ConatSocketServer, count: number): Promise<void> => {
      const room = listener.room('room 299')
      while (room.members.size < count) await once(room, 'join')
    }
    const here = await listen('s0')
    // Before the servers meet, in a table; and after it, in changes.
    const first = await enter(here)
    first.join(rooms, { data: 'x'.repeat(1000) })
    const there = await listen('s1')
    await sees(there, 1)
    const others = [await enter(here), await enter(here), await enter(here), await enter(here)]
    for (const socket of others) socket.join(rooms, { data: '€'.repeat(1000) })
    await sees(there, 5)
    for (const socket of others) socket.update('room 0', 1)
    let answers = 0
    for await (const answer of there.to('room 299').request('?')) {
      expect((answer as Message).raw.length).toBeGreaterThan(20_000)
      answers += 1
    }
    expect([answers, there.to(rooms).size]).toEqual([5, 5])
  })

  test('refuse what cannot be told to another one, and are not lost to each other over it', async () => {
    const LIMIT = 64 * 1024
    const [here, there] = ['s0', 's1'].map(id =>
      fabric.client({ maxMessageBytes: LIMIT }).socket.listen('chat', { id }),
    ) as [ConatSocketServer, ConatSocketServer]
    const lost: unknown[] = []
    for (const listener of [here, there]) listener.on('peerLost', told => lost.push(told))
    await Promise.all([here, there].map(listener => listener.waitUntilReady()))
    const connected = once(there, 'connection')
    const client = fabric.client().socket.connect('chat', { loadBalancer: () => 's1' })
    client.on('request', request => request.respond(Buffer.alloc(LIMIT - 50)))
    const [member] = (await connected) as [ServerSocket]
    member.join('lobby')
    const room = here.room('lobby')
    while (room.members.size === 0) await once(room, 'join')
    const received: number[] = []
    client.on('data', data => received.push(data.length))

    const headers = { h: 'x'.repeat(1000) }
    const refusals: unknown[] = []
    let least = LIMIT
    for (let bytes = LIMIT - 8000; bytes < LIMIT; bytes += 20) {
      try {
        here.to('lobby').write(Buffer.alloc(bytes), { headers })
      } catch (error) {
        refusals.push((error as FabricError).code)
        least = Math.min(least, bytes)
      }
    }
    expect(new Set(refusals)).toEqual(new Set(['ERR_TOO_LARGE']))
    await expect(here.to('lobby').send(Buffer.alloc(LIMIT - 20))).rejects.toMatchObject({
      code: 'ERR_TOO_LARGE',
    })
    expect(() => here.to('lobby').request(Buffer.alloc(LIMIT - 20))).toThrow('maxMessageBytes')
    // Here alone it is as any message.
    expect(here.to('lobby').local.write(Buffer.alloc(LIMIT - 20))).toBe(0)
    const answers: unknown[] = []
    for await (const answer of here.to('lobby').request('?')) answers.push((answer as FabricError).code)
    expect(answers).toEqual(['ERR_TOO_LARGE'])
    await here.to('lobby').send('last')
    expect(received).toEqual([
      ...Array.from({ length: (least - LIMIT + 8000) / 20 }, (_, n) => LIMIT - 8000 + 20 * n),
      'last'.length,
    ])
    expect(lost).toEqual([])
  })
})
