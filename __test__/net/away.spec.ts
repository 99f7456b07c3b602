// Streams and servers whose fabric is away: what is closed, reset or opened then, and what becomes of it when it is back.
import { once } from 'node:events'
import { over, type Socket, sockets } from 'selvedge/net'
import { Party, WIRES } from '../faults/party'
import { closed, until } from '../support/events'
import { clientAt, endClientsAndParties } from './party-clients'

afterEach(endClientsAndParties)

describe.each(WIRES)('while the fabric is away, %s wire', wire => {
  const way: Readonly<Record<string, (socket: Socket) => void>> = {
    resetAndDestroy: socket => void socket.resetAndDestroy(),
    'destroy with an error': socket => void socket.destroy(Error('mine')),
    'destroy of all that was written': socket => void socket.destroy(),
  }
  test.each(
    Object.keys(way).flatMap(how => (['connecting', 'accepting'] as const).map(role => [how, role] as const)),
  )('%s at the %s end: closed at once here, and there when the fabric is back', async (how, role) => {
    let broker = await Party.broker()
    const { port } = broker
    const server = over(clientAt(port, wire)).createServer()
    await once(server.listen('away'), 'listening')
    const connection = once(server, 'connection') as Promise<[Socket]>
    const client = over(clientAt(port, wire)).connect('away')
    const [[accepted]] = await Promise.all([connection, once(client, 'connect')])
    const [here, there] = role === 'connecting' ? [client, accepted] : [accepted, client]
    const events: string[][] = [[], []]
    for (const [at, socket] of [here, there].entries()) {
      for (const name of ['end', 'error', 'close'] as const) {
        socket.on(name, (given: unknown) => {
          const code = (given as NodeJS.ErrnoException | undefined)?.code
          events[at]!.push(name === 'error' ? `error ${code}` : name === 'close' ? `close ${given}` : name)
        })
      }
    }
    let text = ''
    there.on('data', data => {
      text += data
    })
    here.resume()
    const away = Promise.all([once(here, 'suspend'), once(there, 'suspend')])
    await broker.party.kill()
    await away
    await new Promise(resolve => here.write('before it', resolve))
    const end = closed(there)
    way[how]!(here)
    await closed(here)
    const isError = how === 'destroy with an error'
    expect(events[0]).toEqual(isError ? ['error undefined', 'close true'] : ['close false'])
    expect(events[1]).toEqual([])
    broker = await Party.broker(port)
    await end
    const isWhole = how === 'destroy of all that was written'
    if (isWhole) expect(text).toBe('before it')
    expect(events[1]).toEqual(isWhole ? ['end', 'close false'] : ['error ECONNRESET', 'close true'])
    await until(() => sockets().every(({ state }) => state === 'LISTEN'))
    await new Promise<void>(resolve => server.close(() => resolve()))
    await until(() => sockets().length === 0)
  })
})
