// The broker is killed with calls, publishes and waits in its hands: each is told, or goes on with the next broker, and
// none waits for its whole timeout.
import { type Client, connect } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { until } from '../support/events'
import { rejection } from '../support/messages'
import { endAll, Party, WIRES } from './party'

/** Longer than a test: whoever waits for it is not told. */
const timeout = 90_000

interface Work {
  work(): Promise<string>
}

afterEach(endAll)

describe.each(WIRES)('%s wire', wire => {
  let broker: { party: Party; port: number }
  const clients: Client[] = []

  const proxies: FaultProxy[] = []

  async function client(port = broker.port): Promise<Client> {
    const made = connect({ address: `http://127.0.0.1:${port}`, wire, noCache: true })
    clients.push(made)
    await made.waitUntilReady()
    return made
  }

  /** A broker, whoever asks, and whoever is asked. */
  async function parties(): Promise<[Client, Client]> {
    broker = await Party.broker()
    return [await client(), await client()]
  }

  /** The same with a proxy, which sees what the caller sends to a broker that is frozen. */
  async function watchedParties(): Promise<[Client, Client, FaultProxy]> {
    broker = await Party.broker()
    const proxy = await faultProxy({ target: broker.port })
    proxies.push(proxy)
    return [await client(proxy.port), await client(), proxy]
  }

  /** Begins `work`, and resolves when it is on its way: what is not yet sent when the broker ends goes to the next one. */
  async function onItsWay<T>(proxy: FaultProxy, work: () => Promise<T>): Promise<{ work: Promise<T> }> {
    const before = proxy.stats.bytes.toServer
    const begun = { work: work() }
    await until(() => proxy.stats.bytes.toServer >= before + 10)
    return begun
  }

  async function restart(): Promise<void> {
    broker = await Party.broker(broker.port)
  }

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(each => each.close()))
    await Promise.all(proxies.splice(0).map(each => each.close()))
  })

  test('a call that is answered meanwhile gets its answer over the next broker', async () => {
    const [caller, member] = await parties()
    const answers: ((value: string) => void)[] = []
    const work = () =>
      new Promise<string>(resolve => {
        answers.push(resolve)
        if (answers.length === 2) bothAsked()
      })
    let bothAsked!: () => void
    const asked = new Promise<void>(resolve => {
      bothAsked = resolve
    })
    await member.service('jobs', { work })
    const api = caller.call<Work>('jobs', { timeout })
    const calls = [api.work(), api.work()]
    await asked
    await broker.party.kill()
    for (const answer of answers) answer('done')
    await restart()
    expect(await Promise.all(calls)).toEqual(['done', 'done'])
  }, 120_000)

  test('what is begun while there is no broker is done when there is one', async () => {
    const [caller, other] = await parties()
    await broker.party.kill()
    const server = other.socket.listen('late')
    const begun = [
      other.subscribe('late.news').then(() => 'subscribed'),
      server.waitUntilReady().then(() => 'listening'),
      caller.waitForInterest('late.news', { timeout }).then(() => 'interest'),
      caller.socket
        .connect('late')
        .waitUntilReady()
        .then(() => 'connected'),
      caller.publish('late.news', 1, { waitForInterest: true, timeout }).then(() => 'published'),
    ]
    await restart()
    const done = ['subscribed', 'listening', 'interest', 'connected', 'published']
    expect(await Promise.all(begun)).toEqual(done)
  }, 120_000)

  test('a publish that is not confirmed fails at once', async () => {
    const [caller, other, proxy] = await watchedParties()
    await other.subscribe('news')
    await broker.party.freeze()
    const published = await onItsWay(proxy, () => rejection(caller.publish('news', 1, { timeout })))
    const lost = new Promise(resolve => caller.once('disconnected', resolve))
    await broker.party.kill()
    expect(await published.work).toMatchObject({ code: 408, message: /was lost before/ })
    await lost
  }, 120_000)

  // Conat's protocol does not tell one broker from the next.
  if (wire !== 'conat') {
    test('requests that whoever was asked does not answer fail with EPIPE soon after the next broker is there', async () => {
      const [caller, member, proxy] = await watchedParties()
      let unread = 0
      let allThere!: () => void
      const there = new Promise<void>(resolve => {
        allThere = resolve
      })
      const silent = await member.subscribe('silent')
      silent.emitter.on('message', () => {
        unread += 1
        if (unread === 2) allThere()
      })
      const request = caller.request('silent', 'one', { timeout })
      const many = (async () => {
        for await (const _ of await caller.requestMany('silent', 'many', { timeout })) {
          // Nobody answers.
        }
      })()
      await there
      // This one does not even arrive.
      await broker.party.freeze()
      const lost = await onItsWay(proxy, () => rejection(caller.request('silent', 'lost', { timeout })))
      const all = [request, many].map(each => rejection(each))
      await broker.party.kill()
      await restart()
      for (const error of await Promise.all([...all, lost.work])) {
        expect(error).toMatchObject({ code: 'EPIPE', message: /the broker ended before there was an answer/ })
      }
      expect(unread).toBe(2)
    }, 120_000)
  }
})
