// A node of a cluster. Its parent makes it call, kills it, and freezes it.
const { connect } = require('selvedge')
const { createIntercom } = require('selvedge/packets')

const broken = []
process.on('uncaughtException', error => broken.push(error.stack))
process.on('unhandledRejection', error => broken.push(String(error?.stack ?? error)))

let client
let intercom
let handled = 0

const commands = {
  async start({ options, node, timeout }) {
    client = connect({ ...options, noCache: true })
    intercom = await createIntercom(client, { node, timeout })
    intercom.handle('here', () => node)
    intercom.handle('add', ([n, m]) => {
      handled += 1
      return { node, sum: n + m }
    })
  },
  /** Waits until so many nodes answer. */
  async meet({ count }) {
    while ((await intercom('here')).length < count) await new Promise(setImmediate)
  },
  /** Calls `count` times, `parallel` at once, and tells how each ended. */
  async call({ count, parallel }) {
    const told = { whole: 0, short: 0, failed: {}, wrong: [] }
    let next = 0
    const worker = async () => {
      while (next < count) {
        const n = next++
        try {
          const answers = await intercom('add', [n, 1])
          if (answers.some(answer => answer?.sum !== n + 1)) told.wrong.push([n, answers])
          if (answers.length === 3) told.whole += 1
          else told.short += 1
        } catch ({ code, responses = [], failures = [] }) {
          const key = `${code} of ${failures.map(({ node }) => node)}, ${responses.length} responses`
          told.failed[key] = (told.failed[key] ?? 0) + 1
        }
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    return told
  },
  report: () => ({ handled, broken: broken.splice(0) }),
  async stop() {
    await client.close()
    process.disconnect()
  },
}

process.on('message', async ({ id, command, ...options }) => {
  const answer = await Promise.resolve(commands[command](options)).then(
    value => ({ id, value }),
    error => ({ id, error: String(error?.stack ?? error) }),
  )
  if (process.connected) process.send(answer)
})
process.send({ id: 0 })
