// A byte stream over a fabric that breaks: the broker is killed again and again, the other end's process too.
// SELVEDGE_NET_MIB=1024 for the long form.
import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { over, type Socket, sockets } from 'selvedge/net'
import { Party } from '../faults/party'
import { CA, material } from '../support/certificates'
import { until } from '../support/events'
import { clientAt, endClientsAndParties } from './party-clients'

const MIB = 1024 * 1024
const TOTAL = Number(process.env.SELVEDGE_NET_MIB ?? 48) * MIB
const KILLS = 3
const WINDOW = MIB

afterEach(endClientsAndParties)

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
    const [host, guest] = [over(clientAt(port, wire)), over(clientAt(port, wire))]
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

/** Resident bytes of a process; none of one that was just killed. */
function residentOf(pid: number): number {
  const file = `/proc/${pid}/status`
  const status = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
}

;(process.platform === 'linux' ? test : test.skip).each(['net', 'tls'])(
  `no process grows by more than 64 MiB while ${TOTAL / MIB} MiB go to a slow reader, an eighth of it back behind its end, and the broker is killed ${KILLS} times: %s`,
  async kind => {
    let broker = await Party.broker()
    const { port } = broker
    const secure = { ...material('server'), ca: CA, servername: 'localhost' }
    const program = (role: string): ChildProcess =>
      fork(join(__dirname, 'programs', 'bulk.cjs'), [
        String(port),
        role,
        String(TOTAL),
        ...(kind === 'tls' ? [JSON.stringify(secure)] : []),
      ])
    const reader = program('read')
    await once(reader, 'message')
    const writer = program('write')
    let read = 0
    const told = (from: ChildProcess) =>
      new Promise<string>(resolve => {
        from.on('message', (news: { read?: number; hash?: string; back?: string }) => {
          read = Math.max(read, news.read ?? 0)
          if (news.hash !== undefined) resolve(`${news.hash} ${news.back}`)
        })
      })
    const hashes = Promise.all([told(reader), told(writer)])
    // Until then Node.js itself grows.
    await until(() => read > TOTAL / 8)
    /** By process: the bytes at first, and at most. */
    const seen = new Map<number, [first: number, most: number]>()
    const look = setInterval(() => {
      for (const pid of [reader.pid!, writer.pid!, broker.party.pid]) {
        const now = residentOf(pid)
        const [first, most] = seen.get(pid) ?? [now, now]
        seen.set(pid, [first, Math.max(most, now)])
      }
    }, 10)
    for (let kill = 1; kill <= KILLS; kill++) {
      await until(() => read > (TOTAL / (KILLS + 1)) * kill)
      await broker.party.kill()
      broker = await Party.broker(port)
    }
    const [theirs, ours] = await hashes
    clearInterval(look)
    expect(theirs).toBe(ours)
    const grown = [...seen.values()].map(([first, most]) => Math.round((most - first) / MIB))
    expect(grown.length).toBe(2 + KILLS + 1)
    expect(Math.max(...grown)).toBeLessThanOrEqual(64)
    if (process.env.SELVEDGE_NET_MIB !== undefined)
      console.log(`${kind}: ${read / MIB} MiB; grown by ${grown} MiB`)
    for (const child of [reader, writer]) {
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    }
  },
  60_000 + (TOTAL / MIB) * 500,
)

// For who exits nobody waits: the time would not be over before that of the test.
test.each([
  ['exits', 'selvedge', 600_000],
  ['exits', 'conat', 600_000],
  ['fails', 'selvedge', 600_000],
  ['fails', 'conat', 600_000],
  ['is killed', 'selvedge', 1000],
] as const)(
  'the process of the other end %s, %s wire: it is cut off with ECONNRESET, never an end',
  async (how, wire, resumeTimeout) => {
    const { port } = await Party.broker()
    const server = over(clientAt(port, wire)).createServer({ resumeTimeout })
    const connection = once(server, 'connection') as Promise<[Socket]>
    await once(server.listen('there'), 'listening')
    const child = fork(join(__dirname, 'programs', 'writer.cjs'), [String(port), wire], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    const [there] = await connection
    const events: string[] = []
    for (const name of ['suspend', 'end', 'error', 'close']) there.on(name, () => events.push(name))
    const failed = new Promise<NodeJS.ErrnoException>(resolve => there.once('error', resolve))
    await once(there, 'data')
    if (how === 'is killed') child.kill('SIGKILL')
    else child.send(how)
    await once(child, 'exit')
    expect(await failed).toMatchObject({ code: 'ECONNRESET' })
    await until(() => events.includes('close'))
    expect(events.filter(name => name !== 'suspend')).toEqual(['error', 'close'])
    if (how === 'is killed') expect(events[0]).toBe('suspend')
    await new Promise<void>(resolve => server.close(() => resolve()))
  },
)

// Keep-alive would need 45 s to notice.
test.each(['server', 'client'])(
  'the process of the other end, a %s, is killed: `suspend` tells soon',
  async role => {
    const { port } = await Party.broker()
    const net = over(clientAt(port))
    const program = role === 'server' ? 'server.cjs' : 'writer.cjs'
    const server = net.createServer({ resumeTimeout: 60_000 })
    if (role === 'client') await once(server.listen('there'), 'listening')
    const connection = once(server, 'connection') as Promise<[Socket]>
    const child = fork(join(__dirname, 'programs', program), [String(port), 'selvedge'])
    if (role === 'server') await once(child, 'message')
    const here = role === 'server' ? net.connect('there', { resumeTimeout: 60_000 }) : (await connection)[0]
    const events: string[] = []
    for (const name of ['end', 'error', 'close']) here.on(name, () => events.push(name))
    await once(here, 'data')
    const suspended = once(here, 'suspend')
    const start = Date.now()
    child.kill('SIGKILL')
    await suspended
    expect(Date.now() - start).toBeLessThan(10_000)
    expect([events, sockets({ id: here.session!.id })[0]!.suspended]).toEqual([[], true])
    here.on('error', () => {}).destroy()
    if (role === 'client') await new Promise<void>(resolve => server.close(() => resolve()))
  },
)
