// Sockets whose own subscription the broker refuses: the side that connects is told, and the server has no connection with nobody.
import { once } from 'node:events'
import { type Client, type ConatSocketClient, connect, init, type ServerOptions } from 'selvedge'
import { describeTransports, type Fabric } from '../support/fabrics'
import { describeNats, NatsServer } from '../support/nats'
import { listening } from '../support/sockets'

/** Ids of the sockets that a server has been given. */
async function serve(client: Client, subject: string): Promise<Set<string>> {
  const ids = new Set<string>()
  const server = await listening(client, subject)
  server.on('connection', socket => {
    if (!socket.id.startsWith('fence')) ids.add(socket.id)
  })
  return ids
}

/** What becomes of a socket: `ready`, or the code that it closes with. */
function outcome(socket: ConatSocketClient): Promise<unknown> {
  return Promise.race([
    once(socket, 'ready').then(() => 'ready'),
    once(socket, 'closed').then(([reason]) => reason.code),
  ])
}

let fences = 0

/** Opens these at once. Says what has become of each, once whatever the server was given before has come to it. */
function open(fabric: Fabric, to: [Client, string], ids: Iterable<string>): Promise<Map<string, unknown>> {
  return openBeside(() => fabric.client(), to, ids)
}

async function openBeside(
  other: () => Client,
  [guest, subject]: [Client, string],
  ids: Iterable<string>,
): Promise<Map<string, unknown>> {
  const sockets = Array.from(ids, id => guest.socket.connect(subject, { id }))
  const outcomes = await Promise.all(sockets.map(outcome))
  await other()
    .socket.connect('chat', { id: `fence-${++fences}` })
    .waitUntilReady()
  return new Map<string, unknown>(sockets.map((socket, n) => [socket.id, outcomes[n]]))
}

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}-${n}`)
const idsOf = (outcomes: Map<string, unknown>, wanted: unknown) =>
  new Set([...outcomes].filter(([, outcome]) => outcome === wanted).map(([id]) => id))

function testLimit(what: string, subject: string, options: ServerOptions): void {
  describeTransports(
    `sockets beyond ${what}`,
    fabric => {
      test('close with 429 and are no connections of the server, at once and one by one', async () => {
        fabric.meetAtOneBroker()
        const seen = await serve(fabric.client(), subject)
        const guest = fabric.client()
        await guest.waitUntilConnected()
        const outcomes = await open(fabric, [guest, subject], numbered('together', 60))
        for (const id of numbered('alone', 3)) {
          outcomes.set(id, (await open(fabric, [guest, subject], [id])).get(id))
        }
        const accepted = idsOf(outcomes, 'ready')
        expect(accepted.size).toBeGreaterThan(0)
        expect(idsOf(outcomes, 429).size).toBe(outcomes.size - accepted.size)
        expect(accepted.size).toBeLessThan(60)
        expect(seen).toEqual(accepted)
      })

      test('have room again when others have closed', async () => {
        fabric.meetAtOneBroker()
        const seen = await serve(fabric.client(), subject)
        const guest = fabric.client()
        const sockets = numbered('first', 60).map(id => guest.socket.connect(subject, { id }))
        const outcomes = await Promise.all(sockets.map(outcome))
        expect(outcomes).toContain(429)
        await Promise.all(sockets.filter((_, n) => outcomes[n] === 'ready').map(socket => socket.end()))
        expect(await open(fabric, [guest, subject], ['later'])).toEqual(new Map([['later', 'ready']]))
        expect(seen).toContain('later')
      })
    },
    options,
  )
}

testLimit('the number of subscriptions', 'chat', { maxSubscriptionsPerClient: 20 })

describeTransports(
  'sockets whose inbox is refused',
  fabric => {
    test('close with 403 and are no connections of the server', async () => {
      fabric.meetAtOneBroker()
      const seen = await serve(fabric.client(), 'chat')
      const guest = fabric.client()
      const ids = [...numbered('good', 5), ...numbered('bad', 5), 'good', 'bad']
      const outcomes = await open(fabric, [guest, 'chat'], ids)
      expect(outcomes).toEqual(new Map(ids.map(id => [id, id.startsWith('good') ? 'ready' : 403])))
      expect(seen).toEqual(idsOf(outcomes, 'ready'))
    })
  },
  { isAllowed: async ({ type, subject }) => type === 'pub' || !subject.includes('.client.bad') },
)

describeNats('sockets whose inbox NATS refuses', () => {
  const bad = numbered('bad', 5)
  const denied = bad.map(id => `"chat.client.${id}"`).join(', ')
  const server = new NatsServer(`max_subscriptions: 30
    authorization { users: [
      { user: host, password: p },
      { user: guest, password: p, permissions: { subscribe: { deny: [${denied}] } } }] }`)
  const closes: (() => Promise<unknown>)[] = []
  beforeAll(() => server.start())
  afterEach(async () => {
    for (const close of closes.splice(0).reverse()) await close()
  })
  afterAll(() => server.close())

  /** Of a user, directly or by a gateway. */
  async function client(user: string, isAtGateway = false): Promise<Client> {
    const options = { address: server.address, user, password: 'p' }
    const broker = isAtGateway ? init({ port: null, upstream: options }) : undefined
    if (broker) closes.push(() => broker.close())
    await broker?.waitUntilReady()
    const made = broker?.client() ?? connect({ ...options, noCache: true })
    closes.push(() => made.close())
    await made.waitUntilConnected()
    return made
  }

  test.each([
    ['directly', false],
    ['at a gateway', true],
  ])('close with 403 and are no connections of the server, %s', async (_name, isAtGateway) => {
    const host = await client('host')
    const seen = await serve(host, 'chat')
    const guest = await client('guest', isAtGateway)
    const ids = [...numbered('good', 5), ...bad]
    const outcomes = await openBeside(() => host, [guest, 'chat'], ids)
    expect(outcomes).toEqual(new Map(ids.map(id => [id, id.startsWith('good') ? 'ready' : 403])))
    expect(seen).toEqual(idsOf(outcomes, 'ready'))
  })

  test('close with 429 and are no connections of the server where there are too many', async () => {
    const host = await client('host')
    const seen = await serve(host, 'chat')
    const outcomes = await openBeside(() => host, [await client('guest'), 'chat'], numbered('good', 60))
    const accepted = idsOf(outcomes, 'ready')
    expect(accepted.size).toBeGreaterThan(0)
    expect(idsOf(outcomes, 429).size).toBe(60 - accepted.size)
    expect(seen).toEqual(accepted)
  })
})
