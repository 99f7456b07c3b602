// A client of NATS whose thread is blocked: it is read on, so that the server neither cuts it off nor stalls those who
// publish to it; what is too much is left out and counted, and sockets lose nothing.
import { Worker } from 'node:worker_threads'
import { type Client, connect } from 'selvedge'
import { until } from '../support/events'
import { read } from '../support/messages'
import { describeNats, NatsServer } from '../support/nats'
import { join, listening, take } from '../support/sockets'

const MESSAGES = 1600
const BYTES = 64 * 1024

/** Publishes 100 MB, then asks a neighbour, and tells that all of it is through: the server has taken it. */
const PUBLISHER = `
const { parentPort, workerData } = require('node:worker_threads')
const { connect } = require('@nats-io/transport-node')
const run = async () => {
  const client = await connect({ servers: workerData.address })
  client.subscribe('neighbour', { callback: (_, message) => message.respond('here') })
  const payload = new Uint8Array(workerData.bytes)
  for (let n = 0; n < workerData.messages; n++) {
    client.publish('flood', payload)
    if (n % 16 === 15) await client.flush()
  }
  const answer = await client.request('neighbour', '', { timeout: 30_000 })
  await client.flush()
  const flag = new Int32Array(workerData.flag)
  Atomics.store(flag, 0, answer.string() === 'here' ? 1 : 2)
  Atomics.notify(flag, 0)
  await client.close()
}
run()
`

describeNats('a client of NATS whose thread is blocked while 100 MB come', () => {
  // A reader that stops is cut off after a second.
  const server = new NatsServer('max_pending: 8MB\nwrite_deadline: "1s"')
  const clients: Client[] = []
  beforeAll(() => server.start())
  afterAll(() => server.close())
  afterEach(() => Promise.all(clients.splice(0).map(client => client.close())))

  function client(): Client {
    const made = connect({ address: server.address, noCache: true })
    clients.push(made)
    return made
  }

  test('is not cut off, holds up nobody, and says how many messages it has left out', async () => {
    const [reader, host, guest] = [client(), client(), client()]
    let disconnects = 0
    for (const each of clients) each.on('disconnected', () => disconnects++)
    const subscription = await reader.subscribe('flood')
    let heard = 0
    subscription.emitter.on('message', () => heard++)
    const listener = await listening(host, 'chat')
    const [there, socket] = await join(listener, guest)
    const received = take(there, 300)
    const flag = new SharedArrayBuffer(4)
    const workerData = { address: server.address, messages: MESSAGES, bytes: BYTES, flag }
    const worker = new Worker(PUBLISHER, { eval: true, workerData })
    for (let n = 0; n < 300; n++) socket.write(n)
    // Nothing runs here until the publisher is through.
    const outcome = Atomics.wait(new Int32Array(flag), 0, 0, 60_000)
    expect([outcome, new Int32Array(flag)[0]]).toEqual(['ok', 1])
    expect(await received).toEqual(Array.from({ length: 300 }, (_, n) => n))
    await until(() => heard + subscription.dropped >= MESSAGES)
    expect(heard + subscription.dropped).toBe(MESSAGES)
    expect(subscription.dropped).toBeGreaterThan(0)
    // What comes now is delivered as ever, on the same connection.
    const next = await reader.subscribe('next')
    await guest.publish('next', 'after')
    expect((await read(next, 1))[0]!.data).toBe('after')
    expect([disconnects, socket.state]).toEqual([0, 'ready'])
    next.close()
    subscription.close()
    await worker.terminate()
  }, 90_000)
})
