// The oldest servers that will do, 2.9 and 2.10: they know no traces, so interest is looked for by empty messages.
import { once } from 'node:events'
import { type Client, connect, init } from 'selvedge'
import { rejection } from '../support/messages'
import { describeOldNats, NatsServer, OLD_NATS_SERVER } from '../support/nats'
import { join, listening, take } from '../support/sockets'

const QUICK = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }
const LARGE = Buffer.alloc(5_000_000, 7)

describeOldNats('an old server of NATS', () => {
  const server = new NatsServer(
    `authorization { users: [{ user: u, password: p, permissions: {
      publish: { deny: ["secret.>"] }, subscribe: { deny: ["secret.>"] } } }] }`,
    OLD_NATS_SERVER,
  )
  const closes: (() => Promise<unknown>)[] = []
  beforeAll(() => server.start())
  afterEach(async () => {
    for (const close of closes.splice(0).reverse()) await close()
  })
  afterAll(() => server.close())

  const signIn = { user: 'u', password: 'p' }

  /** Two clients, of two gateways or of the server. */
  async function two(where: string): Promise<[Client, Client]> {
    const made: Client[] = []
    for (let n = 0; n < 2; n++) {
      if (where === 'at gateways') {
        const broker = init({ port: null, upstream: { address: server.address, ...signIn } })
        closes.push(() => broker.close())
        await broker.waitUntilReady()
        made.push(broker.client())
      } else made.push(connect({ address: server.address, ...signIn, ...QUICK }))
    }
    for (const client of made) closes.push(() => client.close())
    return made as [Client, Client]
  }

  describe.each(['directly', 'at gateways'])('%s', where => {
    test('counts, refusals and interest are told at once, and nobody sees who looks for him', async () => {
      const [one, other] = await two(where)
      expect((await one.publish('nobody', 1)).count).toBe(0)
      expect(await rejection(one.request('nobody', 1))).toMatchObject({ code: 503 })
      expect(await rejection(one.publish('secret.a', 1))).toMatchObject({ code: 403 })
      expect(await rejection(one.subscribe('secret.a'))).toMatchObject({ code: 403 })
      expect(await one.waitForInterest('work', { timeout: 0 })).toBe(false)
      const waiting = one.waitForInterest('work', { timeout: 10_000 })
      const heard: unknown[] = []
      const work = await other.subscribe('work')
      work.emitter.on('message', message => {
        heard.push(message.data)
        if (message.data > 1) message.respondSync(message.data * 2)
      })
      expect(await waiting).toBe(true)
      expect(await one.waitForInterest('work', { timeout: 0 })).toBe(true)
      expect((await one.publish('work', 1)).count).toBe(1)
      expect((await one.request('work', 2)).data).toBe(4)
      const many = []
      for await (const { data } of await one.requestMany('work', 3, { maxMessages: 1 })) many.push(data)
      expect(many).toEqual([6])
      expect(heard).toEqual([1, 2, 3])
      work.close()
    })

    test('a queue group has one for each message, and a socket carries large ones', async () => {
      const [one, other] = await two(where)
      let count = 0
      const members = [
        await one.subscribe('jobs', { queue: 'q' }),
        await other.subscribe('jobs', { queue: 'q' }),
      ]
      const done = new Promise<void>(resolve => {
        for (const { emitter } of members) emitter.on('message', () => ++count === 50 && resolve())
      })
      for (let n = 0; n < 50; n++) expect((await one.publish('jobs', n)).count).toBe(1)
      await done
      const listener = await listening(other, 'chat')
      const [there, socket] = await join(listener, one)
      const received = take(there, 3)
      for (const data of ['before', LARGE, 'after']) socket.write(data)
      expect(
        (await received).map(data => (data === 'before' || data === 'after' ? data : data.length)),
      ).toEqual(['before', LARGE.length, 'after'])
      expect(count).toBe(50)
    })
  })

  test('a socket goes on when it has been killed and started again', async () => {
    const [one, other] = await two('directly')
    const [there, socket] = await join(await listening(other, 'chat'), one)
    const received = take(there, 2)
    const first = once(there, 'data')
    socket.write(1)
    await first
    await server.kill()
    socket.write(2)
    await server.start()
    expect(await received).toEqual([1, 2])
  })
})
