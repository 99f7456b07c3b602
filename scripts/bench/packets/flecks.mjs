// A server and a client as @flecks/socket 4 are: an event of Socket.IO for each packet, schemapack, answers as acknowledgements.
// Written from docs/protocols/packets.md; the package itself is not in the registry in this version.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'

const schemapack = createRequire(import.meta.url)('schemapack')
const codec = schemapack.build({ id: 'uint32', x: 'float32', y: 'float32', name: 'string' })
const MOVE = 1

export async function serve() {
  const http = createServer()
  const server = new Server(http)
  server.on('connection', socket => socket.on(MOVE, async (bytes, ack) => answer(codec.decode(bytes), ack)))
  await new Promise(resolve => http.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${http.address().port}`,
    post: packet => server.emit(MOVE, codec.encode(packet)),
    room: () => undefined,
  }
}

/** As there: validate and respond are awaited, one after the other. */
async function answer(packet, ack) {
  await undefined
  const result = await { x: packet.x, y: packet.y }
  ack?.(undefined, result)
}

export async function connect(address, receive) {
  const socket = io(address)
  socket.on(MOVE, bytes => receive(codec.decode(bytes)))
  await new Promise(resolve => socket.once('connect', resolve))
  // From long polling to a WebSocket.
  if (socket.io.engine.transport.name !== 'websocket') {
    await new Promise(resolve => socket.io.engine.once('upgrade', resolve))
  }
  return {
    call: packet =>
      new Promise((resolve, reject) => {
        socket.emit(MOVE, codec.encode(packet), (error, result) => (error ? reject(error) : resolve(result)))
      }),
  }
}
