// What the links themselves do: pieces of streams, ends, reasons, rules that are broken.
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import {
  type AddressInfo,
  createServer as createNetServer,
  connect as netConnect,
  type Socket,
} from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { MessageChannel, Worker } from 'node:worker_threads'
import {
  overFlecks,
  overPort,
  overSocket,
  overSocketIo,
  overSockety,
  overStream,
  overWebSocket,
  Packet,
  PacketRegistry,
  PacketServer,
  PacketSocket,
} from 'selvedge/packets'
import { WebSocket, WebSocketServer } from 'ws'
import { CA, material } from '../support/certificates'
import { rejection } from '../support/messages'
import { outcome } from './codecs'
import { MemoryLink } from './memory-link'
import { frame, framesOf, hello, POST } from './raw-peer'

const Num = Packet({ n: 'uint8' })
const Blob = Packet('buffer')
const packets = new PacketRegistry({ Num, Blob })
const THEIRS = {
  Blob: '{"data":"buffer"}',
  Bundle: '{"data":"buffer"}',
  Num: '{"data":{"n":"uint8"}}',
  Redirect: '{"data":"string"}',
  Refresh: '{"data":{}}',
}

/** A stream that a test feeds, and whose output it sees. */
class TestStream extends Duplex {
  readonly written: Buffer[] = []
  override _read(): void {}
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.written.push(chunk)
    done()
  }
  /** The other side ends, too. */
  override _final(done: () => void): void {
    this.push(null)
    done()
  }
}

describe('a stream', () => {
  async function opened(options: object = {}) {
    const stream = new TestStream()
    const socket = new PacketSocket(overStream(stream), packets, options)
    const seen: unknown[] = []
    socket.on('packet', ({ data }) => seen.push(Buffer.isBuffer(data) ? data.length : data.n))
    const closed = once(socket as never, 'closed')
    return { stream, socket, seen, closed }
  }

  test.each([1, 2, 3, 7, 100])('is cut anywhere: in pieces of %d bytes', async size => {
    const { stream, socket, seen } = await opened()
    const blob = frame(POST, 1, Buffer.concat([Buffer.from([0x80, 0x02]), Buffer.alloc(256)]))
    const bytes = Buffer.concat([
      hello(THEIRS),
      frame(POST, 3, 1),
      blob,
      frame(POST, 3, 2),
      blob,
      frame(POST, 3, 3),
    ])
    for (let at = 0; at < bytes.length; at += size) stream.push(bytes.subarray(at, at + size))
    while (seen.length < 5) await new Promise(setImmediate)
    expect(seen).toEqual([1, 256, 2, 256, 3])
    expect(framesOf(Buffer.concat(stream.written))).toHaveLength(1)
    await socket.close()
  })

  test.each([
    ['a frame of 2 GiB', Buffer.from('ffffffff07', 'hex')],
    ['a frame over the limit', Buffer.from('a18040', 'hex')],
    ['an empty frame', Buffer.from([0])],
    ['an overlong length', Buffer.from('8100', 'hex')],
  ])('ends at %s, before it has come', async (_, bytes) => {
    const { stream, closed } = await opened()
    stream.push(hello(THEIRS))
    stream.push(bytes)
    expect((await closed)[0]).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
    expect(stream.destroyed).toBe(true)
  })

  test('that fails is the reason', async () => {
    const { stream, closed, socket } = await opened()
    const sent = rejection(socket.send(['Num', { n: 1 }]))
    stream.destroy(Error('unplugged'))
    expect((await closed)[0]).toEqual(Error('unplugged'))
    expect(await sent).toMatchObject({ code: 'ERR_PACKET_CLOSED', cause: Error('unplugged') })
  })

  test('that the other side ends is ended here, and closed says so', async () => {
    const server = createNetServer({ allowHalfOpen: true })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const accepted = once(server, 'connection')
    const socket = new PacketSocket(
      overStream(netConnect((server.address() as AddressInfo).port, '127.0.0.1')),
      packets,
    )
    const [theirs] = (await accepted) as [Socket]
    theirs.resume()
    theirs.end()
    const [reason] = await once(socket as never, 'closed')
    expect(reason).toMatchObject({ code: 'ERR_PACKET_CLOSED', message: 'the other side closed the stream' })
    server.close()
  })
})

