// What a newcomer gets wrong is told at once, and in their words.
import { EventEmitter } from 'node:events'
import { type Client, connect } from 'selvedge'
import {
  createIntercom,
  overSocket,
  Packet,
  PacketRegistry,
  PacketServer,
  PacketSocket,
} from 'selvedge/packets'
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

test.each([true, (left: unknown[]) => left])(
  'a socket that renews itself is refused: its next server would know nothing of the packets (renew: %p)',
  async renew => {
    const socket = client.socket.connect('misuse', { renew: renew as true })
    for (const options of [undefined, { channel: 'packets' }]) {
      expect(() => new PacketSocket(overSocket(socket, options), packets)).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_ARG_VALUE',
          message: expect.stringContaining('without `renew`'),
        }),
      )
    }
    socket.close()
  },
)

test.each<[string, () => unknown, string, string]>([
  [
    'a type that is a class',
    () => Packet({ id: Number as never }),
    'ERR_PACKET_SCHEMA',
    "types are texts, such as 'uint8'",
  ],
  [
    'a type nearly right',
    () => Packet({ id: 'strng' as never }),
    'ERR_PACKET_SCHEMA',
    "did you mean 'string'?",
  ],
  [
    'an optional type',
    () => Packet({ id: 'uint8?' as never }),
    'ERR_PACKET_SCHEMA',
    'the `?` belongs to the key',
  ],
  [
    'a direction that is none',
    () => Packet({}, { direction: 'client' as never }),
    'ERR_INVALID_ARG_VALUE',
    "'toClient'",
  ],
  [
    'an order that is none',
    () => Packet({}, { order: 'first' as never }),
    'ERR_INVALID_ARG_VALUE',
    "'serial'",
  ],
  [
    'a handler that is none',
    () => Packet({}, { respond: 7 as never }),
    'ERR_INVALID_ARG_VALUE',
    'a function',
  ],
  ['keys to pack that are none', () => Packet({}, { pack: 7 as never }), 'ERR_INVALID_ARG_VALUE', 'a key'],
  [
    'a result that is no schema',
    () => Packet({}, { result: 'int9' as never }),
    'ERR_PACKET_SCHEMA',
    "did you mean 'int8'?",
  ],
  [
    'a type with two letters swapped',
    () => Packet({}, { result: 'unit8' as never }),
    'ERR_PACKET_SCHEMA',
    "did you mean 'uint8'?",
  ],
  [
    'an option that is none',
    () => Packet({}, { results: 'bool' } as never),
    'ERR_UNKNOWN_OPTION',
    "did you mean 'result'?",
  ],
  [
    'a limit that is none',
    () => new PacketRegistry({}, { limits: { call: 1 } } as never),
    'ERR_UNKNOWN_OPTION',
    "'calls'?",
  ],
  ['statics that are none', () => new PacketRegistry({ Odd }), 'ERR_PACKET_SCHEMA', "'toClient'"],
  [
    'a name nearly right',
    () => packets.hydrate(['move'] as never),
    'ERR_PACKET_UNKNOWN',
    "did you mean 'Move'?",
  ],
  [
    'a class in place of a packet',
    () => packets.encode(Move as never),
    'ERR_PACKET_UNKNOWN',
    'send new Move(data)',
  ],
])('%s', (_, wrong, code, text) => {
  expect(wrong).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }))
})

class Odd extends Packet({}) {
  static override direction = 'client' as never
}

test('rooms are texts: none at all is not everybody', async () => {
  const server = new PacketServer(client.socket.listen('misuse.rooms'), packets)
  expect(() => server.to(undefined as never)).toThrow(wrongType)
  expect(() => server.handle('Move' as never, (() => 1) as never)).toThrow(
    'no packet of the class "Move", which is its name',
  )
  await server.close()
})

test('an intercom, and packets of subjects, need a client', async () => {
  expect(await rejection(createIntercom(undefined as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  expect(await rejection(packets.subscribe('moves' as never, 'x'))).toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  })
})

test('a packet by name is a pair', async () => {
  const socket = new PacketSocket(client.socket.connect('misuse'), packets)
  const error = await rejection(socket.send('Move' as never))
  expect(error).toMatchObject({ code: 'ERR_PACKET_UNKNOWN' })
  expect(await rejection(socket.send('Move' as never, { id: 7 } as never))).toEqual(error)
  expect(error).toHaveProperty('message', 'no packet in a text: send ["Move", data]')
  await socket.close()
})
