// Three server nodes on one fabric. Each simulates some units; a client of any of them asks where a unit is.
import { connect, init } from 'selvedge'
import {
  createIntercom,
  Packet,
  PacketRegistry,
  PacketServer,
  PacketSocket,
  ValidationError,
} from 'selvedge/packets'

const Where = Packet({ id: 'uint32' }, { result: { x: 'float32', y: 'float32' } })
const Moved = Packet({ id: 'uint32', x: 'float32', y: 'float32' })
const packets = new PacketRegistry({ Where, Moved })

const broker = init({ port: 0 })
await broker.waitUntilReady()
const address = `http://127.0.0.1:${broker.address().port}`

async function startNode(name, units) {
  const client = connect({ address, noCache: true })
  const intercom = await createIntercom(client, { node: name })
  intercom.provide('@simulation', { position: id => units[id] })
  const source = client.socket.listen(`game.${name}`)
  const server = new PacketServer(source, packets, { intercom, channel: 'game' })
  server.handle(Where, async ({ data }, { req }) => {
    const position = await req.intercom.first('@simulation.position', data.id)
    if (position === undefined) throw new ValidationError({ code: 404, reason: `no unit ${data.id}` })
    return position
  })
  await source.waitUntilReady()
  return { client, intercom, server }
}

const nodes = [
  await startNode('north', { 1: { x: 0, y: 10 } }),
  await startNode('south', { 2: { x: 0, y: -10 } }),
  await startNode('east', { 3: { x: 10, y: 0 } }),
]

// Asked of one node, known to another.
const guest = connect({ address, noCache: true })
const socket = new PacketSocket(guest.socket.connect('game.north'), packets)
console.log(await socket.send(['Where', { id: 2 }]))
console.log(await socket.send(['Where', { id: 9 }]).catch(({ code, reason }) => `${code} ${reason}`))

// All nodes, in the order of their names.
console.log(JSON.stringify(await nodes[2].intercom('@simulation.position', 3)))

// To the sockets of all nodes.
const moved = new Promise(resolve => socket.handle(Moved, ({ data }) => resolve(data)))
nodes[1].server.send(['Moved', { id: 2, x: 0.5, y: -10 }])
console.log(await moved)

await socket.close()
await guest.close()
for (const { client } of nodes) await client.close()
await broker.close()

// prints:
// { x: 0, y: -10 }
// 404 no unit 9
// [{"x":10,"y":0},null,null]
// { id: 2, x: 0.5, y: -10 }
