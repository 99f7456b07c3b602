// What a stream keeps: much that is written at once is not copied at once. SELVEDGE_NET_WRITE_MIB=512 for the long form.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { type Client, type ConatServer, init } from 'selvedge'
import { over, type Socket } from 'selvedge/net'

const MIB = 1024 * 1024
const LONG = process.env.SELVEDGE_NET_WRITE_MIB
/** A window is copied for the engine, which has it until it is acknowledged; some pieces are on their way there. */
const MOST_KEPT = 16 * MIB
/** Of the process: Node.js has garbage, too. Small writes are joined, which makes more. */
const MOST_GROWN = 64 * MIB

let broker: ConatServer
let client: Client
beforeEach(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  client = broker.client()
})
afterEach(async () => {
  await client.close()
  await broker.close()
})

/** What programs/memory.cjs tells. */
interface Told {
  grown: number
  kept: number
  pending: number
  hadError: boolean
}

/** The bytes of programs/memory.cjs. */
function hashOf(total: number): string {
  const hash = createHash('sha256')
  const page = Buffer.alloc(4096)
  for (let at = 0; at < total; at += page.length) {
    page.writeUInt32LE(at)
    hash.update(page)
  }
  return hash.digest('hex')
}

test.each([
  ['in one write', 'one', Number(LONG ?? 128)],
  ['in small writes behind a cork', 'small', Number(LONG ?? 32)],
])('much %s, %s of %d MiB: the writer holds a window of them, beside its own', async (_, how, mib) => {
  const total = mib * MIB
  const server = over(client).createServer({ pauseOnConnect: true })
  await once(server.listen('big'), 'listening')
  const connection = once(server, 'connection') as Promise<[Socket]>
  const program = join(__dirname, 'programs', 'memory.cjs')
  const child = fork(program, [String(broker.address()!.port), how, String(total)], {
    execArgv: ['--expose-gc'],
  })
  const exit = once(child, 'exit')
  const news = new Promise<unknown>(resolve => {
    child.on('message', (message: { grown?: number }) => {
      if (message.grown !== undefined) resolve(message)
    })
  })
  await once(child, 'message')
  const [there] = await connection
  const hash = createHash('sha256')
  for await (const chunk of there) hash.update(chunk)
  expect(hash.digest('hex')).toBe(hashOf(total))
  const { grown, kept, pending, hadError } = (await news) as Told
  expect(hadError).toBe(false)
  expect(pending).toBeLessThanOrEqual(MIB)
  expect(kept).toBeLessThanOrEqual(MOST_KEPT)
  if (how === 'one') expect(grown).toBeLessThanOrEqual(MOST_GROWN)
  expect(await exit).toEqual([0, null])
  await new Promise<void>(resolve => server.close(() => resolve()))
})
