// The time of drains: half of it for requests that nobody answers, and the shortest of several deadlines for all.
import { connect, init } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'
import { listening, pair } from '../support/sockets'

/** Longer than a test. */
const FOREVER = 600_000

describeFabrics('the deadline of a drain', fabric => {
  /** Resolves with what is first: the drain, or its deadline. */
  async function first(drained: Promise<void>, deadline: number): Promise<string> {
    return await Promise.race([
      drained.then(() => 'drained'),
      new Promise<string>(resolve => setTimeout(resolve, deadline - 200, 'deadline').unref()),
    ])
  }

  /** Whose request nobody answers. */
  async function asking() {
    const all = await pair(fabric)
    const isAsked = new Promise<void>(resolve => all.server.on('request', () => resolve()))
    const failed = rejection(all.socket.request('?', { timeout: FOREVER }))
    await isAsked
    return { ...all, failed }
  }

  test('a client waits half of it for a request over a socket that nobody answers', async () => {
    const { guest, failed } = await asking()
    expect(await first(guest.drain({ deadline: 2000 }), 2000)).toBe('drained')
    expect(await failed).toMatchObject({ code: 'EPIPE' })
  })

  test('a listener waits half of it for a request that it does not answer', async () => {
    const { listener, failed } = await asking()
    expect(await first(listener.drain({ deadline: 2000, spread: 0 }), 2000)).toBe('drained')
    expect(await failed).toMatchObject({ code: expect.anything() })
  })

  test('a client: a second call with less time makes it shorter for both', async () => {
    const { guest, server, socket } = await pair(fabric)
    server.pause()
    socket.write('never read')
    const stuck = guest.drain({ deadline: FOREVER })
    await Promise.all([guest.drain({ deadline: 100 }), stuck])
    expect(guest.state).toBe('closed')
    expect(socket.undelivered()).toHaveLength(1)
  })

  test('a client whose request over a socket is open: the same', async () => {
    const { guest, failed } = await asking()
    const stuck = guest.drain({ deadline: FOREVER })
    await Promise.all([guest.drain({ deadline: 100 }), stuck])
    expect(await failed).toMatchObject({ code: 'EPIPE' })
  })

  test('a client with a method of a service that never ends: the same', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    let begin!: () => void
    const begun = new Promise<void>(resolve => (begin = resolve))
    await host.service('math', {
      square() {
        begin()
        return new Promise(() => {})
      },
    })
    const failed = rejection(guest.call<{ square(): void }>('math', { timeout: 3000 }).square())
    await begun
    const stuck = host.drain({ deadline: FOREVER })
    await Promise.all([host.drain({ deadline: 100 }), stuck])
    await failed
  })

  test('a listener: a second call with less time makes it shorter for both, and its pauses too', async () => {
    const { listener, server, socket, guest } = await pair(fabric)
    const others = [1, 2, 3].map(() => guest.socket.connect('chat'))
    await Promise.all(others.map(other => other.waitUntilReady()))
    socket.pause()
    server.write('never read')
    const stuck = listener.drain({ deadline: FOREVER, spread: FOREVER })
    await Promise.all([listener.drain({ deadline: 200 }), stuck])
    expect([listener.state, server.undelivered().length]).toEqual(['closed', 1])
  })

  test('a later deadline takes nothing back', async () => {
    const { listener, server, socket } = await pair(fabric)
    socket.pause()
    server.write('never read')
    const short = listener.drain({ deadline: 200 })
    await Promise.all([listener.drain({ deadline: FOREVER }), short])
    expect(listener.state).toBe('closed')
  })

  test('a subscription: the shortest deadline holds for all who wait, and each hears what is left', async () => {
    const [host, guest] = [fabric.client(), fabric.client()]
    const subscription = await host.subscribe('news')
    for (const n of [1, 2, 3]) await guest.publish('news', n)
    const stuck = rejection(subscription.drain())
    const failed = await rejection(subscription.drain({ deadline: 100 }))
    expect(failed).toMatchObject({ code: 408, left: 3 })
    expect(await stuck).toMatchObject({ code: 408, left: 3 })
    expect(await rejection(subscription.drain())).toMatchObject({ code: 408, left: 3 })
  })
})

test('a broker: a second call with less time makes it shorter for both', async () => {
  const broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  const client = connect({ address: `http://127.0.0.1:${broker.address()!.port}`, noCache: true })
  await client.waitUntilReady()
  const inside = broker.client()
  const listener = await listening(inside, 'chat')
  const server = new Promise<{ write(data: unknown): boolean }>(resolve => listener.on('connection', resolve))
  const socket = client.socket.connect('chat')
  socket.pause()
  socket.on('data', () => {})
  ;(await server).write('never read')
  const stuck = broker.drain({ deadline: FOREVER, spread: FOREVER })
  await Promise.all([broker.drain({ deadline: 300 }), stuck])
  expect([broker.state, inside.state]).toEqual(['closed', 'closed'])
  await client.close()
})
