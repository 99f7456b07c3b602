// Ends that keep to the protocol and mean harm: what they can cost the process, a neighbour, and themselves.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import {
  type Connection,
  connect,
  Draft,
  type Message,
  MessageHandler,
  ResponseDraft,
  type Server,
} from 'selvedge/sockety'
import { closeAll, closed, dial, HOST, listen, portOf } from './pairs'
import { freshId, header, packet } from './peer'

const MiB = 1024 * 1024
const answer = new ResponseDraft().data()

/** What a program does with messages that has read the guide, and catches nothing. */
async function serve(message: Message): Promise<void> {
  if (message.action === 'ping') await message.accept()
  else if (message.action === 'echo') message.respond(answer({ data: await message.dataBuffer() }))
  else if (message.action === 'value') await message.fastReply((await message.msgpack()) === 1 ? 1 : 0)
  else if (message.action === 'big') message.respond(answer({ data: Buffer.alloc(8 * MiB) }))
  else if (message.action === 'stream') message.respond(new ResponseDraft().stream()())
}

const strangers: net.Socket[] = []
const programs: ChildProcess[] = []

afterEach(async () => {
  for (const stranger of strangers.splice(0)) stranger.destroy()
  for (const program of programs.splice(0)) program.kill()
  await closeAll()
})

const message = (action: string, flags = 1): Buffer => packet(0x20 | flags, header(freshId(), { action }))
const many = (count: number, make: () => Buffer): Buffer => Buffer.concat(Array.from({ length: count }, make))

/** A message that announces so much data, and what there is of it. */
function announcing(action: string, size: number, data: Buffer): Buffer {
  const head = header(freshId(), { action })
  head[0] = 0xc0
  const length = Buffer.alloc(6)
  length.writeUIntLE(size, 0, 6)
  return Buffer.concat([packet(0x21, Buffer.concat([head, length])), packet(0xe0, data)])
}

interface Place {
  readonly server: Server
  readonly neighbour: Connection
  /** A stranger, and our end of its connection. `announced`: the connection header. */
  stranger(announced?: string, reads?: boolean): Promise<{ socket: net.Socket; ours: Connection }>
}

async function place(): Promise<Place> {
  const server = await listen()
  server.on('connection', connection => connection.on('message', serve))
  const neighbour = await dial(portOf(server))
  const stranger = async (announced = 'e3', reads = true) => {
    const accepted = new Promise<Connection>(resolve => {
      const look = (connection: Connection): void => {
        if (connection.remotePort !== socket.localPort) return
        server.off('connection', look)
        resolve(connection)
      }
      server.on('connection', look)
    })
    const socket = net.connect(portOf(server), HOST)
    strangers.push(socket)
    socket.on('error', () => {})
    if (reads) socket.resume()
    await once(socket, 'connect')
    socket.write(Buffer.from(announced, 'hex'))
    return { socket, ours: await accepted }
  }
  return { server, neighbour, stranger }
}

const ping = async (neighbour: Connection): Promise<void> => {
  expect(await neighbour.send(Draft.for('ping')()).response()).toBe(0)
}

test.each([
  [
    'data that is larger than it may be',
    announcing('echo', 2 ** 48 - 1, Buffer.alloc(10)),
    'ERR_SOCKETY_LIMIT',
  ],
  ['what is no MessagePack', announcing('value', 3, Buffer.from('c1c1c1', 'hex')), 'ERR_DECODE'],
])(
  '%s ends its connection, and not the process of a listener that does not catch it',
  async (_, bytes, code) => {
    const { neighbour, stranger } = await place()
    const { socket, ours } = await stranger()
    const gone = closed(ours)
    socket.write(bytes)
    await gone
    expect(ours.closeReason).toMatchObject({ code })
    await ping(neighbour)
  },
)

test('an error of the program itself is still the process’s, and whoever catches keeps the connection', async () => {
  const server = await listen()
  const caught: unknown[] = []
  server.on('connection', connection => {
    connection.on('message', async message => {
      await message.msgpack().catch(error => caught.push(error))
      await message.accept()
    })
  })
  const client = await dial(portOf(server))
  const broken = Draft.for('value').data(Buffer.from('c1', 'hex'))()
  expect(await client.send(broken).response()).toBe(0)
  expect(caught).toMatchObject([{ code: 'ERR_DECODE' }])
})

test('whoever does not read its answers is cut off, and neighbours are answered', async () => {
  const { neighbour, stranger } = await place()
  const { socket, ours } = await stranger('e3', false)
  const gone = closed(ours)
  socket.write(many(30, () => message('big')))
  await gone
  expect(ours.closeReason).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
  await ping(neighbour)
})

test('the same with answers of a number, which are small', async () => {
  const { neighbour, stranger } = await place()
  const { socket, ours } = await stranger('e3', false)
  const gone = closed(ours)
  const pings = many(5000, () => message('ping'))
  const more = (): void => {
    while (!socket.destroyed && socket.write(pings));
    if (!socket.destroyed) socket.once('drain', more)
  }
  more()
  await gone
  expect(ours.closeReason).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
  await ping(neighbour)
}, 120_000)

test('whoever offers one channel, which is in use, cannot have answers collected behind it', async () => {
  const { neighbour, stranger } = await place()
  const { socket, ours } = await stranger('e0')
  const gone = closed(ours)
  socket.write(Buffer.concat([message('stream'), many(30, () => message('big'))]))
  await gone
  expect(ours.closeReason).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
  await ping(neighbour)
})

