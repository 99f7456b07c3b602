// Every callback of the user goes wrong: [how: 'throws', 'rejects', 'hangs' or 're-enters']. Prints what came through in spite of it.
import { connect, init } from 'selvedge'

const how = process.argv[2]
const thrown = new Map()
const count = error => thrown.set(error.message, (thrown.get(error.message) ?? 0) + 1)
process.on('uncaughtException', count)
process.on('unhandledRejection', count)

const again = []
/** A callback that goes wrong, having done `act`. */
const bad = (name, act = () => {}) => {
  if (how === 'throws') {
    return function (...args) {
      act.apply(this, args)
      throw Error(name)
    }
  }
  return function (...args) {
    act.apply(this, args)
    if (how === 'rejects') return Promise.reject(Error(name))
    if (how === 'hangs') return new Promise(() => {})
    again.push(name)
    if (client.state === 'closed') return
    // From inside: commands, and objects that are made and closed again.
    client.publishSync('elsewhere', name)
    client.subscribeSync(`of.${name.replace(' ', '.')}`).close()
    client.socket.connect('nobody').close()
  }
}

const broker = init({ port: 0, host: '127.0.0.1' })
await broker.waitUntilReady()
const address = `http://127.0.0.1:${broker.address().port}`
const quick = { address, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 20 }
const client = connect({ ...quick, autoConnect: false })
for (const name of ['connected', 'info', 'inbox', 'disconnected', 'closed'])
  client.on(name, bad(`client ${name}`))
client.connect()
await client.waitUntilReady()

const seen = { data: [], requests: [], messages: [], watched: [], connections: 0 }
const listener = client.socket.listen('chat')
for (const name of ['ready', 'disconnected']) listener.on(name, bad(`listener ${name}`))
const closed = new Promise(resolve => {
  listener.on(
    'connection',
    bad('connection', socket => {
      seen.connections += 1
      socket.on(
        'data',
        bad('data', data => void seen.data.push(data)),
      )
      socket.on(
        'request',
        bad('request', message => {
          seen.requests.push(message.data)
          message.respondSync('answer')
        }),
      )
      socket.on('closed', bad('closed', resolve))
    }),
  )
})

const guest = connect(quick)
let asked = 0
const socket = guest.socket.connect('chat', {
  loadBalancer: () => (asked++ === 0 ? bad('balancer')() : listener.id),
  loadBalancerTimeout: 100,
})
for (const name of ['ready', 'drain', 'disconnected']) socket.on(name, bad(`socket ${name}`))
for (let n = 0; n < 5; n++) socket.write(n)
await socket.waitUntilReady()
await socket.drain()
const answers = [await socket.request(1), await socket.request(2)].map(answer => answer.data)

const subscription = await client.subscribe('a')
subscription.emitter.on(
  'message',
  bad('message', message => void seen.messages.push(message.data)),
)
client.watch(
  'a',
  bad('watch', message => void seen.watched.push(message.data)),
)
await client.service('s', { act: bad('service'), fine: () => 'fine' })
for (const n of [1, 2, 3]) await guest.publish('a', n)
const called = guest.call('s', { timeout: 200 })
const outcome = await called.act().then(
  () => 'returned',
  error => error.code,
)
const fine = await called.fine()

// Everything once more, after the connection was lost.
const down = new Promise(resolve => guest.once('disconnected', resolve))
guest.conn.io.engine.close()
client.conn.io.engine.close()
await down
await Promise.all([client.waitUntilReady(), guest.waitUntilReady(), socket.waitUntilReady()])
socket.write('after')
await socket.drain()
await guest.publish('a', 'after', { waitForInterest: true })

socket.close()
await closed
await guest.close()
await client.close()
await broker.close()
await new Promise(setImmediate)
console.log(
  JSON.stringify({
    ...seen,
    answers,
    outcome,
    fine,
    state: [client.state, socket.state, listener.state],
    thrown: [...thrown.keys()].sort(),
    again: [...new Set(again)].sort(),
  }),
)
