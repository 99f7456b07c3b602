// Peers with flecks in them, which know nothing of us: ours is the server of theirs, and the client of theirs.
import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  overFlecks,
  Packer,
  Packet,
  PacketRegistry,
  PacketServer,
  PacketSocket,
  ValidationError,
} from 'selvedge/packets'
import { Server } from 'socket.io'
import { io as connectIo, type Socket } from 'socket.io-client'
import { rejection } from '../support/messages'
import { FlecksPackets, FlecksSocket, FlecksValidationError } from './flecks-peer'

const PATH = '/app/socket.io'

class Bin extends Packet('buffer') {}
class Echo extends Packer()(Packet) {}
class Nul extends Packet {}
class Pos extends Packet({ id: 'uint32', x: 'float32', y: 'float32', name: 'string' }) {}
class Slap extends Packet {}
class Up extends Packer('document')(Packet({ id: 'uint32' })) {}
class Val extends Packet({ n: 'uint8' }) {}
const ours = new PacketRegistry({ Bin, Echo, Nul, Pos, Slap, Up, Val })

const positions = { id: 'uint32', x: 'float32', y: 'float32', name: 'string' }
const ALICE = { id: 1234567, x: 1.5, y: -2.25, name: 'alice' }
const DATE = new Date('2026-11-28T00:00:00.000Z')

const theirs = new FlecksPackets({
  Bin: { schema: 'buffer', respond: data => data },
  Echo: { schema: 'buffer', packs: true, respond: data => ({ echo: data }) },
  Nul: { schema: {}, respond: () => null },
  Pos: { schema: positions, respond: ({ name }) => `hello ${name}` },
  Slap: { schema: {} },
  Up: {
    schema: { id: 'uint32', document: 'buffer' },
    packs: ['document'],
    respond: ({ document }) => document.want,
  },
  Val: {
    schema: { n: 'uint8' },
    respond({ n }) {
      if (n === 1) throw new FlecksValidationError({ code: 404, reason: 'no something found' })
      if (n === 2) throw Object.assign(Error('a secret'), { code: 'ENOENT' })
      if (n === 3) throw new FlecksValidationError('only a text')
    },
  },
})

let http: HttpServer
let io: Server
const clients: Socket[] = []

beforeEach(async () => {
  http = createServer()
  io = new Server(http, { path: PATH })
  await once(http.listen(0, '127.0.0.1'), 'listening')
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  await io.close()
})

function dial(): Socket {
  const { port } = http.address() as AddressInfo
  // Long polling first, as flecks does.
  const client = connectIo(`http://127.0.0.1:${port}`, { path: PATH, forceNew: true, reconnection: false })
  clients.push(client)
  return client
}

/** Answers as theirs do. */
function serve(handling: PacketServer | PacketSocket): void {
  handling.handle(Bin, ({ data }) => data)
  handling.handle(Echo, ({ data }) => ({ echo: data }))
  handling.handle(Nul, () => null)
  handling.handle(Pos, ({ data }) => `hello ${data.name}`)
  handling.handle(Up, ({ data }) => (data as any).document.want)
  handling.handle(Val, ({ data }) => {
    if (data.n === 1) throw new ValidationError({ code: 404, reason: 'no something found' })
    if (data.n === 2) throw Object.assign(Error('a secret'), { code: 'ENOENT' })
  })
}

