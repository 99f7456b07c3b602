// What a packet passes on its way: layers, validators, the event, the handler. And what refuses it.
import { connect } from 'selvedge'
import { Packet, PacketRegistry, PacketServer, PacketSocket, ValidationError } from 'selvedge/packets'

class Move extends Packet({ x: 'int16', y: 'int16' }, { result: { x: 'int16', y: 'int16' } }) {
  validate() {
    if (Math.abs(this.data.x) > 100) throw new ValidationError({ code: 422, reason: 'too far' })
  }
}
const packets = new PacketRegistry({ Move })

const client = connect()
const server = new PacketServer(client.socket.listen('game'), packets)
server.use(async (packet, socket, next) => {
  if (socket.req.isMuted) throw new ValidationError({ code: 403, reason: 'muted' })
  const answer = await next()
  console.log(packet.constructor.name, 'was answered')
  return answer
})
server.handle(Move, ({ data }) => ({ x: data.x, y: Math.max(0, data.y) }))
server.on('connection', socket => socket.on('packet', ({ data }) => console.log('accepted', data.x, data.y)))

const socket = new PacketSocket(client.socket.connect('game'), packets)
const move = (x, y) =>
  socket.send(['Move', { x, y }]).then(
    answer => console.log('moved to', answer.x, answer.y),
    ({ name, code, reason }) => console.log(name, code, reason),
  )
await move(3, -4)
await move(500, 0)
for (const each of server.sockets.values()) each.req.isMuted = true
await move(0, 0)

await socket.close()
await client.close()

// prints:
// accepted 3 -4
// Move was answered
// moved to 3 0
// ValidationError 422 too far
// ValidationError 403 muted
