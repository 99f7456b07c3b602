// A broker that drains fails no call that it has accepted: who has asked goes when it is answered, and who was asked after that.
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { faultProxy } from 'selvedge/testing'
import { Caller, failuresOf, goOn, serveWork } from '../support/callers'

const CALLERS = 10

let closes: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closes.reverse()) await close()
  closes = []
})

async function startBroker(port = 0): Promise<ConatServer> {
  const broker = init({ port, host: '127.0.0.1' })
  closes.push(() => broker.close())
  await broker.waitUntilReady()
  return broker
}

async function join(address: string): Promise<Client> {
  const client = connect({ address, noCache: true, reconnectionDelay: 20, reconnectionDelayMax: 100 })
  closes.push(() => client.close())
  await client.waitUntilReady()
  return client
}

const moves: [string, () => Promise<{ address: string; move: () => Promise<unknown> }>][] = [
  [
    'and another one has its address',
    async () => {
      const [first, second] = await Promise.all([startBroker(), startBroker()])
      const proxy = await faultProxy({ target: first.address()!.port })
      closes.push(() => proxy.close())
      const move = () => {
        proxy.retarget(second.address()!.port)
        return first.drain({ spread: 300 })
      }
      return { address: proxy.address, move }
    },
  ],
  [
    'and is started again',
    async () => {
      const first = await startBroker()
      const { port } = first.address()!
      const move = async () => {
        await first.drain({ spread: 300 })
        await startBroker(port)
      }
      return { address: `http://127.0.0.1:${port}`, move }
    },
  ],
]

test.each(moves)('calls go on over a broker that drains %s', async (_name, open) => {
  const { address, move } = await open()
  for (const member of [await join(address), await join(address)]) await serveWork(member)
  const clients = await Promise.all(Array.from({ length: CALLERS }, () => join(address)))
  const callers = clients.map(client => new Caller(client))
  await goOn(callers, 1)
  await move()
  await goOn(callers, 2)
  await Promise.all(callers.map(caller => caller.stop()))
  expect(failuresOf(callers)).toEqual([])
})

test('a broker that drains waits for a call at most until its deadline', async () => {
  const broker = await startBroker()
  const address = `http://127.0.0.1:${broker.address()!.port}`
  const client = await join(address)
  const begun = new Promise<void>(resolve => {
    void client.service('endless', {
      wait: () => {
        resolve()
        return new Promise(() => {})
      },
    })
  })
  const caller = await join(address)
  const call = caller
    .call<{ wait(): Promise<void> }>('endless', { waitForInterest: true })
    .wait()
    .catch(error => error)
  await begun
  await broker.drain({ deadline: 300, spread: 0 })
  await caller.close()
  expect(await call).toMatchObject({ code: 'ERR_CLOSED' })
})
