// A message that turns out to be larger than the broker takes ends its socket, on both sides, and is told.
import { once } from 'node:events'
import {
  type Client,
  type ConatServer,
  type ConatSocketClient,
  connect,
  type FabricError,
  init,
  type ServerSocket,
} from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { disconnection, join, listening, pair } from '../support/sockets'

/** What the broker takes. */
const BOUND = 70_000
const BIG = Buffer.alloc(90_000)
/** Larger than a piece. */
const IN_PIECES = Buffer.alloc(600_000)

async function closing(one: { once(event: 'closed', listener: (...all: any[]) => void): unknown }) {
  return (await new Promise<any[]>(resolve => one.once('closed', (...all) => resolve(all))))[0] as FabricError
}

const TOLD = { code: 'ERR_TOO_LARGE', message: expect.stringMatching(/900\d\d.*70000|70000.*900\d\d/) }

describeFabrics(
  'a broker with a small bound',
  fabric => {
    // Conat's protocol has no word for the bound: it is learned from a refusal.
    const isTold = fabric.kind !== 'conat wire'

    for (const [how, options] of [
      ['', {}],
      [' of the old protocol', { stream: false }],
    ] as const) {
      test(`a socket${how} that was written too much before it was connected ends`, async () => {
        const listener = await listening(fabric.client(), 'chat', options)
        const handled: unknown[] = []
        const ends: Promise<FabricError>[] = []
        listener.on('connection', server => {
          server.on('data', data => handled.push(data))
          ends.push(closing(server))
        })
        const socket = fabric.client().socket.connect('chat', options)
        socket.write('small')
        socket.write(BIG)
        const sent = socket.send('after')
        const [drained, notSent, reason] = await Promise.all([
          rejection(socket.drain()),
          rejection(sent),
          closing(socket),
        ])
        for (const told of [drained, notSent, reason]) expect(told).toMatchObject({ code: 'ERR_TOO_LARGE' })
        if (isTold) expect(reason).toMatchObject(TOLD)
        const codes = (await Promise.all(ends)).map(end => end?.code)
        expect(codes).toEqual(codes.map(() => (how ? 'ERR_SOCKET_CLOSED_BY_PEER' : 'ERR_TOO_LARGE')))
        expect(reason.undelivered).toBe(3 - handled.length)
        expect(socket.undelivered()).toHaveLength(3 - handled.length)
      })
    }

    test('requests that were made before it was connected are refused one by one', async () => {
      const host = fabric.client()
      const subscription = await host.subscribe('big')
      subscription.emitter.on('message', message => message.isRequest() && message.respondSync('done'))
      const listener = await listening(host, 'chat')
      listener.on('connection', server => server.on('request', request => request.respond('done')))
      const guest = fabric.client()
      const socket = guest.socket.connect('chat')
      const asked = [
        socket.request(BIG),
        socket.request('small'),
        guest.request('big', BIG),
        guest.request('big', 'small'),
        guest.requestMany('big', BIG).next(),
        socket.requestMany(BIG).next(),
        guest.publish('big', BIG),
        guest.request('big', IN_PIECES),
      ] as Promise<any>[]
      const outcomes = await Promise.allSettled(asked)
      const codes = outcomes.map(one => (one.status === 'rejected' ? one.reason.code : one.value.data))
      const no = 'ERR_TOO_LARGE'
      // Where the bound is learned from a refusal, the request had left: what is behind it can not arrive.
      const others = isTold ? ['done', no] : ['EPIPE', 'EPIPE']
      expect(codes).toEqual([no, others[0], no, 'done', no, others[1], no, no])
      expect(socket.state).toBe(isTold ? 'ready' : 'closed')
      const causes = outcomes.map(one => (one.status === 'rejected' ? one.reason.cause?.code : undefined))
      expect(causes[1]).toBe(isTold ? undefined : no)
    })

    test('small messages in a row that are larger together all arrive', async () => {
      const { server, socket } = await pair(fabric)
      let count = 0
      server.on('data', () => count++)
      for (let n = 0; n < 300; n++) socket.write('x'.repeat(1000))
      await socket.drain()
      expect(count).toBe(300)
    })

    if (!isTold) {
      for (const side of ['server', 'socket'] as const) {
        test(`a ${side} learns it from a refusal`, async () => {
          const ends = await pair(fabric)
          const [writer, other] = side === 'socket' ? [ends.socket, ends.server] : [ends.server, ends.socket]
          other.on('data', () => {})
          const both = [closing(writer), closing(other)]
          await writer.send('small')
          writer.write(BIG)
          writer.write('after')
          for (const told of await Promise.all(both)) expect(told).toMatchObject({ code: 'ERR_TOO_LARGE' })
          expect(writer.undelivered()).toHaveLength(2)
        })
      }
    }
  },
  { maxMessageBytes: BOUND },
)

