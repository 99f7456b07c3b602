// nats-servers for a measurement: one, or several in a cluster.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { now, sleep } from '../clock.mjs'
import { natsServer } from './nats-server.mjs'

const patience = 10_000 // ms until each node knows of the interest at the others

/** Resolves with `addresses` and `pids` of `nodes` nodes that know each other. */
export async function startNats(nodes = 1) {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-bench-'))
  const children = []
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const addresses = []
  const routes = []
  for (let n = 0; n < nodes; n++) {
    const config = join(folder, `nats-${n}.conf`)
    writeFileSync(config, configOf(n, nodes > 1 ? routes : undefined))
    const child = spawn(natsServer(), ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    children.push(child)
    const { client, route } = await ports(child, nodes > 1 ? ['client', 'route'] : ['client'])
    addresses.push(`127.0.0.1:${client}`)
    routes.push(`127.0.0.1:${route}`)
  }
  await answering(addresses)
  return { addresses, pids: children.map(({ pid }) => pid) }
}

/** Ports are the server's choice; each node is told of those that were started before. */
function configOf(n, routes) {
  const cluster =
    routes &&
    `cluster {
  name: bench
  host: "127.0.0.1"
  port: -1
  routes: [${routes.map(each => `"nats://${each}"`)}]
}`
  return `host: "127.0.0.1"
port: -1
server_name: "bench-${n}"
max_payload: 8MB
max_pending: 512MB
${cluster ?? ''}
`
}

/** Resolves with the ports that a server has chosen; rejects with what it says when it does not start. */
async function ports(child, kinds) {
  const chosen = {}
  const said = []
  for await (const line of createInterface(child.stderr)) {
    said.push(line)
    const [, kind, port] = /Listening for (\w+) connections on .*:(\d+)/.exec(line) ?? []
    if (kind) chosen[kind] = port
    if (kinds.some(each => !chosen[each])) continue
    // What it says from now on is read and dropped, or it would wait for a reader.
    child.stderr.resume()
    return chosen
  }
  throw Error(`nats-server did not start:\n${said.join('\n')}`)
}

/** Waits until every node answers, and hears what the first one publishes. */
async function answering(addresses) {
  const clients = await Promise.all(addresses.map(servers => connect({ servers })))
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
