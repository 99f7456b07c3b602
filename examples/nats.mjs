// One program, three fabrics: inside the process, a broker, a server of NATS. Only the address differs.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { connect, init } from 'selvedge'

const broker = init({ port: 0 })
await broker.waitUntilReady()
const nats = await startNats()
const addresses = [undefined, `http://localhost:${broker.address().port}`, nats?.address]

for (const address of new Set(addresses)) {
  const [server, client] = [connect({ address, noCache: true }), connect({ address, noCache: true })]
  await server.service('jobs', {
    // Anyone can send any value: what this throws is the answer.
    double(n) {
      if (typeof n !== 'number') throw TypeError('not a number')
      return n * 2
    },
  })
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
  if (answer !== 42 || text !== 'HELLO') throw Error(`another result at ${address}`)
  await Promise.all([client.close(), server.close()])
}
await broker.close()
nats?.child.kill()
console.log('the same everywhere')

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
// the same everywhere
