import { once } from 'node:events'
import { type ConatSocketClient, connect, type FabricError, init } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection, join, listening, numbers, pair, take } from '../support/sockets'

describeFabrics('drain of a socket server', fabric => {
  test('lets everything arrive, takes nobody new, and closes', async () => {
    const { host, listener, guest, server, socket } = await pair(fabric)
    const elsewhere = await listening(fabric.client(), 'chat')
    socket.pause()
    const received = take(socket, 50)
    for (const n of numbers(1, 50)) server.write(n)
    const drained = listener.drain({ deadline: 5000, spread: 0 })
    expect([listener.draining, listener.state]).toEqual([true, 'ready'])
    const next = guest.socket.connect('chat')
    await once(elsewhere, 'connection')
    await next.waitUntilReady()
    socket.resume()
    expect(await received).toEqual(numbers(1, 50))
    await drained
    expect([listener.state, server.undelivered()]).toEqual(['closed', []])
    await host.close()
  })

  test('what a loop has handled is not told as undelivered, and the rest is not handled', async () => {
    const { listener, server, socket } = await pair(fabric)
    const closed = once(socket, 'closed')
    const handled: unknown[] = []
    let drained: Promise<void> | undefined
    const loop = (async () => {
      for await (const [n] of server) {
        if (n === 3) drained = listener.drain({ deadline: 5000, spread: 0 })
        await new Promise(setImmediate)
        handled.push(n)
      }
    })()
    for (const n of numbers(1, 20)) socket.write(n)
    await loop
    await drained
    await closed
    expect(handled).toEqual([1, 2, 3])
    expect(socket.undelivered().map(({ data }) => data)).toEqual(numbers(4, 20))
  })

  test('cuts off at the deadline, and says what is left', async () => {
    const { listener, server, socket } = await pair(fabric)
    socket.pause()
    server.write('never read')
    const closed = once(server, 'closed')
    await Promise.all([listener.drain({ deadline: 100 }), listener.drain({ deadline: 100 })])
    await closed
    expect(server.undelivered().map(message => message.data)).toEqual(['never read'])
  })

  test('loses nothing in a rolling deploy: clients go on at the next server', async () => {
    const [old, next] = [fabric.client(), fabric.client()]
    const first = await listening(old, 'chat', { id: 'first' })
    const handled: string[] = []
    const serve = (server: typeof first) =>
      server.on('connection', socket => socket.on('data', (text: string) => handled.push(text)))
    serve(first)
    const guests = numbers(1, 10).map(() => fabric.client())
    const writers = guests.map((guest, index) => new Writer(() => guest.socket.connect('chat'), `w${index}`))
    await Promise.all(writers.map(writer => writer.socket.waitUntilReady()))
    const second = await listening(next, 'chat', { id: 'second' })
    serve(second)
    const pump = setInterval(() => {
      for (const writer of writers) writer.write()
    }, 1)
    await first.drain({ deadline: 5000, spread: 300 })
    await Promise.all(writers.map(writer => writer.moved))
    clearInterval(pump)
    await Promise.all(writers.map(writer => writer.socket.drain()))
    for (const writer of writers) {
      const own = handled.filter(text => text.startsWith(`${writer.name}:`))
      expect(own).toEqual(numbers(1, writer.written).map(n => `${writer.name}:${n}`))
    }
    expect(Object.keys(second.sockets)).toHaveLength(10)
  })
})

/** Writes numbered texts, and goes on with a new socket when the old one is closed: first with what that has left behind. */
class Writer {
  socket: ConatSocketClient
  written = 0
  readonly moved: Promise<void>

  constructor(
    open: () => ConatSocketClient,
    readonly name: string,
  ) {
    this.socket = open()
    this.moved = new Promise(resolve => {
      this.socket.once('closed', () => {
        const left = this.socket.undelivered()
        this.socket = open()
        for (const message of left) this.socket.write(message)
        this.socket.once('ready', resolve)
      })
    })
  }

  write(): void {
    if (this.socket.state === 'closed') return
    this.socket.write(`${this.name}:${this.written + 1}`)
    this.written += 1
  }
}

