// Random programs on both ends of a stream, by seeds, over a network that is cut: what arrives is a prefix of what was written;
// all of it, where the end came; `close` comes once, and nothing stays behind.
// SELVEDGE_NET_SEEDS=200 for more of them, SELVEDGE_NET_SEED=7 for one.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { over, type Socket, sockets } from 'selvedge/net'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { type Dice, dice } from '../support/dice'
import { until } from '../support/events'

const ONE = process.env.SELVEDGE_NET_SEED
const SEEDS = ONE
  ? [Number(ONE)]
  : Array.from({ length: Number(process.env.SELVEDGE_NET_SEEDS ?? 25) }, (_, seed) => seed + 1)

/** A reset while the connection is cut reaches nobody: the other end gives up after so many ms. */
const resumeTimeout = 1000

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The byte at this place of the stream that an end writes. */
const byteAt = (end: number, at: number): number => (at * 31 + (at >> 8) * 7 + end * 97) & 255

/** One end: what it does by chance, and what it saw. */
class End {
  written = 0
  read = 0
  isEqual = true
  ended = 0
  closed = 0
  errors: string[] = []

  constructor(
    readonly socket: Socket,
    readonly number: number,
  ) {
    socket.on('data', (chunk: Buffer) => {
      for (const byte of chunk) if (byte !== byteAt(1 - number, this.read++)) this.isEqual = false
    })
    socket.on('end', () => {
      this.ended += 1
    })
    socket.on('error', error => this.errors.push((error as NodeJS.ErrnoException).code ?? 'none'))
    socket.on('close', () => {
      this.closed += 1
    })
  }

  async play(by: Dice): Promise<void> {
    const steps = 3 + by.below(12)
    for (let step = 0; step < steps && this.closed === 0; step++) {
      const what = by.below(20)
      if (what < 12) this.#write(by.pick([0, 1, 7, 500, 16_384, 70_000, 400_000]))
      else if (what < 14) this.socket.pause()
      else if (what < 16) this.socket.resume()
      else if (what === 16 && step > 3) break
      else await pause(by.below(4))
      if (by.below(3) === 0) await new Promise(setImmediate)
    }
    if (this.closed > 0) return
    const last = by.below(10)
    if (last < 7) {
      this.socket.resume()
      this.socket.end()
    } else if (last === 7) this.socket.destroy()
    else if (last === 8) this.socket.resetAndDestroy()
    else this.socket.destroy(Object.assign(Error('mine'), { code: 'MINE' }))
  }

  #write(size: number): void {
    if (this.socket.writableEnded || this.socket.destroyed) return
    const from = this.written
    this.written += size
    const bytes = Buffer.alloc(size)
    for (let i = 0; i < size; i++) bytes[i] = byteAt(this.number, from + i)
    this.socket.write(bytes)
  }
}

let broker: ConatServer
let proxy: FaultProxy
let clients: Client[] = []

beforeAll(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
})
beforeEach(async () => {
  proxy = await faultProxy({ target: broker.address()!.port, seed: 1 })
  const options = { noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 50 } as const
  clients = [proxy.address, `http://127.0.0.1:${broker.address()!.port}`].map(address =>
    connect({ ...options, address }),
  )
})
afterEach(async () => {
  await Promise.all(clients.map(client => client.close()))
  await proxy.close()
})
afterAll(() => broker.close())

test.each(SEEDS)('seed %d', async seed => {
  const by = dice(seed)
  const window = by.pick([20_000, 64 * 1024, 1024 * 1024])
  const allowHalfOpen = by.below(2) === 0
  const server = over(clients[0]!).createServer({ window, allowHalfOpen, resumeTimeout })
  await once(server.listen('random'), 'listening')
  const connection = once(server, 'connection') as Promise<[Socket]>
  // Of a client that was cut off before it knew that it had been accepted, and asks again.
  server.on('connection', socket => {
    void connection.then(([first]) => socket !== first && socket.on('error', () => {}).resetAndDestroy())
  })
  const here = over(clients[1]!).connect('random', { window, allowHalfOpen, resumeTimeout })
  const accepted = new Promise<End>(
    resolve => void connection.then(([socket]) => resolve(new End(socket, 1))),
  )
  const ends = [new End(here, 0), await accepted] as const
  const [one, two] = [dice(seed * 2), dice(seed * 2 + 1)]
  const cuts = by.below(3)
  const cutting = (async () => {
    for (let i = 0; i < cuts; i++) {
      await pause(by.below(10))
      proxy.cut()
    }
  })()
  await Promise.all([ends[0].play(one), ends[1].play(two), cutting])
  // Whoever is paused is read in the end; an end of the other side ends this one as well.
  for (const { socket } of ends) socket.resume()
  await pause(0)
  for (const end of ends) {
    if (!end.socket.writableEnded && !end.socket.destroyed) end.socket.end()
  }
  await until(() => ends.every(({ closed }) => closed === 1))
  for (const [index, end] of ends.entries()) {
    const other = ends[1 - index]!
    expect([end.isEqual, end.closed, end.ended <= 1, end.errors.length <= 1]).toEqual([true, 1, true, true])
    expect(end.read).toBeLessThanOrEqual(other.written)
    // Never a clean end in front of missing bytes.
    if (end.ended === 1) expect(end.read).toBe(other.written)
  }
  await new Promise<void>(resolve => server.close(() => resolve()))
  await until(() => sockets().length === 0)
})
