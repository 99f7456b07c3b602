// Permissions that are taken back from open sockets and listeners.
import { once } from 'node:events'
import { connect, type FabricError, init } from 'selvedge'

let revoked = (_subject: string): boolean => false
let close: () => Promise<unknown> = async () => {}

afterEach(async () => {
  revoked = () => false
  await close()
})

async function opened(wire: 'selvedge' | 'conat') {
  const broker = init({
    port: 0,
    host: '127.0.0.1',
    permissionCache: 0,
    isAllowed: ({ type, subject }) => type === 'pub' || !revoked(subject),
  })
  await broker.waitUntilReady()
  const client = () => connect({ address: `${broker.address()}`, noCache: true, wire, reconnectionDelay: 5 })
  const [host, guest] = [client(), client()]
  close = async () => {
    await Promise.all([host.close(), guest.close()])
    await broker.close()
  }
  const listener = host.socket.listen('rev')
  const accepted = once(listener, 'connection')
  await listener.waitUntilReady()
  const socket = guest.socket.connect('rev')
  await socket.waitUntilReady()
  await accepted
  return { broker, host, guest, listener, socket }
}

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: FabricError) => error,
  )
const loopOf = async (items: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of items);
}
const denied = (subject: string) =>
  expect.objectContaining({ code: 403, message: expect.stringContaining(`'${subject}`) })

describe.each(['selvedge', 'conat'] as const)('what is revoked, %s wire', wire => {
  test('closes a socket and a listener with 403, and whatever waits for them', async () => {
    const { broker, listener, socket } = await opened(wire)
    const ends = [once(socket, 'closed'), once(listener, 'closed')].map(end => end.then(([reason]) => reason))
    const waits = [socket.send(1), loopOf(socket), loopOf(listener)].map(outcome)
    revoked = subject => subject.startsWith('rev')
    broker.revalidate()
    expect(await Promise.all(ends)).toEqual([denied('rev.client.'), denied('rev.server.')])
    const [sent, read, accepted] = await Promise.all(waits)
    expect([sent, read, accepted]).toEqual([
      denied('rev.client.'),
      denied('rev.client.'),
      denied('rev.server.'),
    ])
  })

  test.each([
    ['of a listener closes its sockets with 403', 'rev.server.'],
    ['of a socket closes it with 403', 'rev.client.'],
  ])('%s, and no loop ends in order, on either side', async (_, prefix) => {
    const { broker, listener, socket } = await opened(wire)
    const peer = Object.values(listener.sockets)[0]!
    const ends = [peer, socket].map(one => once(one, 'closed').then(([reason]) => reason))
    const loops = [outcome(loopOf(socket)), outcome(loopOf(peer))]
    revoked = subject => subject.startsWith(prefix)
    broker.revalidate()
    expect(await Promise.all([...ends, ...loops])).toEqual(Array(4).fill(denied(prefix)))
  })

  test('closes them as well if it was revoked while they were away', async () => {
    const { host, guest, listener, socket } = await opened(wire)
    const ends = [once(socket, 'closed'), once(listener, 'closed')].map(end => end.then(([reason]) => reason))
    revoked = subject => subject.startsWith('rev')
    for (const client of [host, guest]) {
      client.disconnect()
      client.connect()
    }
    expect(await Promise.all(ends)).toEqual([denied('rev.client.'), denied('rev.server.')])
  })

  test('leaves a plain subscription, which goes on when it is permitted again', async () => {
    const { broker, host, guest } = await opened(wire)
    const news = await host.subscribe('rev.news')
    const next = news.next()
    const told = once(host, 'permission')
    revoked = subject => subject === 'rev.news'
    broker.revalidate()
    await told
    revoked = () => false
    await guest.publish('rev.news', 1, { waitForInterest: true })
    expect((await next).value?.data).toBe(1)
  })
})
