// Ours over gateways onto NATS, each gateway a process. Receiver and sender are at different ones; `spread`: clients of both
// are at every gateway, and sockets find each other by chance.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startNats } from './nats-cluster.mjs'
import * as selvedge from './selvedge.mjs'

export async function broker({ nodes, gateways }) {
  const nats = await startNats(nodes)
  const upstreams = nats.addresses.map(each => `nats://${each}`)
  const started = await Promise.all(
    Array.from({ length: gateways }, (_, n) => startGateway(upstreams[n % upstreams.length])),
  )
  const address = started.map(one => one.address)
  const pids = { broker: started.map(one => one.pid), nats: nats.pids }
  return { address, far: [...address].reverse(), pids }
}

async function startGateway(upstream) {
  const child = fork(fileURLToPath(new URL('gateway-process.mjs', import.meta.url)), [upstream])
  process.on('exit', () => child.kill('SIGKILL'))
  const ended = once(child, 'exit').then(([code]) => {
    throw Error(`a gateway ended before it was ready (exit status ${code})`)
  })
  const [address] = await Promise.race([once(child, 'message'), ended])
  ended.catch(() => {}) // it is killed when the measurement is over
  return { address, pid: child.pid }
}

const places = ({ address, spread }) => (spread ? address : address.slice(0, 1))

export async function serve(options) {
  const servers = await Promise.all(places(options).map(address => selvedge.serve({ ...options, address })))
  return {
    address: options.address,
    count: () => servers.reduce((sum, server) => sum + server.count(), 0),
    broadcast: data => servers.forEach(server => void server.broadcast(data)),
    drained: () => Promise.all(servers.map(server => server.drained())),
  }
}

export async function session(options) {
  const sessions = await Promise.all(
    places(options).map(address => selvedge.session({ ...options, address })),
  )
  let turn = 0
  return { open: socket => sessions[turn++ % sessions.length].open(socket) }
}

export const subjects = options => selvedge.subjects({ ...options, address: options.address[0] })