describe('a server of ours for a client of theirs', () => {
  async function opened() {
    const server = new PacketServer(io as never, ours, { link: overFlecks })
    serve(server)
    const connection = once(server as never, 'connection')
    const client = new FlecksSocket(dial(), theirs)
    const [socket] = (await connection) as [PacketSocket]
    return { server, client, socket }
  }

  test('accepts every kind of packet, and answers as flecks does', async () => {
    const { client, socket } = await opened()
    const seen: unknown[] = []
    socket.on('packet', packet => seen.push(packet.data))
    expect(await client.send(['Pos', ALICE])).toBe('hello alice')
    expect(await client.send(['Echo', { foo: 'bar', at: DATE }])).toEqual({
      echo: { foo: 'bar', at: DATE.toISOString() },
    })
    expect(await client.send(['Up', { id: 7, document: { whatever: 'you', want: 42 } }])).toBe(42)
    expect(await client.send(['Bin', Buffer.from([1, 2, 3])])).toEqual(Buffer.from([1, 2, 3]))
    expect(await client.send(['Nul'])).toBeNull()
    // There such a call would never end.
    expect(await client.send(['Slap'])).toBeUndefined()
    expect(seen).toEqual([
      ALICE,
      { foo: 'bar', at: DATE },
      { id: 7, document: { whatever: 'you', want: 42 } },
      Buffer.from([1, 2, 3]),
      {},
      {},
    ])
  })

  test('says what refuses a packet, and nothing of what fails', async () => {
    const { client } = await opened()
    await expect(client.send(['Val', { n: 1 }])).rejects.toEqual({ code: 404, reason: 'no something found' })
    await expect(client.send(['Val', { n: 2 }])).rejects.toEqual({ code: 500, reason: 'error' })
    await expect(client.send(['Redirect', '/'])).rejects.toEqual({
      code: 403,
      reason: 'Redirect is not for a server',
    })
    expect(await client.send(['Val', { n: 4 }])).toBeUndefined()
  })

  test('accepts bundles of bundles, and answers with what came of each', async () => {
    const { client, socket } = await opened()
    const seen: unknown[] = []
    socket.on('packet', packet => packet instanceof Pos && seen.push(packet.data.id))
    const inner = [
      'Bundle',
      [
        ['Pos', { ...ALICE, id: 2 }],
        ['Pos', { ...ALICE, id: 3 }],
      ],
    ]
    const outcomes = await client.send(['Bundle', [['Pos', { ...ALICE, id: 1 }], inner, ['Val', { n: 1 }]]])
    expect(seen).toEqual([1, 2, 3])
    expect(outcomes).toEqual([
      { value: 'hello alice' },
      [{ value: 'hello alice' }, { value: 'hello alice' }],
      { error: { code: 404, reason: 'no something found' } },
    ])
  })

  test('sends to it, asks it, and broadcasts', async () => {
    const { server, client, socket } = await opened()
    expect(await socket.send(['Pos', ALICE])).toBe('hello alice')
    expect(await socket.send(['Bin', Buffer.from([9])])).toEqual(Buffer.from([9]))
    expect(await socket.send(['Nul'])).toBeNull()
    expect(await rejection(socket.send(['Val', { n: 1 }]))).toMatchObject({
      name: 'ValidationError',
      ...{ code: 404, reason: 'no something found', payload: { code: 404, reason: 'no something found' } },
    })
    expect(await rejection(socket.send(['Val', { n: 2 }]))).toMatchObject({
      name: 'PacketError',
      code: 500,
      reason: 'a secret',
    })
    expect(await rejection(socket.send(['Val', { n: 3 }]))).toMatchObject({
      name: 'PacketError',
      code: 500,
      payload: 'only a text',
    })
    // Flecks acknowledges nothing that was answered with undefined.
    expect(await rejection(socket.send(['Slap'], { timeout: 50 }))).toMatchObject({
      code: 'ERR_PACKET_TIMEOUT',
    })
    client.seen.length = 0
    socket.post(['Echo', { at: DATE, bytes: Buffer.from([1]) }])
    server.send(['Bundle', [['Slap'], ['Pos', ALICE]]])
    socket.join('here')
    server.to('here').send(['Redirect', '/there'])
    await socket.send(['Nul'])
    expect(client.seen.map(([name, data]) => [name, data])).toEqual([
      ['Echo', { at: DATE, bytes: Buffer.from([1]) }],
      [
        'Bundle',
        [
          ['Slap', {}],
          ['Pos', ALICE],
        ],
      ],
      ['Slap', {}],
      ['Pos', ALICE],
      ['Redirect', '/there'],
      ['Nul', {}],
    ])
  })

  test.each<[string, unknown[]]>([
    ['too few bytes', [Buffer.from([0, 1])]],
    ['a number', [5]],
    ['null', [null]],
    ['nothing', []],
    ['a text', ['hello']],
    ['what JSON makes of a Buffer', [{ type: 'Buffer', data: [1] }]],
    ['a list of numbers', [[0, 1]]],
    ['a length of 300 million', [{ length: 300_000_000 }]],
  ])('answers 400 to %s, and goes on', async (_, args) => {
    const { client, socket } = await opened()
    const rejected: unknown[] = []
    socket.on('rejected', error => rejected.push(error.code))
    const emit = client.io.emit as (...all: unknown[]) => void
    const answer = await new Promise(resolve => emit.call(client.io, theirs.idOf('Pos'), ...args, resolve))
    expect(answer).toEqual({ code: 400, reason: 'malformed Pos' })
    emit.call(client.io, theirs.idOf('Pos'), ...args)
    expect(await new Promise(resolve => emit.call(client.io, 77, Buffer.from([]), resolve))).toEqual({
      code: 501,
      reason: 'unsupported packet',
    })
    emit.call(client.io, 'chat', 'an event of another program')
    expect(await client.send(['Nul'])).toBeNull()
    expect(rejected).toEqual([
      'ERR_PACKET_MALFORMED',
      'ERR_PACKET_MALFORMED',
      'ERR_PACKET_UNKNOWN',
      'ERR_PACKET_UNKNOWN',
    ])
  })

  test.each([
    ['Bundle', '03010000'],
    ['Bundle', '06ffff00000800'],
    ['Bundle', '06000000006300'],
    ['Bundle', '06ffffffff0800'],
    ['Bundle', '7f'],
    ['Echo', '01c1'],
    ['Echo', '029201'],
    ['Echo', '00'],
    ['Echo', `c09a0c${'91'.repeat(200_000)}`],
    ['Val', 'ffffffff07'],
  ])('what ends a server of flecks is answered 400: %s %s', async (name, bytes) => {
    const { client } = await opened()
    const emit = client.io.emit as (...all: unknown[]) => void
    const answer = await new Promise(resolve =>
      emit.call(client.io, theirs.idOf(name), Buffer.from(bytes, 'hex'), resolve),
    )
    expect(answer).toEqual({ code: 400, reason: `malformed ${name}` })
    expect(await client.send(['Nul'])).toBeNull()
  })
})