describeFabrics('drain of a client', fabric => {
  test('waits for what is under way, both ways, and closes', async () => {
    const { host, guest, server, socket } = await pair(fabric)
    server.pause()
    const received = take(server, 20)
    const responder = await host.subscribe('slow')
    for (const n of numbers(1, 20)) socket.write(n)
    const asked = guest.request('slow', 'question')
    const [question] = [(await responder.next()).value!]
    const drained = guest.drain({ deadline: 5000 })
    expect(guest.draining).toBe(true)
    server.resume()
    expect(await received).toEqual(numbers(1, 20))
    await question.respond('answer')
    expect((await asked).data).toBe('answer')
    await drained
    expect(guest.state).toBe('closed')
  })

  /** Work that goes on until it is told to end. */
  function work(): { end: () => void; done: Promise<void>; begun: Promise<void>; begin: () => void } {
    let [begin, end] = [() => {}, () => {}]
    const begun = new Promise<void>(resolve => (begin = resolve))
    const done = new Promise<void>(resolve => (end = resolve))
    return { begin, begun, end, done }
  }

  test('waits for the methods of its services', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const job = work()
    await host.service('math', {
      async square(n: number) {
        job.begin()
        await job.done
        return n * n
      },
    })
    const asked = guest.call<{ square(n: number): Promise<number> }>('math').square(7)
    await job.begun
    const drained = host.drain({ deadline: 5000 })
    // Some time later it is still at it.
    for (let i = 0; i < 3; i++) expect((await rejection(guest.request('nobody'))).code).toBe(503)
    expect(host.state).not.toBe('closed')
    job.end()
    expect(await asked).toBe(49)
    await drained
  })

  test('waits for the request that a loop is at', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const questions = await host.subscribe('questions')
    const job = work()
    const loop = (async () => {
      for await (const question of questions) {
        job.begin()
        await job.done
        question.respondSync(`answer to ${question.data}`)
      }
    })()
    const asked = ['first', 'second'].map(data => guest.request('questions', data))
    await job.begun
    await guest.publish('elsewhere', null)
    const drained = host.drain({ deadline: 5000 })
    job.end()
    expect((await Promise.all(asked)).map(({ data }) => data)).toEqual([
      'answer to first',
      'answer to second',
    ])
    await Promise.all([loop, drained])
  })

  test('waits for all who work on one subscription, and for nobody who has left it', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const questions = await host.subscribe('questions')
    const job = work()
    const answer = async (): Promise<void> => {
      for (let next = await questions.next(); !next.done; next = await questions.next()) {
        if (next.value.data === 'slow') await job.done
        next.value.respondSync(`answer to ${next.value.data}`)
      }
    }
    const workers = [answer(), answer()]
    const slow = guest.request('questions', 'slow')
    expect((await guest.request('questions', 'fast')).data).toBe('answer to fast')
    const other = await host.subscribe('others')
    const unanswered = rejection(guest.request('others', null, { timeout: 60_000 }))
    for await (const _ of other) break
    await other.drain()
    const drained = host.drain({ deadline: 5000 })
    await new Promise(setImmediate)
    job.end()
    expect((await slow).data).toBe('answer to slow')
    await Promise.all([drained, ...workers])
    // Whoever was given the request has gone: a broker tells that, where its protocol has a word for it.
    const isTold = ['in-process', 'selvedge wire'].includes(fabric.kind)
    if (!isTold) await guest.close()
    expect((await unanswered).code).toBe(isTold ? 'EPIPE' : 'ERR_CLOSED')
    await guest.close()
  })

  test.each(['asks', 'answers'])('who %s waits for requests over its sockets', async who => {
    const { host, guest, server, socket } = await pair(fabric)
    const job = work()
    server.on('request', async question => {
      job.begin()
      await job.done
      question.respondSync('late, but here')
    })
    const asked = socket.request('anybody?')
    await job.begun
    // The other side hears of it a moment later.
    const closed = Promise.all([socket, server].map(end => once(end, 'closed')))
    const drained = (who === 'asks' ? guest : host).drain({ deadline: 5000, spread: 0 })
    job.end()
    expect((await asked).data).toBe('late, but here')
    await Promise.all([drained, closed])
    expect([socket.state, server.state]).toEqual(['closed', 'closed'])
  })

  test('does not wait for answers that nobody gives for longer than half of its time', async () => {
    const { host, server, socket } = await pair(fabric)
    const came = once(server, 'request')
    const asked = rejection(socket.request('anybody?', { timeout: 60_000 }))
    await came
    server.write('read')
    const received = take(socket, 1)
    await host.drain({ deadline: 400, spread: 0 })
    expect(await received).toEqual(['read'])
    expect(server.undelivered()).toEqual([])
    expect((await asked).code).toBe('EPIPE')
  })

  test('drains its servers, and gives up at the deadline', async () => {
    const { host, server, socket } = await pair(fabric)
    socket.pause()
    server.write('never read')
    const asked = host.request('nobody.answers', null, { waitForInterest: true })
    const refused = rejection(asked)
    await host.drain({ deadline: 200, spread: 0 })
    expect((await refused).code).toBe('ERR_CLOSED')
    expect(server.undelivered()).toHaveLength(1)
  })

  test('refuses what it does not know', async () => {
    const client = fabric.client()
    expect(await rejection(client.drain({ dead: 1 } as never))).toMatchObject({ code: 'ERR_UNKNOWN_OPTION' })
    expect(await rejection(client.drain({ deadline: 0 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    expect(client.state).not.toBe('closed')
  })
})

describe('drain of a broker', () => {
  test.each(['conat', 'selvedge'] as const)(
    'is told to who asks, lets nobody in, and ends when all have gone: wire %s',
    async wire => {
      const broker = init({ port: 0 })
      await broker.waitUntilReady()
      const address = `http://127.0.0.1:${broker.address()!.port}`
      const health = async () => (await fetch(`${address}/healthz`)).status
      const open = () => connect({ address, noCache: true, wire, reconnectionDelay: 5 })
      // The first goes at once, the second after half of the time.
      const clients = [open(), open()]
      await Promise.all(clients.map(client => client.waitUntilSignedIn()))
      expect(await health()).toBe(200)
      const told = clients.map(client => disconnection(client))
      const drained = broker.drain({ deadline: 20_000, spread: 2000 })
      // Either may have come in first.
      await Promise.race(told)
      expect([await health(), broker.state]).toEqual([503, 'ready'])
      const newcomer = open()
      const entered = jest.fn()
      newcomer.on('connected', entered)
      const [reason] = (await once(newcomer, 'connectFailed')) as [FabricError]
      expect(reason.message).toMatch(/503 .*draining/)
      await Promise.all(told)
      newcomer.close()
      for (const client of clients) client.close()
      await drained
      expect(entered).toHaveBeenCalledTimes(0)
    },
  )

  test.each(['conat', 'selvedge'] as const)('sends everybody to the next one: wire %s', async wire => {
    const old = init({ port: 0 })
    await old.waitUntilReady()
    const { port } = old.address()!
    const quick = { noCache: true, wire, reconnectionDelay: 5, reconnectionDelayMax: 50 }
    const clients = numbers(1, 6).map(() => connect({ address: `http://127.0.0.1:${port}`, ...quick }))
    const listener = await listening(clients[0]!, 'chat')
    const [server, socket] = await join(listener, clients[1]!)
    const received = take(server, 200)
    for (const n of numbers(1, 100)) socket.write(n)
    await old.drain({ deadline: 5000, spread: 50 })
    expect([old.state, old.draining]).toEqual(['closed', true])
    for (const n of numbers(101, 200)) socket.write(n)
    const next = init({ port })
    await next.waitUntilReady()
    expect(await received).toEqual(numbers(1, 200))
    await Promise.all(clients.map(client => client.close()))
    await next.close()
  })
})

describeFabrics('drain of a service', fabric => {
  test('does not wait until its deadline for a caller that has gone', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    let [end, noteCalled] = [(_result: string) => {}, () => {}]
    const called = new Promise<void>(resolve => (noteCalled = resolve))
    await host.service('slow', {
      call: () => {
        noteCalled()
        return new Promise<string>(given => (end = given))
      },
    })
    const asked = rejection(guest.call<{ call(): Promise<string> }>('slow').call())
    await called
    await guest.close()
    await asked
    end('nobody wants it')
    const before = performance.now()
    await host.drain({ deadline: 30_000, spread: 0 })
    // Not a matter of speed: otherwise it is the deadline.
    expect(performance.now() - before).toBeLessThan(25_000)
  })
})
