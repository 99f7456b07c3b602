// A signal that is aborted before a call: it rejects at once, and nothing has begun.
import { type Client, type ConatSocketClient, type ConatSocketServer, withOptions } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { rejection } from '../support/messages'
import { pair } from '../support/sockets'

type Methods = { add(a: number, b: number): number }

/** Somebody for each call, who notes what arrives. */
interface World {
  readonly client: Client
  readonly socket: ConatSocketClient
  readonly listener: ConatSocketServer
  readonly arrived: unknown[]
  /** Resolves when whatever was sent before has arrived. */
  settle(): Promise<void>
}

async function world(fabric: Fabric): Promise<World> {
  const { server, socket, listener } = await pair(fabric)
  const client = fabric.client()
  const other = fabric.client()
  const arrived: unknown[] = []
  await other.service('math', {
    add: (a: number, b: number) => {
      arrived.push('add')
      return a + b
    },
  })
  const subscription = await other.subscribe('news')
  subscription.emitter.on('message', message => {
    arrived.push(message.data)
    if (message.isRequest()) void message.respond('heard')
  })
  server.join('lobby')
  for (const side of [server, socket]) {
    side.on('data', data => void arrived.push(data))
    side.handle(question => {
      arrived.push(question)
      return 'answer'
    })
  }
  await client.waitUntilReady()
  const settle = async (): Promise<void> => {
    // Each passes by the same way as what may have been sent before it.
    await client.request('news', 'last')
    await client.call<Methods>('math').add(0, 0)
    await socket.request('last')
    await server.request('last')
    await listener.request('last')
  }
  return { client, socket, listener, arrived, settle }
}

async function iterated(results: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of results);
}

type Call = (world: World, options: { signal: AbortSignal }) => Promise<unknown>

const CALLS: Record<string, Call> = {
  publish: ({ client }, options) => client.publish('news', 1, options),
  request: ({ client }, options) => client.request('news', 1, options),
  'requestMany, iterated': ({ client }, options) => iterated(client.requestMany('news', 1, options)),
  'requestMany, awaited': async ({ client }, options) => await client.requestMany('news', 1, options),
  call: ({ client }, options) => client.call<Methods>('math', options).add(1, 2),
  withOptions: ({ client }, options) => withOptions(client.call<Methods>('math'), options).add(1, 2),
  'callMany, iterated': ({ client }, options) =>
    iterated(client.callMany<Methods>('math', options).add(1, 2)),
  'callMany, awaited': async ({ client }, options) =>
    await client.callMany<Methods>('math', options).add(1, 2),
  'socket.send': ({ socket }, options) => socket.send(1, options),
  'socket.request': ({ socket }, options) => socket.request(1, options),
  'socket.requestMany': ({ socket }, options) => iterated(socket.requestMany(1, options)),
  'listener.request, the first answer': ({ listener }, options) =>
    listener.request(1, { ...options, race: true }),
  'to(room).send': ({ listener }, options) => listener.to('lobby').send(1, options),
  'to(room).request': ({ listener }, options) => iterated(listener.to('lobby').request(1, options)),
  'to(room).request of a socket': ({ listener }, options) =>
    iterated(Object.values(listener.sockets)[0]!.to('lobby').request(1, options)),
  'to(room).request, awaited first': async ({ listener }, options) =>
    iterated(await listener.to('lobby').request(1, options)),
}

describeFabrics('a signal that is aborted before', fabric => {
  test.each(Object.entries(CALLS))('%s rejects at once, and nobody is asked', async (_name, call) => {
    const there = await world(fabric)
    await there.settle()
    const before = [...there.arrived]
    const reason = new Error('too late')
    const begun = performance.now()
    const error = await rejection(call(there, { signal: AbortSignal.abort(reason) }))
    expect(performance.now() - begun).toBeLessThan(5000)
    expect(error).toMatchObject({ code: 'ABORT_ERR', cause: reason })
    await there.settle()
    expect(there.arrived).toEqual([...before, ...before])
  })

  test('listener.request has it in the place of each answer; `noThrow` ends in silence; nobody is asked', async () => {
    const there = await world(fabric)
    await there.settle()
    const before = [...there.arrived]
    const signal = AbortSignal.abort()
    const aborted = expect.objectContaining({ code: 'ABORT_ERR' })
    expect(await there.listener.request(1, { signal })).toEqual([aborted])
    await iterated(there.client.requestMany('news', 1, { signal, noThrow: true }))
    await iterated(there.socket.requestMany(1, { signal, noThrow: true }))
    // Wrong arguments come first.
    expect((await rejection(there.client.requestMany('a b', 1, { signal }))).code).toBe('ERR_INVALID_SUBJECT')
    await there.settle()
    expect(there.arrived).toEqual([...before, ...before])
  })
})