describe('a client of ours for a server of theirs', () => {
  async function opened() {
    const connection = once(io, 'connection')
    const client = dial()
    const socket = new PacketSocket(overFlecks(client), ours)
    const [server] = (await connection) as [Socket]
    return { socket, client, server: new FlecksSocket(server, theirs) }
  }

  test('sends every kind of packet, and gets what flecks answers', async () => {
    const { socket, server } = await opened()
    expect(await socket.send(['Pos', ALICE])).toBe('hello alice')
    expect(await socket.send(['Echo', { foo: 'bar', at: DATE }])).toEqual({
      echo: { foo: 'bar', at: DATE.toISOString() },
    })
    expect(await socket.send(['Up', { id: 7, document: { want: 42 } }])).toBe(42)
    expect(await socket.send(['Nul'])).toBeNull()
    expect(await rejection(socket.send(['Val', { n: 1 }]))).toMatchObject({
      name: 'ValidationError',
      code: 404,
    })
    expect(server.seen).toEqual([
      ['Pos', ALICE],
      ['Echo', { foo: 'bar', at: DATE }],
      ['Up', { id: 7, document: { want: 42 } }],
      ['Nul', {}],
      ['Val', { n: 1 }],
    ])
    socket.post(['Bundle', [['Slap'], ['Bundle', [['Pos', ALICE]]]]])
    await socket.send(['Nul'])
    expect(server.seen.slice(5)).toEqual([
      [
        'Bundle',
        [
          ['Slap', {}],
          ['Bundle', [['Pos', ALICE]]],
        ],
      ],
      ['Slap', {}],
      ['Bundle', [['Pos', ALICE]]],
      ['Pos', ALICE],
      ['Nul', {}],
    ])
  })

  test('answers what it is asked, and takes broadcasts, also those that it has an answer for', async () => {
    const { socket, server } = await opened()
    serve(socket)
    const seen: unknown[] = []
    socket.on('packet', packet => seen.push(packet.constructor.name))
    socket.on('redirect', url => seen.push(url))
    expect(await server.send(['Pos', ALICE])).toBe('hello alice')
    expect(await server.send(['Slap'])).toBeUndefined()
    await expect(server.send(['Val', { n: 1 }])).rejects.toEqual({ code: 404, reason: 'no something found' })
    const broadcast = io.emit as (...all: unknown[]) => void
    broadcast.call(io, theirs.idOf('Pos'), theirs.encode(['Pos', ALICE]))
    broadcast.call(io, theirs.idOf('Redirect'), theirs.encode(['Redirect', '/there']))
    expect(await server.send(['Nul'])).toBeNull()
    expect(seen).toEqual(['Pos', 'Slap', 'Val', 'Pos', 'Redirect', '/there', 'Nul'])
  })

  test('has the frames of flecks', async () => {
    const { socket, client } = await opened()
    await once(client.io.engine as never, 'upgrade')
    const frames: unknown[] = []
    client.io.engine.on('packetCreate', ({ data }: { data?: unknown }) => {
      frames.push(typeof data === 'string' ? data : Buffer.from(data as Buffer).toString('hex'))
    })
    const ids = Object.fromEntries(['Slap', 'Pos', 'Echo'].map(name => [name, theirs.idOf(name)]))
    await rejection(socket.send(['Slap'], { timeout: 20 }))
    await socket.send(['Pos', ALICE])
    await socket.send(['Echo', { foo: 'bar' }])
    socket.post(['Slap'])
    await new Promise(setImmediate)
    expect(frames).toEqual([
      `51-0[${ids.Slap},{"_placeholder":true,"num":0}]`,
      '',
      `51-1[${ids.Pos},{"_placeholder":true,"num":0}]`,
      '0012d68705616c6963653fc00000c0100000',
      `51-2[${ids.Echo},{"_placeholder":true,"num":0}]`,
      '0981a3666f6fa3626172',
      `51-[${ids.Slap},{"_placeholder":true,"num":0}]`,
      '',
    ])
  })

  test('what is sent before the connection waits, and when it ends the calls end', async () => {
    const { socket, server } = await opened()
    const { port } = http.address() as AddressInfo
    const client = connectIo(`http://127.0.0.1:${port}`, {
      path: PATH,
      forceNew: true,
      reconnection: false,
      autoConnect: false,
    })
    clients.push(client)
    const early = new PacketSocket(overFlecks(client), ours, { limits: { queueBytes: 100 } })
    early.post(['Pos', ALICE])
    const refused = rejection(early.send(['Bin', Buffer.alloc(101)]))
    expect(await refused).toMatchObject({ code: 'ERR_PACKET_BUSY' })
    const connection = once(io, 'connection')
    client.connect()
    const other = new FlecksSocket(((await connection) as [Socket])[0], theirs)
    expect(await early.send(['Nul'])).toBeNull()
    expect(other.seen).toEqual([
      ['Pos', ALICE],
      ['Nul', {}],
    ])
    const open = rejection(socket.send(['Slap']))
    const closed = once(socket as never, 'closed')
    ;(server.io as Socket).disconnect()
    expect(await open).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
    expect((await closed)[0]).toMatchObject({
      code: 'ERR_PACKET_CLOSED',
      message: expect.stringContaining('io server disconnect'),
    })
    await early.close()
    expect(await rejection(early.send(['Nul']))).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
  })
})
