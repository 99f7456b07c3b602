// A server of a cluster that is about to stop: who is connected to it moves to another one in order. Nothing that was confirmed
// is lost, and no call fails.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { Caller, failuresOf, goOn, serveWork } from '../support/callers'
import { until } from '../support/events'
import {
  describeNats,
  movedOf,
  type NatsServer,
  type RawNats,
  rawNats,
  startNatsCluster,
} from '../support/nats'
import { numbers, take } from '../support/sockets'

const byValue = (a: number, b: number): number => a - b
const GUESTS = 4
const AT_ONCE = 8
const QUICK = { noCache: true, ignoreDiscovered: false, reconnectionDelay: 5, reconnectionDelayMax: 50 }

/** Publishes all the time, and keeps what was confirmed, until it is told to stop. */
class Publisher {
  readonly confirmed: number[] = []
  readonly failed: unknown[] = []
  #next = 0
  #isStopped = false
  readonly #ended: Promise<unknown>

  constructor(client: Client, subject: string) {
    this.#ended = Promise.all(numbers(1, AT_ONCE).map(() => this.#run(client, subject)))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#ended
  }

  async #run(client: Client, subject: string): Promise<void> {
    while (!this.#isStopped) {
      const n = this.#next++
      try {
        const { count } = await client.publish(subject, n)
        if (count > 0) this.confirmed.push(n)
      } catch (error) {
        this.failed.push(error)
      }
      await new Promise(setImmediate)
    }
  }
}

