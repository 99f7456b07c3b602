// One process of a measurement: `worker.mjs MODULE`, a server or a client as it is told.
import { closedLoop } from './loop.mjs'

const own = { 'node:http2': './http2.mjs', 'node:net': './net.mjs' }
const contender = await import(own[process.argv[2]] ?? './sockety.mjs')
let session

const tasks = {
  serve: async ({ secure }) => ({ port: await contender.serve(secure) }),
  async connect({ port, secure }) {
    session = await contender.session(port, secure)
    return { lines: Object.keys(session) }
  },
  run: ({ line, size, parallel, dur }) => closedLoop({ dur, parallel, operation: session[line](size) }),
}

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ id, task, options }) => {
  try {
    process.send({ id, result: (await tasks[task](options)) ?? {} })
  } catch (error) {
    process.send({ id, error: String(error.stack) })
  }
})
