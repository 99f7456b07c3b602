// One process of a measurement: a server, a client, or something between them, as it is told.
import { init } from 'selvedge'
import { apis } from './apis.mjs'
import { clientTasks } from './client.mjs'
import { middles } from './middles.mjs'
import { serve } from './server.mjs'

// 1000 sockets must fit one client.
const limits = { maxSubscriptionsPerClient: 10_000 }
let client

const tasks = {
  async broker() {
    const server = init({ port: 0, host: '127.0.0.1', ...limits })
    await server.waitUntilReady(10_000)
    return { address: `http://127.0.0.1:${server.address().port}` }
  },
  serve: async ({ api, address }) => ({ places: await serve(await apis[api](address)) }),
  ...middles,
  async join({ api, address, places }) {
    client = clientTasks(await apis[api](address), places)
  },
  run: ({ task, ...options }) => client[task](options),
  /** Lets V8's young generation grow, as any work makes it do. */
  grow() {
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
  } catch (error) {
    process.send({ id, error: String(error.stack) })
  }
})
