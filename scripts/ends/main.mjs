// Ends, as an operator sees them: real processes with default options that are killed, replaced and drained. `npm run ends`, or
// `npm run ends -- --short`. Fails when somebody is told late, waits too long, or loses what was accepted and is not told.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { drains } from './drains.mjs'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
    /** By how much slower than a calm machine this one may be. */
    patience: { type: 'string', default: '1' },
  },
})
const { short } = values
const patience = Number(values.patience)
const folder = mkdtempSync(join(tmpdir(), 'selvedge-ends-'))
const running = new Set()
const wrong = []
/** Moments in which a process stood still because the machine was busy. */
const stalls = []

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

function check(is, text) {
  console.log(`${is ? 'ok' : 'WRONG'}: ${text}`)
  if (!is) wrong.push(text)
}

/** A process, and what it tells. */
class Child {
  #told = []
  #waiting = new Set()

  constructor(role, options) {
    this.process = fork(fileURLToPath(new URL('child.mjs', import.meta.url)), [role, JSON.stringify(options)])
    running.add(this)
    this.exited = once(this.process, 'exit').then(() => running.delete(this))
    this.process.on('message', message => {
      if (message.what === 'broken') wrong.push(`${role}: ${message.text}`)
      if (message.what === 'stalled') stalls.push({ role, ...message })
      this.#told.push(message)
      for (const look of this.#waiting) look()
    })
  }

  /** The first thing of that kind that is told, from `since` on. */
  async hear(what, is = () => true, most = 60_000 * patience) {
    const find = () => this.#told.find(message => message.what === what && is(message))
    if (find() === undefined) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(Error(`nobody said '${what}'`)), most)
        const look = () => {
          if (find() === undefined) return
          clearTimeout(timer)
          this.#waiting.delete(look)
          resolve()
        }
        this.#waiting.add(look)
      })
    }
    return find()
  }

  all(what, since) {
    return this.#told.filter(message => message.what === what && message.at >= since)
  }

  async kill(signal = 'SIGKILL') {
    const at = Date.now()
    this.process.kill(signal)
    await this.exited
    return at
  }
}

async function start(role, options = {}) {
  const child = new Child(role, options)
  await child.hear('ready')
  return child
}

async function withBroker(run) {
  const broker = await new Child('broker', {})
  const { port } = await broker.hear('ready')
  try {
    await run({ address: `http://127.0.0.1:${port}` })
  } finally {
    await Promise.all([...running].map(child => child.kill()))
  }
}

const percentile = (list, part) =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))]

/** A peer is killed: how long until the other one is told, and until it is served by another server. */
async function kills({ address }) {
  const rounds = short ? 2 : 20
  const count = short ? 5 : 25
  const log = join(folder, 'kills')
  const [told, served, clients] = [[], [], []]
  let server = await start('server', { address, log })
  const guests = await start('guests', { address, count })
  for (let round = 0; round < rounds; round++) {
    const next = start('server', { address, log })
    // Half of the time the next one is there before.
    if (round % 2 === 0) await next
    const killed = await server.kill()
    server = await next
    const ready = Math.max(killed, (await server.hear('ready')).at)
    for (let n = 0; n < count; n++) {
      const since = message => message.n === n && message.at >= killed
      told.push((await guests.hear('away', since)).at - killed)
      served.push((await guests.hear('served', since)).at - ready)
    }
  }
  for (let round = 0; round < rounds; round++) {
    const guest = await start('guests', { address, count: 1 })
    await server.hear('connection', ({ at }) => at > 0)
    await sleep(50)
    const killed = await guest.kill(round % 2 === 0 ? 'SIGKILL' : 'SIGINT')
    clients.push((await server.hear('away', message => message.at >= killed)).at - killed)
  }
  const [p99, slowest] = [percentile(told, 0.99), Math.max(...served)]
  check(
    p99 <= 1000 * patience,
    `a killed server is told: p50 ${percentile(told, 0.5)} ms, p99 ${p99} ms, of ${told.length}`,
  )
  check(
    slowest <= 3000 * patience,
    `and replaced: p50 ${percentile(served, 0.5)} ms, at most ${slowest} ms after the next one is there`,
  )
  const late = percentile(clients, 0.99)
  check(
    late <= 1000 * patience,
    `a killed client is told: p50 ${percentile(clients, 0.5)} ms, p99 ${late} ms, of ${clients.length}`,
  )
}

