// Packets over a socket of the fabric, through a broker in the server's process.
import { connect as connectClient, init } from 'selvedge'
import { Packet, PacketRegistry, PacketServer, PacketSocket } from 'selvedge/packets'

const Move = Packet({ id: 'uint32', x: 'float32', y: 'float32', name: 'string' })
const Where = Packet(
  { id: 'uint32', x: 'float32', y: 'float32', name: 'string' },
  { result: { x: 'float32', y: 'float32' } },
)
const packets = new PacketRegistry({ Move, Where })

export async function serve() {
  const broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  const source = broker.client().socket.listen('bench')
  await source.waitUntilReady()
  const server = new PacketServer(source, packets)
  server.handle(Where, ({ data }) => ({ x: data.x, y: data.y }))
  return {
    address: `http://127.0.0.1:${broker.address().port}`,
    post: packet => server.send(['Move', packet]),
    /** Resolves when there is room for more. */
    room: () => Promise.all([...server.sockets.values()].map(socket => socket.waitUntilWritable())),
  }
}

export async function connect(address, receive) {
  const socket = new PacketSocket(connectClient({ address }).socket.connect('bench'), packets)
  socket.handle(Move, ({ data }) => receive(data))
  await socket.send(['Where', { id: 0, x: 0, y: 0, name: '' }])
  return { call: packet => socket.send(['Where', packet]) }
}
