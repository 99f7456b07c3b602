// A member of a group that ends at one gateway, with a call in its hands that was made at another one: the caller is told.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { describeNats, NatsServer } from '../support/nats'

interface Work {
  wait(): Promise<string>
}

/** Far less than what a call waits for its answer. */
const SOON = 8000

describeNats('a member that ends at a gateway', () => {
  const server = new NatsServer()
  const clients: Client[] = []
  let gateways: ConatServer[] = []
  let proxy: FaultProxy
  beforeAll(() => server.start())
  afterAll(() => server.close())
  beforeEach(async () => {
    gateways = [1, 2].map(() => init({ port: 0, upstream: server.address }))
    await Promise.all(gateways.map(gateway => gateway.waitUntilReady()))
    proxy = await faultProxy({ target: gateways[1]!.address()!.port })
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await proxy.close()
    await Promise.all(gateways.map(gateway => gateway.close()))
  })

  async function at(address: string): Promise<Client> {
    const client = connect({ address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 20 })
    clients.push(client)
    await client.waitUntilReady()
    return client
  }

  /** Calls a member that is at the second gateway, and resolves when it has the call. */
  async function asked(callersAt: number) {
    const [caller, member] = [await at(String(gateways[callersAt]!.address())), await at(proxy.address)]
    let answer: (text: string) => void = () => {}
    let handleCall: () => void = () => {}
    const isThere = new Promise<void>(resolve => (handleCall = resolve))
    const wait = (): Promise<string> => {
      handleCall()
      return new Promise(done => (answer = done))
    }
    await member.service('work', { wait })
    const call = caller.call<Work>('work', { waitForInterest: true }).wait()
    call.catch(() => {})
    await isThere
    return { call, member, answer: (text: string) => answer(text), since: Date.now() }
  }

  const places: [string, number][] = [
    ['another', 0],
    ['the same', 1],
  ]
  describe.each(places)('with a call of %s gateway', (_name, callersAt) => {
    test('fails it with EPIPE when its connection is gone for good', async () => {
      const { call, since } = await asked(callersAt)
      await proxy.refuse()
      await expect(call).rejects.toMatchObject({ code: 'EPIPE', message: expect.stringContaining('ended') })
      expect(Date.now() - since).toBeLessThan(SOON)
    })

    test('fails it at once when it leaves by itself', async () => {
      const { call, member, since } = await asked(callersAt)
      await member.close()
      await expect(call).rejects.toMatchObject({ code: 'EPIPE' })
      expect(Date.now() - since).toBeLessThan(SOON)
    })

    test.each([
      ['comes back', 1],
      ['moves to the other gateway', 0],
    ])('answers it when it %s', async (_how, comesTo) => {
      const { call, member, answer } = await asked(callersAt)
      proxy.retarget(gateways[comesTo]!.address()!.port)
      const back = once(member, 'connected')
      await proxy.cut()
      await back
      await member.waitUntilReady()
      // Longer than anybody waits for one that was cut.
      const late = new Promise(resolve => setTimeout(resolve, 3000, 'waits'))
      expect(await Promise.race([late, call])).toBe('waits')
      answer('done')
      expect(await call).toBe('done')
    })
  })
})
