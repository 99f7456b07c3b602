// What a room costs: memory of a member, at its own server and at another one that looks on; CPU time of a write, in the call and
// until everybody has handled it. `npm run rooms-cost -- --members 10000`. CPU time, not the clock: other work on the machine
// counts little.
import { parseArgs } from 'node:util'
import { connect, init } from 'selvedge'

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '10000' },
    writes: { type: 'string', default: '20' },
  },
})
const [members, writes] = [Number(values.members), Number(values.writes)]

if (globalThis.gc === undefined) throw new Error('run it with --expose-gc')
const heap = () => {
  for (let n = 0; n < 4; n++) globalThis.gc()
  return process.memoryUsage().heapUsed
}
const cpu = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}
const told = {}
const tell = (what, value, unit) => {
  told[what] = value
  console.log(`${what.padEnd(72)} ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`)
}

const broker = init({ port: 0, maxSubscriptionsPerClient: 2 * members + 100 })
await broker.waitUntilReady()
const client = () => connect({ address: String(broker.address()), noCache: true })
const [host, other, guests] = [client(), client(), client()]
const listener = host.socket.listen('crowd', { maxSocketsPerUser: members + 1 })
const looking = other.socket.listen('crowd')
await Promise.all([listener.waitUntilReady(), looking.waitUntilReady()])
const room = looking.room('all')

const accepted = []
listener.on('connection', socket => accepted.push(socket))
let handled = 0
let all = () => {}
for (let n = 0; n < members; n++) {
  const socket = guests.socket.connect('crowd', { loadBalancer: () => listener.id })
  socket.on('data', () => {
    handled += 1
    if (handled % members === 0) all()
  })
  if (n % 200 === 199) await socket.waitUntilReady({ timeout: 60_000 })
}
while (accepted.length < members) await new Promise(resolve => setTimeout(resolve, 20))

// At the own server alone: the other one is not known before the first join.
const before = heap()
for (const [n, socket] of accepted.entries()) socket.join('all', { key: `member ${n}`, data: { n } })
const own = heap()
tell('heap of a member, at its own server', (own - before) / members, 'bytes')
while (room.members.size < members) await new Promise(resolve => setTimeout(resolve, 20))
await new Promise(resolve => setTimeout(resolve, 500))
tell('heap of a member, at another server that looks at the room', (heap() - own) / members, 'bytes')

const write = async audience => {
  let inCall = 0
  const from = cpu()
  for (let n = 0; n < writes; n++) {
    const done = new Promise(resolve => {
      all = resolve
    })
    const began = cpu()
    audience.write({ text: 'hello', n })
    inCall += cpu() - began
    await done
  }
  return { inCall: inCall / writes / members, whole: (cpu() - from) / writes / members }
}
await write(listener.to('all'))
const { inCall, whole } = await write(listener.to('all'))
tell('CPU time of a write, in the call, for each member', inCall, 'µs')
tell('CPU time of a write, until handled, broker and clients included', whole, 'µs')
const filtered = await write(listener.to('all').except('nobody'))
tell('CPU time of a write with an exception, in the call, for each member', filtered.inCall, 'µs')

const beganJoins = cpu()
for (const socket of accepted) socket.join('second')
tell('CPU time of a join, in the call', (cpu() - beganJoins) / members, 'µs')

await Promise.all([host.close(), other.close(), guests.close()])
await broker.close()
