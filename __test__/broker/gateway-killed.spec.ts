// A gateway that is killed, with requests in its clients' hands that were made at another one: whoever waits is told.
import { type Client, connect } from 'selvedge'
import { faultProxy } from 'selvedge/testing'
import { endAll, Party } from '../faults/party'
import { until } from '../support/events'
import { describeNats, NatsServer } from '../support/nats'

interface Work {
  add(a: number, b: number): number
  wait(): Promise<string>
}

/** Of what is promised, two seconds, and what a busy machine adds; far less than what a call waits for its answer. */
const SOON = 6000

describeNats('a gateway that is killed', () => {
  const server = new NatsServer()
  const clients: Client[] = []
  let gateways: { party: Party; port: number }[] = []
  beforeAll(() => server.start())
  afterAll(() => server.close())
  beforeEach(async () => {
    gateways = await Promise.all([1, 2].map(() => Party.broker(0, { upstream: server.address })))
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await endAll()
  })

  async function at(address: string, options = {}): Promise<Client> {
    const client = connect({ address, noCache: true, ...options })
    clients.push(client)
    await client.waitUntilReady()
    return client
  }

  const addressOf = (gateway: number) => `http://127.0.0.1:${gateways[gateway]!.port}`

  /** A service, and what resolves when it has been asked so often. */
  async function serve(member: Client) {
    let answer: (text: string) => void = () => {}
    let isAsked: () => void = () => {}
    const asked = new Promise<void>(resolve => (isAsked = resolve))
    const wait = (): Promise<string> => {
      isAsked()
      return new Promise(done => (answer = done))
    }
    await member.service('work', { wait, add: (a: number, b: number) => a + b })
    return { asked, answer: (text: string) => answer(text) }
  }

  test.each([
    ['at once', 0],
    ['a while after', 1500],
  ])('%s fails calls of other gateways with EPIPE', async (_name, ms) => {
    const { asked } = await serve(await at(addressOf(0)))
    const caller = await at(addressOf(1))
    const call = caller.call<Work>('work', { waitForInterest: true }).wait()
    call.catch(() => {})
    await asked
    await new Promise(resolve => setTimeout(resolve, ms))
    const since = Date.now()
    await gateways[0]!.party.kill()
    await expect(call).rejects.toMatchObject({ code: 'EPIPE', message: expect.stringContaining('ended') })
    expect(Date.now() - since).toBeLessThan(SOON)
  })

  test('fails no call of a client that goes on at another gateway, nor any that others answer', async () => {
    const proxy = await faultProxy({ target: gateways[0]!.port })
    const moving = await at(proxy.address, { reconnectionDelay: 5, reconnectionDelayMax: 50 })
    const { asked, answer } = await serve(moving)
    const caller = await at(addressOf(1))
    const call = caller.call<Work>('work', { waitForInterest: true }).wait()
    await asked
    await new Promise(resolve => setTimeout(resolve, 1000))
    proxy.retarget(gateways[1]!.port)
    await gateways[0]!.party.kill()
    const late = new Promise(resolve => setTimeout(resolve, 4000, 'waits'))
    expect(await Promise.race([late, call])).toBe('waits')
    answer('done')
    expect(await call).toBe('done')
    await proxy.close()
  })

  test('fails requests for many answers that nobody has answered', async () => {
    const caller = await at(addressOf(1))
    const asked = (await (await at(addressOf(0))).subscribe('many', { queue: 'members' })).next()
    const got: unknown[] = []
    const asking = (async () => {
      for await (const { data } of await caller.requestMany('many', 1, { timeout: 60_000 })) got.push(data)
    })()
    asking.catch(() => {})
    await asked
    const since = Date.now()
    await gateways[0]!.party.kill()
    await expect(asking).rejects.toMatchObject({ code: 'EPIPE', message: expect.stringContaining('ended') })
    expect([got, Date.now() - since < SOON]).toEqual([[], true])
  })

  test('leaves no call of many waiting that are made all the time', async () => {
    await serve(await at(addressOf(0)))
    const caller = await at(addressOf(1))
    const work = caller.call<Work>('work', { waitForInterest: true })
    expect(await work.add(1, 2)).toBe(3)
    const ended: Promise<string>[] = []
    const outcome = (): Promise<string> => work.add(1, 2).then(String, error => error.code)
    const calling = setInterval(() => {
      for (let n = 0; n < 20; n += 1) ended.push(outcome())
    }, 1)
    await until(() => ended.length >= 2000)
    const since = Date.now()
    await gateways[0]!.party.kill()
    clearInterval(calling)
    // Those that NATS has given to nobody wait for somebody.
    await serve(await at(addressOf(1)))
    const outcomes = new Set(await Promise.all(ended))
    expect(Date.now() - since).toBeLessThan(SOON)
    outcomes.delete('503')
    expect([...outcomes].sort()).toEqual(['3', 'EPIPE'])
  })

  test('fails requests over sockets with EPIPE', async () => {
    const listening = await at(addressOf(0))
    let isAsked: () => void = () => {}
    const asked = new Promise<void>(resolve => (isAsked = resolve))
    listening.socket.listen('echo').on('connection', socket => {
      socket.on('request', request => {
        if (request.data === 'now') void request.respond('here')
        else isAsked()
      })
    })
    const socket = (await at(addressOf(1))).socket.connect('echo')
    expect((await socket.request('now')).data).toBe('here')
    const request = socket.request('never')
    request.catch(() => {})
    await asked
    const since = Date.now()
    await gateways[0]!.party.kill()
    await expect(request).rejects.toMatchObject({ code: 'EPIPE' })
    expect(Date.now() - since).toBeLessThan(SOON)
  })
})