test('a stream of TLS carries packets', async () => {
  const server = createTlsServer(material('server'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const packetServer = new PacketServer(server, packets, { link: overStream })
  packetServer.handle(Num, ({ data }) => data.n + 1)
  const { port } = server.address() as AddressInfo
  const stream = connectTls({ port, host: '127.0.0.1', ca: CA, servername: 'localhost' })
  const socket = new PacketSocket(overStream(stream), packets)
  expect(await socket.send(['Num', { n: 1 }])).toBe(2)
  await socket.close()
  await packetServer.close()
  server.close()
})

test('the input and output of a child process carry packets, and it ends with them', async () => {
  const child = spawn(
    process.execPath,
    [
      '--eval',
      `const { Duplex } = require('node:stream')
      const { Packet, PacketRegistry, PacketSocket, overStream } = require('selvedge/packets')
      const Num = Packet({ n: 'uint8' })
      const stream = Duplex.from({ readable: process.stdin, writable: process.stdout })
      const socket = new PacketSocket(overStream(stream), new PacketRegistry({ Num, Blob: Packet('buffer') }))
      socket.handle(Num, ({ data }) => data.n + 1)`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin })
  const socket = new PacketSocket(overStream(stream), packets)
  expect(await socket.send(['Num', { n: 1 }])).toBe(2)
  await socket.close()
  expect(await exited).toEqual([0, null])
})

describe('a WebSocket', () => {
  let server: WebSocketServer
  beforeEach(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
  })
  afterEach(async () => {
    for (const client of server.clients) client.terminate()
    await new Promise(resolve => server.close(resolve))
  })
  const url = () => `ws://127.0.0.1:${(server.address() as AddressInfo).port}`

  test('with a text on it is closed', async () => {
    const connection = once(new PacketServer(server, packets, { link: overWebSocket }) as never, 'connection')
    const client = new WebSocket(url())
    client.on('open', () => client.send('hello'))
    const closed = once(client, 'close')
    const [socket] = (await connection) as [PacketSocket]
    const [reason] = await once(socket as never, 'closed')
    expect(reason).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
    await closed
  })

  test('that nobody answers is a reason, and no uncaught error', async () => {
    const socket = new PacketSocket(overWebSocket(new WebSocket('ws://127.0.0.1:1')), packets)
    const [reason] = await once(socket as never, 'closed')
    expect(reason).toMatchObject({ code: 'ECONNREFUSED' })
    expect(await rejection(socket.send(['Num', { n: 1 }]))).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
  })

  test('that is cut off is closed for both sides, with a reason only for who did not do it', async () => {
    const connection = once(new PacketServer(server, packets, { link: overWebSocket }) as never, 'connection')
    const ws = new WebSocket(url())
    const client = new PacketSocket(overWebSocket(ws), packets)
    const [socket] = (await connection) as [PacketSocket]
    expect(await client.send(['Num', { n: 1 }])).toBeUndefined()
    const closed = once(socket as never, 'closed')
    const own = once(client as never, 'closed')
    await client.close()
    expect(await own).toEqual([undefined])
    expect((await closed)[0]).toMatchObject({
      code: 'ERR_PACKET_CLOSED',
      message: expect.stringContaining('the WebSocket (1005)'),
    })
  })

  test('whose other side does not close is cut off after a time', async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'setImmediate', 'nextTick', 'performance'] })
    try {
      const deaf = Object.assign(new EventTarget(), {
        ...{ binaryType: '', readyState: 1, bufferedAmount: 0 },
        ...{ send: jest.fn(), close: jest.fn(), terminate: jest.fn() },
      })
      const socket = new PacketSocket(overWebSocket(deaf), packets)
      const closing = socket.close()
      await new Promise(setImmediate)
      expect(deaf.close).toHaveBeenCalledTimes(1)
      jest.advanceTimersByTime(3000)
      await closing
      expect(deaf.terminate).toHaveBeenCalledTimes(1)
    } finally {
      jest.useRealTimers()
    }
  })

  test('of a page cannot be held back: it closes where it would have to be', async () => {
    const events = new EventTarget()
    const page = Object.assign(events, {
      ...{ binaryType: '', readyState: 1, bufferedAmount: 0, send: jest.fn() },
      close: () => void queueMicrotask(() => events.dispatchEvent(new Event('close'))),
    })
    const socket = new PacketSocket(overWebSocket(page), packets, {
      limits: { acceptors: 1, queueBytes: 100 },
    })
    socket.handle(Num, () => new Promise(() => undefined))
    const closed = once(socket as never, 'closed')
    const say = (bytes: Buffer) =>
      events.dispatchEvent(Object.assign(new Event('message'), { data: new Uint8Array(bytes).buffer }))
    say(hello(THEIRS))
    say(Buffer.concat(Array(200).fill(frame(POST, 3, 1))))
    expect((await closed)[0]).toMatchObject({ code: 'ERR_PACKET_BUSY' })
  })
})

