// A broker that drains fails no call that it has accepted: who has asked goes when it is answered, and who was asked after that.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type ConatServer, connect, type FabricError, init } from 'selvedge'
import { faultProxy } from 'selvedge/testing'

interface Work {
  twice(n: number): Promise<number>
}

/** How long a call takes, in ms. */
const WORK = 200
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

async function startMember(address: string): Promise<void> {
  const client = await join(address)
  await client.service('work', {
    twice: async (n: number) => {
      await sleep(WORK)
      return 2 * n
    },
  })
}

/** Calls, one after the other, until it is told to stop. */
class Caller {
  readonly failed: FabricError[] = []
  done = 0
  readonly #ended: Promise<void>
  #isStopped = false

  constructor(client: Client) {
    this.#ended = this.#run(client)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#ended
  }

  async #run(client: Client): Promise<void> {
    const work = client.call<Work>('work', { waitForInterest: true })
    while (!this.#isStopped) {
      await work.twice(this.done).then(
        () => {
          this.done += 1
        },
        error => this.failed.push(error),
      )
    }
  }
}

/** Resolves when each has made so many calls more. */
async function goOn(callers: Caller[], calls: number): Promise<void> {
  const goals = callers.map(({ done }) => done + calls)
  const isThere = () => callers.every(({ done, failed }, n) => done >= goals[n]! || failed.length > 0)
  while (!isThere()) await sleep(20)
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
  await Promise.all([startMember(address), startMember(address)])
  const clients = await Promise.all(Array.from({ length: CALLERS }, () => join(address)))
  const callers = clients.map(client => new Caller(client))
  await goOn(callers, 1)
  await move()
  await goOn(callers, 2)
  await Promise.all(callers.map(caller => caller.stop()))
  expect(callers.flatMap(({ failed }) => failed.map(({ code, message }) => `${code}: ${message}`))).toEqual(
    [],
  )
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
