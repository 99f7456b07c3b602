// Sockets as whoever looks into a broker sees them: the states and the windows of both ends, as these tell them.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Client,
  type ConatServer,
  connect,
  init,
  type ServerSocket,
  type SocketPage,
  sysApi,
} from 'selvedge'

jest.setTimeout(60_000)

const PASSWORD = 'a-secret'
const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function broker(): Promise<ConatServer> {
  const made = init({ port: 0, systemAccountPassword: PASSWORD })
  open.push(made)
  await made.waitUntilReady()
  return made
}

async function client(to: ConatServer, password?: string): Promise<Client> {
  const system = password === undefined ? {} : { systemAccountPassword: password }
  const made = connect({ address: String(to.address()), noCache: true, ...system })
  open.push(made)
  await made.waitUntilReady()
  return made
}

type Row = SocketPage['rows'][number]

/** Asks until a row is as wanted: ends tell every few seconds. */
async function rowOf(looking: Client, isWanted: (row: Row) => boolean): Promise<Row> {
  for (;;) {
    const { rows } = (await sysApi(looking).sockets({ subject: 'chat.eu' })) as SocketPage
    if (rows[0] !== undefined && isWanted(rows[0])) return rows[0]
    await sleep(50)
  }
}

test('what an end has written and the other has not handled is seen from both sides', async () => {
  const at = await broker()
  const [looking, serving, user] = [await client(at, PASSWORD), await client(at), await client(at)]
  const listener = serving.socket.listen('chat.*')
  const socket = user.socket.connect('chat.eu')
  const [peer] = (await once(listener, 'connection')) as [ServerSocket]
  await socket.waitUntilReady(10_000)
  // Nobody reads at the server yet.
  peer.pause()
  for (const text of ['one', 'two', 'three']) socket.write(text)
  peer.write('hello')
  socket.on('data', () => {})
  const row = await rowOf(looking, ({ client: end, server }) => (end?.sent ?? 0) === 3 && server?.sent === 1)
  expect(row).toMatchObject({
    subject: 'chat.eu',
    id: socket.id,
    client: { state: 'ready', sent: 3, received: 1, pending: 3, resent: 0 },
    server: { state: 'ready', sent: 1, pending: 0, pendingBytes: 0 },
  })
  expect(row.client!.pendingBytes).toBeGreaterThan(8)
  const connections = (await sysApi(looking).connections()) as { rows: { id: string }[] }
  expect(connections.rows.map(({ id }) => id)).toContain(row.server!.connection)

  peer.on('data', () => {})
  peer.resume()
  await socket.drain()
  expect(await rowOf(looking, ({ client: end }) => end?.pending === 0)).toMatchObject({ client: { sent: 3 } })
})

test('a server that is gone is told of no more, and its client as disconnected', async () => {
  const at = await broker()
  const [looking, serving, user] = [await client(at, PASSWORD), await client(at), await client(at)]
  serving.socket.listen('chat.eu')
  const socket = user.socket.connect('chat.eu', { resumeTimeout: 60_000 })
  await socket.waitUntilReady(10_000)
  await rowOf(looking, ({ client: end, server }) => end?.state === 'ready' && server?.state === 'ready')
  serving.disconnect()
  const row = await rowOf(
    looking,
    ({ client: end, server }) => end?.state === 'disconnected' && server === null,
  )
  expect(row.id).toBe(socket.id)
  serving.connect()
  await rowOf(looking, ({ client: end, server }) => end?.state === 'ready' && server?.state === 'ready')
})

test('a change of state is told at once, not at the next report', async () => {
  const at = await broker()
  const [looking, serving] = [await client(at, PASSWORD), await client(at)]
  const user = connect({ address: String(at.address()), noCache: true, autoConnect: false })
  open.push(user)
  // The next one is in an hour.
  const { info } = serving
  Object.defineProperty(user, 'info', { get: () => ({ ...info, monitor: 3_600_000 }) })
  user.connect()
  const listener = serving.socket.listen('chat.eu')
  await listener.waitUntilReady()
  user.socket.connect('chat.eu', { resumeTimeout: 60_000 })
  await rowOf(looking, ({ client: end }) => end?.state === 'ready')
  // What a reconnect tells at once is that it has no socket yet.
  user.disconnect()
  user.connect()
  await rowOf(looking, ({ client: end }) => end?.state === 'ready')
})

test('clients of a broker that nobody looks into tell nothing', async () => {
  const made = init({ port: 0 })
  open.push(made)
  await made.waitUntilReady()
  const user = connect({ address: String(made.address()), noCache: true })
  open.push(user)
  await user.waitUntilReady()
  expect(user.info).not.toHaveProperty('monitor')
})