describe.each(['selvedge', 'conat'] as const)('a broker that returns with a smaller bound, %s wire', wire => {
  let broker: ConatServer
  const clients: Client[] = []

  const client = (): Client => {
    const address = `http://127.0.0.1:${broker.address()!.port}`
    const one = connect({ address, wire, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 })
    clients.push(one)
    return one
  }

  beforeEach(async () => {
    broker = init({ port: 0, host: '127.0.0.1' })
    await broker.waitUntilReady()
  })

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(one => one.close()))
    await broker.close()
  })

  /** Stops the broker, and waits until this socket knows. What it returns starts the next one. */
  async function stop(socket: ConatSocketClient | ServerSocket): Promise<() => void> {
    const gone = disconnection(socket)
    const { port } = broker.address()!
    await broker.close()
    await gone
    return () => {
      broker = init({ port, host: '127.0.0.1', maxMessageBytes: BOUND })
    }
  }

  test.each(['server', 'socket'] as const)('ends a %s that was written too much meanwhile', async side => {
    const host = client()
    const listener = await listening(host, 'chat')
    const [server, socket] = await join(listener, client())
    const [writer, other] = side === 'socket' ? [socket, server] : [server, socket]
    const handled: unknown[] = []
    other.on('data', data => handled.push(data))
    await writer.send('small')
    const both = [closing(writer), closing(other)]
    const start = await stop(writer)
    writer.write('before')
    writer.write(BIG)
    writer.write('after')
    start()
    for (const told of await Promise.all(both)) expect(told).toMatchObject({ code: 'ERR_TOO_LARGE' })
    expect(handled.length + writer.undelivered().length).toBe(4)
    expect(writer.undelivered().length).toBeGreaterThanOrEqual(2)
  })

  test('requests that were made meanwhile are refused, and their socket lives', async () => {
    const listener = await listening(client(), 'chat')
    listener.on('connection', server => server.on('request', request => request.respond('done')))
    const [, socket] = await join(listener, client())
    const start = await stop(socket)
    const refused = rejection(socket.request(BIG))
    const taken = socket.request('small').then(
      answer => answer.data,
      error => error.code,
    )
    start()
    expect(await refused).toMatchObject({ code: 'ERR_TOO_LARGE' })
    expect(await taken).toBe(wire === 'conat' ? 'EPIPE' : 'done')
  })

  test('an answer that has become too large is told to who asked', async () => {
    const listener = await listening(client(), 'chat')
    const [server, socket] = await join(listener, client())
    const request = once(server, 'request')
    const told = rejection(socket.request('question'))
    const [question] = await request
    const start = await stop(server)
    await question.respond(BIG)
    start()
    const why = { code: 'ERR_TOO_LARGE' }
    // The answer had left: the socket ends for it.
    expect(await told).toMatchObject(wire === 'conat' ? { code: 'EPIPE', cause: why } : why)
  })
})

describeFabrics('a socket that refuses a size', fabric => {
  for (const side of ['server', 'socket'] as const) {
    for (const how of ['a listener', 'a loop', 'a loop that is slow'] as const) {
      test(`counts what ${how} of the ${side} was handed before, and nothing else`, async () => {
        const bound = { maxMessageBytes: BOUND }
        const ends = await pair(fabric, side === 'server' ? { listen: bound } : { connect: bound })
        const [reader, writer] = side === 'server' ? [ends.server, ends.socket] : [ends.socket, ends.server]
        const handled: unknown[] = []
        if (how === 'a listener') reader.on('data', data => handled.push(data))
        const both = [closing(writer), closing(reader)]
        for (let n = 0; n < 300; n++) writer.write(n)
        writer.write(BIG)
        writer.write('after')
        if (how !== 'a listener') {
          const loop = async (): Promise<void> => {
            for await (const [data] of reader) {
              handled.push(data)
              if (how !== 'a loop') await new Promise(setImmediate)
            }
          }
          expect(await rejection(loop())).toMatchObject({ code: 'ERR_TOO_LARGE' })
        }
        const [told] = await Promise.all(both)
        expect(told).toMatchObject({ code: 'ERR_TOO_LARGE' })
        expect(told!.message).toMatch(/9000\d.*70000/)
        const left = writer.undelivered()
        expect(left).toHaveLength(told!.undelivered!)
        // What a loop was handed and has not moved past when the socket closes counts as handled, too.
        expect([handled.length + left.length, left[0]!.seq]).toEqual([302, handled.length + 1])
      })
    }
  }
})
