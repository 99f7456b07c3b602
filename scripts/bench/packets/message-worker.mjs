// One process of a measurement of whole messages: `message-worker.mjs CONTENDER`, a server or a client as it is told.
const contender = await import(`./${process.argv[2]}.mjs`)

const packet = n => ({ id: n, x: n / 2, y: -1.5, name: 'alicia' })
const now = () => performance.timeOrigin + performance.now()
let server
let client
let received = 0
let last = 0
/** Posts that are made until there is a look for room, and a turn of the event loop. */
const BURST = 200

const tasks = {
  async serve() {
    server = await contender.serve()
    return { address: server.address }
  },
  async connect({ address }) {
    client = await contender.connect(address, ({ id }) => {
      if (id !== received) throw Error(`the packet ${id} where ${received} is next`)
      received += 1
      last = now()
    })
  },
  /** Calls for `dur` ms, so many at once. */
  async calls({ dur, parallel }) {
    const start = now()
    let count = 0
    const caller = async () => {
      while (now() < start + dur) {
        const n = count++
        const { x } = await client.call(packet(n))
        if (x !== n / 2) throw Error(`${x} is no answer to ${n}`)
      }
    }
    await Promise.all(Array.from({ length: parallel }, caller))
    return { rate: (count / (now() - start)) * 1000 }
  },
  async posts({ first, dur }) {
    const start = now()
    let next = first
    while (now() < start + dur) {
      for (let i = 0; i < BURST; i++) server.post(packet(next++))
      await server.room()
      await new Promise(setImmediate)
    }
    return { start, next }
  },
  async received({ count }) {
    while (received < count) await new Promise(resolve => setTimeout(resolve, 5))
    return { last }
  },
}

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ id, task, options }) => {
  try {
    process.send({ id, result: (await tasks[task](options)) ?? {} })
  } catch (error) {
    process.send({ id, error: String(error.stack) })
  }
})
