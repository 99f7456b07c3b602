// `timeout` and `signal` wherever a page waits, as in the main module: what was waited for is told, an abort before anything was
// sent sends nothing, and nothing is left on the signal.
import { getEventListeners } from 'node:events'
import type { ConatSocketServer, FabricError, ServerSocket } from 'selvedge'
import type { Client, ClientSocket, WaitOptions } from 'selvedge/browser'
import { faultProxy } from 'selvedge/testing'
import { describeFabric } from '../support/fabrics'
import { closePages, next, pageClient } from './party'

afterEach(closePages)

interface Row {
  /** Waits for what does not come. */
  wait(options: WaitOptions, peers: Peers): Promise<unknown>
  /** What the timeout says; none: it has none. */
  says?: string
}

interface Peers {
  page: Client
  /** Not connected. */
  nobody: Client
  /** Connected, and its window is full: the server does not read. */
  full: ClientSocket
  /** Connected to nobody. */
  lonely: ClientSocket
}

const WAITS: Readonly<Record<string, Row>> = {
  'Client.waitUntilConnected': {
    wait: (options, { nobody }) => nobody.waitUntilConnected(options),
    says: 'the client is not connected',
  },
  'Client.waitUntilSignedIn': {
    wait: (options, { nobody }) => nobody.waitUntilSignedIn(options),
    says: 'the client is not signed in',
  },
  'Client.waitUntilReady': {
    wait: (options, { nobody }) => nobody.waitUntilReady(options),
    says: 'the client is not ready',
  },
  'Client.subscribe': {
    wait: (options, { nobody }) => nobody.subscribe('a', options),
    says: "subscribe 'a'",
  },
  'Client.publish': {
    wait: (options, { page }) => page.publish('nobody', 1, { waitForInterest: true, ...options }),
    says: "'nobody'",
  },
  'Client.request': { wait: (options, { page }) => page.request('silent', 1, options), says: "'silent'" },
  'Client.call': {
    wait: (options, { page }) => page.call<{ ask(): Promise<void> }>('silent', options).ask(),
    says: "'silent'",
  },
  'Client.interest': { wait: ({ signal }, { nobody }) => nobody.interest('a', { signal }) },
  'Client.waitForInterest': {
    wait: (options, { page }) => page.waitForInterest('nobody', options),
    says: "'nobody'",
  },
  'socket.connect': {
    wait: async (options, { page }) => {
      const [reason] = await new Promise<[Error | undefined]>(resolve =>
        page.socket.connect('nobody', options).once('closed', (...args) => resolve([args[0]])),
      )
      throw reason
    },
    says: "the socket on 'nobody' did not get ready",
  },
  'ClientSocket.waitUntilReady': {
    wait: (options, { lonely }) => lonely.waitUntilReady(options),
    says: "the socket on 'nobody' is not ready",
  },
  'ClientSocket.send': {
    wait: (options, { lonely }) => lonely.send(1, options),
    says: 'may still be handled, and is not known to be',
  },
  'ClientSocket.request': { wait: (options, { full }) => full.request(1, options), says: 'timeout' },
  'ClientSocket.drain': {
    wait: (options, { full }) => full.drain(options),
    says: "the socket on 'full' has not drained",
  },
  'ClientSocket.waitUntilDrain': {
    wait: (options, { full }) => full.waitUntilDrain(options),
    says: "the socket on 'full' has not drained",
  },
  'ClientSocket.waitUntilWritable': {
    wait: (options, { full }) => full.waitUntilWritable(options),
    says: "the socket on 'full' is not writable",
  },
  'ClientSocket.end': { wait: ({ signal }, { full }) => full.end({ signal }) },
}

/** A client of nobody. */
function unreachable(): Client {
  return pageClient('http://127.0.0.1:1')
}