/** The server is killed and replaced under traffic: all that was accepted is handled, or told. */
async function traffic({ address }) {
  const kills = short ? 2 : 20
  const log = join(folder, 'traffic')
  let server = await start('server', { address, log })
  const parties = await Promise.all(
    ['a', 'b'].map(name => start('writers', { address, name, count: short ? 5 : 25 })),
  )
  let longest = 0
  for (let kill = 0; kill < kills; kill++) {
    await sleep(500 + Math.random() * 1500)
    const killed = await server.kill()
    server = await start('server', { address, log })
    longest = Math.max(longest, Date.now() - killed)
    // Everybody has moved on by then.
    await sleep(2500)
  }
  for (const party of parties) party.process.send('stop')
  const writers = (await Promise.all(parties.map(party => party.hear('done')))).flatMap(
    ({ writers }) => writers,
  )
  const handled = readFileSync(log, 'utf8').split('\n')
  const all = new Set(handled)
  const lost = writers.flatMap(({ name, written, told }) => {
    const ids = Array.from({ length: written }, (_, n) => `${name}:${n + 1}`)
    return ids.filter(id => !all.has(id) && !told.includes(id))
  })
  const written = writers.reduce((sum, writer) => sum + writer.written, 0)
  const told = writers.reduce((sum, writer) => sum + writer.told.length, 0)
  const slowest = Math.max(...writers.map(writer => writer.slowest))
  const slowestAsk = Math.max(...writers.map(writer => writer.slowestAsk))
  const asked = writers.reduce((sum, writer) => sum + writer.asked.ok, 0)
  const failed = {}
  for (const writer of writers) {
    for (const [code, count] of Object.entries(writer.asked.failed))
      failed[code] = (failed[code] ?? 0) + count
  }
  const twice = handled.length - 1 - (all.size - 1)
  check(
    lost.length === 0,
    `${kills} kills under ${writers.length} clients: ${written} written, ${told} told, ${twice} handled twice, ${lost.length} lost${lost.length > 0 ? ` (${lost.slice(0, 5)})` : ''}`,
  )
  const most = 5000 * patience
  check(
    slowest - longest <= most && slowestAsk - longest <= most,
    `the slowest send took ${slowest} ms, the slowest of ${asked} requests ${slowestAsk} ms; of that there was no server for up to ${longest} ms; ${JSON.stringify(failed)} failed`,
  )
  const worst = writers.find(
    writer => Math.max(writer.slowest, writer.slowestAsk) === Math.max(slowest, slowestAsk),
  )
  console.log(`    ${worst.slow.join(' · ')}`)
  const longestStall = Math.max(0, ...stalls.map(({ ms }) => ms))
  if (stalls.length > 0)
    console.log(`    a process stood still ${stalls.length} times, for up to ${longestStall} ms`)
  const others = Object.keys(failed).filter(code => code !== 'EPIPE' && code !== '503')
  check(others.length === 0, `they failed with EPIPE or 503 only (${others})`)
}

/** Members of a group drain in turn under calls. */
async function calls({ address }) {
  const total = short ? 2000 : 40_000
  const members = await Promise.all(Array.from({ length: 10 }, () => start('member', { address })))
  const parties = ['a', 'b'].map(() => new Child('callers', { address, count: 25, calls: total / 2 }))
  let rolled = 0
  const done = Promise.all(parties.map(party => party.hear('done', () => true, 600_000 * patience)))
  let isDone = false
  void done.then(() => {
    isDone = true
  })
  while (!isDone) {
    members.push(await start('member', { address }))
    await members.shift().kill('SIGTERM')
    rolled += 1
  }
  const reports = await done
  const failures = reports.reduce((sum, { failures }) => sum + failures, 0)
  check(
    failures === 0,
    `${total} calls, ${rolled} drains: ${failures} failed ${reports.flatMap(({ some }) => some)}`,
  )
  const slowest = Math.max(...reports.map(({ slowest }) => slowest))
  check(slowest <= 1000 * patience, `the slowest call took ${slowest} ms`)
}

const shows = {
  kills,
  traffic,
  calls,
  drains: ({ address }) => drains(address, start, short ? 10 : 300, check),
}
try {
  for (const [name, show] of Object.entries(shows)) {
    if (values.only !== undefined && values.only !== name) continue
    const begun = Date.now()
    await withBroker(show)
    console.log(`${name}: ${((Date.now() - begun) / 1000).toFixed(1)} s`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const text of wrong) console.error(`WRONG: ${text}`)
process.exitCode = wrong.length > 0 ? 1 : 0