describeNats('a server of NATS that tells its clients to leave', () => {
  let nodes: NatsServer[] = []
  const closes: (() => Promise<unknown>)[] = []
  beforeEach(async () => {
    nodes = await startNatsCluster(2)
  })
  afterEach(async () => {
    for (const close of closes.splice(0).reverse()) await close()
    await Promise.all(nodes.map(node => node.close()))
  })

  function client(address: string): Client {
    const made = connect({ address, ...QUICK })
    closes.push(() => made.close())
    return made
  }

  async function gateway(address: string): Promise<ConatServer> {
    const made = init({ port: null, upstream: address })
    closes.push(() => made.close())
    await made.waitUntilReady()
    return made
  }

  test('clients move without an error, and lose nothing that was confirmed', async () => {
    const [leaving, staying] = nodes as [NatsServer, NatsServer]
    const host = client(staying.address)
    await serveWork(host)
    const listener = host.socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    const guests = numbers(1, GUESTS).map(() => client(leaving.address))
    const sockets = guests.map(guest => guest.socket.connect('echo'))
    const callers = guests.map(guest => new Caller(guest))
    closes.push(() => Promise.all(callers.map(caller => caller.stop())))
    const arrived = guests.map(() => new Set<number>())
    for (const [n, set] of arrived.entries())
      (await host.subscribe(`up.${n}`)).emitter.on('message', ({ data }) => set.add(data as number))
    await Promise.all(guests.map((guest, n) => guest.waitForInterest(`up.${n}`)))
    const publishers = guests.map((guest, n) => new Publisher(guest, `up.${n}`))
    closes.push(() => Promise.all(publishers.map(publisher => publisher.stop())))
    const waits = guests.map(guest => guest.waitForInterest('later', { timeout: 60_000 }))
    // Of a handler that is at work while its client moves the answer comes from the other server.
    const held = (await guests[0]!.subscribe('held')).emitter
    await host.waitForInterest('held')
    const question = once(held, 'message')
    const answer = host.request('held', 1, { timeout: 60_000 })
    const [asked] = (await question) as [{ respond(data: unknown): Promise<unknown> }]
    await goOn(callers, 1)
    const left = guests.map(movedOf)
    leaving.signal('SIGUSR2')
    await Promise.all(left)
    await goOn(callers, 3)
    const late = await host.subscribe('later')
    expect(await Promise.all(waits)).toEqual(waits.map(() => true))
    await asked.respond('answered')
    expect((await answer).data).toBe('answered')
    const echoes = sockets.map(socket => take(socket, 1))
    for (const socket of sockets) socket.write('after')
    expect(await Promise.all(echoes)).toEqual(sockets.map(() => ['after']))
    await Promise.all([...callers, ...publishers].map(one => one.stop()))
    late.close()
    expect(failuresOf(callers)).toEqual([])
    expect(publishers.flatMap(({ failed }) => failed)).toEqual([])
    for (const [n, { confirmed }] of publishers.entries()) {
      await until(() => arrived[n]!.has(confirmed.at(-1)!))
      expect(confirmed.filter(each => !arrived[n]!.has(each))).toEqual([])
    }
  }, 60_000)

  test.each(['a client', 'a gateway'])(
    'what it gives to %s until the end is handled',
    async who => {
      const [leaving] = nodes as [NatsServer, NatsServer]
      const broker = who === 'a gateway' ? await gateway(leaving.address) : undefined
      const made = broker?.client() ?? client(leaving.address)
      closes.push(() => made.close())
      const arrived: number[] = []
      let end = (): void => {}
      const ended = new Promise<void>(resolve => {
        end = resolve
      })
      const subscriptions = [await made.subscribe('down.*'), await made.subscribe('shared.*', { queue: 'q' })]
      for (const { emitter } of subscriptions)
        emitter.on('message', ({ data }) => (String(data) === 'end' ? end() : arrived.push(Number(data))))
      let isOver = false
      await made.waitUntilReady()
      void (broker ? movedUpstream(broker) : movedOf(made)).then(() => {
        isOver = true
      })
      // Who does not go when it is told to.
      const raw = await rawNats(leaving.port, 'SUB _INBOX.raw.* 1\r\n')
      const publishing = publishRaw(raw, () => isOver)
      leaving.signal('SIGUSR2')
      const taken = await publishing
      // Its server learns from the other one where they are now.
      do {
        raw.heard = ''
        await raw.say('PUB down.end _INBOX.raw.1 3\r\nend\r\n')
      } while (raw.heard.includes('_INBOX.raw.1'))
      await ended
      expect(taken.length).toBeGreaterThan(0)
      // Once, and in order; a group has no order meanwhile.
      expect([...arrived].sort(byValue)).toEqual(taken)
      const own = arrived.filter(n => n % 2 === 0)
      expect(own).toEqual([...own].sort(byValue))
      raw.close()
    },
    60_000,
  )

  test('a gateway moves, and what its clients had confirmed has arrived', async () => {
    const [leaving, staying] = nodes as [NatsServer, NatsServer]
    const host = client(staying.address)
    await serveWork(host)
    const broker = await gateway(leaving.address)
    const guests = numbers(1, GUESTS).map(() => broker.client())
    closes.push(() => Promise.all(guests.map(guest => guest.close())))
    const arrived = new Set<number>()
    ;(await host.subscribe('up')).emitter.on('message', ({ data }) => arrived.add(data as number))
    await guests[0]!.waitForInterest('up')
    const callers = guests.map(guest => new Caller(guest))
    closes.push(() => Promise.all(callers.map(caller => caller.stop())))
    const publisher = new Publisher(guests[0]!, 'up')
    closes.push(() => publisher.stop())
    await goOn(callers, 1)
    const moved = movedUpstream(broker)
    leaving.signal('SIGUSR2')
    await moved
    await goOn(callers, 3)
    await Promise.all([...callers, publisher].map(one => one.stop()))
    expect(failuresOf(callers)).toEqual([])
    expect(publisher.failed).toEqual([])
    const { confirmed } = publisher
    await until(() => arrived.has(confirmed.at(-1)!))
    expect(confirmed.filter(each => !arrived.has(each))).toEqual([])
  }, 60_000)
})

/** Resolves when a gateway is connected to another server, without having been away. */
function movedUpstream(broker: ConatServer): Promise<void> {
  return new Promise((resolve, reject) => {
    broker.once('upstream', (state, why) => (state === 'ready' ? resolve() : reject(why ?? Error('away'))))
  })
}

/** Publishes numbers to `down.n` and `shared.n`; returns those that the server had somebody for. */
async function publishRaw(raw: RawNats, isOver: () => boolean): Promise<number[]> {
  const taken: number[] = []
  for (let n = 0; !isOver(); n++) {
    raw.heard = ''
    const subject = n % 2 === 0 ? 'down' : 'shared'
    await raw.say(`PUB ${subject}.${n} _INBOX.raw.1 ${String(n).length}\r\n${n}\r\n`)
    if (!raw.heard.includes('_INBOX.raw.1')) taken.push(n)
    await new Promise(setImmediate)
  }
  return taken
}
