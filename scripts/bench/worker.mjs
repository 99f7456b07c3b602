// One process of a measurement: `worker.mjs MODULE`. Does what a workload asks for; any role, or all of them.
import { Arrivals } from './arrivals.mjs'
import { now, sleep } from './clock.mjs'
import { flow, opens, trips } from './loops.mjs'
import { make } from './payload.mjs'

const contender = await import(`./contenders/${process.argv[2]}.mjs`)
const arrivals = new Arrivals()
const sockets = []
let server
let session
let publisher

const tasks = {
  broker: options => contender.broker(options),

  // The receiver.
  async serve(options) {
    server = await contender.serve({ ...options, accept: () => arrivals.reader(), onRequest: data => data })
    return { address: server.address }
  },
  async subscribe({ subject, ...options }) {
    const client = await contender.subjects(options)
    await client.subscribe(subject, arrivals.reader())
  },
  async respond({ subject, ...options }) {
    const client = await contender.subjects(options)
    await client.respond(subject, data => data)
  },
  reset: () => arrivals.reset(),
  all: async ({ count }) => ({ last: await arrivals.all(count) }),
  /** Resolves when the server has so many sockets; at the latest when the task's time is over. */
  async accepted({ count }) {
    while (server.count() !== count) await sleep(5)
  },

  // The sender.
  async session(options) {
    session = await contender.session(options)
  },
  async publisher(options) {
    publisher = await contender.subjects(options)
  },
  /** Opens `count` more sockets, which read if they are to `listen`. */
  async open({ count, listen = false }) {
    for (let n = 0; n < count; n++) {
      sockets.push(await session.open({ onData: listen ? arrivals.reader() : undefined }))
    }
  },
  opens: options => opens({ ...options, open: async () => sockets.push(await session.open()) }),
  /** Writes for `dur` ms: `burst` messages to each socket in turn. */
  flow: options => flow({ ...options, sends: sockets.map(socket => data => socket.send(data)) }),
  trips: options => trips({ ...options, request: data => sockets[0].request(data) }),
  /** Publishes for `dur` ms; each `batch`-th message is confirmed before the next. */
  publish({ subject, batch, ...options }) {
    let n = 0
    const send = data => (++n % batch === 0 ? publisher.confirm : publisher.publish)(subject, data)
    return flow({ ...options, sends: [send] })
  },
  requests: ({ subject, ...options }) =>
    trips({ ...options, request: data => publisher.request(subject, data) }),

  /** The receiver writes to everybody; `batch` messages, then all must have been handled. */
  async broadcast({ dur, size, batch }) {
    const start = now()
    let sent = 0
    while (now() < start + dur) {
      for (let n = 0; n < batch; n++) server.broadcast(make(sent++, size))
      await server.drained()
    }
    return { start, sent }
  },

  /** Holds `count` subscriptions that nothing matches. */
  async crowd({ count, ...options }) {
    const client = await contender.subjects(options)
    await client.crowd(Array.from({ length: count }, (_, n) => `crowd.${n % 1000}.${n}.*`))
  },
  /** Lets V8's young generation grow: any workload makes it do so, and no socket is to be charged with it. */
  grow() {
    // Each lives for a while and dies young, so that nothing is left behind for sockets to use.
    const objects = Array(10_000)
    for (let n = 0; n < 4_000_000; n++) objects[n % objects.length] = { n }
  },
  collect() {
    globalThis.gc()
    globalThis.gc()
  },
}

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ id, task, options }) => {
  try {
    process.send({ id, result: (await tasks[task](options)) ?? {} })
  } catch (err) {
    process.send({ id, error: String(err.stack) })
  }
})
