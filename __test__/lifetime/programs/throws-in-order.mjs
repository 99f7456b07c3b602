// A handler that throws at every odd event; prints the order of everything.
import { connect } from 'selvedge'

const [, , event, how] = process.argv
const order = []
const client = connect({ noCache: true })

process.on('exit', () => process.stdout.write(order.join()))
if (how === 'survives') {
  process.on('uncaughtException', error => order.push(error.message))
}

function handle(n) {
  order.push(n)
  if (n === 4) client.close()
  if (n % 2 === 1) throw Error(`caught ${n}`)
}

const listener = client.socket.listen('s')
if (event === 'message') {
  const subscription = await client.subscribe('m')
  subscription.emitter.on('message', message => handle(message.data))
  for (let n = 1; n <= 4; n++) client.publishSync('m', n)
} else if (event === 'connection') {
  await listener.waitUntilReady()
  for (let n = 1; n <= 4; n++) {
    const socket = client.socket.connect('s')
    await socket.waitUntilReady()
  }
  let n = 0
  listener.on('connection', () => handle(++n))
} else {
  listener.once('connection', async socket => {
    const handler = data => {
      // What a handler throws that has not answered is the answer.
      if (event === 'request') data.respondSync(null)
      handle(data?.data ?? data)
    }
    if (event === 'held data') setTimeout(() => socket.on('data', handler), 200)
    else socket.on(event, handler)
  })
  const socket = client.socket.connect('s')
  await socket.waitUntilReady()
  for (let n = 1; n <= 4; n++) {
    if (event === 'request') socket.request(n).catch(() => {})
    else socket.write(n)
  }
}
