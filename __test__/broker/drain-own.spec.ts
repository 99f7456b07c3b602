// A broker that drains with clients in its own process: they end with it, and say so first.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, type FabricError, init } from 'selvedge'

let broker: ConatServer
let guest: Client

beforeEach(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  guest = connect({ address: `http://127.0.0.1:${broker.address()!.port}`, noCache: true })
})

afterEach(async () => {
  await guest.close()
  await broker.close()
})

test('the sockets of its own listeners are closed in order, with what was handled', async () => {
  const got: unknown[] = []
  const listener = broker.client().socket.listen('work')
  listener.on('connection', socket => socket.on('data', data => got.push(data)))
  const socket = guest.socket.connect('work')
  await socket.send('before')
  const closed = once(socket, 'closed')
  const drained = broker.drain({ deadline: 10_000, spread: 0 })
  const [reason] = (await closed) as [FabricError]
  await drained
  expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER', draining: true, undelivered: 0 })
  expect([got, socket.undelivered()]).toEqual([['before'], []])
})

test('a call that its own service is at is answered', async () => {
  let answer: (value: string) => void = () => {}
  const asked = new Promise<void>(resolve => {
    void broker.client().service('jobs', {
      work: () => {
        resolve()
        return new Promise<string>(settle => {
          answer = settle
        })
      },
    })
  })
  const call = guest.call<{ work(): Promise<string> }>('jobs', { waitForInterest: true }).work()
  await asked
  const drained = broker.drain({ deadline: 20_000, spread: 0 })
  answer('done')
  expect(await call).toBe('done')
  await drained
})
