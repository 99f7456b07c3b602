// Rolls of gateways onto NATS under sockets: one after the other is drained, or closed without a word, and there is another one
// in its place. Counts the sockets that stood still for longer than 2 s. `node scripts/ends/rolls.mjs --rolls 60`; needs a
// `nats-server` in the PATH.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
const { connect, init } = require(root)
const { faultProxy } = require(join(root, 'dist/testing'))

const { values } = parseArgs({
  options: {
    rolls: { type: 'string', default: '30' },
    sockets: { type: 'string', default: '30' },
    /** `drain`, `close`, or one after the other. */
    how: { type: 'string', default: 'both' },
  },
})
const GATEWAYS = 3
/** A socket that has heard nothing for so long has stood still, in ms. */
const STALL = 2000

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

async function startNats() {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-rolls-'))
  const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  for await (const line of createInterface(child.stderr)) if (line.includes('Server is ready')) break
  child.stderr.resume()
  const close = async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  return { address: `nats://127.0.0.1:${port}`, close }
}

async function startGateway(upstream) {
  const gateway = init({ port: 0, upstream })
  await gateway.waitUntilReady()
  return gateway
}

/** A client behind a balancer that sends it to one gateway, and elsewhere while that is not there. */
class Guest {
  constructor(home) {
    this.home = home
  }

  async join(gateways) {
    this.proxy = await faultProxy({ target: gateways[this.home].address().port })
    this.client = connect({ address: this.proxy.address, noCache: true })
    await this.client.waitUntilReady()
  }

  leave() {
    return Promise.all([this.client.close(), this.proxy.close()])
  }
}

class Socket {
  slowest = 0
  slow = []

  constructor(guest, subject) {
    this.guest = guest
    this.socket = guest.client.socket.connect(subject)
    this.since = Date.now()
    this.log = []
    for (const event of ['disconnected', 'connecting', 'ready', 'closed'])
      this.socket.on(event, reason => this.log.push([Date.now(), event, reason?.code ?? '']))
    this.socket.on('data', () => this.#hear())
    this.timer = setInterval(() => {
      try {
        this.socket.write(0)
      } catch {
        // Its window is full, or it has closed.
      }
    }, 25)
  }

  #hear() {
    const now = Date.now()
    const gap = now - this.since
    if (gap > STALL) this.slow.push({ gap, at: this.since, log: this.log.splice(0) })
    if (this.log.length > 40) this.log.splice(0, 20)
    this.slowest = Math.max(this.slowest, gap)
    this.since = now
  }

  /** What it stood still for in this roll. */
  take() {
    const late = Date.now() - this.since
    const found = { slowest: Math.max(this.slowest, late), slow: this.slow }
    if (late > STALL) found.slow.push({ gap: late, at: this.since, log: this.log.splice(0) })
    this.slowest = 0
    this.slow = []
    return found
  }

  close() {
    clearInterval(this.timer)
    this.socket.close()
  }
}

const nats = await startNats()
const gateways = await Promise.all(Array.from({ length: GATEWAYS }, () => startGateway(nats.address)))
const guests = []
async function enter(home) {
  const guest = new Guest(home % GATEWAYS)
  guests.push(guest)
  await guest.join(gateways)
  return guest
}
const hosts = await Promise.all(Array.from({ length: GATEWAYS }, (_, n) => enter(n)))
const listeners = await Promise.all(
  hosts.map(async ({ client }, n) => {
    const listener = client.socket.listen(`roll.${n}`)
    listener.on('connection', one => one.on('data', data => one.state !== 'closed' && one.write(data)))
    await listener.waitUntilReady()
    return listener
  }),
)
const sockets = []
for (let n = 0; n < Number(values.sockets); n++) {
  sockets.push(new Socket(await enter(n), `roll.${Math.floor(n / GATEWAYS) % GATEWAYS}`))
}
await Promise.all(sockets.map(({ socket }) => socket.waitUntilReady()))
await sleep(1000)
for (const one of sockets) one.take()

let stalledRolls = 0
let stalls = 0
let worst = 0
for (let roll = 0; roll < Number(values.rolls); roll++) {
  const at = roll % GATEWAYS
  const how = values.how === 'both' ? ['drain', 'close'][Math.floor(roll / GATEWAYS) % 2] : values.how
  const leaving = gateways[at]
  const other = gateways[(at + 1 + (roll % 2)) % GATEWAYS]
  for (const guest of guests) if (guest.home === at) guest.proxy.retarget(other.address().port)
  if (how === 'drain') await leaving.drain({ spread: 500, deadline: 5000 })
  else await leaving.close()
  await sleep(300 + Math.random() * 700)
  gateways[at] = await startGateway(nats.address)
  for (const guest of guests) if (guest.home === at) guest.proxy.retarget(gateways[at].address().port)
  // Some go home in the middle of all that.
  for (const guest of guests) if (guest.home === at && Math.random() < 0.3) await guest.proxy.cut()
  await sleep(2500)
  const found = sockets.map(one => one.take())
  const slow = found.flatMap(one => one.slow)
  const slowest = Math.max(...found.map(one => one.slowest))
  worst = Math.max(worst, slowest)
  stalls += slow.length
  if (slow.length > 0) stalledRolls += 1
  console.log(`roll ${roll + 1} (${how}): ${slow.length} stalls, at most ${slowest} ms`)
  for (const { gap, at, log } of slow.slice(0, 3)) {
    const told = log.map(([when, event, code]) => `${when - at} ${event} ${code}`)
    console.log(`    ${gap} ms: ${told.join(', ')}`)
  }
}
const closed = sockets.filter(({ socket }) => socket.state === 'closed').length
console.log(
  `${values.rolls} rolls, ${sockets.length} sockets: ${stalledRolls} rolls with stalls, ${stalls} stalls, at most ${worst} ms, ${closed} sockets closed`,
)
for (const one of sockets) one.close()
for (const listener of listeners) listener.close()
await Promise.all(guests.map(guest => guest.leave()))
await Promise.all(gateways.map(gateway => gateway.close()))
await nats.close()
process.exitCode = stalls + closed > 0 ? 1 : 0
