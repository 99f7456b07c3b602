// Bundles of bundles: many packets as one, with an answer for each.
import { connect } from 'selvedge'
import { Packer, Packet, PacketRegistry, PacketServer, PacketSocket, ValidationError } from 'selvedge/packets'

class Action extends Packer()(Packet) {}
const packets = new PacketRegistry({ Action })

const client = connect()
const server = new PacketServer(client.socket.listen('store'), packets)
let state = 0
server.handle(Action, ({ data: { type, payload } }) => {
  if (type === 'SET') state = payload
  else if (type === 'ADD') state += payload
  else throw new ValidationError({ code: 404, reason: `no action ${type}` })
  return state
})

const socket = new PacketSocket(client.socket.connect('store'), packets)
const inner = [
  'Bundle',
  [
    ['Action', { type: 'ADD', payload: 23 }],
    ['Action', { type: 'ADD', payload: -1 }],
  ],
]
const outcomes = await socket.send([
  'Bundle',
  [['Action', { type: 'SET', payload: 20 }], inner, ['Action', { type: 'MUL' }]],
])
console.log(JSON.stringify(outcomes))
console.log(state)

await socket.close()
await client.close()

// prints:
// [{"value":20},[{"value":43},{"value":42}],{"error":{"code":404,"reason":"no action MUL"}}]
// 42
