// A server of a cluster that is about to stop, under a stream of requests and messages: whoever is connected to it has a connection to
// another one before it leaves. No request fails, and of what is published each message comes once and in order.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { until } from '../support/events'
import { describeNats, movedOf, type NatsServer, startNatsCluster } from '../support/nats'
import { disconnection, numbers } from '../support/sockets'

const AT_ONCE = 16
/** How long the answer to a request takes, in ms. */
const WORK = 40
const QUICK = { noCache: true, ignoreDiscovered: false }

/** Asks all the time. */
class Asker {
  readonly failed: string[] = []
  done = 0
  #isStopped = false
  readonly #ended: Promise<unknown>

  constructor(client: Client, subject: string, atOnce = AT_ONCE) {
    this.#ended = Promise.all(numbers(1, atOnce).map(() => this.#run(client, subject)))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#ended
  }

  async #run(client: Client, subject: string): Promise<void> {
    while (!this.#isStopped) {
      await client.request(subject, this.done, { timeout: 5000 }).then(
        () => {
          this.done += 1
        },
        error => this.failed.push(`${subject}: ${error}`),
      )
    }
  }
}

async function answer(client: Client, subject: string): Promise<void> {
  const { emitter } = await client.subscribe(subject, { queue: 'members' })
  emitter.on('message', async message => {
    await sleep(WORK)
    await message.respond(message.data)
  })
}

describeNats('a server of NATS that is about to stop', () => {
  let nodes: NatsServer[] = []
  const closes: (() => Promise<unknown>)[] = []
  beforeEach(async () => {
    // As the guide recommends: it ends after 5 s, or sends away who is still there.
    nodes = await startNatsCluster(3, 'lame_duck_duration: "60s", lame_duck_grace_period: "5s"')
  })
  afterEach(async () => {
    for (const close of closes.splice(0).reverse()) await close()
    await Promise.all(nodes.map(node => node.close()))
  })

  function client(node: NatsServer): Client {
    const made = connect({ address: node.address, ...QUICK })
    closes.push(() => made.close())
    return made
  }

  async function gateway(node: NatsServer): Promise<ConatServer> {
    const made = init({ port: null, upstream: { address: node.address, ignoreDiscovered: false } })
    closes.push(() => made.close())
    await made.waitUntilReady()
    return made
  }

  function guest(broker: ConatServer): Client {
    const made = broker.client()
    closes.push(() => made.close())
    return made
  }

  test.each(['a client', 'a gateway'])(
    'is left by %s without a request that fails, or a message that is lost, comes twice, or out of order',
    async who => {
      const [leaving, staying, third] = nodes as [NatsServer, NatsServer, NatsServer]
      const broker = who === 'a gateway' ? await gateway(leaving) : undefined
      const other = guest(await gateway(staying))
      const direct = client(third)
      const mover = broker === undefined ? client(leaving) : guest(broker)
      const ids = [mover, other, direct]
      for (const [n, one] of ids.entries()) await answer(one, `asked.${n}`)
      const came: unknown[] = []
      const news = await mover.subscribe('news')
      news.emitter.on('message', ({ data }) => came.push(data))
      for (const one of ids) {
        for (const subject of ['asked.0', 'asked.1', 'asked.2', 'news']) await one.waitForInterest(subject)
      }
      // What only the one that moves serves, and what it asks of others.
      const askers = [
        new Asker(other, 'asked.0'),
        new Asker(direct, 'asked.0'),
        new Asker(mover, 'asked.1'),
        new Asker(mover, 'asked.2'),
      ]
      let published = 0
      let isStopped = false
      const publishing = (async () => {
        for (; !isStopped; published++) {
          direct.publishSync('news', published)
          if (published % 8 === 0) await sleep(1)
        }
      })()
      closes.push(async () => {
        isStopped = true
        await Promise.all([publishing, ...askers.map(asker => asker.stop())])
      })
      const goOn = async (): Promise<void> => {
        const goals = askers.map(({ done }) => done + 4 * AT_ONCE)
        while (askers.some(({ done, failed }, n) => done < goals[n]! && failed.length === 0)) await sleep(20)
      }
      await goOn()
      const moved = broker === undefined ? movedOf(mover) : once(broker, 'upstream')
      const states: unknown[] = []
      broker?.on('upstream', state => states.push(state))
      leaving.signal('SIGUSR2')
      await moved
      await goOn()
      isStopped = true
      await Promise.all([publishing, ...askers.map(asker => asker.stop())])
      expect(askers.flatMap(({ failed }) => failed)).toEqual([])
      expect(states).toEqual(broker === undefined ? [] : ['ready'])
      while (came.at(-1) !== published - 1) await sleep(20)
      expect(came).toEqual(numbers(0, published - 1))
    },
    60_000,
  )
  test('all servers of a cluster are restarted, one after the other, and no request fails', async () => {
    const brokers = await Promise.all(nodes.map(gateway))
    const all = [...brokers.map(guest), ...nodes.map(client)]
    for (const [n, one] of all.entries()) await answer(one, `asked.${n}`)
    for (const one of all) for (const n of all.keys()) await one.waitForInterest(`asked.${n}`)
    const lost: unknown[] = []
    for (const broker of brokers) broker.on('upstream', state => state === 'away' && lost.push(state))
    for (const one of all) one.on('disconnected', why => lost.push(why))
    const pairs = all.flatMap((one, n) => [...all.keys()].filter(m => m !== n).map(m => [one, m] as const))
    const askers = pairs.map(([one, m]) => new Asker(one, `asked.${m}`, 2))
    closes.push(() => Promise.all(askers.map(asker => asker.stop())))
    for (const node of nodes) {
      node.signal('SIGUSR2')
      await node.ended()
      await node.start()
    }
    await Promise.all(askers.map(asker => asker.stop()))
    expect(askers.flatMap(({ failed }) => failed)).toEqual([])
    expect(lost).toEqual([])
    expect(Math.min(...askers.map(({ done }) => done))).toBeGreaterThan(0)
  }, 120_000)
  test.each(['a client', 'a gateway'])(
    'is left by %s although no other one can be had: what was asked is answered, and what is asked then waits',
    async who => {
      const [leaving, gone, third] = nodes as [NatsServer, NatsServer, NatsServer]
      const host = client(third)
      const { emitter } = await host.subscribe('asked')
      const questions: { respond(data: unknown): Promise<unknown> }[] = []
      emitter.on('message', message => questions.push(message))
      await gone.kill()
      const options = { address: [leaving.address, gone.address], ignoreDiscovered: true }
      const broker = who === 'a gateway' ? init({ port: null, upstream: options }) : undefined
      if (broker !== undefined) closes.push(() => broker.close())
      await broker?.waitUntilReady()
      const made = broker?.client() ?? connect({ ...options, address: options.address.join(), noCache: true })
      closes.push(() => made.close())
      await made.waitForInterest('asked')
      const confirmed = made.publish('asked', 0)
      const left = broker === undefined ? disconnection(made) : once(broker, 'upstream')
      leaving.signal('SIGUSR2')
      expect((await confirmed).count).toBe(1)
      const [state, why] = broker === undefined ? ['away', (await left)[0]] : await left
      expect([state, why.code]).toEqual(['away', 'ERR_DRAINING'])
      const answer = made.request('asked', 1, { timeout: 20_000 })
      await gone.start()
      await until(() => questions.length === 2)
      await questions[1]!.respond('answered')
      expect((await answer).data).toBe('answered')
    },
    60_000,
  )
})
