// Steps of growth: one program inside the process, on a broker, and on two brokers that are gateways onto one NATS.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { connect, init } from 'selvedge'

const single = init({ port: 0 })
const nats = await startNats()
const gateways = nats ? [1, 2].map(n => init({ port: 0, id: `${n}`, upstream: nats.address })) : []
await Promise.all([single, ...gateways].map(broker => broker.waitUntilReady()))

/** Where the server and its client connect. */
const places = [[undefined, undefined], [single, single], gateways, [gateways[1], nats]]

for (const [one, other] of nats ? places : places.slice(0, 2)) {
  const [server, client] = [one, other].map(place => connect({ address: addressOf(place), noCache: true }))
  const jobs = {
    // Anyone can send any value: what this throws is the answer.
    double(n) {
      if (typeof n !== 'number') throw TypeError('not a number')
      return n * 2
    },
  }
  await server.service('jobs', jobs, { queue: 'workers' })
  const listener = server.socket.listen('chat')
  listener.on('connection', socket => {
    socket.on('data', text => {
      if (typeof text === 'string') socket.write(text.toUpperCase()) // a client can write any value
    })
  })

  const answer = await client.call('jobs').double(21)
  const socket = client.socket.connect('chat')
  socket.write('hello')
  const [text] = await new Promise(resolve => {
    socket.on('data', (...data) => resolve(data))
  })
  if (answer !== 42 || text !== 'HELLO') throw Error('another result')
  await Promise.all([client.close(), server.close()])
}
await Promise.all([single, ...gateways].map(broker => broker.close()))
nats?.child.kill()
console.log('the same at every step')

function addressOf(place) {
  if (place === undefined) return undefined
  return place.child ? place.address : place.address()
}

/** Starts a server at any free port, if there is one on the PATH. */
async function startNats() {
  const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', '-1'], { stdio: ['ignore', 'ignore', 'pipe'] })
  // There is none.
  const gone = new Promise(resolve => {
    child.once('error', () => resolve(undefined))
  })
  const address = new Promise(resolve => {
    createInterface(child.stderr).on('line', line => {
      const port = /Listening for client connections on .*:(\d+)/.exec(line)?.[1]
      if (port !== undefined) resolve(`nats://127.0.0.1:${port}`)
    })
  })
  const found = await Promise.race([address, gone])
  return found && { address: found, child }
}

// prints:
// the same at every step
