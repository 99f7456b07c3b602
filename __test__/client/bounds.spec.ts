// `timeout` and `signal` of everything that waits: the same errors, and nothing that stays behind.
import { getEventListeners } from 'node:events'
import type { Client, ConatServer, ConatSocketClient, ConatSocketServer, WaitOptions } from 'selvedge'
import { connect, init } from 'selvedge'

const { refCount } = require('../../dist/engine/process-ref.js') as { refCount(): number }

/** What is waited with: a client that reaches nobody, with a socket that has something to say. */
interface Stage {
  away: Client
  socket: ConatSocketClient
  listener: ConatSocketServer
  broker: ConatServer
}

/** By name; `true`: its `timeout` does not begin before the client is connected, or it has another name. */
const WAITS: Record<
  string,
  [wait: (stage: Stage, options: WaitOptions) => Promise<unknown>, isLater?: true]
> = {
  'client.waitUntilConnected': [({ away }, options) => away.waitUntilConnected(options)],
  'client.waitUntilSignedIn': [({ away }, options) => away.waitUntilSignedIn(options)],
  'client.waitUntilReady': [({ away }, options) => away.waitUntilReady(options)],
  'client.subscribe': [({ away }, options) => away.subscribe('a', options), true],
  'client.service': [({ away }, options) => away.service('b', {}, options), true],
  'client.publish': [({ away }, options) => away.publish('a', 1, options), true],
  'client.request': [({ away }, options) => away.request('a', 1, options), true],
  'client.requestMany': [async ({ away }, options) => await away.requestMany('a', 1, options), true],
  'a call of a service': [({ away }, options) => away.call<{ f(): void }>('a', options).f(), true],
  'client.waitForInterest': [({ away }, options) => away.waitForInterest('a', options), true],
  'client.interest': [({ away }, { signal }) => away.interest('a', signal ? { signal } : {}), true],
  'client.syncSubscriptions': [({ away }, options) => away.syncSubscriptions(options), true],
  'client.getSubscriptions': [({ away }, options) => away.getSubscriptions(options), true],
  'client.cluster': [({ away }, options) => away.cluster(options), true],
  'socket.waitUntilReady': [({ socket }, options) => socket.waitUntilReady(options)],
  'socket.send': [({ socket }, options) => socket.send(2, options)],
  'socket.request': [({ socket }, options) => socket.request(2, options)],
  'socket.requestMany': [async ({ socket }, options) => await socket.requestMany(2, options), true],
  'socket.drain': [({ socket }, options) => socket.drain(options)],
  'socket.waitUntilDrain': [({ socket }, options) => socket.waitUntilDrain(options)],
  'socket.waitUntilWritable': [({ socket }, options) => socket.waitUntilWritable(options)],
  'listener.waitUntilReady': [({ listener }, options) => listener.waitUntilReady(options)],
  'broker.waitUntilReady': [({ broker }, options) => broker.waitUntilReady(options)],
  // Last: they end what the others wait with. Their `timeout` means something else, or has another name.
  'socket.end': [({ socket }, options) => socket.end({ ...options, idle: 60_000 }), true],
  'client.drain': [
    ({ away }, { signal }) => away.drain({ deadline: 60_000, ...(signal && { signal }) }),
    true,
  ],
}
const all = Object.entries(WAITS).map(([name, [wait, isLater = false]]) => ({ name, wait, isLater }))

describe('a wait', () => {
  let stage: Stage

  beforeEach(() => {
    const broker = init({ port: 0 })
    const away = connect({
      address: 'unix:/nowhere/at/all.sock',
      noCache: true,
      reconnectionDelayMax: 600_000,
    })
    away.on('connectFailed', () => {})
    const socket = away.socket.connect('chat', { maxQueueSize: 4 })
    while (socket.write(1)) {}
    stage = { away, socket, broker, listener: away.socket.listen('chat') }
  })

  afterEach(async () => {
    await stage.away.close()
    await stage.broker.close()
    expect(refCount()).toBe(0)
  })

  test.each(all)('of $name ends with its signal, and takes its listener off', async ({ wait }) => {
    const [controller, why] = [new AbortController(), new Error('enough')]
    const waiting = wait(stage, { signal: controller.signal })
    // What is asked over a socket, or of an iterator, begins a step later.
    await Promise.resolve()
    controller.abort(why)
    await expect(waiting).rejects.toMatchObject({ code: 'ABORT_ERR', name: 'AbortError', cause: why })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test.each(all)('of $name does not begin with a signal that is aborted', async ({ wait }) => {
    const sent = stage.socket.stats.pending
    const why = new Error('before')
    const waiting = wait(stage, { signal: AbortSignal.abort(why) })
    await expect(waiting).rejects.toMatchObject({ code: 'ABORT_ERR', cause: why })
    expect([stage.socket.stats.pending, stage.socket.ended, stage.away.draining]).toEqual([
      sent,
      false,
      false,
    ])
    expect(stage.away.numSubscriptions()).toBe(0)
  })

  test.each(all.filter(({ isLater }) => !isLater))(
    'of $name ends with its timeout',
    async ({ name, wait }) => {
      // The broker is ready when it is, which may be before.
      if (name === 'broker.waitUntilReady') return
      await expect(wait(stage, { timeout: 1 })).rejects.toMatchObject({ code: 408 })
    },
  )

  test.each(all)('of $name refuses what is no signal', async ({ wait }) => {
    const options = { signal: {} } as unknown as WaitOptions
    await expect((async () => await wait(stage, options))()).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
  })

  test.each(['connect', 'listen'] as const)('for the first ready of socket.%s closes it', async kind => {
    const make = (options: WaitOptions): ConatSocketClient | ConatSocketServer =>
      kind === 'connect'
        ? stage.away.socket.connect('other', options)
        : stage.away.socket.listen('other', options)
    const reasonOf = (socket: { on(name: 'closed', handle: (reason: unknown) => void): unknown }) =>
      new Promise<unknown>(resolve => socket.on('closed', resolve))
    expect(await reasonOf(make({ timeout: 1 }))).toMatchObject({ code: 408 })
    const [controller, why] = [new AbortController(), new Error('enough')]
    const closed = reasonOf(make({ signal: controller.signal }))
    controller.abort(why)
    expect(await closed).toMatchObject({ code: 'ABORT_ERR', cause: why })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(() => make({ signal: controller.signal })).toThrow(expect.objectContaining({ code: 'ABORT_ERR' }))
  })

  test('for the first ready is over with it', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const client = stage.broker.client()
    const listener = client.socket.listen('chat', { signal, timeout: 60_000 })
    const socket = client.socket.connect('chat', { signal, timeout: 60_000 })
    await Promise.all([listener.waitUntilReady(), socket.waitUntilReady()])
    controller.abort()
    expect([listener.state, socket.state]).toEqual(['ready', 'ready'])
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await client.close()
  })

  test('that is given up changes nothing for the others', async () => {
    const client = stage.broker.client()
    const listener = client.socket.listen('chat')
    listener.on('connection', socket => socket.on('data', () => {}))
    await listener.waitUntilReady()
    const socket = client.socket.connect('chat')
    socket.write(1)
    const controller = new AbortController()
    const ended = socket.end()
    const given = socket.end({ signal: controller.signal })
    controller.abort()
    await expect(given).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await ended
    expect(socket.undelivered()).toEqual([])
    await client.close()
  })
})
