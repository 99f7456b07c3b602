// Sockets and subscriptions as streams of the platform.
import { once } from 'node:events'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { pair } from '../support/sockets'

describeFabrics('as streams of the platform', fabric => {
  test('a socket carries values both ways, and ends behind them', async () => {
    const { server, socket } = await pair(fabric)
    const [here, there] = [socket.toWeb(), server.toWeb()]
    const echoed = there.readable.pipeTo(there.writable)
    const writer = here.writable.getWriter()
    const read = (async () => {
      const all: unknown[] = []
      for await (const value of here.readable) {
        all.push(value)
        if (all.length === 3) break
      }
      return all
    })()
    for (const value of [1, null, { two: 2 }]) await writer.write(value)
    expect(await read).toEqual([1, null, { two: 2 }])
    // Who has read enough has closed the socket.
    await once(socket, 'closed').catch(() => {})
    await echoed.catch(() => {})
    expect([socket.state, server.state]).toEqual(['closed', 'closed'])
  })

  test('the end of a writer is the end of the reader, behind the data', async () => {
    const { server, socket } = await pair(fabric)
    const { readable } = server.toWeb()
    const { writable } = socket.toWeb()
    const writer = writable.getWriter()
    const all: unknown[] = []
    const read = (async () => {
      for await (const value of readable) all.push(value)
    })()
    for (let n = 0; n < 100; n++) void writer.write(n)
    await writer.close()
    await read
    expect(all).toEqual(Array.from({ length: 100 }, (_, n) => n))
  })

  test('a reader that stops holds up its writer, and nothing is read ahead', async () => {
    const { server, socket } = await pair(fabric, {
      listen: { maxQueueSize: 10 },
      connect: { maxQueueSize: 10 },
    })
    const reader = server.toWeb().readable.getReader()
    const writer = socket.toWeb().writable.getWriter()
    let written = 0
    const sent = (async () => {
      for (let n = 0; n < 50; n++) {
        await writer.ready
        await writer.write(n)
        written += 1
      }
    })()
    await until(() => socket.stats.pending >= 5)
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(written).toBeLessThan(20)
    expect(socket.stats.acknowledged).toBe(0)
    for (let n = 0; n < 50; n++) expect(await reader.read()).toEqual({ value: n, done: false })
    await sent
    await reader.cancel()
    expect(server.state).toBe('closed')
  })

  test('a loss fails both with the reason', async () => {
    const { server, socket, guest } = await pair(fabric)
    const { readable, writable } = socket.toWeb()
    const [reader, writer] = [readable.getReader(), writable.getWriter()]
    const failed = Promise.allSettled([reader.read(), writer.closed])
    const closed = once(socket, 'closed')
    server.close()
    await closed
    const outcomes = await failed
    // The other side has closed in order: nothing is missing for who reads, and nobody takes what is written.
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: { value: undefined, done: true } },
      { status: 'rejected', reason: expect.objectContaining({ code: 'ERR_SOCKET_CLOSED_BY_PEER' }) },
    ])
    await guest.close()
  })

  test('the data belongs to them', async () => {
    const { server, socket } = await pair(fabric)
    socket.write('held')
    await until(() => server.stats.received >= 1)
    const { readable } = server.toWeb()
    const taken = expect.objectContaining({ code: 'ERR_SOCKET_TAKEN' })
    for (const use of [
      () => server.toWeb(),
      () => server.toDuplex(),
      () => server.iter(),
      () => server.on('data', () => {}),
    ])
      expect(use).toThrow(taken)
    expect(await readable.getReader().read()).toEqual({ value: 'held', done: false })
    const { writable } = socket.toWeb()
    await writable.abort()
    expect(socket.state).toBe('closed')
    const renewing = fabric.client().socket.connect('renewing', { renew: true })
    expect(() => renewing.toWeb()).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
  })

  test('a subscription gives one message for each that is read, and closes when that is cancelled', async () => {
    const client = fabric.client()
    const subscription = await client.subscribe('web.*')
    const reader = subscription.toWeb().getReader()
    for (const n of [1, 2, 3]) await client.publish(`web.${n}`, n)
    for (const n of [1, 2]) {
      const { value } = await reader.read()
      expect([value!.subject, value!.data]).toEqual([`web.${n}`, n])
    }
    await reader.cancel()
    expect(subscription.ended).toBe(true)
  })
})
