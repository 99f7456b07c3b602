// Sockets over a server of NATS that is killed and started again: exactly once, in order.
import { type Client, connect } from 'selvedge'
import { describeNats, NatsServer } from '../support/nats'
import { numbers } from '../support/sockets'

const ROUNDS = 4
const BATCH = 250

describeNats('a server of NATS that is killed while sockets talk', () => {
  const server = new NatsServer()
  const clients: Client[] = []
  beforeAll(() => server.start())
  afterAll(async () => {
    await Promise.all(clients.map(client => client.close()))
    await server.close()
  })

  function client(): Client {
    const made = connect({
      address: server.address,
      noCache: true,
      reconnectionDelay: 5,
      reconnectionDelayMax: 50,
    })
    clients.push(made)
    return made
  }

  test('nothing is lost, nothing comes twice, nothing closes', async () => {
    const listener = client().socket.listen('echo')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    const guest = client()
    const sockets = numbers(1, 4).map(() => guest.socket.connect('echo'))
    await Promise.all(sockets.map(socket => socket.waitUntilReady()))
    const closed: unknown[] = []
    const all = sockets.map(socket => {
      socket.on('closed', reason => closed.push(reason))
      const got: unknown[] = []
      let wake = () => {}
      socket.on('data', data => {
        got.push(data)
        wake()
      })
      const reached = (count: number) =>
        new Promise<void>(resolve => {
          wake = () => got.length >= count && resolve()
          wake()
        })
      return { got, reached }
    })
    // A batch, and one message more while the server is down.
    const expected: unknown[] = []
    for (let round = 0; round <= ROUNDS; round++) {
      const batch = numbers(round * BATCH, (round + 1) * BATCH - 1)
      for (const socket of sockets) for (const n of batch) socket.write(n)
      // Some of this round are under way when the server dies.
      await Promise.all(all.map(one => one.reached(expected.length + 1)))
      expected.push(...batch)
      if (round === ROUNDS) break
      await server.kill()
      for (const socket of sockets) socket.write(`down ${round}`)
      expected.push(`down ${round}`)
      await server.start()
    }
    await Promise.all(all.map(one => one.reached(expected.length)))
    for (const { got } of all) expect(got).toEqual(expected)
    expect(closed).toEqual([])
    expect(sockets.map(socket => socket.state)).toEqual(sockets.map(() => 'ready'))
  })
})
