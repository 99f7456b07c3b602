// A packet by its name and data becomes an instance of its class, and has a few bytes on the way.
import { Packet, PacketRegistry } from 'selvedge/packets'

class Position extends Packet({ id: 'uint32', x: 'float32', y: 'float32', name: 'string' }) {
  get distance() {
    return Math.hypot(this.data.x, this.data.y)
  }
}
const packets = new PacketRegistry({ Position })

const hydrated = packets.hydrate(['Position', { id: 1234567, x: 3, y: -4, name: 'alice' }])
console.log(hydrated instanceof Position, hydrated.distance)

const bytes = packets.encode(hydrated)
console.log(Buffer.from(bytes).toString('hex'))
console.log(packets.decode('Position', bytes).distance)

const envelope = packets.pack(hydrated)
console.log(envelope.length, packets.unpack(envelope).data.name)

try {
  packets.encode(['Position', { id: 1, x: 'east', y: 0, name: '' }])
} catch ({ code, message }) {
  console.log(code, message)
}

// prints:
// true 5
// 0012d68705616c69636540400000c0800000
// 5
// 26 alice
// ERR_PACKET_ENCODE Position: x: needs a number, got "east"
