// What a newcomer gets wrong is told at once, and in their words.
import { EventEmitter } from 'node:events'
import { type Client, connect } from 'selvedge'
import { Packet, PacketRegistry, PacketServer, PacketSocket } from 'selvedge/packets'
import { rejection } from '../support/messages'

const Move = Packet({ id: 'uint8' })
const packets = new PacketRegistry({ Move })
let client: Client

beforeAll(() => {
  client = connect({ noCache: true })
})
afterAll(() => client.close())

const wrongType = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' })

test.each([[[Move]], [null], ['Move']])('a registry of %p is none', list => {
  expect(() => new PacketRegistry(list as never)).toThrow(wrongType)
})

test('a server needs a registry, and something that emits connections', async () => {
  expect(() => new PacketServer(new EventEmitter(), undefined as never)).toThrow(wrongType)
  expect(() => new PacketServer(new EventEmitter(), { Move } as never)).toThrow(wrongType)
  expect(() => new PacketServer(client as never, packets)).toThrow('as of client.socket.listen()')
  expect(() => new PacketServer({} as never, packets)).toThrow(wrongType)
})

test('a socket has packets once, or on channels of its own', async () => {
  const socket = client.socket.connect('misuse')
  const first = new PacketSocket(socket, packets)
  expect(() => new PacketSocket(socket, packets)).toThrow('the socket has packets already: use a channel')
  await first.close()
})

test('a packet by name is a pair', async () => {
  const socket = new PacketSocket(client.socket.connect('misuse'), packets)
  const error = await rejection(socket.send('Move' as never))
  expect(error).toMatchObject({ code: 'ERR_PACKET_UNKNOWN' })
  expect(error).toHaveProperty('message', 'no packet in a text: send ["Move", data]')
  await socket.close()
})
