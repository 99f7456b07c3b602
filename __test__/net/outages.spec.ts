// A byte stream over a fabric that breaks: the broker is killed again and again, the other end's process too.
// SELVEDGE_NET_MIB=1024 for the long form.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Client, connect } from 'selvedge'
import { over, type Socket, sockets } from 'selvedge/net'
import { endAll, Party } from '../faults/party'

const MIB = 1024 * 1024
const TOTAL = Number(process.env.SELVEDGE_NET_MIB ?? 48) * MIB
const KILLS = 3
const WINDOW = MIB

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 1))
}

let clients: Client[] = []
afterEach(async () => {
  await Promise.all(clients.map(client => client.close()))
  clients = []
  await endAll()
})

function client(port: number, wire: 'selvedge' | 'conat' = 'selvedge'): Client {
  const made = connect({
    address: `http://127.0.0.1:${port}`,
    noCache: true,
    wire,
    reconnectionDelay: 20,
    reconnectionDelayMax: 100,
  })
  clients.push(made)
  return made
}

/** Bytes that are different everywhere, made as they are read. */
function* source(total: number): Generator<Buffer> {
  const size = 64 * 1024
  for (let at = 0; at < total; at += size) {
    const chunk = Buffer.alloc(Math.min(size, total - at), at % 251)
    chunk.writeUInt32LE(at / size, 0)
    yield chunk
  }
}

function hashOf(total: number): string {
  const hash = createHash('sha256')
  for (const chunk of source(total)) hash.update(chunk)
  return hash.digest('hex')
}

test.each(['selvedge', 'conat'] as const)(
  `${TOTAL / MIB} MiB through a pipeline to a slow reader, the broker killed ${KILLS} times: equal, and bounded; %s wire`,
  async wire => {
    let broker = await Party.broker()
    const { port } = broker
    const [host, guest] = [over(client(port, wire)), over(client(port, wire))]
    const hash = createHash('sha256')
    let read = 0
    let rested = 0
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk)
        read += chunk.length
        if (read - rested < 4 * MIB) done()
        else {
          rested = read
          setTimeout(done, 10)
        }
      },
    })
    const server = host.createServer({ window: WINDOW })
    const arrived = new Promise<void>((resolve, reject) => {
      server.once('connection', socket => {
        pipeline(socket, sink).then(resolve, reject)
      })
    })
    await once(server.listen('bulk'), 'listening')
    const here = guest.connect('bulk', { window: WINDOW })
    const events: string[] = []
    for (const name of ['suspend', 'continue', 'error', 'timeout']) here.on(name, () => events.push(name))
    let most = 0
    const measured = setInterval(() => {
      most = Math.max(most, here.session?.stats.pendingBytes ?? 0)
    }, 1)
    const sent = pipeline(Readable.from(source(TOTAL)), here)
    here.resume()
    for (let kill = 1; kill <= KILLS; kill++) {
      const mark = (TOTAL / (KILLS + 1)) * kill
      await until(() => read > mark)
      await broker.party.kill()
      broker = await Party.broker(port)
    }
    await Promise.all([sent, arrived])
    clearInterval(measured)
    expect([read, hash.digest('hex')]).toEqual([TOTAL, hashOf(TOTAL)])
    expect(most).toBeLessThanOrEqual(WINDOW)
    // No other event: whoever does not listen to these notices nothing.
    expect(events).toEqual(Array.from({ length: KILLS }, () => ['suspend', 'continue']).flat())
    await new Promise<void>(resolve => server.close(() => resolve()))
    await until(() => sockets().length === 0)
  },
  60_000 + (TOTAL / MIB) * 500,
)

test.each([
  ['exits', 'ECONNRESET', 1000],
  ['is killed', 'ECONNRESET', 1000],
])(
  'the process of the other end %s: it suspends, and is cut off with %s, never an end',
  async (how, code, resumeTimeout) => {
    const { port } = await Party.broker()
    const server = over(client(port)).createServer({ resumeTimeout })
    const connection = once(server, 'connection') as Promise<[Socket]>
    await once(server.listen('there'), 'listening')
    const child = fork(join(__dirname, 'programs', 'writer.cjs'), [String(port)])
    const [there] = await connection
    const events: string[] = []
    for (const name of ['suspend', 'end', 'error', 'close']) there.on(name, () => events.push(name))
    const failed = new Promise<NodeJS.ErrnoException>(resolve => there.once('error', resolve))
    await once(there, 'data')
    if (how === 'exits') child.send('exit')
    else child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await failed).toMatchObject({ code })
    await until(() => events.includes('close'))
    expect(events.filter(name => name !== 'suspend')).toEqual(['error', 'close'])
    await new Promise<void>(resolve => server.close(() => resolve()))
  },
)
