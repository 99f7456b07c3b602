// The last message, or the last acknowledgement, is lost while the connection stands, and nothing else is said.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { FrameRelay, type Loss } from './frame-relay'
import { WIRES } from './party'

let broker: ConatServer
let relay: FrameRelay | undefined
let clients: Client[]

beforeEach(async () => {
  clients = []
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
})

afterEach(async () => {
  await Promise.all(clients.map(client => client.close()))
  await relay?.close()
  await broker.close()
})

describe.each(WIRES)('%s wire', wire => {
  /** A socket through a relay that loses frames, and its peer; every name that it will use is known to the wire. */
  async function pair(loses: Loss) {
    const { port } = broker.address()!
    relay = await FrameRelay.start(port, wire, loses)
    const host = broker.client()
    const guest = connect({ address: relay.address, wire, noCache: true })
    clients.push(host, guest)
    const server = host.socket.listen('lossy')
    const connection = once(server, 'connection')
    const socket = guest.socket.connect('lossy')
    const [accepted] = await connection
    await socket.waitUntilReady()
    const at = { server: [] as unknown[], client: [] as unknown[] }
    accepted.on('data', (data: unknown) => at.server.push(data))
    socket.on('data', data => at.client.push(data))
    for (let n = 0; n < 3; n++) {
      socket.write(`before ${n}`)
      accepted.write(`before ${n}`)
      await Promise.all([socket.drain(), accepted.drain()])
    }
    const lost: string[] = []
    for (const one of [guest, socket, accepted]) one.on('disconnected', () => lost.push('disconnected'))
    return { socket, accepted, at, lost }
  }

  /** Loses the first frames with this text in them, that many. */
  const losing = (text: string, toBroker: boolean, count: number): Loss => {
    let left = count
    return (frame, up) => up === toBroker && frame.includes(text) && left-- > 0
  }

  test.each([
    [1, 'up'],
    [1, 'down'],
    [3, 'up'],
    [3, 'down'],
  ] as const)(
    'a last message that is lost %d times on the way %s arrives, without a reconnect',
    async (times, way) => {
      const { socket, accepted, at, lost } = await pair(losing('the last one', way === 'up', times))
      const [from, to] = way === 'up' ? [socket, at.server] : [accepted, at.client]
      from.write('the last one')
      await from.drain()
      expect(relay!.lost).toBe(times)
      expect(to).toEqual(['before 0', 'before 1', 'before 2', 'the last one'])
      expect(lost).toEqual([])
    },
  )

  test.each(['up', 'down'] as const)(
    'an acknowledgement that is lost on the way %s is given again',
    async way => {
      // It is the first that goes the other way after the message.
      let isNext = false
      const { socket, accepted, at, lost } = await pair((frame, up) => {
        const isLost = isNext && up === (way === 'up')
        isNext = frame.includes('the last one') || (isNext && !isLost)
        return isLost
      })
      const [from, to] = way === 'up' ? [accepted, at.client] : [socket, at.server]
      from.write('the last one')
      await from.drain()
      expect(relay!.lost).toBe(1)
      expect(to).toEqual(['before 0', 'before 1', 'before 2', 'the last one'])
      expect(lost).toEqual([])
    },
  )
})
