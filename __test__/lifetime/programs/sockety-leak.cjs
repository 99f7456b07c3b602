// Connections of Sockety that come, talk and go, or one that goes on talking: [connections|messages] [cycles]. Run with --expose-gc.
const v8 = require('node:v8')
const {
  Connection,
  Draft,
  Message,
  Request,
  Response,
  ResponseDraft,
  connect,
  createServer,
} = require('selvedge/sockety')
const bodies = require('../../../dist/sockety/body.js')

const [what, cycles] = process.argv.slice(2)
const fixed = Draft.for('fixed').data(Buffer.alloc(100_000, 1)).optimize()
const given = Draft.for('given').data().optimize()
const answer = new ResponseDraft().data().optimize()

async function measure() {
  for (let i = 0; i < 5; i++) {
    global.gc()
    await new Promise(setImmediate)
  }
  const live = Object.fromEntries(
    [Connection, Message, Request, Response, bodies.Body].map(type => [type.name, v8.queryObjects(type)]),
  )
  const { rss, external, arrayBuffers } = process.memoryUsage()
  return { live, resources: process.getActiveResourcesInfo().length, rss, external, arrayBuffers }
}

async function main() {
  const server = createServer(connection =>
    connection.on('message', async message => {
      const data = await message.dataBuffer()
      if (message.action === 'fixed') await message.accept()
      else message.respond(answer({ data }))
    }),
  )
  await server.listen(0, '127.0.0.1')
  const open = () => connect(server.address().port, '127.0.0.1').ready()
  const talk = async connection => {
    const [accepted, echo] = await Promise.all([
      connection.send(fixed()).response(),
      connection.send(given({ data: Buffer.alloc(100_000, 2) })).response(),
    ])
    const { length } = await echo.dataBuffer()
    if (accepted !== 0 || length !== 100_000) throw Error(`${accepted}, ${length}`)
    // Nobody answers it, and whoever asked goes.
    await connection
      .send(Draft.for('none')())
      .response({ timeout: 1 })
      .catch(() => {})
  }
  const one = what === 'messages' ? await open() : undefined
  const cycle = async () => {
    const connection = one ?? (await open())
    await talk(connection)
    if (one !== undefined) return
    const [far] = server.clients
    const gone = new Promise(resolve => far.once('close', resolve))
    await connection.close()
    await gone
  }
  const many = async count => {
    for (let i = 0; i < count; i++) await cycle()
  }
  await many(cycles / 2)
  const before = await measure()
  await many(cycles)
  console.log(JSON.stringify({ before, after: await measure() }))
  await one?.close()
  await server.close()
}

main()
