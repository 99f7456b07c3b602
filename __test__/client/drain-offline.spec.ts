// A drain is over at its deadline, also where there is no broker: what was published and cannot leave ends with it.
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { type Client, connect } from 'selvedge'
import { rejection } from '../support/messages'

/** Of what a client waits when nothing ends it: 5 s. Half of that tells the two apart on a busy machine. */
const DEADLINE = 500
const LATE = 2500

let silent: Server
let address: string

beforeEach(async () => {
  silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  address = `http://127.0.0.1:${(silent.address() as { port: number }).port}`
})

afterEach(() => silent.close())

async function drained(client: Client): Promise<string> {
  const late = new Promise<string>(resolve => setTimeout(resolve, LATE, 'late').unref())
  return await Promise.race([client.drain({ deadline: DEADLINE }).then(() => 'drained'), late])
}

test('a client that has published and never had a broker, and what it waits for', async () => {
  const client = connect({ address, noCache: true })
  const closed = once(client, 'closed')
  client.publishSync('a', 1)
  const waits = [client.waitForInterest('x'), client.request('x'), client.publish('x', 1)].map(rejection)
  const socket = client.socket.connect('s')
  socket.write(1)
  const listener = client.socket.listen('l')
  expect(await drained(client)).toBe('drained')
  expect((await closed)[0]).toMatchObject({ code: 'ERR_UNDELIVERED' })
  for (const error of await Promise.all(waits)) expect(error).toMatchObject({ code: 'ERR_CLOSED' })
  expect([socket.state, socket.undelivered().length, listener.state]).toEqual(['closed', 1, 'closed'])
})

test('a second call with less time ends what the first one has left more', async () => {
  const client = connect({ address, noCache: true })
  client.publishSync('a', 1)
  const waiting = rejection(client.waitForInterest('x'))
  const first = client.drain({ deadline: 600_000 })
  expect(await drained(client)).toBe('drained')
  await Promise.all([first, waiting])
})
