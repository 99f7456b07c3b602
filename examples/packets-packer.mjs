// Packed data: any value as MessagePack, for the whole packet or for one of its keys.
import { Packer, Packet, PacketRegistry } from 'selvedge/packets'

class Message extends Packer()(Packet) {}
// The data of one's own, and the packed key above it.
class Upload extends Packer('document')(Packet) {
  static get data() {
    return { id: 'uint32' }
  }
}
const packets = new PacketRegistry({ Message, Upload })

const show = packet => {
  const bytes = packets.encode(packet)
  console.log(bytes.length, JSON.stringify(packets.decode(packet[0], bytes).data))
}
show(['Message', { foo: 'bar', arbitrary: 'data' }])
show(['Upload', { id: 1234567, document: { whatever: 'you', want: 42 } }])

// prints:
// 25 {"foo":"bar","arbitrary":"data"}
// 25 {"id":1234567,"document":{"whatever":"you","want":42}}
