// One version of a program with packets. Its parent says which packets it has, what it answers, and what it sends.
const { connect } = require('selvedge')
const { Packet, PacketRegistry, PacketServer, PacketSocket } = require('selvedge/packets')

const broken = []
process.on('uncaughtException', error => broken.push(error.stack))
process.on('unhandledRejection', error => broken.push(String(error?.stack ?? error)))

let client
let socket
const seen = []
const rejected = []

const commands = {
  async start({ role, address, schemas, answers }) {
    const classes = Object.entries(schemas).map(([name, { data, result }]) => [
      name,
      Packet(data, { result }),
    ])
    const registry = new PacketRegistry(Object.fromEntries(classes))
    client = connect({ address, noCache: true })
    const watch = each => {
      socket = each
      each.on('rejected', ({ code, packet }) => rejected.push([code, packet]))
      for (const [name, Class] of classes) {
        each.handle(Class, ({ data }) => {
          seen.push([name, data])
          return answers[name]
        })
      }
    }
    if (role === 'client') watch(new PacketSocket(client.socket.connect('versions'), registry))
    else {
      const source = client.socket.listen('versions')
      new PacketServer(source, registry).on('connection', watch)
      await source.waitUntilReady()
    }
  },
  async send({ name, data }) {
    const told = await socket.send([name, data]).then(
      value => ({ value }),
      ({ code }) => ({ code }),
    )
    return told
  },
  post({ name, data }) {
    socket.post([name, data])
  },
  report: () => ({ seen: seen.splice(0), rejected: rejected.splice(0), broken: broken.splice(0) }),
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
