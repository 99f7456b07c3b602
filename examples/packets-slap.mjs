// The smallest packet: a slap, from a client to a server and back.
import { once } from 'node:events'
import { connect } from 'selvedge'
import { Packet, PacketRegistry, PacketServer, PacketSocket } from 'selvedge/packets'

class Slap extends Packet {}
const packets = new PacketRegistry({ Slap })

const client = connect()
const server = new PacketServer(client.socket.listen('game'), packets)
server.on('connection', socket => {
  socket.on('packet', packet => {
    console.log('the server got a', packet.constructor.name)
    socket.post(['Slap'])
  })
})

const socket = new PacketSocket(client.socket.connect('game'), packets)
const back = once(socket, 'packet')
console.log('the server answered', await socket.send(['Slap']))
const [packet] = await back
console.log('the client got a', packet.constructor.name)

await socket.close()
await client.close()

// prints:
// the server got a Slap
// the server answered undefined
// the client got a Slap
