// The broker goes while an end is on its way: each side sees `end` and `close` once, and no error, and nothing of the
// stream stays behind, though the last word between the two is lost with the broker.
import { once } from 'node:events'
import { over, type Socket, sockets } from 'selvedge/net'
import { Party, WIRES } from '../faults/party'
import { freeze } from '../support/freeze'
import { clientAt, endClientsAndParties } from './party-clients'

afterEach(endClientsAndParties)

function watch(socket: Socket): string[] {
  const events: string[] = []
  for (const name of ['end', 'finish', 'error', 'close'] as const) {
    socket.on(name, (given: unknown) => events.push(given === undefined ? name : `${name} ${given}`))
  }
  let text = ''
  socket.on('data', data => {
    text += data
  })
  socket.on('end', () => events.push(`of ${text}`))
  return events
}

/** When the broker goes. `end` ends a socket; `stop` halts the broker, and `kill` ends it. */
const MOMENTS: Readonly<
  Record<string, (one: Socket, other: Socket, stop: () => Promise<void>, kill: () => void) => void>
> = {
  'before the end has left it': async (one, _other, stop, kill) => {
    await stop()
    one.end('last words')
    one.once('finish', () => setImmediate(kill))
  },
  'when both ends are on their way': async (one, other, stop, kill) => {
    await stop()
    one.end('last words')
    other.end('of the other')
    one.once('finish', () => setImmediate(kill))
  },
  'as the end arrives, before it is acknowledged': (one, other, _stop, kill) => {
    other.once('end', kill)
    one.end('last words')
  },
  'as the answer to the end arrives': (one, _other, _stop, kill) => {
    one.once('end', kill)
    one.end('last words')
  },
}

/** Longer than the test may take: whoever is not told that the other end has closed waits for it that long. */
const resumeTimeout = 600_000

/** When the server accepts nobody any more: its last socket is all that it still has. */
const CLOSES = ['behind them', 'before them', 'with them'] as const

describe.each(WIRES)('an end over a broker that goes, %s wire', wire => {
  test.each(
    Object.keys(MOMENTS).flatMap(moment =>
      (['connecting', 'accepting'] as const).flatMap(role =>
        CLOSES.map(closes => [moment, role, closes] as const),
      ),
    ),
  )('%s, the %s end first, the server closed %s', async (moment, role, closes) => {
    let broker = await Party.broker()
    const { port } = broker
    const server = over(clientAt(port, wire)).createServer({ resumeTimeout })
    await once(server.listen('fin'), 'listening')
    const connection = once(server, 'connection') as Promise<[Socket]>
    const client = over(clientAt(port, wire)).connect('fin', { resumeTimeout })
    const [[accepted]] = await Promise.all([connection, once(client, 'connect')])
    const events = [watch(client), watch(accepted)]
    const serverClosed = new Promise<void>(resolve => server.once('close', () => resolve()))
    if (closes === 'before them') server.close()
    if (closes === 'with them') accepted.once('close', () => server.close())
    const both = [client, accepted].map(
      socket => new Promise<void>(resolve => socket.once('close', () => resolve())),
    )
    const [one, other] = role === 'connecting' ? [client, accepted] : [accepted, client]
    let restarted: Promise<unknown> | undefined
    const stop = (): Promise<void> => freeze(broker.party.pid)
    const kill = (): void => {
      const { party } = broker
      process.kill(party.pid, 'SIGKILL')
      restarted = party.kill().then(async () => {
        broker = await Party.broker(port)
      })
    }
    await MOMENTS[moment]!(one, other, stop, kill)
    await Promise.all(both)
    await restarted
    for (const seen of events) {
      expect(seen.filter(name => !name.startsWith('of ')).sort()).toEqual(['close false', 'end', 'finish'])
      expect(seen.at(-1)).toBe('close false')
    }
    expect(events[one === client ? 1 : 0]).toContain('of last words')
    while (sockets().some(({ state }) => state !== 'LISTEN'))
      await new Promise(resolve => setTimeout(resolve, 5))
    if (closes === 'behind them') server.close()
    await serverClosed
  })
})
