// TCP through a tunnel of `forward` and `expose`: every byte, both ways at once, while the broker is killed and started again.
// SELVEDGE_NET_MIB=1024 for the long form.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import nodeNet from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { over, sockets } from 'selvedge/net'
import { Party } from '../faults/party'
import { closed, portOf, until } from '../support/events'
import { clientAt, endClientsAndParties } from './party-clients'

const MIB = 1024 * 1024
const TOTAL = Number(process.env.SELVEDGE_NET_MIB ?? 24) * MIB
const CHUNK = 64 * 1024

afterEach(endClientsAndParties)

/** Bytes that are different everywhere and in each direction, made as they are read. */
function* source(seed: number): Generator<Buffer> {
  for (let at = 0; at < TOTAL; at += CHUNK) {
    const chunk = Buffer.alloc(CHUNK, (at / CHUNK + seed) % 251)
    chunk.writeUInt32LE(at / CHUNK, seed)
    yield chunk
  }
}

function hashOf(seed: number): string {
  const hash = createHash('sha256')
  for (const chunk of source(seed)) hash.update(chunk)
  return hash.digest('hex')
}

/** Sends one direction and reads the other. Resolves with what came: its bytes, and their hash. */
async function exchange(socket: nodeNet.Socket, seed: number, handleRead: (bytes: number) => void) {
  const hash = createHash('sha256')
  let bytes = 0
  socket.on('data', chunk => {
    hash.update(chunk)
    bytes += chunk.length
    handleRead(bytes)
  })
  const end = once(socket, 'end')
  await Promise.all([pipeline(Readable.from(source(seed)), socket), end])
  return { bytes, hash: hash.digest('hex') }
}

test(
  `${TOTAL / MIB} MiB each way through a tunnel, the broker killed in the middle: counted and hashed`,
  async () => {
    let broker = await Party.broker()
    const { port } = broker
    const settings = { allowHalfOpen: true }
    let read = 0
    const target = nodeNet.createServer(settings)
    const inside = once(target, 'connection').then(([socket]) =>
      exchange(socket, 1, bytes => {
        read = bytes
      }),
    )
    await once(target.listen(0, '127.0.0.1'), 'listening')
    const exposed = over(clientAt(port)).expose('db', { port: portOf(target) })
    await once(exposed, 'listening')
    const door = over(clientAt(port)).forward('db', { port: 0 })
    await once(door, 'listening')
    const outside = exchange(nodeNet.connect({ port: portOf(door), ...settings }), 2, () => {})
    await until(() => read > TOTAL / 2)
    await broker.party.kill()
    broker = await Party.broker(port)
    expect(await outside).toEqual({ bytes: TOTAL, hash: hashOf(1) })
    expect(await inside).toEqual({ bytes: TOTAL, hash: hashOf(2) })
    await until(() => exposed.stats.active === 0 && door.stats.active === 0)
    const counts = { connections: 1, active: 0, refused: 0, bytesIn: TOTAL, bytesOut: TOTAL }
    expect([exposed.stats, door.stats]).toEqual([counts, counts])
    await Promise.all([closed(door.close()), closed(exposed.close()), closed(target.close())])
    await until(() => sockets().length === 0)
  },
  60_000 + (TOTAL / MIB) * 1000,
)
