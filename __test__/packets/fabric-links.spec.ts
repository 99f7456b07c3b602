// Packets over sockets of the fabric and over connections of Sockety: what these survive, and what else they carry.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { overSocket, overSockety, Packet, PacketRegistry, PacketServer, PacketSocket } from 'selvedge/packets'
import {
  type Connection,
  connect as connectSockety,
  createServer as createSocketyServer,
  Draft,
  type Response,
} from 'selvedge/sockety'
import { memoryFabric } from 'selvedge/testing'
import { until } from '../support/events'
import { rejection } from '../support/messages'

const Num = Packet({ n: 'uint8' })
const packets = new PacketRegistry({ Num, Blob: Packet('buffer') })

describe('a socket of the fabric', () => {
  test('survives a reconnect: the answer comes later, and the packet was accepted once', async () => {
    const fabric = memoryFabric()
    const [host, guest] = [fabric.client(), fabric.client()]
    const source = host.socket.listen('game')
    await source.waitUntilReady()
    const server = new PacketServer(source, packets)
    let accepted = 0
    let end!: (value: string) => void
    server.handle(Num, () => {
      accepted += 1
      return new Promise<string>(resolve => (end = resolve))
    })
    const connection = guest.socket.connect('game')
    const socket = new PacketSocket(connection, packets)
    const answer = socket.send(['Num', { n: 1 }])
    await until(() => accepted > 0)
    connection.disconnect()
    await new Promise(setImmediate)
    end('late')
    await new Promise(setImmediate)
    connection.connect()
    expect(await answer).toBe('late')
    expect(accepted).toBe(1)
    await socket.close()
    await fabric.close()
  })

  test('with data that is no bytes is closed, and the reason is that of the packets', async () => {
    const fabric = memoryFabric()
    const source = fabric.client().socket.listen('game')
    const connection = once(new PacketServer(source, packets) as never, 'connection')
    const raw = fabric.client().socket.connect('game')
    const [socket] = (await connection) as [PacketSocket]
    const closed = once(raw, 'closed')
    raw.write('hello')
    expect((await once(socket as never, 'closed'))[0]).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
    await closed
    await fabric.close()
  })

  test('has channels', async () => {
    const fabric = memoryFabric()
    const source = fabric.client().socket.listen('game')
    const server = new PacketServer(source.channel('packets'), packets)
    server.handle(Num, ({ data }) => data.n)
    const plain = fabric.client().socket.connect('game')
    const socket = new PacketSocket(overSocket(plain, { channel: 'packets' }), packets)
    expect(await socket.send(['Num', { n: 5 }])).toBe(5)
    await socket.close()
    await fabric.close()
  })

  test('that is closed by the other side says so, and its packets that did not leave are told', async () => {
    const fabric = memoryFabric()
    const source = fabric.client().socket.listen('game')
    const server = new PacketServer(source, packets)
    const socket = new PacketSocket(fabric.client().socket.connect('game', { maxQueueSize: 2 }), packets, {
      batch: false,
    })
    expect(await socket.send(['Num', { n: 1 }])).toBeUndefined()
    const closed = once(socket as never, 'closed')
    await server.close()
    expect((await closed)[0]).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
    await fabric.close()
  })

  test('with a small window takes all the same what is sent at once, in order', async () => {
    const fabric = memoryFabric()
    const source = fabric.client().socket.listen('game')
    const server = new PacketServer(source, packets)
    const seen: number[] = []
    server.handle(Num, ({ data }) => void seen.push(data.n))
    const socket = new PacketSocket(fabric.client().socket.connect('game', { maxQueueSize: 2 }), packets, {
      batch: false,
    })
    for (let n = 0; n < 200; n++) socket.post(['Num', { n }])
    await socket.send(['Blob', Buffer.alloc(3)])
    expect(seen).toEqual(Array.from({ length: 200 }, (_, n) => n))
    await socket.close()
    await fabric.close()
  })
})

describe('a connection of Sockety', () => {
  async function opened() {
    const server = createSocketyServer()
    await server.listen(0, '127.0.0.1')
    const connection = connectSockety((server.address() as AddressInfo).port, '127.0.0.1')
    const packetServer = new PacketServer(server, packets, { link: each => overSockety(each, Draft) })
    const accepted = once(packetServer as never, 'connection')
    const socket = new PacketSocket(overSockety(connection, Draft), packets)
    const [other] = (await accepted) as [PacketSocket]
    expect(await socket.send(['Num', { n: 1 }])).toBeUndefined()
    return { server, connection, socket, other }
  }

  test('has other messages beside the packets, and stays open when they end', async () => {
    const { server, connection, socket, other } = await opened()
    const [theirs] = server.clients as [Connection]
    theirs.on('message', message => {
      if (message.action === 'time') void message.respond({ data: 'late' })
    })
    const ask = Draft.for('time')
    const time = async () =>
      (await ((await connection.send(ask()).response()) as Response).dataBuffer()).toString()
    expect(await time()).toBe('late')
    const closed = once(other as never, 'closed')
    await socket.close()
    expect((await closed)[0]).toMatchObject({
      code: 'ERR_PACKET_CLOSED',
      message: 'the other side closed the channel',
    })
    expect(await time()).toBe('late')
    await connection.close()
    await server.close()
  })

  test('that is lost closes its packets, and calls that are open reject', async () => {
    const { server, connection, socket, other } = await opened()
    other.handle(Num, () => new Promise(() => undefined))
    const open = rejection(socket.send(['Num', { n: 1 }]))
    const closed = once(other as never, 'closed')
    await connection.close(true)
    expect(await open).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
    expect((await closed)[0]).toBeInstanceOf(Error)
    await server.close()
  })
})
