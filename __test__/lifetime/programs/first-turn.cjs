// Asks before the event loop has turned once, with timers as they are or replaced, and waits for the answer
// through so many async functions: what was written behind the answer comes behind what is done with it.
const { join } = require('node:path')

if (process.argv[2] === 'replaced') {
  process.nextTick = () => {}
  globalThis.setImmediate = require('node:timers').setImmediate = () => {}
}
const { connect } = require(join(__dirname, '../../..'))

async function deep(levels, ask) {
  return levels === 0 ? await ask() : await deep(levels - 1, ask)
}

async function main() {
  const order = []
  const client = connect({ noCache: true })
  client.socket.listen('s').on('connection', socket => {
    socket.on('request', message => {
      message.respondSync('answer')
      socket.write('data')
    })
  })
  const socket = client.socket.connect('s')
  socket.on('data', data => order.push(data))
  order.push((await deep(500, () => socket.request('ask'))).data)
  while (order.length < 2) await socket.request('ask')
  await client.close()
  process.stdout.write(order.slice(0, 2).join())
}

void main()
