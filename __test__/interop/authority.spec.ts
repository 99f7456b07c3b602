// Our broker's callbacks, seen by a client on the official Socket.IO library.
import { type EventEmitter, once as emitted } from 'node:events'
import type { ServerOptions } from 'selvedge'
import { io, type Socket } from 'socket.io-client'
import { type ConatServer, init } from '../../lib'
import { until } from '../support/events'
import { encode } from './peers/wire'

let server: ConatServer
let peers: Socket[] = []

/** Peers are emitters, though their types do not say so. */
const once = (peer: Socket, event: string) => emitted(peer as unknown as EventEmitter, event)

async function start(options: ServerOptions): Promise<void> {
  server = init({ port: 0, host: '127.0.0.1', ...options } as object)
  await server.waitUntilReady()
}

/** A peer, and what it hears: `info`, `permission`, `disconnect`, each as it comes. */
function join(cookie?: string) {
  const peer = io(`http://127.0.0.1:${server.address()!.port}`, {
    path: '/conat',
    transports: ['websocket'],
    multiplex: false,
    reconnection: false,
    ...(cookie === undefined ? {} : { extraHeaders: { Cookie: cookie } }),
  })
  peers.push(peer)
  const events: any[] = []
  peer.on('info', (info, ack) => {
    events.push(['info', info.user])
    ack?.()
  })
  peer.on('permission', refusal => events.push(['permission', refusal]))
  peer.on('disconnect', reason => events.push(['disconnect', reason]))
  return { peer, events }
}

const chunk = (subject: string) => [subject, 'id', 0, 1, 0, encode('hi')]

afterEach(async () => {
  for (const peer of peers) peer.close()
  peers = []
  await server.close()
})

const named: ServerOptions = {
  getUser: async visitor => {
    const name = /name=(\w+)/.exec(visitor.handshake.headers.cookie ?? '')?.[1]
    if (name === undefined) throw Object.assign(Error('who are you?'), { code: 401 })
    return { name }
  },
  isAllowed: async ({ user, subject }) => subject.startsWith(`${user.name}.`),
}

test('a peer with a cookie is let in, and known by its Socket.IO id', async () => {
  await start(named)
  const { peer, events } = join('x=1; name=ann')
  await once(peer, 'info')
  expect(events).toEqual([['info', { name: 'ann' }]])
  expect(Object.keys(server.sockets)).toEqual([peer.id])
  const gone = once(peer, 'disconnect')
  expect(server.disconnect(peer.id!)).toBe(1)
  await gone
  expect(server.getUsage().total).toBe(0)
})

test('a peer without one is told why, then disconnected', async () => {
  await start(named)
  const { peer, events } = join()
  await once(peer, 'disconnect')
  expect(events[0]).toEqual(['info', { error: 'who are you?', code: 401 }])
  expect(events).toHaveLength(2)
  expect(server.totals).toMatchObject({ connections: 0, connectionsRefused: 1 })
})

test('what is not allowed is acknowledged with 403, alone or in a list, and told as an event', async () => {
  await start(named)
  const { peer, events } = join('name=ann')
  await once(peer, 'info')
  const told = (n: number) => (events.length > n ? Promise.resolve() : once(peer, 'permission'))
  const pub = { error: `permission denied publishing to 'bob.x' from this user`, code: 403 }
  expect(await peer.emitWithAck('publish', chunk('bob.x'))).toEqual(pub)
  expect(await peer.emitWithAck('publish', chunk('ann.x'))).toEqual({ count: 0 })
  const sub = { error: `permission denied subscribing to 'bob.*' from this user`, code: 403 }
  expect(await peer.emitWithAck('subscribe', { subject: 'bob.*', queue: '0' })).toEqual(sub)
  const list = ['ann.*', 'bob.*'].map(subject => ({ subject, queue: '0' }))
  expect(await peer.emitWithAck('subscribe', list)).toEqual([{ status: 'added' }, sub])
  expect(await peer.emitWithAck('subscriptions', null)).toEqual(['ann.*'])
  const answers: unknown[] = []
  peer.emit('wait-for-interest', { subject: 'bob.y', timeout: 1000 }, (answer: unknown) =>
    answers.push(answer),
  )
  expect(await peer.emitWithAck('wait-for-interest', { subject: 'ann.y', timeout: 1000 })).toBe(true)
  expect(answers).toEqual([expect.objectContaining({ code: 403 })])
  await told(4)
  expect(events.slice(1)).toEqual([
    ['permission', { message: pub.error, subject: 'bob.x', type: 'pub' }],
    ['permission', { message: sub.error, subject: 'bob.*', type: 'sub' }],
    ['permission', { message: sub.error, subject: 'bob.*', type: 'sub' }],
    ['permission', expect.objectContaining({ subject: 'bob.y', type: 'pub' })],
  ])
})

test('what it emits before it is signed in is carried out then, in order', async () => {
  let admit: ((user: null) => void) | undefined
  await start({
    getUser: () =>
      new Promise<null>(done => {
        admit = done
      }),
  })
  const { peer } = join()
  const heard: string[] = []
  peer.on('n.*', ({ subject }) => heard.push(subject))
  await once(peer, 'connect')
  peer.emit('subscribe', { subject: 'n.*', queue: '0' })
  const count = peer.emitWithAck('publish', chunk('n.1'))
  await until(() => admit !== undefined)
  expect(server.totals!.subscriptions).toBe(0)
  admit!(null)
  expect(await count).toEqual({ count: 1 })
  expect(heard).toEqual(['n.1'])
})

test('the cookie of the system account opens the system service', async () => {
  await start({ systemAccountPassword: 'pass' })
  const { peer, events } = join('sys=pass')
  await once(peer, 'info')
  expect(events).toEqual([['info', { hub_id: 'system' }]])
  await peer.emitWithAck('subscribe', { subject: '_INBOX.p.*', queue: '0' })
  const answered = once(peer, '_INBOX.p.*')
  const request = ['sys.conat.default', 'id', 0, 1, 0, encode(['usage', []]), { 'CN-Reply': '_INBOX.p.1' }]
  expect(await peer.emitWithAck('publish', request)).toEqual({ count: 1 })
  const [{ data }] = await answered
  expect(Buffer.from(data[4]).toString('latin1')).toContain('perUser')
  const stranger = join()
  await once(stranger.peer, 'info')
  expect(await stranger.peer.emitWithAck('publish', request)).toMatchObject({ code: 403 })
})