describeFabric('selvedge wire', 'what a page waits for', fabric => {
  let listener: ConatSocketServer
  let server: ServerSocket
  let peers: Peers

  beforeEach(async () => {
    const host = fabric.client()
    listener = host.socket.listen('full')
    await Promise.all([listener.waitUntilReady(), host.subscribe('silent')])
    const page = pageClient(fabric.remote.address as string)
    const full = page.socket.connect('full', { maxQueueSize: 2 })
    ;[server] = await Promise.all([next<ServerSocket>(listener, 'connection'), full.waitUntilReady()])
    server.pause()
    server.on('request', () => {})
    full.write(1)
    full.write(2)
    peers = { page, nobody: unreachable(), full, lonely: page.socket.connect('nobody') }
  })

  for (const [name, { wait, says }] of Object.entries(WAITS)) {
    if (says !== undefined) {
      test(`${name} ends after its timeout, and tells what it waited for`, async () => {
        const error = await wait({ timeout: 30 }, peers).then(
          () => undefined,
          error => error,
        )
        expect(error).toMatchObject({ code: 408, message: expect.stringContaining(says) })
      })
    }

    test(`${name} ends when it is aborted, with the cause, and takes its listener off`, async () => {
      const controller = new AbortController()
      const { signal } = controller
      const ended = expect(wait({ signal }, peers)).rejects.toMatchObject({
        code: 'ABORT_ERR',
        name: 'AbortError',
        cause: 'why',
      })
      await new Promise(setImmediate)
      controller.abort('why')
      await ended
      expect(getEventListeners(signal, 'abort')).toEqual([])
    })

    test(`${name} does nothing if it is aborted before`, async () => {
      const { stats } = peers.lonely
      const call = async (): Promise<unknown> => await wait({ signal: AbortSignal.abort('why') }, peers)
      await expect(call()).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'why' })
      expect(peers.lonely.stats).toEqual(stats)
      expect(peers.page.numSubscriptions()).toBe(2)
    })

    test(`${name} refuses what is no signal`, async () => {
      const call = async (): Promise<unknown> => await wait({ signal: {} as never }, peers)
      await expect(call()).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    })
  }

  test('a wait that comes true takes its listener off, and leaves no timer', async () => {
    const controller = new AbortController()
    const bounds = { timeout: 60_000, signal: controller.signal }
    const socket = peers.page.socket.connect('full', bounds)
    server = await next<ServerSocket>(listener, 'connection')
    await socket.waitUntilReady(bounds)
    await Promise.all([next(server, 'data'), socket.send('x', { headers: { n: 1 }, ...bounds })])
    await Promise.all([socket.drain(bounds), socket.waitUntilWritable(bounds)])
    const seen = await peers.page.subscribe('seen', bounds)
    await Promise.all([peers.page.publish('seen', 1, bounds), peers.page.waitForInterest('seen', bounds)])
    await socket.end(bounds)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    controller.abort()
    expect([socket.state, seen.ended, peers.page.state]).toEqual(['closed', false, 'connected'])
  })

  test.each([{ timeout: 60 }, { idle: 60 }])(
    'of several ends the time that is over first counts: %p',
    async time => {
      const ends = [peers.full.end({ timeout: 55_000 }), peers.full.end(), peers.full.end(time)]
      const late = { code: 'ERR_UNDELIVERED', undelivered: 2, cause: { code: 408 } }
      for (const ended of ends) await expect(ended).rejects.toMatchObject(late)
    },
  )

  test('an aborted end goes on, and an aborted send stays one of what is left', async () => {
    const controller = new AbortController()
    const ended = peers.full.end({ signal: controller.signal })
    const sent = peers.lonely.send('kept', { signal: controller.signal })
    controller.abort()
    await expect(ended).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await expect(sent).rejects.toMatchObject({ code: 'ABORT_ERR' })
    server.resume()
    server.on('data', () => {})
    await peers.full.end()
    const closed = next(peers.lonely, 'closed')
    peers.lonely.close()
    await closed
    expect(peers.lonely.undelivered().map(({ data }) => data)).toEqual(['kept'])
    const left = { code: 'ERR_UNDELIVERED', undelivered: 1, cause: { code: 'ERR_CLOSED' } }
    await expect(peers.lonely.end()).rejects.toMatchObject(left)
  })

  test('send takes options only', async () => {
    await expect(peers.full.send(1, { n: 1 } as never)).rejects.toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
      message: "send has no option 'n'; headers go into { headers: { n } }",
    })
    await expect(peers.full.send(1, { volatile: true } as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    })
    await expect(peers.full.send(1, { timeout: -1 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })
})

