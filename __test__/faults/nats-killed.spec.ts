// Sockets over a server of NATS that is killed and started again: exactly once, in order.
import { type Client, connect } from 'selvedge'
import { EAGER, Echoes, echo } from '../support/echoes'
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
    const made = connect({ address: server.address, ...EAGER })
    clients.push(made)
    return made
  }

  test('nothing is lost, nothing comes twice, nothing closes', async () => {
    echo(client())
    const guest = client()
    const echoes = new Echoes(numbers(1, 4).map(() => guest.socket.connect('echo')))
    await echoes.ready()
    for (let round = 0; round < ROUNDS; round++) {
      await echoes.begin(round, BATCH)
      await server.kill()
      echoes.write(`down ${round}`)
      await server.start()
    }
    await echoes.begin(ROUNDS, BATCH)
    await echoes.whole()
    echoes.check()
  })
})
