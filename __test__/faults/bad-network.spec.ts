// Sockets over a network that is cut, late, crumbled, silent or damaging, through the proxy of selvedge/testing.
import { once } from 'node:events'
import {
  type Client,
  type ConatServer,
  type ConatSocketClient,
  connect,
  init,
  type ServerSocket,
} from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { disconnection } from '../support/sockets'
import { STALL_MS, stopwatch } from '../support/stall'
import { WIRES } from './party'

const SEED = Number(process.env.SEED ?? 5)

let broker: ConatServer
let proxy: FaultProxy
let clients: Client[]

beforeEach(async () => {
  clients = []
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  proxy = await faultProxy({ target: broker.address()!.port, seed: SEED })
})

afterEach(async () => {
  await Promise.all(clients.map(client => client.close()))
  await proxy.close()
  await broker.close()
})

interface Pair {
  guest: Client
  socket: ConatSocketClient
  accepted: ServerSocket
  at: { server: unknown[]; client: unknown[] }
  closed: unknown[]
}

describe.each(WIRES)('%s wire', wire => {
  async function pair(settings: object = {}): Promise<Pair> {
    const host = broker.client()
    const guest = connect({
      address: proxy.address,
      wire,
      noCache: true,
      reconnectionDelay: 5,
      reconnectionDelayMax: 50,
    })
    clients.push(host, guest)
    const server = host.socket.listen('bad', settings)
    const connection = once(server, 'connection')
    const socket = guest.socket.connect('bad', settings)
    const [accepted] = await connection
    await socket.waitUntilReady()
    const at = { server: [] as unknown[], client: [] as unknown[] }
    const closed: unknown[] = []
    accepted.on('data', (data: unknown) => at.server.push(data))
    socket.on('data', data => at.client.push(data))
    for (const end of [socket, accepted]) end.once('closed', (reason: unknown) => closed.push(reason))
    return { guest, socket, accepted, at, closed }
  }

  /** Writes `count` numbers both ways, some a turn. */
  async function talk({ socket, accepted }: Pair, count: number, fill = ''): Promise<void> {
    for (let n = 1; n <= count; n++) {
      for (const end of [socket, accepted]) if (!end.write({ n, fill })) await end.drain()
      if (n % 20 === 0) await new Promise(setImmediate)
    }
    await Promise.all([socket.drain(), accepted.drain()])
  }

  async function expectAll({ at, closed, socket, accepted }: Pair, count: number): Promise<void> {
    // A fault may have come behind the last message.
    if (closed.length === 0) await Promise.all([socket.waitUntilReady(), accepted.waitUntilReady()])
    const all = Array.from({ length: count }, (_, i) => i + 1)
    expect((at.server as { n: number }[]).map(({ n }) => n)).toEqual(all)
    expect((at.client as { n: number }[]).map(({ n }) => n)).toEqual(all)
    expect([closed, socket.state, accepted.state]).toEqual([[], 'ready', 'ready'])
  }

  test('a link that is cut 50 times resumes each time, although nobody says anything', async () => {
    const made = await pair()
    for (let round = 0; round < 50; round++) {
      const lost = disconnection(made.socket)
      expect(await proxy.cut()).toBe(1)
      await lost
      await made.socket.waitUntilReady()
    }
    made.accepted.write({ n: 1 })
    made.socket.write({ n: 1 })
    await Promise.all([made.accepted.drain(), made.socket.drain()])
    await expectAll(made, 1)
    // Some tries at our own wire may count twice: what matters is that each cut was one.
    expect(proxy.stats.connections).toBeGreaterThanOrEqual(51)
  }, 60_000)

  test.each([
    ['late and uneven', { latency: 10, jitter: 40 }],
    ['crumbled', { slice: 3 }],
    ['narrow', { bandwidth: 400_000 }],
    ['reset now and then', { reset: 0.01, slice: 2000 }],
  ])(
    'a link that is %s loses and doubles nothing',
    async (_name, faults) => {
      const made = await pair()
      proxy.set(faults)
      await talk(made, 300, 'x'.repeat(200))
      proxy.set({ latency: 0, jitter: 0, slice: undefined, bandwidth: undefined, reset: 0 })
      await expectAll(made, 300)
    },
    60_000,
  )

  test('flipped bits end connections, or change what is said; never the process, nor the broker', async () => {
    const broken: unknown[] = []
    const note = (error: unknown): void => void broken.push(error)
    process.on('uncaughtException', note).on('unhandledRejection', note)
    for (let round = 0; round < 20; round++) {
      const made = await pair()
      proxy.flip(1 + (round % 4), round % 2 === 0 ? 'toServer' : 'toClient')
      const writes = Math.min(40, 5 + round * 5)
      for (let n = 1; n <= writes; n++) for (const end of [made.socket, made.accepted]) end.write({ n })
      // Damage that no code can see arrives as data; all other damage is one connection or one socket. A length that was made
      // longer is noticed by the broker's ping at the latest; nobody waits for that here.
      await Promise.race([
        new Promise(resolve => setTimeout(resolve, 300)),
        Promise.allSettled([made.socket.drain(), made.accepted.drain()]),
        once(made.socket, 'closed'),
        once(made.accepted, 'closed'),
      ])
      await proxy.restore()
      await Promise.all(clients.map(client => client.close()))
      clients = []
    }
    expect(proxy.stats.flipped).toBeGreaterThan(15)
    expect(broken).toEqual([])
    process.off('uncaughtException', note).off('unhandledRejection', note)
    const healthy = await pair()
    await talk(healthy, 10)
    await expectAll(healthy, 10)
  }, 60_000)

  test('a black hole is noticed by keep-alive; afterwards nothing is lost and nothing comes twice', async () => {
    const made = await pair({ keepAlive: 100, keepAliveTimeout: 30_000 })
    for (let round = 0; round < 3; round++) {
      proxy.blackhole()
      for (let n = 1; n <= 20; n++) {
        const number = round * 20 + n
        for (const end of [made.socket, made.accepted]) end.write({ n: number })
      }
      await new Promise(resolve => setTimeout(resolve, 50))
      // Some of what was held goes on, in one round on another connection.
      if (round === 1) await proxy.cut()
      await proxy.restore()
      await Promise.all([made.socket.drain(), made.accepted.drain()])
    }
    await expectAll(made, 60)
  }, 60_000)

  test('half a close is the end of the connection, and not of the socket', async () => {
    const made = await pair()
    for (const direction of ['toServer', 'toClient'] as const) {
      const lost = disconnection(made.guest)
      proxy.halfClose(direction)
      await lost
      await made.guest.waitUntilReady()
    }
    await talk(made, 50)
    await expectAll(made, 50)
  })
})

test('a client without return interest holds up nobody: others connect within a second', async () => {
  const [bad, host, good] = [broker.client(), broker.client(), broker.client()]
  clients.push(bad, host, good)
  const server = host.socket.listen('patient')
  server.on('connection', socket => socket.on('data', data => socket.write(data)))
  await server.waitUntilReady()
  await bad.waitUntilReady()
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 200; i++) {
    const headers = { 'CN-SocketCmd': 'connect', id: 'x', 'CN-SocketConnectAttempt': 1 }
    answers.push(bad.request(`patient.server.${server.id}.bad${i}`, null, { headers, timeout: 6500 }))
  }
  const waited = stopwatch()
  for (let i = 0; i < 5; i++) {
    const socket = good.socket.connect('patient')
    socket.write(i)
    expect((await once(socket, 'data'))[0]).toBe(i)
    socket.close()
  }
  expect(waited()).toBeLessThan(STALL_MS)
  expect((await Promise.allSettled(answers)).filter(({ status }) => status === 'fulfilled')).toEqual([])
  // Nothing of them stays.
  expect(Object.keys(server.sockets).filter(id => id.startsWith('bad'))).toEqual([])
})