/** Where a page does not look for its broker again; and whether what waits has begun to before that is known. */
const STRANDED: [string, isThere: boolean, isEarly: boolean][] = [
  ['that was never there', false, false],
  ['that turns out not to be there', false, true],
  ['that has gone', true, false],
  ['that goes', true, true],
]

describeFabric('selvedge wire', 'a page with `reconnection: false`', fabric => {
  test.each(STRANDED)('each wait for a broker %s ends at once, with why', async (_name, isThere, isEarly) => {
    const host = fabric.client()
    const listener = host.socket.listen('full')
    listener.on('connection', server => server.pause().on('request', () => {}))
    await Promise.all([listener.waitUntilReady(), host.subscribe('silent')])
    const proxy = await faultProxy({ target: fabric.remote.address as string })
    if (!isThere) await proxy.refuse()
    const page = pageClient(proxy.address, { reconnection: false, offlineTimeout: 60_000 })
    const full = page.socket.connect('full', { maxQueueSize: 2 })
    const lonely = page.socket.connect('nobody')
    if (isThere) await Promise.all([full.waitUntilReady(), page.waitUntilReady()])
    full.write(1)
    full.write(2)
    const gone = next(page, isThere ? 'disconnected' : 'connectFailed')
    const lose = () => Promise.all([gone, isThere && proxy.refuse()])
    if (!isEarly) await lose()
    const peers = { page, nobody: page, full, lonely }
    // With a broker they wait for nothing, or would see what it says.
    const isReady = /waitUntil(Connected|SignedIn|Ready)$|^Client.interest$|^Client.subscribe$/
    const rows = Object.entries({ ...WAITS, ...LOOPS }).filter(
      ([name]) => !(isThere && isEarly && isReady.test(name)),
    )
    const ends = rows.map(async ([name, { wait }]) => {
      const late = new Promise(resolve => setTimeout(resolve, 20_000, 'still waits').unref())
      const ended = await Promise.race([(async () => wait({}, peers))(), late]).catch(error => error)
      return [name, isLost(ended) ? 'as it should' : String(ended)]
    })
    if (isEarly) await lose()
    const wrong = (await Promise.all(ends)).filter(([, how]) => how !== 'as it should')
    expect(Object.fromEntries(wrong)).toEqual({})
    await proxy.restore()
    page.connect()
    await page.waitUntilReady()
    expect((await page.publish('silent', 1)).count).toBe(1)
    await proxy.close()
  })
})

async function looped(values: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of values);
}

/** What has no bound: each ends when nothing will come. */
const LOOPS: Readonly<Record<string, Row>> = {
  'a loop over a socket': { wait: (_, { page }) => looped(page.socket.connect('nobody')) },
  'a loop over a subscription': { wait: (_, { page }) => looped(page.subscribeSync('silence')) },
  'a new socket': { wait: (_, { page }) => page.socket.connect('nobody').waitUntilReady() },
  'closed of a socket': {
    wait: async (_, { page }) => {
      throw await next(page.socket.connect('nobody'), 'closed')
    },
  },
}

/** Whether it ended because there was no connection, itself or as the cause. */
function isLost(ended: unknown): boolean {
  for (
    let error = ended as FabricError | undefined;
    error instanceof Error;
    error = error.cause as FabricError
  )
    if (/^(ERR_CONNECT|ECONNRESET)$/.test(String(error.code))) return true
  return false
}
