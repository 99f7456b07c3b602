// Requests over a socket: their order among the data, who may have handled one, and for how long somebody waits.
import { once } from 'node:events'
import type { FabricError, Message } from 'selvedge'
import { describeFabric, describeFabrics, type Kind } from '../support/fabrics'
import { join, listening, pair } from '../support/sockets'

/** Of two sides that both can, over all ways to plug in. */
describeFabrics('requests in the stream', fabric => {
  test('are seen in the order of the calls, among the data, both ways', async () => {
    const { server, socket } = await pair(fabric)
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      const seen: unknown[] = []
      to.on('data', data => seen.push(data))
      to.on('request', request => {
        seen.push(request.data)
        request.respondSync(null)
      })
      const asked: Promise<unknown>[] = []
      for (let n = 0; n < 300; n++) {
        if (n % 3 === 0) asked.push(from.request(n))
        else from.write(n)
        if (n % 50 === 49) await new Promise(setImmediate)
      }
      await Promise.all(asked)
      expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => n))
    }
  })

  test('are in order on a socket that was not ready', async () => {
    const listener = await listening(fabric.client(), 'chat')
    const seen: unknown[] = []
    listener.on('connection', server => {
      server.on('data', data => seen.push(data))
      server.on('request', request => {
        seen.push(request.data)
        request.respondSync('done')
      })
    })
    const socket = fabric.client().socket.connect('chat')
    socket.write(1)
    const answer = socket.request(2)
    socket.write(3)
    expect((await answer).data).toBe('done')
    await socket.drain()
    expect(seen).toEqual([1, 2, 3])
  })

  test('let the asker go on before what was written behind the answer', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', request => {
      request.respondSync('answer')
      server.write('behind')
    })
    for (let n = 0; n < 50; n++) {
      const steps: unknown[] = []
      const behind = once(socket, 'data').then(([data]) => steps.push(data))
      const listener = (data: unknown) => steps.push(`heard ${data}`)
      socket.on('data', listener)
      steps.push((await socket.request(n)).data)
      await behind
      socket.off('data', listener)
      expect(steps).toEqual(['answer', 'heard behind', 'behind'])
    }
  })

  test('are answered although the data is paused, and written up to the window', async () => {
    const { server, socket } = await pair(fabric, {
      listen: { maxQueueSize: 10 },
      connect: { maxQueueSize: 10 },
    })
    for (const side of [server, socket]) {
      side.pause()
      side.on('data', () => {})
      side.on('request', request => request.respondSync(request.data))
    }
    for (let n = 0; n < 10; n++) {
      server.write(n)
      socket.write(n)
    }
    const answers = await Promise.all([socket.request('a'), server.request('b')])
    expect(answers.map(answer => answer.data)).toEqual(['a', 'b'])
  })

  test('carry headers and large payloads both ways', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', request => {
      request.respondSync(request.data, { headers: { ...request.headers, back: true } })
    })
    const large = new Uint8Array(3_000_000).fill(7)
    for (const data of ['small', large]) {
      const answer = await socket.request(data, { headers: { n: 1 } })
      expect(answer.headers).toEqual({ n: 1, back: true })
      expect(Buffer.compare(Buffer.from(answer.data as never), Buffer.from(data as never))).toBe(0)
    }
  })

  test('thousands in one tick find their answers', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', request => request.respondSync(request.data))
    const asked = Array.from({ length: 5000 }, (_, n) => socket.request(n))
    const answers = await Promise.all(asked)
    expect(answers.map(answer => answer.data)).toEqual(Array.from({ length: 5000 }, (_, n) => n))
  })

  test('more than may be open are refused at once', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', () => {})
    const asked = Array.from({ length: 10_000 }, () => socket.request(null).catch(error => error))
    await expect(socket.request('one more')).rejects.toMatchObject({ code: 'ENOBUFS', handled: false })
    socket.close()
    for (const failure of await Promise.all(asked)) expect(failure).toMatchObject({ code: 'EPIPE' })
  })

  test('are held for the first listener', async () => {
    const { server, socket } = await pair(fabric)
    const answers = [socket.request(1), socket.request(2)]
    server.on('data', () => {})
    await socket.send('data')
    server.on('request', request => request.respondSync(request.data))
    expect((await Promise.all(answers)).map(answer => answer.data)).toEqual([1, 2])
  })
})

/** Where both sides speak the stream. */
const STREAMS: readonly Kind[] = ['in-process', 'selvedge wire', 'conat wire', 'nats', 'gateways']

for (const kind of STREAMS) {
  describeFabric(kind, 'a request in the stream', fabric => {
    test('tells its handler for how long somebody waits, and when nobody does', async () => {
      const { server, socket } = await pair(fabric)
      const controller = new AbortController()
      const asked = once(server, 'request') as Promise<[Message]>
      const answer = socket.request('a', { timeout: 20_000, signal: controller.signal })
      const refused = expect(answer).rejects.toMatchObject({ code: 'ABORT_ERR' })
      const [request] = await asked
      expect([request.isRequest(), request.timeout, request.signal.aborted]).toEqual([true, 20_000, false])
      expect(request.headers).toBeUndefined()
      const aborted = once(request.signal, 'abort')
      controller.abort()
      await Promise.all([refused, aborted])
      expect(await request.respond('late')).toMatchObject({ count: 0 })
    })

    test('is answered once', async () => {
      const { server, socket } = await pair(fabric)
      const counts: number[] = []
      server.on('request', async request => {
        counts.push((await request.respond('first')).count, (await request.respond('second')).count)
      })
      expect((await socket.request()).data).toBe('first')
      expect(counts).toEqual([1, 0])
    })

    test('whose time is over is cancelled at the other side', async () => {
      const { server, socket } = await pair(fabric)
      const asked = once(server, 'request') as Promise<[Message]>
      const answer = expect(socket.request('a', { timeout: 100 })).rejects.toMatchObject({ code: 408 })
      const [request] = await asked
      await Promise.all([answer, once(request.signal, 'abort')])
    })

    test('says whether a handler may have had it when the socket closes', async () => {
      const { server, socket } = await pair(fabric)
      const first = once(server, 'request') as Promise<[Message]>
      const outcomes = [socket.request('handled'), socket.request('not handled')].map(asked =>
        asked.catch((error: FabricError) => error),
      )
      const [request] = await first
      const aborted = once(request.signal, 'abort')
      server.close()
      const [handled] = (await Promise.all([...outcomes, aborted])) as [FabricError, FabricError, unknown]
      expect(handled).toMatchObject({ code: 'EPIPE' })
      expect(handled.handled).toBeUndefined()
    })
  })
}

describeFabrics('requests with a peer that does not speak the stream', fabric => {
  test('are answered both ways, from either mode', async () => {
    for (const [listen, connect] of [
      [{ stream: false }, {}],
      [{}, { stream: false }],
    ]) {
      const host = fabric.client()
      const listener = await listening(host, 'mixed', listen)
      const [server, socket] = await join(listener, fabric.client(), connect)
      for (const side of [server, socket]) side.on('request', request => request.respondSync(request.data))
      const answers = await Promise.all([socket.request(1), server.request(2), socket.request(3)])
      expect(answers.map(answer => answer.data)).toEqual([1, 2, 3])
      await expect(socket.request('x', { signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'ABORT_ERR',
      })
      listener.close()
      await once(socket, 'closed')
    }
  })
})
