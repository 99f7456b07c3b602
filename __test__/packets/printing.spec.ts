// What `console.log` shows of packets: what a person wants to know, and no insides.
import { inspect } from 'node:util'
import { connect } from 'selvedge'
import {
  compileSchema,
  createIntercom,
  Packet,
  PacketRegistry,
  PacketServer,
  PacketSocket,
} from 'selvedge/packets'

test('objects show what they are', async () => {
  const client = connect({ noCache: true })
  const packets = new PacketRegistry({ Num: Packet({ n: 'uint8' }) })
  const intercom = await createIntercom(client, { node: 'east' })
  const server = new PacketServer(client.socket.listen('shown'), packets)
  server.on('connection', each => each.join('red'))
  const socket = new PacketSocket(client.socket.connect('shown'), packets)
  await socket.send(['Num', { n: 1 }])
  const subscription = await packets.subscribe(client, 'moves.*')
  const [own] = server.sockets.values()
  const shown = (value: unknown) => inspect(value, { breakLength: 1000 })

  expect(shown(compileSchema({ a: 'bool' }))).toMatch(
    /^SchemaCodec \{ schema: '\{"a":"bool"\}', minBytes: 1, fingerprint: '\w{16}' \}$/,
  )
  expect(shown(packets)).toMatch(
    /^PacketRegistry \{ names: \[ 'Bundle', 'Num', 'Redirect', 'Refresh' \], hash: '\w{16}' \}$/,
  )
  expect(shown(intercom)).toBe('[Intercom east]')
  expect(shown(server)).toBe('PacketServer { sockets: 1, rejected: 0 }')
  expect(shown(socket)).toBe(`PacketSocket { id: '${socket.id}', link: 'frames', state: 'open' }`)
  expect(shown(own)).toBe(
    `PacketSocket { id: '${own!.id}', link: 'frames', state: 'open', rooms: [ 'red' ] }`,
  )
  expect(shown(subscription)).toBe("PacketSubscription { subject: 'moves.*', rejected: 0, dropped: 0 }")
  expect(inspect({ a: { b: { socket } } }, { depth: 1 })).toContain('[Object]')
  await socket.close()
  expect(shown(socket)).toContain("state: 'closed'")
  await client.close()
})
