// A server of rooms whose process is killed and comes back at once under the same id.
import { once } from 'node:events'
import { type ConnectOptions, connect } from 'selvedge'
import { describeNats, NatsServer } from '../support/nats'
import { endAll, Party, WIRES } from './party'

const GONE = 'its members are gone for the others as those of a lost server, before the next ones come'

afterEach(endAll)

test.each(WIRES)(
  `over %s: ${GONE}`,
  async wire => {
    const broker = await Party.broker()
    await restart({ address: `http://127.0.0.1:${broker.port}`, wire, noCache: true })
  },
  60_000,
)

describeNats('on NATS', () => {
  const nats = new NatsServer()
  beforeAll(() => nats.start())
  afterAll(() => nats.close())

  test(`directly: ${GONE}`, () => restart({ address: nats.address, noCache: true }), 60_000)

  test('nobody leaves a room while NATS itself is killed and started again', async () => {
    const options = { address: nats.address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }
    const clients = [1, 2, 3].map(() => connect(options))
    try {
      const [one, other] = clients
        .slice(0, 2)
        .map((client, n) => client.socket.listen('hall', { id: `${n}` }))
      const seen: unknown[][] = []
      const lobby = one!.room('lobby')
      lobby.on('join', ({ key }) => seen.push(['join', key]))
      lobby.on('leave', ({ key }, reason) => seen.push(['leave', key, reason]))
      one!.on('peerLost', lost => seen.push(['lost', lost]))
      for (const [n, listener] of [one!, other!].entries()) {
        listener.on('connection', socket => socket.join('lobby', { key: `${n} ${socket.id}` }))
        await listener.waitUntilReady()
      }
      /** Joins at the server of that id, which the other one hears of. */
      async function enter(server: number, id: string): Promise<void> {
        const joined = once(lobby, 'join')
        clients[2]!.socket.connect('hall', { id, loadBalancer: () => `${server}` })
        await joined
      }
      await enter(0, 'a')
      await enter(1, 'b')
      await nats.kill()
      await nats.start()
      await enter(1, 'c')
      await enter(0, 'd')
      expect(seen).toEqual(['0 a', '1 b', '1 c', '0 d'].map(key => ['join', key]))
    } finally {
      await Promise.all(clients.map(client => client.close()))
    }
  }, 60_000)

  test(`at a gateway: ${GONE}`, async () => {
    const broker = await Party.broker(0, { upstream: nats.address })
    await restart({ address: `http://127.0.0.1:${broker.port}`, noCache: true })
  }, 60_000)
})

async function restart(options: ConnectOptions): Promise<void> {
  const back = { subject: 'chat', room: 'lobby', options: { id: 'back' } }
  const client = connect(options)
  try {
    const listener = client.socket.listen('chat', { id: 'stays' })
    await listener.waitUntilReady()
    const seen: unknown[][] = []
    const lobby = listener.room('lobby')
    lobby.on('join', ({ key }) => seen.push(['join', key]))
    lobby.on('leave', ({ key }, reason) => seen.push(['leave', key, reason]))
    const lost = once(listener, 'peerLost')
    const pids: number[] = []
    let before: Party | undefined
    for (let n = 0; n < 2; n++) {
      // A process takes a second to start: the next one is there before the other is killed.
      const server = await Party.client(options)
      pids.push(server.pid)
      await before?.kill()
      await server.ask('listen', back)
      const joined = once(lobby, 'join')
      client.socket.connect('chat', { loadBalancer: () => 'back' })
      expect(await joined).toMatchObject([{ key: `of ${server.pid}` }])
      before = server
    }
    expect(seen).toEqual([
      ['join', `of ${pids[0]}`],
      ['leave', `of ${pids[0]}`, 'server-lost'],
      ['join', `of ${pids[1]}`],
    ])
    expect(await lost).toEqual([{ id: 'back', undelivered: 0 }])
  } finally {
    await client.close()
  }
}
