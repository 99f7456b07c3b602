// Every wait ends, with a code of its own and the truth behind it as its cause.
import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:net'
import {
  type Client,
  type ConatSocketClient,
  type ConnectOptions,
  connect,
  type FabricError,
  init,
} from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'
import { nextDisconnection, pair } from '../support/sockets'

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: FabricError) => error,
  )

const failure = (code: number | string, cause?: object) =>
  expect.objectContaining({ code, ...(cause ? { cause: expect.objectContaining(cause) } : {}) })

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await once(server.close(), 'close')
  return port
}

/** Everything that waits for a connection. */
function waitsOf(client: Client): Record<string, Promise<unknown>> {
  const socket = client.socket.connect('s')
  return {
    signedIn: client.waitUntilSignedIn(),
    ready: client.waitUntilReady(),
    publish: client.publish('x'),
    request: client.request('x'),
    requestMany: client.requestMany('x'),
    subscribe: client.subscribe('x'),
    call: client.call('x').method(),
    interest: client.interest('x'),
    socketReady: socket.waitUntilReady(),
    socketRequest: socket.request('x'),
    serverReady: client.socket.listen('s').waitUntilReady(),
  }
}

async function loopOf(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

async function outcomesOf(waits: Record<string, Promise<unknown>>): Promise<unknown[]> {
  return await Promise.all(Object.values(waits).map(outcome))
}

describeFabrics(
  'a refused sign-in',
  fabric => {
    const options: ConnectOptions = { extraHeaders: { token: 'wrong' } }
    const cause = { code: 401, message: 'unknown token' }

    test('ends everything that waits for it, with the code and text of getUser as the cause', async () => {
      const client = fabric.client(options)
      const all = await outcomesOf(waitsOf(client))
      expect(all).toEqual(all.map(() => failure('ERR_SIGN_IN', cause)))
    })

    test('ends what waits for the messages of a socket, which stay in their places', async () => {
      const client = fabric.client(options)
      const socket = client.socket.connect('s', { maxQueueSize: 2 })
      socket.write(1)
      const waits = [socket.send(2), socket.drain(), socket.waitUntilDrain()]
      const all = await Promise.all(waits.map(outcome))
      expect(all).toEqual(all.map(() => failure('ERR_SIGN_IN', cause)))
      expect([socket.state, socket.stats.pending]).toEqual(['disconnected', 2])
      const closed = once(socket, 'closed')
      socket.close()
      await closed
      expect(socket.undelivered().map(({ data }) => data)).toEqual([1, 2])
    })

    test('ends loops of what never stood, and what waits for room', async () => {
      const client = fabric.client(options)
      const socket = client.socket.connect('s', { maxQueueSize: 2 })
      socket.write(1)
      const all = await Promise.all([
        ...[client.subscribeSync('s'), socket, client.socket.listen('s')].map(one => outcome(loopOf(one))),
        outcome(socket.waitUntilWritable()),
      ])
      expect(all).toEqual(all.map(() => failure('ERR_SIGN_IN', cause)))
      expect([socket.state, socket.stats.pending]).toEqual(['disconnected', 1])
    })

    test('is an event, and the reason of `disconnected`', async () => {
      const client = fabric.client(options)
      const refused = once(client, 'signInRefused')
      const [reason] = await nextDisconnection(client)
      expect(reason).toEqual(failure('ERR_SIGN_IN', cause))
      expect((await refused)[0]).toEqual(failure('ERR_SIGN_IN', cause))
    })

    test.each(['at once', 'later'])(
      'leaves the `timeout` and `signal` of sockets and servers as they are, made %s',
      async when => {
        const client = fabric.client(options)
        const refused = once(client, 'signInRefused')
        if (when === 'later') await refused
        const signal = AbortSignal.timeout(150)
        const timed = [
          client.socket.connect('a', { timeout: 150 }),
          client.socket.listen('a', { timeout: 150 }),
        ]
        const aborted = [client.socket.connect('b', { signal }), client.socket.listen('b', { signal })]
        const closings = [...timed, ...aborted].map(socket => once(socket, 'closed'))
        const loop = loopOf(timed[0]!)
        await refused
        expect(await outcome(loop)).toEqual(failure('ERR_SIGN_IN', cause))
        const reasons = (await Promise.all(closings)).map(([reason]) => reason)
        const late = failure(408, { code: 'ERR_SIGN_IN' })
        expect(reasons).toEqual([late, late, failure('ABORT_ERR'), failure('ABORT_ERR')])
      },
    )
  },
  {
    getUser: ({ handshake }) => {
      if (handshake.headers.token === 'wrong') throw Object.assign(Error('unknown token'), { code: 401 })
      return null
    },
  },
)

let refusals = 0

describeFabrics(
  'a sign-in that is refused once',
  fabric => {
    test('leaves the `timeout` of a socket as it is, for which nobody listens', async () => {
      refusals = 1
      const client = fabric.client()
      const socket = client.socket.connect('nobody', { timeout: 300 })
      const closed = once(socket, 'closed')
      await client.waitUntilReady().catch(() => {})
      expect((await closed)[0]).toEqual(failure(408))
    })
  },
  {
    getUser: () => {
      if (refusals-- > 0) throw Error('not yet')
      return null
    },
  },
)

describeFabrics(
  'a getUser that never settles',
  fabric => {
    test('is told after `signInTimeout` to all that wait, with 408 as the cause, and the broker keeps nothing', async () => {
      const clients = Array.from({ length: 20 }, () => fabric.client({ reconnection: false }))
      const waits = clients.flatMap(client => [client.waitUntilSignedIn(), client.request('x')].map(outcome))
      const all = await Promise.all(waits)
      expect(all).toEqual(all.map(() => failure('ERR_SIGN_IN', { code: 408 })))
      await until(() => fabric.broker.totals!.connections === 0)
    })
  },
  { getUser: () => new Promise(() => {}), signInTimeout: 100 },
)

describeFabrics(
  'a timeout',
  fabric => {
    test('begins when the question leaves', async () => {
      const server = fabric.client()
      await server.subscribe('echo').then(subscription => {
        subscription.emitter.on(
          'message',
          message => message.isRequest() && message.respondSync(message.data),
        )
      })
      // Half a second to sign in.
      const client = fabric.client({ extraHeaders: { token: 'slow' } })
      const [request, publish] = [
        client.request('echo', 5, { timeout: 300 }),
        client.publish('echo', 5, { timeout: 300 }),
      ]
      expect((await request).data).toBe(5)
      expect((await publish).count).toBe(1)
    })

    test('of a wait for subscribers that do not come is 408, whatever asks', async () => {
      const client = fabric.client()
      const options = { timeout: 60, waitForInterest: true }
      const all = await Promise.all([
        outcome(client.publish('nobody', 1, options)),
        outcome(client.request('nobody', 1, options)),
        outcome(client.requestMany('nobody', 1, options)),
        outcome(client.request('nobody', 1)),
      ])
      expect(all).toEqual([failure(408), failure(408), failure(408), failure(503)])
    })
  },
  {
    getUser: async ({ handshake }) => {
      if (handshake.headers.token === 'slow') await new Promise(resolve => setTimeout(resolve, 500))
      return null
    },
  },
)

describeFabrics('a signal', fabric => {
  test('that many calls share has one listener, and none when they are over', async () => {
    const client = fabric.client()
    await client.waitUntilReady()
    const controller = new AbortController()
    const { signal } = controller
    const calls = Array.from({ length: 30 }, (_, i) =>
      outcome(
        i % 2 === 0
          ? client.request('nobody', i, { signal, waitForInterest: true })
          : client.requestMany('nobody', i, { signal, waitForInterest: true }),
      ),
    )
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    expect(await outcome(client.request('nobody', 1, { signal }))).toEqual(failure(503))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    controller.abort()
    expect(await Promise.all(calls)).toEqual(calls.map(() => failure('ABORT_ERR')))
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})

describeFabrics('a wait', fabric => {
  test('that a busy thread is late for finds what came in time', async () => {
    const client = fabric.client()
    const ready = client.waitUntilReady({ timeout: 150 })
    // The engine goes on meanwhile.
    await new Promise(setImmediate)
    const begun = Date.now()
    while (Date.now() - begun < 400);
    await ready
  })
})

describeFabrics('a socket that ends', fabric => {
  /** Everything that waits for it. */
  const waitsFor = (socket: ConatSocketClient) => [
    socket.send(3),
    socket.drain(),
    socket.waitUntilDrain(),
    socket.waitUntilWritable(),
  ]

  /** Its window is half used, and nothing is read. */
  async function stuck() {
    const all = await pair(fabric, { connect: { maxQueueSize: 4 } })
    all.server.pause()
    expect([all.socket.write(1), all.socket.write(2)]).toEqual([true, false])
    return all
  }

  test('tells all that wait for it the reason of `closed` itself, then and later', async () => {
    const { server, socket } = await stuck()
    const [closed, waits] = [once(socket, 'closed'), Promise.all(waitsFor(socket).map(outcome))]
    server.close()
    const [reason] = (await closed) as [FabricError]
    expect(reason.code).toBe('ERR_SOCKET_CLOSED_BY_PEER')
    const later = [socket.drain(), socket.waitUntilWritable(), socket.waitUntilReady()].map(outcome)
    const all = [...(await waits), ...(await Promise.all(later))]
    expect(all).toEqual(all.map(() => failure(reason.code)))
  })

  test('by a close here tells them that', async () => {
    const { socket } = await stuck()
    const waits = waitsFor(socket).map(outcome)
    socket.close()
    const all = await Promise.all([...waits, outcome(socket.drain()), outcome(socket.waitUntilReady())])
    expect(all).toEqual(all.map(() => failure('ERR_CLOSED')))
  })

  test('that did not get ready in its time tells those who wait for that the same', async () => {
    const client = fabric.client()
    const socket = client.socket.connect('nobody', { timeout: 50 })
    expect(await outcome(socket.waitUntilReady())).toEqual(failure(408))
    expect(await outcome(socket.waitUntilReady())).toEqual(failure(408))
  })
})

describeFabrics('listen', fabric => {
  test.each(['sock.a>', '>', 'a.>', `${'a.'.repeat(509)}a`])('throws what it refuses: %p', subject => {
    const client = fabric.client()
    expect(() => client.socket.listen(subject)).toThrow(failure('ERR_INVALID_SUBJECT'))
  })
})

describe('without a broker', () => {
  let address: string
  let client: Client

  beforeEach(async () => {
    address = `http://127.0.0.1:${await closedPort()}`
  })
  afterEach(() => client.close())

  test('and without reconnection, everything rejects with why, now and later, until connect()', async () => {
    client = connect({ address, noCache: true, reconnection: false })
    const all = await outcomesOf(waitsOf(client))
    expect(all).toEqual(all.map(() => failure('ECONNREFUSED')))
    expect(await outcome(client.request('x'))).toEqual(failure('ECONNREFUSED'))
    expect(await outcome(client.waitUntilConnected())).toEqual(failure('ECONNREFUSED'))
    expect(client.state).toBe('disconnected')
    const { port } = new URL(address)
    const broker = init({ port: Number(port) })
    await broker.waitUntilReady()
    client.connect()
    await client.waitUntilReady()
    await broker.close()
  })

  test('a question waits for `offlineTimeout`, and says why', async () => {
    client = connect({
      address,
      noCache: true,
      offlineTimeout: 60,
      reconnectionDelay: 1,
      reconnectionDelayMax: 2,
    })
    const error = (await outcome(client.request('x', 1, { timeout: 1 }))) as FabricError
    expect(error).toEqual(failure(408, { code: 'ECONNREFUSED' }))
    expect(error.message).toContain("request 'x': no connection to a broker")
    const late = (await outcome(client.waitUntilReady({ timeout: 20 }))) as FabricError
    expect(late).toEqual(failure(408, { code: 'ECONNREFUSED' }))
  })

  test('for five seconds, the process is warned once, if nobody listens to `connectFailed`', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const now = jest.spyOn(Date, 'now')
    try {
      const warned = new Promise(resolve => warn.mockImplementation(resolve))
      client = connect({ address, noCache: true, reconnectionDelay: 1, reconnectionDelayMax: 2 })
      let time = performance.now()
      now.mockImplementation(() => (time += 1000))
      expect(await warned).toContain('Connection refused')
      await outcome(client.waitUntilReady({ timeout: 50 }))
      expect(warn).toHaveBeenCalledTimes(1)
    } finally {
      warn.mockRestore()
      now.mockRestore()
    }
  })
})

describe('a client of a broker that closes', () => {
  test('is closed with the reason, and so are its loops', async () => {
    const broker = init({ port: null })
    const client = broker.client()
    const closed = once(client, 'closed')
    const subscription = await client.subscribe('news')
    const next = outcome(subscription.next())
    const waiting = outcome(client.request('nobody', 1, { waitForInterest: true }))
    await broker.close()
    expect((await closed)[0]).toEqual(failure('ERR_BROKER_CLOSED'))
    expect(await next).toEqual(failure('ERR_BROKER_CLOSED'))
    expect(await waiting).toEqual(failure('ERR_CLOSED'))
    expect(client.state).toBe('closed')
  })
})
