// Programs of the kinds that exist for Conat, with one import changed: they compile against index.d.ts, and run on brokers
// of both kinds.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Client,
  connect,
  createServiceClient,
  createServiceHandler,
  messageData,
  sysApi,
} from 'selvedge'
import { until } from '../support/events'
import { type RunningBroker, startBroker } from './parties'
import { Client as PeerClient } from './peers/client'
import { changefeed, changefeedServer } from './programs/changefeed'
import { PASSWORD, startHub } from './programs/hub'
import { Store, StoreServer } from './programs/store'
import { Terminal, terminalServer } from './programs/terminal'
import { announce, fastCall } from './programs/typed-service'

describe.each(['ours', 'theirs'] as const)('on a broker of %s', kind => {
  let broker: RunningBroker
  const clients: Client[] = []

  /** A client of its own, closed after the test. */
  function client(): Client {
    const made = connect({
      address: broker.address,
      noCache: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
    })
    clients.push(made)
    return made
  }

  beforeEach(async () => {
    broker = await startBroker(kind)
  })

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await broker.close()
  })

  test('a store saves batches of messages, and plays them back', async () => {
    const server = new StoreServer(client(), 'store.a')
    await server.server.waitUntilReady(10_000)
    const store = new Store(client(), 'store.a')
    const values = [
      'text',
      { at: new Date(5), bytes: Buffer.from('ab') },
      null,
      messageData(7),
      Buffer.alloc(100_000, 1),
    ]
    for (const [n, value] of values.entries()) store.publish(value, n % 2 ? { key: `k${n}`, n } : undefined)
    expect(await store.save()).toEqual([1, 2, 3, 4, 5])
    const back = await new Store(client(), 'store.a').load(2)
    expect(back.map(({ seq }) => seq)).toEqual([2, 3, 4, 5])
    expect(back.map(({ headers }) => headers)).toEqual([
      { key: 'k1', n: 1 },
      undefined,
      { key: 'k3', n: 3 },
      undefined,
    ])
    expect([back[0]!.value, back[1]!.value, back[3]!.value]).toEqual([values[1], null, values[4]])
    expect(back[2]!.value).toMatchObject({ encoding: 0, raw: Buffer.from([7]) })
    await until(() => store.seen.length === 5)
    expect(store.seen[1]!.data).toEqual(values[1])
    expect(store.seen[1]!.headers).toEqual({ key: 'k1', n: 1 })
  })

  test('a store goes on after its broker restarts', async () => {
    const server = new StoreServer(client(), 'store.b')
    await server.server.waitUntilReady(10_000)
    const store = new Store(client(), 'store.b')
    store.publish('before')
    await store.save()
    await broker.restart()
    store.publish('after')
    await store.save()
    expect((await store.load()).map(({ value }) => value)).toEqual(['before', 'after'])
  })

  test('a changefeed opens with its parameters, asks for what is there, and gets what changes', async () => {
    const { server, insert } = changefeedServer(client(), { files: [{ name: 'a' }] })
    await server.waitUntilReady(10_000)
    const feed = await changefeed(client(), 'account-1', { table: 'files' })
    expect({ rows: feed.rows, account: feed.account }).toEqual({
      rows: [{ name: 'a' }],
      account: 'account-1',
    })
    insert('files', { name: 'b' })
    insert('files', { name: 'c' })
    const names: string[] = []
    for await (const { action, row } of feed.updates) {
      names.push(`${action} ${(row as { name: string }).name}`)
      if (names.length === 2) break
    }
    expect(names).toEqual(['insert b', 'insert c'])
    await expect(changefeed(client(), 'account-2', { table: 'none' })).rejects.toThrow(
      'no table none for account-2',
    )
    feed.close()
    await until(() => Object.keys(server.sockets).length === 0)
  })

  test('a typed service is called from a proxy', async () => {
    const impl = {
      add: async (a: number, b: number) => a + b,
      later: (at: Date) => new Date(at.valueOf() + 1),
    }
    const math = createServiceClient<typeof impl>({ client: client(), service: 'math' })
    const early = math.add(1, 2)
    await using _ = await createServiceHandler({ client: client(), service: 'math', impl })
    expect([await early, await math.later(new Date(1))]).toEqual([3, new Date(2)])
  })

  test('a terminal listens, answers, tells all who watch, and ends', async () => {
    const server = terminalServer(client(), 'terminal.project-1.0')
    await server.waitUntilReady(10_000)
    const [one, two] = [
      new Terminal(client(), 'terminal.project-1.0'),
      new Terminal(client(), 'terminal.project-1.0'),
    ]
    await one.open()
    await two.open()
    one.type('ls\n')
    await until(() => one.screen === 'LS\n' && two.screen === 'LS\n')
    const late = new Terminal(client(), 'terminal.project-1.0')
    await late.open()
    expect(late.screen).toBe('LS\n')
    expect(await one.ask('size', { rows: 10, cols: 20 })).toBe('ok')
    await until(() => two.size !== undefined)
    expect(two.size).toEqual({ rows: 10, cols: 20 })
    expect(await two.ask('env')).toEqual({ TERM: 'xterm-256color' })
    await expect(one.ask('dance')).rejects.toThrow("unknown command 'dance'")
    await late.close()
    await until(() => Object.keys(server.sockets).length === 2)
    const closed = [one, two].map(({ socket }) => once(socket, 'closed'))
    expect(await one.ask('kill')).toBe('bye')
    await Promise.all(closed)
    expect([one.socket.state, two.socket.state]).toEqual(['closed', 'closed'])
    await until(() => server.state === 'closed')
  })
})

test('a typed service of the newer dialect announces itself at our broker, and is called by plain requests', async () => {
  const broker = await startBroker('ours')
  const [host, guest] = [new PeerClient(broker.address), new PeerClient(broker.address)]
  try {
    await Promise.all([host.untilReady(), guest.untilReady()])
    const close = await announce(host, 'typed.math', { add: (a: number, b: number) => a + b })
    const told: string[] = []
    expect(await fastCall(guest, 'typed.math', 'add', [1, 2], told)).toBe(3)
    expect(told).toEqual(['fast-rpc', 'rpc', 'rpc-raw'])
    await close()
  } finally {
    host.close()
    guest.close()
    await broker.close()
  }
})

test('a hub takes the whole set of options, signs users in, and keeps them to what is theirs', async () => {
  const http = createServer().listen(0, '127.0.0.1')
  await once(http, 'listening')
  const hub = await startHub(http)
  const address = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const as = (cookie: string, inboxPrefix?: string) =>
    connect({
      address,
      noCache: true,
      extraHeaders: { Cookie: cookie },
      inboxPrefix,
      transports: ['websocket'],
    })
  const system = connect({ address, noCache: true, systemAccountPassword: PASSWORD })
  const account = as('account_id=a1', '_INBOX.account-a1')
  const stranger = as('none=1')
  try {
    const inside = hub.client({ systemAccountPassword: PASSWORD })
    await inside.service('hub.account-a1.api', { echo: (x: unknown) => x })
    expect(await account.call('hub.account-a1.api').echo('hi')).toBe('hi')
    await expect(account.publish('hub.account-b2.api', 1)).rejects.toMatchObject({ code: 403 })
    await expect(stranger.waitUntilSignedIn({ timeout: 10_000 })).rejects.toThrow('failed to sign in')
    expect(Object.keys(await sysApi(system).usage())).toEqual(['0'])
    expect(Object.keys(await sysApi(system).stats())).toEqual(['0'])
    await inside.close()
  } finally {
    await Promise.all([system, account, stranger].map(client => client.close()))
    await hub.close()
    http.close()
  }
})
