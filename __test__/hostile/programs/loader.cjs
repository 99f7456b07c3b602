// Loads the package within the context of one request, and says which handlers see that context later.
const { AsyncLocalStorage } = require('node:async_hooks')

const storage = new AsyncLocalStorage()
const { connect } = storage.run('of the first request', () => require('selvedge'))

async function main() {
  const client = connect({ noCache: true })
  const seen = []
  const note = where => seen.push([where, storage.getStore() ?? null])
  const messages = await client.subscribe('p')
  const heard = new Promise(resolve => {
    messages.emitter.on('message', () => {
      note('message')
      resolve()
    })
  })
  const listener = client.socket.listen('s')
  listener.on('connection', socket => {
    note('connection')
    socket.on('data', () => note('data'))
    socket.on('request', message => {
      note('request')
      message.respondSync(1)
    })
  })
  await listener.waitUntilReady()
  const socket = client.socket.connect('s')
  await client.publish('p', 1)
  socket.write(1)
  await socket.request(1)
  await heard
  process.stdout.write(JSON.stringify(seen.sort()))
  await client.close()
}
main()
