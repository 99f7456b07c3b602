// nats-servers for a measurement: one, or several in a cluster.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { now, sleep } from '../clock.mjs'
import { freePort } from './free-port.mjs'
import { natsServer } from './nats-server.mjs'

const patience = 10_000 // ms until each node knows of the interest at the others

/** Resolves with `addresses` and `pids` of `nodes` nodes that know each other. */
export async function startNats(nodes = 1) {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-bench-'))
  const ports = []
  for (let n = 0; n < 2 * nodes; n++) ports.push(await freePort())
  const [clients, routes] = [ports.slice(0, nodes), ports.slice(nodes)]
  const children = clients.map((port, n) => {
    const config = join(folder, `nats-${n}.conf`)
    writeFileSync(config, configOf(port, n, nodes > 1 ? routes : []))
    return spawn(natsServer(), ['-c', config], { stdio: 'ignore' })
  })
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const addresses = clients.map(port => `127.0.0.1:${port}`)
  await answering(addresses)
  return { addresses, pids: children.map(({ pid }) => pid) }
}

function configOf(port, n, routes) {
  const cluster = `cluster {
  name: bench
  host: "127.0.0.1"
  port: ${routes[n]}
  routes: [${routes.map(each => `"nats://127.0.0.1:${each}"`)}]
}`
  return `host: "127.0.0.1"
port: ${port}
server_name: "bench-${n}"
max_payload: 8MB
max_pending: 512MB
${routes.length > 0 ? cluster : ''}
`
}

/** Waits until every node answers, and hears what the first one publishes. */
async function answering(addresses) {
  const clients = await Promise.all(
    addresses.map(servers => connect({ servers, waitOnFirstConnect: true, reconnectTimeWait: 50 })),
  )
  const heard = clients.map(client => {
    const messages = client.subscribe('bench.hello')
    return messages[Symbol.asyncIterator]().next()
  })
  let isHeard = false
  const all = Promise.all(heard).then(() => {
    isHeard = true
  })
  for (const stop = now() + patience; !isHeard; ) {
    if (now() > stop) throw Error('the nodes of NATS do not hear each other')
    clients[0].publish('bench.hello')
    await Promise.race([all, sleep(20)])
  }
  await Promise.all(clients.map(client => client.close()))
}
