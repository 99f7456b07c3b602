// Opens, talks and closes again and again, and asks what is left: `npm run soak -- --cycles 10000`. Each cycle makes a client, a socket
// with traffic both ways, a request and a subscription, over TCP, and closes all of it; every tenth loses its link in between.
// Fails when memory, file descriptors, what keeps Node alive, tasks, connections or subscriptions are not back where they were.
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const require = createRequire(import.meta.url)
const native = require('../native.js')
// Before lib opens its session: its number is what the counts are asked with.
let session = 0
const open = native.open
native.open = (...given) => {
  session = open(...given)
  return session
}
const { connect, init } = require(fileURLToPath(new URL('..', import.meta.url)))

const { values } = parseArgs({
  options: { cycles: { type: 'string', default: '600' }, growth: { type: 'string', default: '8' } },
})
const cycles = Number(values.cycles)
const WARM_UP = 500
const ROUNDS = 4
const payload = Buffer.alloc(20_000, 7)

const broker = init({ port: 0 })
await broker.waitUntilReady()
const address = `http://127.0.0.1:${broker.address().port}`
const host = broker.client()
// Who closes while its link is lost can tell nobody: the server's end notices by its keep-alive.
const server = host.socket.listen('soak', { keepAlive: 500, keepAliveTimeout: 1000 })
server.on('connection', socket => socket.on('data', data => socket.write(data)))
const questions = await host.subscribe('soak.ask')
questions.emitter.on('message', message => message.respondSync(message.data))
await server.waitUntilReady()

async function cycle(n) {
  const client = connect({ address, noCache: true })
  const socket = client.socket.connect('soak')
  let seen = 0
  const all = new Promise(resolve => socket.on('data', () => (seen += 1) === 5 && resolve()))
  for (let i = 0; i < 5; i++) socket.write(payload)
  await all
  await client.request('soak.ask', n)
  const own = await client.subscribe(`soak.own.${n}`)
  own.close()
  if (n % 10 === 0) {
    client.disconnect()
    client.connect()
  }
  socket.close()
  await client.close()
}

async function many(from, count) {
  for (let n = from; n < from + count; n += 4) {
    await Promise.all(Array.from({ length: Math.min(4, from + count - n) }, (_, i) => cycle(n + i)))
  }
}

/** What is there, once it has been the same for a while: what was closed last takes a moment. */
async function measure() {
  for (let i = 0; i < 1000 && Object.keys(server.sockets).length > 0; i++) await pause(10)
  let last = ''
  let same = 0
  for (let i = 0; i < 1000 && same < 10; i++) {
    globalThis.gc?.()
    await pause(10)
    const text = JSON.stringify(counts())
    same = text === last ? same + 1 : 0
    last = text
  }
  return { ...counts(), rss: process.memoryUsage.rss() }
}

const counts = () => ({
  ...JSON.parse(native.counts(session)),
  descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
  resources: process.getActiveResourcesInfo().filter(name => name !== 'Timeout').length,
  sockets: Object.keys(server.sockets).length,
})

const start = Date.now()
// Long enough for allocators and compilers to have what they keep.
await many(0, WARM_UP)
const first = await measure()
let last = first
const growths = []
for (let round = 0; round < ROUNDS; round++) {
  const count = Math.ceil(cycles / ROUNDS)
  await many(WARM_UP + round * count, count)
  const now = await measure()
  growths.push((now.rss - last.rss) / 2 ** 20)
  last = now
}
// Allocators take and give back as they like, and one odd round says nothing. What leaks grows in most, and in all together.
const together = growths.reduce((sum, growth) => sum + growth)
const steady = Math.min([...growths].sort((a, b) => a - b)[1] * ROUNDS, together)
const changed = Object.keys(first).filter(key => key !== 'rss' && first[key] !== last[key])

console.log('before', JSON.stringify(first))
console.log('after ', JSON.stringify(last))
console.log(
  `${cycles} cycles in ${((Date.now() - start) / 1000).toFixed(1)} s, memory grew by ` +
    `${growths.map(mib => mib.toFixed(1)).join(' + ')} MiB`,
)
if (changed.length > 0) console.log(`FAILED: not back where it was: ${changed.join(', ')}`)
if (steady > Number(values.growth)) console.log(`FAILED: memory grows by ${steady.toFixed(1)} MiB and more`)
process.exitCode = changed.length > 0 || steady > Number(values.growth) ? 1 : 0

server.close()
await once(server, 'closed')
await host.close()
await broker.close()