describe('a port', () => {
  test('between threads carries packets, and its end', async () => {
    const worker = new Worker(
      `
      const { parentPort } = require('node:worker_threads')
      const { Packet, PacketRegistry, PacketSocket, overPort } = require('selvedge/packets')
      const Num = Packet({ n: 'uint8' })
      const Blob = Packet('buffer')
      const socket = new PacketSocket(overPort(parentPort), new PacketRegistry({ Num, Blob }))
      socket.handle(Num, ({ data }) => data.n * 2)
      socket.on('closed', reason => process.exit(reason === undefined ? 1 : 7))
      `,
      { eval: true },
    )
    const socket = new PacketSocket(overPort(worker), packets)
    expect(await socket.send(['Num', { n: 21 }])).toBe(42)
    const exited = once(worker, 'exit')
    await socket.close()
    expect(await exited).toEqual([7])
  })

  test('closes when its other end does, or its worker exits', async () => {
    const { port1, port2 } = new MessageChannel()
    const [left, right] = [port1, port2].map(port => new PacketSocket(overPort(port), packets))
    expect(await left!.send(['Num', { n: 1 }])).toBeUndefined()
    const closed = once(right as never, 'closed')
    await left!.close()
    expect((await closed)[0]).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
    const worker = new Worker('process.exit(0)', { eval: true })
    const socket = new PacketSocket(overPort(worker), packets)
    expect((await once(socket as never, 'closed'))[0]).toMatchObject({ code: 'ERR_PACKET_CLOSED' })
  })

  test('with what is no bytes on it is closed', async () => {
    const { port1, port2 } = new MessageChannel()
    const socket = new PacketSocket(overPort(port1), packets)
    port2.postMessage({ not: 'bytes' })
    expect((await once(socket as never, 'closed'))[0]).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })
})

test('a link that throws closes its socket', async () => {
  const link = new MemoryLink()
  link.send = () => {
    throw Error('not a link')
  }
  const socket = new PacketSocket(link, packets)
  expect((await once(socket as never, 'closed'))[0]).toMatchObject({
    code: 'ERR_PACKET_CLOSED',
    cause: Error('not a link'),
  })
})

test.each([
  ['overSocket', overSocket],
  ['overSocketIo', overSocketIo],
  ['overFlecks', overFlecks],
  ['overStream', overStream],
  ['overSockety', overSockety as never],
  ['overPort', overPort],
  ['overWebSocket', overWebSocket],
])('%s refuses what is something else', (_, link) => {
  for (const value of [undefined, null, {}, 'x', createServer()]) {
    expect(outcome(() => link(value as never)).code).toBe('ERR_INVALID_ARG_TYPE')
  }
})

test.each([
  ['no socket', () => new PacketSocket({} as never, packets), 'ERR_INVALID_ARG_TYPE'],
  ['no registry', () => new PacketSocket(new MemoryLink(), {} as never), 'ERR_INVALID_ARG_TYPE'],
  [
    'an option that is none',
    () => new PacketSocket(new MemoryLink(), packets, { x: 1 } as never),
    'ERR_UNKNOWN_OPTION',
  ],
  [
    'an option of another type',
    () => new PacketSocket(new MemoryLink(), packets, { order: 'odd' } as never),
    'ERR_INVALID_ARG_VALUE',
  ],
  [
    'a limit that is none',
    () => new PacketSocket(new MemoryLink(), packets, { limits: { calls: 0 } }),
    'ERR_OUT_OF_RANGE',
  ],
  ['no source', () => new PacketServer({} as never, packets), 'ERR_INVALID_ARG_TYPE'],
  [
    'an option of sockets',
    () => new PacketServer(new EventEmitter(), packets, { role: 'client' } as never),
    'ERR_UNKNOWN_OPTION',
  ],
])('%s is refused', (_, make, code) => {
  expect(outcome(make).code).toBe(code)
})
