// Servers of NATS that break the rules once they have let us in: nothing is waited for or kept beyond its bound, and
// what is for nobody is passed over. (docs/reference/limits.md has the bounds.)
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { until } from '../support/events'
import { disconnection } from '../support/sockets'

const MAX_PAYLOAD = 4096
/** Of a client of NATS (`wire/nats/client.rs`). */
const MAX_UNSETTLED = 16 * 1024

/** A server that lets everybody in, answers pings, and notes what is subscribed to; nothing else. */
class FakeNats {
  /** Subscriptions by pattern: where, and under which number. */
  readonly subscriptions = new Map<string, { socket: Socket; sid: string }>()
  /** The numbers of those that have ended. */
  readonly ended = new Set<string>()
  /** Messages that it was sent. */
  published = 0
  /** Called for each: the answers to pings wait while there is one. */
  onPublish: (() => void) | undefined
  readonly #unanswered: Socket[] = []
  readonly #server: Server = createServer(socket => this.#talk(socket))
  readonly #sockets = new Set<Socket>()

  async start(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return `nats://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server.close(), 'close')
  }

  /** Answers what has waited, and from now on at once. */
  answer(): void {
    this.onPublish = undefined
    for (const socket of this.#unanswered.splice(0)) socket.write('PONG\r\n')
  }

  #talk(socket: Socket): void {
    this.#sockets.add(socket.setEncoding('latin1'))
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    socket.write(
      `INFO {"server_id":"fake","version":"2.15.1","headers":true,"max_payload":${MAX_PAYLOAD}}\r\n`,
    )
    let rest = ''
    socket.on('data', text => {
      const lines = (rest + text).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) this.#take(socket, line.split(' '))
    })
  }

  #take(socket: Socket, words: readonly string[]): void {
    const last = words.at(-1)!
    if (words[0] === 'PING') {
      if (this.onPublish === undefined) socket.write('PONG\r\n')
      else this.#unanswered.push(socket)
    } else if (words[0] === 'PUB' || words[0] === 'HPUB') {
      // What gateways say to each other.
      if (words[1]!.startsWith('_SV.')) return
      this.published++
      this.onPublish?.()
    } else if (words[0] === 'SUB') this.subscriptions.set(words[1]!, { socket, sid: last })
    else if (words[0] === 'UNSUB') this.ended.add(last)
  }
}

const BROKEN: readonly (readonly [string, (sid: string) => string])[] = [
  ['a message of 2^63 bytes', sid => `MSG a ${sid} 9223372036854775808\r\n`],
  ['a message of -1 bytes', sid => `MSG a ${sid} -1\r\n`],
  ['a message far beyond its own limit', sid => `MSG a ${sid} ${MAX_PAYLOAD + 64 * 1024 + 1}\r\n`],
  ['headers that are longer than their message', sid => `HMSG a ${sid} 100 10\r\n`],
  ['a message without its end of line', sid => `MSG a ${sid} 2\r\nhiho\r\n`],
  ['an endless line', sid => `MSG a ${sid} ${'1'.repeat(20_000)}`],
  ['an endless introduction', () => `INFO ${' '.repeat(1_100_000)}`],
  ['a pong that nobody has asked for', () => 'PONG\r\nPONG\r\n'],
  ['a word that is none', () => 'HELLO\r\n'],
]

describe('a server of NATS that lets us in and then', () => {
  let nats: FakeNats
  let address: string
  const clients: Client[] = []
  const brokers: ConatServer[] = []
  beforeEach(async () => {
    nats = new FakeNats()
    address = await nats.start()
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()))
    await Promise.all(brokers.splice(0).map(broker => broker.close()))
    await nats.close()
  })

  function direct(): Client {
    clients.push(connect({ address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 }))
    return clients.at(-1)!
  }

  /** A client of a gateway onto it. */
  async function behind(): Promise<{ broker: ConatServer; inside: Client }> {
    const broker = init({ port: null, upstream: address })
    brokers.push(broker)
    await broker.waitUntilReady()
    clients.push(broker.client())
    return { broker, inside: clients.at(-1)! }
  }

  async function subscribedAgain(before: Socket): Promise<void> {
    await until(() => nats.subscriptions.get('a')!.socket !== before)
  }

  test.each(BROKEN)('sends %s is left by a client, which comes back', async (_, words) => {
    const client = direct()
    await client.subscribe('a')
    const { socket, sid } = nats.subscriptions.get('a')!
    const left = disconnection(client)
    socket.write(words(sid))
    await left
    await subscribedAgain(socket)
  })

  test.each(BROKEN)('sends %s is left by a gateway, which comes back', async (_, words) => {
    const { broker, inside } = await behind()
    await inside.subscribe('a', { queue: 'workers' })
    const { socket, sid } = nats.subscriptions.get('a')!
    const said: unknown[] = []
    broker.on('upstream', (state, error) => said.push(error?.code ?? state))
    socket.write(words(sid))
    await subscribedAgain(socket)
    await until(() => said.length >= 2)
    expect(said).toEqual(['ERR_CONNECT', 'ready'])
  })

  test('answers nothing for a while is waited for: of what was published meanwhile nothing is lost', async () => {
    const { inside } = await behind()
    for (const client of [direct(), inside]) {
      await client.waitUntilReady()
      nats.published = 0
      // More than may be unsettled. It answers when it has got as much as it is sent without an answer.
      const sent = new Promise<void>(resolve => {
        nats.onPublish = () => {
          if (nats.published === MAX_UNSETTLED) resolve()
        }
      })
      const counts = Array.from(
        { length: MAX_UNSETTLED + 5000 },
        async () => (await client.publish('a', 1)).count,
      )
      await sent
      nats.answer()
      expect(new Set(await Promise.all(counts))).toEqual(new Set([1]))
      expect(nats.published).toBe(counts.length)
    }
  })

  test('sends messages to subscriptions that have ended, or never were, disturbs nothing', async () => {
    const { broker, inside } = await behind()
    for (const client of [direct(), inside]) {
      const queue = client === inside ? { queue: 'workers' } : {}
      const heard: unknown[] = []
      const [gone, stays] = [await client.subscribe('gone', queue), await client.subscribe('stays', queue)]
      for (const subscription of [gone, stays]) {
        subscription.emitter.on('message', ({ subject }) => heard.push(subject))
      }
      const { socket, sid } = nats.subscriptions.get('gone')!
      await gone.drain()
      expect(nats.ended.has(sid)).toBe(true)
      for (const other of [sid, '0', '77', '999999999']) socket.write(`MSG gone ${other} 2\r\nhi\r\n`)
      const standing = nats.subscriptions.get('stays')!
      const message = once(stays.emitter, 'message')
      standing.socket.write(`MSG stays ${standing.sid} 2\r\nhi\r\n`)
      await message
      expect(heard).toEqual(['stays'])
      expect(client.state).toBe('connected')
    }
    expect(broker.totals!.upstream).toMatchObject({ ready: true, members: 1 })
  })
})