test('who sends more than the other end reads is told, can go on once there is room, and holds up nobody', async () => {
  const { server, neighbour, stranger } = await place()
  const { socket, ours } = await stranger('e3', false)
  const blob = Draft.for('blob').data(Buffer.alloc(8 * MiB))()
  const send = (): unknown => {
    try {
      for (let i = 0; i < 100; i++) void ours.pass(blob)
    } catch (error) {
      return error
    }
    return undefined
  }
  expect(send()).toMatchObject({ code: 'ENOBUFS' })
  await ping(neighbour)
  await server.broadcast(Draft.for('news')(), connection => connection !== ours)
  socket.resume()
  // The last of what is on its way has left.
  for (;;) {
    try {
      await ours.pass(blob)
      break
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOBUFS' })
      await new Promise(setImmediate)
    }
  }
  expect(ours.closeReason).toBeNull()
})

test('an end that goes away does so once', async () => {
  const { neighbour, stranger } = await place()
  const { socket, ours } = await stranger()
  let times = 0
  ours.on('goAway', () => {
    times += 1
  })
  const behind = once(ours, 'message')
  socket.write(Buffer.concat([Buffer.alloc(1000, 0xb0), message('ping')]))
  await behind
  expect(times).toBe(1)
  await ping(neighbour)
})

test('more files than are allowed by default are refused before anything is made of them', async () => {
  const { neighbour, stranger } = await place()
  const { socket, ours } = await stranger()
  const gone = closed(ours)
  const count = 17_000
  const head = Buffer.concat([header(freshId(), { action: 'files' }), Buffer.alloc(5)])
  head[0] = 0x30
  head.writeUIntLE(count, head.length - 5, 3)
  socket.write(packet(0x21, Buffer.concat([head, Buffer.alloc(count * 3)])))
  await gone
  expect(ours.closeReason).toMatchObject({ code: 'ERR_SOCKETY_LIMIT' })
  await ping(neighbour)
})

/** Another process, so that it writes as fast as it can. */
const FLOOD = `
const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1')
const pings = Buffer.from(process.argv[2], 'hex')
socket.on('error', () => {}).on('close', () => process.exit())
socket.resume().write(Buffer.from('e3', 'hex'))
const more = () => { while (socket.write(pings)); socket.once('drain', more) }
more()
`

test('a flood of messages does not keep a neighbour waiting behind all of it', async () => {
  const server = await listen()
  let handled = 0
  const handler = new MessageHandler()
    .action('flood', () => {
      handled += 1
    })
    .action('ping', () => 0)
  server.on('connection', connection => connection.on('message', handler))
  const neighbour = await dial(portOf(server))
  const flood = packet(0x20, header(freshId(), { action: 'flood' }))
    .toString('hex')
    .repeat(1000)
  programs.push(spawn(process.execPath, ['-e', FLOOD, String(portOf(server)), flood], { stdio: 'ignore' }))
  const waits: number[] = []
  while (handled < 1_000_000) {
    const before = handled
    await ping(neighbour)
    waits.push(handled - before)
  }
  // The engine reads faster than JavaScript handles: millions would be in front of the neighbour.
  expect(Math.max(...waits)).toBeLessThan(500_000)
}, 120_000)

test('a client is not ended by a server that announces absurd data, nor by one that does not read', async () => {
  const server = net.createServer(socket => {
    strangers.push(socket)
    socket.on('error', () => {})
    socket.pause()
    socket.write(Buffer.concat([Buffer.from('e3', 'hex'), announcing('echo', 2 ** 47, Buffer.alloc(1))]))
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  const client = connect((server.address() as net.AddressInfo).port, HOST)
  client.on('message', serve)
  const gone = closed(client)
  await client.ready()
  const waiting = client.send(Draft.for('question')()).response()
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await gone
  expect(client.closeReason).toMatchObject({ code: 'ERR_SOCKETY_LIMIT' })
  server.close()
})

test('a close to a peer that beats its heart and reads nothing is over after closeTimeout, and says why', async () => {
  const peer = net.createServer(socket => {
    strangers.push(socket)
    socket.pause().on('error', () => {})
    socket.write(Buffer.from('e3', 'hex'))
    const heart = setInterval(() => socket.write(Buffer.from('a0', 'hex')), 50)
    socket.once('close', () => clearInterval(heart))
  })
  await new Promise<void>(resolve => peer.listen(0, HOST, resolve))
  try {
    const { port } = peer.address() as net.AddressInfo
    const ours = await connect(port, HOST, { closeTimeout: 300 }).ready()
    const producer = Draft.for('lost').data(Buffer.alloc(MiB))()
    const passed = Array.from({ length: 32 }, () => ours.pass(producer))
    await ours.close()
    expect(ours.closeReason).toMatchObject({ code: 'ERR_SLOW_CONSUMER' })
    await expect(passed.at(-1)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  } finally {
    peer.close()
  }
})

test('what waits to be read on all connections of a server has a bound, and all of it comes once it is read', async () => {
  const size = 20 * MiB
  const server = await listen({ maxTotalUnreadBytes: MiB, maxUnreadBytes: 2 * size })
  const kept: Message[] = []
  const all = new Promise<void>(resolve => {
    server.on('connection', connection => {
      connection.on('message', message => {
        if (message.action === 'ping') void message.accept()
        else if (kept.push(message) === 3) resolve()
      })
    })
  })
  const neighbour = await dial(portOf(server))
  const big = Draft.for('big').data(Buffer.alloc(size))()
  const requests = await Promise.all(
    Array.from({ length: 3 }, async () => (await dial(portOf(server))).send(big)),
  )
  await all
  for (let i = 0; i < 50; i++) await ping(neighbour)
  expect(requests.map(request => request.isSent())).toEqual([false, false, false])
  for (const message of kept) {
    expect((await message.dataBuffer()).length).toBe(size)
    await message.accept()
  }
  expect(await Promise.all(requests.map(request => request.response()))).toEqual([0, 0, 0])
})
