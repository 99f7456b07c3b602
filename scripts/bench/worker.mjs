// One process of a measurement: `worker.mjs WAY`. Does what main.mjs asks; any role, or all of them.
import { check, make } from './payload.mjs'

const way = await import(`./ways/${process.argv[2]}.mjs`)

// One clock for all processes of a machine.
const now = () => Number(process.hrtime.bigint()) / 1e6

let session
let arrived
let limit = Infinity

function onData(data) {
  const n = check(data)
  if (n !== arrived.next) arrived.wrong ??= n < 0 ? 'damaged' : `${n} came instead of ${arrived.next}`
  arrived.next++
  if (arrived.next === limit) arrived.done(now())
}

const tasks = {
  broker: () => way.broker(),
  serve: options => way.serve({ ...options, onData, onRequest: data => data }),
  session: async options => {
    session = await way.session(options)
  },

  /** Counts from 0 again. */
  reset() {
    limit = Infinity
    arrived = { next: 0, wrong: undefined, done: undefined }
    arrived.last = new Promise(resolve => {
      arrived.done = resolve
    })
  },

  async flow({ dur, size }) {
    const start = now()
    let sent = 0
    while (now() < start + dur) {
      const waits = session.send(make(sent++, size))
      if (waits) await waits
    }
    return { start, sent }
  },

  /** Resolves with the time at which the last of `count` messages had come. */
  async all({ count }) {
    limit = count
    if (arrived.next >= count) arrived.done(now())
    const last = await arrived.last
    if (arrived.next !== count) throw Error(`${arrived.next} messages came, ${count} were sent`)
    if (arrived.wrong) throw Error(`wrong message: ${arrived.wrong}`)
    return { last }
  },

  async trips({ dur, size }) {
    const times = []
    const stop = now() + dur
    for (let n = 0; now() < stop || n < 10; n++) {
      const start = now()
      const echo = await session.request(make(n, size))
      times.push(now() - start)
      if (check(echo) !== n) throw Error(`request ${n} got another answer`)
    }
    times.sort((a, b) => a - b)
    const at = part => times[Math.min(times.length - 1, Math.floor(part * times.length))]
    return { p50: at(0.5), p99: at(0.99) }
  },
}

process.on('disconnect', () => process.exit(1))
process.on('message', async ({ id, task, options }) => {
  try {
    process.send({ id, result: (await tasks[task](options)) ?? {} })
  } catch (err) {
    process.send({ id, error: err.stack })
  }
})
